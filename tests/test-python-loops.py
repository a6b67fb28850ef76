#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same on each loop of asyncio that there is: that of Python, ours, those of PyGObject 3.50 and later, and of uvloop."""
import asyncio
import unittest
import warnings

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib  # noqa: E402

from afrpc import aio  # noqa: E402
from python_calls import CODE, make  # noqa: E402

try:
    import gi.events as gi_events
except ImportError:
    gi_events = None
try:
    import uvloop
except ImportError:
    uvloop = None


class Loops(unittest.TestCase):
    async def calls(self):
        async with make("echo") as proxy:
            self.assertEqual(await proxy(1, "a"), (1, "a"))
            outcomes = await asyncio.gather(*(proxy(i) for i in range(100)))
            self.assertEqual(outcomes, [(i,) for i in range(100)])
            # Nothing else is to be done while it runs.
            self.assertEqual(await asyncio.wait_for(proxy("b"), 60), ("b",))
            with self.assertRaises(KeyError):
                await proxy(function="fail")
            self.assertEqual(await proxy.call_full(GLib.Variant("(s)", ("c",))), (GLib.Variant("(s)", ("c",)), None))

    async def told(self):
        """What is told besides outcomes."""
        events, reports, called = [], [], asyncio.Event()
        async with make("tell", on_event=events.append) as proxy:
            call = proxy(5, on_progress=reports.append, callback=lambda call: called.set())
            await called.wait()
            self.assertEqual((call.result(), events, reports), (5, [5], [5]))
            taken = proxy.events()
            proxy(6)
            async for event in taken:
                self.assertEqual(event, 6)
                break

    async def given_up(self):
        async with make("forever") as proxy:
            events = proxy.events()
            task = asyncio.ensure_future(self.rest(proxy))
            async for event in events:
                task.cancel()
                break
            with self.assertRaises(asyncio.CancelledError):
                await task
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(proxy(), 0.01)
            with self.assertRaises(Afrpc.TimeoutError):
                await proxy(timeout_ms=10)
            self.assertEqual(await proxy(1, function="plain"), 1)

    async def rest(self, proxy):
        await proxy()

    async def ends(self):
        proxy = make("leave")
        with self.assertRaises(Afrpc.WorkerDied):
            await proxy()
        self.assertEqual((await proxy.get_process().wait_async()).get_status(), 3)

    async def pools(self):
        process = Afrpc.Process.new_exec("python").eval(CODE)
        async with Afrpc.Pool(process=process, function="plain", max_workers=2) as pool:
            self.assertEqual([result async for result in pool.map(range(1000))], list(range(1000)))
            self.assertEqual(await pool(1), 1)

    async def blocking(self):
        """In between, and in a thread that has a main context of its own."""
        def ask():
            context = GLib.MainContext.new()
            context.push_thread_default()
            try:
                other = make("echo")
                result = other.invoke_sync(2)
                other.close_sync()
                return result
            finally:
                context.pop_thread_default()

        async with make("echo") as proxy:
            self.assertEqual(proxy.invoke_sync(1), (1,))
            self.assertEqual(await proxy(1), (1,))
            self.assertEqual(await asyncio.to_thread(ask), (2,))
            self.assertEqual(await proxy(1), (1,))

    async def nested(self):
        """Nothing is begun that would be in vain, and warned of."""
        coroutine = self.rest(None)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with self.assertRaisesRegex(RuntimeError, r"^afrpc\.aio\.run\(\) cannot be called from a running event loop$"):
                aio.run(coroutine)
        coroutine.close()
        self.assertEqual(caught, [])

    async def main(self):
        wrong = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: wrong.append(context))
        for part in self.calls, self.told, self.given_up, self.ends, self.pools, self.blocking, self.nested:
            with self.subTest(part.__name__):
                await part()
        self.assertEqual(wrong, [])
        return "done"

    def run_on(self, loop):
        try:
            self.assertEqual(loop.run_until_complete(self.main()), "done")
        finally:
            loop.close()

    def test_of_python(self):
        for _ in range(2):
            self.run_on(asyncio.SelectorEventLoop())

    def test_ours(self):
        for _ in range(2):
            self.run_on(aio.EventLoop())

    @unittest.skipIf(gi_events is None, "PyGObject has no loop before 3.50")
    def test_of_pygobject(self):
        for _ in range(2):
            self.run_on(gi_events.GLibEventLoopPolicy().get_event_loop())

    @unittest.skipIf(uvloop is None, "there is no uvloop")
    def test_of_uvloop(self):
        for _ in range(2):
            self.run_on(uvloop.new_event_loop())


if __name__ == "__main__":
    unittest.main()
