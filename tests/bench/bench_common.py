# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks in Python share."""
import os
import re
import resource
import statistics
import sys
import time

WINDOW = 1000
SKIPPED = 77  # the exit status of who cannot run here


def fail(message):
    sys.exit(f'{os.path.splitext(os.path.basename(sys.argv[0]))[0]}: {message}')


def text(number):
    return f'{number:016d}'


def check(got, number):
    if got != text(number):
        fail(f'text {number} is wrong: {got!r}')


def make_values():
    """What W7 sends, by its names."""
    return {
        'ints': [i * 7919 % 2**40 for i in range(10**6)],
        'strings': [f'the string number {i}' for i in range(10**5)],
        'dict': {f'the key number {i}': i for i in range(10**5)},
        'rows': [(i, f'the row number {i}', i / 3) for i in range(10**5)],
    }


def make_numbers():
    """What W8 sends: 100 MB."""
    import numpy
    return numpy.arange(12500000, dtype=numpy.float64)


def time_echoes(echo, n):
    """Milliseconds that echo () takes, which returns what says whether the answer was right."""
    times = []
    for _ in range(n):
        start = time.monotonic()
        answer = echo()
        times.append(time.monotonic() - start)
        if not answer():
            fail('an answer is wrong')
    return {'value': statistics.median(times) * 1e3, 'unit': 'ms', 'seconds': sum(times)}


def peaks():
    """The memory of this process, and of the largest that has ended, at most."""
    return {f'peak_{name}': resource.getrusage(who).ru_maxrss / 1024
            for name, who in (('parent', resource.RUSAGE_SELF), ('child', resource.RUSAGE_CHILDREN))}


def private_kb(pid):
    with open(f'/proc/{pid}/smaps_rollup') as file:
        lines = re.findall(r'^Private_(?:Clean|Dirty): +(\d+)', file.read(), re.M)
    return sum(int(kb) for kb in lines)


def cpu_seconds(pid):
    # The clock of a whole process, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime(~pid << 3 | 2)


def rate_spawns(spawn, n):
    """How many processes start, serve and end in a second."""
    start = time.monotonic()
    for _ in range(n):
        spawn()
    seconds = time.monotonic() - start
    return {'value': n / seconds, 'unit': '/s', 'seconds': seconds}


def time_calls(run, workload, n, child_pid):
    """What n calls or events take: of time, and of the processors' time in both processes."""
    pids = os.getpid(), child_pid
    cpu = [cpu_seconds(pid) for pid in pids]
    start = time.monotonic()
    run(n)
    seconds = time.monotonic() - start
    cpu = [cpu_seconds(pid) - before for pid, before in zip(pids, cpu)]
    return {'value': seconds * 1e6 / n if workload == 'W1' else n / seconds,
            'unit': 'us' if workload == 'W1' else '/s', 'seconds': seconds,
            'cpu_parent': cpu[0] * 1e6 / n, 'cpu_child': cpu[1] * 1e6 / n}
