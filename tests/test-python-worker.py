#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Workers in Python, from a program in Python."""
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib  # noqa: E402

# Workers buffer what they print, as they do by default.
os.environ.pop("PYTHONUNBUFFERED", None)

HERE = os.path.dirname(os.path.abspath(__file__))
WORKER = os.path.join(HERE, "workers", "python_worker.py")
context = GLib.MainContext.default()


def wait_until(condition):
    while not condition():
        context.iteration(True)


class Case(unittest.TestCase):
    """Each worker runs once by itself, and once forked from a template."""

    forked = False

    def process(self):
        if not self.forked:
            return Afrpc.Process.new_exec("python").require(WORKER)
        if not hasattr(type(self), "template"):
            type(self).template = Afrpc.Process.new_exec("python").require(WORKER)
        return self.template.fork()

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "template"):
            del cls.template

    def make(self, function, process=None, **properties):
        process = process or self.process()
        process.set_stderr(Afrpc.Stdio.CAPTURE)
        process.connect("exited", lambda process, exit: self.exits.append(exit))
        proxy = Afrpc.Proxy(process=process, function=function, **properties)
        proxy.connect("error", lambda proxy, error: self.errors.append(error))
        proxy.on_event(self.events.append)
        return proxy

    def make_async(self, function, **properties):
        return self.make(function, backend=Afrpc.Backend.ASYNC, **properties)

    def setUp(self):
        self.events, self.errors, self.exits = [], [], []

    def end(self, proxy):
        proxy.close()
        wait_until(lambda: self.exits)
        return self.exits[0]

    def settle(self, *calls):
        wait_until(lambda: all(call.done() for call in calls))
        return [call.exception() or call.result() for call in calls]

    def assert_code(self, error, code):
        self.assertTrue(error.matches(Afrpc.error_quark(), code), error)

    def fails(self, proxy, *args):
        with self.assertRaises(GLib.Error) as caught:
            proxy.invoke_sync(*args)
        return caught.exception

    def fails_remotely(self, proxy, *args):
        error = self.fails(proxy, *args)
        self.assertIsInstance(error, Afrpc.RemoteError)
        self.assert_code(error, Afrpc.Error.REMOTE)
        return error


class Values(Case):
    VALUES = (True, False, 0, -1, 2**63 - 1, -2**63, 1.5, float("inf"), "", "ä\U0001f600", b"",
              b"\0\xff", None, (), (1,), (1, ("a", b"b"), None), [], [1, "a", None, [2.5]], {},
              {"a": 1, "": [2]}, {1: "a", -2: b"b"}, [{"a": ({1: [()]},)}])

    def test_there_and_back(self):
        proxy = self.make("echo")
        self.assertEqual(proxy.invoke_sync(*self.VALUES), self.VALUES)
        self.assertEqual(proxy.invoke_sync(), ())
        self.assertIs(proxy.invoke_sync(True)[0], True)
        many = tuple(range(100))
        self.assertEqual(proxy.invoke_sync(*many), many)

    def test_types(self):
        proxy = self.make("kinds")
        self.assertEqual(proxy.invoke_sync(bytearray(b"a"), memoryview(b"ab")[::2], 1, True, [], ()),
                         ["bytes", "bytes", "int", "bool", "list", "tuple"])

    def test_signature(self):
        proxy = self.make("one")
        for signature, value in (("y", 255), ("n", -32768), ("q", 65535), ("i", -1), ("u", 2**32 - 1),
                                 ("x", -1), ("t", 2**63 - 1), ("h", 3), ("d", 1.5), ("b", True),
                                 ("s", "a"), ("o", "/a/b"), ("g", "a{sv}"), ("ay", b"ab"),
                                 ("as", ["a", "b"]), ("a{su}", {"a": 1}), ("ms", None), ("ms", "a"),
                                 ("v", "a"), ("(u(sb))", (1, ("a", True))), ("aai", [[1], []]),
                                 ("a(si)", [("a", 1)]), ("{us}", (1, "a"))):
            with self.subTest(signature):
                self.assertEqual(proxy.invoke_sync(value, signature=f"({signature})"), value)
                if signature not in ("ay", "v"):
                    self.assertEqual(proxy.invoke_sync(GLib.Variant(signature, value)), value)
        self.assertEqual(proxy.invoke_sync(5, signature="u"), 5)
        self.assertEqual(proxy.invoke_sync(Afrpc.Variant("u", 7)), 7)
        self.assertEqual(proxy.invoke_sync(GLib.Variant("mv", None)), None)
        proxy = self.make("typed")
        self.assertEqual(proxy.invoke_sync("t", 2**63 - 1), 2**63 - 1)
        self.assertEqual(proxy.invoke_sync("v", 1), 1)

    def test_result_types(self):
        for function in "typed", "typed_by_gi":
            proxy = self.make(function)
            for signature, value in ("u", 5), ("as", ["a"]), ("(sy)", ("a", 1)):
                self.assertEqual(proxy.invoke_sync(signature, value, raw=True).get_type_string(),
                                 signature)
        proxy = self.make("one")
        for value, type in ((1, "x"), (1.0, "d"), ("a", "s"), (b"a", "ay"), (None, "mv"), ([], "av"),
                            ({}, "a{sv}"), ({1: 2}, "a{xv}"), ((1, "a"), "(xs)"), (True, "b")):
            self.assertEqual(proxy.invoke_sync(value, raw=True).get_type_string(), type)

    def test_refused(self):
        proxy = self.make("one")
        deep = []
        for _ in range(1000):
            deep = [deep]
        itself = []
        itself.append(itself)
        for value, kind in ((2**63, OverflowError), ({1, 2}, TypeError), (object(), TypeError),
                            ({1: 1, "a": 2}, TypeError), ({None: 1}, TypeError),
                            ({True: 1}, TypeError), ("a\0b", ValueError), ("\ud800", ValueError),
                            (deep, ValueError), (itself, ValueError), (print, TypeError),
                            ({"a": {1: object()}}, TypeError), ((1, [object()]), TypeError),
                            (1j, TypeError), (range(3), TypeError)):
            with self.subTest(kind=kind), self.assertRaises(kind):
                proxy.invoke_sync(value)
        for signature, value, kind in (("y", 256, OverflowError), ("u", -1, OverflowError),
                                       ("t", -1, OverflowError), ("s", 1, TypeError),
                                       ("i", "1", TypeError), ("i", True, TypeError),
                                       ("o", "a", ValueError), ("g", "?", ValueError),
                                       ("as", "ab", TypeError), ("(i)", (1, 2), TypeError),
                                       ("ai", [1, "a"], TypeError), ("a{si}", {"a": "b"}, TypeError),
                                       ("", 1, TypeError), ("a", 1, ValueError), ("*", 1, ValueError),
                                       ("d", "1", TypeError), ("b", 1, TypeError),
                                       ("u", GLib.Variant("i", 1), TypeError)):
            with self.subTest(signature), self.assertRaises(kind):
                proxy.invoke_sync(value, signature=f"({signature})")
        with self.assertRaisesRegex(TypeError, "of type int cannot be sent as 's'"):
            proxy.invoke_sync(1, signature="(s)")
        with self.assertRaisesRegex(ValueError, "^argument 1: '1ä+�' is not valid as 'o'$"):
            proxy.invoke_sync("1" + "ä" * 200, signature="(o)")
        self.assertEqual(proxy.invoke_sync("goes on"), "goes on")

    def test_deep(self):
        proxy = self.make("one")
        value = 1
        for n in range(1, 100):
            value = [value]
            (outcome,) = self.settle(proxy(value))
            if isinstance(outcome, ValueError):
                break
            self.assertEqual(outcome, value)
        self.assertGreater(n, 50)


class Sync(Case):
    def test_exceptions(self):
        proxy = self.make("raise_value_error")
        error = self.fails_remotely(proxy, "bäd: it is")
        self.assertEqual((error.type_name, error.text, str(error)),
                         ("ValueError", "bäd: it is", "bäd: it is"))
        self.assertRegex(error.traceback, r"(?s)^Traceback \(most recent call last\):\n"
                         r".*python_worker\.py.*in raise_value_error\n.*ValueError: bäd: it is$")
        self.assertIn("ValueError: bäd: it is\n\nTraceback", error.message)
        self.assertLess(len(self.fails_remotely(proxy, "x" * 1000000).message), 65536)
        self.assertTrue(self.end(proxy).is_success())

    def test_chained(self):
        error = self.fails_remotely(self.make("raise_chained"))
        self.assertEqual((error.type_name, error.text), ("RuntimeError", "second"))
        self.assertIn("KeyError: 'key'\n\nThe above exception", error.traceback)

    def test_strange_exceptions(self):
        error = self.fails_remotely(self.make("raise_strange"))
        self.assertEqual(error.type_name, "python_worker.Strange")
        self.assertEqual(self.fails_remotely(self.make("raise_interrupt")).type_name,
                         "KeyboardInterrupt")
        self.assertEqual(self.fails_remotely(self.make("raise_unsendable")).text, "a\\x00\\ud800b")

    def test_domains(self):
        error = self.fails(self.make("raise_domain"))
        self.assertTrue(error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_FOUND))
        self.assertEqual(error.message, "no such thing")
        error = self.fails(self.make("raise_gerror"))
        self.assertTrue(error.matches(GLib.file_error_quark(), GLib.FileError.NOENT))

    def test_inconvertible(self):
        for function, name in (("return_nothing_of_the_kind", "TypeError"),
                               ("return_too_deep", "ValueError"), ("return_itself", "ValueError"),
                               ("recurse", "RecursionError")):
            proxy = self.make(function)
            for _ in range(2):
                self.assertEqual(self.fails_remotely(proxy).type_name, name)

    def test_wrong_arguments(self):
        proxy = self.make("one")
        self.assertEqual(self.fails_remotely(proxy, 1, 2).type_name, "TypeError")
        self.assertEqual(proxy.invoke_sync(1), 1)

    def test_too_large(self):
        proxy = self.make("one", max_message_size=1000)
        self.assert_code(self.fails(proxy, b"x" * 2000), Afrpc.Error.TOO_LARGE)
        with self.assertRaises(ValueError):
            self.make("one").invoke_sync(*[1] * 300)

    def test_events(self):
        proxy = self.make("events")
        call = proxy(1000)
        self.assertEqual(self.settle(call), [1000])
        self.assertEqual(self.events, list(range(1000)))

    def test_flushed_before_death(self):
        proxy = self.make("event_then_die")
        (error,) = self.settle(proxy(100))
        self.assert_code(error, Afrpc.Error.DIED)
        self.assertEqual(self.events, list(range(100)))

    def test_retires(self):
        proxy = self.make("retire")
        notified = []
        proxy.connect("notify::retired", lambda proxy, pspec: notified.append((proxy.props.retired, list(self.events))))
        self.assertFalse(proxy.is_retired())
        for _ in range(2):
            self.assertEqual(self.settle(proxy()), [None])
        self.assertEqual(notified, [(True, [])])
        self.assertEqual(self.events, ["retired"] * 2)

    def test_threads(self):
        self.assertIn("main thread", self.make("event_by_thread").invoke_sync())

    def test_threads_run_between_calls(self):
        here, there = socket.socketpair()
        here.settimeout(60)
        with here, there:
            proxy = self.make("start_echoing", self.process().send_fd(there))
            proxy.invoke_sync(0)
            for _ in range(20):
                here.sendall(b"x")
                self.assertEqual(here.recv(1), b"x")

    def test_cancelled(self):
        proxy = self.make("until_cancelled")
        call = proxy()
        wait_until(lambda: self.events)
        self.assertTrue(call.cancel())
        self.assertTrue(call.cancelled())
        self.assertFalse(call.cancel())
        self.end(proxy)
        self.assertEqual(self.events, ["here", "cancelled"])

    def test_progress(self):
        proxy, seen = self.make("count_to"), []
        call = proxy(100, on_progress=seen.append)
        self.assertEqual(self.settle(call), [100])
        self.assertEqual(seen, list(range(100)))
        call = proxy(100, on_progress=seen.append, progress_mode=Afrpc.ProgressMode.LATEST)
        self.assertEqual(self.settle(call), [100])
        self.assertEqual(self.settle(proxy(100)), [100])
        self.assertEqual(self.settle(proxy(10, on_progress=seen.append, timeout_ms=60000)), [10])
        with self.assertRaises(TypeError):
            proxy(1, on_progress=5)

    def test_fds(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"content")
            file.flush()
            for function in "read_call_fd", "async_read_call_fd":
                file.seek(0)
                proxy = (self.make_async if "async" in function else self.make)(function)
                self.assertEqual(self.settle(proxy(0, fds=[file])), [b"content"])
                (error,) = self.settle(proxy(1, fds=[file.fileno()]))
                self.assertEqual(error.type_name, "IndexError")
                self.assertEqual(self.fails_remotely(proxy, 0).type_name, "IndexError")
            for function in "open_file", "async_open_file":
                proxy = (self.make_async if "async" in function else self.make)(function)
                for options in {}, {"fds": []}, {"label": "here"}:
                    call = proxy(file.name, **options)
                    with self.assertRaisesRegex(IndexError, "before the call has its result"):
                        call.get_fd(0)
                    (handle,) = self.settle(call)
                    with open(call.get_fd(handle), "rb") as copy:
                        self.assertEqual(copy.read(), b"content")
                    with self.assertRaisesRegex(IndexError, "no file descriptor 1: 1 came with the result"):
                        call.get_fd(1)
                n_open = len(os.listdir("/proc/self/fd"))
                del call
                self.assertEqual(len(os.listdir("/proc/self/fd")), n_open - 1)
            proxy, seen = self.make("event_file"), []
            proxy.on_event(lambda handle, fds: seen.append(fds.get(handle)), fds=True)
            self.assertEqual(self.settle(proxy(file.name)), [None])
            with open(seen[0], "rb") as copy:
                self.assertEqual(copy.read(), b"content")

    def test_many_fds(self):
        proxy = self.make("event_many_files")
        self.assertEqual(self.settle(proxy(253)), [None])
        error = self.fails_remotely(proxy, 254)
        self.assertEqual((error.type_name, error.text),
                         ("ValueError", "254 file descriptors cannot be sent at once, the limit is 253"))
        self.assertEqual(self.events, [253])
        proxy = self.make("event_shrinking_files")
        self.assertEqual(self.settle(proxy(100)), [None])
        self.assertEqual(self.events, [253, 100, 0])

    def test_signals(self):
        """Handlers run while a worker waits for calls."""
        proxy = self.make("handle_signal")
        proxy.invoke_sync(signal.SIGUSR1, False)
        for n in range(3):
            proxy.get_process().kill(signal.SIGUSR1)
            wait_until(lambda: len(self.events) > n)
        self.assertEqual(self.events, [["signal", signal.SIGUSR1]] * 3)
        proxy.invoke_sync(signal.SIGTERM, True)
        proxy.get_process().kill(signal.SIGTERM)
        wait_until(lambda: self.exits)
        self.assertEqual(self.exits[0].get_status(), 7)

    def test_hog(self):
        proxy = self.make("hog")
        call = proxy()
        wait_until(lambda: self.events)
        (error,) = self.settle(proxy(timeout_ms=1))
        self.assertTrue(error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT))
        self.assertFalse(call.done())
        call.cancel()
        proxy.kill()
        wait_until(lambda: self.exits)
        self.assertEqual(self.exits[0].get_signal(), signal.SIGKILL)

    def test_exit(self):
        for status, expected in ((3, 3), (None, 0), ("last words", 1)):
            self.exits.clear()
            proxy = self.make("exit_with")
            first, second = self.settle(proxy(status), proxy(status))
            self.assert_code(first, Afrpc.Error.DIED)
            self.assert_code(second, Afrpc.Error.NOT_STARTED)
            wait_until(lambda: self.exits)
            self.assertEqual(self.exits[0].get_status(), expected)
            if expected == 1:
                self.assertEqual(self.exits[0].get_stderr(), "last words")

    def test_exit_strangely(self):
        """With a status that cannot be said, the rest is done all the same."""
        with tempfile.TemporaryFile() as file:
            process = self.process()
            process.take_stdout_fd(os.dup(file.fileno()))
            proxy = self.make("exit_strangely", process)
            self.assert_code(self.fails(proxy, "bye"), Afrpc.Error.DIED)
            wait_until(lambda: self.exits)
            self.assertEqual(self.exits[0].get_status(), 1)
            file.seek(0)
            self.assertEqual(file.read(), b"bye\n")

    def test_exit_at_once(self):
        proxy = self.make("exit_at_once")
        self.assert_code(self.fails(proxy, 4), Afrpc.Error.DIED)
        wait_until(lambda: self.exits)
        self.assertEqual(self.exits[0].get_status(), 4)

    def test_crash(self):
        proxy = self.make("crash")
        self.assert_code(self.fails(proxy), Afrpc.Error.DIED)
        wait_until(lambda: self.exits)
        self.assertEqual(self.exits[0].get_signal(), signal.SIGABRT)

    def test_interrupt(self):
        """A signal from the terminal ends a worker, as it does one in C."""
        proxy = self.make("facts")
        self.assertTrue(proxy.invoke_sync()["sigint"])
        proxy.get_process().kill(signal.SIGINT)
        wait_until(lambda: self.exits)
        self.assertEqual(self.exits[0].get_signal(), signal.SIGINT)

    def test_light(self):
        """A worker loads nothing that its functions do not need."""
        facts = self.make("facts").invoke_sync()
        self.assertEqual((facts["gi"], facts["gio"]), (False, False))
        # A template has loaded what one of its functions needs.
        self.assertEqual(facts["asyncio"], self.forked)
        self.assertEqual(facts["main"], "__main__")

    def output(self, function, *args, **properties):
        with tempfile.TemporaryFile() as file:
            process = self.process()
            process.take_stdout_fd(os.dup(file.fileno()))
            proxy = self.make(function, process, **properties)
            self.exits.clear()
            try:
                proxy.invoke_sync(*args)
            except GLib.Error:
                pass
            self.end(proxy)
            file.seek(0)
            return file.read().decode()

    def test_prints(self):
        self.assertEqual(self.output("say", "hällo"), "hällo\n")
        self.assertEqual(self.output("say_partly", "half"), "half")
        self.assertEqual(self.output("say_at_exit", "bye"), "bye\n")
        self.assertEqual(self.output("echo", done="done"), "done\n")
        proxy = self.make("say")
        self.exits.clear()
        proxy.invoke_sync("complaint", True)
        self.assertEqual(self.end(proxy).get_stderr(), "complaint")


class Preparing(Case):
    def test_functions(self):
        for name, expected in (("holder.method", ("method", 1)), ("holder", ("called", 1)),
                               ("partial", ("partial", 1)), ("python_worker.echo", (1,)),
                               ("python_worker.holder.method", ("method", 1))):
            self.assertEqual(self.make(name).invoke_sync(1), expected)

    def test_no_functions(self):
        for name, words in (("nonsense", "there is no function 'nonsense' in 'python_worker'"),
                            ("holder.nonsense", "there is no function"), ("", "there is no function"),
                            ("print", "there is no function"),
                            ("not_callable", "cannot be called"), ("async_echo", "coroutine"),
                            ("async_partial", "coroutine"), ("holder.async_method", "coroutine")):
            error = self.fails(self.make(name))
            self.assert_code(error, Afrpc.Error.FUNCTION)
            self.assertIn(words, error.message)
            self.assertNotIn("Traceback", error.message)
        for process, words in ((Afrpc.Process.new_exec("python"), "'nonsense', and no module was loaded"),
                               (Afrpc.Process.new_exec("python").eval("pass"), "'nonsense' in the evaluated code"),
                               (self.process().eval("pass"), "'nonsense' in the evaluated code, 'python_worker'")):
            error = self.fails(self.make("nonsense", process))
            self.assert_code(error, Afrpc.Error.FUNCTION)
            self.assertIn(f"there is no function {words}", error.message)

    def test_eval(self):
        process = self.process()
        process.eval("import os\nbase = args[0]\ndef add(x):\n    return base + x", 40)
        self.assertEqual(self.make("add", process).invoke_sync(2), 42)
        process = self.process().eval("def echo(*args):\n    raise ValueError(args)")
        error = self.fails_remotely(self.make("echo", process), 1)
        self.assertIn("raise ValueError(args)\n", error.traceback)

    def test_eval_fails(self):
        for code, words in (("1 +", "SyntaxError"), ("raise ValueError('bad')", "ValueError: bad"),
                            ("import sys; sys.exit(3)", "SystemExit: 3")):
            error = self.fails(self.make("echo", self.process().eval(code)))
            self.assert_code(error, Afrpc.Error.MODULE)
            self.assertIn(words, error.message)
            self.assertIn("Traceback", error.message)

    def test_modules(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "in_a_folder.py"), "w") as file:
                file.write("def f():\n    return __name__, __file__\n")
            process = Afrpc.Process.new_exec("python")
            process.setenv("AFRPC_MODULE_PATH", folder, True)
            process.require("in_a_folder", "json")
            self.assertEqual(self.make("f", process).invoke_sync(),
                             ("in_a_folder", f"{folder}/in_a_folder.py"))
            process = Afrpc.Process.new_exec("python").require("json")
            self.assertEqual(self.make("json.dumps", process).invoke_sync([1]), "[1]")

    def test_no_modules(self):
        for name, words in (("no_such_module", "ModuleNotFoundError"), ("./none.py", "none.py"),
                            ("/dev/null/x.so", "x.so"), ("", "")):
            error = self.fails(self.make("f", Afrpc.Process.new_exec("python").require(name)))
            self.assert_code(error, Afrpc.Error.MODULE)
            self.assertIn(words, error.message)

    def test_init(self):
        process = self.process().send_arg(1, "a", b"b", [None])
        facts = self.make("facts", process, init="init").invoke_sync()
        self.assertEqual(facts["args"], [1, "a", b"b", [None]])
        self.assertEqual(facts["prepared"], [1, "a", b"b", [None]])

    def test_init_fails(self):
        error = self.fails(self.make("echo", init="init_badly"))
        self.assert_code(error, Afrpc.Error.INIT)
        self.assertIn("ValueError: not with me", error.message)
        self.assert_code(self.fails(self.make("echo", init="none")), Afrpc.Error.FUNCTION)
        proxy = self.make("echo", init="init_and_exit")
        self.assertIn("exited with status 5", self.fails(proxy).message)

    def test_fds(self):
        with tempfile.TemporaryFile() as file:
            file.write(b"content")
            file.flush()
            file.seek(0)
            process = self.process().send_fd(file, file.fileno())
            proxy = self.make("read_fd", process)
            self.assertEqual(self.fails_remotely(proxy, 2).type_name, "IndexError")
            self.assertEqual(self.fails_remotely(proxy, -1).type_name, "IndexError")
            self.assertEqual(proxy.invoke_sync(0), b"content")
            self.assertEqual(self.fails_remotely(proxy, 0).type_name, "ValueError")

    def test_run(self):
        call = self.process().send_arg("x").run_async("take_over")
        wait_until(call.done)
        stream = call.result()
        self.assertEqual(stream.get_input_stream().read_bytes(6, None).get_data(), b"('x',)")
        stream.get_output_stream().write_all(b"loud", None)
        self.assertEqual(stream.get_input_stream().read_bytes(4, None).get_data(), b"LOUD")
        self.assertEqual(stream.get_input_stream().read_bytes(1, None).get_size(), 0)
        stream.close(None)

    def test_too_late(self):
        """What the library only complains of is an exception."""
        ways = (("require", "os"), ("eval", "pass"), ("send_arg", 1), ("send_fd", 0), ("set_environ", []), ("setenv", "A", "b", True),
                ("unsetenv", "A"), ("set_cwd", "/"), ("set_limit", Afrpc.Limit.FILES, 50), ("set_nice", 1),
                ("set_orphan_policy", Afrpc.OrphanPolicy.END), ("set_stderr", Afrpc.Stdio.CAPTURE), ("take_stdout_fd", 1))
        process = self.process()
        with Afrpc.Proxy(process=process, function="echo") as proxy:
            for name, *args in ways:
                with self.subTest(name), self.assertRaisesRegex(RuntimeError, "before a proxy is made for it"):
                    getattr(process, name)(*args)
            self.assertEqual(proxy.invoke_sync(1), (1,))
            template = process = self.process()
            with Afrpc.Proxy(process=template.fork(), function="echo") as other:
                other.invoke_sync(1)
                for name, *args in ways[4:]:
                    with self.subTest(name), self.assertRaisesRegex(RuntimeError, "before it is started"):
                        getattr(template, name)(*args)
                template.require("os")

    def test_run_fails(self):
        process = self.process().eval("def run(fd, *args): open('/nofile')")
        call = process.run_async("run")
        wait_until(call.done)
        end = process.wait_sync()
        self.assertEqual((end.get_status(), end.is_success()), (1, False))


class Async(Case):
    def test_coroutines(self):
        proxy = self.make_async("async_last_first")
        order = []
        calls = [proxy(3, callback=lambda call: order.append(call.result())) for _ in range(3)]
        self.assertEqual(self.settle(*calls), [0, 1, 2])
        self.assertEqual(order, [2, 1, 0])
        self.assertTrue(self.end(proxy).is_success())

    def test_answered_by_what_is_converted(self):
        proxy = self.make_async("answer_when_asked")
        for how in "steal", "append", "steal_call", "append_result", "progress", "call_progress", "return":
            self.assertEqual(self.settle(proxy(how)), ["answered"])
            wait_until(lambda: self.events)
            self.assertEqual(self.events, ["the call has been answered already"])
            self.events.clear()
        self.assertTrue(self.end(proxy).is_success())

    def test_many(self):
        proxy = self.make_async("async_echo")
        self.assertEqual(self.settle(*[proxy(i) for i in range(2000)]), [(i,) for i in range(2000)])

    def test_kinds(self):
        for name in "async_partial", "holder.async_method":
            self.assertEqual(len(self.make_async(name).invoke_sync(1)), 2)

    def test_errors(self):
        error = self.fails_remotely(self.make_async("async_raise"), "bad")
        self.assertEqual((error.type_name, error.text), ("ValueError", "bad"))
        self.assertIn("in async_raise\n", error.traceback)
        proxy = self.make_async("async_inconvertible")
        for _ in range(2):
            self.assertEqual(self.fails_remotely(proxy).type_name, "TypeError")
        proxy = self.make_async("async_echo")
        self.assertEqual(proxy.invoke_sync(1), (1,))

    def test_exit(self):
        proxy = self.make_async("async_exit")
        self.assert_code(self.fails(proxy, 3), Afrpc.Error.DIED)
        wait_until(lambda: self.exits)
        self.assertEqual(self.exits[0].get_status(), 3)

    def test_cancelled(self):
        proxy = self.make_async("async_until_cancelled")
        call = proxy()
        wait_until(lambda: self.events)
        call.cancel()
        wait_until(lambda: len(self.events) == 2)
        self.assertEqual(self.events, ["here", "cancelled"])
        (error,) = self.settle(proxy(timeout_ms=20))
        self.assertTrue(error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT))
        wait_until(lambda: len(self.events) == 4)
        self.assertTrue(self.end(proxy).is_success())

    def test_cancelled_insists(self):
        proxy = self.make_async("async_is_cancelled")
        call = proxy()
        wait_until(lambda: self.events)
        call.cancel()
        self.assertTrue(self.end(proxy).is_success())
        self.assertEqual(self.events, [["here", False], ["goes on", True]])

    def test_progress(self):
        proxy, seen = self.make_async("async_count_to"), {1: [], 2: []}
        calls = [proxy(50, on_progress=seen[i].append) for i in seen]
        self.assertEqual(self.settle(*calls), [50, 50])
        self.assertEqual(seen, {1: list(range(50)), 2: list(range(50))})

    def test_signals(self):
        proxy = self.make_async("async_handle_signal")
        call = proxy(signal.SIGUSR1)
        wait_until(lambda: self.events)
        proxy.get_process().kill(signal.SIGUSR1)
        self.assertEqual(self.settle(call), [signal.SIGUSR1])

    def test_invocation_fds(self):
        with tempfile.TemporaryFile() as file:
            proxy = self.make_async("answer_with_progress")
            call = proxy(0, fds=[file])
            self.assertEqual(self.settle(call), [0])
            copy = call.get_fd(0)
            self.assertTrue(os.path.sameopenfile(copy, file.fileno()))
            os.close(copy)
            wait_until(lambda: self.events)
            self.assertIn("answered already", self.events[0])

    def test_asyncio(self):
        """What else asyncio can do: processes, threads."""
        self.assertEqual(self.make_async("async_subprocess").invoke_sync("text"), b"text")
        self.assertEqual(self.make_async("async_thread").invoke_sync(5), 5)

    def test_invocations(self):
        proxy = self.make_async("answer_at_once")
        self.assertEqual(proxy.invoke_sync(1, "a"), (1, "a"))
        proxy = self.make_async("answer_last_first")
        self.assertEqual(self.settle(*[proxy(5) for _ in range(5)]), [0, 1, 2, 3, 4])
        self.assert_code(self.fails(self.make_async("answer_never")), Afrpc.Error.NO_RESULT)
        proxy = self.make_async("answer_twice")
        self.assertEqual(self.settle(proxy()), [1])
        wait_until(lambda: self.events)
        self.assertIn("answered already", self.events[0])
        self.assertEqual(self.fails_remotely(self.make_async("answer_badly")).text, "badly")
        proxy = self.make_async("answer_by_raising")
        for _ in range(2):
            self.assertEqual(self.fails_remotely(proxy).text, "raised")

    def test_invocation_cancelled(self):
        proxy = self.make_async("answer_cancelled")
        call = proxy()
        wait_until(lambda: self.events)
        call.cancel()
        self.assertTrue(self.end(proxy).is_success())
        self.assertEqual(self.events, [["here", False], ["cancelled", True]])


class Forks(Case):
    def test_shares_what_was_prepared(self):
        template = Afrpc.Process.new_exec("python").require(WORKER)
        template.eval("import python_worker; python_worker.prepared.append(args[0])", "early")
        pids = set()
        for _ in range(3):
            proxy = self.make("facts", template.fork())
            facts = proxy.invoke_sync()
            self.assertEqual(facts["prepared"], ["early"])
            pids.add(facts["pid"])
            self.assertEqual(proxy.get_process().get_start(), Afrpc.Start.FORK)
        self.assertEqual(len(pids), 3)

    def test_default_template(self):
        proxy = self.make("echo", Afrpc.Process.new_for_host("python").require(WORKER))
        self.assertEqual(proxy.invoke_sync(1), (1,))
        self.assertEqual(proxy.get_process().get_start(), Afrpc.Start.FORK)

    def test_with_threads(self):
        template = Afrpc.Process.new_exec("python").require(WORKER)
        template.eval("import python_worker; python_worker.start_thread()")
        proxy = self.make("echo", template.fork())
        self.assertEqual(proxy.invoke_sync(1), (1,))
        self.assertEqual(proxy.get_process().get_start(), Afrpc.Start.EXEC)

    def test_at_exit(self):
        """What was to be done at the end of the template is not done at the end of its forks."""
        template = Afrpc.Process.new_exec("python").require(WORKER)
        template.set_stdout(Afrpc.Stdio.SILENCE)
        template.eval("import python_worker; python_worker.say_at_exit('template')")
        with tempfile.TemporaryFile() as file:
            process = template.fork()
            process.take_stdout_fd(os.dup(file.fileno()))
            proxy = self.make("say_at_exit", process)
            proxy.invoke_sync("fork")
            self.end(proxy)
            file.seek(0)
            self.assertEqual(file.read(), b"fork\n")

    def test_with_odd_objects(self):
        """Nothing is asked of the objects of a module that may answer anything, or raise."""
        template = Afrpc.Process.new_exec("python").eval(textwrap.dedent("""
            import gc
            from unittest.mock import Mock, call
            mock = Mock()
            class Lazy:
                def __getattribute__(self, name):
                    raise RuntimeError("not now")
            lazy = Lazy()
            def look():
                return gc.get_freeze_count()
            """))
        self.assertGreater(self.make("look", template.fork()).invoke_sync(), 1000)

    def test_hooks(self):
        """Python itself is told of the fork, and its objects stay shared."""
        template = Afrpc.Process.new_exec("python").eval(textwrap.dedent("""
            import gc, os
            forked = []
            os.register_at_fork(after_in_child=lambda: forked.append(os.getpid()))
            def look():
                return forked == [os.getpid()], gc.get_freeze_count()
            """))
        told, n_frozen = self.make("look", template.fork()).invoke_sync()
        self.assertTrue(told)
        self.assertGreater(n_frozen, 1000)


class ForkedValues(Values):
    forked = True


class ForkedSync(Sync):
    forked = True


class ForkedPreparing(Preparing):
    forked = True


class ForkedAsync(Async):
    forked = True


class Commands(Case):
    def test_command(self):
        host = os.path.join(os.environ["AFRPC_HOST_PATH"], "afrpc-host-python")
        process = Afrpc.Process.new_command([host]).require(WORKER)
        proxy = self.make("echo", process)
        self.assertEqual(proxy.invoke_sync(1, "a"), (1, "a"))
        self.assertTrue(self.end(proxy).is_success())

    def test_metadata(self):
        options = Afrpc.CallOptions(metadata=GLib.Variant("a{sv}", {"trace": GLib.Variant("ay", b"id"),
                                                                    "n": GLib.Variant("t", 7)}))
        args = GLib.Variant("(i)", (1,))
        for function, make in (("tell_metadata", self.make), ("async_tell_metadata", self.make_async),
                               ("answer_metadata", self.make_async)):
            with self.subTest(function):
                proxy = make(function)
                result, fds = proxy.call_full_sync(args, options, None)
                self.assertEqual(result.unpack(), ({"trace": list(b"id"), "n": 7}, (1,)))
                self.assertEqual(proxy.call_sync(args, None).unpack(), ({}, (1,)))
                self.exits = []
                self.assertTrue(self.end(proxy).is_success())

    def test_by_hand(self):
        host = os.path.join(os.environ["AFRPC_HOST_PATH"], "afrpc-host-python")
        done = subprocess.run([host], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("not by hand", done.stderr)

    def test_outside_of_a_worker(self):
        import afrpc

        for call in (lambda: afrpc.event(1), afrpc.flush, afrpc.retire, afrpc.is_cancelled,
                     afrpc.get_args, afrpc.get_metadata, afrpc.get_n_fds, lambda: afrpc.steal_fd(0)):
            with self.assertRaises(RuntimeError):
                call()


if __name__ == "__main__":
    unittest.main()
