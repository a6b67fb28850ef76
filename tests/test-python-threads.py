#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Threads of Python that run loops of their own, and what they may call."""
import asyncio
import gc
import os
import subprocess
import sys
import threading
import unittest
import unittest.mock

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib, GObject  # noqa: E402

from afrpc import aio  # noqa: E402
from python_calls import CODE, make  # noqa: E402


PATIENCE = 60  # seconds until what should have come is said to hang

# One thread starts processes, and knows of nobody else who has them; the other one makes what GObject has to be locked for.
STARTING = """
import threading

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib


def start():
    context = GLib.MainContext.new()
    context.push_thread_default()
    for i in range(50):
        process = Afrpc.Process.new_exec("python")
        process.eval("pass")
        while process.get_pid() == 0:
            context.iteration(True)
        del process
    context.pop_thread_default()


thread = threading.Thread(target=start)
thread.start()
while thread.is_alive():
    Afrpc.Process(argv=["true"])
"""


class Threads(unittest.TestCase):
    def in_threads(self, n, function):
        """What a function returns, or raises, in n threads at once, or one after the other with n = 1."""
        outcomes = []

        def run(i):
            try:
                outcomes.append(function(i))
            except Exception as error:
                outcomes.append(error)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    async def main(self, i, how):
        thread = threading.get_ident()
        if how == "template":
            process = Afrpc.Process.new_for_host("python").eval(CODE)
            proxy = Afrpc.Proxy(process=process, function="echo")
        else:
            proxy = make("echo")
        async with proxy:
            for j in range(20):
                if await proxy(i, j) != (i, j) or threading.get_ident() != thread:
                    return "wrong"
            again = make("tell", on_event=lambda event: events.append((event, threading.get_ident())))
            events = []
            async with again:
                await again(i)
        return "right" if events == [(i, thread)] else events

    def test_loops(self):
        """Each thread with a loop, and what it made, has a main context of its own."""
        for run in asyncio.run, aio.run:
            for how in "executed", "template":
                self.assertEqual(self.in_threads(4, lambda i: run(self.main(i, how))), ["right"] * 4)
        self.assertIsNone(GLib.MainContext.get_thread_default())

    def test_loop_of_another_thread(self):
        """A loop that one thread has made is run by another, as those of asyncio can be."""
        loop = aio.EventLoop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            self.assertEqual([asyncio.run_coroutine_threadsafe(self.main(i, how), loop).result(60)
                              for i, how in enumerate(("executed", "template"))], ["right"] * 2)
            # Nobody else can, meanwhile.
            with self.assertRaises(RuntimeError):
                make("echo")
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
        self.assertEqual(make("echo").invoke_sync(1), (1,))
        # What the thread had is nobody's any more.
        self.assertEqual(loop.run_until_complete(self.main(3, "executed")), "right")
        context = GLib.MainContext.default()
        self.assertTrue(context.acquire())
        try:
            error, = self.in_threads(1, lambda i: loop.run_forever())
            self.assertIsInstance(error, RuntimeError)
        finally:
            context.release()
        loop.close()
        self.assertIsInstance(self.in_threads(1, lambda i: loop.run_forever())[0], RuntimeError)

    def test_nothing_is_left(self):
        """Neither of a loop, nor of a thread that had one."""
        def count():
            gc.collect()
            return (len(os.listdir("/proc/self/fd")),
                    sum(isinstance(thing, asyncio.AbstractEventLoop) for thing in gc.get_objects()))

        async def main():
            async with make("echo") as proxy:
                await proxy(1)

        for run in asyncio.run, aio.run:
            for how in (lambda: run(main())), (lambda: self.in_threads(1, lambda i: run(main()))):
                how()
                before = count()
                for _ in range(5):
                    how()
                # What the last one had may go in a later iteration of the main context.
                for n, n_before in zip(count(), before):
                    self.assertLess(n - n_before, 5)

    def test_outcome_without_a_context(self):
        """What was called by a context that has gone has its outcome, for who awaits it elsewhere."""
        def start(*args):
            context = GLib.MainContext()
            context.push_thread_default()
            try:
                proxy = Afrpc.Proxy(process=Afrpc.Process.new_exec("python").eval(CODE), function=args[0])
                calls = [proxy.invoke(*args[1:]) for _ in range(2)]
                if args[0] == "echo":
                    self.assertEqual(proxy.invoke_sync(2), (2,))
            finally:
                context.pop_thread_default()
            return proxy, calls

        async def main():
            proxy, (call, other) = start("forever")
            gc.collect()
            for _ in range(2):
                with self.assertRaisesRegex(Afrpc.NotStarted, "main context") as caught:
                    await asyncio.wait_for(call, 60)
                self.assertEqual(caught.exception.started, Afrpc.Started.NO)
            self.assertTrue(other.done())
            await asyncio.wait_for(proxy.close_async(), 60)
            proxy, (call, other) = start("echo", 1)
            gc.collect()
            self.assertEqual(await asyncio.wait_for(call, 60), (1,))

        aio.run(main())

    def test_calls_without_a_context(self):
        """What was called is not kept when its main context has gone: nobody is told any more."""
        def count():
            gc.collect()
            gc.collect()
            return (len(os.listdir("/proc/self/fd")),
                    sum(isinstance(thing, Afrpc.PendingCall) for thing in gc.get_objects()))

        def own(how):
            context = GLib.MainContext()
            context.push_thread_default()
            try:
                process = Afrpc.Process.new_exec("python").eval(CODE)
                make_caller = Afrpc.Pool if how == "pool" else Afrpc.Proxy
                caller = make_caller(process=process, function="forever")
                call = caller.invoke(callback=print) if how == "callback" else caller.invoke()
                context.iteration(False)
                if how == "close":
                    caller.close()
                if how == "cancel":
                    call.cancel()
            finally:
                context.pop_thread_default()

        async def main():
            async def wait():
                await Afrpc.Proxy(process=Afrpc.Process.new_exec("python").eval(CODE), function="forever")()

            asyncio.create_task(wait())
            await asyncio.sleep(0)

        for how in "plain", "callback", "close", "cancel", "pool", "task":
            with self.subTest(how):
                def run(i):
                    own(how) if how != "task" else asyncio.run(main())

                self.in_threads(1, run)
                before = count()
                for _ in range(5):
                    self.assertEqual(self.in_threads(1, run), [None])
                for n, n_before in zip(count(), before):
                    self.assertLessEqual(n, n_before)

    def test_locks(self):
        """A reference that is taken while GObject is locked does not wait for the interpreter."""
        subprocess.run([sys.executable, "-c", STARTING], check=True, timeout=PATIENCE)

    def test_beside_a_main_loop(self):
        """That of the main thread goes on meanwhile."""
        done = []
        thread = threading.Thread(target=lambda: done.extend(
            self.in_threads(3, lambda i: asyncio.run(self.main(i, "executed")))))
        proxy, n = make("echo"), 0
        thread.start()
        while thread.is_alive():
            call = proxy(n)
            while not call.done():
                GLib.MainContext.default().iteration(True)
            self.assertEqual(call.result(), (n,))
            n += 1
        self.assertEqual(done, ["right"] * 3)

    def test_of_another_thread(self):
        """What cannot work is an exception where it is tried, and nothing else."""
        proxy = make("echo")
        context = GLib.MainContext.default()

        async def own(i):
            made = make("echo")  # gives the thread a context of its own
            await made(1)
            await made.close_async()
            await proxy(1)

        (error,) = self.in_threads(1, lambda i: asyncio.run(own(i)))
        self.assertIsInstance(error, RuntimeError)
        self.assertIn("belongs to the main context of another thread", str(error))
        self.assertTrue(context.acquire())
        try:
            async def foreign():
                await proxy(1)

            process = Afrpc.Process.new_exec("python")
            pool = Afrpc.Pool(process=Afrpc.Process.new_exec("python").eval(CODE), function="echo")
            args = GLib.Variant("(s)", ["x"])
            calls = [caller.start(args, None) for caller in (proxy, pool)]
            methods = [(process, "wait_sync"), (process, "set_process_group", True), (proxy.get_process(), "wait_sync"),
                       *((call, "wait") for call in calls), *((call, "wait_sync") for call in calls)]
            for caller in proxy, pool:
                methods += [(caller, name, *more) for name, *more in (
                    ("invoke", 1), ("invoke_sync", 1), ("call_kw", 1), ("call_kw_sync", 1), ("call", args, None, print),
                    ("call_full", args), ("call_full", args, None, None, print), ("call_full_sync", args),
                    ("call_sync", args), ("start", args, None), ("close",), ("close_sync",), ("close_async",), ("kill",),
                    ("events",), ("on_event", print), ("set_call_timeout_ms", 5), ("set_max_bytes_queued", 5),
                    ("set_max_calls_queued", 5))]
            methods += [(pool, name, *more) for name, *more in (
                ("add_template", process), ("remove_template", process), ("refresh",), ("map", [1]), ("starmap", [(1,)]),
                ("invoke_all", 1), ("invoke_all_sync", 1), ("call_all_async", args, None, None, print),
                ("call_all_sync", args, None, None), ("forget_call_all", None, None), ("wait_for_room_async",),
                *((name, 5) for name in dir(Afrpc.Pool) if name.startswith("set_") and not hasattr(GObject.Object, name)
                  and name != "set_hooks"))]
            for what, name, *more in methods:
                with self.subTest(f"{type(what).__name__}.{name}()"):
                    (error,) = self.in_threads(1, lambda i: getattr(what, name)(*more))
                    self.assertIs(type(error), RuntimeError, error)
                    self.assertIn("belongs to the main context of another thread", str(error))
            pool.kill()

            for function in (lambda i: proxy.invoke_sync(1), lambda i: proxy(1), lambda i: asyncio.run(foreign()),
                             lambda i: proxy.close(), lambda i: proxy.kill(), lambda i: proxy.close_async(),
                             lambda i: process.require("json"), lambda i: process.eval("pass"), lambda i: process.send_arg(1),
                             lambda i: process.send_fd(0), lambda i: process.set_nice(1), lambda i: process.fork(),
                             lambda i: process.kill(9), lambda i: process.wait_async(), lambda i: process.run_async("f"),
                             lambda i: process.to_fd_async(), lambda i: Afrpc.Proxy(process=process, function="f"),
                             lambda i: Afrpc.Pool(process=process, function="f"),
                             lambda i: Afrpc.Process.new_exec("python").eval("pass")):
                (error,) = self.in_threads(1, function)
                self.assertIs(type(error), RuntimeError)
                self.assertIn("belongs to the main context of another thread", str(error))
        finally:
            context.release()
        # Nothing has become of it for the thread that it belongs to.
        self.assertEqual(proxy.invoke_sync(1), (1,))

    def test_context_has_gone(self):
        """Who waits for what has ended with its main context is told so."""
        def own(i):
            context = GLib.MainContext()
            context.push_thread_default()
            try:
                process = Afrpc.Process.new_exec("python").eval(CODE)
                made = Afrpc.Pool(process=process, function="echo") if i else Afrpc.Proxy(process=process, function="echo")
                return made.start(GLib.Variant("(s)", ["x"]), None)
            finally:
                context.pop_thread_default()

        for call in self.in_threads(2, own):
            gc.collect()
            self.assertTrue(call.is_settled())
            with self.assertRaises(GLib.Error) as caught:
                call.wait_sync(None)
            self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.CLOSED), caught.exception)

    def test_beside_a_loop_of_asyncio(self):
        """What a loop drives from outside is used by its thread alone, also while that waits for something else: another
        thread is refused, and not, later, the loop's own."""
        def share():
            return make("echo").invoke_sync(1)

        async def in_thread(function):
            return await asyncio.to_thread(self.in_threads, 1, lambda i: function())

        def own():
            context = GLib.MainContext.new()
            context.push_thread_default()
            try:
                return share()
            finally:
                context.pop_thread_default()

        async def main(run):
            async with make("echo") as proxy:
                await proxy(1)
                for wrong in share, lambda: proxy.invoke_sync(1):
                    error, = await in_thread(wrong)
                    self.assertIsInstance(error, RuntimeError)
                    self.assertIn("belongs to the main context of another thread", str(error))
                    await proxy(1)
                self.assertEqual(await in_thread(own), [(1,)])
                self.assertEqual(await in_thread(lambda: run(self.main(1, "executed"))), ["right"])
            return "done"

        for run in asyncio.run, aio.run:
            self.assertEqual(run(main(run)), "done")
        # It is anybody's again.
        self.assertEqual(self.in_threads(1, lambda i: share()), [(1,)])

    def test_loops_of_one_main_context(self):
        """What two threads have made outside of their loops belongs to both: one of them is refused, if they are at once."""
        for _ in range(5):
            proxies = [make("echo") for _ in range(2)]
            barrier = threading.Barrier(2)

            async def call(i):
                barrier.wait()
                return await asyncio.wait_for(proxies[i](i), 60)

            outcomes = self.in_threads(2, lambda i: asyncio.run(call(i)))
            self.assertEqual([outcome for outcome in outcomes if not isinstance(outcome, RuntimeError) and
                              outcome not in ((0,), (1,))], [])

    def test_held(self):
        """While another thread has the main context of a loop, the loop asks again, now and then, and goes on later."""
        n_asked, wrong = 0, []
        run = aio._Pump._run

        def count(pump):
            nonlocal n_asked
            n_asked += 1
            run(pump)

        async def main():
            nonlocal n_asked
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: wrong.append(context))
            async with make("echo") as proxy:
                await proxy(1)
                for _ in range(5):
                    call = proxy(2)
                    held, given = threading.Event(), threading.Event()

                    def hold():
                        context = GLib.MainContext.default()
                        self.assertTrue(context.acquire())
                        held.set()
                        given.wait()
                        context.release()

                    thread = threading.Thread(target=hold)
                    thread.start()
                    held.wait()
                    n_asked = 0
                    while n_asked < 3:
                        await asyncio.sleep(0.001)
                    self.assertFalse(call.done())
                    begun, n_asked = loop.time(), 0
                    await asyncio.sleep(0.05)
                    self.assertLess(n_asked, (loop.time() - begun) * 100 + 3)
                    given.set()
                    thread.join()
                    self.assertEqual(await asyncio.wait_for(call, 60), (2,))

        with unittest.mock.patch.object(aio._Pump, "_run", count):
            asyncio.run(main())
        self.assertEqual(wrong, [])

    def test_one_proxy(self):
        """Many threads at once get their own result, or are refused."""
        proxy = make("echo")
        self.assertEqual(self.in_threads(1, lambda i: proxy.invoke_sync(i)), [(0,)])
        outcomes = self.in_threads(4, lambda i: [proxy.invoke_sync(i, j) for j in range(50)])
        for outcome in outcomes:
            if not isinstance(outcome, RuntimeError):
                self.assertEqual([j for _, j in outcome], list(range(50)))
        self.assertEqual(proxy.invoke_sync("still"), ("still",))


if __name__ == "__main__":
    unittest.main()
