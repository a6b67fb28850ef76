#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""afrpc.Executor beside other executors: concurrent.futures' with each way that multiprocessing starts processes, and
that of loky, if that is installed by itself or as a part of joblib.

usage: bench-executor.py [--short] [--rounds N] [NAME...]
"""
import argparse
import concurrent.futures
import functools
import multiprocessing
import os
import statistics
import sys
import time

N_WORKERS = 2


def echo(value):
    return value


def make_afrpc():
    import afrpc

    return afrpc.Executor(N_WORKERS)


def make_process_pool(method):
    return concurrent.futures.ProcessPoolExecutor(N_WORKERS, multiprocessing.get_context(method))


def make_loky():
    try:
        from loky import ProcessPoolExecutor
    except ImportError:
        from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(N_WORKERS)


EXECUTORS = {"afrpc": make_afrpc, "loky": make_loky,
             **{method: functools.partial(make_process_pool, method) for method in ("fork", "forkserver", "spawn")}}


def time_start(make):
    """Milliseconds that it takes to start an executor, run a task, and shut it down."""
    begun = time.perf_counter()
    with make() as executor:
        if executor.submit(echo, 1).result() != 1:
            sys.exit("a result is wrong")
    return (time.perf_counter() - begun) * 1e3


def one_by_one(executor, n):
    for i in range(n):
        if executor.submit(echo, i).result() != i:
            sys.exit("a result is wrong")


def at_once(executor, n):
    futures = [executor.submit(echo, i) for i in range(n)]
    if [future.result() for future in futures] != list(range(n)):
        sys.exit("a result is wrong")


def with_map(executor, n, **options):
    if list(executor.map(echo, range(n), **options)) != list(range(n)):
        sys.exit("a result is wrong")


def with_data(executor, n):
    data = bytes(n)
    if len(executor.submit(echo, data).result()) != n:
        sys.exit("a result is wrong")


# name: (function, how many, of which it is the time, in which unit)
MEASURES = {
    "submit, one by one": (one_by_one, 1000, 1e6, "us"),
    "submit all, then wait": (at_once, 5000, 1e6, "us"),
    "map": (with_map, 5000, 1e6, "us"),
    "map, chunksize=100": (functools.partial(with_map, chunksize=100), 100000, 1e6, "us"),
    "32 MB there and back": (with_data, 32 << 20, 1e3, "ms"),
}


STARTS = "the first start", "another start"  # with one task, and the shutdown


def measure(make, n_rounds, divisor):
    """The median of some rounds, by what was measured."""
    times = {name: [] for name in (*STARTS, *MEASURES)}
    times["the first start"].append(time_start(make))
    for _ in range(n_rounds):
        times["another start"].append(time_start(make))
        with make() as executor:
            # All workers are there before anything is measured.
            concurrent.futures.wait([executor.submit(time.sleep, 0.05) for _ in range(2 * N_WORKERS)])
            for name, (function, n, factor, unit) in MEASURES.items():
                n = max(n // divisor, 1)
                begun = time.perf_counter()
                function(executor, n)
                elapsed = time.perf_counter() - begun
                times[name].append(elapsed * factor / (n if unit == "us" else 1))
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("names", nargs="*", default=list(EXECUTORS))
    options = parser.parse_args()

    results = {}
    for name in options.names:
        try:
            EXECUTORS[name]().shutdown()  # which has nothing to start
        except ImportError:
            print(f"{name} is not installed")
            continue
        results[name] = measure(EXECUTORS[name], 1 if options.short else options.rounds, 10 if options.short else 1)

    print(f"{'':28}" + "".join(f"{name:>12}" for name in results))
    for measured in (*STARTS, *MEASURES):
        unit = MEASURES[measured][3] if measured in MEASURES else "ms"
        print(f"{measured + ', ' + unit:28}" + "".join(f"{result[measured]:12.1f}" for result in results.values()))


if __name__ == "__main__":
    main()
