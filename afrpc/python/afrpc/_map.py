# SPDX-License-Identifier: LGPL-2.1-or-later
"""Executor.map(): many calls of one function, several of which travel together.

How many depends on how long they take, if nobody says it: a chunk shall take some milliseconds, so that sending it costs
little of that, and there shall be enough of them at the end to keep all workers busy. What takes much longer than was thought
comes back after the call that the worker is at, with what it has results of, and the rest is sent again, to all of them.
"""
import bisect
import collections
import concurrent.futures
import os
import threading
import time

from . import _tasks

CHUNK_TIME = 0.004   # seconds that a chunk shall take
CHUNK_TIME_MAX = 5 * CHUNK_TIME  # after which it comes back
GROWTH_MAX = 8       # times as many as in the last one
CHUNKS_AT_END = 3    # for each worker, of what is left


class _Chunk:
    """In the place of a task's future."""

    __slots__ = ("map", "start", "size", "_is_one_of_many")

    def __init__(self, map, start, size):
        self.map, self.start, self.size = map, start, size

    def set_running_or_notify_cancel(self):
        return not self.map.is_cancelled

    def cancel(self):
        self.map.cancel()
        return True

    def set_result(self, result):
        self._settle(result, None)

    def set_exception(self, error):
        self._settle(([], None, 0), error)

    def _settle(self, outcome, error):
        try:
            self.map.chunk_done(self, outcome, error)
        except BaseException as reason:  # such as an outcome that is none
            self.map.fail(reason)


class Map:
    def __init__(self, executor, fn, items, is_single, chunksize):
        self.executor = executor
        self.core = executor._core
        self.fn, self.items, self.is_single = fn, items, is_single
        self.chunksize = chunksize
        self.n_workers = executor._max_workers or len(os.sched_getaffinity(0))
        self.next = 0             # the first item that has not been sent
        self.rest = []            # what comes before that, and has come back: (start, end), the first one first
        self.n_sent = 0           # chunks that are under way
        self.size = 1             # of the last one
        self.each = None          # seconds that an item takes
        self.is_cancelled = False
        self.changed = threading.Condition()
        self.outcomes = {}        # by the number of the first item: (results, why there are no more)
        self.error = None         # why nothing comes any more

    def measure(self, n, elapsed):
        """What becomes slower is believed at once, what becomes faster little by little."""
        each = max(elapsed / n, 1e-7)
        self.each = each if self.each is None else max(each, (self.each + each) / 2)

    def choose_size(self, left):
        if self.chunksize is not None:
            return min(self.chunksize, left)
        if self.each is not None:
            share = -(-left // (self.n_workers * CHUNKS_AT_END))
            self.size = min(int(CHUNK_TIME / self.each) or 1, self.size * GROWTH_MAX, share)
        return self.size

    def has_more(self):
        """Whether there is something to send."""
        return len(self.rest) > 0 or self.next < len(self.items)

    def take_items(self):
        """Those of the next chunk: (start, how many)."""
        if not self.rest:
            start, size = self.next, self.choose_size(len(self.items) - self.next)
            self.next += size
            return start, size
        start, end = self.rest.pop(0)
        size = self.choose_size(end - start)
        self.put_back(start + size, end)
        return start, size

    def put_back(self, start, end):
        if end == self.next:
            self.next = start
        elif start < end:
            bisect.insort(self.rest, (start, end))

    def make_chunk(self):
        """The next one, with its pickle; None if there is nothing more, or no room: for two chunks for each worker."""
        if not self.has_more() or self.n_sent >= 2 * self.n_workers or self.is_cancelled:
            return None
        start, n = self.take_items()
        limit = CHUNK_TIME_MAX if self.chunksize is None else None
        try:
            data, size = _pickle_chunk(self.executor._dumps, self.fn, self.items[start:start + n], self.is_single, limit)
        except BaseException as error:
            if not isinstance(error, Exception) and not self.core.loop.is_current():
                raise
            self.set_outcome(start, [], error)
            self.next = len(self.items)
            self.rest.clear()
            return None
        self.put_back(start + size, start + n)
        self.n_sent += 1
        return _Chunk(self, start, size), data

    def check_over(self):
        """What is under way may come back."""
        if self.is_cancelled or (self.n_sent == 0 and not self.has_more()):
            self.core.maps.discard(self)

    def begin(self):
        """In the thread of who calls: what is told in that of the loop comes after all of this has been counted."""
        try:
            made = list(iter(self.make_chunk, None))
        except BaseException as error:
            self.fail(error)
            raise
        for chunk, data in made:
            self.core.add_chunk(chunk, data, self.fn)
        if not made:
            self.check_over()
        if self.core.is_closing:
            self.core.loop.call(self.core.pump)

    def feed(self):
        """In the thread of the loop."""
        for chunk, data in iter(self.make_chunk, None):
            self.core.add_chunk(chunk, data, self.fn)
        self.check_over()

    def chunk_done(self, chunk, outcome, error):
        """In the thread of the loop, which pumps afterwards."""
        results, failure, elapsed = outcome
        self.n_sent -= 1
        if results:
            self.measure(len(results), elapsed)
        if failure is not None:
            from ._core import unpack_error

            error = unpack_error(*failure)
        elif error is None:
            self.put_back(chunk.start + len(results), chunk.start + chunk.size)
        self.set_outcome(chunk.start, results, error)
        self.feed()

    def set_outcome(self, start, results, error):
        with self.changed:
            self.outcomes[start] = results, error
            self.changed.notify_all()

    def fail(self, error):
        """There are no workers any more."""
        with self.changed:
            if self.error is None:
                self.error = error
            self.changed.notify_all()
        self.is_cancelled = True
        self.core.maps.discard(self)

    def cancel(self):
        self.fail(concurrent.futures.CancelledError())
        self.core.loop.call(self.core.pump)

    def is_there(self, start):
        return start in self.outcomes or self.error is not None

    def take(self, start, deadline):
        timeout = None if deadline is None else max(deadline - time.monotonic(), 0)
        loop = self.core.loop
        self.core.check_process()
        if loop.is_current():
            loop.run_until(lambda: self.is_there(start), timeout)
            timeout = 0
        with self.changed:
            if not self.changed.wait_for(lambda: self.is_there(start), timeout):
                raise concurrent.futures.TimeoutError()
            if start in self.outcomes:
                return self.outcomes.pop(start)
            raise self.error

    def results(self, deadline):
        start = 0
        try:
            while start < len(self.items):
                results, error = self.take(start, deadline)
                start += len(results)
                yield from _give_away(results)
                if error is not None:
                    raise error
        finally:
            if start < len(self.items):
                self.cancel()


def _give_away(results):
    """Nothing keeps what has been taken."""
    results.reverse()
    while results:
        yield results.pop()


def _pickle_chunk(dumps, fn, items, is_single, limit=None):
    """The pickle of a chunk, or of as much of it as there is before what cannot be pickled, and how much that is."""
    def pickle(some):
        return dumps((_tasks.run_chunk, (fn, some, is_single, limit), {}), _tasks.PROTOCOL)

    try:
        return pickle(items), len(items)
    except Exception:
        n = 0
        try:
            while n < len(items):
                pickle(items[n:n + 1])
                n += 1
        except Exception:
            if n == 0:
                raise
        if n in (0, len(items)):
            raise
    return pickle(items[:n]), n


def _take_some(items, n):
    taken = []
    for item in items:
        taken.append(item)
        if len(taken) == n:
            break
    return taken


class _Buffered:
    """As many calls under way as the buffer has room for; what items are is found out as they are needed."""

    def __init__(self, executor, fn, items, is_single, chunksize, buffersize):
        self.executor, self.fn, self.items, self.is_single = executor, fn, items, is_single
        self.buffersize = buffersize
        self.size = min(chunksize or 1, buffersize)
        self.futures = collections.deque()
        self.is_over = False
        try:
            self.fill()
        except BaseException:
            self.cancel()
            raise

    def fill(self):
        while not self.is_over and (len(self.futures) + 1) * self.size <= self.buffersize:
            chunk = _take_some(self.items, self.size)
            self.is_over = len(chunk) < self.size
            if chunk:
                self.submit(chunk)

    def submit(self, chunk):
        future, n = self.executor._submit_chunk(self.fn, chunk, self.is_single)
        self.futures.append(future)
        if n < len(chunk):
            self.futures.append(self.executor._submit_chunk(self.fn, chunk[n:n + 1], self.is_single)[0])
            self.is_over = True

    def results(self, deadline):
        try:
            while True:
                self.fill()
                if not self.futures:
                    return
                timeout = None if deadline is None else max(deadline - time.monotonic(), 0)
                results, failure, _ = self.futures.popleft().result(timeout)
                yield from _give_away(results)
                if failure is not None:
                    from ._core import unpack_error

                    raise unpack_error(*failure)
        finally:
            self.cancel()

    def cancel(self):
        for future in self.futures:
            future.cancel()


def start(executor, fn, iterables, timeout, chunksize, buffersize):
    deadline = None if timeout is None else time.monotonic() + timeout
    is_single = len(iterables) == 1
    items = iterables[0] if is_single else zip(*iterables)
    if buffersize is not None:
        return _Buffered(executor, fn, iter(items), is_single, chunksize, buffersize).results(deadline)

    one = Map(executor, fn, list(items), is_single, chunksize)
    executor._core.add_map(one)
    one.begin()
    return one.results(deadline)
