# SPDX-License-Identifier: LGPL-2.1-or-later
"""The thread that runs the pools of all executors of a program, on a main context of its own."""
import collections
import os
import sys
import threading
import time

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib  # noqa: F401: whose overrides are needed

try:
    # PyGObject loads it when a main context is iterated: that must not be in a thread whose locks a fork leaves taken.
    import gi.events  # noqa: F401
except ImportError:
    pass

from gi.module import get_introspection_module

from . import _proxy

# PyGObject's own looks for an asyncio loop, which there is none of here; with Python 3.14 that warns, and where warnings are errors
# the thread would end.
_iterate = get_introspection_module("GLib").MainContext.iteration

TEMPLATE_MS = 5000  # that a template stays which nobody uses
AFTER_SHUTDOWN = "cannot schedule new futures after interpreter shutdown"

_lock = threading.Lock()
_loop = None


def _get_cwd():
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def report():
    """Prints what has been raised."""
    try:
        sys.excepthook(*sys.exc_info())
    except BaseException:
        sys.__excepthook__(*sys.exc_info())


def _try(function):
    try:
        function()
    except BaseException:
        report()


class Loop:
    """Functions are called by its thread, in order. What they raise is printed, and goes no further."""

    def __init__(self):
        self.executors = set()  # that have not ended
        self._template = self._template_key = self._forgetting = None
        self._calls = collections.deque()
        self._callbacks = collections.deque()  # of futures that were settled together
        self._is_calling_back = False
        self.main_has_threads = False  # which prevents forking: workers load the main module themselves
        self.is_ending = False
        self._is_woken = False
        self._is_stopping = False
        self._context = GLib.MainContext.new()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="afrpc", daemon=True)
        self._thread.start()
        self._started.wait()

    def _run(self):
        self._context.push_thread_default()
        self._waker = _proxy.Waker(self._dispatch)
        self._started.set()
        while not self._is_stopping or self.executors or self._calls or self._callbacks:
            _iterate(self._context, True)
        self._template = None
        self._context.pop_thread_default()

    def get_template(self, prepared):
        """A process that has loaded what this program has, for workers to be forked from."""
        key = prepared, _get_cwd(), sys.executable, dict(os.environ)
        if key != self._template_key:
            self._template = Afrpc.Process.new_exec("python")
            self._template.eval("from afrpc._tasks import prepare; prepare(*args)", prepared)
            self._template_key = key
        if self._forgetting is not None:
            self._forgetting.destroy()
            self._forgetting = None
        return self._template

    def forget_template_soon(self):
        """It stays for a while after the last executor, for another one."""
        if self.executors or self._forgetting is not None:
            return
        self._forgetting = GLib.timeout_source_new(TEMPLATE_MS)
        self._forgetting.set_callback(self.forget_template)
        self._forgetting.attach(self._context)

    def forget_template(self, *args):
        self._template = self._template_key = None
        if self._forgetting is not None:
            self._forgetting.destroy()
            self._forgetting = None
        return GLib.SOURCE_REMOVE

    def _dispatch(self):
        self._is_woken = False
        self._make_calls()
        if self._is_calling_back:
            return
        self._is_calling_back = True
        try:
            while self._callbacks:
                _try(self._callbacks.popleft())
                self._make_calls()
        finally:
            self._is_calling_back = False

    def _make_calls(self):
        while self._calls:
            _try(self._calls.popleft())

    def _wake(self):
        if not self._is_woken:
            self._is_woken = True
            self._waker.wake()

    def call(self, function):
        """May be called by any thread, and while memory is collected."""
        self._calls.append(function)
        self._wake()

    def call_back(self, function):
        """The same for code of the program, which may wait here: one after the other, and not within each other."""
        self._callbacks.append(function)
        self._wake()

    def is_current(self):
        return threading.get_ident() == self._thread.ident

    def run_until(self, is_done, timeout):
        """For what would wait in the thread of the loop itself, because something was called back there."""
        deadline = None if timeout is None else time.monotonic() + timeout
        source = None
        while not is_done():
            if self._calls:  # that came with the one that this is called by
                self._make_calls()
                continue
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                source = GLib.timeout_source_new(int(left * 1000) + 1)
                source.set_callback(lambda *args: GLib.SOURCE_REMOVE)
                source.attach(self._context)
            self._context.iteration(True)
            if source is not None:
                source.destroy()
                source = None

    def _stop(self):
        self._is_stopping = True

    def end(self):
        """Lets all executors finish what they have, and waits for that."""
        self.is_ending = True
        for executor in list(self.executors):
            executor.stop()
            executor.close()
        self.call(self._stop)
        self._thread.join()


def get_loop():
    """The loop of this program, which is started if need be."""
    global _loop

    with _lock:
        if _loop is None:
            try:
                threading._register_atexit(_at_exit)
            except RuntimeError:
                raise RuntimeError(AFTER_SHUTDOWN) from None
            _loop = Loop()
        if _loop.is_ending:
            raise RuntimeError(AFTER_SHUTDOWN)
        return _loop


def peek_loop():
    """(nullable): none in a process that was forked from the program."""
    return _loop


def _at_exit():
    """Before Python waits for its threads, as concurrent.futures does it."""
    if _loop is not None:
        _loop.end()


def _forked():
    """The thread is not in the child, and whoever had the lock is not either. What belongs to the loop is never dropped:
    its processes are those of the program."""
    global _lock, _loop, _inherited

    _lock = threading.Lock()
    _inherited = (_loop, _inherited)
    _loop = None


_inherited = None
os.register_at_fork(after_in_child=_forked)
