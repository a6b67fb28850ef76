#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Maps of a pool, whose calls travel together or one by one, beside concurrent.futures' with a chunksize that suits: what
a tiny call costs of the program's and the workers' processor time; and how long calls of uneven length take.

usage: bench-map.py [--short] [--calls N]
"""
import argparse
import concurrent.futures
import resource
import sys
import time

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc  # noqa: E402

N_WORKERS = 2
CHUNKSIZE = 1000
CODE = """
import builtins, time
abs, str, pow = builtins.abs, builtins.str, builtins.pow
def uneven(i):
    if i % 100 == 50:
        time.sleep(0.1)
"""


def uneven(i):
    if i % 100 == 50:
        time.sleep(0.1)


FUNCTIONS = {"abs": abs, "str": str, "pow": pow, "uneven": uneven}


def get_times():
    """Processor time of this process, and of its children that have ended."""
    return [sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


def inputs(name, n):
    return ((i, 3) for i in range(n)) if name == "pow" else range(n)


class Pool:
    def __init__(self, name, **options):
        self.name, self.options = name, options
        self.pool = Afrpc.Pool(process=Afrpc.Process.new_exec("python").eval(CODE), function=name, max_workers=N_WORKERS,
                               idle_workers=N_WORKERS)
        list(self.map(inputs(name, 10)))

    def map(self, values):
        return (self.pool.starmap if self.name == "pow" else self.pool.map)(values, **self.options)

    def close(self):
        self.pool.close_sync()


class Executor:
    def __init__(self, name, chunksize=CHUNKSIZE):
        self.name, self.chunksize = name, chunksize
        self.executor = concurrent.futures.ProcessPoolExecutor(N_WORKERS)
        list(self.map(inputs(name, 10)))

    def map(self, values):
        columns = zip(*values) if self.name == "pow" else [values]
        return self.executor.map(FUNCTIONS[self.name], *columns, chunksize=self.chunksize)

    def close(self):
        self.executor.shutdown()


def measure(make, name, n):
    """Seconds: by the clock, of this process, of the workers."""
    one = make(name)
    before = get_times()
    begun = time.perf_counter()
    if sum(1 for _ in one.map(inputs(name, n))) != n:
        sys.exit("a result is missing")
    elapsed = time.perf_counter() - begun
    program = get_times()[0] - before[0]
    one.close()
    return elapsed, program, get_times()[1] - before[1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--calls", type=int, default=1000000)
    options = parser.parse_args()
    n = options.calls // 20 if options.short else options.calls

    print(f"{n} tiny calls, us each: {'clock':>10}{'program':>10}{'workers':>10}")
    for name in "abs", "str", "pow":
        for what, make, m in (("pool.map", Pool, n), (f"ProcessPoolExecutor, {CHUNKSIZE}", Executor, n),
                              ("pool.map, one by one", lambda name: Pool(name, timeout_ms=600000), n // 10)):
            print(f"{name:4} {what:28}" + "".join(f"{value / m * 1e6:10.2f}" for value in measure(make, name, m)), flush=True)

    n = 500 if options.short else 4000
    print(f"{n} calls, of which each hundredth takes 100 ms, s:")
    for what, make in (("pool.map", Pool), ("pool.map, one by one", lambda name: Pool(name, timeout_ms=600000)),
                       ("ProcessPoolExecutor, 1", lambda name: Executor(name, 1))):
        print(f"{'':4} {what:28}{measure(make, 'uneven', n)[0]:10.2f}", flush=True)


if __name__ == "__main__":
    main()
