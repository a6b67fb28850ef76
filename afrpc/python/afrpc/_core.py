# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an executor is besides its object: its tasks, and its pool. A worker whose program has an executor at hand when it is
loaded does not load this, nor PyGObject."""
import collections
import pickle
import threading

from . import _errors, _loop, _proxy, _tasks
from ._errors import NotStarted, RemoteTraceback
from ._loop import Afrpc, GLib
from .executor import BrokenPool, WorkerLost

LOAD = 2  # tasks that a worker may have at once: one that it runs, and one that it finds when that is done
FOREVER_MS = 0x7fffffff


def unpack_error(kind, pickled, trace):
    """The exception of a failure, whose cause is the traceback that it had in the worker."""
    try:
        error = pickle.loads(pickled)
        if not isinstance(error, BaseException):
            raise TypeError(f"{error!r:.100} is no exception")
    except BaseException as reason:
        error = reason
    try:
        error.__cause__ = RemoteTraceback(trace)
    except BaseException:  # its class has its own
        pass
    return error


def get_repr(value):
    try:
        return repr(value)
    except BaseException:
        return f"<{type(value).__qualname__}, whose repr() fails>"


class Task:
    """One call: what it is to be called with, and who wants to know."""

    __slots__ = ("core", "future", "data", "function", "call")

    def __init__(self, core, future, data, function):
        self.core, self.future, self.data, self.function = core, future, data, function

    def settled_cb(self, call):
        if call is self.call:
            self.call = None
            self.core.settled(self, call)
        else:  # that of a pool that has been given up: nobody else asks why it failed
            call.exception()


class Core:
    """What an executor is besides its object, which may be gone before its work is. All that is not said to be for any
    thread is for that of the loop."""

    def __init__(self, options):
        self.loop = loop = _loop.get_loop()
        self.options = options
        self.lock = threading.Lock()  # of the queue, and of what says whether anything is taken into it
        self.queue = collections.deque()
        self.maps = set()     # that have not been sent as a whole, or may come back in part
        self.failure = None   # why it is broken
        self.is_killed = False
        self.is_closing = False
        self.is_woken = False
        self.is_over = False
        self.ended = threading.Event()  # the same once all that are settled have been told
        self.pool = None
        self.window = 0       # how many tasks the pool may have
        self.n_given = 0      # how many it has
        self.given = {}       # those, in order, until it is known that workers can be prepared: no values
        self.is_proven = False
        self.main_in_workers = False  # it cannot be loaded before they are forked: see Loop.main_has_threads
        loop.executors.add(self)
        if loop.is_ending:  # which may not have come by this one
            loop.executors.discard(self)
            raise RuntimeError(_loop.AFTER_SHUTDOWN)

    # For any thread

    def is_inherited(self):
        """Whether it belongs to the process that this one was forked from."""
        return self.loop is not _loop.peek_loop()

    def check_process(self):
        """Before the lock is taken, which another thread may have had when the process was forked."""
        if self.is_inherited():
            raise RuntimeError("this executor belongs to the process that this one was forked from: make another one here")

    def check(self):
        """Raises why nothing can be submitted, if so."""
        if self.failure is not None:
            raise BrokenPool(str(self.failure)) from self.failure.__cause__
        if self.is_closing:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def add(self, future, data, function):
        self.check_process()
        with self.lock:
            self.check()
            self.queue.append(Task(self, future, data, function))
            if self.is_woken:
                return
            self.is_woken = True
        self.loop.call(self.pump)

    def add_map(self, one):
        self.check_process()
        with self.lock:
            self.check()
            self.maps.add(one)

    def add_chunk(self, chunk, data, function):
        """Of a map that was taken when that was possible."""
        with self.lock:
            self.queue.append(Task(self, chunk, data, function))
            if self.is_woken:
                return
            self.is_woken = True
        self.loop.call(self.pump)

    def stop(self):
        """Takes nothing more: whoever was about to submit something has done so."""
        with self.lock:
            self.is_closing = True

    def close(self):
        """Has what was submitted done, and nothing more. Not even the lock is taken: memory may be being collected."""
        self.is_closing = True
        self.loop.call(self.pump)

    def take(self):
        """What waits longest; None if nothing does."""
        try:
            return self.queue.popleft()
        except IndexError:
            return None

    # For the loop

    def cancel_all(self):
        for task in iter(self.take, None):
            task.future._is_one_of_many = True
            if task.future.cancel():
                self.claim(task)
        for one in list(self.maps):
            if one.has_more():
                one.cancel()

    def claim(self, task):
        """Whether it is to be done: it may have been cancelled."""
        try:
            return task.future.set_running_or_notify_cancel()
        except BaseException:  # whoever has the future has settled it
            _loop.report()
            return False

    def tell(self, task, result, error):
        """What a callback raises is printed, and goes no further."""
        try:
            if error is None:
                task.future.set_result(result)
            else:
                task.future.set_exception(error)
        except BaseException:
            _loop.report()

    def tell_later(self, task, error):
        """One of several, none of whose callbacks is called before all are settled."""
        task.future._is_one_of_many = True
        self.tell(task, None, error)

    def make_process(self):
        options = self.options
        main = options["main"]
        prepared = pickle.dumps((options["path"], options["argv"], _tasks.get_authkey(), main, not self.main_in_workers))
        process = self.loop.get_template(prepared).fork()
        process.send_arg(pickle.dumps((main if self.main_in_workers else None, options["init"])))
        return process

    def start(self):
        try:
            self.make_pool()
        except BaseException as error:
            self.set_failure("no worker can be started", error)

    def make_pool(self):
        options = self.options
        self.main_in_workers = self.loop.main_has_threads
        limits = {} if options["max_workers"] is None else {"max_workers": options["max_workers"]}
        self.pool = Afrpc.Pool(process=self.make_process(), function="afrpc._tasks.run", init="afrpc._tasks.init", load=LOAD,
                               start_delay_ms=0, stop_delay_ms=FOREVER_MS, max_failures=3,
                               max_calls=options["max_tasks_per_child"] or 0, max_bytes_queued=1 << 62,
                               max_message_size=1 << 40, on_event=options["on_event"], log=options["log"], **limits)
        self.pool.connect("destroyed", self.destroyed_cb)
        self.pool.connect("error", lambda pool, error: None)  # every future has its own
        self.window = LOAD * self.pool.get_max_workers()

    def pump(self):
        """Gives the pool as many tasks as it can begin soon: those that it has cannot be cancelled any more."""
        self.is_woken = False
        if self.queue and self.pool is None and self.failure is None:
            self.start()
        while self.queue and self.n_given < self.window and self.failure is None:
            task = self.take()
            if self.claim(task):
                self.give(task)
        if self.failure is not None:
            self.fail_all()
        if self.is_closing and not self.queue and self.n_given == 0 and not self.maps:
            self.end()

    def give(self, task):
        self.n_given += 1
        if not self.is_proven:
            self.given[task] = None
        try:
            call = _proxy.call(self.pool, (_tasks.wrap(task.data),), None, None, None, False, None, None, None, None)
        except BaseException as error:
            self.n_given -= 1
            self.given.pop(task, None)
            self.tell_later(task, error)
            return
        if self.is_proven:
            task.data = None
        task.call = call
        call.add_done_callback(task.settled_cb)

    def settled(self, task, call):
        data = error = None
        try:
            data = call.result()
        except BaseException as reason:
            error = reason
        if error is not None and self.cannot_fork(error):
            self.begin_again()
            return

        self.n_given -= 1
        if error is not None:
            self.given.pop(task, None)
            if isinstance(error, GLib.Error):
                error = self.get_reason(task, error)
            self.pump()
            self.tell(task, None, error)
            self.go_on()
            return

        if not self.is_proven and (type(data) is not tuple or data[0] != _tasks.INIT_FAILURE):
            self.is_proven = True
            self.given.clear()
        self.go_on()  # before anybody is told: workers do not wait for that
        self.tell(task, *self.unpack(data))
        self.go_on()

    def go_on(self):
        """Outcomes lead to more chunks of a map, or to its end. Maps do not pump themselves: pumping gives outcomes."""
        if self.queue or self.is_closing:
            self.pump()

    def unpack(self, data):
        """(result, error)"""
        try:
            if type(data) is not tuple:
                return pickle.loads(data), None
            error = unpack_error(*data)
            if data[0] == _tasks.INIT_FAILURE:
                self.set_failure("the initializer failed", error)
                error = self.make_broken()
                self.pump()
            return None, error
        except BaseException as error:
            return None, error

    def get_reason(self, task, error):
        """The exception of a task that has no outcome."""
        if self.failure is None and self.pool.get_failure() is not None:
            self.set_failure("no worker can be started", error)
        if self.failure is not None:
            return self.make_broken(error if self.is_killed else None)  # some were running, others were not
        if error.matches(Afrpc.error_quark(), Afrpc.Error.DIED):
            name = getattr(task.function, "__qualname__", None) or get_repr(task.function)
            lost = WorkerLost(f"the worker that ran {name} is lost: {error.message}")
            lost.__cause__ = error
            return lost
        return error

    def cannot_fork(self, error):
        """Whether a call has failed because no process that has loaded the main module can be forked."""
        return not self.main_in_workers and not self.is_proven and self.failure is None and \
            isinstance(error, GLib.Error) and _tasks.HAS_THREADS in _errors.get_message(error)

    def begin_again(self):
        """With workers that load the main module themselves, which are given what the others were given."""
        self.loop.main_has_threads = True
        tasks, self.given, self.n_given = self.given, {}, 0
        for task in tasks:
            task.call = None
        pool, self.pool = self.pool, None
        pool.kill()
        self.start()
        for task in tasks:
            if self.failure is None:
                self.give(task)
            else:
                self.tell_later(task, self.make_broken())
        self.pump()

    def set_failure(self, words, cause):
        """No more workers are to be had."""
        why = _errors.get_message(cause) if isinstance(cause, GLib.Error) else get_repr(cause)
        failure = BrokenPool(f"{words}: {why}" if why != words else words)
        failure.__cause__ = cause
        with self.lock:
            self.failure = failure
        self.loop.forget_template()  # which may be why

    def make_broken(self, cause=None):
        error = BrokenPool(str(self.failure))
        error.__cause__ = cause or self.failure.__cause__
        return error

    def fail_all(self):
        for one in list(self.maps):  # first, so that they make no more chunks
            if one.has_more():
                one.fail(self.make_broken())
        for task in iter(self.take, None):
            if self.claim(task):
                self.tell_later(task, self.make_broken())
        self.is_closing = True

    def kill(self):
        if self.failure is None:
            self.is_killed = True
            never = NotStarted("the workers were killed")
            _errors.tell_started(never, Afrpc.Started.NO)
            self.set_failure("the workers were killed", never)
        if self.pool is not None:
            self.pool.kill()
        self.pump()

    def end(self):
        if self.pool is None:
            self.set_ended()
        else:
            self.pool.close()

    def destroyed_cb(self, pool):
        if pool is self.pool:  # and not one that has been given up
            self.set_ended()

    def set_ended(self):
        self.pool = None
        self.loop.executors.discard(self)
        self.loop.forget_template_soon()
        self.is_over = True
        self.loop.call_back(self.ended.set)
