#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls over NATS from Python, and from programs in other languages.

usage: test-nats-languages.py WORKER [PROGRAM...]

WORKER has the function echo. Each PROGRAM is called with a URL behind its words, which "--" separates from the next; there,
"echo" is served as "languages".
"""
import asyncio
import subprocess
import sys
import threading
import unittest

import gi
gi.require_version("Afrpc", "1.0")
gi.require_version("AfrpcNats", "1.0")
from gi.repository import Afrpc, AfrpcNats, GLib

from nats_server import NatsServer

WORKER, *PROGRAMS = sys.argv[1:]
context = GLib.MainContext.default()


class Serving(threading.Thread):
    """Who serves, in a thread of its own: the program may block."""

    def __init__(self, url):
        super().__init__()
        self.url = url
        self.context = GLib.MainContext()
        self.loop = GLib.MainLoop.new(self.context, False)
        self.start()

    def run(self):
        self.context.push_thread_default()
        process = Afrpc.Process.new()
        process.require(WORKER)
        self.pool = Afrpc.Pool.new(process, "echo")
        self.server = AfrpcNats.Server.new(AfrpcNats.Connection.new(self.url), "languages", self.pool)
        self.server.start()
        self.loop.run()
        self.pool.close_sync(None)
        self.pool = self.server = None
        self.context.pop_thread_default()

    def do(self, function):
        source = GLib.idle_source_new()
        source.set_callback(lambda *_: function())
        source.attach(self.context)

    def emit(self, value):
        self.do(lambda: self.pool.emit_event(value, None, None))

    def stop(self):
        self.do(lambda: self.server.stop_async(None, lambda *_: self.loop.quit()))
        self.join()


class Languages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.nats = NatsServer().__enter__()
        cls.addClassCleanup(cls.nats.__exit__)
        cls.serving = Serving(cls.nats.url)
        cls.addClassCleanup(cls.serving.stop)

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

    def test_values(self):
        with self.new_caller() as caller:
            self.assertEqual(caller.invoke_sync(1, "text"), (1, "text"))
            seen = []
            calls = [caller(7), caller.invoke(7, signature="(u)", callback=seen.append)]
            while not all(call.done() for call in calls) or not seen:
                context.iteration(True)
            self.assertEqual([call.result() for call in calls], [(7,), (7,)])
            self.assertEqual(seen, calls[1:])
            self.assertIn("languages", repr(caller))
        with self.assertRaisesRegex(Exception, "closed"):
            caller.invoke_sync(1)
        self.assertTrue(caller.is_closed())

    def test_new(self):
        caller = AfrpcNats.Caller.new(AfrpcNats.Connection.new(self.nats.url), "languages")
        caller.set_property("no-servers-timeout-ms", 10000)
        self.assertEqual(caller.invoke_sync("text"), ("text",))
        caller.close_sync()

    def test_ranges(self):
        """A number out of the range of a property is a ValueError."""
        connection = AfrpcNats.Connection.new(self.nats.url)
        needed = {"connection": connection, "subject": "languages"}
        for thing, given, name in ((AfrpcNats.Connection, {}, "connect_timeout_ms"), (AfrpcNats.Caller, needed, "max_calls_queued"),
                                   (AfrpcNats.Server, needed, "beat_ms")):
            for value in 0, 2**32:
                with self.subTest(name), self.assertRaisesRegex(ValueError, f"^'{name}' has to be between 10? and .*not {value}$"):
                    thing(**given, **{name: value})

    def test_await(self):
        async def call():
            async with self.new_caller() as caller:
                self.assertEqual(await caller(1, "text"), (1, "text"))
                self.assertEqual(await asyncio.gather(*(caller(i) for i in range(20))), [(i,) for i in range(20)])
                events = caller.events()
                self.serving.emit(GLib.Variant("s", "news"))
                async for event in events:
                    return event

        self.assertEqual(asyncio.run(call()), "news")

    def test_await_ends(self):
        async def main():
            connection = AfrpcNats.Connection.new(self.nats.url)
            process = Afrpc.Process.new_exec(None)
            process.require(WORKER)
            async with Afrpc.Pool(process=process, function="echo") as pool:
                server = AfrpcNats.Server.new(connection, "for.a.moment", pool)
                server.start()
                async with AfrpcNats.Caller(connection=connection, subject="for.a.moment",
                                            no_servers_timeout_ms=10000) as caller:
                    self.assertEqual(await caller(1), (1,))
                self.assertTrue(await server.stop_async())
            self.assertTrue(await connection.close_async())

        asyncio.run(main())

    def test_await_cancelled(self):
        async def call():
            async with AfrpcNats.Caller(connection=AfrpcNats.Connection.new(self.nats.url), subject="nobody.serves.this",
                                        no_servers_timeout_ms=600000) as caller:
                pending = caller(1)
                with self.assertRaises(TimeoutError) as caught:
                    async with asyncio.timeout(0.01):
                        await pending
                return caught.exception.__context__.started, pending.get_started()

        self.assertEqual(asyncio.run(call()), (Afrpc.Started.NO, Afrpc.Started.NO))

    def test_on_event(self):
        seen = []
        caller = AfrpcNats.Caller(connection=AfrpcNats.Connection.new(self.nats.url), subject="languages",
                                  no_servers_timeout_ms=10000, on_event=seen.append)
        self.assertEqual(caller.invoke_sync(1), (1,))
        self.serving.emit(GLib.Variant("(su)", ("news", 1)))
        while not seen:
            context.iteration(True)
        self.assertEqual(seen, [("news", 1)])
        caller.close()

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
                    output = process.stdout.read()
                    process.stdout.close()
                    self.assertEqual(process.returncode, 0, output)
                    self.assertIn("(7, 'text')", output.splitlines())
                words = []


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
