#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program of the page "Coming from concurrent.futures, multiprocessing and joblib"."""
import asyncio
import concurrent.futures
import os

import afrpc
from afrpc import Executor
from afrpc.executor import BrokenPool, WorkerLost

greeting = None


def square(x):
    return x * x


def power(x, y):
    return x ** y


def prepare(word):
    global greeting
    greeting = word


def greet(name):
    return f"{greeting}, {name}!"


def divide(a, b):
    return a // b


def search(text, word):
    place = text.find(word)
    while place >= 0:
        afrpc.event(("found", place))
        place = text.find(word, place + 1)


def calls():
    with Executor() as executor:
        future = executor.submit(square, 7)
        print(future.result())
        print(sum(executor.map(square, range(10000))))


def initializers():
    with Executor(max_workers=2, initializer=prepare, initargs=("Hello",), max_tasks_per_child=100) as executor:
        print(list(executor.map(greet, ["Anna", "Bert"])))


def like_multiprocessing():
    with Executor(max_workers=2) as executor:
        pairs = [(2, 3), (3, 2)]
        print(list(executor.map(power, *zip(*pairs))))  # starmap ()

        futures = [executor.submit(square, i) for i in range(5)]  # imap_unordered ()
        print(sorted(future.result() for future in concurrent.futures.as_completed(futures)))

        future = executor.submit(divide, 1, 0)  # apply_async (callback=…, error_callback=…)
        future.add_done_callback(lambda future: print("called back:", future.exception()))


def deaths():
    with Executor(max_workers=2) as executor:
        futures = [executor.submit(square, i) for i in range(100)]
        lost = executor.submit(os._exit, 3)
        try:
            lost.result()
        except WorkerLost as error:
            print(error)
        print(sum(future.result() for future in futures))  # of which none was lost


def failures():
    with Executor(initializer=divide, initargs=(1, 0)) as executor:
        try:
            executor.submit(square, 1).result()
        except BrokenPool as error:
            print(error)


def events():
    with Executor(max_workers=1, on_event=print) as executor:
        executor.submit(search, "a banana", "an").result()


async def with_asyncio():
    loop = asyncio.get_running_loop()
    with Executor() as executor:
        print(await asyncio.gather(*(loop.run_in_executor(executor, square, i) for i in range(5))))


def with_joblib():
    import joblib
    import afrpc.joblib

    with joblib.parallel_backend("afrpc", n_jobs=2):
        print(joblib.Parallel()(joblib.delayed(square)(i) for i in range(5)))


if __name__ == "__main__":
    calls()
    initializers()
    like_multiprocessing()
    deaths()
    failures()
    events()
    asyncio.run(with_asyncio())
    try:
        with_joblib()
    except ModuleNotFoundError:
        print("there is no joblib")
