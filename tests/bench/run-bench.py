#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares afrpc with the floor (two plain C programs and a socket pair) and with other ways to
call a child process. Every peer runs once a round, so that a slow minute of the machine hits all of
them; the median of the rounds is shown. Fails if a peer fails or a reply is wrong, never because of
a figure."""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys

SKIPPED = 77  # the exit status of a peer that is not installed

WORKLOADS = {
    'W1': 'one call at a time, 16 bytes each way, both processes on one CPU',
    'W2': 'pipelined calls, up to 1000 in flight',
    'W3': 'events from worker to parent',
    'W4-64K': 'echo of 64 KiB, both ways counted, one call at a time',
    'W4-1M': 'the same of 1 MiB',
    'W4-64M': 'the same of 64 MiB',
    'W5': 'start a worker, one call, orderly end; the parent has 16 MiB of heap; "four": at a time',
    'W5-512': 'the same from a parent with 512 MiB of heap',
    'W5-2048': 'the same from a parent with 2 GiB of heap',
    'W6': 'private memory of an idle worker after 1000 calls',
    'W7-ints': 'a list of 10^6 ints there and back, both processes in Python',
    'W7-strings': 'the same of a list of 10^5 strings',
    'W7-dict': 'the same of a dict of 10^5 strings and ints',
    'W7-rows': 'the same of 10^5 rows of int, str and float',
    'W8': '100 MB of float64 in NumPy to a process that doubles them, and back',
    'hold': 'worst delay of a main loop in a flood: timer at default priority, at the priority of '
            'drawing, one iteration',
}

# (program, variant, workload, n): n for about a third of a second of work
RUNS = [
    ('bench-floor', '', 'W1', 40000),
    ('bench-glib', '', 'W1', 30000),
    ('bench-afrpc', 'sync', 'W1', 20000),
    ('bench-afrpc', 'async', 'W1', 20000),
    ('bench-afrpc', 'sync-direct', 'W1', 20000),
    ('bench-afrpc', 'async-direct', 'W1', 20000),
    ('bench-afrpc', 'perl-sync', 'W1', 20000),
    ('bench-afrpc', 'perl-async', 'W1', 20000),
    ('bench-afrpc', 'perl-async-loop', 'W1', 20000),
    ('bench-afrpc', 'gjs-sync', 'W1', 15000),
    ('bench-afrpc', 'gjs-async', 'W1', 15000),
    ('bench-gjs.js', '', 'W1', 8000),
    ('bench-gdbus', 'loop', 'W1', 3000),
    ('bench-gdbus', 'direct', 'W1', 3000),
    ('bench-python.py', 'pipe', 'W1', 15000),
    ('bench-python.py', 'executor', 'W1', 3000),
    ('bench-afrpc-python.py', 'sync', 'W1', 20000),
    ('bench-afrpc-python.py', 'async', 'W1', 10000),
    ('bench-afrpc-python.py', 'sync-await', 'W1', 15000),
    ('bench-afrpc-python.py', 'sync-direct', 'W1', 20000),
    ('bench-anyevent.pl', 'sync', 'W1', 15000),
    ('bench-anyevent.pl', 'async', 'W1', 15000),

    ('bench-floor', '', 'W2', 6000000),
    ('bench-glib', '', 'W2', 1000000),
    ('bench-afrpc', 'sync', 'W2', 400000),
    ('bench-afrpc', 'async', 'W2', 400000),
    ('bench-afrpc', 'perl-sync', 'W2', 200000),
    ('bench-afrpc', 'perl-async', 'W2', 200000),
    ('bench-afrpc', 'perl-async-loop', 'W2', 200000),
    ('bench-afrpc', 'gjs-sync', 'W2', 60000),
    ('bench-afrpc', 'gjs-async', 'W2', 60000),
    ('bench-gjs.js', '', 'W2', 30000),
    ('bench-gdbus', 'loop', 'W2', 8000),
    ('bench-python.py', 'pipe', 'W2', 30000),
    ('bench-python.py', 'executor', 'W2', 4000),
    ('bench-afrpc-python.py', 'sync', 'W2', 80000),
    ('bench-afrpc-python.py', 'async', 'W2', 40000),
    ('bench-afrpc-python.py', 'sync-await', 'W2', 60000),
    ('bench-anyevent.pl', 'sync', 'W2', 80000),
    ('bench-anyevent.pl', 'async', 'W2', 80000),

    ('bench-floor', '', 'W3', 30000000),
    ('bench-glib', '', 'W3', 2000000),
    ('bench-afrpc', 'sync', 'W3', 1500000),
    ('bench-afrpc', 'async', 'W3', 1500000),
    ('bench-afrpc', 'perl-sync', 'W3', 300000),
    ('bench-afrpc', 'perl-async', 'W3', 300000),
    ('bench-gdbus', 'loop', 'W3', 12000),
    ('bench-python.py', 'pipe', 'W3', 50000),
    ('bench-afrpc-python.py', 'sync', 'W3', 60000),
    ('bench-anyevent.pl', 'sync', 'W3', 120000),
    ('bench-anyevent.pl', 'async', 'W3', 120000),

    ('bench-floor', '', 'W4-64K', 3000),
    ('bench-afrpc', 'sync', 'W4-64K', 3000),
    ('bench-afrpc', 'async', 'W4-64K', 3000),
    ('bench-afrpc', 'buffer', 'W4-64K', 10000),
    ('bench-sdbus', '', 'W4-64K', 3000),
    ('bench-zmq', 'copy', 'W4-64K', 3000),
    ('bench-zmq', 'reference', 'W4-64K', 3000),

    ('bench-floor', '', 'W4-1M', 400),
    ('bench-afrpc', 'sync', 'W4-1M', 400),
    ('bench-afrpc', 'async', 'W4-1M', 400),
    ('bench-afrpc', 'buffer', 'W4-1M', 8000),
    ('bench-sdbus', '', 'W4-1M', 400),
    ('bench-zmq', 'copy', 'W4-1M', 400),
    ('bench-zmq', 'reference', 'W4-1M', 400),

    ('bench-floor', '', 'W4-64M', 8),
    ('bench-afrpc', 'sync', 'W4-64M', 8),
    ('bench-afrpc', 'async', 'W4-64M', 8),
    ('bench-afrpc', 'buffer', 'W4-64M', 400),
    ('bench-sdbus', '', 'W4-64M', 8),
    ('bench-zmq', 'copy', 'W4-64M', 8),
    ('bench-zmq', 'reference', 'W4-64M', 8),

    ('bench-spawn', 'fork', 'W5', 500),
    ('bench-spawn', 'fork-server', 'W5', 500),
    ('bench-spawn', 'posix-spawn', 'W5', 400),
    ('bench-spawn', 'gsubprocess', 'W5', 200),
    ('bench-afrpc', 'sync', 'W5', 100),
    ('bench-afrpc', 'async', 'W5', 100),
    ('bench-afrpc', 'sync-fork', 'W5', 600),
    ('bench-afrpc', 'async-fork', 'W5', 600),
    ('bench-spawn', 'four-fork', 'W5', 500),
    ('bench-spawn', 'four-fork-server', 'W5', 500),
    ('bench-spawn', 'four-posix-spawn', 'W5', 400),
    ('bench-afrpc', 'four-sync', 'W5', 100),
    ('bench-afrpc', 'four-sync-fork', 'W5', 600),
    ('bench-afrpc', 'perl-sync', 'W5', 60),
    ('bench-afrpc', 'perl-async-loop', 'W5', 20),
    ('bench-afrpc', 'perl-sync-fork', 'W5', 400),
    ('bench-afrpc', 'perl-async-fork', 'W5', 400),
    ('bench-afrpc', 'gjs-sync', 'W5', 20),
    ('bench-afrpc', 'gjs-async', 'W5', 20),
    ('bench-gjs.js', '', 'W5', 20),
    ('bench-gdbus', '', 'W5', 40),
    ('bench-python.py', 'pipe', 'W5', 80),
    ('bench-python.py', 'forkserver', 'W5', 40),
    ('bench-python.py', 'executor', 'W5', 60),
    ('bench-afrpc-python.py', 'sync', 'W5', 20),
    ('bench-afrpc-python.py', 'sync-fork', 'W5', 200),
    ('bench-afrpc-python.py', 'async-fork', 'W5', 150),
    ('bench-anyevent.pl', 'sync', 'W5', 40),
    ('bench-anyevent.pl', 'async', 'W5', 20),

    ('bench-spawn', 'fork', 'W5-512', 20),
    ('bench-spawn', 'posix-spawn', 'W5-512', 300),
    ('bench-spawn', 'gsubprocess', 'W5-512', 20),
    ('bench-afrpc', 'sync', 'W5-512', 100),
    ('bench-afrpc', 'sync-fork', 'W5-512', 600),
    ('bench-afrpc', 'four-sync-fork', 'W5-512', 600),

    ('bench-spawn', 'fork', 'W5-2048', 6),
    ('bench-spawn', 'posix-spawn', 'W5-2048', 300),
    ('bench-spawn', 'gsubprocess', 'W5-2048', 6),
    ('bench-afrpc', 'sync', 'W5-2048', 100),
    ('bench-afrpc', 'sync-fork', 'W5-2048', 600),
    ('bench-afrpc', 'four-sync-fork', 'W5-2048', 600),

    ('bench-spawn', 'posix-spawn', 'W6', 1000),
    ('bench-spawn', 'gsubprocess', 'W6', 1000),
    ('bench-afrpc', 'sync', 'W6', 1000),
    ('bench-afrpc', 'async', 'W6', 1000),
    ('bench-afrpc', 'sync-fork', 'W6', 1000),
    ('bench-afrpc', 'async-fork', 'W6', 1000),
    ('bench-afrpc', 'perl-sync', 'W6', 1000),
    ('bench-afrpc', 'perl-async', 'W6', 1000),
    ('bench-afrpc', 'perl-async-loop', 'W6', 1000),
    ('bench-afrpc', 'perl-sync-fork', 'W6', 1000),
    ('bench-afrpc', 'perl-async-fork', 'W6', 1000),
    ('bench-afrpc', 'gjs-sync', 'W6', 1000),
    ('bench-afrpc', 'gjs-async', 'W6', 1000),
    ('bench-gjs.js', '', 'W6', 1000),
    ('bench-gdbus', '', 'W6', 1000),
    ('bench-python.py', 'pipe', 'W6', 1000),
    ('bench-python.py', 'forkserver', 'W6', 1000),
    ('bench-python.py', 'executor', 'W6', 1000),
    ('bench-afrpc-python.py', 'sync', 'W6', 1000),
    ('bench-afrpc-python.py', 'async', 'W6', 1000),
    ('bench-afrpc-python.py', 'sync-fork', 'W6', 1000),
    ('bench-afrpc-python.py', 'async-fork', 'W6', 1000),
    ('bench-anyevent.pl', 'sync', 'W6', 1000),
    ('bench-anyevent.pl', 'async', 'W6', 1000),

    *((program, variant, f'W7-{values}', 3) for values in ('ints', 'strings', 'dict', 'rows')
      for program, variant in (('bench-python.py', 'pipe'), ('bench-afrpc-python.py', 'sync'))),

    ('bench-python.py', 'shared', 'W8', 3),
    ('bench-python.py', 'pipe', 'W8', 3),
    ('bench-afrpc-python.py', 'sync-buffer', 'W8', 3),
    ('bench-afrpc-python.py', 'sync', 'W8', 3),

    ('bench-frame-hold', 'idle', 'hold', 1),
    ('bench-frame-hold', 'calls', 'hold', 100000),
    ('bench-frame-hold', 'events', 'hold', 300000),
]

FLOORS = {
    'W1': ('raw-poll', ''), 'W2': ('raw-poll', ''), 'W3': ('raw-poll', ''),
    'W4-64K': ('raw-poll', ''), 'W4-1M': ('raw-poll', ''), 'W4-64M': ('raw-poll', ''),
    'W5': ('spawn', 'posix-spawn'), 'W5-512': ('spawn', 'posix-spawn'),
    'W5-2048': ('spawn', 'posix-spawn'),
    'W6': ('spawn', 'posix-spawn'),
    'W7-ints': ('python', 'pipe'), 'W7-strings': ('python', 'pipe'), 'W7-dict': ('python', 'pipe'),
    'W7-rows': ('python', 'pipe'), 'W8': ('python', 'shared'),
}
OURS = ('afrpc', 'sync')


class PeerFailed(Exception):
    pass


def command(options, program, variant, workload, n):
    scripts = os.path.dirname(os.path.abspath(__file__))
    directory = scripts if '.' in program else options.bin_dir
    argv = [os.path.join(directory, program), '--workload',
            workload if workload.startswith('W7') else workload.partition('-')[0],
            '--n', str(max(1, round(n * options.scale)))]
    if variant:
        argv += ['--variant', variant]
    if workload.startswith('W4'):
        number, unit = re.match(r'W4-(\d+)([KM])', workload).groups()
        argv += ['--size', str(int(number) << {'K': 10, 'M': 20}[unit])]
    if workload.startswith('W5') and program in ('bench-spawn', 'bench-afrpc', 'bench-gdbus'):
        argv += ['--heap-mib', workload.partition('-')[2] or '16']
    return argv


def has_memory_for(workload):
    """Half of what is free may be filled with a parent's heap."""
    heap_mib = int(workload.partition('-')[2] or '16') if workload.startswith('W5') else 512
    with open('/proc/meminfo') as file:
        available_kb = int(re.search(r'^MemAvailable: +(\d+)', file.read(), re.M)[1])
    return heap_mib * 2048 <= available_kb


def run_peer(argv, timeout):
    """The results that one program printed; None if it cannot run here."""
    if not os.path.exists(argv[1 if argv[0] == sys.executable else 0]):
        return None
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise PeerFailed(f'{" ".join(argv)}: no result after {timeout} s') from None
    if done.returncode == SKIPPED:
        return None
    if done.returncode != 0:
        raise PeerFailed(f'{" ".join(argv)}: exit status {done.returncode}')
    results = [json.loads(line) for line in done.stdout.splitlines()]
    if not results:
        raise PeerFailed(f'{" ".join(argv)}: no result')
    return results


def run_rounds(options, workload, failures):
    """{(peer, variant): [result of each round]}, in the order of RUNS."""
    samples = {}
    left_out = set()
    for _ in range(options.rounds):
        for program, variant, its_workload, n in RUNS:
            if its_workload != workload or (program, variant) in left_out:
                continue
            if options.peer and not any(peer in program for peer in options.peer):
                continue
            try:
                results = run_peer(command(options, program, variant, workload, n), options.timeout)
            except PeerFailed as failure:
                print(failure, file=sys.stderr)
                failures.append(str(failure))
                results = None
            if results is None:
                left_out.add((program, variant))
            for result in results or ():
                samples.setdefault((result['peer'], result['variant']), []).append(result)
    return samples


def median(results, key):
    values = [result[key] for result in results if key in result]
    return statistics.median(values) if values else None


def summarise(workload, samples):
    rows = []
    for (peer, variant), results in samples.items():
        values = [result['value'] for result in results]
        row = {'workload': workload, 'peer': peer, 'variant': variant, 'unit': results[0]['unit'],
               'n': results[0]['n'], 'value': statistics.median(values), 'values': values,
               'cpu_parent': median(results, 'cpu_parent'),
               'cpu_child': median(results, 'cpu_child'),
               'peak_parent': median(results, 'peak_parent'),
               'peak_child': median(results, 'peak_child')}
        rows.append(row)
    add_ratios(rows, FLOORS.get(workload), 'over_floor')
    add_ratios(rows, OURS if workload in FLOORS else None, 'over_afrpc')
    return rows


def add_ratios(rows, reference, key):
    """How many times dearer than @reference each row is: more time, more memory, a lower rate."""
    base = [row['value'] for row in rows if (row['peer'], row['variant']) == reference]
    for row in rows:
        row[key] = None
        if base and base[0] > 0 and row['value'] > 0:
            ratio = row['value'] / base[0]
            row[key] = 1 / ratio if row['unit'].endswith('/s') else ratio


def human(value):
    if value >= 1e6:
        return f'{value / 1e6:.2f}M'
    if value >= 1e4:
        return f'{value / 1e3:.1f}k'
    return f'{value:.3g}' if value < 1000 else f'{value:.0f}'


def optional(value, form):
    return '' if value is None else format(value, form)


def print_table(workload, rows):
    bulk = workload.startswith('W4')
    with_cpu = bulk or workload in ('W2', 'W3')
    with_peak = bulk or workload.startswith(('W7', 'W8'))
    print(f'\n{workload}: {WORKLOADS[workload]}')
    head = f'  {"peer":<22}{"median":>9} {"unit":<4}{"x floor":>9}{"x afrpc":>9}'
    if with_cpu:
        head += f'{"CPU s/GB" if bulk else "CPU s/1M":>10}{"parent":>8}{"child":>8}'
    if with_peak:
        head += f'{"peak MiB parent, child":>24}'
    print(head + '   rounds')
    for row in rows:
        name = row['peer'] + ' ' + row['variant']
        line = (f'  {name:<22}{human(row["value"]):>9} {row["unit"]:<4}'
                f'{optional(row["over_floor"], ".2f"):>9}{optional(row["over_afrpc"], ".2f"):>9}')
        if with_cpu:
            line += (f'{row["cpu_parent"] + row["cpu_child"]:>10.3f}{row["cpu_parent"]:>8.3f}'
                     f'{row["cpu_child"]:>8.3f}')
        if with_peak:
            line += f'{row["peak_parent"]:>17.0f}{row["peak_child"]:>7.0f}'
        print(line + '   ' + ' '.join(human(value) for value in row['values']))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('workloads', nargs='*', metavar='WORKLOAD', help=', '.join(WORKLOADS))
    parser.add_argument('--bin-dir', default='.', help='where the programs were built')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--scale', type=float, default=1, help='factor for the work of a round')
    parser.add_argument('--peer', action='append', help='only programs with this in their name')
    parser.add_argument('--timeout', type=float, default=60, help='seconds for one program')
    parser.add_argument('--json', metavar='FILE', help='write all results there')
    options = parser.parse_args()
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error('no such workload: ' + ', '.join(sorted(unknown)))

    rows, failures = [], []
    for workload in options.workloads or WORKLOADS:
        if not has_memory_for(workload):
            print(f'\n{workload}: left out, there is not enough memory')
            continue
        of_workload = summarise(workload, run_rounds(options, workload, failures))
        print_table(workload, of_workload)
        rows += of_workload
    if options.json:
        with open(options.json, 'w') as file:
            json.dump({'cpus': os.cpu_count(), 'kernel': os.uname().release,
                       'rounds': options.rounds, 'results': rows, 'failures': failures}, file,
                      indent=2)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
