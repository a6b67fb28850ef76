#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What surrounds a call in Python: contexts, signals, cancelling, options, loops that know nothing of GLib."""
import asyncio
import contextvars
import gc
import inspect
import os
import signal
import subprocess
import sys
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib  # noqa: E402

import afrpc  # noqa: E402
from afrpc import _options, aio  # noqa: E402
from python_calls import CODE, make  # noqa: E402

name = contextvars.ContextVar("name", default="nobody")


class Contexts(unittest.TestCase):
    async def ask(self, proxy, who):
        name.set(who)
        seen = []
        call = proxy(who, callback=lambda call: seen.append((call.result(), name.get())),
                     on_progress=lambda progress: seen.append((progress, name.get())))
        self.assertEqual(await call, who)
        await asyncio.sleep(0)
        self.assertEqual(name.get(), who)
        self.assertEqual(seen, [(who, who)] * 2)
        late = []
        call.add_done_callback(lambda call: late.append(name.get()))
        await asyncio.sleep(0)
        self.assertEqual(late, [who])

    async def main(self):
        events = []
        name.set("listener")
        async with make("tell", on_event=lambda event: events.append((event, name.get()))) as proxy:
            name.set("main")
            names = [f"user {i}" for i in range(5)]
            await asyncio.gather(*(self.ask(proxy, who) for who in names))
        self.assertEqual(events, [(who, "listener") for who in names])

    def test_of_tasks(self):
        asyncio.run(self.main())
        aio.run(self.main())

    def test_without_a_loop(self):
        proxy, seen = make("tell"), []
        context = contextvars.copy_context()
        context.run(name.set, "somebody")
        call = context.run(proxy, 1, callback=lambda call: seen.append(name.get()))
        context.run(call.add_done_callback, lambda call: seen.append(name.get()))
        call.add_done_callback(lambda call: seen.append(name.get()))
        while not call.done():
            GLib.MainContext.default().iteration(True)
        self.assertEqual(seen, ["somebody", "somebody", "nobody"])

    def test_used_again(self):
        """A callback that runs the main loop has callbacks of the same context called in it."""
        seen = []

        def progress_cb(value):
            seen.append((value, name.get()))
            if value == "outer":
                inner = proxy("inner", on_progress=progress_cb)
                while not inner.done():
                    GLib.MainContext.default().iteration(True)

        def run():
            name.set("same")
            call = proxy("outer", on_progress=progress_cb)
            while not call.done():
                GLib.MainContext.default().iteration(True)

        proxy = make("tell")
        contextvars.copy_context().run(run)
        self.assertEqual(seen, [("outer", "same"), ("inner", "same")])


class Signals(unittest.TestCase):
    def interrupt(self, code, expected):
        """In a process of its own; the signal is sent when the worker says that it runs the call."""
        program = f"""
import os, signal, sys, gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc
code = '''
import os, signal
def forever(pid, number):
    # Again and again, until it comes to somebody who waits.
    while not __import__("afrpc").is_cancelled():
        os.kill(pid, number)
        signal.sigtimedwait([], 0.01)
    return "cancelled"
def echo(x): return x
'''
proxy = Afrpc.Proxy(process=Afrpc.Process.new_exec("python").eval(code), function="forever")
{code}
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.stdout, expected, done.stderr)

    def test_interrupt(self):
        self.interrupt("""
try:
    proxy.invoke_sync(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("interrupted")
""", "interrupted\n")

    def test_one_signal(self):
        """It comes once, and whenever that is: while the worker starts, before anybody waits, and between two waits."""
        self.interrupt("""
class Once(Exception): pass
def handler(number, frame): raise Once
signal.signal(signal.SIGALRM, handler)
n = 0
for delay in (1e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2) * 3:
    fresh = Afrpc.Proxy(process=Afrpc.Process.new_for_host("python").eval(
        "import afrpc, time\\ndef forever():\\n    while not afrpc.is_cancelled(): time.sleep(0.01)"), function="forever")
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        fresh.invoke_sync()
    except Once:
        n += 1
    fresh.kill()
print(n)
""", "27\n")

    def test_written_caller(self):
        self.interrupt("""
from gi.repository import GLib, GObject
class Forwarder(GObject.Object, Afrpc.Caller):
    def do_begin(self, call, args, options):
        self.inner = Afrpc.Caller.start(proxy, args, None)
        self.inner.wait(None, self.settled, call)
    def settled(self, inner, result, call):
        try:
            call.return_value(inner.wait_finish(result), None)
        except GLib.Error as error:
            call.return_error(inner.get_started(), error)
    def do_cancel(self, call):
        self.inner.cancel()
try:
    Forwarder().call_sync(GLib.Variant("(ii)", (os.getpid(), signal.SIGINT)), None)
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("interrupted")
""", "interrupted\n")

    def test_handler(self):
        """One that raises ends the call, one that does not lets it go on, and may make others."""
        self.interrupt("""
class Enough(Exception): pass
n = 0
other = Afrpc.Proxy(process=Afrpc.Process.new_exec("python").eval("def echo(x): return x"), function="echo")
def handler(number, frame):
    global n
    n += 1
    if n == 1:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        print(other.invoke_sync("nested"), flush=True)
        signal.signal(signal.SIGUSR1, handler)
    if n == 3:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        raise Enough
signal.signal(signal.SIGUSR1, handler)
try:
    proxy.invoke_sync(os.getpid(), signal.SIGUSR1)
except Enough:
    print("enough", n)
""", "nested\nenough 3\n")

    def test_forked(self):
        """What a handler forks does not wait, and leaves the program's calls alone, whether it raises or returns."""
        self.interrupt("""
import tempfile
class Forked(Exception): pass
def handler(number, frame):
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    global child
    child = os.fork()
    if child == 0 and raises:
        raise Forked
def end(status):
    open(path, "w").close()
    os._exit(status)
def wait(function, *args):
    signal.signal(signal.SIGUSR1, handler)
    program = os.getpid()
    try:
        result = function(*args)
    except Exception as error:
        if os.getpid() == program:
            raise
        end(7 if type(error) is Forked else 8 if error.matches(Afrpc.error_quark(), Afrpc.Error.CLOSED) else 9)
    if os.getpid() != program:
        end(11)
    os.unlink(path)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), result, flush=True)
nap = '''
import os, time
def nap(pid, number, path):
    os.kill(pid, number)
    while not os.path.exists(path): # what was forked does not wait any more
        time.sleep(0.01)
    return "slept"
'''
folder = tempfile.TemporaryDirectory()
path = folder.name + "/forked"
args = os.getpid(), signal.SIGUSR1, path
for raises in True, False:
    own = Afrpc.Proxy(process=Afrpc.Process.new_exec("python").eval(nap), function="nap")
    pool = Afrpc.Pool(process=Afrpc.Process.new_for_host("python").eval(nap), function="nap", max_workers=1)
    for caller in own, own, pool, pool:
        wait(caller.invoke_sync, *args)
    wait(lambda: list(pool.map([args[0]], [args[1]], [path])))
    own(*args)
    wait(own.close_sync)
""", "7 slept\n" * 4 + "7 ['slept']\n7 True\n" + "8 slept\n" * 4 + "8 ['slept']\n8 True\n")

    def test_forked_in_a_thread(self):
        """The thread that has forked is the main one of the process that was: there handlers run while it blocks."""
        self.interrupt("""
import threading, time
def handler(number, frame):
    os._exit(7 if time.monotonic() < begun + 10 else 8)
def fork():
    global begun
    if os.fork() == 0:
        begun = time.monotonic()
        own = Afrpc.Proxy(process=Afrpc.Process.new_exec("python").eval(code), function="forever")
        signal.signal(signal.SIGUSR1, handler)
        try:
            own.invoke_sync(os.getpid(), signal.SIGUSR1, timeout_ms=20000)
        finally:
            os._exit(1)
    os.write(1, b"%d\\n" % os.waitstatus_to_exitcode(os.wait()[1]))
thread = threading.Thread(target=fork)
thread.start()
thread.join()
""", "7\n")

    # Signals come to another thread, as one may that comes just before the main thread waits, and so interrupt nothing.
    ELSEWHERE = """
import threading
class Enough(Exception): pass
def handler(number, frame):
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    raise Enough
def wait(function, *args, **keywords):
    signal.signal(signal.SIGUSR1, handler)
    try:
        print(function(*args, **keywords))
    except Enough:
        print("enough", flush=True)
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
args = (os.getpid(), signal.SIGUSR1)
variant = GLib.Variant("(ii)", args)
"""

    def test_another_thread(self):
        """What blocks ends nevertheless, soon."""
        self.interrupt(f"""
from gi.repository import GLib, GObject
{self.ELSEWHERE}
wait(proxy.invoke_sync, *args)
wait(proxy.call_sync, variant)
wait(proxy.start(variant).wait_sync)
pool = Afrpc.Pool(process=Afrpc.Process.new_for_host("python").eval(code), function="forever", max_workers=1)
wait(pool.invoke_sync, *args)
wait(lambda: list(pool.map([args[0]], [args[1]])))
pool.kill()
class Forwarder(GObject.Object, Afrpc.Caller):
    def do_begin(self, call, args, options):
        self.inner = proxy.start(args)
        self.inner.wait(None, self.settled, call)
    def settled(self, inner, result, call):
        try:
            call.return_value(inner.wait_finish(result), None)
        except GLib.Error as error:
            call.return_error(inner.get_started(), error)
    def do_cancel(self, call):
        self.inner.cancel()
wait(Forwarder().call_sync, variant)
proxy.start(variant)
wait(proxy.close_sync)
proxy.kill()
""", "enough\n" * 7)


class Endings(unittest.TestCase):
    async def end(self, enter, expected):
        """The body of "async with" ends by an exception while the worker runs what nobody can end."""
        proxy = make("stubborn")
        process = proxy.get_process()
        started = asyncio.get_running_loop().create_future()
        proxy.on_event(started.set_result)
        with self.assertRaises(expected):
            async with enter(started):
                async with proxy:
                    await proxy()
        self.assertTrue(proxy.is_closed())
        self.assertEqual((await process.wait_async()).get_signal(), signal.SIGKILL)

    def test_cancelled(self):
        class Cancel:
            def __init__(self, started):
                started.add_done_callback(lambda future, task=asyncio.current_task(): task.cancel())

            async def __aenter__(self):
                pass

            async def __aexit__(self, exc_type, exc, traceback):
                if exc_type is asyncio.CancelledError:
                    asyncio.current_task().uncancel()

        for run in asyncio.run, aio.run:
            run(self.end(Cancel, asyncio.CancelledError))

    def test_timed_out(self):
        def reschedule(started):
            timeout = asyncio.timeout(None)
            started.add_done_callback(lambda future: timeout.reschedule(0))
            return timeout

        for run in asyncio.run, aio.run:
            run(self.end(reschedule, TimeoutError))

    def test_cancelled_while_it_closes(self):
        async def main():
            proxy = make("stubborn")
            process = proxy.get_process()
            task = asyncio.current_task()
            proxy.on_event(lambda event: task.cancel())
            with self.assertRaises(asyncio.CancelledError):
                async with proxy:
                    proxy().add_done_callback(lambda call: call.exception())
            task.uncancel()
            self.assertEqual((await process.wait_async()).get_signal(), signal.SIGKILL)

        for run in asyncio.run, aio.run:
            run(main())

    def test_other_errors(self):
        """The worker does what it was asked for."""
        async def main():
            proxy = make("echo")
            with self.assertRaises(ValueError):
                async with proxy:
                    call = proxy(1)
                    raise ValueError
            self.assertEqual(call.result(), (1,))
            self.assertTrue((await proxy.get_process().wait_async()).is_success())

        aio.run(main())

    def test_generator(self):
        async def body(proxy):
            async with proxy:
                await proxy()

        async def main():
            proxy = make("stubborn")
            started = asyncio.get_running_loop().create_future()
            proxy.on_event(started.set_result)
            coroutine = body(proxy)
            coroutine.send(None)
            await started
            coroutine.close()
            self.assertEqual((await proxy.get_process().wait_async()).get_signal(), signal.SIGKILL)

        aio.run(main())

    def test_idle_in_a_foreign_loop(self):
        async def main():
            for how in "close", "kill", "with":
                proxy = make("echo")
                gone = asyncio.get_running_loop().create_future()
                proxy.connect("destroyed", lambda proxy: gone.set_result(None))
                self.assertEqual(await proxy(1), (1,))
                if how == "with":
                    with proxy:
                        pass
                else:
                    getattr(proxy, how)()
                await asyncio.wait_for(gone, 60)

        asyncio.run(main())

    def test_shared_cancellable(self):
        async def main():
            cancellable = Gio.Cancellable()
            proxy = make("echo")
            process = proxy.get_process()
            await proxy(1)
            for _ in range(2):
                waiting = process.wait_async(cancellable)
                waiting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
                self.assertFalse(cancellable.is_cancelled())
            waiting = process.wait_async(cancellable)
            cancellable.cancel()
            for call in waiting, process.wait_async(cancellable):
                with self.assertRaises(GLib.Error) as caught:
                    await call
                self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
            proxy.kill()

        aio.run(main())


class Options(unittest.TestCase):
    def test_wrong_values(self):
        proxy = make("echo")
        pool = Afrpc.Pool(process=Afrpc.Process.new_exec("python").eval(CODE), function="echo")
        self.addCleanup(pool.kill)
        for option, value, error, words in (
                ("timeout_ms", "x", TypeError, "an int, not of type str"), ("timeout_ms", -1, ValueError, "between 0 and"),
                ("timeout_ms", 1.5, TypeError, "an int, not of type float"), ("timeout_ms", 1 << 70, ValueError, "between"),
                ("timeout_ms", 1 << 31, ValueError, "between 0 and 2147483647, not 2147483648"),
                ("execution_timeout_ms", -5, ValueError, "between 0 and 4294967295, not -5"),
                ("execution_timeout_ms", "x", TypeError, "an int"), ("signature", 5, TypeError, "a str, not of type int"),
                ("cancellable", 5, TypeError, "a Gio.Cancellable"), ("fds", 5, TypeError, "a list"),
                ("fds", ["x"], TypeError, "numbers of file descriptors"), ("fds", [-1], ValueError, "-1"),
                ("label", 5, TypeError, "a str"), ("label", "\udc00", ValueError, "surrogates"),
                ("function", b"x", TypeError, "a str, not of type bytes"), ("affinity", [], TypeError, "a str"),
                ("priority", "x", TypeError, "an int"), ("priority", 1 << 40, ValueError, "between -"),
                ("metadata", 5, TypeError, "type int cannot be sent as 'a{sv}'"),
                ("metadata", {"a": object()}, TypeError, "key 'a': a value of type object"),
                ("on_progress", 5, TypeError, "callable"), ("progress_mode", "x", TypeError, "an int"),
                ("progress_mode", 99, ValueError, "between 0 and 1"), ("callback", 5, TypeError, "callable"),
                ("result_fds", 5, TypeError, "a list")):
            for function in proxy, proxy.invoke_sync:
                if option == "result_fds" and function is proxy or \
                        option in ("on_progress", "progress_mode", "callback") and function is not proxy:
                    continue
                with self.subTest(option=option, value=value):
                    with self.assertRaises(error) as caught:
                        function(1, **{option: value})
                    self.assertIn(f"'{option}'", str(caught.exception))
                    self.assertIn(words, str(caught.exception))
        for option, words in (("timeout", "did you mean 'timeout_ms'?"), ("fd", "did you mean 'fds'?"), ("idempotence", "'idempotent'"),
                              ("c", "call_kw")):
            for call in proxy, proxy.invoke_sync, lambda *args, **options: list(pool.map([1], **options)):
                with self.subTest(option), self.assertRaises(TypeError) as caught:
                    call(1, **{option: 5})
                self.assertIn(f"no option '{option}': ", str(caught.exception))
                self.assertIn(words, str(caught.exception))
        for option in "callback", "on_progress", "progress_mode", "raw", "result_fds":
            with self.assertRaisesRegex(TypeError, f"^a call of this kind has no option '{option}': others have$"):
                pool.invoke_all_sync(1, **{option: None})
        with self.assertRaisesRegex(TypeError, "^a call of this kind has no option 'result_fds': others have$"):
            proxy(1, result_fds=[])
        with self.assertRaisesRegex(GLib.Error, "'fds': 9999: "):
            proxy.invoke_sync(fds=[0, 9999])
        self.assertEqual(proxy.invoke_sync(1, label=None, timeout_ms=None, fds=None), (1,))
        proxy.kill()

    def test_all_options_are_known(self):
        known = {spec.name.replace("-", "_") for spec in Afrpc.CallOptions.list_properties()}
        for function in Afrpc.Proxy.invoke, Afrpc.Proxy.invoke_sync:
            known |= {name for name, parameter in inspect.signature(function).parameters.items()
                      if parameter.kind is parameter.KEYWORD_ONLY}
        self.assertEqual(sorted(_options.OPTIONS), sorted(known))

    def test_what_blocks_calls_nothing(self):
        proxy = make("echo")
        for option in "on_progress", "progress_mode", "callback":
            with self.assertRaisesRegex(TypeError, f"no option '{option}': it waits"):
                proxy.invoke_sync(1, **{option: print})
        proxy.kill()

    def test_as_in_c_and_awaited(self):
        async def main():
            async with make("tell") as proxy:
                options = Afrpc.CallOptions(metadata=GLib.Variant("a{sv}", {}))
                value, fds = await proxy.call_full(GLib.Variant("(s)", ("x",)), options)
                self.assertEqual((value.unpack(), fds), ("x", None))
                call = proxy.start(GLib.Variant("(s)", ("y",)), options)
                self.assertEqual([value.unpack() for value in await asyncio.gather(call.wait(), call.wait())], ["y", "y"])
                waiting = call.wait()
                waiting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
                self.assertEqual(call.wait_sync(None).unpack(), "y")
                with self.assertRaises(Afrpc.RemoteError):
                    await proxy.start(GLib.Variant("(ss)", ("too", "many")), None).wait()

        aio.run(main())

    def test_blocking(self):
        with self.assertRaises(Afrpc.TimeoutError):
            make("forever").invoke_sync(timeout_ms=1)
        here, there = os.pipe()
        numbers = []
        try:
            self.assertEqual(make("open_file").invoke_sync(fds=[there], result_fds=numbers), 0)
            self.assertEqual(len(numbers), 1)
            os.write(numbers[0], b"written")
            self.assertEqual(os.read(here, 10), b"written")
        finally:
            for fd in here, there, *numbers:
                os.close(fd)
        for wrong in {"timeout_ms": "1"}, {"fds": 5}, {"result_fds": ()}, {"cancellable": 5}:
            with self.assertRaises(TypeError):
                make("echo").invoke_sync(**wrong)
        cancellable = Gio.Cancellable()
        cancellable.cancel()
        with self.assertRaises(GLib.Error):
            make("forever").invoke_sync(cancellable=cancellable)

    def test_named(self):
        proxy = make("named", hook=lambda tag, value: f"{tag} {value}")
        self.assertEqual(proxy.call_kw_sync(1, a=2, signature="x", b=[3]),
                         ((1,), {"a": 2, "signature": "x", "b": [3]}))
        self.assertEqual(proxy.call_kw_sync(), ((), {}))
        self.assertEqual(proxy.call_kw_sync(*range(40), a=b"b"), (tuple(range(40)), {"a": b"b"}))
        # It is the last argument or none, and a dictionary.
        tagged = Afrpc.Tagged("afrpc.keywords", {"a": 1})
        for args in (tagged, 1), ([tagged],), (Afrpc.Tagged("afrpc.keywords", 5),), (Afrpc.Tagged("other", {}),):
            self.assertEqual(len(proxy.invoke_sync(*args)[0]), len(args))
            self.assertEqual(proxy.invoke_sync(*args)[1], {})
        with self.assertRaises(TypeError):
            make("echo").call_kw_sync(a=1)

    def test_named_in_async_workers(self):
        async def main():
            for function in "named_later", "named_invocation":
                async with make(function, backend=Afrpc.Backend.ASYNC) as proxy:
                    self.assertEqual((await proxy.call_kw(1, b=2))[:2], (1, 2))
                    with self.assertRaises(TypeError):
                        await proxy.call_kw(1, d=2)

        aio.run(main())

    def test_plain_in_async_workers(self):
        """Who does not know that an invocation comes first is told so, and nobody else."""
        async def main():
            for code in "", "import asyncio":
                async with make("plain", code, backend=Afrpc.Backend.ASYNC) as proxy:
                    with self.assertRaisesRegex(TypeError, r"takes 1 positional argument but 2 were given \(in the async backend"):
                        await proxy(1)
                async with make("picky", code, backend=Afrpc.Backend.ASYNC) as proxy:
                    with self.assertRaises(TypeError) as caught:
                        await proxy(1)
                    self.assertEqual(str(caught.exception), "not that")
            for properties in {}, {"backend": Afrpc.Backend.ASYNC}:
                proxy = make("generate", **properties)
                proxy.connect("error", lambda proxy, error: None)
                with self.assertRaisesRegex(GLib.Error, "'generate' is an async generator function, and a call has one result"):
                    await proxy(1)

        aio.run(main())

    def test_returned_in_vain(self):
        """What a plain function of the async backend returns is no answer, and does not say that there will be none."""
        code = """
def later(invocation, kept=[]):
    if kept:
        kept.pop().return_value("first")
        invocation.return_value("second")
    else:
        kept.append(invocation)
    return "ignored"
def answered(invocation):
    invocation.return_value("answered")
    return "ignored"
def nothing(invocation):
    pass
"""

        async def main():
            for more in code, "import asyncio" + code:
                async with make("echo", more, backend=Afrpc.Backend.ASYNC) as proxy:
                    for function, is_ignored in ("echo", True), ("nothing", False):
                        with self.assertRaises(GLib.Error) as caught:
                            await proxy(function=function)
                        self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.NO_RESULT))
                        self.assertIn(f"'{function}' dropped the call without an answer", caught.exception.message)
                        self.assertEqual("gets an afrpc.Invocation" in caught.exception.message, is_ignored)
                    self.assertEqual(await proxy(function="answered"), "answered")
                    self.assertEqual(await asyncio.gather(proxy(function="later"), proxy(function="later")), ["first", "second"])

        aio.run(main())

    def test_names_elsewhere(self):
        """Who does not know of names says so before anything is sent."""
        async def ask(caller):
            await caller.call_kw(1, a=2)

        python = Afrpc.Process.new_exec("python").eval(CODE)
        for host in "gjs", "perl", "c", None:
            other = Afrpc.Process.new_exec(host)
            later, renewed = (Afrpc.Pool(process=python, function="named", max_workers=1) for _ in range(2))
            later.add_template(other)
            renewed.refresh(other)
            for caller in (Afrpc.Proxy(process=other.fork(), function="named"),
                           Afrpc.Pool(process=other, function="named"), later, renewed):
                caller.connect("error", lambda caller, error: None)
                for call in lambda: caller.call_kw_sync(1, a=2), lambda: aio.run(ask(caller)):
                    words = f"^'named': a function of the host '{host or 'c'}' has no arguments with names"
                    with self.assertRaisesRegex(TypeError, words) as raised:
                        call()
                    self.assertEqual(raised.exception.started, Afrpc.Started.NO)
                caller.kill()
        proxy = make("named", serialiser="bytes")
        with self.assertRaisesRegex(TypeError, "cannot be sent by the serialiser 'bytes'"):
            proxy.call_kw_sync("x", a="y")
        self.assertEqual(make("named", serialiser="json").call_kw_sync(1, a=2), ((1,), {"a": 2}))

    def test_named_beside_hooks(self):
        process = Afrpc.Process.new_exec("python").eval(
            CODE + "\nafrpc.set_hooks(hook=lambda tag, value: (tag, value))\n")
        proxy = Afrpc.Proxy(process=process, function="named")
        self.assertEqual(proxy.call_kw_sync(Afrpc.Tagged("t", 1), a=Afrpc.Tagged("u", 2)),
                         ((("t", 1),), {"a": ("u", 2)}))

    def test_chained(self):
        process = Afrpc.Process.new_exec("python").set_nice(3).setenv("A", "b", True).unsetenv("B").set_cwd("/")
        proxy = Afrpc.Proxy(process=process.eval("import os\ndef f(): return os.nice(0), os.environ['A'], os.getcwd()"),
                            function="f")
        self.assertEqual(proxy.invoke_sync(), (os.nice(0) + 3, "b", "/"))
        self.assertEqual(Afrpc.Process.setenv.__name__, "setenv")

    def test_environment(self):
        """What a process that is forked has of its own is what its functions and those of the C library see."""
        template = Afrpc.Process.new_exec("python").setenv("A", "old", True).setenv("B", "old", True)
        template.eval("import os, subprocess\ndef f(): return os.environ.get('A'), os.environ.get('B'), os.environ.get('C'), "
                      "subprocess.run(['printenv', 'A'], capture_output=True, text=True).stdout.strip()")
        for process, expected in ((template.fork().setenv("A", "new", True).unsetenv("B").setenv("C", "", True),
                                   ("new", None, "", "new")),
                                  (template.fork(), ("old", "old", None, "old")),
                                  (template.fork().set_environ(["A=only", "PATH=" + os.environ["PATH"]]),
                                   ("only", None, None, "only"))):
            proxy = Afrpc.Proxy(process=process, function="f")
            self.assertEqual(proxy.invoke_sync(), expected)
            proxy.close_sync()

    def test_version(self):
        self.assertRegex(afrpc.__version__, r"^\d+\.\d+\.\d+$")

    def test_incomplete(self):
        process = Afrpc.Process.new_exec("python")
        for cls in Afrpc.Proxy, Afrpc.Pool:
            for given, missing in ({}, "process"), ({"process": process}, "function"), ({"function": "f"}, "process"), \
                    ({"process": None, "function": "f", "log": True}, "process"):
                with self.assertRaisesRegex(TypeError, f"^{cls.__name__} needs .*, as its argument '{missing}'$"):
                    cls(**given)

    def test_repr(self):
        proxy = make("echo")
        self.assertEqual(repr(proxy), "<Afrpc.Proxy of echo in <Afrpc.Process python>>")
        proxy.invoke_sync()
        self.assertEqual(repr(proxy.get_process()), f"<Afrpc.Process python, pid {proxy.get_process().get_pid()}>")
        proxy.close_sync()
        self.assertTrue(repr(proxy).endswith(", closed>"))

        async def end():
            return await proxy.get_process().wait_async()

        self.assertRegex(repr(aio.run(end())), r"^<Afrpc.Exit: process \(pid [0-9]+\) exited with status 0>$")

    def test_refused_at_once(self):
        proxy = make("echo")
        for refused in (lambda: proxy.on_event(5), lambda: proxy.events("5"), lambda: proxy.events(0),
                        lambda: Afrpc.Proxy(process=Afrpc.Process.new_exec("python"), function="f", on_event=5)):
            self.assertRaises(TypeError, refused)


class Started(unittest.TestCase):
    """However a call is made, what is raised says whether it had been started, and what it was."""

    NO, YES = Afrpc.Started.NO, Afrpc.Started.YES

    def check(self, started, kind, function, *args):
        with self.assertRaises(kind) as caught:
            function(*args)
        self.assertEqual(caught.exception.started, started)
        return caught.exception

    def settle(self, begin, finish):
        outcome = []
        begin(lambda source, result: outcome.append((source, result)))
        while not outcome:
            GLib.MainContext.default().iteration(True)
        return finish(*outcome[0])

    def test_ways(self):
        proxy = make("fail")
        ways = [lambda: proxy.call_sync(None, None),
                lambda: proxy.call_sync(),
                lambda: proxy.call_full_sync(None, None, None),
                lambda: Afrpc.Caller.call_sync(proxy, None, None),
                lambda: proxy.start(None, None).wait_sync(None),
                lambda: proxy.invoke_sync(),
                lambda: self.settle(lambda cb: proxy.call(None, None, cb), lambda proxy, result: proxy.call_finish(result)),
                lambda: self.settle(lambda cb: proxy.call_full(None, None, None, cb),
                                    lambda proxy, result: proxy.call_full_finish(result)),
                lambda: self.settle(lambda cb: proxy.start(None, None).wait(None, cb),
                                    lambda call, result: call.wait_finish(result))]
        for way in ways:
            self.assertIsInstance(self.check(self.YES, KeyError, way), Afrpc.RemoteError)
        self.assertEqual(proxy.call_full_sync(GLib.Variant("(s)", ("x",)), Afrpc.CallOptions(function="echo"), None)[0].unpack(),
                         ("x",))
        self.assertTrue(proxy.close_sync(None))
        self.check(self.NO, GLib.Error, proxy.call_sync, None, None)

    def test_not_sent(self):
        proxy = make("echo")
        self.check(self.NO, TypeError, proxy.invoke_sync, object())
        self.check(self.NO, TypeError, aio.run, self.rest(proxy, "echo", object()))
        with self.assertRaises(TypeError) as caught:
            proxy(1, metadata=5)
        self.assertEqual(caught.exception.started, self.NO)
        proxy.close_sync(None)

    def test_cancelled(self):
        async def run():
            proxy = make("forever")
            for started in self.YES, self.NO:
                begun = asyncio.get_running_loop().create_future()
                handler = proxy.on_event(begun.set_result)
                running = proxy()
                self.assertEqual(running.get_started(), Afrpc.Started.UNKNOWN)
                await begun
                proxy.disconnect(handler)
                call = running if started == self.YES else proxy()
                call.cancel()
                self.assertEqual(call.get_started(), started)
                with self.assertRaises(asyncio.CancelledError) as caught:
                    await call
                self.assertEqual(caught.exception.started, started)
                running.cancel()
            task = asyncio.ensure_future(self.rest(proxy, "echo"))
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError) as caught:
                await task
            with self.assertRaises(TimeoutError) as caught:
                async with asyncio.timeout(0):
                    await proxy()
            self.assertIsInstance(caught.exception.__context__.started, Afrpc.Started)
            await proxy.close_async()
            call = proxy()
            with self.assertRaises(GLib.Error) as caught:
                await call
            self.assertEqual((caught.exception.started, call.get_started()), (self.NO, self.NO))

        aio.run(run())

    async def rest(self, proxy, function, *args):
        try:
            await proxy(*args, function=function)
        except asyncio.CancelledError as error:
            self.assertIsInstance(error.started, Afrpc.Started)
            raise


class NotSent(unittest.TestCase):
    """What cannot be sent is an error of its call, and of no other."""

    def test_beside_others(self):
        async def main():
            async with make("echo") as proxy:
                values = 1, object(), 3, 2**64, 5
                outcomes = await asyncio.gather(*(proxy(value) for value in values), return_exceptions=True)
                call = proxy(1, {"a": "\0"})
                self.assertTrue(call.done())
                with self.assertRaisesRegex(ValueError, "argument 2, key 'a'"):
                    await call
                with self.assertRaises(TypeError) as caught:
                    await proxy.call_kw(a=object())
                return outcomes, call, caught.exception

        (one, two, three, four, five), call, keyword = aio.run(main())
        self.assertEqual((one, three, five), ((1,), (3,), (5,)))
        for error, kind in (two, TypeError), (four, OverflowError), (call.exception(), ValueError), (keyword, TypeError):
            self.assertIs(type(error), kind)
            self.assertEqual(error.started, Afrpc.Started.NO)
            # Where it was made: in a loop over values, too.
            self.assertRegex(error.__notes__[-1], f'^of the call in File "{__file__}", line \\d+, in (main|<genexpr>)$')
        self.assertEqual((call.get_started(), call.get_exit()), (Afrpc.Started.NO, None))

    def test_without_loop(self):
        """Who is told by a callback is told later, as of everything else."""
        told, proxy, context = [], make("echo"), GLib.MainContext.default()
        call = proxy(object(), callback=told.append)
        given_up = proxy(object(), callback=told.append)
        self.assertEqual((told, call.done(), given_up.cancel()), ([given_up], False, True))
        while not call.done():
            context.iteration(True)
        self.assertEqual(told, [given_up, call])
        self.assertIsInstance(call.exception(), TypeError)
        self.assertTrue(given_up.cancelled())
        with self.assertRaises(asyncio.CancelledError) as caught:
            given_up.result()
        self.assertEqual(caught.exception.started, Afrpc.Started.NO)
        while context.iteration(False):
            pass
        self.assertEqual(told, [given_up, call])
        proxy.close_sync()

    def test_never_asked_for(self):
        told = []

        async def main():
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
            async with make("echo") as proxy:
                proxy(object())
                gc.collect()

        aio.run(main())
        self.assertEqual([type(error) for error in told], [TypeError])

    def test_what_is_wrong_with_the_call(self):
        """An option, and what should end the program, are no matter of an outcome."""
        proxy = make("echo")
        for wrong, kind in (({"signature": "(a)"}, ValueError), ({"signature": "(*)"}, ValueError),
                            ({"signature": "\ud800"}, ValueError), ({"signature": "i\0s"}, ValueError),
                            ({"signature": 5}, TypeError), ({"signature": ""}, ValueError), ({"label": 5}, TypeError),
                            ({"metadata": {"a": object()}}, TypeError), ({"fds": [9999]}, GLib.Error),
                            ({"fds": [object()]}, TypeError), ({"fds": 3}, TypeError), ({"fds": [-1]}, ValueError),
                            ({"cancellable": 5}, TypeError), ({"timeout_ms": "x"}, TypeError), ({"callback": 5}, TypeError),
                            ({"on_progress": 5}, TypeError), ({"progress_mode": 7}, ValueError), ({"result_fds": 5}, TypeError)):
            for call in proxy, proxy.invoke_sync:
                with self.subTest(wrong, call=call), self.assertRaises(kind if call is proxy else Exception) as caught:
                    call(1, **wrong)
                self.assertEqual(caught.exception.started, Afrpc.Started.NO)
        for call in proxy.call_sync, proxy.call_full_sync, proxy.start:
            with self.assertRaises(TypeError) as caught:
                call(5)
            self.assertEqual(caught.exception.started, Afrpc.Started.NO)
        for kind in KeyboardInterrupt, StopIteration, SystemExit:
            def default(value):
                raise kind

            proxy.set_hooks(default=default)
            with self.assertRaises(kind):
                proxy(object())
        proxy.close_sync()


class Order(unittest.TestCase):
    @unittest.skipIf("AFRPC_TEST_NESTING" in os.environ, "a main loop runs between the signals")
    def test_end(self):
        """Who awaits goes on after the signals: what one of them has put in the worker's place is there."""
        said = []

        def renew(proxy=None):
            said.extend(["destroyed"] * (proxy is not None))
            self.proxy = make("leave", on_event=lambda event: None)
            self.proxy.connect("error", lambda proxy, error: said.append("error"))
            self.proxy.get_process().connect("exited", lambda process, exit: said.append("exited"))
            self.id = self.proxy.connect("destroyed", renew)

        async def main():
            with self.assertRaises(Afrpc.WorkerDied):
                await self.proxy()
            said.append("awaited")
            self.assertEqual(await self.proxy(5, function="echo"), (5,))
            self.proxy.disconnect(self.id)
            await self.proxy.close_async()

        renew()
        aio.run(main())
        self.assertEqual(said, ["error", "exited", "destroyed", "awaited", "exited"])
        said.clear()
        renew()
        call = self.proxy(callback=lambda call: said.append("called back"))
        while "destroyed" not in said:
            GLib.MainContext.default().iteration(True)
        self.assertIsInstance(call.exception(), Afrpc.WorkerDied)
        self.assertEqual(said, ["called back", "error", "exited", "destroyed"])
        self.proxy.disconnect(self.id)
        self.proxy.close_sync()


class Interrupted(unittest.TestCase):
    def setUp(self):
        self.is_armed = False
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, self.interrupted))

    def interrupted(self, number, frame):
        if self.is_armed:
            self.is_armed = False
            raise KeyboardInterrupt

    def interrupt(self, function, *args):
        """While it waits: whoever is waited for sends the signal, until it has heard of that."""
        self.is_armed = True
        with self.assertRaises(KeyboardInterrupt):
            function(*args)

    def test_all_that_block(self):
        signal_me = GLib.Variant("(ii)", (os.getpid(), signal.SIGINT))
        proxy = make("interrupt")
        self.interrupt(proxy.call_sync, signal_me, None)
        self.interrupt(proxy.call_full_sync, signal_me, None, None)
        self.interrupt(proxy.start(signal_me, None).wait_sync, None)
        call = proxy.start(signal_me, None)
        self.interrupt(proxy.close_sync, None)
        self.assertTrue(proxy.is_closed())
        proxy.kill()
        self.assertTrue(proxy.close_sync(None))
        with self.assertRaises(GLib.Error):
            call.wait_sync(None)

    def test_others_that_block(self):
        """What is not one call: the end of a process, the next call of a map, all workers."""
        me = (os.getpid(), signal.SIGINT)
        proxy = make("interrupt")
        process = proxy.get_process()
        call = proxy.start(GLib.Variant("(ii)", me))
        self.interrupt(process.wait_sync)
        stop = Gio.Cancellable()
        stop.cancel()
        with self.assertRaises(GLib.Error) as raised:
            process.wait_sync(stop)
        self.assertTrue(raised.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        process.kill(signal.SIGKILL)
        self.assertEqual(process.wait_sync().get_signal(), signal.SIGKILL)
        with self.assertRaises(Afrpc.WorkerDied):
            call.wait_sync()

        template = Afrpc.Process.new_exec("python").eval(CODE)
        with Afrpc.Pool(process=template, function="interrupt", max_workers=1) as pool:
            pool.invoke_sync(0, signal.SIGINT, function="echo")
            self.interrupt(pool.call_all_sync, GLib.Variant("(ii)", me))
            pool.kill()
        for name, *args in ("next_sync",), ("next_many_sync", 5):
            with Afrpc.Pool(process=template, function="interrupt", max_workers=1) as pool:
                results = pool.map_variant(GLib.Variant("a(ii)", [me]), None, None, 0)
                self.interrupt(getattr(results, name), *args)
                # What it waited for goes on.
                results.cancel()
                with self.assertRaises(GLib.Error):
                    while getattr(results, name)(*args):
                        pass
                pool.kill()

    def test_with_worker(self):
        """The worker gets it, too, and dies of it."""
        template = Afrpc.Process.new_exec("python").eval(
            "import os, signal\ndef die(pid): os.kill(pid, signal.SIGINT); os.kill(os.getpid(), signal.SIGKILL)")
        for _ in range(40):
            proxy = Afrpc.Proxy(process=template.fork(), function="die")
            self.interrupt(proxy.invoke_sync, os.getpid())
            proxy.close_sync()


if __name__ == "__main__":
    unittest.main()
