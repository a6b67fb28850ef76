#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Maps of pools whose workers are in Python, where many calls travel in one: each is as it would be by itself."""
import asyncio
import collections
import gc
import os
import sys
import tempfile
import unittest
import weakref

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib  # noqa: E402

import afrpc.aio  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "workers"))
import python_map_worker  # noqa: E402,F401: so that its exceptions are known here

WORKER = os.path.abspath(python_map_worker.__file__)
PATIENCE = 60  # seconds until what should have come is said to hang
context = GLib.MainContext.default()


def make_process():
    return Afrpc.Process.new_exec("python").require(WORKER)


def make_pool(function, max_workers=2, **properties):
    return Afrpc.Pool(process=make_process(), function=function, max_workers=max_workers, **properties)


def count_jobs(pool):
    """Calls as the pool has counted them: those that have travelled together are one."""
    return pool.get_stats().get_n_calls()


def is_end(collected):
    """What calls fail with says whether they were started."""
    return len(collected) > 0 and isinstance(collected[-1], GLib.Error) and not hasattr(collected[-1], "started")


class Case(unittest.TestCase):
    ENDS = {"cancel": (Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED), "close": (Afrpc.error_quark(), Afrpc.Error.CLOSED),
            "kill": (Afrpc.error_quark(), Afrpc.Error.CLOSED), "fail": (Afrpc.error_quark(), Afrpc.Error.MODULE)}

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "calls")

    def read_calls(self):
        with open(self.path) as file:
            return collections.Counter(int(line) for line in file)

    def collect(self, results):
        """Each result, or what was raised in its place, and why there are no more, if anything says so."""
        collected = []
        while not is_end(collected):
            try:
                collected.append(next(results))
            except StopIteration:
                return collected
            except Exception as error:
                collected.append(error)
        with self.assertRaises(StopIteration):
            next(results)
        return collected

    async def drain(self, results):
        """The same in a loop."""
        collected = []
        while not is_end(collected):
            try:
                collected.append(await anext(results))
            except StopAsyncIteration:
                return collected
            except Exception as error:
                collected.append(error)
        with self.assertRaises(StopAsyncIteration):
            await anext(results)
        return collected


class Travelling(Case):
    def test_values(self):
        deep = 1
        for _ in range(57):
            deep = [deep]
        values = [1, -1 << 63, 1.5, "a", "ä" * 300, b"bytes", None, True, (1, "x"), (), [1, "x", None], {"a": 1}, {1: "a"}, deep,
                  Afrpc.Tagged("t", 5)]
        with make_pool("same") as pool:
            inputs = values * 500
            results = list(pool.map(inputs))
            self.assertEqual(results, inputs)
            self.assertEqual([type(result) for result in results], [type(value) for value in inputs])
            self.assertLess(count_jobs(pool), len(inputs) / 4)
            self.assertEqual(list(pool.starmap((value, 2, "c") for value in inputs)), [(value, 2, "c") for value in inputs])
            self.assertEqual(list(pool.starmap([value, i] for i, value in enumerate(inputs))),
                             [(value, i) for i, value in enumerate(inputs)])
            self.assertEqual(sorted(pool.map(range(20000), ordered=False)), list(range(20000)))
            self.assertEqual(list(pool.starmap(tuple(range(n)) for n in (1, 2, 40) for _ in range(500))),
                             [0 if n == 1 else tuple(range(n)) for n in (1, 2, 40) for _ in range(500)])
        pool.close_sync()

    def test_few(self):
        with make_pool("same") as pool:
            self.assertEqual(list(pool.map([])), [])
            for n in range(1, 40):
                self.assertEqual(list(pool.map(range(n))), list(range(n)))
        pool.close_sync()

    def test_keywords(self):
        with make_pool("keywords") as pool:
            inputs = [(i, Afrpc.Tagged("afrpc.keywords", {"b": 1})) if i % 2 else (i,) for i in range(3000)]
            self.assertEqual(list(pool.starmap(inputs)), [i + i % 2 for i in range(3000)])
        pool.close_sync()

    def test_hooks(self):
        with make_pool("same", default=lambda value: ["set", *sorted(value)],
                       arrays=lambda array: ("array", list(array))) as pool:
            self.assertEqual(list(pool.map({i, i + 1} for i in range(2000))), [["set", i, i + 1] for i in range(2000)])
            self.assertEqual(list(pool.map(range(2000))), list(range(2000)))
            self.assertEqual(list(pool.map([[1, 2]] * 1000)), [[1, 2]] * 1000)
        pool.close_sync()

    def test_not_sendable(self):
        def inputs():
            yield from range(1000)
            yield {"a": [1 << 70]}
            yield 1001

        with make_pool("same") as pool:
            for call in (lambda: pool.map(inputs()), lambda: pool.starmap((value,) for value in inputs()),
                         lambda: pool.map(inputs(), timeout_ms=600000)):
                results = self.collect_until_error(call())
                self.assertEqual(results[:-1], list(range(1000)))
                self.assertIsInstance(results[-1], OverflowError)
                self.assertEqual(str(results[-1]), "argument 1, key 'a', element 0: an int that is beyond 64 bits with a sign cannot be sent")
                self.assertEqual(results[-1].__notes__, ["of element 1000 of what is mapped"])
        pool.close_sync()

    def collect_until_error(self, results):
        collected = self.collect(results)
        self.assertEqual(list(results), [])
        return collected

    def test_inputs_raise(self):
        def inputs():
            yield from range(777)
            raise KeyError("no more")

        with make_pool("same") as pool:
            for call in (lambda: pool.map(inputs()), lambda: pool.map(inputs(), timeout_ms=600000),
                         lambda: pool.starmap((value,) for value in inputs())):
                results = self.collect_until_error(call())
                self.assertEqual(results[:-1], list(range(777)))
                self.assertIsInstance(results[-1], KeyError)
                self.assertEqual(results[-1].__notes__, ["of element 777 of what is mapped"])
            for options in {}, {"timeout_ms": 600000}:
                results = self.collect_until_error(pool.starmap([(0,), (1,), 2], **options))
                self.assertIsInstance(results[-1], TypeError)
                self.assertEqual(results[-1].__notes__, ["of element 2 of what is mapped"])
        pool.close_sync()

    def test_inputs_end_asyncio(self):
        """So it is where inputs are waited for."""
        async def inputs(last):
            for i in range(50):
                yield i
            if isinstance(last, Exception):
                raise last
            yield last
            yield 51

        async def main():
            async with make_pool("same") as pool:
                for options in {}, {"return_exceptions": True}:
                    for last in KeyError("no more"), [1 << 70]:
                        collected = await self.drain(pool.map(inputs(last), **options))
                        self.assertEqual(collected[:-1], list(range(50)))
                        self.assertIsInstance(collected[-1], KeyError if isinstance(last, KeyError) else OverflowError)
                        self.assertEqual(collected[-1].__notes__, ["of element 50 of what is mapped"])
                        self.assertFalse(hasattr(collected[-1], "started"))
                collected = await self.drain(pool.starmap(inputs(0)))
                self.assertIsInstance(collected[-1], TypeError)
                self.assertEqual(collected[-1].__notes__, ["of element 0 of what is mapped"])
                # What is wrong with an option is wrong with no element.
                collected = await self.drain(pool.map(inputs(0), signature="no signature"))
                self.assertIsInstance(collected[-1], ValueError)
                self.assertFalse(hasattr(collected[-1], "__notes__"))

        afrpc.aio.run(main())

    def test_length_hint(self):
        """How many there are need not be known; but nobody is kept from ending the program."""
        class Inputs:
            def __init__(self, error):
                self.error = error
                self.n = 0

            def __iter__(self):
                return self

            def __next__(self):
                self.n += 1
                if self.n > 3000:
                    raise StopIteration
                return self.n

            def __length_hint__(self):
                raise self.error

        with make_pool("same") as pool:
            self.assertEqual(list(pool.map(Inputs(ValueError("hint")))), list(range(1, 3001)))
            got = []
            with self.assertRaises(KeyboardInterrupt):
                for result in pool.map(Inputs(KeyboardInterrupt())):
                    got.append(result)
            self.assertEqual(got, list(range(1, len(got) + 1)))
            self.assertLess(len(got), 3000)
        pool.close_sync()

    def test_slow_inputs(self):
        def inputs():
            for i in range(300):
                if i >= 250:
                    end = GLib.get_monotonic_time() + 1500
                    while GLib.get_monotonic_time() < end:
                        pass
                yield i

        with make_pool("same", max_workers=1) as pool:
            list(pool.map(range(5000)))
            before = count_jobs(pool)
            self.assertEqual(list(pool.map(inputs())), list(range(300)))
            # Each that takes long is called for at once.
            self.assertGreaterEqual(count_jobs(pool) - before, 50)
        pool.close_sync()

    def test_lazy(self):
        pulled = 0

        def endless():
            nonlocal pulled
            while True:
                pulled += 1
                yield pulled - 1

        with make_pool("same") as pool:
            results = pool.map(endless())
            self.assertEqual(pulled, 0)
            for i in range(20000):
                self.assertEqual(next(results), i)
                self.assertLessEqual(pulled, i + 1 + 4096)
            del results
            n = pulled
            self.assertEqual(pool.invoke_sync(1), 1)
            self.assertEqual(pulled, n)
        pool.close_sync()

    def check_untaken(self, **options):
        """How many results of 8 MiB there are when nobody takes any more: 64 MiB, and one for each call of a worker."""
        pulled = 0

        def sizes():
            nonlocal pulled
            for _ in range(200):
                pulled += 1
                yield 8 << 20

        async def main():
            nonlocal pulled
            async with make_pool("octets", max_workers=2, load=2, idle_workers=2) as pool:
                for n_taken in 1, 10:
                    results = pool.map(sizes(), **options)
                    for _ in range(n_taken):
                        await anext(results)
                    while pool.get_n_calls_pending() > 0:
                        await asyncio.sleep(0.001)
                    self.assertLessEqual(pulled - n_taken, 8 + 4)
                    self.assertGreaterEqual(pulled - n_taken, 8)
                    # It goes on as they are taken.
                    for _ in range(14):
                        await anext(results)
                    self.assertGreaterEqual(pulled, n_taken + 14)
                    results.cancel()
                    del results
                    pulled = 0

        afrpc.aio.run(main())

    def test_untaken(self):
        self.check_untaken()
        self.check_untaken(timeout_ms=600000)
        self.check_untaken(ordered=False)

    def test_nested(self):
        with make_pool("same") as pool:
            for _ in range(5):
                self.assertEqual(list(pool.map(r for r in pool.map(r for r in pool.map(range(5000))))), list(range(5000)))
        pool.close_sync()

        class Inputs:
            def __init__(self, results):
                self.results = results

            def __iter__(self):
                return iter(self.results)

        # One is being asked for inputs, which blocks, when another one that takes its results could have more.
        for _ in range(3):
            with make_pool("same") as pool:
                self.assertEqual(list(pool.map(Inputs(pool.map(Inputs(pool.map(range(3000))))))), list(range(3000)))
            pool.close_sync()

    def test_results_as_inputs(self):
        """Results of a map can be waited for, or not: those of the map that takes them decide."""
        async def main():
            async with make_pool("same") as pool:
                self.assertEqual([r async for r in pool.map(pool.map(pool.map(range(300))))], list(range(300)))
                self.assertEqual([r async for r in pool.starmap(pool.map([(1, 2), (3, 4)]))], [(1, 2), (3, 4)])
                results = pool.map(pool.map(range(300)))
                results.cancel()
                with self.assertRaises(GLib.Error) as raised:
                    await anext(results)
                self.assertTrue(raised.exception.matches(*self.ENDS["cancel"]))
                self.assertEqual([r async for r in results], [])

        with make_pool("same") as pool:
            self.assertEqual(list(pool.map(pool.map(pool.map(range(3000))))), list(range(3000)))
            self.assertEqual([call.wait_sync().unpack() for call in pool.map(pool.map(range(3)), calls=True)], [0, 1, 2])
            with self.assertRaises(TypeError):
                pool.map(pool.map(range(3)), no_such=1)
            results = pool.map(pool.map(range(300)))
            self.assertEqual(next(results), 0)
            results.cancel()
            self.assertTrue(self.collect(results)[-1].matches(*self.ENDS["cancel"]))
        pool.close_sync()
        afrpc.aio.run(main())

    def test_large(self):
        with make_pool("octets", max_message_size=1 << 20) as pool:
            sizes = [10] * 3000 + [40000] * 200 + [10, (1 << 20) + 1, 100000] * 100
            results = self.collect(pool.map(sizes))
            self.assertEqual(len(results), len(sizes))
            for size, result in zip(sizes, results):
                if size <= 1 << 20:
                    self.assertEqual(len(result), size)
                else:
                    self.assertTrue(result.matches(Afrpc.error_quark(), Afrpc.Error.TOO_LARGE), result)
            with self.assertRaises(GLib.Error) as alone:
                pool.invoke_sync((1 << 20) + 1)
            self.assertEqual(str(alone.exception), str(results[-2]))
        pool.close_sync()

    def compare_limit(self, function, limit, inputs):
        """What travels together is limited as each is that does not; returns outcomes, and how many calls have had them."""
        with make_pool(function, max_workers=1, max_message_size=limit) as pool:
            make = pool.starmap if isinstance(inputs[0], tuple) else pool.map
            alone = list(make(inputs, timeout_ms=600000, return_exceptions=True))
            before = count_jobs(pool)
            outcomes = list(make(inputs, return_exceptions=True))
            n = count_jobs(pool) - before
            for one, other in zip(outcomes, alone, strict=True):
                self.assertIs(type(one), type(other))
                self.assertTrue(str(one) == str(other), (str(one)[:200], str(other)[:200]))
                self.assertEqual(getattr(one, "started", None), getattr(other, "started", None))
        pool.close_sync()
        return outcomes, n

    def test_large_inputs(self):
        """Inputs fail if each is too large, and not because those before it have left no room."""
        lengths, n = self.compare_limit("length", 20000, ["y" * 1000] * 2000)
        self.assertEqual(lengths, [1000] * 2000)
        self.assertLess(n, 400)
        for limit in 64, 20000, 65536, 1 << 20:
            # With its type, and what is around it, each is a few bytes longer than it has characters.
            edge = ["y" * n for n in range(limit - 64, limit + 2)]
            inputs = (["y" * 10] * 500 + edge) * 2 + ["y"] * 20
            outcomes, _ = self.compare_limit("length", limit, inputs)
            for text, outcome in zip(inputs, outcomes):
                if len(text) < limit:
                    self.assertEqual(outcome, len(text))
                else:
                    self.assertTrue(outcome.matches(Afrpc.error_quark(), Afrpc.Error.TOO_LARGE), outcome)
                    self.assertEqual(outcome.started, Afrpc.Started.NO)

    def test_large_results(self):
        """Results are too large if each is, and not because of those before it, and no call is made twice for that."""
        def inputs(sizes):
            return [(self.path, i, size) for i, size in enumerate(sizes)]

        # The smallest has room for the path, which is an argument.
        for limit in len(self.path) + 42, 4000, 20000, 65536, 1 << 20:
            # A string has a NUL besides.
            for name, sizes, most in (("tight", list(range(limit - 64, limit + 2)) * 2, limit - 1),
                                      ("small", ([10] * 500 + [limit - 1, limit, 3000 % limit] * 3 + [limit - 200]) * 3, limit - 1),
                                      ("raised", ([-10] * 500 + [-limit, 100 - limit, 300 - limit] * 3 + [10] * 20) * 3, None)):
                with self.subTest(limit=limit, name=name):
                    outcomes, _ = self.compare_limit("logged_text", limit, inputs(max(s, 0) if most else s for s in sizes))
                    for size, outcome in zip(sizes, outcomes):
                        if most is None:
                            continue
                        if size <= most:
                            self.assertEqual(len(outcome), max(size, 0))
                        else:
                            self.assertTrue(outcome.matches(Afrpc.error_quark(), Afrpc.Error.TOO_LARGE), outcome)
                            self.assertEqual(outcome.started, Afrpc.Started.YES)
                    calls = self.read_calls()
                    self.assertEqual(set(calls), set(range(len(sizes))))
                    self.assertEqual(set(calls.values()), {2})  # once together, once alone
                    os.unlink(self.path)
        texts, n = self.compare_limit("logged_text", 20000, inputs([1000] * 2000))
        self.assertEqual(texts, ["y" * 1000] * 2000)
        self.assertLess(n, 400)

    def test_much_at_once(self):
        """Arguments of no more than 64 KiB, and the last of them, travel in one call, however short each takes."""
        n, size = 2000, 8000
        with make_pool("length", max_workers=1) as pool:
            list(pool.map(["y"] * 5000))
            before = count_jobs(pool)
            self.assertEqual(list(pool.map("y" * size for _ in range(n))), [size] * n)
            n_jobs = count_jobs(pool) - before
            self.assertGreaterEqual(n_jobs, n * size // (65536 + size + 100))
            self.assertLess(n_jobs, n // 2)
        pool.close_sync()

    def test_large_inputs_end(self):
        """What did not fit any more is called for, whatever comes behind it, and is dropped with the rest."""
        def inputs(end):
            yield from ["a"] * 3000
            yield "b" * 19990
            if end is not None:
                raise end

        with make_pool("length", max_workers=1, max_message_size=20000) as pool:
            self.assertEqual(list(pool.map(inputs(None))), [1] * 3000 + [19990])
            results = self.collect_until_error(pool.map(inputs(KeyError("no more"))))
            self.assertEqual(results[:-1], [1] * 3000 + [19990])
            self.assertIsInstance(results[-1], KeyError)
            for taken in 1, 2000, 2999, 3000:
                results = pool.map(inputs(None))
                self.assertEqual([next(results) for _ in range(taken)], [1] * taken)
                results.cancel()
                try:
                    for result in results:
                        self.assertIn(result, (1, 19990))
                except GLib.Error as error:
                    self.assertTrue(error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        pool.close_sync()

    def test_events(self):
        events = []
        pool = make_pool("announce", max_workers=1, on_event=events.append)
        self.assertEqual(list(pool.map(range(2000), metadata={"a": 10})), list(range(10, 2010)))
        self.assertLess(count_jobs(pool), 1000)
        while len(events) < 2000:
            context.iteration(True)
        self.assertEqual(sorted(events), list(range(2000)))
        pool.close_sync()

    def test_result_fds(self):
        with make_pool("with_fd", max_workers=1) as pool:
            self.assertEqual(list(pool.map(range(2000))), [-1 if i % 10 else 0 for i in range(2000)])
        pool.close_sync()

    def test_one_by_one(self):
        n = 200
        for options, properties in (({"timeout_ms": 60000}, {}), ({"execution_timeout_ms": 60000}, {}), ({"signature": "(x)"}, {}),
                                    ({"affinity": "a"}, {}), ({}, {"max_calls": 1000}), ({}, {"call_timeout_ms": 60000}),
                                    ({}, {"serialiser": "unsafe-pickle"})):
            with make_pool("same", **properties) as pool:
                self.assertEqual(list(pool.map(range(n), **options)), list(range(n)))
                self.assertEqual(count_jobs(pool), n)
            pool.close_sync()
        with make_pool("same") as pool:
            calls = list(pool.map(range(n), calls=True))
            self.assertEqual([call.get_index() for call in calls], list(range(n)))
            self.assertEqual(count_jobs(pool), n)
            self.assertEqual([value.unpack() for value in pool.map(range(n), raw=True)], list(range(n)))
        pool.close_sync()

    def test_other_hosts(self):
        """Workers of another language get calls one by one, also where there are both."""
        native = Afrpc.Process.new_exec(None).require(os.environ["AFRPC_TEST_WORKER"])
        python = Afrpc.Process.new_exec("python").eval("def echo(*args): return args")
        with Afrpc.Pool(process=native, function="echo", max_workers=2) as pool:
            self.assertEqual(list(pool.map(range(1000))), [(i,) for i in range(1000)])
            self.assertEqual(count_jobs(pool), 1000)
        with Afrpc.Pool(process=python.fork(), function="echo", max_workers=2) as pool:
            self.assertEqual(list(pool.map(range(1000))), [(i,) for i in range(1000)])
            self.assertLess(count_jobs(pool), 500)
            # That there are others shows when one of them has got many.
            results = pool.map(range(100000))
            self.assertEqual([next(results) for _ in range(3000)], [(i,) for i in range(3000)])
            pool.refresh(native)
            self.assertEqual(list(results), [(i,) for i in range(3000, 100000)])
        for processes in (python, native), (native, python), (native, native.fork()):
            with Afrpc.Pool(process=processes[0], function="echo", max_workers=2) as pool:
                pool.add_template(processes[1])
                pool.set_idle_workers(2)
                for _ in range(3):
                    self.assertEqual(list(pool.map(range(1000))), [(i,) for i in range(1000)])
            pool.close_sync()

    def test_asyncio(self):
        async def main():
            async with make_pool("same") as pool:
                self.assertEqual([r async for r in pool.map(range(20000))], list(range(20000)))
                self.assertEqual(sorted([r async for r in pool.map(range(20000), ordered=False)]), list(range(20000)))
                async for result in pool.map(range(1000000)):
                    if result == 5000:
                        break
                results = pool.map(range(1000))
                waits = [asyncio.ensure_future(anext(results, None)) for _ in range(20)]
                await asyncio.sleep(0)
                for i in range(0, 20, 3):
                    waits[i].cancel()
                got = await asyncio.gather(*waits, return_exceptions=True)
                kept = [r for r in got if not isinstance(r, asyncio.CancelledError)]
                self.assertEqual(kept, list(range(len(kept))))
                self.assertEqual([r async for r in results], list(range(len(kept), 1000)))
                waits = [asyncio.ensure_future(anext(pool.map([]), None)), asyncio.ensure_future(anext(results, None))]
                self.assertEqual(await asyncio.gather(*waits), [None, None])

        afrpc.aio.run(main())

    async def ask(self, results, cancelled, n):
        """Waits for so many results as tasks do, some of which are cancelled when theirs are there, and before they run."""
        there = asyncio.Semaphore(0)
        waits = []
        for _ in range(n):
            call = anext(results)
            call.add_done_callback(lambda call: there.release())
            waits.append(call.__await__())
            self.assertIs(next(waits[-1]), call)
            del call
        for _ in range(n):
            await asyncio.wait_for(there.acquire(), PATIENCE)
        got = []
        for i, wait in enumerate(waits):
            if i in cancelled:
                with self.assertRaises(asyncio.CancelledError):
                    wait.throw(asyncio.CancelledError())
                continue
            try:
                next(wait)
            except StopIteration as stop:
                got.append(stop.value)
            except Exception as error:
                got.append(error)
        return got

    def test_cancelled_late(self):
        """What was there when its task was cancelled comes next."""
        async def main():
            async with make_pool("same") as pool, make_pool("fail") as failing:
                for cancelled in (0,), (0, 2, 3), (4,), (0, 1, 2, 3, 4):
                    results = pool.map(range(1000))
                    self.assertEqual(await self.ask(results, cancelled, 5), [i for i in range(5) if i not in cancelled])
                    self.assertEqual([await anext(results) for _ in cancelled], list(cancelled))
                    self.assertEqual([r async for r in results], list(range(5, 1000)))
                results = failing.map([0, 1, 3, 6])
                await self.ask(results, (1,), 2)
                with self.assertRaises(python_map_worker.Odd):
                    await anext(results)
                with self.assertRaises(GLib.Error):
                    await anext(results)
                self.assertEqual(next(results), 6)
                results = pool.map([])
                await self.ask(results, (0,), 1)
                self.assertIsNone(await anext(results, None))
                # It is there, and nobody waits for what has been asked for.
                results = pool.map(range(10))
                await self.ask(results, (0,), 1)
                for _ in range(3):
                    self.assertTrue(anext(results).done())
                self.assertEqual(list(results), list(range(10)))

        afrpc.aio.run(main())

    def test_cancelled_task(self):
        """A task that is cancelled by what is told before it."""
        async def take(call):
            return await call

        async def main():
            async with make_pool("wait", max_workers=1) as pool:
                results = pool.starmap((self.path, 0, i) for i in range(100))
                call = anext(results)
                call.add_done_callback(lambda call: task.cancel())
                task = asyncio.ensure_future(take(call))
                other = asyncio.ensure_future(take(anext(results)))
                del call
                await asyncio.sleep(0)
                open(self.path + ".go", "w").close()
                await asyncio.wait([task, other])
                self.assertTrue(task.cancelled())
                rest = [r async for r in results]
                self.assertEqual(rest, sorted(rest))
                self.assertEqual(sorted([other.result(), *rest]), list(range(100)))

        afrpc.aio.run(main())

    def test_memory(self):
        """Nothing is kept, neither here nor there."""
        def run():
            self.assertEqual(list(pool.map("ab" * (i % 50) for i in range(5000))), ["ab" * (i % 50) for i in range(5000)])
            results = pool.map([i] for i in range(5000))
            next(results)
            del results
            self.collect(pool.starmap((i, i) for i in range(3000)))
            self.collect(pool.map([1, 2, {1, 2}]))

        def count():
            gc.collect()
            return sys.getallocatedblocks(), pool.invoke_sync(function="count_blocks")

        with make_pool("same", max_workers=1) as pool, make_pool("fail", max_workers=1) as failing:
            for _ in range(3):
                run()
                self.collect(failing.map(range(500)))
            before = count()
            for _ in range(10):
                run()
                self.collect(failing.map(range(500)))
            for there, then in zip(count(), before):
                self.assertLess(there - then, 400)
        pool.close_sync()
        failing.close_sync()

    def test_held_up(self):
        """Behind what takes long, nothing waits that another worker could do; and what is before it is there."""
        inputs = [(self.path, 2500, i) for i in range(4000)]
        with make_pool("wait", idle_workers=2) as pool:
            results = pool.starmap(inputs, ordered=False)
            got = [next(results) for _ in range(3999)]
            self.assertEqual(sorted(got), [i for i in range(4000) if i != 2500])
            open(self.path + ".go", "w").close()
            self.assertEqual(list(results), [2500])
        pool.close_sync()
        calls = self.read_calls()
        self.assertEqual((set(calls), set(calls.values())), (set(range(4000)), {1}))
        os.unlink(self.path)
        os.unlink(self.path + ".go")
        with make_pool("wait", max_workers=1) as pool:
            results = pool.starmap(inputs)
            self.assertEqual([next(results) for _ in range(2500)], list(range(2500)))
            open(self.path + ".go", "w").close()
            self.assertEqual(list(results), list(range(2500, 4000)))
        pool.close_sync()
        calls = self.read_calls()
        self.assertEqual((set(calls), set(calls.values())), (set(range(4000)), {1}))

    def test_held_up_asyncio(self):
        async def main():
            async with make_pool("wait", idle_workers=2) as pool:
                results = pool.starmap(((self.path, 2500, i) for i in range(4000)), ordered=False)
                got = [await anext(results) for _ in range(3999)]
                open(self.path + ".go", "w").close()
                return got + [r async for r in results]

        self.assertEqual(sorted(afrpc.aio.run(main())), list(range(4000)))


class Failing(Case):
    def compare(self, one, other):
        self.assertEqual((type(one), one.args, str(one), repr(one)), (type(other), other.args, str(other), repr(other)))
        for name in "type_name", "text", "traceback", "message", "domain", "code", "started", "__notes__":
            self.assertEqual(getattr(one, name, None), getattr(other, name, None))
        self.assertEqual(repr(one.__cause__), repr(other.__cause__))

    def test_errors(self):
        with make_pool("fail") as pool:
            for options in {}, {"label": "these"}:
                together = self.collect(pool.map(range(2000), **options))
                alone = self.collect(pool.map(range(2000), timeout_ms=600000, **options))
                for i, (one, other) in enumerate(zip(together, alone, strict=True)):
                    if isinstance(one, Exception):
                        self.compare(one, other)
                        self.assertEqual(one.started, Afrpc.Started.YES)
                    else:
                        self.assertEqual((one, other), (i, i))
            self.assertIsInstance(together[1], python_map_worker.Odd)
            self.assertIsInstance(together[1], ValueError)
            self.assertEqual(together[1].args, ("odd", 1, b"x"))
            self.assertIsInstance(together[50], TypeError)
            self.assertIn("these: in words", str(together[3]))
            results = list(pool.map(range(2000), return_exceptions=True))
            self.assertEqual([type(r) for r in results], [type(r) for r in together])
            with self.assertRaises(ValueError):
                list(pool.map(range(1, 2000)))
        pool.close_sync()

    def test_no_function(self):
        with make_pool("no_such_function") as pool:
            with self.assertRaises(GLib.Error) as raised:
                list(pool.map(range(100)))
            self.assertEqual(raised.exception.started, Afrpc.Started.NO)

    def begin_to_end(self, how, inputs):
        """Results of a map that is about to end before its time."""
        process = Afrpc.Process.new_exec("python").require("no_such_module") if how == "fail" else make_process()
        pool = Afrpc.Pool(process=process, function="same", max_workers=1)
        results = pool.map(inputs)
        end = {"cancel": results.cancel, "close": pool.close, "kill": pool.kill, "fail": lambda: None}[how]
        return results, end

    def check_end(self, how, outcomes):
        self.assertEqual(sum(map(is_end, ([outcome] for outcome in outcomes))), 1)
        self.assertTrue(is_end(outcomes))
        quark, code = self.ENDS[how]
        self.assertTrue(outcomes[-1].matches(quark, code), outcomes[-1])

    def test_end_once(self):
        """Why there are no more is raised once, and not instead of each result that there could have been."""
        for how in self.ENDS:
            with self.subTest(how=how):
                results, end = self.begin_to_end(how, range(100000))
                if how != "fail":
                    self.assertEqual(next(results), 0)
                end()
                self.check_end(how, self.collect(results))
                self.assertEqual(list(results), [])

    def test_end_once_asyncio(self):
        async def waited():
            for i in range(100000):
                yield i

        async def main(how, inputs):
            results, end = self.begin_to_end(how, inputs)
            if how != "fail":
                self.assertEqual(await anext(results), 0)
            end()
            self.check_end(how, await self.drain(results))
            self.assertEqual([r async for r in results], [])

        for how in self.ENDS:
            for inputs in range(100000), waited():
                with self.subTest(how=how, inputs=inputs):
                    afrpc.aio.run(main(how, inputs))

    def test_end_once_for_many(self):
        """Of several who wait, one gets it."""
        async def main():
            pool = make_pool("wait", max_workers=1)
            results = pool.starmap([(self.path, 0, 0)])
            waits = [asyncio.ensure_future(anext(results, None)) for _ in range(4)]
            while pool.get_n_calls_assigned() == 0:
                await asyncio.sleep(0)
            pool.kill()
            return await asyncio.gather(*waits, return_exceptions=True)

        first, *others = afrpc.aio.run(main())
        self.assertIsInstance(first, GLib.Error)
        self.assertEqual(others, [None] * 3)
        results, end = self.begin_to_end("close", range(10))

        async def main():
            end()
            return await asyncio.gather(*(anext(results, None) for _ in range(3)), return_exceptions=True)

        outcomes = afrpc.aio.run(main())
        self.assertEqual([type(outcome) for outcome in outcomes], [GLib.Error, type(None), type(None)])

    def test_exceptions_are_results(self):
        """Each of them is an exception as it would be raised; what ends the results is none of them."""
        with make_pool("end", max_workers=1) as pool:
            inputs = [(self.path, "kill" if i == 1000 else "", i, i) for i in range(2000)]
            for options in {}, {"timeout_ms": 600000}, {"ordered": False}:
                outcomes = list(pool.starmap(inputs, return_exceptions=True, **options))
                died = [outcome for outcome in outcomes if not isinstance(outcome, int)]
                self.assertEqual([type(error) for error in died], [Afrpc.WorkerDied])
                self.assertEqual(died[0].started, Afrpc.Started.YES)
        pool.close_sync()
        with self.assertRaises(GLib.Error):
            next(pool.map([1], return_exceptions=True))

    @unittest.skipIf("LD_PRELOAD" in os.environ or "AFRPC_TEST_LYING_PARTS" not in os.environ, "nothing else can be loaded first")
    def test_no_outcomes(self):
        """A worker that answers many calls without making any is not asked for ever."""
        process = make_process().setenv("LD_PRELOAD", os.environ["AFRPC_TEST_LYING_PARTS"], True)
        with Afrpc.Pool(process=process, function="same", max_workers=1) as pool:
            self.assertEqual(pool.invoke_sync(1), 1)
            results = pool.map(range(100))
            for _ in range(100):
                with self.assertRaisesRegex(GLib.Error, "malformed answer") as raised:
                    next(results)
                self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.INVALID_DATA))
                self.assertEqual(raised.exception.started, Afrpc.Started.UNKNOWN)
            self.assertEqual(list(results), [])
            self.assertEqual(pool.invoke_sync(2), 2)
        pool.close_sync()

    def run_end(self, how, when, n=4000, **options):
        with make_pool("end") as pool:
            list(pool.starmap((self.path, "", -1, -1) for i in range(2000)))
            results = self.collect(pool.starmap(((self.path, how, when, i) for i in range(n)), **options))
            self.assertEqual(len(results), n)
        pool.close_sync()
        calls = self.read_calls()
        del calls[-1]
        return results, calls

    def test_end(self):
        for how, is_status in ("os._exit", True), ("sys.exit", True), ("kill", False):
            for when in 0, 1, 2500, 3999:
                for ordered in True, False:
                    with self.subTest(how=how, when=when, ordered=ordered):
                        results, calls = self.run_end(how, when, ordered=ordered)
                        died = [r for r in results if isinstance(r, Exception)]
                        self.assertEqual(len(died), 1)
                        self.assertIsInstance(died[0], Afrpc.WorkerDied)
                        self.assertEqual(died[0].started, Afrpc.Started.YES)
                        self.assertIn("3" if is_status else "9", died[0].exit.to_string())
                        self.assertIsInstance(died[0].process, Afrpc.Process)
                        if ordered:
                            self.assertIs(results[when], died[0])
                        self.assertEqual(sorted(r for r in results if isinstance(r, int)), [i for i in range(4000) if i != when])
                        self.assertEqual(set(calls), set(range(4000)))
                        self.assertEqual(set(calls.values()), {1})
                        os.unlink(self.path)

    def test_end_idempotent(self):
        for when in 0, 2500, 3999:
            results, calls = self.run_end("once kill", when, idempotent=True)
            self.assertEqual(results, list(range(4000)))
            self.assertEqual(calls[when], 2)
            calls[when] = 1
            self.assertEqual(set(calls.values()), {1})
            os.unlink(self.path + ".once")
            os.unlink(self.path)

    def test_poison(self):
        results, calls = self.run_end("kill", 2500, idempotent=True, label="it")
        self.assertIsInstance(results[2500], Afrpc.WorkerDied)
        self.assertIn("it: the call has ended 3 workers", str(results[2500]))
        self.assertEqual(calls[2500], 3)
        del results[2500], calls[2500]
        self.assertEqual(results, [i for i in range(4000) if i != 2500])
        self.assertEqual(set(calls.values()), {1})

    def test_no_repeats(self):
        with make_pool("end", max_repeats=0) as pool:
            results = self.collect(pool.starmap(((self.path, "kill", 2000, i) for i in range(3000)), idempotent=True))
            self.assertIsInstance(results[2000], Afrpc.WorkerDied)
        pool.close_sync()
        self.assertEqual(set(self.read_calls().values()), {1})

    def test_fork(self):
        results, calls = self.run_end("fork", 2500)
        self.assertEqual(results, list(range(4000)))
        self.assertEqual(set(calls.values()), {1})

    def test_fork_before_end(self):
        """Nothing that such a process has returned is among what is kept in case that its worker dies."""
        results, calls = self.run_end("fork and kill", 2500)
        self.assertIsInstance(results.pop(2510), Afrpc.WorkerDied)
        self.assertEqual(results, [i for i in range(4000) if i != 2510])
        self.assertEqual(set(calls.values()), {1})

    def test_retire(self):
        results, calls = self.run_end("retire", 2500)
        self.assertEqual(results, list(range(4000)))
        self.assertEqual(set(calls.values()), {1})

    def test_cancel(self):
        pool = make_pool("spin_until_cancelled", max_workers=1)
        async def main():
            begun = asyncio.get_running_loop().create_future()
            pool.on_event(lambda event: begun.done() or begun.set_result(event))
            results = pool.starmap((self.path, 3000, i) for i in range(100000))
            got = [await anext(results) for _ in range(2000)]
            rest = asyncio.ensure_future(self.drain(results))
            self.assertEqual(await asyncio.wait_for(begun, PATIENCE), "begun")
            results.cancel()
            return got + await rest

        *results, end = afrpc.aio.run(main())
        self.assertTrue(end.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        pool.close_sync()
        ran = self.read_calls()
        # Before the one that ran some answers may not have been read. Those behind it had not begun; but the worker may go on
        # when it hears that the first of them are given up, and before it hears it of the others.
        for i, outcome in enumerate(results):
            if isinstance(outcome, Exception):
                self.assertTrue(outcome.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
                self.assertEqual(outcome.started, Afrpc.Started.YES if i in ran else Afrpc.Started.NO)
            else:
                self.assertEqual(outcome, i)
        self.assertIsInstance(results[3000], Exception)
        self.assertEqual(results[:2000], list(range(2000)))
        self.assertIn(3000, ran)
        self.assertLessEqual({i for i, outcome in enumerate(results) if not isinstance(outcome, Exception)}, set(ran))
        self.assertEqual(set(ran.values()), {1})

    def test_cancel_unread(self):
        """What has run is not said to be not started, although its answer was not read and its worker has begun others."""
        n_unread = 0
        for _ in range(5):
            pool = make_pool("wait", max_workers=1, load=2)

            async def main():
                results = pool.starmap((self.path, -1, i) for i in range(3000))
                got = [await anext(results) for _ in range(300)]
                # The worker goes on, while nobody reads what it answers; if it is slow, it has not been given so many.
                end = GLib.get_monotonic_time() + 2 * 1000000
                while len(self.read_calls()) <= 300 + 64 and GLib.get_monotonic_time() < end:
                    pass
                results.cancel()
                return got + await self.drain(results)

            outcomes = afrpc.aio.run(main())
            pool.close_sync()
            ran = self.read_calls()
            self.assertEqual([i for i, outcome in enumerate(outcomes)
                              if getattr(outcome, "started", None) == Afrpc.Started.NO and ran[i]], [])
            n_unread += sum(isinstance(outcome, Exception) and ran[i] > 0 for i, outcome in enumerate(outcomes))
            os.unlink(self.path)
        self.assertGreater(n_unread, 0)

    def test_dropped(self):
        with make_pool("wait", max_workers=1) as pool:
            results = pool.starmap((self.path, 3000, i) for i in range(100000))
            self.assertEqual([next(results) for _ in range(1000)], list(range(1000)))
            del results
            gc.collect()
            open(self.path + ".go", "w").close()
            self.assertEqual(pool.invoke_sync(self.path, -1, 5), 5)
        pool.close_sync()

    def test_cycles(self):
        class Job:
            def __init__(self, how):
                self.pool = make_pool("same", 1)
                inputs = {"own": range(10 ** 9), "method": self.inputs(), "wrapped": map(self.pick, range(10 ** 9)),
                          "raised": self.inputs_end(), "one by one": self.inputs()}[how]
                more = {"timeout_ms": 600000} if how == "one by one" else {}
                self.results = self.pool.map(inputs, ordered=how != "method", **more)

            def pick(self, i):
                return i

            def inputs(self):
                for i in range(10 ** 9):
                    yield self.pick(i)

            def inputs_end(self):
                yield 1
                raise KeyError("no more")

        def is_there(pid):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return False
            return True

        jobs, pids = [], []
        for how in ("own", "method", "wrapped", "raised", "one by one") * 3:
            job = Job(how)
            self.assertIsInstance(next(job.results), int)
            gc.collect()
            self.assertTrue(how == "raised" or isinstance(next(job.results), int))
            pids += [worker.props.pid for worker in job.pool.get_workers()]
            jobs.append(weakref.ref(job))
            del job
        self.assertEqual(len(pids), len(jobs))
        gc.collect()
        self.assertEqual([how() for how in jobs if how() is not None], [])
        while any(map(is_there, pids)):
            context.iteration(True)

    def test_collected_meanwhile(self):
        # What is asked for inputs, or converts them, may be collecting garbage.
        def inputs():
            for i in range(2000):
                if i % 100 == 7:
                    gc.collect()
                yield {i}

        def convert(value):
            if min(value) % 100 == 50:
                gc.collect()
            return sorted(value)

        with make_pool("same", default=convert) as pool:
            results = pool.map(inputs())
            cycle = [results]
            cycle.append(cycle)
            self.assertEqual([value for value in results if gc.collect(0) >= 0], [[i] for i in range(2000)])
        pool.close_sync()

    def test_closed(self):
        """What is under way is finished, in as many pieces as that takes."""
        pool = make_pool("end")
        results = pool.starmap((self.path, "kill", 1500, i) for i in range(100000))
        got = [next(results) for _ in range(1000)]
        pool.close()
        got += self.collect(results)
        self.assertTrue(got[-1].matches(Afrpc.error_quark(), Afrpc.Error.CLOSED))
        if len(got) > 1501:
            self.assertIsInstance(got[1500], Afrpc.WorkerDied)
            got[1500] = 1500
        self.assertEqual(got[:-1], list(range(len(got) - 1)))
        pool.close_sync()
        calls = self.read_calls()
        self.assertEqual(sorted(calls), list(range(len(calls))))
        self.assertEqual(len(calls), len(got) - 1)
        self.assertEqual(set(calls.values()), {1})

    def test_killed(self):
        pool = make_pool("spin_until_cancelled", max_workers=1)
        last = 30000  # more than are on their way when the first results are there
        async def main():
            begun = asyncio.get_running_loop().create_future()
            pool.on_event(lambda event: begun.done() or begun.set_result(event))
            results = pool.starmap((self.path, last, i) for i in range(100000))
            got = [await anext(results) for _ in range(2000)]
            rest = asyncio.ensure_future(self.drain(results))
            self.assertEqual(await asyncio.wait_for(begun, PATIENCE), "begun")
            pool.kill()
            return got + await rest

        results = afrpc.aio.run(main())
        for i, outcome in enumerate(results[:-1]):
            if not isinstance(outcome, Exception):
                self.assertEqual(outcome, i)
            # What has waited in a chunk behind something that took long, if just for want of a processor, comes later.
            elif i >= last:
                self.assertEqual((i, outcome.started), (i, Afrpc.Started.YES if i == last else Afrpc.Started.NO))
        self.assertIsInstance(results[last], Exception)


if __name__ == "__main__":
    unittest.main()
