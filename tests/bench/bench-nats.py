#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls over NATS beside requests and replies of NATS itself: one NATS server, and two workers, of each.

usage: bench-nats.py AFRPC BENCH-NATS WORKER [--short]

AFRPC is the command, WORKER the module with the function echo. What is printed: calls a second at depth 1 and 64, the processor
time of the program that calls, of those who serve, and of the NATS server, for each call; of a call whose server is killed,
after how long it has failed, and, if it may be repeated, after how long another one has done it; and what each who serves costs
the NATS server.
"""
import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from nats_server import NatsServer


def ticks(pid):
    """The processor time of a process and its threads, in seconds; its children do not count."""
    with open(f'/proc/{pid}/stat', encoding='ascii') as stat:
        fields = stat.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def descendants(pid):
    found = [pid]
    for parent in found:
        with open(f'/proc/{parent}/task/{parent}/children', encoding='ascii') as children:
            found += [int(child) for child in children.read().split()]
    return found


def measure(nats, client, servers, kind, subject, depth, n):
    pids = [nats.process.pid, *(pid for server in servers for pid in descendants(server.pid))]
    before = {pid: ticks(pid) for pid in pids}
    out = subprocess.run([client, kind, nats.url, subject, str(depth), str(n)], check=True, capture_output=True, text=True).stdout
    wall, cpu = map(float, out.split())
    spent = {pid: ticks(pid) - before[pid] for pid in pids}
    served = sum(spent[pid] for pid in pids[1:])
    print(f'{kind:6} depth {depth:3}: {n / wall:8.0f} calls/s; CPU of a call: {cpu / n * 1e6:5.1f} us calling, '
          f'{served / n * 1e6:5.1f} us serving, {spent[pids[0]] / n * 1e6:5.1f} us NATS')


def serve(afrpc, nats, subject, jobs, module, function):
    return subprocess.Popen([afrpc, 'serve', '--nats', nats.url, '--subject', subject, '-j', str(jobs), module, function],
                            stderr=subprocess.DEVNULL)


def start(*words):
    """A process that says when it has come so far."""
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() in ('ready\n', 'begun\n'), words
    return process


def end(*processes):
    for process in processes:
        process.kill()
        process.wait()


def measure_death(nats, args, idempotent):
    """Of one who serves and has a call: killed."""
    subject = f'death.{idempotent}'
    first = serve(args.afrpc, nats, subject, 1, args.worker, 'sleep_ms')
    caller = start(args.client, 'death', nats.url, subject, idempotent)
    second = serve(args.afrpc, nats, subject, 1, args.worker, 'sleep_ms')
    begin = time.clock_gettime(time.CLOCK_MONOTONIC)
    first.kill()
    seconds, outcome = caller.communicate()[0].split()[-2:]
    end(first, second)
    return float(seconds) - begin, outcome


def get_memory(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as status:
        return int(re.search(r'^VmRSS:\s+(\d+)', status.read(), re.M)[1])


def measure_fleet(nats, client, n, n_messages):
    """What each who serves costs, and each message that all of them get."""
    pid = nats.process.pid
    before = get_memory(pid)
    fleet = start(client, 'fleet', nats.url, 'fleet', str(n), str(n_messages))
    memory = (get_memory(pid) - before) / n
    begin = ticks(pid)
    assert fleet.communicate('\n')[0] == 'done\n'
    cpu = (ticks(pid) - begin) / n / n_messages
    print(f'fleet of {n}: {memory:.0f} kB of NATS for each who serves, beside {before / 1000:.0f} MB; {cpu * 1e6:.1f} us of NATS '
          'for each who gets a message')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('afrpc')
    parser.add_argument('client')
    parser.add_argument('worker')
    parser.add_argument('--short', action='store_true')
    args = parser.parse_args()
    n = 4000 if args.short else 40000

    with NatsServer() as nats:
        measure_fleet(nats, args.client, *((50, 200) if args.short else (200, 500)))
    with NatsServer() as nats:
        plain = [start(args.client, 'plain-serve', nats.url, 'plain') for _ in range(2)]
        ours = serve(args.afrpc, nats, 'afrpc', 2, args.worker, 'echo')
        try:
            # Until all workers are there, whose time counts
            subprocess.run([args.client, 'afrpc', nats.url, 'afrpc', '64', '1000'], check=True, capture_output=True)
            for depth, calls in ((1, n // 4), (64, n)):
                measure(nats, args.client, plain, 'plain', 'plain', depth, calls)
                measure(nats, args.client, [ours], 'afrpc', 'afrpc', depth, calls)
            for idempotent in ('not', 'idempotent'):
                seconds, outcome = measure_death(nats, args, idempotent)
                print(f'kill -9 of who serves: {outcome} after {seconds:.3f} s ({idempotent})')
        finally:
            end(*plain, ours)
    return 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
