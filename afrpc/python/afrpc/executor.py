# SPDX-License-Identifier: LGPL-2.1-or-later
"""An executor as those of concurrent.futures, whose workers are those of a pool of afrpc.

    from afrpc import Executor

    with Executor() as executor:
        futures = [executor.submit(pow, i, 2) for i in range(10)]
        print([future.result() for future in futures])

Functions, arguments and results are pickled: see the documentation of afrpc, "Coming from concurrent.futures,
multiprocessing and joblib".
"""
import concurrent.futures
import pickle
import sys
import weakref

from . import _map, _tasks

__all__ = ["BrokenPool", "Executor", "Future", "WorkerLost"]

ENDED = ("CANCELLED", "CANCELLED_AND_NOTIFIED", "FINISHED")
WORKERS_MAX = 65536      # of a pool
CALLS_MAX = (1 << 32) - 1


class BrokenPool(concurrent.futures.BrokenExecutor):
    """There are no workers any more, and there are not going to be: its __cause__ is why."""


class WorkerLost(concurrent.futures.BrokenExecutor):
    """The worker died that ran this task. The executor goes on, with another one."""


class Future(concurrent.futures.Future):
    """As that of concurrent.futures; but one may be waited for in what another one has called back, too."""

    _core = None
    _is_one_of_many = False  # that are being settled together

    def _invoke_callbacks(self):
        """Of many once all are settled: each callback may wait for any of them."""
        if self._is_one_of_many:
            self._is_one_of_many = False
            self._core.loop.call_back(super()._invoke_callbacks)
        else:
            super()._invoke_callbacks()

    def _before_wait(self, timeout):
        core = self._core
        if core is None or self._state in ENDED:
            return
        if core.is_inherited():
            raise RuntimeError("a future of the process that this one was forked from: nobody settles it here")
        if core.loop.is_current():
            core.loop.run_until(self.done, timeout)

    def result(self, timeout=None):
        """What the function returned; raises what it raised."""
        self._before_wait(timeout)
        return super().result(timeout)

    def exception(self, timeout=None):
        """What the function raised, or None."""
        self._before_wait(timeout)
        return super().exception(timeout)


def _get_level(log):
    """Which level log=... stands for, if any."""
    if log is None or log is False:
        return None
    from . import _logging

    return _logging.get_level(log)


def _check_number(name, number, most):
    """The number, or the largest that a pool may have."""
    if number is None:
        return None
    if not isinstance(number, int):
        raise TypeError(f"{name} has to be an int, not of type {type(number).__name__}")
    if number < 1:
        raise ValueError(f"{name} must be greater than 0")
    return min(number, most)


class Executor(concurrent.futures.Executor):
    """Calls functions in worker processes: a concurrent.futures.Executor.

    max_workers: how many there may be, 65536 at most; as many as the program may use processors by default
    initializer, initargs: what each worker calls once, before anything else
    max_tasks_per_child: after how many tasks, or chunks of a map, a worker is replaced
    on_event: called, in a thread of the executor, with what functions send by afrpc.event (value)
    log: whether what workers log by the module logging becomes records of the program's; or the level from which on
    dumps: what makes pickles, instead of pickle.dumps: with cloudpickle.dumps, lambdas can be submitted, too

    Workers are made when they are needed, all from one process that has loaded the main module of the program, which is
    forked. It may be used by any thread, and by asyncio's run_in_executor().
    """

    def __init__(self, max_workers=None, *, initializer=None, initargs=(), max_tasks_per_child=None, on_event=None,
                 log=None, dumps=None, **unknown):
        for name in unknown:
            from . import _options

            near = _options.suggest(name, ("max_workers", *Executor.__init__.__kwdefaults__))
            raise TypeError(f"Executor has no argument {name!r}" + (near and f": {near}"))
        max_workers = _check_number("max_workers", max_workers, WORKERS_MAX)
        max_tasks_per_child = _check_number("max_tasks_per_child", max_tasks_per_child, CALLS_MAX)
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if on_event is not None and not callable(on_event):
            raise TypeError(f"on_event has to be callable, not of type {type(on_event).__name__}")
        self._dumps = dumps or pickle.dumps
        self._max_workers = max_workers
        options = {
            "max_workers": max_workers, "max_tasks_per_child": max_tasks_per_child, "on_event": on_event,
            "log": _get_level(log),
            "path": [path for path in sys.path if isinstance(path, str)], "argv": list(map(str, sys.argv)),
            "main": _tasks.get_main(),
            "init": self._dumps((dumps, initializer, tuple(initargs)), _tasks.PROTOCOL),
        }
        _tasks.check_loaded()
        from . import _core

        self._core = _core.Core(options)
        weakref.finalize(self, self._core.close).atexit = False

    def submit(self, fn, /, *args, **kwargs):
        """Has fn(*args, **kwargs) called by a worker; returns a Future. What cannot be pickled is an error of that."""
        return self._submit(fn, lambda: self._dumps((fn, args, kwargs), _tasks.PROTOCOL))

    def _submit_chunk(self, fn, chunk, is_single):
        """Of a map: also how many of it could be pickled."""
        n = len(chunk)

        def make_pickle():
            nonlocal n
            data, n = _map._pickle_chunk(self._dumps, fn, chunk, is_single)
            return data

        future = self._submit(fn, make_pickle)
        return future, n

    def _submit(self, fn, make_pickle):
        core = self._core
        future = Future()
        future._core = core
        try:
            data = make_pickle()
        except Exception as error:
            core.check_process()
            with core.lock:
                core.check()
            future.set_running_or_notify_cancel()
            future.set_exception(error)
            return future
        core.add(future, data, fn)
        return future

    def map(self, fn, *iterables, timeout=None, chunksize=None, buffersize=None):
        """Like map(fn, *iterables), in the workers: an iterator of the results, in order.

        timeout: seconds from now on until results that are waited for are a TimeoutError
        chunksize: how many calls go to a worker at once; if it is not given, as many as take some milliseconds, which is
          measured
        buffersize: how many calls may be made whose results have not been taken; all by default
        """
        if chunksize is not None and chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        self._core.check_process()
        with self._core.lock:
            self._core.check()
        return _map.start(self, fn, iterables, timeout, chunksize, buffersize)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Takes nothing more, and ends the workers once they have done what there is; wait: waits for that.
        cancel_futures: what no worker has got yet is cancelled."""
        core = self._core
        if core.is_inherited():
            return
        core.stop()
        if cancel_futures:
            core.loop.call(core.cancel_all)
        core.close()
        if wait:
            if core.loop.is_current():
                core.loop.run_until(lambda: core.is_over, None)
            else:
                core.ended.wait()

    def kill_workers(self):
        """Ends all workers at once, whatever they do. What has no outcome fails with BrokenPool."""
        core = self._core
        if not core.is_inherited():
            core.loop.call(core.kill)

    terminate_workers = kill_workers

    def __repr__(self):
        core = self._core
        state = "broken" if core.failure is not None else "closed" if core.is_closing else "open"
        return f"<afrpc.Executor, {state}>"
