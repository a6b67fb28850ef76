#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""afrpc.Executor: what those of concurrent.futures do, and what becomes of it when a worker dies, wherever that happens."""
import array
import asyncio
import concurrent.futures
import dataclasses
import functools
import gc
import itertools
import logging
import math
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import unittest
import warnings
import weakref

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc

import afrpc
from afrpc import Executor
from afrpc.executor import BrokenPool, WorkerLost

PATIENCE = 60  # seconds until what should have come is said to hang

# What is called in workers


def square(x):
    return x * x


def capture(*args, **kwargs):
    return args, kwargs


def get_pid(*args):
    return os.getpid()


def touch_and_wait(path, other):
    touch(path)
    if other is not None:
        wait_for(other)


def log_things(user):
    logging.info("from a task", extra={"user": user})
    logging.warning("from a task", extra={"user": user})
    afrpc.event("an event")


def wait_for(path):
    """Until there is such a file: with an end to it, so that nothing that fails stays."""
    end = time.monotonic() + PATIENCE
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.001)
    return os.getpid()


def touch(path):
    open(path, "w").close()
    return os.getpid()


def meet(folder, own, other):
    """Two of these that wait for each other can only be done by two workers."""
    touch(os.path.join(folder, own))
    return wait_for(os.path.join(folder, other))


def lock_at_50(i):
    return threading.Lock() if i == 50 else i


def log_and_sleep(path, i, seconds=0):
    with open(path, "a") as file:
        file.write(f"{i}\n")
    if seconds > 0:
        time.sleep(seconds)
    return i, os.getpid()


def divide(a, b):
    return a // b


def crash(*args):
    os.kill(os.getpid(), signal.SIGKILL)


def wait_and_fail(path):
    wait_for(path)
    fail()


def wait_and_crash(path):
    wait_for(path)
    crash()


def leave(*args):
    sys.exit(5)


def end(*args):
    os._exit(5)


def fail(*args):
    raise ValueError("on purpose")  # the line that is looked for


class OddError(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def fail_oddly():
    raise OddError(1, 2)


class LocalError(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value


def fail_with(value):
    raise LocalError(value)


def fail_unpicklably():
    raise LocalError(lambda: 0)


class OwnCause(Exception):
    @property
    def __cause__(self):
        return None


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    value: int


class NoRepr(Exception):
    def __repr__(self):
        raise ValueError("on purpose")


def raise_it(cls, value):
    raise cls(value)


def make(cls, *args):
    return cls(*args)


class Trouble:
    """Makes some when it is pickled, or when it is unpickled somewhere else."""

    def __init__(self, when, function):
        self.when, self.function = when, function

    def __reduce__(self):
        if self.when == "pickle":
            self.function()
        return unpickle, (self.function, os.getpid())


def unpickle(function, pid):
    if pid != os.getpid():
        function()


class Thing:
    def __init__(self, value):
        self.value = value

    def add(self, n, *, times=1):
        return Thing(self.value + n * times)

    @classmethod
    def make(cls, value):
        return cls(value)

    @staticmethod
    def twice(value):
        return 2 * value


initialized = None


def initialize(*values):
    global initialized
    initialized = values


def get_initialized(*args):
    return initialized


def send_events(n):
    for i in range(n):
        afrpc.event(i)
    return n


def nested(n):
    with Executor(max_workers=1) as executor:
        return executor.submit(square, n).result()


def with_buffer(values):
    values[0] += 1
    return values


class Case(unittest.TestCase):
    def make(self, *args, **kwargs):
        executor = Executor(*args, **kwargs)
        self.addCleanup(executor.shutdown)
        return executor

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def wait_until(self, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, "it hangs")
            time.sleep(0.001)


class Calls(Case):
    def test_callables(self):
        executor = self.make(max_workers=1)
        results = [executor.submit(*call).result(PATIENCE) for call in (
            (square, 7), (math.hypot, 3, 4), (functools.partial(pow, 2), 5), ("a-b".split, "-"), (Thing.twice, 4),
            (len, "abc"))]
        self.assertEqual(results, [49, 5.0, 32, ["a", "b"], 8, 3])
        self.assertEqual(executor.submit(Thing(1).add, 2, times=3).result().value, 7)
        self.assertEqual(executor.submit(Thing.make, 3).result().value, 3)
        self.assertEqual(executor.submit(capture, 1, fn=2, self=3).result(), ((1,), {"fn": 2, "self": 3}))
        self.assertNotEqual(executor.submit(get_pid).result(), os.getpid())
        self.assertIsInstance(executor, concurrent.futures.Executor)
        with self.assertRaises(TypeError):
            executor.submit()
        with self.assertRaises(TypeError):
            executor.submit(fn=square, x=1)

    def test_at_once(self):
        executor = self.make(max_workers=2)
        futures = [executor.submit(square, i) for i in range(1000)]
        self.assertEqual([future.result() for future in futures], [i * i for i in range(1000)])
        done, not_done = concurrent.futures.wait(futures)
        self.assertEqual((len(done), len(not_done)), (1000, 0))
        self.assertEqual(len(set(concurrent.futures.as_completed(futures))), 1000)
        pids = {executor.submit(meet, self.folder, *names).result(PATIENCE) for names in (("a", "a"),)}
        futures = [executor.submit(meet, self.folder, *names) for names in (("b", "c"), ("c", "b"))]
        pids |= {future.result(PATIENCE) for future in futures}
        self.assertEqual(len(pids), 2)

    def test_exceptions(self):
        executor = self.make(max_workers=1)
        error = executor.submit(fail).exception(PATIENCE)
        self.assertIs(type(error), ValueError)
        self.assertEqual(error.args, ("on purpose",))
        self.assertIn("# the line that is looked for", error.__cause__.traceback)
        self.assertNotIn("_tasks", error.__cause__.traceback)
        error = executor.submit(fail_with, {1, 2}).exception()
        self.assertIs(type(error), LocalError)
        self.assertEqual(error.value, {1, 2})
        with self.assertRaises(SystemExit):
            executor.submit(leave).result()
        # One that cannot be made again, and one that cannot be sent
        error = executor.submit(fail_oddly).exception()
        self.assertIs(type(error), TypeError)
        self.assertIn("OddError", str(error.__cause__))
        error = executor.submit(fail_unpicklably).exception()
        self.assertIs(type(error), pickle.PicklingError)
        self.assertIn("LocalError", str(error))
        self.assertIn("fail_unpicklably", str(error.__cause__))

    def test_exceptions_that_refuse(self):
        """Neither a cause nor a traceback can be given to any exception."""
        executor = self.make(max_workers=1)
        for cls in OwnCause, Frozen:
            error = executor.submit(raise_it, cls, 3).exception(PATIENCE)
            self.assertIs(type(error), cls)
            self.assertEqual(error.args, (3,))
            with self.assertRaises(cls):
                list(executor.map(raise_it, [cls], [3], timeout=PATIENCE))
        error = self.make(max_workers=1, initializer=raise_it, initargs=(NoRepr, 1)).submit(square, 1).exception(PATIENCE)
        self.assertIs(type(error), BrokenPool)
        self.assertIs(type(error.__cause__), NoRepr)

    def test_what_cannot_be_pickled(self):
        executor = self.make(max_workers=1)
        future = executor.submit(lambda: 0)
        self.assertRegex(str(future.exception(PATIENCE)), "pickle")
        self.assertTrue(future.done())
        self.assertIsInstance(executor.submit(threading.Lock).exception(), TypeError)
        self.assertEqual(executor.submit(square, 3).result(), 9)

    def test_dumps(self):
        executor = self.make(max_workers=1, dumps=functools.partial(dumps_twice, "x"), initializer=initialize, initargs=(1,))
        self.assertEqual(executor.submit(square, 3).result(PATIENCE), ("x", 9))
        self.assertEqual(list(executor.map(square, [3])), [9])

    def test_buffers(self):
        executor = self.make(max_workers=1)
        values = array.array("d", range(100))
        result = executor.submit(with_buffer, values).result(PATIENCE)
        self.assertEqual((type(result), result[0], values[0]), (array.array, 1.0, 0.0))
        try:
            import numpy
        except ImportError:
            return
        values = numpy.arange(100000.).reshape(100, 1000)
        result = executor.submit(with_buffer, values).result()
        self.assertEqual(result.shape, (100, 1000))
        self.assertEqual(result[0][0], 1.0)
        result[0] = 5  # it may be written to

    def test_big(self):
        executor = self.make(max_workers=2)
        data = os.urandom(1 << 20) * 20
        futures = [executor.submit(capture, data) for _ in range(8)]
        for future in futures:
            self.assertEqual(future.result(PATIENCE)[0][0], data)
        big = bytes(200 << 20)
        self.assertEqual(executor.submit(len, big).result(PATIENCE), len(big))
        self.assertEqual(len(executor.submit(bytes, 200 << 20).result(PATIENCE)), len(big))

    def test_initializer(self):
        big = "x" * 500000
        executor = self.make(max_workers=2, initializer=initialize, initargs=(1, {2}, big))
        for future in [executor.submit(get_initialized) for _ in range(4)]:
            self.assertEqual(future.result(PATIENCE), (1, {2}, big))
        with self.assertRaises(TypeError):
            Executor(initializer=5)

    def test_max_tasks_per_child(self):
        executor = self.make(max_workers=1, max_tasks_per_child=3)
        pids = [executor.submit(get_pid).result(PATIENCE) for _ in range(9)]
        self.assertEqual([len(list(group)) for _, group in itertools.groupby(pids)], [3, 3, 3])
        for wrong in 0, -1:
            with self.assertRaises(ValueError):
                Executor(max_tasks_per_child=wrong)
            with self.assertRaises(ValueError):
                Executor(max_workers=wrong)
        with self.assertRaises(TypeError):
            Executor(max_tasks_per_child=1.5)

    def test_numbers_without_end(self):
        """More than a pool may have is as many as that."""
        for n in 65536, 65537, 10**9, 1 << 70:
            with self.subTest(n), warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                with Executor(max_workers=n, max_tasks_per_child=n) as executor:
                    self.assertEqual(executor.submit(len, "abc").result(), 3)
                    self.assertEqual(list(executor.map(len, ["a", "bc"])), [1, 2])
                    self.assertEqual(executor._core.pool.get_max_workers(), 65536)
                self.assertFalse([one for one in told if "out of range" in str(one.message)])

    def test_events(self):
        seen = []
        executor = self.make(max_workers=1, on_event=seen.append)
        self.assertEqual(executor.submit(send_events, 3).result(PATIENCE), 3)
        self.assertEqual(seen, [0, 1, 2])  # they come before the result

    def test_log(self):
        records, seen = [], []
        handler = logging.Handler()
        handler.emit = records.append
        logging.getLogger().addHandler(handler)
        self.addCleanup(logging.getLogger().removeHandler, handler)
        for options, levels in ({}, []), ({"log": True}, ["WARNING"]), ({"log": logging.INFO}, ["INFO", "WARNING"]):
            with self.subTest(options):
                records.clear()
                seen.clear()
                logging.getLogger().setLevel(logging.WARNING)
                with self.make(max_workers=1, on_event=seen.append, **options) as executor:
                    logging.getLogger().setLevel(logging.NOTSET)
                    future = executor.submit(log_things, "anna")
                    future.result(PATIENCE)
                    there = [record for record in records if record.name == "root"]  # before the result
                logging.getLogger().setLevel(logging.WARNING)
                self.assertEqual([(record.levelname, record.getMessage(), record.user, record.module) for record in there],
                                 [(level, "from a task", "anna", "test-python-executor") for level in levels])
                self.assertEqual(seen, ["an event"])

    def test_nested(self):
        executor = self.make(max_workers=1)
        self.assertEqual(executor.submit(nested, 5).result(PATIENCE), 25)

    def test_references(self):
        executor = self.make(max_workers=1)
        thing = Thing(5)
        gone = weakref.ref(thing)
        future = executor.submit(capture, thing)
        del thing
        future.result(PATIENCE)
        gc.collect()
        self.assertIsNone(gone())
        for thing in executor.map(make, [Thing] * 10, range(10)):
            gone = weakref.ref(thing)
            del thing
            self.assertIsNone(gone())


def dumps_twice(word, value, protocol):
    # The result of a task, and not what is sent there
    if isinstance(value, int):
        value = word, value
    return pickle.dumps(value, protocol)


class Maps(Case):
    def test_results(self):
        executor = self.make(max_workers=2)
        for n in 0, 1, 2, 7, 1000, 20000:
            for chunksize in None, 1, 3, 5000:
                if n < 20000 or chunksize != 1:
                    self.assertEqual(list(executor.map(square, range(n), chunksize=chunksize, timeout=PATIENCE)),
                                     [i * i for i in range(n)])
        self.assertEqual(list(executor.map(pow, range(5), [2, 3, 4])), [0, 1, 16])
        self.assertEqual(list(executor.map(pow, range(5), [2] * 5, chunksize=2)), [0, 1, 4, 9, 16])

    def test_exception(self):
        executor = self.make(max_workers=2)
        for chunksize in None, 1, 10:
            results = executor.map(divide, [4, 4, 4, 4], [1, 2, 0, 4], chunksize=chunksize)
            # Also those of the same chunk that come before it
            self.assertEqual([next(results), next(results)], [4, 2])
            with self.assertRaises(ZeroDivisionError) as raised:
                next(results)
            self.assertIn("divide", raised.exception.__cause__.traceback)
            self.assertEqual(list(results), [])
        self.assertRegex(str(self.raised(list, executor.map(lambda x: x, range(5)))), "pickle|local object")
        self.assertIsInstance(self.raised(list, executor.map(square, [1, threading.Lock()])), TypeError)

    def raised(self, function, *args):
        try:
            return function(*args)
        except Exception as error:
            return error

    def test_wrong(self):
        executor = self.make(max_workers=1)
        for chunksize in 0, -1:
            with self.assertRaises(ValueError):
                executor.map(square, [1], chunksize=chunksize)
        for buffersize, error in (0, ValueError), ("a", TypeError):
            with self.assertRaises(error):
                executor.map(square, [1], buffersize=buffersize)

    def test_timeout(self):
        executor = self.make(max_workers=1)
        executor.submit(square, 1).result(PATIENCE)
        results = executor.map(wait_for, [self.path("not yet")], timeout=0.01)
        with self.assertRaises(concurrent.futures.TimeoutError):
            next(results)
        touch(self.path("not yet"))
        self.assertEqual(executor.submit(square, 3).result(PATIENCE), 9)

    def test_eager(self):
        """Nobody needs to take the results."""
        with Executor(max_workers=2) as executor:
            executor.map(touch, [self.path(str(i)) for i in range(200)])
        self.assertEqual(len(os.listdir(self.folder)), 200)

    def test_dropped(self):
        executor = self.make(max_workers=1)
        results = executor.map(touch_and_wait, [self.path(str(i)) for i in range(1000)], [None] + 999 * [self.path("go")],
                               chunksize=1)
        next(results)
        results.close()
        touch(self.path("go"))
        executor.shutdown()
        self.assertLess(len(os.listdir(self.folder)), 10)

    def test_buffer(self):
        executor = self.make(max_workers=1)
        taken = []

        def count():
            for i in range(100):
                taken.append(i)
                yield i

        results = executor.map(square, count(), buffersize=4)
        self.assertEqual(taken, [0, 1, 2, 3])
        self.assertEqual(next(results), 0)
        self.assertLessEqual(len(taken), 5)
        self.assertEqual(list(results), [i * i for i in range(1, 100)])
        self.assertEqual(list(executor.map(square, itertools.islice(itertools.count(), 10), buffersize=3, chunksize=2)),
                         [i * i for i in range(10)])

    def test_buffer_is_filled(self):
        """Before anybody takes a result; what it holds is there after the executor."""
        with Executor(max_workers=1) as executor:
            results = executor.map(square, range(4), buffersize=4)
            executor.map(touch, [self.path("called")], buffersize=2)
        self.assertEqual(list(results), [0, 1, 4, 9])
        self.assertEqual(os.listdir(self.folder), ["called"])
        with self.assertRaises(ZeroDivisionError):
            self.make(max_workers=1).map(square, (1 // i for i in (1, 0)), buffersize=3)

    def test_what_is_before_what_cannot_be_pickled(self):
        """Comes, also within the same chunk."""
        executor = self.make(max_workers=1)
        for function, items in (square, [*range(50), threading.Lock(), 1]), (lock_at_50, range(60)):
            for options in {}, {"chunksize": 100}, {"chunksize": 7}, {"chunksize": 30, "buffersize": 60}:
                results = executor.map(function, items, timeout=PATIENCE, **options)
                self.assertEqual(list(itertools.islice(results, 50)), [function(i) for i in range(50)])
                self.assertRegex(str(self.raised(next, results)), "pickle")
                self.assertEqual(list(results), [])

    def test_chunks_grow(self):
        executor = self.make(max_workers=1)
        n_calls = []
        executor._dumps = lambda value, protocol: n_calls.append(len(value[1][1])) or pickle.dumps(value, protocol)
        self.assertEqual(sum(executor.map(square, range(50000))), sum(i * i for i in range(50000)))
        self.assertLess(len(n_calls), 2000)
        self.assertEqual(n_calls[0], 1)
        self.assertGreater(max(n_calls), 10)


    def check_log(self, n):
        with open(self.path("log")) as file:
            self.assertEqual(sorted(map(int, file)), list(range(n)))
        os.unlink(self.path("log"))

    def test_chunks_come_back(self):
        """Those in which something takes longer than before: others have the rest, and nothing is called twice."""
        for first in 3000, 4980:  # somewhere, and in what was sent last
            n, slow = 5000, range(first, first + 10)
            with Executor(max_workers=2) as executor:
                results = executor.map(log_and_sleep, [self.path("log")] * n, range(n), [0.03 * (i in slow) for i in range(n)])
                executor.shutdown(wait=False)
                results = list(results)
            self.assertEqual([i for i, pid in results], list(range(n)))
            self.assertEqual(len({pid for i, pid in results if i in slow}), 2)
            self.check_log(n)

    def test_chunks_that_come_back_fail(self):
        executor = self.make(max_workers=2)
        seconds = [0] * 1000 + [0.03] * 5 + ["wrong"] + [0] * 500
        results = executor.map(log_and_sleep, [self.path("log")] * len(seconds), range(len(seconds)), seconds)
        self.assertEqual([i for i, _ in itertools.islice(results, 1005)], list(range(1005)))
        self.assertIs(type(self.raised(next, results)), TypeError)
        self.assertEqual(list(results), [])

    def test_chunks_as_said(self):
        executor = self.make(max_workers=2)
        n_calls = []
        executor._dumps = lambda value, protocol: n_calls.append(len(value[1][1])) or pickle.dumps(value, protocol)
        results = list(executor.map(log_and_sleep, [self.path("log")] * 20, range(20), [0.03] * 20, chunksize=5))
        self.assertEqual(n_calls, [5] * 4)
        self.assertEqual([results[i * 5][1] for i in range(4) for j in range(5)], [pid for i, pid in results])
        self.check_log(20)


class Deaths(Case):
    def check_alive(self, executor):
        self.assertEqual(executor.submit(square, 3).result(PATIENCE), 9)

    def test_in_function(self):
        executor = self.make(max_workers=2)
        for function, words in ((crash, "that ran crash is lost: .*[Ss]ignal"),
                                (end, "that ran end is lost: .*exited with status 5")):
            error = executor.submit(function).exception(PATIENCE)
            self.assertIs(type(error), WorkerLost)
            self.assertIsInstance(error, concurrent.futures.BrokenExecutor)
            self.assertRegex(str(error), words)
            self.check_alive(executor)

    def test_others_are_unharmed(self):
        executor = self.make(max_workers=2)
        running = executor.submit(wait_for, self.path("go"))
        self.wait_until(running.running)
        deaths = [executor.submit(crash) for _ in range(3)]
        others = [executor.submit(square, i) for i in range(100)]
        self.assertEqual([type(death.exception(PATIENCE)) for death in deaths], [WorkerLost] * 3)
        self.assertEqual([other.result(PATIENCE) for other in others], [i * i for i in range(100)])
        touch(self.path("go"))
        self.assertIsInstance(running.result(PATIENCE), int)

    def test_points(self):
        """Wherever it happens, nothing hangs, and nobody else is concerned."""
        executor = self.make(max_workers=1)
        outcomes = []
        for function, in_worker in (fail, ValueError), (leave, SystemExit), (end, WorkerLost), (crash, WorkerLost):
            # Arguments that are unpickled, a result that is pickled
            outcomes.append((executor.submit(capture, Trouble("unpickle", function)), in_worker))
            outcomes.append((executor.submit(make, Trouble, "pickle", function), in_worker))
            # What is called
            outcomes.append((executor.submit(function), in_worker))
        # A result that is unpickled here
        outcomes.append((executor.submit(make, Trouble, "unpickle", fail), ValueError))
        outcomes.append((executor.submit(make, Trouble, "unpickle", leave), SystemExit))
        # Arguments that are pickled here
        outcomes.append((executor.submit(capture, Trouble("pickle", fail)), ValueError))
        for future, expected in outcomes:
            self.assertIs(type(future.exception(PATIENCE)), expected)
            self.check_alive(executor)

    def test_large_data(self):
        """More than is on its way at once when the worker dies."""
        executor = self.make(max_workers=2)
        data = "a" * (4 << 20)
        futures = [executor.submit(crash, data) for _ in range(5)]
        for future in futures:
            self.assertIs(type(future.exception(PATIENCE)), WorkerLost)
        for chunksize in None, 3:
            with self.assertRaises(WorkerLost):
                list(executor.map(crash, [data] * 10, chunksize=chunksize, timeout=PATIENCE))
        self.check_alive(executor)

    def test_shutdown_before(self):
        """A worker that dies while shutdown() waits."""
        executor = self.make(max_workers=1)
        future = executor.submit(wait_and_crash, self.path("go"))
        behind = executor.submit(square, 3)
        thread = threading.Thread(target=executor.shutdown)
        thread.start()
        self.wait_until(lambda: "closed" in repr(executor))
        self.assertTrue(thread.is_alive())
        touch(self.path("go"))
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())
        self.assertIs(type(future.exception(0)), WorkerLost)
        self.assertEqual(behind.result(0), 9)

    def test_shutdown_with_what_cannot_be_pickled(self):
        for call in (capture, Trouble("pickle", fail)), (make, Trouble, "pickle", fail):
            executor = self.make(max_workers=1)
            self.check_alive(executor)
            future = executor.submit(*call)
            executor.shutdown(wait=False)
            self.assertIs(type(future.exception(PATIENCE)), ValueError)
            self.assertTrue(executor._core.ended.wait(PATIENCE))

    def test_map(self):
        executor = self.make(max_workers=1)
        with self.assertRaises(WorkerLost):
            list(executor.map(crash, range(3), timeout=PATIENCE))
        self.check_alive(executor)

    def test_initializer_fails(self):
        executor = self.make(max_workers=2, initializer=fail)
        futures = []
        try:
            futures += [executor.submit(square, i) for i in range(10)]
        except BrokenPool:  # already
            pass
        for future in futures:
            error = future.exception(PATIENCE)
            self.assertIs(type(error), BrokenPool)
            self.assertEqual(str(error), "the initializer failed: ValueError('on purpose')")
            self.assertIn("the line that is looked for", str(error.__cause__.__cause__))
        with self.assertRaises(BrokenPool):
            executor.submit(square, 1)
        with self.assertRaises(BrokenPool):
            executor.map(square, [1])
        self.assertIn("broken", repr(executor))

    def test_initializer_dies(self):
        for function in end, crash:
            executor = self.make(max_workers=2, initializer=function)
            mapped = executor.map(square, range(5), timeout=PATIENCE)
            error = executor.submit(square, 1).exception(PATIENCE)
            self.assertIs(type(error), BrokenPool)
            self.assertRegex(str(error), "no worker can be started: ")
            with self.assertRaises(BrokenPool):
                list(mapped)

    def test_initializer_leaves(self):
        executor = self.make(max_workers=1, initializer=leave)
        self.assertIn("SystemExit", str(executor.submit(square, 1).exception(PATIENCE)))

    def test_kill_workers(self):
        for end_them in Executor.kill_workers, Executor.terminate_workers:
            executor = self.make(max_workers=1)
            begun = self.path(str(len(os.listdir(self.folder))))
            futures = [executor.submit(touch_and_wait, begun, self.path("never")) for _ in range(5)]
            self.wait_until(lambda begun=begun: os.path.exists(begun))
            end_them(executor)
            for future in futures:
                self.assertIs(type(future.exception(PATIENCE)), BrokenPool)
                self.assertEqual(str(future.exception()), "the workers were killed")
            running, *others = [future.exception().__cause__ for future in futures]
            self.assertIs(type(running), Afrpc.WorkerDied)
            self.assertEqual(running.started, Afrpc.Started.YES)
            for cause in others:
                self.assertIs(type(cause), Afrpc.NotStarted)
                self.assertEqual(cause.started, Afrpc.Started.NO)
            executor.shutdown()

    def test_callbacks_that_wait(self):
        """For one that fails, or is cancelled, together with theirs."""
        def kill(executor):
            executor.kill_workers()

        def cancel(executor):
            executor.shutdown(wait=False, cancel_futures=True)

        def end(executor):
            touch(self.path("go"))

        def shut_down(executor):
            executor.shutdown(cancel_futures=True)

        for end_it in kill, cancel, shut_down, end:
            broken = end_it is end
            ended = self.path(end_it.__name__)
            executor = self.make(max_workers=1, initializer=wait_and_fail if broken else None,
                                 initargs=(self.path("go"),) if broken else ())
            other = self.make(max_workers=1)
            n = 300  # more than could wait within each other
            outcomes = []

            def called_back(next_one):
                try:
                    next_one.exception(PATIENCE)
                except concurrent.futures.CancelledError:
                    pass
                outcomes.append(other.submit(square, 3).result(PATIENCE))
                if len(outcomes) == 10:
                    executor.shutdown()

            blocked = [executor.submit(wait_for, ended) for _ in range(2)]
            self.wait_until(blocked[0].running)
            futures = [executor.submit(touch, self.path("never")) for _ in range(n)]
            for one, next_one in zip(futures, futures[1:]):
                one.add_done_callback(lambda one, next_one=next_one: called_back(next_one))
            timer = threading.Timer(0.2, touch, (ended,))
            timer.start()
            end_it(executor)
            done, not_done = concurrent.futures.wait(futures, PATIENCE)
            self.assertEqual(len(not_done), 0)
            executor.shutdown()
            self.assertEqual(outcomes, (n - 1) * [9])
            self.assertFalse(os.path.exists(self.path("never")))
            timer.join()

    def test_callbacks_that_leave(self):
        hook, sys.excepthook = sys.excepthook, lambda *args: reported.append(args[0])
        self.addCleanup(setattr, sys, "excepthook", hook)
        for end in Executor.kill_workers, lambda executor: executor.shutdown(wait=False, cancel_futures=True):
            reported = []
            executor = self.make(max_workers=1)
            futures = [executor.submit(wait_for, self.path("end")) for _ in range(10)]
            self.wait_until(futures[0].running)
            for future in futures:
                future.add_done_callback(leave)
            end(executor)
            self.assertEqual(len(concurrent.futures.wait(futures[2:], PATIENCE).done), 8)
            touch(self.path("end"))
            executor.shutdown()
            self.assertTrue(all(future.done() for future in futures))
            self.assertEqual(reported, 10 * [SystemExit])
            os.unlink(self.path("end"))

    def test_many_chunks(self):
        """However much waits when there are no workers any more, all of it fails: chunks of maps that have more of them, and
        of those that have none."""
        executor = self.make(max_workers=1)
        blocked = [executor.submit(wait_for, self.path("never")) for _ in range(2)]
        self.wait_until(lambda: all(future.running() for future in blocked))
        mapped = [executor.map(square, range(5000), chunksize=1, timeout=PATIENCE) for _ in range(2)]
        mapped += [executor.map(square, [1], timeout=PATIENCE) for _ in range(2000)]
        last = executor.submit(square, 1)
        executor.kill_workers()
        self.assertIs(type(last.exception(PATIENCE)), BrokenPool)
        for one in mapped:
            with self.assertRaises(BrokenPool):
                next(one)
        executor.shutdown()


class Cancelling(Case):
    def block(self, executor):
        future = executor.submit(wait_for, self.path("go"))
        self.wait_until(future.running)
        return future

    def test_cancel(self):
        executor = self.make(max_workers=1)
        blocked = self.block(executor)
        futures = [executor.submit(touch, self.path(str(i))) for i in range(10)]
        called = []
        futures[8].add_done_callback(called.append)
        self.assertTrue(futures[8].cancel())
        self.assertEqual(called, [futures[8]])
        self.assertFalse(blocked.cancel())
        with self.assertRaises(concurrent.futures.CancelledError):
            futures[8].result()
        touch(self.path("go"))
        concurrent.futures.wait(futures, PATIENCE)
        self.assertEqual(sorted(os.listdir(self.folder)), ["0", "1", "2", "3", "4", "5", "6", "7", "9", "go"])

    def test_cancel_futures(self):
        executor = self.make(max_workers=1)
        blocked = self.block(executor)
        futures = [executor.submit(square, i) for i in range(10)]
        mapped = executor.map(square, range(100), chunksize=1)
        executor.shutdown(wait=False, cancel_futures=True)
        done, _ = concurrent.futures.wait(futures[5:], PATIENCE)
        self.assertTrue(all(future.cancelled() for future in done))
        with self.assertRaises(concurrent.futures.CancelledError):
            list(mapped)
        touch(self.path("go"))
        executor.shutdown()
        self.assertTrue(blocked.done() and not blocked.cancelled())

    def test_cancel_futures_of_map(self):
        """What workers have, they finish."""
        executor = self.make(max_workers=1)
        mapped = executor.map(wait_for, [self.path("go")], timeout=PATIENCE)
        self.wait_until(lambda: executor._core.n_given == 1)
        executor.shutdown(wait=False, cancel_futures=True)
        touch(self.path("go"))
        self.assertEqual(len(list(mapped)), 1)

    def test_shutdown(self):
        with Executor(max_workers=1) as executor:
            futures = [executor.submit(square, i) for i in range(100)]
        self.assertTrue(all(future.done() for future in futures))
        for refused in (lambda: executor.submit(square, 1)), (lambda: executor.map(square, [1])):
            with self.assertRaisesRegex(RuntimeError, "after shutdown"):
                refused()
        executor.shutdown()
        Executor().shutdown()

    def test_dropped(self):
        """One that nobody has any more does what it was given, and ends."""
        executor = Executor(max_workers=1)
        core = executor._core
        futures = [executor.submit(square, i) for i in range(10)]
        del executor
        gc.collect()
        self.assertEqual([future.result(PATIENCE) for future in futures], [i * i for i in range(10)])
        self.assertTrue(core.ended.wait(PATIENCE))


class Threads(Case):
    def test_many(self):
        executor = self.make(max_workers=2)
        results = {}

        def use(n):
            results[n] = [executor.submit(square, n * 100 + i).result(PATIENCE) for i in range(50)], \
                list(executor.map(square, range(n * 100)))

        threads = [threading.Thread(target=use, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for n in range(8):
            self.assertEqual(results[n], ([(n * 100 + i) ** 2 for i in range(50)], [i * i for i in range(n * 100)]))

    def test_callbacks(self):
        """What is called back may submit, and wait."""
        executor = self.make(max_workers=1)
        seen = []
        done = threading.Event()

        def called_back(future):
            try:
                seen.append(executor.submit(square, future.result()).result(PATIENCE))
                seen.append(list(executor.map(square, range(3), timeout=PATIENCE)))
                seen.append(executor.submit(fail).exception(PATIENCE).args)
                with self.assertRaises(concurrent.futures.TimeoutError):
                    executor.submit(wait_for, self.path("go")).result(0.01)
                touch(self.path("go"))
                executor.shutdown()
            finally:
                done.set()

        executor.submit(square, 3).add_done_callback(called_back)
        self.assertTrue(done.wait(PATIENCE))
        self.assertEqual(seen, [81, [0, 1, 4], ("on purpose",)])

    def test_asyncio(self):
        executor = self.make(max_workers=2)

        async def main():
            loop = asyncio.get_running_loop()
            return await asyncio.gather(*(loop.run_in_executor(executor, square, i) for i in range(100)))

        self.assertEqual(asyncio.run(main()), [i * i for i in range(100)])
        import afrpc.aio
        self.assertEqual(afrpc.aio.run(main()), [i * i for i in range(100)])

    def test_two(self):
        one, two = self.make(max_workers=1), self.make(max_workers=1)
        self.assertNotEqual(one.submit(get_pid).result(PATIENCE), two.submit(get_pid).result(PATIENCE))
        self.assertEqual(len([thread for thread in threading.enumerate() if thread.name == "afrpc"]), 1)


if __name__ == "__main__":
    unittest.main()
