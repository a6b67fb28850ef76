#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library as Python sees it through introspection."""
import gc
import os
import signal
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib  # noqa: E402

WORKER = os.environ["AFRPC_TEST_WORKER"]


def act(what, value=GLib.Variant("b", True)):
    return GLib.Variant("(sv)", (what, value))


class Proxies(unittest.TestCase):
    def setUp(self):
        self.loop = GLib.MainLoop()
        self.log = []

    def make(self, function="act", **properties):
        process = Afrpc.Process.new_exec("c")
        process.set_stderr(Afrpc.Stdio.CAPTURE)
        process.require(WORKER)
        proxy = Afrpc.Proxy(process=process, function=function, **properties)
        proxy.connect("event", lambda proxy, event, *rest: self.log.append(event.unpack()))
        proxy.connect("error", lambda proxy, error: self.log.append(error))
        proxy.connect("destroyed", self.destroyed_cb)
        return proxy

    def destroyed_cb(self, proxy):
        self.log.append("destroyed")
        self.loop.quit()

    def settled_cb(self, proxy, result, name):
        try:
            self.log.append((name, proxy.call_finish(result).unpack()))
        except GLib.Error as error:
            self.log.append((name, error))

    def full_cb(self, proxy, result, name):
        try:
            self.log.append((name, proxy.call_full_finish(result)))
        except GLib.Error as error:
            self.log.append((name, error))

    def end(self, proxy):
        proxy.close()
        self.loop.run()

    def test_call(self):
        proxy = self.make()
        proxy.call(act("event", GLib.Variant("s", "ä")), None, self.settled_cb, 1)
        proxy.call(act("return", GLib.Variant("(iay)", (5, b"\0x"))), None, self.settled_cb, 2)
        self.end(proxy)
        self.assertEqual(self.log, ["ä", (1, True), (2, (5, [0, 120])), "destroyed"])

    def test_call_async_backend(self):
        proxy = self.make("act_async", backend=Afrpc.Backend.ASYNC)
        proxy.call(act("later", GLib.Variant("u", 20)), None, self.settled_cb, 1)
        proxy.call(act("return", GLib.Variant("i", 1)), None, self.settled_cb, 2)
        self.end(proxy)
        self.assertEqual(self.log, [(2, 1), (1, "later"), "destroyed"])

    def test_call_sync(self):
        proxy = self.make()
        result = proxy.call_sync(act("return", GLib.Variant("s", "x")), None)
        self.assertEqual(result.unpack(), "x")
        with self.assertRaises(GLib.Error) as caught:
            proxy.call_sync(act("file-error"), None)
        self.assertTrue(caught.exception.matches(GLib.file_error_quark(), GLib.FileError.NOENT))
        with self.assertRaises(GLib.Error) as caught:
            proxy.call_sync(GLib.Variant("(i)", (1,)), None)
        self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.INVALID_ARGUMENTS))
        self.end(proxy)

    def test_death(self):
        proxy = self.make()
        exits = []
        proxy.get_process().connect("exited", lambda process, exit: exits.append(exit))
        proxy.call(act("die-saying", GLib.Variant("u", 3)), None, self.settled_cb, 1)
        proxy.call(act("return"), None, self.settled_cb, 2)
        self.loop.run()
        (_, died), (_, not_started), error, end = self.log
        self.assertTrue(died.matches(Afrpc.error_quark(), Afrpc.Error.DIED))
        self.assertIn("exited with status 3: the last words", died.message)
        self.assertTrue(not_started.matches(Afrpc.error_quark(), Afrpc.Error.NOT_STARTED))
        self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.DIED))
        self.assertEqual(end, "destroyed")
        self.assertEqual(exits[0].get_status(), 3)
        self.assertEqual(exits[0].get_stderr(), "first line\nthe last words")
        self.assertGreater(exits[0].get_max_rss(), 0)

    def test_cancel_and_time_limit(self):
        proxy = self.make()
        cancellable = Gio.Cancellable()
        proxy.connect("event", lambda proxy, *rest: cancellable.cancel())
        proxy.call(act("until-cancelled"), cancellable, self.settled_cb, 1)
        proxy.call_full(act("hang"), Afrpc.CallOptions(timeout_ms=10), None, self.full_cb, 2)
        while len([entry for entry in self.log if isinstance(entry, tuple)]) < 2:
            GLib.MainContext.default().iteration(True)
        settled = dict(entry for entry in self.log if isinstance(entry, tuple))
        self.assertTrue(settled[1].matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        self.assertTrue(settled[2].matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT))
        proxy.kill()
        self.loop.run()

    def test_dropped_with_a_cycle(self):
        proxy = self.make()
        exits = []
        proxy.keeps_itself = lambda: proxy
        process = proxy.get_process()
        process.connect("exited", lambda process, exit: (exits.append(exit), self.loop.quit()))
        proxy.call(act("return"), None, self.settled_cb, 1)
        del proxy
        while not exits:
            gc.collect()
            GLib.MainContext.default().iteration(not self.log)
            if len(self.log) > 0:
                gc.collect()
                GLib.MainContext.default().iteration(False)
        self.assertTrue(exits[0].is_success())
        self.assertEqual(self.log[0], (1, True))

    def test_close_async(self):
        proxy = self.make()
        proxy.call(act("return"), None, self.settled_cb, 1)
        proxy.close_async(None, lambda proxy, result: self.log.append(proxy.close_finish(result)))
        self.loop.run()
        self.assertEqual(self.log, [(1, True), True, "destroyed"])

    def test_properties(self):
        proxy = self.make(call_timeout_ms=5)
        self.assertEqual(proxy.props.call_timeout_ms, 5)
        proxy.props.max_calls_queued = 7
        self.assertEqual(proxy.get_max_calls_queued(), 7)
        self.assertEqual(proxy.props.function, "act")
        self.end(proxy)


class Processes(unittest.TestCase):
    def test_errors(self):
        proxy = Afrpc.Proxy.new(Afrpc.Process.new_exec("klingon"), "f")
        proxy.connect("error", lambda proxy, error: None)
        with self.assertRaises(GLib.Error) as caught:
            proxy.call_sync(None, None)
        self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.NO_HOST))

    def test_run_and_wait(self):
        loop = GLib.MainLoop()
        process = Afrpc.Process.new_exec(None)
        process.require(WORKER)
        process.send_arg(GLib.Variant("s", "a"))
        seen = []

        def run_cb(process, result):
            stream = process.run_finish(result)
            seen.append(stream.get_input_stream().read_bytes(64, None).get_data())
            stream.close(None)

        process.wait_async(None, lambda process, result: (seen.append(process.wait_finish(result)), loop.quit()))
        process.run_async("run_echo", None, run_cb)
        loop.run()
        self.assertEqual(seen[0], b"('a',)\0")
        self.assertTrue(seen[1].is_success())

    def test_fork(self):
        loop = GLib.MainLoop()
        template = Afrpc.Process.new()
        template.require(WORKER)
        proxies = [Afrpc.Proxy.new(template.fork(), "act") for _ in range(3)]
        for proxy in proxies:
            self.assertEqual(proxy.call_sync(act("return", GLib.Variant("i", 3)), None).unpack(), 3)
            self.assertEqual(proxy.get_process().get_start(), Afrpc.Start.FORK)
            proxy.connect("destroyed", lambda proxy: loop.quit())
            proxy.close()
            loop.run()

    def test_kill(self):
        loop = GLib.MainLoop()
        process = Afrpc.Process.new_exec(None)
        exits = []
        process.connect("exited", lambda process, exit: (exits.append(exit), loop.quit()))
        while process.get_pid() == 0:
            GLib.MainContext.default().iteration(True)
        process.kill(signal.SIGTERM)
        loop.run()
        self.assertEqual(exits[0].get_signal(), signal.SIGTERM)
        self.assertTrue(exits[0].was_killed())


if __name__ == "__main__":
    unittest.main()
