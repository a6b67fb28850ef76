#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls over NATS beside requests and replies of NATS itself: one NATS server, and two workers, of each.

usage: bench-nats.py AFRPC BENCH-NATS WORKER [--short]

AFRPC is the command, WORKER the module with the function echo. What is printed: calls a second at depth 1 and 64, the processor
time of the program that calls, of those who serve, and of the NATS server, for each call; and of a call whose server is killed,
after how long it has failed, and, if it may be repeated, after how long another one has done it.
"""
import argparse
import os
import signal
import shutil
import subprocess
import sys
import time

SKIPPED = 77


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


class Nats:
    def __init__(self):
        path = shutil.which('nats-server', path=os.environ['PATH'] + ':/usr/sbin')
        if path is None:
            print('nats-server is not installed')
            sys.exit(SKIPPED)
        self.process = subprocess.Popen([path, '-a', '127.0.0.1', '-p', '-1'], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if 'Listening for client connections on' in line:
                self.url = 'nats://127.0.0.1:' + line.rpartition(':')[2].strip()
            if 'Server is ready' in line:
                break


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


def measure_death(nats, args, idempotent):
    """Of one who serves and has a call: killed."""
    subject = f'death.{idempotent}'
    first = serve(args.afrpc, nats, subject, 1, args.worker, 'sleep_ms')
    time.sleep(0.5)
    caller = subprocess.Popen([args.client, 'death', nats.url, subject, idempotent], stdout=subprocess.PIPE, text=True)
    time.sleep(0.7 if idempotent == 'not' else 0.05)
    second = serve(args.afrpc, nats, subject, 1, args.worker, 'sleep_ms')
    begin = time.clock_gettime(time.CLOCK_MONOTONIC)
    first.kill()
    out = caller.communicate()[0].split()
    for process in (first, second):
        process.kill()
        process.wait()
    return float(out[0]) - begin, out[1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('afrpc')
    parser.add_argument('client')
    parser.add_argument('worker')
    parser.add_argument('--short', action='store_true')
    args = parser.parse_args()
    n = 4000 if args.short else 40000

    nats = Nats()
    plain = [subprocess.Popen([args.client, 'plain-serve', nats.url, 'plain']) for _ in range(2)]
    ours = serve(args.afrpc, nats, 'afrpc', 2, args.worker, 'echo')
    try:
        time.sleep(1)
        for depth, calls in ((1, n // 4), (64, n)):
            measure(nats, args.client, plain, 'plain', 'plain', depth, calls)
            measure(nats, args.client, [ours], 'afrpc', 'afrpc', depth, calls)
        for idempotent in ('not', 'idempotent'):
            seconds, outcome = measure_death(nats, args, idempotent)
            print(f'kill -9 of who serves: {outcome} after {seconds:.3f} s ({idempotent})')
    finally:
        for process in [*plain, ours, nats.process]:
            process.kill()
            process.wait()
    return 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
