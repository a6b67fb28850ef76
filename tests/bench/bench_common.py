# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks in Python share."""
import os
import re
import sys
import time

WINDOW = 1000


def fail(message):
    sys.exit(f'{os.path.splitext(os.path.basename(sys.argv[0]))[0]}: {message}')


def text(number):
    return f'{number:016d}'


def check(got, number):
    if got != text(number):
        fail(f'text {number} is wrong: {got!r}')


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
