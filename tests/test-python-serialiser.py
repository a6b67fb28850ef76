#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Serialisers in Python: in a program, with workers in C and in Python, and in workers."""
import contextlib
import os
import sys
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "workers"))
from python_serialiser import Odd  # noqa: E402

C_WORKER = os.environ["AFRPC_TEST_SERIALISER_WORKER"]
PYTHON_WORKER = os.path.join(HERE, "workers", "python_serialiser.py")
FILE_ERROR = GLib.quark_from_string("g-file-error-quark")
ARGS = GLib.Variant("(say)", ("ä", b"\0x"))


@contextlib.contextmanager
def quiet():
    """Exceptions in virtual functions are printed."""
    saved = os.dup(2)
    with open(os.devnull, "w", encoding="utf-8") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)


class Serialisers(unittest.TestCase):
    def make(self, host, serialiser, function="echo", init=None, **properties):
        process = Afrpc.Process.new_exec(host)
        process.set_stderr(Afrpc.Stdio.CAPTURE)
        process.require(C_WORKER if host == "c" else PYTHON_WORKER)
        proxy = Afrpc.Proxy(process=process, function=function, init=init, serialiser=serialiser, **properties)
        self.addCleanup(proxy.close)
        return proxy

    def odd_proxies(self):
        for host, init, function in ("c", "init_odd", "echo_async"), ("python", "register", "echo_later"):
            odd = Odd("program")
            yield odd, self.make(host, odd, init=init)
            odd = Odd("program")
            yield odd, self.make(host, odd, init=init, function=function, backend=Afrpc.Backend.ASYNC)

    def call(self, proxy, args):
        return proxy.call_sync(args, None)

    def test_own(self):
        for host in "c", "python":
            for name in "variant", "bytes", "json":
                proxy = self.make(host, Afrpc.Serialiser.lookup(name))
                self.assertEqual(proxy.props.serialiser.get_name(), name)
                self.assertTrue(self.call(proxy, ARGS).equal(ARGS))

    def test_in_program_and_worker(self):
        for odd, proxy in self.odd_proxies():
            value = self.call(proxy, ARGS)
            self.assertTrue(value.equal(ARGS), value)
            self.assertEqual(odd.n_calls, 2)

    def test_tricks(self):
        for odd, proxy in self.odd_proxies():
            for where in "serialise", "deserialise":
                for trick in "error", "exception", "none", "type":
                    args = GLib.Variant("(sss)", (trick, where, "program"))
                    with quiet(), self.assertRaises(GLib.Error) as raised:
                        self.call(proxy, args)
                    if trick == "error":
                        self.assertTrue(raised.exception.matches(FILE_ERROR, 12), raised.exception)
                    else:
                        self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.SERIALISER),
                                        raised.exception)
                    self.assertTrue(self.call(proxy, ARGS).equal(ARGS))

    def test_tricks_of_worker(self):
        proxy = self.make("python", Odd("program"), init="register")
        for where in "serialise", "deserialise":
            for trick in "error", "exception", "none", "type":
                with self.assertRaises(GLib.Error) as raised:
                    self.call(proxy, GLib.Variant("(sss)", (trick, where, "worker")))
                if trick == "error":
                    self.assertTrue(raised.exception.matches(FILE_ERROR, 12), raised.exception)
                else:
                    self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.SERIALISER),
                                    raised.exception)
                self.assertTrue(self.call(proxy, ARGS).equal(ARGS))

    def test_what_is_returned(self):
        class Host(Afrpc.Host):
            def do_resolve(self, function, kind):
                return result

            def do_call(self, function, worker, args):
                return result

            def do_can_fork(self):
                return result

        host = Host(name="python")
        for result in None, -1, 1 << 32, "1", 1.0:
            with self.assertRaisesRegex(TypeError, "do_resolve cannot return"):
                host.do_resolve("f", Afrpc.FunctionKind.SYNC)
        for result in None, 7:
            with self.assertRaisesRegex(TypeError, "do_call cannot return"):
                host.do_call(1, None, ARGS)
            self.assertEqual(host.do_can_fork(), result)
        for result in 0, (1 << 32) - 1:
            self.assertEqual(host.do_resolve("f", Afrpc.FunctionKind.SYNC), result)
        result = ARGS
        self.assertIs(host.do_call(1, None, ARGS), ARGS)
        with self.assertRaisesRegex(TypeError, "do_dup_name cannot return None"):
            Odd("program", None).do_dup_name()

    def test_unknown(self):
        for host in "c", "python":
            with self.assertRaises(GLib.Error) as raised:
                self.call(self.make(host, Odd("program", "unheard-of")), ARGS)
            self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.SERIALISER))

    def test_register(self):
        odd = Odd("program", "python-odd")
        self.assertTrue(odd.register())
        self.assertIs(Afrpc.Serialiser.lookup("python-odd"), odd)
        self.assertIsNone(Afrpc.Serialiser.lookup("unheard-of"))
        with self.assertRaises(GLib.Error) as raised:
            Odd("program", "json").register()
        self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.SERIALISER))

    def test_plain_json(self):
        plain = Afrpc.JsonSerialiser.new(GLib.VariantType("(xs)"))
        self.assertEqual(plain.get_name(), "json-plain")
        self.assertEqual(plain.get_expected_type().dup_string(), "(xs)")
        self.assertEqual(plain.serialise(GLib.Variant("(sv)", ("a", GLib.Variant("y", 7)))).get_data(), b'["a",7]')
        self.assertEqual(plain.deserialise(GLib.Bytes.new(b'[1, "b"]')).unpack(), (1, "b"))
        with self.assertRaises(GLib.Error) as raised:
            plain.deserialise(GLib.Bytes.new(b"[1]"))
        self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.INVALID_DATA))

    def test_plain_json_by_name(self):
        """Of a name alone nobody knows the type: who asks for it is told what to give."""
        self.assertIsNone(Afrpc.Serialiser.lookup("json-plain"))
        with self.assertRaisesRegex(ValueError, r"Afrpc\.JsonSerialiser\.new"):
            self.make("python", "json-plain")
        with self.assertRaisesRegex(GLib.Error, "register an AfrpcJsonSerialiser"):
            self.call(self.make("c", Afrpc.JsonSerialiser.new(GLib.VariantType("v"))), ARGS)


if __name__ == "__main__":
    unittest.main()
