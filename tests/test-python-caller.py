#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A caller that is written in Python: it hands its calls on to another."""
import gc
import os
import threading
import unittest
import weakref

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib, GObject

context = GLib.MainContext.default()


class Forwarder(GObject.Object, Afrpc.Caller):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.calls = {}
        inner.connect("event", lambda inner, event, process, fds: self.emit_event(event, process, fds))
        inner.connect("error", lambda inner, error: self.emit_error(error))
        inner.connect("destroyed", lambda inner: self.emit_destroyed())

    def do_begin(self, call, args, options):
        inner = Afrpc.Caller.start(self.inner, args, call.forward_options())
        self.calls[call] = inner
        inner.wait(None, self.settled, call)

    def settled(self, inner, result, call):
        del self.calls[call]
        call.set_process(inner.get_process(), inner.get_exit())
        try:
            value = inner.wait_finish(result)
        except GLib.Error as error:
            call.return_error(inner.get_started(), error)
        else:
            call.return_value(value, inner.steal_fds())

    def do_cancel(self, call):
        self.calls[call].cancel()

    def do_close(self):
        self.inner.close()

    def do_kill(self):
        self.inner.kill()


class Idler(GObject.Object, Afrpc.Caller):
    """Begins nothing, and cannot be told to stop."""

    def do_begin(self, call, args, options):
        self.kept = call


def act(what, value=None):
    return GLib.Variant("(sv)", (what, value or GLib.Variant("b", True)))


def iterate_until(condition):
    while not condition():
        context.iteration(True)


class CallerTest(unittest.TestCase):
    def make(self, function="act", module="AFRPC_TEST_WORKER"):
        process = Afrpc.Process.new_exec(None)
        process.require(os.environ[module])
        process.set_stderr(Afrpc.Stdio.CAPTURE)
        return Forwarder(Afrpc.Proxy(process=process, function=function))

    def call(self, caller, args, options=None, cancellable=None):
        """What becomes of a call through the main loop."""
        outcome = []

        def called(caller, result):
            try:
                outcome.append(Afrpc.Caller.call_full_finish(caller, result)[0])
            except GLib.Error as error:
                outcome.extend((error, result.get_started()))
        Afrpc.Caller.call_full(caller, args, options, cancellable, called)
        return outcome

    def settle(self, outcome):
        iterate_until(lambda: outcome)
        return outcome

    def fails(self, outcome, domain, code, started):
        error, got = self.settle(outcome)
        self.assertTrue(error.matches(domain, code), error)
        self.assertEqual(got, started)
        return error

    def test_values(self):
        caller = self.make("echo")
        self.assertEqual(self.settle(self.call(caller, GLib.Variant("(u)", (1,))))[0].unpack(), (1,))
        self.assertEqual(Afrpc.Caller.call_sync(caller, GLib.Variant("(u)", (2,)), None).unpack(), (2,))
        call = Afrpc.Caller.start(caller, GLib.Variant("(u)", (3,)), None)
        self.assertEqual(call.wait_sync(None).unpack(), (3,))
        self.assertEqual(call.get_started(), Afrpc.Started.YES)
        self.assertTrue(Afrpc.Caller.close_sync(caller, None))

    def test_errors(self):
        caller = self.make()
        options = Afrpc.CallOptions(label="number 7")
        error = self.fails(self.call(caller, GLib.Variant("(u)", (1,)), options), Afrpc.error_quark(),
                           Afrpc.Error.INVALID_ARGUMENTS, Afrpc.Started.NO)
        self.assertEqual(error.message.count("number 7: "), 1)
        self.fails(self.call(caller, act("nothing")), Afrpc.error_quark(), Afrpc.Error.NO_RESULT, Afrpc.Started.YES)
        errors, ends = [], []
        caller.connect("error", lambda caller, error: errors.append(error))
        caller.connect("destroyed", ends.append)
        call = Afrpc.Caller.start(caller, act("exit", GLib.Variant("u", 3)), None)
        with self.assertRaises(GLib.Error):
            call.wait_sync(None)
        self.assertEqual(call.get_exit().get_status(), 3)
        iterate_until(lambda: ends)
        self.assertEqual(len(errors), 1)

    def test_order(self):
        caller, log = self.make(), []
        caller.connect("error", lambda caller, error: log.append("error"))
        caller.connect("destroyed", lambda caller: log.append("destroyed"))
        for what in "exit", "nothing":
            Afrpc.Caller.call(caller, act(what, GLib.Variant("u", 3)), None, lambda *unused: log.append("call"))
        iterate_until(lambda: len(log) == 4)
        self.assertEqual(log, ["call", "call", "error", "destroyed"])

    def test_progress_and_events(self):
        caller, seen = self.make("count_up", "AFRPC_TEST_MESSAGE_WORKER"), []
        options = Afrpc.CallOptions(metadata=GLib.Variant("a{sv}", {}))
        options.set_progress(Afrpc.ProgressMode.ALL, lambda call, value, *data: seen.append((value.unpack(), call.get_caller() is caller)))
        self.assertEqual(self.settle(self.call(caller, GLib.Variant("(u)", (3,)), options))[0].unpack(), 3)
        self.assertEqual(seen, [(1, True), (2, True), (3, True)])
        Afrpc.Caller.close_sync(caller, None)

        caller, events = self.make(), []
        caller.connect("event", lambda caller, event, process, fds: events.append(event.unpack()))
        self.settle(self.call(caller, act("event", GLib.Variant("s", "said"))))
        self.assertEqual(events, ["said"])
        Afrpc.Caller.close_sync(caller, None)

    def test_cancel(self):
        caller, events, cancellable = self.make(), [], Gio.Cancellable()
        caller.connect("event", lambda caller, event, process, fds: events.append(event.unpack()))
        running = self.call(caller, act("until-cancelled"), None, cancellable)
        iterate_until(lambda: events)
        queued = Afrpc.Caller.start(caller, act("return"), None)
        outcome = []
        queued.wait(None, lambda call, result: outcome.append(call))
        thread = threading.Thread(target=queued.cancel)
        thread.start()
        thread.join()
        iterate_until(lambda: outcome)
        self.assertEqual(queued.get_started(), Afrpc.Started.NO)
        cancellable.cancel()
        self.fails(running, Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED, Afrpc.Started.YES)
        self.assertTrue(Afrpc.Caller.close_sync(caller, None))

    def test_end(self):
        caller, outcome = self.make("echo"), []
        Afrpc.Caller.close_async(caller, None, lambda caller, result: outcome.append(caller.close_finish(result)))
        self.assertEqual(self.settle(outcome), [True])
        self.fails(self.call(caller, None), Afrpc.error_quark(), Afrpc.Error.CLOSED, Afrpc.Started.NO)

    def test_given_up(self):
        caller, cancellable = Idler(), Gio.Cancellable()
        outcome = self.call(caller, None, None, cancellable)
        cancellable.cancel()
        self.fails(outcome, Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED, Afrpc.Started.UNKNOWN)
        caller.kept.return_value(GLib.Variant("b", True), None)

    def test_nothing_is_kept(self):
        caller = self.make("echo")
        call = Afrpc.Caller.start(caller, GLib.Variant("(u)", (1,)), None)
        call.wait_sync(None)
        Afrpc.Caller.close_sync(caller, None)
        refs = [weakref.ref(caller), weakref.ref(call)]
        del caller, call
        while context.iteration(False):
            pass
        gc.collect()
        self.assertEqual([ref() for ref in refs], [None, None])


if __name__ == "__main__":
    unittest.main()
