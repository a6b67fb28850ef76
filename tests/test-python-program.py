#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs in Python: calls, callbacks, coroutines on loops of every kind."""
import asyncio
import contextvars
import gc
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings
import weakref

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib  # noqa: E402

import afrpc.aio  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
WORKER = os.path.join(HERE, "workers", "python_worker.py")
C_WORKER = os.environ["AFRPC_TEST_WORKER"]
PATIENCE = 60  # seconds until what should have come is said to hang
context = GLib.MainContext.default()


def wait_until(condition):
    while not condition():
        context.iteration(True)


def make(function, **properties):
    process = Afrpc.Process.new_exec("python").require(WORKER)
    process.set_stderr(Afrpc.Stdio.CAPTURE)
    proxy = Afrpc.Proxy(process=process, function=function, **properties)
    proxy.connect("error", lambda proxy, error: None)
    return proxy


def make_async(function, **properties):
    return make(function, backend=Afrpc.Backend.ASYNC, **properties)


class Unraisable:
    """What Python says of exceptions that nobody takes."""

    def __enter__(self):
        self.old, self.seen = sys.unraisablehook, []
        sys.unraisablehook = lambda args: self.seen.append(str(args.exc_value))
        return self.seen

    def __exit__(self, *exc_info):
        sys.unraisablehook = self.old


class Calls(unittest.TestCase):
    def test_callback(self):
        proxy, order = make("echo"), []
        for i in range(3):
            call = proxy(i, callback=order.append)
        self.assertFalse(call.done())
        with self.assertRaises(asyncio.InvalidStateError):
            call.result()
        wait_until(call.done)
        self.assertEqual([call.result() for call in order], [(0,), (1,), (2,)])
        self.assertIsNone(call.exception())
        late = []
        call.add_done_callback(late.append)
        self.assertEqual(late, [call])
        self.assertEqual(repr(call), "<Afrpc.PendingCall done>")

    def test_as_in_c(self):
        proxy, order = make("echo"), []

        def cb(proxy, result, data):
            order.append((data, proxy.call_finish(result).unpack()))

        proxy.call(GLib.Variant("(i)", (1,)), None, cb, "data")
        proxy.call(None, None, cb, "none")
        wait_until(lambda: len(order) == 2)
        self.assertEqual(order, [("data", (1,)), ("none", ())])
        self.assertEqual(proxy.call_sync(GLib.Variant("(i)", (1,)), None).unpack(), (1,))
        call = proxy.call(1, "a")
        wait_until(call.done)
        self.assertEqual(call.result(), (1, "a"))

    def test_of_c(self):
        process = Afrpc.Process.new_exec(None).require(C_WORKER)
        proxy = Afrpc.Proxy(process=process, function="act")
        self.assertEqual(proxy.invoke_sync("return", (1, b"a"), signature="(sv)"), (1, b"a"))
        self.assertEqual(proxy.invoke_sync("return", 1), 1)  # what the function has declared decides
        with self.assertRaises(GLib.Error) as caught:
            proxy.invoke_sync(1, 1)
        self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.INVALID_ARGUMENTS))
        self.assertNotIsInstance(caught.exception, Afrpc.RemoteError)

    def test_chaining(self):
        process = Afrpc.Process.new_exec("python").require(WORKER, "json").eval("pass").send_arg(1)
        self.assertIs(process.send_fd(0), process)
        process.kill(signal.SIGKILL)

    def test_names_of_modules(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in "module.py", "möd.py":
                path = os.path.join(folder, name)
                with open(path, "w", encoding="utf-8") as file:
                    file.write("def give():\n return 5\n")
                for module in path, pathlib.Path(path), os.fsencode(path):
                    process = Afrpc.Process.new_exec("python").require(module)
                    with Afrpc.Proxy(process=process, function="give") as proxy:
                        self.assertEqual(proxy.invoke_sync(), 5)
        process = Afrpc.Process.new_exec("python")
        for wrong in b"/tmp/\xff.py", "/tmp/\udcff.py", pathlib.Path("/tmp/\udcff.py"), "a\0b", b"a\0b":
            with self.assertRaisesRegex(ValueError, "is not the name of a module: .*UTF-8"):
                process.require(wrong)
        for wrong in 5, None:
            with self.assertRaises(TypeError):
                process.require(wrong)

    def test_raw(self):
        proxy = make("one")
        result = proxy.invoke_sync(5, signature="(u)", raw=True)
        self.assertIsInstance(result, GLib.Variant)
        call = proxy({"a": 1}, raw=True)
        wait_until(call.done)
        self.assertEqual(call.result().get_type_string(), "a{sv}")

    def test_cancel(self):
        proxy, settled = make("until_cancelled"), []
        events = []
        proxy.on_event(events.append)
        running, waiting = proxy(callback=settled.append), proxy(callback=settled.append)
        wait_until(lambda: events)
        self.assertTrue(waiting.cancel() and running.cancel())
        self.assertEqual(settled, [waiting, running])
        for call in settled:
            self.assertTrue(call.done() and call.cancelled())
            with self.assertRaises(asyncio.CancelledError):
                call.result()
        wait_until(lambda: proxy.get_n_calls_queued() == 0)
        self.assertEqual(events, ["here", "cancelled"])

    def test_cancellable(self):
        proxy, cancellable = make_async("async_until_cancelled"), Gio.Cancellable()
        call = proxy(cancellable=cancellable)
        proxy.on_event(lambda event: cancellable.cancel())
        wait_until(call.done)
        self.assertTrue(call.exception().matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))

    def test_options(self):
        proxy = make("tell_metadata")
        call = proxy(1, metadata={"trace": b"id", "n": 7}, label="label", priority=-5, idempotent=True, affinity="key", wait_for_room=True,
                     timeout_ms=60000, execution_timeout_ms=60000)
        wait_until(call.done)
        self.assertEqual(call.result(), ({"trace": b"id", "n": 7}, (1,)))
        self.assertEqual(proxy.invoke_sync(2, metadata=None, label=None), ({}, (2,)))
        self.assertEqual(proxy.invoke_sync(3, function="echo"), (3,))
        with self.assertRaises(GLib.Error) as caught:
            proxy.invoke_sync(4, label="number 4", function="not_there")
        self.assertTrue(caught.exception.message.startswith("number 4: "), caught.exception.message)
        self.assertEqual(caught.exception.started, Afrpc.Started.NO)

    def test_started(self):
        proxy = make("raise_value_error")
        call = proxy("no")
        wait_until(call.done)
        self.assertEqual(call.exception().started, Afrpc.Started.YES)
        with self.assertRaises(ValueError) as caught:
            proxy.invoke_sync("no")
        self.assertEqual(caught.exception.started, Afrpc.Started.YES)
        proxy.close()
        with self.assertRaises(GLib.Error) as caught:
            proxy.invoke_sync("no")
        self.assertEqual(caught.exception.started, Afrpc.Started.NO)

    def test_bad_arguments(self):
        proxy = make("echo")
        for arguments in ({"execution_timeout_ms": -1}, {"execution_timeout_ms": 1 << 32}, {"label": 5}, {"priority": "a"},
                          {"metadata": 5}, {"metadata": {5: 6}}, {"priority": 1 << 31}, {"affinity": b"a"}):
            for make_call in (proxy, proxy.invoke_sync):
                with self.assertRaises((TypeError, ValueError, OverflowError)):
                    make_call(1, **arguments)
        for arguments in ({"timeout_ms": -1}, {"timeout_ms": "a"}, {"cancellable": 5},
                          {"signature": 5}, {"signature": "((("}, {"nonsense": 1}):
            with self.assertRaises((TypeError, ValueError, OverflowError)):
                proxy(1, **arguments)
        self.assertEqual(proxy.get_n_calls_queued(), 0)

    def test_errors_nobody_asks_for(self):
        proxy = make("raise_value_error")
        with Unraisable() as seen:
            call = proxy("unseen")
            wait_until(call.done)
            del call
            asked = proxy("seen")
            wait_until(asked.done)
            asked.exception()
            del asked
            taken = proxy("seen")
            wait_until(taken.done)
            with self.assertRaises(Afrpc.RemoteError):
                taken.result()
            del taken
            gc.collect()
        self.assertEqual(seen, ["unseen"])

    def test_callbacks_that_raise(self):
        proxy, order = make("echo"), []

        def bad(call):
            raise ValueError("bad callback")

        with Unraisable() as seen:
            call = proxy(1, callback=bad)
            call.add_done_callback(order.append)
            wait_until(call.done)
        self.assertEqual((seen, order), (["bad callback"], [call]))

    def test_callbacks_taken_back(self):
        proxy, order = make("echo"), []
        call = proxy(1, callback=order.append)
        call.add_done_callback(order.append)
        self.assertEqual(call.remove_done_callback(order.append), 2)
        self.assertEqual(call.remove_done_callback(order.append), 0)
        wait_until(call.done)
        self.assertEqual(order, [])

    def test_callbacks_compared(self):
        """What compares callbacks may settle the call."""
        class Odd:
            def __call__(self, call):
                order.append(call)

            def __eq__(self, other):
                call.cancel()
                return False

        call, order = make("echo")(1), []
        for _ in range(3):
            call.add_done_callback(Odd())
        self.assertEqual(call.remove_done_callback(print), 0)
        self.assertEqual(order, [call] * 3)

    def test_contexts(self):
        variable = contextvars.ContextVar("variable", default=0)
        own = contextvars.copy_context()
        own.run(variable.set, 5)
        seen = []
        call = make("echo")()
        call.add_done_callback(lambda call: seen.append(variable.get()), context=own)
        call.add_done_callback(lambda call: seen.append(variable.get()))
        wait_until(call.done)
        self.assertEqual(seen, [5, 0])

    def test_no_loop(self):
        async def main():
            await make("echo")()

        with self.assertRaisesRegex(RuntimeError, "no event loop"):
            main().send(None)

    def test_dropped(self):
        """Whoever drops the proxy has its calls made; a callback that knows it is no leak."""
        proxy, order, exits = make("echo"), [], []
        process = proxy.get_process()
        process.connect("exited", lambda process, exit: exits.append(exit))
        proxy.keeps = [proxy]
        reference = weakref.ref(proxy)
        call = proxy(1, callback=lambda call, proxy=proxy: order.append(call.result()))
        del proxy
        gc.collect()
        wait_until(lambda: order)
        del call
        end = time.monotonic() + PATIENCE
        while not exits:
            self.assertLess(time.monotonic(), end, "it hangs")
            gc.collect()
            context.iteration(False)
        self.assertIsNone(reference())
        self.assertEqual(order, [(1,)])

    def test_no_leaks(self):
        proxy = make("one")
        proxy.invoke_sync(1)

        def work():
            calls = [proxy((i, "text", [b"bytes", None, {"a": 1.5}])) for i in range(50)]
            calls.append(proxy([1, {"a": object()}]))
            calls[-2].cancel()
            wait_until(lambda: all(call.done() for call in calls))
            self.assertIsInstance(calls[-1].exception(), TypeError)

        for _ in range(3):
            work()
        gc.collect()
        before = len(gc.get_objects())
        work()
        gc.collect()
        self.assertLessEqual(len(gc.get_objects()), before + 5)

    def test_with(self):
        destroyed = []
        with make("echo") as proxy:
            proxy.connect("destroyed", destroyed.append)
            call = proxy(1)
        self.assertTrue(proxy.is_closed())
        wait_until(lambda: destroyed)
        self.assertEqual(call.result(), (1,))

    def test_events(self):
        seen = []
        proxy = make("events", on_event=seen.append)
        self.assertEqual(proxy.invoke_sync(3), 3)
        wait_until(lambda: len(seen) == 3)
        proxy.disconnect(proxy.on_event(seen.append))
        self.assertEqual(seen, [0, 1, 2])

    def test_other_thread(self):
        """A thread with a main context of its own."""
        outcome = []

        def run():
            own = GLib.MainContext()
            own.push_thread_default()
            call = make("echo")(1)
            while not call.done():
                own.iteration(True)
            outcome.append(call.result())
            own.pop_thread_default()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        self.assertEqual(outcome, [(1,)])


class Coroutines:
    """What has to work on a loop of any kind."""

    def run_main(self, main):
        self.skipTest("only in its subclasses")

    def test_call(self):
        async def main():
            async with make("echo") as proxy:
                self.assertEqual(await proxy(1, "a", b"b"), (1, "a", b"b"))
                self.assertEqual(await proxy.call(None), (None,))
                call = proxy(2)
                self.assertEqual([await call, await call], [(2,), (2,)])
                self.assertIs(call.get_loop(), asyncio.get_running_loop())
                return proxy

        self.assertTrue(self.run_main(main()).is_closed())

    def test_errors(self):
        async def main():
            async with make("raise_value_error") as proxy:
                with self.assertRaises(Afrpc.RemoteError):
                    await proxy("x")
                results = await asyncio.gather(proxy("a"), proxy("b"), return_exceptions=True)
                self.assertEqual([str(result) for result in results],
                                 ["a", "b"])
                with self.assertRaises(Afrpc.RemoteError):
                    await asyncio.gather(proxy("a"), proxy("b"))

        self.run_main(main())

    def test_together(self):
        async def main():
            async with make_async("async_sleep") as proxy:
                calls = [proxy(0.03 * (3 - i), i) for i in range(3)]
                self.assertEqual(await asyncio.gather(*calls), [0, 1, 2])
                calls = [proxy(5.0, 1), proxy(0.01, 2)]
                self.assertEqual(await next(iter(asyncio.as_completed(calls))), 2)
                calls[0].cancel()
                done, pending = await asyncio.wait([proxy(5.0, 1), proxy(0.01, 2)],
                                                   return_when=asyncio.FIRST_COMPLETED)
                self.assertEqual((len(done), len(pending)), (1, 1))
                proxy.kill()
                (error,) = await asyncio.gather(*pending, return_exceptions=True)
                self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.DIED))

        self.run_main(main())

    def test_cancelled(self):
        async def main():
            async with make_async("async_until_cancelled") as proxy:
                events = proxy.events()
                task = asyncio.create_task(self.await_it(proxy))
                self.assertEqual(await anext(events), "here")
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                self.assertEqual(await anext(events), "cancelled")
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(proxy(), 0.01)
                with self.assertRaises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await proxy()
                calls = [proxy(), proxy()]
                calls[0].cancel("enough")
                self.assertEqual(str(calls[0].cancelled() and self.why(calls[0])), "enough")
                calls[1].cancel()
                results = await asyncio.gather(*calls, return_exceptions=True)
                self.assertEqual([type(result) for result in results], [asyncio.CancelledError] * 2)
                self.assertEqual([str(result) for result in results], ["enough", ""])
                group = asyncio.gather(proxy(), proxy())
                group.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await group

        self.run_main(main())

    def why(self, call):
        try:
            call.result()
        except asyncio.CancelledError as error:
            return error

    async def await_it(self, proxy):
        return await proxy()

    def test_shielded(self):
        async def main():
            async with make_async("async_sleep") as proxy:
                call = proxy(0.05, "done")
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(asyncio.shield(call), 0.001)
                self.assertEqual(await call, "done")

        self.run_main(main())

    def test_many(self):
        async def main():
            async with make("one") as proxy:
                numbers = list(range(3000))
                self.assertEqual(await asyncio.gather(*map(proxy, numbers)), numbers)

        self.run_main(main())

    def test_events(self):
        async def main():
            seen = []
            async with make("events") as proxy:
                events = proxy.events()
                call = proxy(100)
                async for event in events:
                    seen.append(event)
                    if event == 99:
                        proxy.close()
                self.assertEqual(await call, 100)
            self.assertEqual(seen, list(range(100)))
            with self.assertRaises(StopAsyncIteration):
                await anext(events)
            with self.assertRaises(StopAsyncIteration):
                await anext(proxy.events())

        self.run_main(main())

    def test_processes(self):
        async def main():
            process = Afrpc.Process.new_exec("python").require(WORKER).send_arg("x")
            end = process.wait_async()
            stream = await process.run_async("take_over")
            got = stream.get_input_stream().read_bytes(6, None).get_data()
            stream.get_output_stream().write_all(b"loud", None)
            stream.get_input_stream().read_bytes(4, None)
            stream.close(None)
            self.assertEqual(got, b"('x',)")
            self.assertTrue((await end).is_success())
            with self.assertRaises(GLib.Error):
                await Afrpc.Process.new_exec("klingon").run_async("f")
            template = Afrpc.Process.new_exec("python").require(WORKER)
            fd, pidfd = await template.to_fd_async()
            process = Afrpc.Process.new_from_fd("python", fd, pidfd)
            async with Afrpc.Proxy.new(process, "echo") as proxy:
                proxy.connect("error", lambda *args: None)
                self.assertEqual(await proxy(3), (3,))
                self.assertEqual(process.get_pid(), template.get_pid())
                end = template.wait_async()
                process.kill(signal.SIGTERM)
                self.assertEqual((await end).get_signal(), signal.SIGTERM)
            fd, pidfd = await Afrpc.Process.new_exec("python").require(WORKER).to_fd_async()
            os.close(pidfd)
            async with Afrpc.Proxy.new(Afrpc.Process.new_from_fd(None, fd), "echo") as proxy:
                self.assertEqual(await proxy(4), (4,))
            process = Afrpc.Process.new_exec("python")
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait_async(), 0.001)

        self.run_main(main())

    def test_death(self):
        async def main():
            proxy = make("exit_at_once")
            first, second = proxy(3), proxy(3)
            for call, code in (first, Afrpc.Error.DIED), (second, Afrpc.Error.NOT_STARTED):
                with self.assertRaises(GLib.Error) as caught:
                    await call
                self.assertTrue(caught.exception.matches(Afrpc.error_quark(), code))
            with self.assertRaises(GLib.Error) as caught:
                await proxy(3)
            self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.CLOSED))

        self.run_main(main())

    def test_with_other_io(self):
        async def main():
            here, there = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=here)
            there.sendall(b"line\n")
            async with make("echo") as proxy:
                line, result = await asyncio.gather(reader.readline(), proxy(1))
            self.assertEqual((line, result), (b"line\n", (1,)))
            child = await asyncio.create_subprocess_exec("echo", "hi", stdout=subprocess.PIPE)
            self.assertEqual((await child.communicate())[0], b"hi\n")
            self.assertEqual(await asyncio.to_thread(lambda: 5), 5)
            writer.close()
            there.close()

        self.run_main(main())


class OwnLoop(Coroutines, unittest.TestCase):
    def run_main(self, main):
        return afrpc.aio.run(main)

    def test_policy(self):
        asyncio.set_event_loop_policy(afrpc.aio.EventLoopPolicy())
        try:
            async def main():
                self.assertIsInstance(asyncio.get_running_loop(), afrpc.aio.EventLoop)
                return 5

            self.assertEqual(asyncio.run(main()), 5)
        finally:
            asyncio.set_event_loop_policy(None)

    def test_without_policies(self):
        """Python 3.16 is to have none, and 3.14 warns of them: who does not ask for one does not notice."""
        code = ("import asyncio, sys\nsys.modules['asyncio'].__dict__.pop('DefaultEventLoopPolicy', None)\n"
                "asyncio.__getattr__ = None\nfrom afrpc.aio import *\nfrom afrpc import aio\n"
                "async def main(): return 5\nassert aio.run(main()) == 5\n"
                "try: aio.EventLoopPolicy\nexcept (AttributeError, TypeError): print('none')\n")
        self.assertEqual(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout, "none\n")

    def test_glib_beside(self):
        """Sources of GLib run while asyncio does."""
        async def main():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            GLib.timeout_add(1, lambda: future.set_result("glib"))
            self.assertEqual(await future, "glib")
            future = loop.create_future()
            GLib.idle_add(lambda: loop.call_soon(future.set_result, "idle") and False)
            self.assertEqual(await future, "idle")

        self.run_main(main())

    def test_interrupted(self):
        """Ctrl-C ends the program as it does with asyncio."""
        code = ("import asyncio, os, signal, threading\nimport afrpc.aio\n"
                "async def main():\n"
                # A while later: nothing tells when the loop has begun to wait, which this is about.
                "    try:\n        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
                "        await asyncio.Event().wait()\n"
                "    except asyncio.CancelledError:\n        print('cancelled')\n        raise\n"
                "try:\n    afrpc.aio.run(main())\n"
                "except KeyboardInterrupt:\n    print('interrupted')\n")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout, "cancelled\ninterrupted\n", done.stderr)

    def test_exceptions_end_the_run(self):
        async def main():
            raise SystemExit(3)

        with self.assertRaises(SystemExit):
            self.run_main(main())
        loop = afrpc.aio.EventLoop()
        loop.call_soon(loop.stop)
        loop.run_forever()
        with self.assertRaises(RuntimeError):
            loop.run_until_complete(self.stops(loop))
        loop.close()
        loop.close()
        with self.assertRaises(RuntimeError):
            loop.run_forever()

    async def stops(self, loop):
        loop.stop()
        await asyncio.Event().wait()

    def test_forgotten(self):
        """Loops that nobody has closed may be collected by another thread."""
        ended = False

        def collect():
            while not ended:
                gc.collect()

        thread = threading.Thread(target=collect)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # seconds; the more often they alternate, the more is seen
        gc.disable()
        thread.start()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                for _ in range(2000):
                    afrpc.aio.EventLoop()
                    for _ in range(5):
                        context.iteration(False)
        finally:
            ended = True
            thread.join()
            gc.enable()
            sys.setswitchinterval(interval)

    def test_timers(self):
        async def main():
            loop = asyncio.get_running_loop()
            order = []
            start = loop.time()
            for i, delay in enumerate((0.03, 0.01, 0.02, 0)):
                loop.call_at(start + delay, order.append, i)
            handles = [loop.call_later(3600, order.append, "never") for _ in range(200)]
            for handle in handles:
                handle.cancel()
            await asyncio.sleep(0.05)  # a timer too, and behind the others
            self.assertGreaterEqual(loop.time() - start, 0.05)
            self.assertEqual(order, [3, 1, 2, 0])

        self.run_main(main())


class ForeignLoop(Coroutines, unittest.TestCase):
    """Python's own loop, which knows nothing of GLib."""

    def run_main(self, main):
        return asyncio.run(main)


class MainLoop(Coroutines, unittest.TestCase):
    """A main loop in C, as that of a GTK application: asyncio is a guest."""

    def run_main(self, main):
        loop = GLib.MainLoop()
        task = afrpc.aio.create_task(main)
        task.add_done_callback(lambda task: loop.quit())
        loop.run()
        return task.result()


if __name__ == "__main__":
    unittest.main()
