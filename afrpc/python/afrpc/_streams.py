# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tasks take things from, with "async for" or anext(), any number of them at once: events, and results of a map whose
inputs are waited for themselves."""
import collections

from gi.repository import Gio, GLib

from . import _errors
from ._proxy import PendingCall, set_plain_events

OTHER = object()  # in the place of the value of an event that is not for who asks


class Stream:
    """Each thing is for one task. Who waits is woken when there is something, or the end, and wakes the next one if there
    is more: so it does not matter whether it has been cancelled meanwhile, or another one was faster."""

    def __init__(self):
        self._waiting = collections.deque()  # a PendingCall for each task, which waits longest first
        self._error = None  # what is raised instead of the end, once

    def _has_next(self):
        raise NotImplementedError

    def _take(self):
        raise NotImplementedError

    def _is_over(self):
        raise NotImplementedError

    def _ask(self):
        """Does what has to be done so that something comes."""

    def _wake(self):
        if not self._has_next() and not self._is_over():
            return
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting._set_result(None)
                break

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            self._ask()
            while not self._has_next():
                if self._is_over():
                    error, self._error = self._error, None
                    raise error or StopAsyncIteration
                waiting = PendingCall()
                self._waiting.append(waiting)
                await waiting
            return self._take()
        finally:
            if self._waiting:
                self._ask()
                self._wake()


def _drop_event(*args):
    pass


class Events(Stream):
    def __init__(self, proxy, limit, ends_with_worker):
        super().__init__()
        self._limit = limit
        self._queue = collections.deque()
        self._has_ended = proxy.is_closed()
        self._ids = [proxy.connect("event", self._event_cb),
                     proxy.connect("destroyed", self._destroyed_cb)]
        if ends_with_worker:
            self._ids.append(proxy.connect("error", self._error_cb))
        else:
            set_plain_events(proxy)
        self._proxy = proxy

    def __repr__(self):
        return f"<events of {self._proxy!r}, {len(self._queue)} wait>" if self._proxy is not None else \
            f"<events, {len(self._queue)} wait, closed>"

    def _has_next(self):
        return len(self._queue) > 0

    def _take(self):
        return self._queue.popleft()

    def _is_over(self):
        return self._has_ended

    def _event_cb(self, proxy, event, *rest):
        value = proxy._unpack_event(event)
        if value is OTHER:
            return
        if len(self._queue) >= self._limit:
            self._error = RuntimeError(f"more events than {self._limit} waited for whoever takes them")
            self.close()
            # Who has asked for events, and has left their loop perhaps, need not be warned of each.
            proxy.connect("event", _drop_event)
            set_plain_events(proxy)
            return
        self._queue.append(value)
        self._wake()

    def _error_cb(self, proxy, error):
        if self._error is None:
            self._error = _errors.improve_end(error, proxy.get_process())

    def _destroyed_cb(self, proxy):
        self.close()

    def close(self):
        """Takes no more events; those that have come are still there."""
        ids, self._ids = self._ids, []
        for handler in ids:
            self._proxy.disconnect(handler)
        self._proxy = None
        self._has_ended = True
        self._wake()


class EitherMap:
    """Results of inputs that can be taken in both ways, such as results of another map: which one is meant shows when the
    first result is taken."""

    def __init__(self, results, make_waiting):
        self._results = results
        self._make_waiting = make_waiting  # None once it is known

    def __repr__(self):
        return repr(self._results)

    def __iter__(self):
        return self

    def __aiter__(self):
        return self

    def __next__(self):
        self._make_waiting = None
        return next(self._results)

    def __anext__(self):
        make_waiting, self._make_waiting = self._make_waiting, None
        if make_waiting is not None:
            self._results = make_waiting()
        return anext(self._results)

    def cancel(self):
        """Gives up what is under way, and makes no more calls."""
        self._make_waiting = None
        self._results.cancel()


class AsyncMap(Stream):
    """Results of calls whose inputs are waited for themselves."""

    def __init__(self, pool, inputs, is_star, ordered, return_exceptions, options):
        super().__init__()
        self._pool = pool
        self._inputs = aiter(inputs)
        self._is_star = is_star
        self._ordered = ordered
        self._return_exceptions = return_exceptions
        self._options = options
        self._asking = None  # the task that waits for an input
        self._calls = collections.deque()  # ordered: as they were made
        self._settled = collections.deque()
        self._n = 0  # calls that are under way, or were not taken
        self._n_begun = 0
        self._has_all_inputs = False
        self._is_cancelled = False
        self._window = min(max(4 * pool.get_max_workers() * pool.get_load(), 16), 4096,
                           max(pool.get_max_calls_queued() // 2, 1))

    def __repr__(self):
        return f"<results of {self._pool.get_property('function')} in Afrpc.Pool{', over' if self._is_over() else ''}>"

    def _ask(self):
        """Asks for another input, if there is room for its call."""
        if self._has_all_inputs or self._asking is not None or self._n >= self._window or self._check_end():
            return
        import asyncio

        async def pull():
            return await anext(self._inputs)

        self._asking = asyncio.ensure_future(pull())
        self._asking.add_done_callback(self._asked_cb)

    def _check_end(self):
        """Whether every further call would fail."""
        if not self._pool.is_closed():
            return False
        failure = self._pool.get_failure()
        self._end(_errors.improve(failure) if failure is not None else
                  GLib.Error("the pool is closed", *_errors.CLOSED))
        return True

    def _end(self, error):
        """There are no more inputs."""
        self._has_all_inputs = True
        if self._error is None:
            self._error = error

    def _end_at(self, error):
        """The same because of the next one."""
        error.add_note(f"of element {self._n_begun} of what is mapped")
        self._end(error)

    def _asked_cb(self, task):
        self._asking = None
        if task.cancelled() or isinstance(task.exception(), StopAsyncIteration):
            self._end(None)
        elif task.exception() is not None:
            self._end_at(task.exception())
        elif not self._has_all_inputs and not self._check_end():
            self._begin(task.result())
        self._wake()

    def _begin(self, value):
        try:
            args = tuple(value) if self._is_star else (value,)
        except Exception as error:
            self._end_at(error)
            return
        try:
            call = self._pool(*args, **self._options)
        except Exception as error:
            self._end(error)
            return
        if call.done():  # it cannot be sent: there was no call, and it was made in no place that anybody knows
            refusal = call.exception()
            if getattr(refusal, "__notes__", None):
                refusal.__notes__.pop()
            vars(refusal).pop("started", None)
            self._end_at(refusal)
            return
        self._n += 1
        self._n_begun += 1
        self._calls.append(call)
        call.add_done_callback(self._settled_cb)
        self._ask()

    def _settled_cb(self, call):
        if not self._ordered and not self._is_cancelled:
            self._calls.remove(call)
            self._settled.append(call)
        self._wake()

    def _get_ready(self):
        return self._calls if self._ordered else self._settled

    def _has_next(self):
        ready = self._get_ready()
        return len(ready) > 0 and ready[0].done()

    def _is_over(self):
        return self._has_all_inputs and self._n == 0

    def _take(self):
        self._n -= 1
        try:
            return self._get_ready().popleft().result()
        except Exception as error:
            if not self._return_exceptions:
                raise
            return error

    def cancel(self):
        """Gives up what is under way, and makes no more calls."""
        if self._is_over():
            return
        self._is_cancelled = True
        self._end(GLib.Error("the map was cancelled", GLib.quark_to_string(Gio.io_error_quark()), Gio.IOErrorEnum.CANCELLED))
        if self._asking is not None:
            self._asking.cancel()
        for call in self._calls:
            call.cancel()
        self._n -= len(self._calls)
        self._calls.clear()
        self._wake()
