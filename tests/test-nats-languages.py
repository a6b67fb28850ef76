#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls over NATS from Python, and from programs in other languages.

usage: test-nats-languages.py WORKER [PROGRAM...]

WORKER has the function echo. Each PROGRAM is called with a URL behind its words, which "--" separates from the next; there,
"echo" is served as "languages".
"""
import subprocess
import sys
import unittest

import gi
gi.require_version("AfrpcNats", "1.0")
from gi.repository import Afrpc, AfrpcNats, GLib

from nats_server import NatsServer

WORKER, *PROGRAMS = sys.argv[1:]
context = GLib.MainContext.default()


class Languages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.nats = NatsServer().__enter__()
        cls.addClassCleanup(cls.nats.__exit__)
        process = Afrpc.Process.new()
        process.require(WORKER)
        cls.pool = Afrpc.Pool.new(process, "echo")
        cls.connection = AfrpcNats.Connection.new(cls.nats.url)
        cls.server = AfrpcNats.Server.new(cls.connection, "languages", cls.pool)
        cls.server.start()
        while cls.connection.get_state() != AfrpcNats.State.CONNECTED:
            context.iteration(True)

    @classmethod
    def tearDownClass(cls):
        done = []
        cls.server.stop_async(None, lambda server, result: done.append(server.stop_finish(result)))
        while not done:
            context.iteration(True)
        cls.pool.close_sync(None)

    def new_caller(self):
        caller = AfrpcNats.Caller(connection=AfrpcNats.Connection.new(self.nats.url), subject="languages",
                                  no_servers_timeout_ms=10000)
        self.addCleanup(caller.close)
        return caller

    def test_many(self):
        caller = self.new_caller()
        calls = [Afrpc.Caller.start(caller, GLib.Variant("(is)", (i, "text")), None) for i in range(10)]
        for i, call in enumerate(calls):
            while not call.is_settled():
                context.iteration(True)
            self.assertEqual(call.wait_sync(None).unpack(), (i, "text"))

    def test_callbacks(self):
        caller = self.new_caller()
        results = []
        Afrpc.Caller.start(caller, GLib.Variant("(s)", ("text",)), None).wait(
            None, lambda call, result: results.append(call.wait_finish(result).unpack()))
        while not results:
            context.iteration(True)
        self.assertEqual(results, [("text",)])
        self.assertEqual(caller.get_n_servers(), 1)
        self.assertEqual(caller.get_subject(), "languages")

    def test_error(self):
        caller = AfrpcNats.Caller.new(AfrpcNats.Connection.new(self.nats.url), "nobody.serves.this")
        call = Afrpc.Caller.start(caller, None, None)
        while not call.is_settled():
            context.iteration(True)
        with self.assertRaisesRegex(GLib.Error, "nobody serves 'nobody.serves.this'") as caught:
            call.wait_sync(None)
        self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.UNREACHABLE))
        self.assertEqual(call.get_started(), Afrpc.Started.NO)
        caller.close()

    def test_programs(self):
        words = []
        for word in [*PROGRAMS, "--"]:
            if word != "--":
                words.append(word)
            elif words:
                with self.subTest(words[-1]):
                    process = subprocess.Popen([*words, self.nats.url], stdout=subprocess.PIPE, text=True)
                    while process.poll() is None:
                        context.iteration(False)
                    self.assertEqual((process.stdout.read(), process.returncode), ("(7, 'text')\n", 0))
                    process.stdout.close()
                words = []


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
