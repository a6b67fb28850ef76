#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls over NATS beside requests and replies of NATS itself, and beside Gearman and Celery with Redis where these are installed:
one broker, and two workers, of each.

usage: bench-nats.py AFRPC BENCH-NATS WORKER [BENCH-GEARMAN] [--short]

AFRPC is the command, WORKER the module with the function echo. What is printed: calls a second at depth 1 and 64, the processor
time of the program that calls, of those who serve, and of the broker, for each call; of a call whose worker, or server, is killed,
after how long it has failed, and, if it may be repeated, after how long another one has done it; and what each who serves costs
the NATS server.
"""
import argparse
import functools
import os
import pathlib
import re
import shutil
import signal
import socket
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


def measure(kind, broker, servers, depth, n, *command, **more):
    pids = [broker.pid, *(pid for server in servers for pid in descendants(server.pid))]
    before = {pid: ticks(pid) for pid in pids}
    out = subprocess.run([*command, str(depth), str(n)], check=True, capture_output=True, text=True, **more).stdout
    wall, cpu = map(float, out.split())
    spent = {pid: ticks(pid) - before[pid] for pid in pids}
    served = sum(spent[pid] for pid in pids[1:])
    print(f'{kind:7} depth {depth:3}: {n / wall:8.0f} calls/s; CPU of a call: {cpu / n * 1e6:6.1f} us calling, '
          f'{served / n * 1e6:6.1f} us serving, {spent[broker.pid] / n * 1e6:6.1f} us broker', flush=True)


def serve(afrpc, nats, subject, jobs, module, function):
    return subprocess.Popen([afrpc, 'serve', '--nats', nats.url, '--subject', subject, '-j', str(jobs), module, function],
                            stderr=subprocess.DEVNULL)


def start(*words, **more):
    """A process that says when it has come so far."""
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)
    process.said = process.stdout.readline().split()
    assert process.said and process.said[0] in ('ready', 'begun'), words
    return process


def end(*processes):
    for process in processes:
        process.kill()
        process.wait()


def finish_death(kind, what, kill, caller):
    """Of a call that has begun, and ends when it is known what has become of it."""
    begin = time.clock_gettime(time.CLOCK_MONOTONIC)
    kill()
    seconds, outcome = caller.communicate()[0].split()[-2:]
    took = 'for so long as it was waited' if outcome == 'never' else f'after {float(seconds) - begin:.3f} s'
    print(f'{kind:7} kill -9 of {what}: {outcome} {took}', flush=True)


def kill_last_child(process):
    os.kill(descendants(process.pid)[-1], signal.SIGKILL)


def measure_death(nats, args, what, idempotent):
    """Of a worker, or of who serves, which have a call."""
    subject = f'death.{what.split()[-1]}.{idempotent}'
    first = serve(args.afrpc, nats, subject, 1, args.worker, 'sleep_ms')
    caller = start(args.client, 'death', nats.url, subject, idempotent)
    second = serve(args.afrpc, nats, subject, 1, args.worker, 'sleep_ms')
    finish_death('afrpc', f'{what} ({idempotent})', first.kill if what == 'who serves' else functools.partial(kill_last_child, first),
                 caller)
    end(first, second)


# The rivals


def find_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def wait_for_port(port):
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return


def find_program(name):
    return shutil.which(name, path=os.environ['PATH'] + ':/usr/sbin')


def measure_gearman(client, n):
    gearmand = find_program('gearmand')
    if client is None or gearmand is None:
        print('gearman is left out: gearman-job-server or libgearman-dev is not installed')
        return
    port = find_port()
    broker = subprocess.Popen([gearmand, '--listen=127.0.0.1', f'--port={port}', '--log-file=stderr'], stderr=subprocess.DEVNULL)
    wait_for_port(port)
    servers = [start(client, 'serve', str(port)) for _ in range(2)]
    try:
        for depth, calls in ((1, n // 4), (64, n)):
            measure('gearman', broker, servers, depth, calls, client, 'call', str(port))
        first = servers.pop()
        end(servers.pop())
        servers += [first]
        caller = start(client, 'death', str(port))
        servers += [start(client, 'serve', str(port))]
        finish_death('gearman', 'a worker, which is who serves', first.kill, caller)
    finally:
        end(*servers, broker)


def start_celery(environment, n_workers, name):
    return start(sys.executable, '-m', 'celery', '--quiet', '-A', 'bench_celery', 'worker', '-c', str(n_workers), '-n', name,
                 '-l', 'CRITICAL', '--without-gossip', '--without-mingle', env=environment, stderr=subprocess.DEVNULL)


def end_celery(process):
    """The children of one that is killed would go on."""
    for pid in descendants(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()


def measure_celery(n):
    redis = find_program('redis-server')
    script = pathlib.Path(__file__).parent / 'bench_celery.py'
    if redis is None or subprocess.run([sys.executable, '-c', 'import celery, redis'], stderr=subprocess.DEVNULL).returncode != 0:
        print('celery is left out: python3-celery, python3-redis or redis-server is not installed')
        return
    port = find_port()
    environment = os.environ | {'BENCH_REDIS': f'redis://127.0.0.1:{port}/0', 'PYTHONPATH': str(script.parent), 'C_FORCE_ROOT': '1'}
    broker = subprocess.Popen([redis, '--bind', '127.0.0.1', '--port', str(port), '--save', '', '--appendonly', 'no'],
                              stdout=subprocess.DEVNULL)
    wait_for_port(port)
    servers = [start_celery(environment, 2, 'first@x')]
    try:
        for depth, calls in ((1, n // 40), (64, n // 20)):
            measure('celery', broker, servers, depth, calls, sys.executable, script, 'call', env=environment)
        for what in 'a worker', 'who serves':
            for task in 'early', 'late':
                while servers:
                    end_celery(servers.pop())
                servers = [start_celery(environment, 1, f'{i}@{what[0]}{task}') for i in range(2)]
                caller = start(sys.executable, script, 'death', task, env=environment)
                pid = int(caller.said[1])
                mine = next(server for server in servers if pid in descendants(server.pid))
                kill = functools.partial(os.kill, pid, signal.SIGKILL)
                if what == 'who serves':
                    servers.remove(mine)
                    kill = functools.partial(end_celery, mine)
                finish_death('celery', f'{what} (acks {task})', kill, caller)
    finally:
        for server in servers:
            end_celery(server)
        end(broker)


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
    parser.add_argument('gearman', nargs='?')
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
                measure('plain', nats.process, plain, depth, calls, args.client, 'plain', nats.url, 'plain')
                measure('afrpc', nats.process, [ours], depth, calls, args.client, 'afrpc', nats.url, 'afrpc')
            for what in 'a worker', 'who serves':
                for idempotent in 'not', 'idempotent':
                    measure_death(nats, args, what, idempotent)
        finally:
            end(*plain, ours)
    measure_gearman(args.gearman, n)
    measure_celery(n)
    return 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
