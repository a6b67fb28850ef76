# SPDX-License-Identifier: LGPL-2.1-or-later
"""asyncio on the main context of GLib.

An EventLoop is a source of the main context that is the thread's default when it is made. It runs
its callbacks whoever iterates that: run() or any other means of asyncio; or the main loop of a GTK
application, where create_task() is all that it takes to start a coroutine.
"""
import asyncio
import selectors
import threading
import weakref

from . import _afrpc

__all__ = ["EventLoop", "create_task", "drive", "get_event_loop", "run"]

_RETRY_S = 0.01       # after which a main context is asked for again that another thread has
_ITERATIONS_MAX = 64  # of the main context, before a foreign loop has its turn

# Foreign loop -> reference to its _Pump, which knows the loop, and is kept by it as what is called for a descriptor.
_pumps = weakref.WeakKeyDictionary()


class _Selector(selectors.EpollSelector):
    """Never waits: the main context does, for the selector's own descriptor."""

    source = None

    def select(self, timeout=None):
        return super().select(0) if self.source.take_polled() else []


def _have_own_context():
    """The main context that all threads share by default is the main thread's. Another one that runs a loop has one
    of its own from then on, unless it has been given one."""
    if threading.get_ident() != threading.main_thread().ident:
        _afrpc._own_context()


class EventLoop(asyncio.SelectorEventLoop):
    """An event loop that is driven by a main context of GLib."""

    def __init__(self):
        _have_own_context()
        selector = _Selector()
        super().__init__(selector)
        self._source = _afrpc.MainContextSource(self, self._ready, selector.fileno())
        selector.source = self._source

    def run_forever(self):
        self._check_closed()
        # What is made meanwhile belongs to the loop, whichever thread has made that.
        self._source.enter()
        try:
            super().run_forever()
        finally:
            self._source.leave()

    def _run_once(self):
        # This is what run_forever() calls again and again.
        self._source.iterate(not self._stopping)

    def _dispatch(self):
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            super()._run_once()
        finally:
            asyncio._set_running_loop(running)

    def close(self):
        if not self.is_running() and not self.is_closed():
            self._source.close()  # first: it watches the selector, which goes with the loop
        super().close()


def __getattr__(name):
    # Python 3.14 warns of policies wherever one is named, and 3.16 is to have none.
    global EventLoopPolicy

    if name != "EventLoopPolicy":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    class EventLoopPolicy(asyncio.DefaultEventLoopPolicy):
        """Makes asyncio's own functions use such loops."""

        _loop_factory = EventLoop

    EventLoopPolicy.__qualname__ = name
    return EventLoopPolicy


_loop = None


def get_event_loop():
    """The event loop that runs, or, if there is none, the one of the default main context."""
    global _loop

    running = asyncio._get_running_loop()
    if running is not None:
        return running
    if _loop is None or _loop.is_closed():
        _loop = EventLoop()
    return _loop


def create_task(coroutine, *, name=None):
    """Starts a coroutine on the main loop that runs, or will run, the default main context."""
    return get_event_loop().create_task(coroutine, name=name)


def run(main, *, debug=None):
    """Runs a coroutine like asyncio.run(), on the main context."""
    if asyncio._get_running_loop() is not None:  # before there is a loop, which could not be run, nor ended
        raise RuntimeError("afrpc.aio.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=EventLoop) as runner:
        return runner.run(main)


class _Pump:
    """Has a loop of another kind drive the main context, as far as that is possible from outside: it
    is looked at when one of its descriptors or timers is due, and whenever a call is made."""

    def __init__(self, loop):
        self._loop = weakref.ref(loop)
        self._poller = _afrpc.MainContextPoller()
        self._timer = None
        self._poked = False
        self._is_watching = False
        self.thread = None

    def enter(self):
        """The loop runs in this thread from now on."""
        from . import _proxy  # whose calls these are: it is there

        _proxy.add_driver(self._loop())
        self.thread = threading.get_ident()

    def poke(self):
        if not self._poked:
            self._poked = True
            self._loop().call_soon(self._run)

    def _watch(self, is_wanted):
        if is_wanted != self._is_watching:
            self._is_watching = is_wanted
            if is_wanted:
                self._loop().add_reader(self._poller.fileno(), self._run)
            else:
                self._loop().remove_reader(self._poller.fileno())

    def _run(self):
        self._poked = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for _ in range(_ITERATIONS_MAX):
            if not self._poller.iterate():
                break
        timeout_ms = self._poller.update()
        # While another thread has the context, nothing says when that is over, and what is ready stays so.
        self._watch(timeout_ms is not None)
        if timeout_ms is None:
            self._timer = self._loop().call_later(_RETRY_S, self._run)
        elif timeout_ms == 0:
            self.poke()
        elif timeout_ms > 0:
            self._timer = self._loop().call_later(timeout_ms / 1000, self._run)


def drive(loop):
    """Sees to it that a running loop of any kind drives the main context. Returns whether it does
    so by itself; else this is to be called again whenever there is something new to wait for."""
    if isinstance(loop, EventLoop) or type(loop).__module__.startswith(("gi.", "gbulb.")):
        return True
    reference = _pumps.get(loop)
    pump = reference() if reference is not None else None
    if pump is None:
        pump = _Pump(loop)
    if pump.thread != threading.get_ident():
        pump.enter()
        _pumps[loop] = weakref.ref(pump)
    pump.poke()
    return False
