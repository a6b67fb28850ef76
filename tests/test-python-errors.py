#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Errors as exceptions in a program: by class, as what they were in a worker, and from a worker that lies."""
import asyncio
import builtins
import contextlib
import copy
import errno
import gc
import io
import json
import logging
import os
import pickle
import sys
import tempfile
import traceback
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib, GObject  # noqa: E402

import afrpc.aio  # noqa: E402
from afrpc import _exceptions  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
WORKER = os.path.join(HERE, "workers", "python_errors.py")

template = Afrpc.Process.new_exec("python").require(WORKER)
proxy = Afrpc.Proxy(process=template.fork(), function="raise_it")
lies = Afrpc.Proxy(process=template.fork(), function="make_up")
details = Afrpc.Proxy(process=template.fork(), function="make_up_details")


def caught(proxy, *args, **options):
    try:
        proxy.invoke_sync(*args, **options)
    except Exception as error:
        return error
    raise AssertionError("there was no error")


class Unlucky(LookupError):
    __module__ = "python_errors"
    made = 0

    def __new__(cls, *args):
        Unlucky.made += 1
        return super().__new__(cls)


class Exceptions(unittest.TestCase):
    def assert_is(self, error, cls, text, args=None):
        self.assertIsInstance(error, Afrpc.RemoteError)
        self.assertIsInstance(error, cls)
        self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.REMOTE))
        if cls is not SyntaxError and SyntaxError not in cls.__mro__:  # which has one of its own
            self.assertEqual(error.text, text)
        self.assertEqual(error.args, (text,) if args is None else args)
        again = pickle.loads(pickle.dumps(error))
        for again in again, copy.copy(error):
            self.assertIs(type(again), type(error))
            for name in "args", "text", "traceback", "type_name", "message", "code", "domain", "started":
                self.assertEqual(getattr(again, name), getattr(error, name), name)

    def test_of_python(self):
        for code, cls, text, args in (
                ("raise ValueError('not: today')", ValueError, "not: today", None),
                ("raise ValueError", ValueError, "", ()),
                ("raise ValueError('a\\n\\nTraceback (most recent call last):\\n fake')", ValueError,
                 "a\n\nTraceback (most recent call last):\n fake", None),
                ("raise ValueError(1, b'\\xff', [None, {'a': (1.5,)}])", ValueError,
                 "(1, b'\\xff', [None, {'a': (1.5,)}])", (1, b"\xff", [None, {"a": (1.5,)}])),
                ("raise ValueError('a\\0\\ud800b')", ValueError, "a\\x00\\ud800b", None),
                ("{}['key']", KeyError, "'key'", ("key",)),
                ("1 / 0", ZeroDivisionError, "division by zero", None),
                ("b'\\xff'.decode()", UnicodeDecodeError,
                 "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
                 ("utf-8", b"\xff", 0, 1, "invalid start byte")),
                ("raise TypeError(object)", TypeError, "<class 'object'>", None),
                ("raise TimeoutError('late')", builtins.TimeoutError, "late", None)):
            with self.subTest(code):
                error = caught(proxy, code)
                self.assert_is(error, cls, text, args)
                self.assertEqual((error.type_name, str(error)), (cls.__name__, text))
                self.assertEqual(type(error).__name__, cls.__name__)
                self.assertIn(cls.__name__, error.traceback)
        self.assertNotIsInstance(error, Afrpc.TimeoutError)

    def test_with_a_label(self):
        """Other errors begin with it, and these are what they are."""
        for call in (proxy.invoke_sync,):
            with self.assertRaises(ValueError) as context:
                call("raise ValueError('no')", label="a label")
            self.assert_is(context.exception, ValueError, "no", ("no",))
            with self.assertRaisesRegex(GLib.Error, "a label: "):
                call("1", label="a label", function="missing")
        with self.assertRaisesRegex(TypeError, r"no option 'bogus': call_kw\(\) and call_kw_sync\(\) pass"):
            proxy("1", bogus=1)

    def test_whose(self):
        """Each says which function it is about; what the function has said itself is left as it is."""
        cancelled, closed = Gio.Cancellable(), Afrpc.Pool(process=template.fork(), function="raise_it")
        cancelled.cancel()
        closed.close()
        octets = Afrpc.Proxy(process=template.fork(), function="raise_it", serialiser="bytes")
        for call, words in (
                (lambda **options: proxy.invoke_sync("1", cancellable=cancelled, **options), "the call was cancelled"),
                (lambda **options: closed.invoke_sync("1", **options), "the pool is closed"),
                (lambda **options: octets.invoke_sync(1, **options), "a value of type (x) cannot be sent as 'bytes'")):
            for options, begins in (({}, "'raise_it': "), ({"function": "make_up"}, "'make_up': "),
                                    ({"label": "a label"}, "a label: 'raise_it': ")):
                with self.assertRaises(GLib.Error) as context:
                    call(**options)
                self.assertTrue(context.exception.message.startswith(begins + words), context.exception.message)
        with self.assertRaises(GLib.Error) as context:
            proxy.invoke_sync("import afrpc; raise afrpc.Error('the call was cancelled', 'my-domain', 5)")
        self.assertEqual(context.exception.message, "my-domain 5: the call was cancelled")

    def test_of_other_languages(self):
        """Their words are left alone: a note says whose they are."""
        code = {"perl": 'sub fail { die "not today\n" }',
                "gjs": "export function fail () { throw new Error ('not today'); }"}
        n_done = 0
        for host in code:
            other = Afrpc.Proxy(process=Afrpc.Process.new_exec(host).eval(code[host]), function="fail")
            other.connect("error", lambda proxy, error: None)

            async def ask():
                await other(label="a label")

            for call, note in ((other.invoke_sync, f"raised by 'fail' of '{host}'"),
                               (lambda: afrpc.aio.run(ask()), f"a label: raised by 'fail' of '{host}'")):
                with self.assertRaises(GLib.Error) as context:
                    call()
                error = context.exception
                if error.matches(Afrpc.error_quark(), Afrpc.Error.NO_HOST):
                    break
                self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.REMOTE))
                self.assertRegex(error.message, "^(perl|javascript)-exception 0: (Error: )?not today")
                self.assertEqual(error.__notes__, [note])
                n_done += 1
        if n_done == 0:
            self.skipTest("there is no other language")

    def test_names(self):
        """What an ImportError, a NameError and an AttributeError know besides their words."""
        for code, cls, names in (
                ("import nothere", ModuleNotFoundError, {"name": "nothere", "path": None}),
                ("from os import nothere", ImportError, {"name": "os", "path": os.__file__}),
                ("raise ImportError(5, name='a', path='b')", ImportError, {"name": "a", "path": "b", "args": (5,)}),
                ("raise ImportError('words')", ImportError, {"name": None, "path": None}),
                ("nothere", NameError, {"name": "nothere"}),
                ("def f():\n x\n x = 1\nf()", UnboundLocalError, {}),  # of which Python says none
                ("[].nothere", AttributeError, {"name": "nothere", "obj": []}),
                ("raise_it.nothere", AttributeError, {"name": "nothere", "obj": None})):
            with self.subTest(code):
                error = caught(proxy, code)
                self.assertIsInstance(error, cls)
                for again in error, pickle.loads(pickle.dumps(error)), copy.copy(error):
                    for name, value in names.items():
                        self.assertEqual(getattr(again, name), value, name)
        error = caught(proxy, "class Own(ImportError): name = 'own'\nraise Own('words', name='given')")
        self.assertEqual((error.name, error.text), ("given", "words"))

    def test_copies(self):
        """They know what is known of the call."""
        error = caught(proxy, "raise ValueError(1)")
        self.assertEqual(error.started, Afrpc.Started.YES)
        error.add_note("a note")
        for again in pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error):
            self.assertEqual((again.started, again.__notes__), (Afrpc.Started.YES, ["a note"]))

    def test_of_the_system(self):
        error = caught(proxy, "open('/nonexistent/ü')")
        self.assertIsInstance(error, FileNotFoundError)
        self.assertEqual((error.errno, error.filename, error.strerror),
                         (2, "/nonexistent/ü", os.strerror(2)))
        self.assertEqual(pickle.loads(pickle.dumps(error)).filename, "/nonexistent/ü")
        error = caught(proxy, "import os; os.rename('/nonexistent/a', '/nonexistent/b')")
        self.assertEqual((error.filename, error.filename2), ("/nonexistent/a", "/nonexistent/b"))

    def test_without_descriptors(self):
        """A worker that can open nothing says what it says otherwise, but for the lines of files."""
        fill = "import os\ndef fill():\n for i in range(1000): os.dup(0)\n"
        for n in 15, 20, 64:
            process = Afrpc.Process.new_exec("python").set_limit(Afrpc.Limit.FILES, n).eval(fill).require(WORKER)
            with Afrpc.Proxy(process=process, function="raise_it") as full:
                error = caught(full, function="fill")
                self.assertIsInstance(error, OSError)
                self.assertEqual((error.errno, error.args), (errno.EMFILE, (errno.EMFILE, os.strerror(errno.EMFILE))))
                self.assertIn("for i in range(1000): os.dup(0)", error.traceback)
                error = caught(full, "open('/nonexistent')")
                self.assertEqual((error.errno, error.filename), (errno.EMFILE, "/nonexistent"))
                self.assertRegex(error.traceback, r'File ".*python_errors.py", line \d+, in raise_it')
                self.assert_is(caught(full, "raise ValueError('ü\\n', 5)"), ValueError, "('ü\\n', 5)", ("ü\n", 5))
                error = caught(full, "try:\n 1/0\nexcept ArithmeticError as e: raise KeyError('a') from e")
                self.assertIsInstance(error.__cause__, ZeroDivisionError)
                self.assertRegex(error.traceback,
                                 "(?s)^Traceback.*ZeroDivisionError.*direct cause.*Traceback.*KeyError: 'a'$")
                error = caught(full, "def dig(n):\n if n: dig(n - 1)\n else: 1/0\ndig(100)")
                self.assertIn("\n  ...\n", error.traceback)
                self.assertLess(error.traceback.count("\n"), 50)

    def test_without_help(self):
        """Where nothing in Python can say more."""
        lame = Afrpc.Proxy(function="fail", process=Afrpc.Process.new_exec("python").eval(
            "from afrpc import _exceptions\n_exceptions.pack = None\ndef fail(text): raise ValueError(text)\n"
            "class Odd(Exception):\n def __str__(self): raise self\n"
            "def odd(): raise Odd\n"))
        self.assert_is(caught(lame, "ü: 5"), ValueError, "ü: 5")
        error = caught(lame, function="odd")
        self.assertEqual((error.type_name, error.text), ("Odd", ""))

    def test_json(self):
        """A worker writes it without the module."""
        for value in (None, True, 5, -1 << 70, 0.1, 1e300, "", "a\"\\\0\n\x7fü\U0001f600\u2028", [], {}, [1, [2.5, "x"]],
                      {"a": {"b": [None, False]}, "": 1}, "\ud800x", float("inf"), float("-inf")):
            self.assertEqual(json.loads(_exceptions.write_json(value)), value)
        self.assertEqual(_exceptions.write_json(float("nan")), "NaN")
        for value in (1,), {1}, b"x", object():
            self.assertRaises(ValueError, _exceptions.write_json, value)

    def test_plain(self):
        """Those that would end something else here are none of these."""
        for code in ("raise KeyboardInterrupt", "raise GeneratorExit", "raise StopIteration(5)",
                     "raise StopAsyncIteration", "import asyncio; raise asyncio.CancelledError",
                     "raise BaseException('base')", "raise BaseExceptionGroup('', [KeyboardInterrupt()])"):
            with self.subTest(code):
                error = caught(proxy, code)
                self.assertIs(type(error), Afrpc.RemoteError)
                self.assertNotIn("python-exception", repr(error.args))
                self.assertTrue(code.rpartition(".")[2].removeprefix("raise ").startswith(
                    error.type_name.rpartition(".")[2]), error.type_name)

    def test_all(self):
        """Each class of Python itself, but those of test_plain()."""
        args = {"UnicodeDecodeError": ("utf-8", b"x", 0, 1, "why"), "UnicodeEncodeError": ("utf-8", "x", 0, 1, "why"),
                "UnicodeTranslateError": ("x", 0, 1, "why")}
        plain = (GeneratorExit, KeyboardInterrupt, SystemExit, StopIteration, StopAsyncIteration)
        n = 0
        for name, cls in vars(builtins).items():
            if not isinstance(cls, type) or not issubclass(cls, Exception) or issubclass(cls, (*plain, BaseExceptionGroup)):
                continue
            choices = [args[name]] if name in args else [(), ("words",), ("words", ("f", 1, 1, "t"))]
            for some in choices:
                if len(some) == 2 and issubclass(cls, OSError):
                    some = some[:1]
                with self.subTest(name, args=some):
                    error = caught(proxy, f"raise {cls.__name__}(*{some!r})")
                    self.assert_is(error, cls, str(cls(*some)), some)
                    self.assertEqual((error.type_name, str(error)), (cls.__name__, str(cls(*some))))
                    n += 1
        self.assertGreater(n, 150)

        for name, some in args.items():
            with self.subTest(name, args="too large"):
                large = f"{some[-4]!r} * 100000"
                error = caught(proxy, f"raise {name}({', '.join([*map(repr, some[:-4]), large, *map(repr, some[-3:])])})")
                self.assertIsInstance(error, vars(builtins)[name])
                self.assertIn(error.text, "".join(traceback.format_exception(error)))

    @unittest.skipIf("ASAN_OPTIONS" in os.environ or "TSAN_OPTIONS" in os.environ, "a sanitizer needs terabytes of it")
    def test_out_of_memory(self):
        process = Afrpc.Process.new_exec("python").set_limit(Afrpc.Limit.ADDRESS_SPACE, 300 << 20).require(WORKER)
        with Afrpc.Proxy(process=process, function="raise_it") as limited:
            self.assert_is(caught(limited, "bytes(1 << 30)"), MemoryError, "", ())
            self.assert_is(caught(limited, "raise ValueError('as before')"), ValueError, "as before")

    def test_of_modules(self):
        code = "raise Unlucky('file', 3)"
        error = caught(proxy, code)
        self.assert_is(error, LookupError, "file:3")
        self.assertEqual((error.path, error.line), ("file", 3))
        self.assertFalse(hasattr(error, "unsendable"))
        self.assertEqual((error.type_name, str(error)), ("python_errors.Unlucky",
                                                         "python_errors.Unlucky: file:3"))
        self.assertNotIn("python_errors", sys.modules)

        sys.modules["python_errors"] = module = type(sys)("python_errors")
        module.Unlucky = Unlucky
        try:
            error = caught(proxy, code)
        finally:
            del sys.modules["python_errors"]
        self.assertIsInstance(error, Unlucky)
        self.assertEqual((error.path, str(error), Unlucky.made), ("file", "file:3", 0))

        error = caught(proxy, "import json; json.loads('{')")
        self.assertIsInstance(error, __import__("json").JSONDecodeError)
        self.assertEqual((error.lineno, error.pos), (1, 1))

    def test_registered(self):
        class Hidden(ValueError):
            __qualname__ = "Hidden"
            __module__ = "python_errors"

        self.assertIs(Afrpc.RemoteError.register(Hidden), Hidden)
        self.assertIsInstance(caught(proxy, "raise Hidden(5)"), Hidden)
        for wrong in KeyboardInterrupt, StopIteration, int, 5:
            with self.assertRaises(TypeError):
                Afrpc.RemoteError.register(wrong)

    def test_wayward(self):
        """Whatever the program's class makes of being written to, what comes is a RemoteError with its cause and notes."""
        def refuse(self, *args):
            raise RuntimeError("no")

        code = "try:\n {}['key']\nexcept KeyError as e:\n new = Hidden(5)\n new.add_note('a note')\n raise new from e"
        for is_one, own in ((True, {"add_note": refuse}), (True, {"__cause__": property(lambda self: None)}),
                              (True, {"__setattr__": refuse}), (True, {"started": property(lambda self: 1)}),
                              (True, {"text": property(lambda self: "its own")}),
                              (True, {"__init_subclass__": classmethod(refuse)}),
                              *((True, {name: refuse}) for name in (
                                  "__getattribute__", "__getattr__", "__delattr__", "__eq__", "__hash__", "__bool__", "__len__", "__new__",
                                  "__init__", "__reduce__", "__reduce_ex__", "__setstate__", "__getstate__", "__copy__",
                                  "__deepcopy__", "__str__", "__repr__", "__format__", "__del__", "__set_name__", "__dir__",
                                  "with_traceback", "matches", "copy")),
                              *((True, {name: property(refuse)}) for name in (
                                  "__class__", "__dict__", "__traceback__", "__context__", "__suppress_context__", "args",
                                  "message", "domain", "code", "type_name", "traceback", "matches")),
                              (True, {"__slots__": ("message", "code", "started")})):
            with self.subTest(**own):
                cls = Afrpc.RemoteError.register(type("Hidden", (Exception,), {"__module__": "python_errors", **own}))
                error = caught(proxy, code)
                self.assertIsInstance(error, Afrpc.RemoteError)
                text = "its own" if "text" in own else "5"
                self.assertEqual((isinstance(error, cls), error.text, error.__notes__), (is_one, text, ["a note"]))
                self.assertIsInstance(vars(BaseException)["__cause__"].__get__(error), KeyError)
                self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.REMOTE))
                for again in pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error):
                    self.assertEqual((type(again), str(again), repr(again)), (type(error), "5", "python_errors.Hidden(5)"))
                if "__traceback__" not in own:
                    self.assertIn("a note", "".join(traceback.format_exception(error)))

    def load(self):
        """The module of the worker, here."""
        module = type(sys)("python_errors")
        sys.modules["python_errors"] = module
        self.addCleanup(sys.modules.pop, "python_errors")
        with open(WORKER, encoding="utf-8") as file:
            exec(compile(file.read(), WORKER, "exec"), vars(module))
        return module

    def test_own_names(self):
        """What an exception has by the name of something of GLib.Error, or of RemoteError, is what is found by that."""
        code = "raise Shop(404, 'no such page')"
        for cls in Afrpc.RemoteError, self.load().Shop:
            first = caught(proxy, code, label="a label")
            self.assertIsInstance(first, cls)
            for error in first, pickle.loads(pickle.dumps(first)), copy.copy(first), copy.deepcopy(first):
                self.assertEqual((error.code, error.message), (404, "no such page"))
                self.assertEqual((error.started, error.text, error.type_name, error.traceback, error.copy), (404,) * 5)
                self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.REMOTE))
                self.assertRegex(str(error), r"^(python_errors.Shop: )?\(404, 'no such page'\)$")
                self.assertIn("no such page", repr(error))
            self.assertIn("in raise_it\n", "".join(traceback.format_exception(first)))

        error = caught(proxy, "raise OwnMethods(14)")
        self.assertEqual((error.code(), error.message, error.text), (14, "code 14", "of the class"))
        self.assertEqual((error.type_name, error.started, error.domain),
                         ("python_errors.OwnMethods", Afrpc.Started.YES, "shop"))
        self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.REMOTE))
        error = caught(proxy, "import xml.etree.ElementTree as tree; tree.fromstring('<a>')")
        self.assertEqual((error.code, error.position), (3, (1, 3)))
        error = caught(proxy, "raise ExceptionGroup('many', [ValueError(1)])")
        self.assertEqual(error.message, "many")

    def test_own_names_in_tasks(self):
        """They are awaited as any other, and so are those of maps, and of groups that are split."""
        self.load()
        code = "raise ExceptionGroup('many', [Shop(404, 'no such page'), OwnMethods(14)])"

        async def ask():
            with self.assertRaises(Afrpc.RemoteError) as context:
                await asyncio.wait_for(proxy("raise OwnMethods(14)"), 60)
            self.assertEqual(context.exception.code(), 14)
            with self.assertRaises(Afrpc.RemoteError) as context:
                await proxy("raise Shop(404, 'no such page')")
            self.assertEqual((context.exception.code, context.exception.started), (404, 404))
            return await asyncio.gather(proxy("raise Shop(404, 'no such page')"), return_exceptions=True)

        self.assertEqual([error.code for error in afrpc.aio.run(ask())], [404])
        with Afrpc.Pool(process=template.fork(), function="raise_it") as pool:
            outcomes = list(pool.map(["raise Shop(404, 'no such page')"] * 3, return_exceptions=True))
        self.assertEqual([error.code for error in outcomes], [404] * 3)
        ours, others = caught(proxy, code).split(sys.modules["python_errors"].Shop)
        self.assertEqual((ours.message, ours.exceptions[0].code, others.exceptions[0].code()), ("many", 404, 14))

    def test_own_names_passed_on(self):
        """What a worker has got from another one, and does not catch, is what that has raised."""
        self.load()
        between = Afrpc.Proxy(function="ask", process=Afrpc.Process.new_exec("python").eval(
            "import gi\ngi.require_version('Afrpc', '1.0')\nfrom gi.repository import Afrpc\n"
            "def ask(path, code):\n"
            " with Afrpc.Proxy(process=Afrpc.Process.new_exec('python').require(path), function='raise_it') as proxy:\n"
            "  return proxy.invoke_sync(code)"))
        with between:
            error = caught(between, WORKER, "raise Shop(404, 'no such page')")
            self.assertIsInstance(error, sys.modules["python_errors"].Shop)
            self.assertEqual((error.code, error.message, error.args), (404, "no such page", (404, "no such page")))
            error = caught(between, WORKER, "raise OwnMethods(14)")
            self.assertEqual(error.code(), 14)

    def test_own_names_in_c(self):
        """C gets an error of some kind: its message, domain and code are not words and numbers any more."""
        class Failing(GObject.Object, Afrpc.Serialiser):
            __gtype_name__ = "TestFailingSerialiser"
            error = None

            def do_dup_name(self):
                return "failing"

            def do_serialise(self, value):
                raise self.error

            def do_deserialise(self, data):
                raise self.error

        self.load()
        for code in "raise OwnMethods(14)", "raise Shop(None, 5)", "raise Shop(404, 'no such page')", "raise ValueError(5)":
            failing = Failing()
            failing.error = caught(proxy, code)
            with self.assertRaises(Exception), contextlib.redirect_stderr(io.StringIO()):
                failing.serialise(GLib.Variant("i", 5))

    def test_asking(self):
        """A class that computes its attributes, from what has not been sent, is formatted all the same."""
        module = self.load()
        for name in "Asking", "AskingAll":
            error = caught(proxy, f"e = {name}('bad', open('/dev/null'))\ne.__notes__ = ['a note']\nraise e")
            self.assertIs(type(error).__mro__[2], vars(module)[name])
            for again in error, pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error):
                self.assertIsNone(getattr(again, "nonsense", None))
                self.assertEqual((again.args, again.text, again.__notes__), (("bad",), "bad", [
                    "a note", "left out, as it cannot be sent: response (TextIOWrapper)"]))
                self.assertIn(f"{name}: bad\na note\n", "".join(traceback.format_exception(again)))
            error = caught(proxy, f"raise {name}('bad', None)")
            self.assertIsNone(getattr(error, "__notes__", None))
            error.add_note("new")
            self.assertEqual(error.__notes__, ["new"])
        error = caught(proxy, "raise Asking('bad', 'words')")
        self.assertEqual(error.upper(), "WORDS")
        error = caught(proxy, "try:\n raise AskingAll('bad', 5)\nexcept Exception as e:\n raise ValueError(1) from e")
        self.assertIn("AskingAll: bad\n", "".join(traceback.format_exception(error)))

    def test_of_http(self):
        import urllib.error

        code = "import io, urllib.error\nraise urllib.error.HTTPError('http://x/', 404, 'Not Found', {}, io.BytesIO(b''))"
        for error in (first := caught(proxy, code)), pickle.loads(pickle.dumps(first)):
            self.assertIsInstance(error, urllib.error.HTTPError)
            self.assertEqual((error.code, error.status, error.reason, error.url), (404, 404, "Not Found", "http://x/"))
            self.assertEqual((error.args, error.errno, error.strerror, error.filename), ((), None, None, "http://x/"))
            self.assertEqual(str(error), "HTTP Error 404: Not Found")
            self.assertFalse(hasattr(error, "read"))
            self.assertRegex("".join(traceback.format_exception(error)),
                             r"HTTP Error 404: Not Found\nleft out, as it cannot be sent: .*\bfp \(BytesIO\).*\n$")
        with self.assertLogs() as logs:
            logging.error("failed", exc_info=first)
        self.assertEqual(len(logs.records), 1)

    def test_withheld(self):
        """Arguments that the class of Python itself has not got in the worker are not fed to it here."""
        for cls in (OSError, SyntaxError), (self.load().OfTheSystem, sys.modules["python_errors"].OfSyntax):
            error = caught(proxy, "raise OfTheSystem(5, 'a')")
            self.assertIsInstance(error, cls[0])
            self.assertEqual((error.args, error.errno, error.strerror, error.filename, error.place), ((), 5, None, "a", "a"))
            error = caught(proxy, "raise OfSyntax('words', ('f', 1, 1, 't'))")
            self.assertIsInstance(error, cls[1])
            self.assertEqual((error.args, error.msg, error.filename, error.lineno, error.where),
                             (("words", ("f", 1, 1, "t")), None, None, None, ("f", 1, 1, "t")))
        error = caught(proxy, "e = OSError(2, 'words', 'a')\ne.errno, e.filename = 3, None\nraise e")
        self.assertEqual((error.args, error.errno, error.strerror, error.filename), ((2, "words"), 3, "words", None))
        error = caught(proxy, "compile('def f(x):\\n global x', 'f', 'exec')")
        self.assertEqual((error.filename, error.lineno), ("f", 2))

    def test_two_bases(self):
        """Each two classes of Python itself that one may be derived from: of what a program knows it is the class, and else the
        first of these."""
        module = self.load()
        never = (GeneratorExit, KeyboardInterrupt, SystemExit, StopIteration, StopAsyncIteration)
        names = [name for name, cls in vars(builtins).items() if isinstance(cls, type) and issubclass(cls, Exception) and
                 not issubclass(cls, never) and cls.__name__ == name]
        all_args = {UnicodeDecodeError: ("utf-8", b"x", 0, 1, "why"), UnicodeEncodeError: ("utf-8", "x", 0, 1, "why"),
                    UnicodeTranslateError: ("x", 0, 1, "why"), SyntaxError: ("words",), BaseExceptionGroup: None}
        n = 0
        for first in names:
            for second in names:
                try:
                    cls = module.make_pair(first, second)
                except TypeError:  # there can be none
                    continue
                args = next((some for base, some in all_args.items() if issubclass(cls, base)), (2, "words"))
                code = f"raise make_pair({first!r}, {second!r})" + (f"(*{args!r})" if args else "('g', [ValueError(1)])")
                with self.subTest(code):
                    error = caught(proxy, code)
                    self.assertIsInstance(error, cls)
                    if args is None:
                        self.assertEqual((error.message, error.exceptions[0].args), ("g", (1,)))
                        continue
                    own = cls(*args)
                    self.assertEqual((error.args, str(error)), (args, str(own)))
                    for name in "errno", "strerror", "filename", "reason", "msg", "name":
                        self.assertEqual(getattr(error, name, None), getattr(own, name, None), name)
                    n += 1
                    del sys.modules["python_errors"]
                    error = caught(proxy, code) if n % 7 == 0 else None
                    sys.modules["python_errors"] = module
                    if error is not None:
                        self.assertIsInstance(error, vars(builtins)[first])
                        self.assertEqual(error.args, args)
        self.assertGreater(n, 1000)

        for error in (first := caught(proxy, "raise OfAKey(2, 'a')")), pickle.loads(pickle.dumps(first)):
            self.assertIsInstance(error, module.OfAKey)
            self.assertEqual((error.args, error.errno, error.filename), ((2, "words"), 2, "a"))
        error = caught(proxy, "raise Late(7)")
        self.assertEqual((error.args, error.code, error.text, error.copy()), ((7,), 7, "late", 7))

    def test_unspeakable(self):
        """A class that fails when it is asked for what is its own is sent as what it is."""
        self.assertIsInstance(caught(proxy, "raise Unspeakable(5)"), KeyError)
        module = self.load()
        error = caught(proxy, "raise Unspeakable(5)")
        self.assertIsInstance(error, module.Unspeakable)
        self.assertIn("in raise_it", error.traceback)

    def test_slots(self):
        note = "left out, as it cannot be sent: unsendable (set)"
        for cls in Afrpc.RemoteError, self.load().Slotted:
            first = caught(proxy, "raise Slotted([5])")
            self.assertIsInstance(first, cls)
            for error in first, pickle.loads(pickle.dumps(first)), copy.copy(first):
                self.assertEqual((error.value, error._Slotted__own, error.started, error.__notes__), ([5], [5], "its own", [note]))
                self.assertFalse(hasattr(error, "unset") or hasattr(error, "unsendable"))

    def test_unsendable(self):
        """What cannot be sent is left out by itself: others are where they were, and a note says what and why."""
        error = caught(proxy, "import pathlib\nclass Bad:\n def __repr__(self): 1 / 0\n"
                              "raise ValueError('ok', {1}, 1 << 80, pathlib.Path('a'), b'x', [[Bad()]], Bad(), 1 << 20000, {'a': (1,)})")
        self.assertEqual(error.args, ("ok", "{1}", 1 << 80, "a", b"x", "<list>", "<Bad>", "<int>", {"a": (1,)}))
        self.assertEqual(error.__notes__, ["left out, as it cannot be sent: argument 2 (set), argument 4 (PosixPath), "
                                           "argument 6 (Bad), argument 7 (Bad), argument 8 (too large an int)"])
        error = caught(proxy, "raise FileNotFoundError(2, 'words', __import__('pathlib').Path('/a'))")
        self.assertEqual((error.errno, error.strerror, error.filename), (2, "words", "/a"))
        error = caught(proxy, "e = ValueError(object(), 'b' * 70000)\nraise e")
        self.assertEqual(error.__notes__, ["left out, being too large: arguments"])
        deep = "[" * 9 + "]" * 9
        error = caught(proxy, f"e = KeyError(5)\ne.good, e.bad, e.deep, e.big = [1], {{'a': {{1}}}}, {deep}, 'x' * 70000\nraise e")
        self.assertEqual((error.args, error.good), ((5,), [1]))
        self.assertFalse({"bad", "deep", "big"} & vars(error).keys())
        self.assertEqual(error.__notes__, ["left out, being too large: big",
                                           "left out, as it cannot be sent: bad (set), deep (nested too deep)"])
        error = caught(proxy, "try:\n raise KeyError({1}, 5)\nexcept KeyError as e: raise ValueError(6) from e")
        self.assertEqual((error.__cause__.args, error.__cause__.__notes__),
                         (("{1}", 5), ["left out, as it cannot be sent: argument 1 (set)"]))

    def test_odd(self):
        error = caught(proxy, "raise Odd('odd')")
        self.assertEqual((error.type_name, error.text), ("python_errors.Odd", "odd"))
        self.assertIn("Traceback", error.traceback)

    def test_chain(self):
        error = caught(proxy, "try:\n {}['key']\nexcept KeyError as e:\n raise RuntimeError('second') from e")
        self.assertIsInstance(error, RuntimeError)
        self.assertIsInstance(error.__cause__, KeyError)
        self.assertEqual(error.__cause__.args, ("key",))
        error = caught(proxy, "try:\n {}['key']\nexcept KeyError as e:\n raise RuntimeError('second')")
        self.assertIsInstance(error.__context__, KeyError)
        self.assertFalse(error.__suppress_context__)
        error = caught(proxy, "try:\n {}['key']\nexcept KeyError as e:\n raise ValueError('second') from None")
        self.assertNotIsInstance(error.__cause__, KeyError)

    def test_notes_and_groups(self):
        error = caught(proxy, "e = ValueError('it')\ne.add_note('a note')\nraise e")
        self.assertEqual(error.__notes__, ["a note"])
        code = "raise ExceptionGroup('many', [ValueError(1), ExceptionGroup('in', [{}.__class__ and KeyError('k')])])"
        error = caught(proxy, code)
        self.assertIsInstance(error, ExceptionGroup)
        self.assertEqual(error.text, "many (2 sub-exceptions)")
        self.assertEqual(error.exceptions[0].args, (1,))
        found = []
        try:
            raise error
        except* KeyError as group:
            found += group.exceptions[0].exceptions
        except* ValueError as group:
            found += group.exceptions
        self.assertEqual([one.args for one in found], [("k",), (1,)])
        self.assertEqual(len(pickle.loads(pickle.dumps(error)).exceptions), 2)

    def test_printed(self):
        for code in ("raise ValueError('here')",
                     "try:\n {}['key']\nexcept KeyError as e:\n raise ValueError('here') from e"):
            printed = "".join(traceback.format_exception(caught(proxy, code)))
            self.assertIn("in raise_it\n", printed)
            self.assertIn("\nValueError: here\n\"\"\"\n", printed)
            self.assertTrue(printed.endswith("\nValueError: here\n"), printed)

    def test_in_init(self):
        """What only programs in Python read is nothing for people: an init function's error is none of a call."""
        for host, code in (("python", "def init(): open('/nofile')\ndef f(): pass"),
                           ("gjs", "import GLib from 'gi://GLib'; import Afrpc from 'gi://Afrpc';"
                                   "export function f() {}\nexport function init() { throw new Afrpc.Error({code: "
                                   "Afrpc.Error.REMOTE, message: 'python-exception -12: OSError: no\\n\\nTraceback\\n\\n{}'}); }")):
            if host == "gjs" and not os.path.exists(os.path.join(os.environ["AFRPC_HOST_PATH"], "afrpc-host-gjs")):
                continue
            with self.subTest(host):
                failing = Afrpc.Proxy(process=Afrpc.Process.new_exec(host).eval(code), function="f", init="init")
                error = caught(failing)
                self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.INIT))
                self.assertIn("Traceback", error.message)
                for text in error.message, str(error), failing.get_process().wait_sync().to_string():
                    self.assertNotIn("{", text)

    def test_wrong_host(self):
        with tempfile.TemporaryDirectory() as folder:
            for host, name, words in (("python", "w.so", "host 'c'"), ("python", "w.js", "host 'gjs'"), ("gjs", "w.py", "host 'python'"),
                                      ("perl", "w.py", "host 'python'"), ("perl", "w.so", "host 'c'"), ("c", "w.vala", "is source")):
                if not os.path.exists(os.path.join(os.environ["AFRPC_HOST_PATH"], f"afrpc-host-{host}")):
                    continue
                module = os.path.join(folder, name)
                with open(module, "w") as file:
                    file.write("(no language")
                with self.subTest(host=host, name=name):
                    error = caught(Afrpc.Proxy(process=Afrpc.Process.new_exec(host).require(module), function="f"))
                    self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.MODULE))
                    self.assertIn(words, error.message.split("\n")[0])

    def test_wrong_backend(self):
        process = Afrpc.Process.new_exec("python").eval("async def f(): pass")
        self.assertIn("'f' is a coroutine function: it needs the async backend, in the command --async",
                      caught(Afrpc.Proxy(process=process, function="f")).message)

    def test_large(self):
        error = caught(proxy, "raise ValueError('ü' * 100000, 1)")
        self.assertIsInstance(error, ValueError)
        self.assertLess(len(error.message.encode()), 65536 + 100)
        # Of words that are too long the middle is left out, and nothing of where they come from.
        for raising in "raise ValueError('first' + 'ü' * 100000 + 'last')", "try: 1 / 0\nexcept Exception: " \
                "raise ValueError('first' + 'ü' * 100000 + 'last')":
            error = caught(proxy, raising)
            self.assertTrue(error.text.startswith("first") and error.text.endswith("last"), error.text[-100:])
            self.assertIn(" [...] ", error.text)
            self.assertTrue(error.traceback.startswith("Traceback (most recent call last):\n  File "), error.traceback[:100])
            self.assertIn("in raise_it\n", error.traceback)
            self.assertIn("\nValueError: firstü", error.traceback)
            self.assertTrue(error.traceback.endswith("last"))
            self.assertEqual("ZeroDivisionError" in error.traceback, "1 / 0" in raising)
        deep = "[" * 50 + "]" * 50
        for code in f"raise ValueError({deep}, 1)", "a = []\na.append(a)\nraise ValueError(a)":
            self.assertIsInstance(caught(proxy, code), ValueError)

    def test_large_parts(self):
        """What is too large is left out by itself, which a note says; the class stays whatever there is."""
        import subprocess

        decode_error = __import__("json").JSONDecodeError
        for n in 10, 5000, 10000, 20000, 10**6:
            error = caught(proxy, f"import json; json.loads('[' + ' ' * {n})")
            self.assertIsInstance(error, decode_error)
            self.assertEqual((error.pos, error.lineno), (n + 1, 1))
            fits = n <= 20000
            self.assertEqual(hasattr(error, "doc"), fits, n)
            self.assertEqual(getattr(error, "__notes__", []), [] if fits else ["left out, being too large: doc"])
            self.assertIs(type(pickle.loads(pickle.dumps(error))), type(error))
            self.assertLess(len(error.message.encode()), 65536)
        error = caught(proxy, "import subprocess as s; s.run(['sh', '-c', 'head -c 100000 /dev/zero; exit 3'], "
                              "capture_output=True, check=True)")
        self.assertIsInstance(error, subprocess.CalledProcessError)
        self.assertEqual((error.returncode, error.stderr, error.args[0]), (3, b"", 3))
        for code, cls, lost in (
                ("raise Unlucky('x' * 100000, 3)", LookupError, "arguments, path"),
                ("raise Hidden('x' * 100000, 'y' * 100000)", ValueError, "arguments"),
                ("e = KeyError(1)\nfor i in range(500): e.add_note('ü' * 1000)\nraise e", KeyError, "48. of 500 notes"),
                ("try: json.loads('[' + ' ' * 100000)\nexcept ValueError as e: raise KeyError(5) from e", KeyError, None)):
            error = caught(proxy, code)
            self.assertIsInstance(error, cls)
            self.assertRegex(str(getattr(error, "__notes__", None)), f"left out, being too large: {lost}" if lost else "None")
        self.assertIsInstance(error.__cause__, decode_error)
        self.assertEqual((error.args, error.__cause__.pos), ((5,), 100001))

    def test_large_groups(self):
        for n in 10, 512, 513, 20000:
            for code, least in ((f"raise ExceptionGroup('rows', [ValueError(f'row {{i}}') for i in range({n})])", 512),
                                (f"raise ExceptionGroup('rows', [Unlucky('x' * 10000, i) for i in range({n})])", 50)):
                error = caught(proxy, code)
                self.assertIsInstance(error, ExceptionGroup)
                self.assertEqual((error.text, error.args[0]), (f"rows ({n} sub-exceptions)", "rows"))
                n_told = len(error.exceptions)
                self.assertGreaterEqual(n_told, min(n, least))
                self.assertEqual([str(one.text) for one in error.exceptions[:2]],
                                 ["row 0", "row 1"] if least == 512 else [one.text for one in error.exceptions[:2]])
                self.assertTrue(all(isinstance(one, ValueError if least == 512 else LookupError) for one in error.exceptions))
                if n_told < n:
                    self.assertEqual(error.__notes__, [f"left out, being too large: {n - n_told} of {n} exceptions"])
                self.assertLess(len(error.message.encode()), 65536)
        nested = "e = ValueError('x' * 5000)\nfor i in range(6): e = ExceptionGroup('g', [e] * 4)\nraise e"
        error = caught(proxy, nested)
        self.assertIsInstance(error.exceptions[0].exceptions[0], ExceptionGroup)

    def test_large_words(self):
        """Characters of several bytes, and what JSON escapes, leave room for the rest, too."""
        for text in r"'\U0001f600'", r"'\x1b'", r"'\"'", "'ü'", r"'\ud800'":
            for n in 5000, 100000:
                for code in (f"raise Hidden({text} * {n}, 5)", f"raise ExceptionGroup({text} * {n}, [Hidden({text} * {n}, 5)])",
                             f"e = Hidden({text})\ne.add_note({text} * {n})\ne.text = {text} * {n}\ne.n = 5\nraise e"):
                    with self.subTest(code):
                        error = caught(proxy, code)
                        self.assertIsInstance(error, ExceptionGroup if "Group" in code else ValueError)
                        self.assertEqual(getattr(error, "n", 0), 5 if "e.n" in code else 0)
                        self.assertLess(len(error.message.encode("utf-8", "surrogatepass")), 65536)

    def test_made_up(self):
        for message in "", "ValueError", "ValueError: x", "Nonsense: x", "OSError\n\n{}", "a.b.c: x", ": ", "\n\n":
            for code in 0, 5, -5, 10**6, -10**6, 2**31 - 1, -2**31:
                error = caught(lies, message, code)
                self.assertIsInstance(error, Afrpc.RemoteError)
                pickle.loads(pickle.dumps(error))
                str(error), repr(error)

    def test_made_up_details(self):
        nothing = object()
        for made_up in (None, 5, [], {}, {"class": 5}, {"class": ["builtins", "eval"]}, {"class": ["os", "system"]},
                        {"class": ["builtins", "SystemExit"]}, {"class": ["builtins", "StopIteration"]},
                        {"class": ["builtins", "BaseException"], "base": "KeyboardInterrupt"},
                        {"class": ["builtins", "ExceptionGroup"]},
                        {"class": ["builtins", "ExceptionGroup"], "group": [5, None, {"words": 5}]},
                        {"class": ["builtins", "ExceptionGroup"], "group": [{"words": "SystemExit"}]},
                        {"class": ["builtins", "UnicodeDecodeError"], "args": {"tuple": [1]}},
                        {"class": ["builtins", "OSError"], "args": {"tuple": [[], {"bytes": "00"}, None]}},
                        {"class": ["builtins", "ValueError"], "args": {"tuple": 5}},
                        {"class": ["builtins", "ValueError"], "args": {"bytes": "x"}},
                        {"class": ["builtins", "ValueError"], "args": {"dict": [[[], 1]]}},
                        {"class": ["builtins", "ValueError"], "args": {}},
                        {"class": ["builtins", "ValueError"], "notes": [5], "attributes": [1]},
                        {"class": ["builtins", "ImportError"], "attributes": {"name": 5, "path": {"dict": [[1, 2]]}}},
                        {"class": ["builtins", "AttributeError"], "attributes": {"name": [], "obj": "x"}},
                        {"class": ["builtins", "ValueError"],
                         "attributes": {"code": 7, "__class__": 5, "message": "no", "fine": {"bytes": 7}}},
                        {"class": ["gi.repository.GLib", "GError"]}, {"class": ["gi._error", "GError"]},
                        {"class": ["afrpc._errors", "RemoteError"]},
                        {"class": ["builtins", "ValueError"], "cause": 5, "context": []},
                        {"class": ["builtins", "ValueError"], "cause": {"class": ["builtins", "SystemExit"]}}):
            with self.subTest(made_up):
                error = caught(details, made_up)
                self.assertIsInstance(error, Afrpc.RemoteError)
                self.assertNotIsInstance(error, (SystemExit, KeyboardInterrupt, StopIteration))
                self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.REMOTE))
                self.assertTrue(error.copy().message.startswith("python-exception -19: ValueError: made up"))
                self.assertIs(vars(error).get("__class__", nothing), nothing)
                if isinstance(made_up, dict) and "code" in (made_up.get("attributes") or ()):
                    self.assertEqual((error.code, error.message), (7, "no"))
                str(error), repr(error), pickle.loads(pickle.dumps(error))

    def test_nothing_is_loaded(self):
        class Lazy(type(sys)):
            def __getattribute__(self, name):
                raise AssertionError("was asked for")

        sys.modules["lazy_module"] = Lazy("lazy_module")
        try:
            error = caught(details, {"class": ["lazy_module", "Error"]})
        finally:
            del sys.modules["lazy_module"]
        self.assertIs(type(error), Afrpc.RemoteError)
        caught(details, {"class": ["wsgiref", "Error"]})
        self.assertNotIn("wsgiref", sys.modules)


class Classes(unittest.TestCase):
    def make(self, code, **properties):
        process = Afrpc.Process.new_exec("python").eval(code)
        process.set_stderr(Afrpc.Stdio.CAPTURE)
        proxy = Afrpc.Proxy(process=process, function="run", **properties)
        proxy.connect("error", lambda proxy, error: None)
        return proxy

    def test_died(self):
        async def main():
            proxy = self.make("import os\ndef run():\n os._exit(3)")
            return await asyncio.gather(proxy(), proxy(), return_exceptions=True)

        first, second = afrpc.aio.run(main())
        for error, started in (first, Afrpc.Started.YES), (second, Afrpc.Started.NO):
            self.assertEqual((error.started, error.exit.get_status()), (started, 3))
            self.assertIsInstance(error.process, Afrpc.Process)
            self.assertIn(f"pid {error.process.get_pid()}", error.message)
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((again.started, again.exit, again.process), (started, None, None))
        self.assertIs(type(first), Afrpc.WorkerDied)
        self.assertIs(type(second), Afrpc.NotStarted)
        self.assertTrue(first.matches(Afrpc.error_quark(), Afrpc.Error.DIED))
        for error in first, second:
            again = pickle.loads(pickle.dumps(error))
            self.assertIs(type(again), type(error))
            self.assertEqual((again.message, again.domain, again.code), (error.message, error.domain, error.code))
            self.assertEqual(repr(error), f"Afrpc.{type(error).__name__}({error.message!r})")

    def assert_not_started(self, error, words=""):
        self.assertIs(type(error), Afrpc.NotStarted)
        self.assertEqual(error.started, Afrpc.Started.NO)
        self.assertIn(words, str(error))
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(again), again.message, again.code), (Afrpc.NotStarted, error.message, error.code))

    def try_all_ways(self, caller):
        """What each way to make a call fails with."""
        args = GLib.Variant("()", ())

        async def main():
            yield await asyncio.gather(caller(), caller.call(), caller.call_kw(), caller.call_full(args),
                                       caller.start(args).wait(), return_exceptions=True)

        errors = afrpc.aio.run(anext(main()))
        for way in (caller.invoke_sync, caller.call_kw_sync, lambda: caller.call_sync(args),
                    lambda: caller.call_full_sync(args), lambda: caller.start(args).wait_sync()):
            with self.assertRaises(GLib.Error) as caught:
                way()
            errors.append(caught.exception)
        return errors

    def test_after_death(self):
        """A call that is made when there is no worker any more was not started, as one that was made before."""
        ends = {
            "died": lambda proxy: self.assertIsInstance(caught(proxy), Afrpc.WorkerDied),
            "killed": lambda proxy: proxy.kill(),
            "closed": lambda proxy: proxy.close_sync(),
        }
        for how, end in ends.items():
            with self.subTest(how=how):
                proxy = self.make("import os\ndef run():\n os._exit(3)")
                end(proxy)
                for error in self.try_all_ways(proxy):
                    self.assert_not_started(error, "status 3" if how == "died" else "")
                    if how == "died":
                        self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.CLOSED))
                        self.assertEqual(error.exit.get_status(), 3)

    def test_after_end_of_pool(self):
        code = "import os, threading\ndef run(): pass\ndef init(): threading.Timer(0.01, os._exit, [3]).start()"
        for how in "closed", "killed", "failed":
            with self.subTest(how=how):
                process = Afrpc.Process.new_exec("python").eval(code).set_stderr(Afrpc.Stdio.CAPTURE)
                properties = {"idle_workers": 1, "init": "init"} if how == "failed" else {}
                pool = Afrpc.Pool(process=process, function="run", max_workers=1, max_failures=1, **properties)
                pool.connect("error", lambda pool, error: None)
                if how == "failed":
                    while pool.get_failure() is None:
                        GLib.MainContext.default().iteration(True)
                else:
                    pool.close() if how == "closed" else pool.kill()
                for error in self.try_all_ways(pool):
                    self.assert_not_started(error, "status 3" if how == "failed" else "the pool is closed")
                # What ends a map is no call's.
                with self.assertRaises(GLib.Error) as ended:
                    next(pool.map([1]))
                # It may have ended before it was ready.
                self.assertIn(type(ended.exception), (GLib.Error, Afrpc.NotStarted) if how == "failed" else (GLib.Error,))

    def test_who_had_it(self):
        """Also where many do, and nobody keeps the call."""
        pool = Afrpc.Pool(process=Afrpc.Process.new_exec("python").require(WORKER), function="raise_it", max_workers=1)

        async def main():
            calls = pool("pass"), pool("import os; os._exit(4)"), pool("raise ValueError")
            queued = pool("pass", timeout_ms=1)
            self.assertEqual([call.get_exit() for call in calls], [None] * 3)
            outcomes = await asyncio.gather(*calls, queued, return_exceptions=True)
            return calls, outcomes

        (good, bad, remote), (_none, died, raised, late) = afrpc.aio.run(main())
        self.assertEqual((bad.get_exit().get_status(), died.exit.get_status()), (4, 4))
        self.assertIs(bad.get_process(), died.process)
        self.assertIs(good.get_process(), died.process)
        self.assertIsNot(remote.get_process(), died.process)
        self.assertEqual((good.get_exit(), remote.get_exit()), (None, None))
        self.assertFalse({"exit", "process"} & vars(raised).keys())
        self.assertIsInstance(late, Afrpc.TimeoutError)
        self.assertEqual((late.exit, late.process), (None, None))
        self.assertEqual(Afrpc.PendingCall().get_process(), None)
        self.assertTrue(pool.close_sync())

    def test_ways(self):
        args = GLib.Variant("(x)", (5,))
        code = "import os\ndef run(status):\n os._exit(status)"
        for way in (lambda proxy: proxy.invoke_sync(5), lambda proxy: proxy.call_sync(args),
                    lambda proxy: proxy.call_full_sync(args, None), lambda proxy: proxy.start(args, None).wait_sync(None)):
            proxy = self.make(code)
            with self.assertRaises(Afrpc.WorkerDied) as caught:
                way(proxy)
            self.assertEqual(caught.exception.exit.get_status(), 5)
            self.assertIs(caught.exception.process, proxy.get_process())

    def test_timeout(self):
        async def main():
            proxy = self.make("import afrpc\ndef run():\n while not afrpc.is_cancelled(): pass")
            try:
                await proxy(timeout_ms=1)
            finally:
                proxy.kill()

        with self.assertRaises(TimeoutError) as caught:
            afrpc.aio.run(main())
        error = caught.exception
        self.assertIs(type(error), Afrpc.TimeoutError)
        self.assertTrue(error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT))
        self.assertIs(type(pickle.loads(pickle.dumps(error))), Afrpc.TimeoutError)
        self.assertIsInstance(error, GLib.Error)

    def test_not_done(self):
        async def main():
            call = self.make("def run(): pass")()
            for ask in call.result, call.exception:
                with self.assertRaises(asyncio.InvalidStateError):
                    ask()
            await call

        afrpc.aio.run(main())

    def test_not_done_without_loop(self):
        """It says what to do: nothing that blocks does it."""
        proxy, context = self.make("def run(): return 5"), GLib.MainContext.default()
        call = proxy()
        self.assertTrue(proxy.close_sync())
        for ask in call.result, call.exception:
            with self.assertRaisesRegex(asyncio.InvalidStateError, r"not done yet, .*iteration\(True\).*invoke_sync\(\)"):
                ask()
        while not call.done():
            context.iteration(True)
        self.assertEqual(call.result(), 5)
        with self.assertRaisesRegex(asyncio.InvalidStateError, "not done yet$"):
            Afrpc.PendingCall().result()

    def test_never_asked_for(self):
        told = []

        async def main():
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
            proxy = self.make("def run(): raise ValueError('nobody')")
            call = proxy()
            await asyncio.wait([asyncio.ensure_future(proxy.close_async())])
            self.assertTrue(call.done())
            del call
            gc.collect()

        afrpc.aio.run(main())
        self.assertEqual([str(context["exception"]) for context in told], ["nobody"])


if __name__ == "__main__":
    unittest.main()
