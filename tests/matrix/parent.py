#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parent in Python. Usage: parent.py CASES LANGUAGE HOST MODULE"""
import os
import sys
import tempfile

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib

N_CALLS = 10
LARGE = "x" * (1 << 20)
CASES, LANGUAGE, HOST, MODULE = sys.argv[1:]

context = GLib.MainContext.default()


def parse(text):
    return GLib.Variant.parse(None, text.replace("%LARGE%", LARGE), None, None)


def get_bytes(value):
    return value.get_data_as_bytes().get_data() or b""


def get_text(value):
    """Of a string, or the octets that Perl has instead."""
    if value.get_type_string() == "s":
        return value.get_string()
    assert value.get_type_string() == "aay" and value.n_children() == 1, value
    return get_bytes(value.get_child_value(0)).decode()


def matches(value, expected):
    if value.equal(expected):
        return True
    if LANGUAGE != "perl" or value.get_type_string() != "aay" or value.n_children() != 1:
        return False
    octets = get_bytes(expected)
    if expected.get_type_string() == "s":
        octets = octets[:-1]
    return get_bytes(value.get_child_value(0)) == octets


class Worker:
    """A worker and what became of it."""

    def __init__(self, backend):
        self.backend = backend
        self.log = []
        self.settled = []  # results and errors of a step
        self.destroyed = False
        self.exit = None
        self.process = Afrpc.Process.new_exec(HOST)
        self.process.set_stderr(Afrpc.Stdio.CAPTURE)
        self.process.require(MODULE)
        self.process.connect("exited", self.on_exited)
        self.proxy = Afrpc.Proxy(process=self.process, backend=backend,
                                 function="act" if backend == Afrpc.Backend.SYNC else "act_async")
        self.proxy.connect("event", lambda _proxy, event, *_rest: self.log.append(get_text(event)))
        self.proxy.connect("error", lambda _proxy, error: None)
        self.proxy.connect("destroyed", self.on_destroyed)

    def on_exited(self, _process, exit_):
        self.exit = exit_

    def on_destroyed(self, _proxy):
        self.destroyed = True

    def call(self, what, value, cancellable=None):
        def finished(proxy, result):
            try:
                self.settled.append(proxy.call_finish(result))
                self.log.append("result")
            except GLib.Error as error:
                self.settled.append(error)
                self.log.append("error")

        self.proxy.call(GLib.Variant("(sv)", (what, value)), cancellable, finished)

    def wait(self, n):
        while len(self.settled) < n:
            context.iteration(True)
        return self.settled

    def results(self, n):
        for result in self.wait(n):
            if isinstance(result, GLib.Error):
                raise result
        return self.settled

    def wait_exit(self):
        while self.exit is None:
            context.iteration(True)

    def check_alive(self):
        self.settled.clear()
        self.call("echo", GLib.Variant("s", "alive"))
        assert get_text(self.results(1)[0]) == "alive"


def assert_error(error, domain, code):
    assert isinstance(error, GLib.Error) and error.matches(domain, code), error


def stop_waiting(worker):
    """The worker may open its end now, or may still be about to."""
    fd = os.open(fifo, os.O_RDWR)  # for both ends, so that it does not wait itself
    worker.check_alive()
    os.close(fd)


def run_value(worker, text, *others):
    expected = dict(other.split("=", 1) for other in others).get(LANGUAGE, text)
    worker.call("echo", parse(text))
    if expected.startswith("!"):
        assert expected[1:] in worker.wait(1)[0].message, worker.settled
    else:
        result = worker.results(1)[0]
        assert matches(result, parse(expected)), f"{text[:200]}: got {result.print_(True)[:200]}"


def run_events(worker, n):
    n = int(n)
    n_events = n_results = 0
    for _ in range(N_CALLS):
        worker.call("events", GLib.Variant("u", n))
    worker.results(N_CALLS)
    for entry in worker.log:
        if entry != "result":
            assert int(entry) == n_events % n, worker.log
            n_events += 1
            continue
        n_results += 1
        assert n_events >= n_results * n
        assert worker.backend == Afrpc.Backend.ASYNC or n_events == n_results * n
    assert n_events == N_CALLS * n


def run_fail(worker, text):
    worker.call("fail", GLib.Variant("s", text))
    error = worker.wait(1)[0]
    assert isinstance(error, GLib.Error) and text in error.message, error


def run_cancel(worker):
    cancellable = Gio.Cancellable()
    worker.call("wait", GLib.Variant("s", fifo), cancellable)
    while not worker.log:
        context.iteration(True)
    assert worker.log == ["waiting"], worker.log
    cancellable.cancel()
    assert_error(worker.wait(1)[0], Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED)
    stop_waiting(worker)


def run_limit(worker, limit_ms):
    worker.proxy.props.call_timeout_ms = int(limit_ms)
    worker.call("wait", GLib.Variant("s", fifo))
    worker.proxy.props.call_timeout_ms = 0
    assert_error(worker.wait(1)[0], Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT)
    stop_waiting(worker)


def queue_calls(worker):
    for i in range(N_CALLS):
        worker.call("echo", GLib.Variant("s", str(i)))


def check_end(worker):
    worker.wait_exit()
    assert [get_text(result) for result in worker.results(N_CALLS)] == [str(i) for i in range(N_CALLS)]
    assert worker.exit.is_success(), worker.exit.to_string()


def run_close(worker):
    queue_calls(worker)
    worker.proxy.close()
    check_end(worker)
    while not worker.destroyed:
        context.iteration(True)


def run_drop(worker):
    queue_calls(worker)
    worker.proxy = None
    check_end(worker)


def run_exit(worker, status):
    worker.call("exit", GLib.Variant("u", int(status)))
    worker.call("echo", GLib.Variant("s", "behind it"))
    died, behind = worker.wait(2)
    assert_error(died, Afrpc.error_quark(), Afrpc.Error.DIED)
    if worker.backend == Afrpc.Backend.SYNC or not behind.matches(Afrpc.error_quark(), Afrpc.Error.DIED):
        assert_error(behind, Afrpc.error_quark(), Afrpc.Error.NOT_STARTED)
    worker.wait_exit()
    assert worker.exit.get_status() == int(status)


STEPS = {"value": run_value, "events": run_events, "fail": run_fail, "cancel": run_cancel, "limit": run_limit,
         "close": run_close, "drop": run_drop, "exit": run_exit}


def run_cases(backend, lines):
    worker = None
    for line in lines:
        if not line or line.startswith("#"):
            continue
        step, *words = line.split("\t")
        if worker is None:
            worker = Worker(backend)
        worker.log.clear()
        worker.settled.clear()
        STEPS[step](worker, *words)
        if worker.exit is not None:
            worker = None
        elif step != "value":
            worker.check_alive()


with tempfile.TemporaryDirectory() as folder:
    fifo = os.path.join(folder, "fifo")
    os.mkfifo(fifo)
    with open(CASES, encoding="utf-8") as file:
        all_lines = file.read().split("\n")
    run_cases(Afrpc.Backend.SYNC, all_lines)
    run_cases(Afrpc.Backend.ASYNC, all_lines)
