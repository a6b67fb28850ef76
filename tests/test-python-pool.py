#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pools from Python: what runs with a proxy runs with a pool."""
import asyncio
import os
import re
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib, GObject  # noqa: E402

import afrpc.aio  # noqa: E402
from afrpc import Executor  # noqa: E402
from afrpc._streams import AsyncMap  # noqa: E402

WORKER = os.environ["AFRPC_TEST_WORKER"]
PATIENCE = 60  # seconds until what should have come is said to hang


def make_pool(function, **properties):
    return Afrpc.Pool(process=Afrpc.Process.new_exec(None).require(WORKER), function=function, **properties)


class PoolTest(unittest.TestCase):
    def test_blocking(self):
        with make_pool("echo", max_workers=2) as pool:
            self.assertEqual(pool.invoke_sync(1, "a"), (1, "a"))
            self.assertIn("Afrpc.Pool of echo", repr(pool))
        self.assertTrue(pool.close_sync())

    def test_asyncio(self):
        async def main():
            async with make_pool("echo", max_workers=2, start_delay_ms=0) as pool:
                results = await asyncio.gather(*(pool(i) for i in range(100)))
                await pool.wait_for_room_async()
            return results, pool

        results, pool = afrpc.aio.run(main())
        self.assertEqual([value for value, in results], list(range(100)))
        self.assertTrue(pool.is_closed())

    def test_incomplete(self):
        process = Afrpc.Process.new_exec(None)
        for cls in (Afrpc.Pool, Afrpc.Proxy):
            for properties, missing in (({}, "a process, as its argument 'process'"),
                                        ({"function": "echo"}, "a process, as its argument 'process'"),
                                        ({"process": None, "function": "echo"}, "a process, as its argument 'process'"),
                                        ({"process": process}, "the name of a function, as its argument 'function'"),
                                        ({"process": process, "function": None},
                                         "the name of a function, as its argument 'function'")):
                with self.assertRaisesRegex(TypeError, f"^{cls.__name__} needs {missing}$"):
                    cls(**properties)

    def test_wrong_options(self):
        """What is wrong is named."""
        process = Afrpc.Process.new_exec(None).require(WORKER)
        for cls in Afrpc.Pool, Afrpc.Proxy:
            for wrong in 5, b"json":
                with self.assertRaisesRegex(TypeError, "'serialiser' has to be an Afrpc.Serialiser or the name of one, not of type"):
                    cls(process=process, function="echo", serialiser=wrong)
        with self.assertRaisesRegex(TypeError, "^on_event has to be callable, not of type int$"):
            Executor(on_event=5)
        for name, words in ("workers", ": did you mean 'max_workers'?"), ("init_args", ": did you mean 'initargs'?"), ("x", ""):
            with self.assertRaisesRegex(TypeError, rf"^Executor has no argument '{name}'{re.escape(words)}$"):
                Executor(**{name: 1})
        with Afrpc.Pool(process=process, function="echo", max_workers=1) as pool:
            for function in pool.map, pool.starmap:
                with self.assertRaisesRegex(TypeError, "has no option 'chunksize': how many calls travel together is found"):
                    function([(1,)], chunksize=3)
                for option in "callback", "fds", "on_progress", "progress_mode", "result_fds":
                    with self.assertRaisesRegex(TypeError, rf"^map\(\) has no option '{option}'$"):
                        function([(1,)], **{option: [0]})

    def test_limits(self):
        process = Afrpc.Process.new_exec(None).require(WORKER)
        process.props.process_group = True
        with Afrpc.Pool(process=process, function="act", max_workers=1, cancel_grace_ms=1, max_age_s=3600,
                        max_memory_growth=1 << 30) as pool:
            self.assertEqual((pool.get_cancel_grace_ms(), pool.props.max_age_s, pool.props.max_memory_growth),
                             (1, 3600, 1 << 30))
            with self.assertRaises(GLib.Error) as caught:
                pool.invoke_sync("spin", True, signature="(sv)", execution_timeout_ms=1)
            self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT))
            self.assertEqual(pool.invoke_sync("return", 7, signature="(sv)"), 7)

    def test_errors(self):
        async def main():
            async with make_pool("act", max_workers=1) as pool:
                with self.assertRaises(GLib.Error) as raised:
                    await pool("exit", GLib.Variant("u", 3), idempotent=True, label="seven", signature="(sv)")
                self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.DIED))
                self.assertIn("seven: the call has ended 3 workers", raised.exception.message)
                return await pool("return", 5, signature="(sv)")

        self.assertEqual(afrpc.aio.run(main()), 5)

    def test_cancelled(self):
        async def main():
            async with make_pool("act", max_workers=1, load=1) as pool:
                running = pool("until-cancelled", True, signature="(sv)")
                waiting = pool("return", True, signature="(sv)")
                pool.on_event(lambda event: waiting.cancel())
                with self.assertRaises(asyncio.CancelledError) as raised:
                    await waiting
                self.assertEqual(raised.exception.started, Afrpc.Started.NO)
                running.cancel()
                self.assertEqual(running.get_started(), Afrpc.Started.YES)
                with self.assertRaises(asyncio.CancelledError) as raised:
                    await running
                self.assertEqual(raised.exception.started, Afrpc.Started.YES)

        afrpc.aio.run(main())

    def test_close_failing(self):
        """Workers that end before they are ready are not started for ever by who closes the pool, and blocks."""
        code = "import os\ndef end(*args): os._exit(3)\ndef f(*args): return args"
        pool = Afrpc.Pool(process=Afrpc.Process.new_exec("python").eval(code), function="f", init="end", max_workers=1)
        call = pool(1)
        pool.close_sync()
        while not call.done():
            GLib.MainContext.default().iteration(True)
        self.assertIsInstance(call.exception(), Afrpc.NotStarted)

    def test_failure(self):
        pool = make_pool("no_such_function")
        loop = GLib.MainLoop()
        self.assertIsNone(pool.props.failure)
        pool.connect("notify::failure", lambda *_: loop.quit())
        with self.assertRaises(GLib.Error):
            pool.invoke_sync(1)
        loop.run()
        self.assertTrue(pool.props.failure.matches(Afrpc.error_quark(), Afrpc.Error.FUNCTION))
        pool.refresh(None)
        self.assertIsNone(pool.props.failure)
        self.assertTrue(pool.close_sync())

    def test_templates(self):
        first, second = (Afrpc.Process.new_exec(None).require(WORKER) for _ in range(2))
        with Afrpc.Pool(process=first, function="echo", max_workers=3) as pool:
            pool.add_template(second, weight=2)
            pool.set_idle_workers(3)
            self.assertEqual([pool.get_n_template_workers(process) for process in (first, second)], [1, 2])
            self.assertEqual(pool.invoke_sync(1), (1,))
            self.assertTrue(pool.remove_template(first))
            self.assertIs(pool.get_process(), second)
            self.assertIsNone(pool.get_template_failure(second))
        self.assertTrue(pool.close_sync())

    def test_seen(self):
        async def main():
            ended = []
            async with make_pool("echo", max_workers=1) as pool:
                workers = pool.get_workers()
                pool.connect("worker-ended", lambda pool, worker, exit: ended.append((worker, exit)))
                before = pool.get_stats()
                await asyncio.gather(*(pool(i) for i in range(100)))
                recent = pool.get_stats().subtract(before)
                print(f"{recent.get_n_finished()} calls, {recent.get_n_failed()} of them failed;",
                      f"99 % waited for less than {recent.get_quantile(Afrpc.PoolTime.QUEUED, 0.99)} us;",
                      ", ".join(f"worker {worker.props.pid} is {worker.props.state.value_nick}" for worker in workers))
                self.assertEqual(recent.get_n_outcomes(Afrpc.CallOutcome.SUCCESS), 100)
                self.assertEqual(sum(recent.get_histogram(Afrpc.PoolTime.ASSIGNED)), 100)
                self.assertEqual(sum(recent.get_histogram(Afrpc.PoolTime.EXECUTION)), 100)
                self.assertEqual(pool.props.n_calls_pending, 0)
                worker, = workers
                self.assertEqual(worker.props.n_calls, 100)
                self.assertGreater(worker.get_memory(), 0)
            self.assertEqual(len(workers), 0)
            return worker, ended

        worker, ended = afrpc.aio.run(main())
        self.assertEqual(worker.get_state(), Afrpc.PoolWorkerState.ENDED)
        self.assertEqual([(one, exit.is_success()) for one, exit in ended], [(worker, True)])
        with self.assertRaises(GLib.Error) as raised:
            worker.get_memory()
        self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.CLOSED))

    def test_map(self):
        with make_pool("echo", max_workers=2, start_delay_ms=0) as pool:
            self.assertEqual(list(pool.map(range(5000))), [(i,) for i in range(5000)])
            self.assertEqual(sorted(pool.map(range(1000), ordered=False)), [(i,) for i in range(1000)])
            self.assertEqual(list(pool.map([1, 2], "ab")), [(1, "a"), (2, "b")])
            self.assertEqual(list(pool.starmap([(1, "a"), [2, "b"], ()])), [(1, "a"), (2, "b"), ()])
            self.assertEqual(list(pool.map([])), [])
            calls = list(pool.map(range(5), calls=True))
            self.assertEqual([call.get_index() for call in calls], list(range(5)))
            self.assertEqual(calls[3].wait_sync().unpack(), (3,))
            self.assertEqual(calls[3].get_started(), Afrpc.Started.YES)
            self.assertEqual([value.unpack() for value in pool.map([7], raw=True)], [(7,)])
            results = pool.map([1])
            self.assertEqual(next(results), (1,))
            for _ in range(2):
                with self.assertRaises(StopIteration):
                    next(results)
        self.assertTrue(pool.close_sync())
        with self.assertRaises(GLib.Error) as raised:
            list(pool.map([1]))
        self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.CLOSED))

    def test_map_lazy(self):
        pulled = []

        def endless():
            i = 0
            while True:
                pulled.append(i)
                yield i
                i += 1

        with make_pool("echo", max_workers=2, start_delay_ms=0) as pool:
            results = pool.map(endless())
            self.assertEqual(pulled, [])
            for i in range(3000):
                self.assertEqual(next(results), (i,))
            self.assertLessEqual(len(pulled), 3000 + 4096 + 1000)
            del results
            n = len(pulled)
            self.assertEqual(pool.invoke_sync(1), (1,))
            self.assertEqual(pool.get_n_calls_queued(), 0)
            self.assertEqual(len(pulled), n)
        pool.close_sync()

    def test_map_errors(self):
        inputs = [("file-error" if i % 2 else "return", GLib.Variant("u", i)) for i in range(5)]
        with make_pool("act", max_workers=2) as pool:
            results = pool.starmap(inputs, signature="(sv)")
            seen = []
            for _ in inputs:
                try:
                    seen.append(next(results))
                except GLib.Error as error:
                    self.assertEqual(error.started, Afrpc.Started.YES)
                    seen.append(None)
            self.assertEqual(seen, [0, None, 2, None, 4])
            self.assertEqual(next(results, "end"), "end")
            results = list(pool.starmap(inputs, signature="(sv)", return_exceptions=True))
            self.assertIsInstance(results[3], GLib.Error)
            self.assertEqual(results[4], 4)

            def wrong():
                yield inputs[0]
                yield inputs[2]
                raise KeyError("no more")

            results = pool.starmap(wrong(), signature="(sv)")
            self.assertEqual([next(results), next(results)], [0, 2])
            with self.assertRaises(KeyError):
                next(results)
            self.assertEqual(list(results), [])
            results = pool.map([1, object()])
            with self.assertRaises(GLib.Error):
                next(results)
            with self.assertRaises(TypeError):
                next(results)
            for wrong_call in (lambda: pool.map(), lambda: pool.map(5), lambda: pool.map([1], no_such=1),
                               lambda: pool.map([1], on_progress=print), lambda: pool.map([1], cancellable=5)):
                with self.assertRaises(TypeError):
                    wrong_call()
        pool.close_sync()

    def test_map_asyncio(self):
        async def inputs():
            for i in range(300):
                if i % 100 == 0:
                    await asyncio.sleep(0)
                yield i

        async def main():
            async with make_pool("echo", max_workers=2, start_delay_ms=0) as pool:
                self.assertEqual([r async for r in pool.map(range(5000))], [(i,) for i in range(5000)])
                self.assertEqual(sorted([r async for r in pool.map(range(500), ordered=False)]), [(i,) for i in range(500)])
                self.assertEqual([r async for r in pool.map(inputs())], [(i,) for i in range(300)])
                self.assertEqual(sorted([r async for r in pool.map(inputs(), ordered=False)]), [(i,) for i in range(300)])
                async for result in pool.map(range(1000000)):
                    if result == (10,):
                        break
                self.assertEqual(await pool(1), (1,))
                results = pool.map(range(1000000))
                self.assertEqual(await anext(results), (0,))
                results.cancel()
                with self.assertRaises(GLib.Error) as raised:
                    async for result in results:
                        pass
                self.assertTrue(raised.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
                # Several may wait, and whoever does not any longer loses nothing.
                results = pool.map(range(3))
                waits = [asyncio.ensure_future(anext(results, None)) for _ in range(4)]
                await asyncio.sleep(0)
                is_cancelled = waits[1].cancel()  # or it has its result
                got = await asyncio.gather(*waits, return_exceptions=True)
                self.assertEqual(isinstance(got[1], asyncio.CancelledError), is_cancelled)
                rest = [r async for r in results]
                self.assertEqual(sorted([r for r in got if isinstance(r, tuple)] + rest), [(0,), (1,), (2,)])

        afrpc.aio.run(main())

    def test_map_takers(self):
        """Several tasks may wait for results whose inputs are waited for: each gets its own, or the end, also where a result
        is there before the one that is first, and where there is room for one call only."""
        async def inputs(order):
            for i in order:
                await asyncio.sleep(0)
                yield i

        async def main():
            for limits in {}, {"max_workers": 1, "max_calls_queued": 1}:
                async with make_pool("echo", start_delay_ms=0, **limits) as pool:
                    for ordered in True, False:
                        results = pool.map(inputs(range(10)), ordered=ordered)
                        got = await asyncio.wait_for(asyncio.gather(*(anext(results, None) for _ in range(20))), PATIENCE)
                        self.assertEqual(sorted(filter(None, got)), [(i,) for i in range(10)])
                        self.assertEqual(got.count(None), 10)
                        results = pool.map(inputs(range(10)), ordered=ordered)
                        got = asyncio.gather(*(anext(results, None) for _ in range(5)), return_exceptions=True)
                        await asyncio.sleep(0)
                        results.cancel()
                        await asyncio.wait_for(got, PATIENCE)

        for run in asyncio.run, afrpc.aio.run:
            run(main())

    def test_map_order(self):
        """A result that comes before the one that is first is not forgotten when that comes."""
        class Pool:
            def __init__(self):
                self.calls = []

            def __call__(self, *args, **options):
                self.calls.append(Afrpc.PendingCall())
                return self.calls[-1]

            def get_number(self):
                return 100

            get_max_workers = get_load = get_max_calls_queued = get_number

            def is_closed(self):
                return False

        async def inputs():
            for i in range(3):
                yield i

        async def main():
            pool = Pool()
            results = AsyncMap(pool, inputs(), False, True, False, {})
            takers = [asyncio.ensure_future(anext(results, None)) for _ in range(4)]
            for i in range(3):
                while len(pool.calls) <= i:
                    await asyncio.sleep(0)
                if i == 1:  # one that does not wait any longer when it has been woken
                    takers[0].cancel()
            for i in 2, 1, 0:
                pool.calls[i]._set_result(i)
            got = await asyncio.wait_for(asyncio.gather(*takers, return_exceptions=True), PATIENCE)
            self.assertIsInstance(got[0], asyncio.CancelledError)
            self.assertEqual(got[1:], [0, 1, 2])

        afrpc.aio.run(main())

    def try_all(self, pool, *args, **options):
        """What each way to have all workers called fails with."""
        variant, cancellable = GLib.Variant("(x)", args), options.get("cancellable")

        def call_back():
            loop, results = GLib.MainLoop(), []

            def finished_cb(pool, result, word):
                results.append((result, word))
                loop.quit()

            pool.call_all_async(variant, None, cancellable, finished_cb, "data")
            loop.run()
            (result, word), = results
            self.assertEqual(word, "data")
            pool.call_all_finish(result)

        async def main(begin):
            await begin()

        errors = []
        for way in (lambda: pool.invoke_all_sync(*args, **options), lambda: pool.call_all_sync(variant, None, cancellable),
                    lambda: afrpc.aio.run(main(lambda: pool.invoke_all(*args, **options))),
                    lambda: afrpc.aio.run(main(lambda: pool.call_all_async(variant, None, cancellable))), call_back):
            with self.assertRaises(GLib.Error) as caught:
                way()
            errors.append(caught.exception)
            if not pool.is_closed():
                pool.forget_call_all()
                pool.invoke_sync(0)
        return errors

    def test_all_started(self):
        """An error of what all workers are called with says whether one has started it."""
        code = "def f(x):\n while x == 2: pass\n if x: raise KeyError('no')"
        pool = Afrpc.Pool(process=Afrpc.Process.new_exec("python").eval(code), function="f", max_workers=1)
        pool.invoke_sync(0)
        cancellable = Gio.Cancellable()
        cancellable.cancel()
        for args, options in (((object(),), {}), ((1,), {"nonsense": 1}), ((1,), {"timeout_ms": "x"}), ((1,), {"fds": 5}),
                              ((1,), {"fds": [-1]})):
            for function in pool.invoke_all, pool.invoke_all_sync:
                with self.assertRaises((TypeError, ValueError)) as caught:
                    function(*args, **options)
                self.assertEqual(caught.exception.started, Afrpc.Started.NO)
        for function in pool.call_all_async, pool.call_all_sync:
            for args in (1,), (None, 1):
                with self.assertRaisesRegex(TypeError, "or None, not of type int") as caught:
                    function(*args)
                self.assertEqual(caught.exception.started, Afrpc.Started.NO)
        for error in self.try_all(pool, 1, cancellable=cancellable):
            self.assertTrue(error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
            self.assertEqual(error.started, Afrpc.Started.NO)
        for error in self.try_all(pool, 1):
            self.assertIsInstance(error, KeyError)
            self.assertEqual(error.started, Afrpc.Started.YES)
        with self.assertRaises(Afrpc.TimeoutError) as timed_out:
            pool.invoke_all_sync(2, timeout_ms=1)
        self.assertEqual(timed_out.exception.started, Afrpc.Started.UNKNOWN)
        pool.close_sync()
        for error in self.try_all(pool, 1):
            self.assertIs(type(error), Afrpc.NotStarted)
            self.assertEqual((error.started, error.process, error.exit), (Afrpc.Started.NO, None, None))

    def test_all_packed_once(self):
        """What packs values is asked once, also where it refuses."""
        def pack(value):
            packed.append(value)
            raise TypeError("no")

        packed, value = [], object()
        with make_pool("act", max_workers=1, default=pack) as pool:
            with self.assertRaises(TypeError) as caught:
                pool.invoke_all_sync("configure", value)
            self.assertEqual(packed, [value])
            self.assertEqual(caught.exception.started, Afrpc.Started.NO)

    def test_all(self):
        def configured(pool):
            return pool.invoke_sync("configuration", True, signature="(sv)")

        async def main():
            async with make_pool("act", max_workers=2, idle_workers=2) as pool:
                await pool.invoke_all("configure", "a", signature="(sv)")
                pool.invoke_all_sync("configure", "b", signature="(sv)", label="x")
                self.assertEqual(await pool("configuration", True, signature="(sv)"), "ab")
                pool.refresh(None)
                self.assertEqual(await pool("configuration", True, signature="(sv)"), "ab")
                with self.assertRaises(GLib.Error):
                    await pool.invoke_all("file-error", True, signature="(sv)")
                pool.forget_call_all()
                self.assertEqual(await pool("configuration", True, signature="(sv)"), "b")

        afrpc.aio.run(main())
        with make_pool("act", max_workers=1) as pool:
            pool.invoke_all_sync("configure", "a", signature="(sv)")
            self.assertEqual(configured(pool), "a")
            with self.assertRaises(TypeError):
                pool.invoke_all_sync("configure", object())
            with self.assertRaises(GLib.Error):
                pool.invoke_all_sync("file-error", True, signature="(sv)")
        pool.close_sync()

    def test_shown(self):
        """What each says of itself."""
        options = Afrpc.CallOptions().set_label("a").set_timeout_ms(5000)
        self.assertEqual(repr(options), "Afrpc.CallOptions(timeout_ms=5000, label='a')")
        self.assertEqual(repr(Afrpc.CallOptions.new()), "Afrpc.CallOptions()")
        for name in "variant", "bytes", "json", "unsafe-pickle":
            self.assertEqual(repr(Afrpc.Serialiser.lookup(name)), f"<Afrpc.Serialiser {name!r}>")
        with make_pool("echo", max_workers=1) as pool:
            call = pool.start(GLib.Variant("(i)", (5,)), options)
            self.assertEqual(repr(call), "<Afrpc.Call of echo, pending>")
            call.wait_sync()
            self.assertEqual(repr(call), "<Afrpc.Call of echo, settled>")
            self.assertEqual(repr(pool.start(None, Afrpc.CallOptions(function="count"))), "<Afrpc.Call of count, pending>")
            self.assertRegex(repr(pool.get_workers()[0]), r"^<Afrpc.PoolWorker pid \d+, (idle|busy), (1 call|\d calls)>$")
            self.assertEqual(repr(pool.get_stats()), "<Afrpc.PoolStats: 1 call finished, 0 failed; 1 worker started, 0 died>")
            self.assertEqual(repr(pool), "<Afrpc.Pool of echo, 1 worker>")
            results, events = pool.map([1, 2]), pool.events()
            self.assertEqual(repr(results), "<results of echo in Afrpc.Pool>")
            self.assertEqual(len(list(results)), 2)
            self.assertEqual(repr(results), "<results of echo in Afrpc.Pool, over>")
            self.assertEqual(repr(events), f"<events of {pool!r}, 0 wait>")
            events.close()
            self.assertEqual(repr(events), "<events, 0 wait, closed>")

        async def main():
            pool = make_pool("echo", max_workers=1)
            calls = [pool(1), pool(object())]
            self.assertEqual(repr(calls[0]), "<Afrpc.PendingCall of echo, pending>")
            await asyncio.gather(*calls, return_exceptions=True)
            self.assertEqual(repr(calls[0]), "<Afrpc.PendingCall done>")
            self.assertRegex(repr(calls[1]), r"^<Afrpc.PendingCall failed: TypeError\('argument 1: .*'\)>$")

            async def inputs():
                yield 1

            results = pool.map(inputs())
            self.assertEqual(repr(results), "<results of echo in Afrpc.Pool>")
            await pool.close_async()

        afrpc.aio.run(main())

    def test_setters(self):
        """They return what they belong to."""
        pool = make_pool("echo", max_workers=1)
        proxy = Afrpc.Proxy(process=Afrpc.Process.new_exec(None).require(WORKER), function="echo")
        for thing in pool, proxy, Afrpc.CallOptions():
            values = {"set_fds": None, "set_function": "echo", "set_label": "a", "set_affinity": "a", "set_metadata": None}
            names = [name for name in dir(type(thing)) if name.startswith("set_") and not hasattr(GObject.Object, name)]
            self.assertGreater(len(names), 3)
            for name in names:
                args = (Afrpc.ProgressMode.ALL, print) if name == "set_progress" else (values.get(name, 5),)
                with self.subTest(f"{type(thing).__name__}.{name}()"):
                    setter = getattr(thing, name)
                    self.assertIs(setter(*args) if name != "set_hooks" else setter(default=str), thing)
        for caller in pool, proxy:
            caller.kill()

    def test_ranges(self):
        """A number out of the range of a property is a ValueError that says so, however it is given, and changes nothing."""
        process = Afrpc.Process.new_exec(None)
        of_callers = {"process": process, "function": "echo"}
        pool = Afrpc.Pool(**of_callers)
        proxy = Afrpc.Proxy(process=process.fork(), function="echo")
        self.addCleanup(pool.kill)
        self.addCleanup(proxy.kill)
        for thing, needed in (pool, of_callers), (proxy, of_callers), (Afrpc.CallOptions(), {}), (process, {"host": "python"}):
            ranged = [spec for spec in thing.list_properties()
                      if hasattr(spec, "minimum") and spec.flags & GObject.ParamFlags.WRITABLE]
            self.assertGreater(len(ranged), 1)
            for spec in ranged:
                name = spec.name.replace("-", "_")
                words = f"^'{name}' has to be between {spec.minimum} and {spec.maximum}, not "
                before = thing.get_property(name) if spec.flags & GObject.ParamFlags.READABLE else None
                for value in spec.minimum - 1, spec.minimum - 0.5, spec.maximum + 1, -2**70, 2**70, float("nan"):
                    with self.subTest(f"{type(thing).__name__}({name}={value})"):
                        with self.assertRaisesRegex(ValueError, words):
                            type(thing)(**needed, **{name: value})
                        with self.assertRaisesRegex(ValueError, words):
                            thing.set_property(spec.name, value)
                        setter = getattr(thing, f"set_{name}", None)
                        if setter is not None:
                            with self.assertRaisesRegex(ValueError, words):
                                setter(value)
                if before is not None:
                    self.assertEqual(thing.get_property(name), before)
        with self.assertRaisesRegex(ValueError, "^'load' has"):
            pool.set_load(load=0)
        with self.assertRaises(TypeError):
            pool.set_load("5")

    def test_wrong(self):
        with self.assertRaises(TypeError):
            import afrpc._proxy
            afrpc._proxy.call(Gio.Cancellable(), (), None, None, None, False, None, None, None, None)


if __name__ == "__main__":
    unittest.main()
