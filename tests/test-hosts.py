#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host of a third party that docs/hosts.md shows.

usage: test-hosts.py WORKER
"""
import os
import shlex
import sys
import tempfile
import unittest

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib

WORKER = sys.argv.pop()


def make_proxy(function, backend=Afrpc.Backend.SYNC, process=None):
    if process is None:
        process = Afrpc.Process.new_exec("sh")
        process.require(WORKER)
    process.set_stderr(Afrpc.Stdio.CAPTURE)
    proxy = Afrpc.Proxy(process=process, function=function, backend=backend)
    proxy.connect("error", lambda *_: None)
    return proxy


def call(proxy, *args):
    return proxy.call_sync(GLib.Variant(f"({'s' * len(args)})", args), None).unpack()


class Hosts(unittest.TestCase):
    def assert_fails(self, code, text, function, *args):
        with self.assertRaises(GLib.Error) as caught:
            function(*args)
        self.assertTrue(caught.exception.matches(Afrpc.error_quark(), code), caught.exception)
        self.assertIn(text, caught.exception.message)

    def test_calls(self):
        for backend in Afrpc.Backend.SYNC, Afrpc.Backend.ASYNC:
            proxy = make_proxy("greet", backend)
            self.assertEqual(call(proxy, "wörld"), "Hello, wörld!")
            self.assertEqual(call(proxy, "a b"), "Hello, a b!")
            self.assert_fails(Afrpc.Error.INVALID_ARGUMENTS, "strings", proxy.call_sync, GLib.Variant("(i)", (1,)), None)
            failing = make_proxy("fail", backend)
            self.assert_fails(Afrpc.Error.FAILED, "no wish", call, failing, "wish")
            self.assertEqual(call(proxy, "again"), "Hello, again!")

    def test_preparing(self):
        self.assert_fails(Afrpc.Error.FUNCTION, "no function 'missing'", call, make_proxy("missing"))
        process = Afrpc.Process.new_exec("sh")
        process.require("/nowhere.sh")
        self.assert_fails(Afrpc.Error.MODULE, "No such file", call, make_proxy("greet", process=process))
        process = Afrpc.Process.new_exec("sh")
        process.eval("twice () { echo $1$1; }", None)
        self.assertEqual(call(make_proxy("twice", process=process), "x"), "xx")

    def test_template(self):
        template = Afrpc.Process.new_for_host("sh")
        template.require(WORKER)
        for _ in range(2):
            process = template.fork()
            self.assertEqual(call(make_proxy("greet", process=process), "child"), "Hello, child!")
            self.assertEqual(process.get_start(), Afrpc.Start.FORK)

    def test_cancel(self):
        loop = GLib.MainLoop()
        cancellable = Gio.Cancellable()
        errors = []

        def finished(proxy, result):
            try:
                proxy.call_finish(result)
            except GLib.Error as e:
                errors.append(e)
            proxy.close()

        with tempfile.TemporaryDirectory() as folder:
            fifo = os.path.join(folder, "pid")
            os.mkfifo(fifo)
            proxy = make_proxy("slow", Afrpc.Backend.ASYNC)
            proxy.connect("destroyed", lambda *_: loop.quit())
            proxy.call(GLib.Variant("(s)", (fifo,)), cancellable, finished)
            GLib.MainContext.default().iteration(False)
            fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            pids = []

            # Once it runs.
            def started(*_):
                pids.append(os.read(fd, 100))
                cancellable.cancel()
                return GLib.SOURCE_REMOVE

            GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, fd, GLib.IOCondition.IN, started)
            loop.run()
            os.close(fd)
        self.assertTrue(errors[0].matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED), errors)
        with self.assertRaises(ProcessLookupError):
            os.kill(int(pids[0]), 0)


if __name__ == "__main__":
    # The host is run by the python3 that comes first.
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "python3"), "w", encoding="utf-8", opener=lambda *args: os.open(*args, 0o700)) as file:
            file.write(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} \"$@\"\n")
        os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
        unittest.main()
