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
import resource
import statistics
import subprocess
import sys
import time

import bench_chart
from bench_runs import FLOORS, OURS, RUNS, SHORT_SCALE, SHORT_WITHOUT, SHORT_WORKLOADS, WORKLOADS

SKIPPED = 77  # the exit status of a peer that is not installed

class PeerFailed(Exception):
    pass


def command(options, program, variant, workload, n):
    scripts = os.path.dirname(os.path.abspath(__file__))
    directory = scripts if '.' in program else options.bin_dir
    interpreter = [sys.executable] if program.endswith('.py') else []  # that which runs this, whatever PATH says
    argv = [*interpreter, os.path.join(directory, program), '--workload',
            workload if workload.startswith('W7') else workload.partition('-')[0],
            '--n', str(max(1, round(n * options.scale)))]
    if variant:
        argv += ['--variant', variant]
    if workload.startswith('W4'):
        number, unit = re.match(r'W4-(\d+)([KM])', workload).groups()
        argv += ['--size', str(int(number) << {'K': 10, 'M': 20}[unit])]
    if workload.startswith('W9'):
        argv += ['--size', workload.partition('-')[2]]
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
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
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
    if results[0]['workload'] == 'W5':
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        results[0]['cpu_all'] = seconds * 1e6 / results[0]['n']
    return results


def tell_left_out(program, variant, told):
    if (program, variant) not in told:
        print(f'{" ".join(filter(None, (program, variant)))}: left out, because it was not built or lacks what it needs',
              file=sys.stderr)
    told.add((program, variant))


def run_rounds(options, workload, failures, told):
    """{(peer, variant): [result of each round]}, in the order of RUNS. @told: peers that were said to be left out"""
    samples = {}
    left_out = set()
    for _ in range(options.rounds):
        for program, variant, its_workload, n in RUNS:
            if its_workload != workload or (program, variant) in left_out:
                continue
            if options.peer and not any(peer in program for peer in options.peer):
                continue
            if options.short and SHORT_WITHOUT.search(f'{program} {variant}'):
                continue
            try:
                results = run_peer(command(options, program, variant, workload, n), options.timeout)
            except PeerFailed as failure:
                print(failure, file=sys.stderr)
                failures.append(str(failure))
                left_out.add((program, variant))
                continue
            if results is None:
                left_out.add((program, variant))
                tell_left_out(program, variant, told)
            for result in results or ():
                samples.setdefault((result['peer'], result['variant']), []).append(result)
    return samples


def median(results, key):
    values = [result[key] for result in results if key in result]
    return statistics.median(values) if values else None


def add_ratios(samples, reference, key, measure):
    """How many times dearer than @reference each result is, in its round: what disturbs one, disturbs both."""
    base = samples.get(reference, [])
    for results in samples.values():
        for result, other in zip(results, base):
            if measure(result) and measure(other):
                result[key] = measure(result) / measure(other)


def price(result):
    """What less of is better."""
    return 1 / result['value'] if result['value'] > 0 and result['unit'].endswith('/s') else result['value']


def cpu(result):
    """CPU time of all processes; None if it was not measured."""
    return result['cpu_parent'] + result['cpu_child'] if 'cpu_parent' in result else result.get('cpu_all')


def summarise(workload, samples):
    rows = []
    add_ratios(samples, FLOORS.get(workload), 'over_floor', price)
    add_ratios(samples, FLOORS.get(workload), 'cpu_over_floor', cpu)
    add_ratios(samples, OURS if workload in FLOORS else None, 'over_afrpc', price)
    for (peer, variant), results in samples.items():
        values = [result['value'] for result in results]
        row = {'workload': workload, 'peer': peer, 'variant': variant, 'unit': results[0]['unit'],
               'n': results[0]['n'], 'value': statistics.median(values), 'values': values,
               'cpu_parent': median(results, 'cpu_parent'),
               'cpu_child': median(results, 'cpu_child'),
               'cpu_all': median(results, 'cpu_all'),
               'peak_parent': median(results, 'peak_parent'),
               'peak_child': median(results, 'peak_child'),
               'over_floor': median(results, 'over_floor'),
               'floor_ratios': [result['over_floor'] for result in results if 'over_floor' in result],
               'cpu_over_floor': median(results, 'cpu_over_floor'),
               'cpu_ratios': [result['cpu_over_floor'] for result in results if 'cpu_over_floor' in result],
               'over_afrpc': median(results, 'over_afrpc')}
        rows.append(row)
    return rows


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
    with_cpu = bulk or workload in ('W1', 'W2', 'W3')
    with_peak = bulk or workload.startswith(('W7', 'W8'))
    print(f'\n{workload}: {WORKLOADS[workload]}')
    head = f'  {"peer":<22}{"median":>9} {"unit":<4}{"x floor":>9}{"x afrpc":>9}'
    if with_cpu:
        head += f'{"CPU s/GB" if bulk else "CPU s/1M":>10}{"parent":>8}{"child":>8}{"x floor":>9}'
    if workload == 'W5':
        head += f'{"CPU us":>10}{"x floor":>9}'
    if with_peak:
        head += f'{"peak MiB parent, child":>24}'
    print(head + '   rounds')
    for row in rows:
        name = row['peer'] + ' ' + row['variant']
        line = (f'  {name:<22}{human(row["value"]):>9} {row["unit"]:<4}'
                f'{optional(row["over_floor"], ".2f"):>9}{optional(row["over_afrpc"], ".2f"):>9}')
        if with_cpu:
            line += (f'{row["cpu_parent"] + row["cpu_child"]:>10.3f}{row["cpu_parent"]:>8.3f}'
                     f'{row["cpu_child"]:>8.3f}{optional(row["cpu_over_floor"], ".2f"):>9}')
        if workload == 'W5':
            line += f'{row["cpu_all"]:>10.0f}{optional(row["cpu_over_floor"], ".2f"):>9}'
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
    parser.add_argument('--short', action='store_true', help='less work, fewer workloads and peers: 90 s')
    parser.add_argument('--json', metavar='FILE', help='write all results there')
    parser.add_argument('--svg', metavar='FILE', help='draw a chart there')
    parser.add_argument('--from-json', metavar='FILE', help='run nothing: draw what was written by --json')
    options = parser.parse_args()
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error('no such workload: ' + ', '.join(sorted(unknown)))

    if options.from_json:
        with open(options.from_json) as file:
            bench_chart.draw(json.load(file), options.svg)
        return 0
    if options.short:
        options.scale *= SHORT_SCALE

    os.environ.setdefault('AFRPC_HOST_PATH', os.path.join(os.path.abspath(options.bin_dir), '../../afrpc/hosts'))

    rows, failures, told = [], [], set()
    start, load = time.monotonic(), os.getloadavg()[0]
    for workload in options.workloads or (SHORT_WORKLOADS if options.short else WORKLOADS):
        if not has_memory_for(workload):
            print(f'\n{workload}: left out, there is not enough memory')
            continue
        of_workload = summarise(workload, run_rounds(options, workload, failures, told))
        print_table(workload, of_workload)
        rows += of_workload
    results = {'cpus': os.cpu_count(), 'kernel': os.uname().release, 'rounds': options.rounds,
               'load': max(load, os.getloadavg()[0]), 'seconds': round(time.monotonic() - start),
               'results': rows, 'failures': failures}
    print(f'\n{results["seconds"]} s, {results["cpus"]} CPUs, load {results["load"]:.1f}')
    if results['load'] > results['cpus']:
        print('Others used this machine: only ratios within a round mean something.')
    if options.json:
        with open(options.json, 'w') as file:
            json.dump(results, file, indent=2)
    if options.svg:
        bench_chart.draw(results, options.svg)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
