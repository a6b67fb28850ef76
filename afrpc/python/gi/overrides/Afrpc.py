# SPDX-License-Identifier: LGPL-2.1-or-later
"""What makes afrpc convenient in Python: values of Python instead of GLib.Variant, and calls that can
be awaited."""
import builtins
import contextvars
import errno
import functools
import os
import shutil
import sys

from gi.module import get_introspection_module
from gi.overrides import override
from gi.repository import Gio, GLib, GObject

from afrpc import Buffer, Tagged, Variant, _errors, _help, _proxy, _streams
from afrpc._errors import NotStarted, RemoteError, TimeoutError, WorkerDied
from afrpc._proxy import PendingCall, check_thread as _check_thread

Afrpc = get_introspection_module("Afrpc")

__all__ = ["Buffer", "Call", "CallOptions", "Exit", "Host", "NotStarted", "PendingCall", "Pool", "PoolStats", "PoolWorker",
           "Process", "Proxy", "RemoteError", "Serialiser", "Tagged", "TimeoutError", "Variant", "WorkerDied"]

_errors.set_up(Afrpc)


def _drive(loop):
    from afrpc import aio

    return aio.drive(loop)


_proxy.set_hooks(_errors.improve, _errors.improve_refused, _errors.Failure, _errors.RemoteError, _drive)


_REPLACED = set()


def _replaces(cls):
    """Puts a function in the place of a method that introspection brings, for all that have it."""
    def replace(function):
        _REPLACED.add(function.__name__)
        setattr(cls, function.__name__, function)
        return function

    return replace


def _get_value(call, get):
    """The outcome of a call; what is raised says whether the worker had started it, and who had it."""
    try:
        return get()
    except GLib.Error as error:
        better = _errors.tell_call(_errors.improve(error), call)
        raise better from better.__cause__


def _say_not_started(error):
    """Of what was raised before any call was made."""
    _errors.tell_started(error, Afrpc.Started.NO)


def _refuse(words):
    """What a call is made with is wrong."""
    error = TypeError(words)
    _say_not_started(error)
    raise error


def _check_caller(caller):
    """Whether this thread may use a proxy or a pool; one that somebody else has implemented looks itself."""
    if isinstance(caller, (Afrpc.Proxy, Afrpc.Pool)):
        _check_thread(caller.get_process())


def _check_preparable(process):
    """Whether what is to be prepared has no job yet, as far as that is known here: the library itself only complains."""
    _check_thread(process)
    if getattr(process, "_has_job", False):
        raise RuntimeError("a process is prepared before it gets its job: before a proxy is made for it, and before it is run "
                           "or handed over")


def _check_configurable(process):
    _check_preparable(process)
    if process.get_start() != Afrpc.Start.NONE:
        raise RuntimeError("this is said of a process before it is started")


_LOG_TAG = "afrpc.log"  # of afrpc._logging, which is not loaded where nobody wants it


def _with_log(caller, block):
    """Blocks, and then hands over what the caller's workers have logged: there may never be a main loop that does."""
    process = caller.get_process() if getattr(caller, "_takes_log", False) else None
    if process is None:
        return block()
    try:
        return block()
    finally:
        _proxy.tell_tagged_events(process, _LOG_TAG)


_call_finish, _call_full_finish = Afrpc.Caller.call_finish, Afrpc.Caller.call_full_finish
_start, _wait_finish = Afrpc.Caller.start, Afrpc.Call.wait_finish
_next_sync, _next_many_sync = Afrpc.Map.next_sync, Afrpc.Map.next_many_sync


def _not_started_if_raised(make, *args):
    """What raises before there is a call says that none was started."""
    try:
        return make(*args)
    except Exception as error:
        _say_not_started(error)
        raise


def _check_and_start(caller, args, options):
    _check_caller(caller)
    return _start(caller, args, options)


@_replaces(Afrpc.Caller)
def call_finish(self, result):
    """Gets the result of call(): a GLib.Variant."""
    return _get_value(result, lambda: _call_finish(self, result))


@_replaces(Afrpc.Caller)
def call_full_finish(self, result):
    """Gets the result of call_full(): a GLib.Variant, and a Gio.UnixFDList or None."""
    return _get_value(result, lambda: _call_full_finish(self, result))


@_replaces(Afrpc.Caller)
def call_sync(self, args=None, cancellable=None):
    """Calls the function with a GLib.Variant and blocks until there is a result, or a handler of a signal raises."""
    call = _not_started_if_raised(_check_and_start, self, args, None)
    return _with_log(self, lambda: _proxy.wait(call, cancellable))


@_replaces(Afrpc.Caller)
def call_full_sync(self, args=None, options=None, cancellable=None):
    """The same with options; the second of what it returns is a Gio.UnixFDList or None."""
    call = _not_started_if_raised(_check_and_start, self, args, options)
    return _with_log(self, lambda: _proxy.wait(call, cancellable)), call.steal_fds()


@_replaces(Afrpc.Caller)
def close_sync(self, cancellable=None):
    """Closes the caller and blocks until everything is finished, or a handler of a signal raises."""
    _check_caller(self)
    return _with_log(self, lambda: _proxy.close_sync(self, cancellable))


@_replaces(Afrpc.Caller)
def start(self, args=None, options=None):
    """Calls the function with a GLib.Variant and returns the Afrpc.Call, which can be waited for."""
    return _not_started_if_raised(_check_and_start, self, args, options)


@_replaces(Afrpc.Call)
def wait_sync(self, cancellable=None):
    """Blocks until the call has its outcome, or a handler of a signal raises."""
    caller = self.get_source_object()
    _check_caller(caller)
    return _with_log(caller, lambda: _proxy.wait(self, cancellable))


@_replaces(Afrpc.Call)
def wait_finish(self, result):
    """Gets the result of wait(): a GLib.Variant."""
    return _get_value(self, lambda: _wait_finish(self, result))


@_replaces(Afrpc.Map)
def next_sync(self, cancellable=None):
    """Blocks until there is another call that has its outcome, or a handler of a signal raises."""
    _check_caller(self.get_pool())
    return _with_log(self.get_pool(), lambda: _proxy.block(lambda stop: _next_sync(self, stop), cancellable))


@_replaces(Afrpc.Map)
def next_many_sync(self, n_max, cancellable=None):
    """The same for as many as there are, at most n_max."""
    _check_caller(self.get_pool())
    return _with_log(self.get_pool(), lambda: _proxy.block(lambda stop: _next_many_sync(self, n_max, stop), cancellable))


del call_finish, call_full_finish, call_full_sync, call_sync, close_sync, next_many_sync, next_sync, start
del wait_finish, wait_sync


def _count(n, thing):
    return f"{n} {thing}{'s' if n != 1 else ''}"


def _get_module(module):
    name = module if isinstance(module, str) else os.path.abspath(os.fsdecode(module))
    # Names of modules are text, for whatever machine the worker is on.
    if "\0" in name or any("\ud800" <= c <= "\udfff" for c in name):
        raise ValueError(f"{module!r} is not the name of a module: that is UTF-8, and has no NUL")
    return name


def _get_fd(file):
    return file if isinstance(file, int) else file.fileno()


def _make_fd_list(files):
    fds = Gio.UnixFDList()
    for file in _iterate("fds", files):
        try:
            number = _get_fd(file)
        except AttributeError:
            raise TypeError("the option 'fds' has to be files, or numbers of file descriptors, not of type "
                            f"{type(file).__name__}") from None
        if number < 0:
            raise ValueError(f"the option 'fds': {number} is no file descriptor")
        try:
            fds.append(number)
        except GLib.Error as error:
            error.message = f"the option 'fds': {number}: {error.message}"
            raise
    return fds


def _iterate(option, values):
    try:
        return iter(values)
    except TypeError:
        raise TypeError(f"the option {option!r} has to be a list, not of type {type(values).__name__}") from None


def _wait(start, finish, cancellable):
    """A PendingCall for an asynchronous method that has a finish method."""
    own = Gio.Cancellable()  # others may have the one that was given
    call = PendingCall(own.cancel)
    handler = 0
    if cancellable is not None:
        # Not g_cancellable_connect (), whose handlers cannot be disconnected while they run.
        handler = GObject.Object.connect(cancellable, "cancelled", lambda cancellable: own.cancel())
        if cancellable.is_cancelled():
            own.cancel()

    def finished_cb(source, result):
        if handler:
            GObject.Object.disconnect(cancellable, handler)
        try:
            value = finish(result)
        except GLib.Error as error:
            call._set_exception(_errors.improve(error))
        else:
            call._set_result(value)

    start(own, finished_cb)
    return call


def _checked(function, fits):
    @functools.wraps(function)
    def checked(*args):
        result = function(*args)
        if not fits(result):
            raise TypeError(f"{function.__qualname__} cannot return {result!r:.100}")
        return result

    return checked


def _check_results(cls, **checks):
    """PyGObject 3.56 and later complain of the result of a virtual function that they cannot convert, and go
    on with whatever lies in memory in its place; after an exception it is NULL."""
    for name, fits in checks.items():
        function = vars(cls).get(name)
        if function is not None:
            setattr(cls, name, _checked(function, fits))


def _is_id(result):
    return isinstance(result, int) and 0 <= result < 1 << 32


def _is_variant(result):
    return isinstance(result, GLib.Variant)


def _repr_serialiser(self):
    return f"<Afrpc.Serialiser {self.get_name()!r}>"


class Serialiser(Afrpc.Serialiser):
    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.__repr__ is GObject.Object.__repr__:  # of those in C, too
            cls.__repr__ = _repr_serialiser
        _check_results(cls, do_dup_name=lambda result: isinstance(result, str),
                       do_serialise=lambda result: isinstance(result, GLib.Bytes),
                       do_deserialise=_is_variant)


Serialiser = override(Serialiser)


class Host(Afrpc.Host):
    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        _check_results(cls, do_resolve=_is_id, do_call=_is_variant)


Host = override(Host)


def _prepare_for_all(pool, cancellable):
    """Returns what has the error of a call of all workers of a pool, each by itself, say whether any has started it: none if it
    could be said to none, and one if the function has thrown."""
    was_said = not pool.is_closed() and pool.get_failure() is None and \
        not (isinstance(cancellable, Gio.Cancellable) and cancellable.is_cancelled())

    def tell(error):
        better = _errors.improve(error)
        if not was_said:
            better = _errors.improve_refused(better)
            _say_not_started(better)
        else:
            has_thrown = better.matches(Afrpc.error_quark(), Afrpc.Error.REMOTE)
            _errors.tell_started(better, Afrpc.Started.YES if has_thrown else Afrpc.Started.UNKNOWN)
        return better

    return tell


def _check_for_all(args, options):
    for name, value, kind in ("args", args, GLib.Variant), ("options", options, Afrpc.CallOptions):
        if value is not None and not isinstance(value, kind):
            _refuse(f"{name} has to be a {kind.__name__} or None, not of type {type(value).__name__}")


def _is_given_up(error):
    """Whether what raised it, in the place of those who wait, was cancelled, or timed out."""
    if isinstance(error, Exception):
        return isinstance(error, builtins.TimeoutError) and not isinstance(error, RemoteError)
    return error is not None


def _check_range(cls, name, *values):
    """What a property is to be: of a number out of its range the library would only complain, and PyGObject names that of its
    type. What is no number, PyGObject refuses."""
    property = cls.find_property(name)
    if not hasattr(property, "minimum"):
        return
    for value in values:
        try:
            fits = property.minimum <= value <= property.maximum
        except TypeError:
            continue
        if not fits:
            raise ValueError(f"{property.name.replace('-', '_')!r} has to be between {property.minimum} and {property.maximum}, "
                             f"not {value}")


class _Ranged:
    """What is made with properties that have to be in their ranges."""
    def __init__(self, *args, **kwargs):
        for name, value in kwargs.items():
            _check_range(type(self), name, value)
        super().__init__(*args, **kwargs)

    def set_property(self, name, value):
        """Sets a property; see GObject.Object.set_property()."""
        _check_range(type(self), name, value)
        super().set_property(name, value)


def _guard(cls, names):
    """Has methods that introspection brings check the thread first; those that set something check that, too, and return the
    object."""
    def guard(name):
        method = getattr(cls, name)

        is_setter = name.startswith("set_")

        @functools.wraps(method)
        def guarded(self, *args, **kwargs):
            _check_caller(self)
            if is_setter:
                _check_range(cls, name[4:], *args, *kwargs.values())
            result = method(self, *args, **kwargs)
            return self if is_setter else result

        guarded.__name__ = name
        setattr(cls, name, guarded)

    for name in names:
        guard(name)


# Whatever is not called for many calls: that looks itself.
_OF_CALLERS = ("call_full", "events", "on_event", "set_call_timeout_ms", "set_max_bytes_queued",
               "set_max_calls_queued")
_OF_POOLS = ("add_template", "call_all_async", "call_all_sync", "forget_call_all", "invoke_all", "invoke_all_sync",
             "map", "refresh", "remove_template", "starmap", "wait_for_room_async", "set_cancel_grace_ms",
             "set_end_grace_ms", "set_idle_workers", "set_load", "set_max_age_s", "set_max_calls", "set_max_failures",
             "set_max_memory_growth", "set_max_repeats", "set_max_workers", "set_start_delay_ms", "set_stop_delay_ms")

EVENTS_MAX = 100000  # that wait to be taken

def _prepare_log(process, log):
    """Has a worker in Python send its log from now on."""
    from afrpc import _logging

    level = _logging.get_level(log)
    if getattr(process, "_log_level", None) != level:
        process.eval("import afrpc._logging; afrpc._logging.start(*args)", level)
        process._log_level = level


def _log_cb(proxy, event, *rest):
    value = proxy._unpack_event(event, of_log=True)
    if value is not _streams.OTHER:
        from afrpc import _logging

        _logging.receive(value.value)


_UNSAFE_PICKLE = "unsafe-pickle"
_PICKLED = ...  # in the place of hooks


def _choose_serialiser(serialiser):
    """The serialiser that is meant, by itself or by its name."""
    if isinstance(serialiser, Afrpc.Serialiser):
        return serialiser
    if not isinstance(serialiser, str):
        raise TypeError("the option 'serialiser' has to be an Afrpc.Serialiser or the name of one, "
                        f"not of type {type(serialiser).__name__}")
    found = Afrpc.Serialiser.lookup(serialiser)
    if found is None and serialiser == "json-plain":
        raise ValueError("'json-plain' has to know the type of what the worker sends: "
                         "give Afrpc.JsonSerialiser.new(GLib.VariantType(...)) instead of its name")
    if found is None:
        raise ValueError(f"there is no serialiser {serialiser!r}: there are 'bytes', 'json', 'unsafe-pickle', 'variant', "
                         "and what is registered")
    return found


class _Callable(_Ranged):
    """What a proxy and a pool have besides what introspection says."""
    _hooks = None
    _other_host = None  # of some process that is none of Python
    _takes_log = False
    _log = None  # what workers are to send of it
    _trusts_command = False

    def __init__(self, *args, default=None, hook=None, arrays=None, log=None, trust_command=False, **kwargs):
        for name, kind, what in ("process", Afrpc.Process, "a process"), ("function", str, "the name of a function"):
            if not isinstance(kwargs.get(name), kind):
                raise TypeError(f"{type(self).__name__} needs {what}, as its argument '{name}'")
        _check_thread(kwargs["process"])
        on_event = kwargs.pop("on_event", None)
        if kwargs.get("serialiser") is not None:
            kwargs["serialiser"] = _choose_serialiser(kwargs["serialiser"])
            if kwargs["serialiser"].get_name() == _UNSAFE_PICKLE:
                self._hooks, self._trusts_command = _PICKLED, bool(trust_command)
                self._check_trust(kwargs["process"])
        if log is not None and log is not False:
            self._log = log
            _prepare_log(kwargs.get("process"), log)
        super().__init__(*args, **kwargs)
        self._look_at_host(kwargs["process"])
        if log is not None and log is not False:
            self._takes_log = True
            _proxy.set_plain_events(self)
            self.connect("event", _log_cb)
        if default or hook or arrays:
            self.set_hooks(default=default, hook=hook, arrays=arrays)
        if on_event is not None:
            self.on_event(on_event)

    def _check_trust(self, process):
        """Of each process that its workers are to come from."""
        if self._hooks is not _PICKLED or self._trusts_command or process is None:
            return
        if process.get_host() is None or process.get_destination() is not None:
            reached = "the command reaches" if process.get_destination() is None else "ssh reaches"
            raise ValueError(f"{_UNSAFE_PICKLE!r} lets whatever {reached} run code in this program: "
                             "trust_command=True says that it may")

    def invoke(self, *args, callback=None, signature=None, timeout_ms=None, cancellable=None,
               raw=False, on_progress=None, progress_mode=None, fds=None, **options):
        """Calls the function of the worker with args, values of Python, and returns a PendingCall: to be awaited, or
        asked once it is done. The object itself, called, does the same: await proxy(1, "a").

        callback: called with the PendingCall once it is settled
        signature: the GVariant type of the arguments, if the function wants another than follows from them: "(ius)"
        timeout_ms: how long it may take, in milliseconds
        cancellable: a Gio.Cancellable
        raw: whether the result is wanted as a GLib.Variant
        on_progress: called with each report of how far the call has come
        progress_mode: which of them, if there are many: a ProgressMode
        fds: files, or numbers of file descriptors, to be sent along

        Other keywords are properties of CallOptions: execution_timeout_ms, function, label, metadata, idempotent,
        priority, affinity, wait_for_room."""
        if callback is not None and not callable(callback):
            _refuse(f"the option 'callback' has to be callable, not of type {type(callback).__name__}")
        if fds is not None:
            fds = _not_started_if_raised(_make_fd_list, fds)
        call = _proxy.call(self, args, signature, timeout_ms, cancellable, raw, on_progress,
                           progress_mode, fds, options or None)
        if callback is not None:
            call.add_done_callback(callback)
        return call

    __call__ = invoke

    _OF_LOOPS = frozenset(("callback", "on_progress", "progress_mode"))

    def call_full(self, args, options=None, cancellable=None, callback=None, *user_data):
        """Calls the function as in C; without a callback returns a PendingCall for the value and the file descriptors
        that came with it, a Gio.UnixFDList or None."""
        if callback is not None:
            return super().call_full(args, options, cancellable, callback, *user_data)
        return _wait(lambda *more: super(_Callable, self).call_full(args, options, *more), self.call_full_finish, cancellable)

    def _pack_keywords(self, keywords):
        """As the last argument, which only a worker in Python takes for what it is."""
        serialiser = self.get_property("serialiser")
        wrong = None
        if self._other_host is not None:
            wrong = f"a function of the host {self._other_host!r} has no arguments with names: only functions in Python have"
        elif serialiser is not None and serialiser.get_name() == "bytes":
            wrong = "arguments with names cannot be sent by the serialiser 'bytes'"
        if wrong is not None:
            _refuse(f"{self.get_property('function')!r}: {wrong}")
        return Tagged("afrpc.keywords", keywords)

    def _look_at_host(self, process):
        """Of each process that its workers are to come from; that of a command is not known."""
        host = process.get_host() if process is not None else None
        if host is not None and not _is_python(host):
            self._other_host = host

    def call_kw(self, *args, **keywords):
        """Calls a function in Python with arguments that have names. There are no options then, but those that
        the proxy has."""
        return self(*args, self._pack_keywords(keywords))

    def call_kw_sync(self, *args, **keywords):
        """The same, and waits for the result."""
        return self.invoke_sync(*args, self._pack_keywords(keywords))

    def call(self, *args, **kwargs):
        """Like the object itself, called; or as in C with args, cancellable and callback."""
        if len(args) > 2 and callable(args[2]):
            _check_caller(self)
            return super().call(*args, **kwargs)
        return self(*args, **kwargs)

    def invoke_sync(self, *args, signature=None, timeout_ms=None, cancellable=None, raw=False, fds=None,
                    result_fds=None, **options):
        """Calls the function and waits for its result, which it returns, without any loop.

        result_fds: a list that gets the file descriptors of the result, which are the caller's to close

        The other keywords are those of invoke(), but for what is called meanwhile: callback, on_progress, progress_mode."""
        for name in self._OF_LOOPS.intersection(options):
            _refuse(f"invoke_sync() has no option {name!r}: it waits for the result, and nothing is called "
                    "meanwhile; call the proxy itself")
        if fds is not None:
            fds = _not_started_if_raised(_make_fd_list, fds)
        if not self._takes_log:
            return _proxy.call_sync(self, args, signature, timeout_ms, cancellable, raw, None, None, fds,
                                    result_fds, options or None)
        return _with_log(self, lambda: _proxy.call_sync(self, args, signature, timeout_ms, cancellable, raw, None, None, fds,
                                                        result_fds, options or None))

    def set_hooks(self, *, default=None, hook=None, arrays=None):
        """Says what else values of calls from now on, and of events, may be."""
        if self._hooks is _PICKLED:
            raise TypeError("what is pickled has no hooks: see copyreg and __reduce__()")
        self._hooks = _proxy.make_hooks(default=default, hook=hook, arrays=arrays)
        return self

    def _unpack_event(self, event, of_log=False):
        """The value of an event of the worker's functions, or that of a record of its log: OTHER if it is of the other kind.
        What is pickled says so itself, and is unpickled once."""
        if self._hooks is _PICKLED:
            value = _proxy.unpack(event, _PICKLED)
            is_log = self._takes_log and isinstance(value, Tagged) and value.tag == _LOG_TAG
            return value if is_log == of_log else _streams.OTHER
        is_log = self._takes_log and event.get_type_string() == "{sv}" and event.get_child_value(0).get_string() == _LOG_TAG
        if is_log != of_log:
            return _streams.OTHER
        return _proxy.unpack(event, None if is_log else self._hooks)

    def on_event(self, callback, *, fds=False):
        """Has callback(value) called for each event, or callback(value, fds) with the file descriptors
        that came with it, a Gio.UnixFDList or None; returns what disconnect() takes."""
        if not callable(callback):
            raise TypeError(f"on_event() takes what is callable, not a value of type {type(callback).__name__}")
        call_in = contextvars.copy_context().copy

        def event_cb(proxy, event, process, received):
            value = proxy._unpack_event(event)
            if value is not _streams.OTHER:
                call_in().run(callback, *((value, received) if fds else (value,)))

        _proxy.set_plain_events(self)
        return self.connect("event", event_cb)

    def events(self, limit=EVENTS_MAX):
        """The events from now on, for "async for", until the proxy, or pool, is destroyed; if that is because the proxy's
        worker died, an Afrpc.WorkerDied is raised then. If more than limit wait to be taken, those are given, and then a
        RuntimeError is raised."""
        if not isinstance(limit, int) or limit < 1:
            raise TypeError(f"the limit of events has to be an int above 0, not {limit!r:.100}")
        return _streams.Events(self, limit, isinstance(self, Afrpc.Proxy))

    def close(self):
        """Has everything that was called executed, and then ends the process."""
        _check_thread(self.get_process())
        super().close()
        _proxy.poke()

    def kill(self):
        """Ends the process at once."""
        _check_thread(self.get_process())
        super().kill()
        _proxy.poke()

    def close_async(self, cancellable=None, callback=None, *user_data):
        """Closes the proxy; without a callback returns a PendingCall to be awaited."""
        _check_thread(self.get_process())
        if callback is not None:
            return super().close_async(cancellable, callback, *user_data)
        return _wait(super().close_async, self.close_finish, cancellable)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, exc_type, exc, traceback):
        # Nobody waits any more for what the worker does.
        if _is_given_up(exc):
            self.kill()
            if isinstance(exc, GeneratorExit):
                return
        try:
            await self.close_async()
        except BaseException as error:
            if _is_given_up(error):
                self.kill()
            raise


class Proxy(_Callable, Afrpc.Proxy):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.get_process()._has_job = True

    def __repr__(self):
        process = self.get_process()
        return f"<Afrpc.Proxy of {self.get_property('function')} in {process!r}{', closed' if self.is_closed() else ''}>"


_guard(Proxy, _OF_CALLERS)
Proxy = _help.document(override(Proxy), _REPLACED)


class Pool(_Callable, Afrpc.Pool):
    def __repr__(self):
        return (f"<Afrpc.Pool of {self.get_property('function')}, {_count(self.get_n_workers(), 'worker')}"
                f"{', closed' if self.is_closed() else ''}>")

    def _prepare_template(self, process):
        if process is not None and self._log is not None:
            _prepare_log(process, self._log)

    def add_template(self, process, max_workers=0, load=0, weight=1):
        """Has workers made from another process as well; see Afrpc.Pool.add_template()."""
        self._check_trust(process)
        self._prepare_template(process)
        super().add_template(process, max_workers, load, weight)
        self._look_at_host(process)

    def refresh(self, process=None):
        """Replaces workers by new ones, of another process if one is given; see Afrpc.Pool.refresh()."""
        self._check_trust(process)
        self._prepare_template(process)
        super().refresh(process)
        self._look_at_host(process)

    def wait_for_room_async(self, cancellable=None, callback=None, *user_data):
        """Waits until there is room for another call; without a callback returns a PendingCall to be awaited."""
        if callback is not None:
            return super().wait_for_room_async(cancellable, callback, *user_data)
        return _wait(super().wait_for_room_async, self.wait_for_room_finish, cancellable)

    def call_all_sync(self, args=None, options=None, cancellable=None):
        """Has all workers, those that there are and each later one, called with a GLib.Variant, and blocks until those that
        there are have answered, or a handler of a signal raises."""
        def call(stop):
            return super(Pool, self).call_all_sync(args, options, stop)

        _check_for_all(args, options)
        tell = _prepare_for_all(self, cancellable)
        try:
            return _with_log(self, lambda: _proxy.block(call, cancellable))
        except GLib.Error as error:
            better = tell(error)
            raise better from better.__cause__

    def call_all_async(self, args=None, options=None, cancellable=None, callback=None, *user_data):
        """The same without blocking; without a callback returns a PendingCall to be awaited."""
        _check_for_all(args, options)
        tell = _prepare_for_all(self, cancellable)

        def begin(cancellable, callback):
            def finished_cb(pool, result, *more):
                result._tell_for_all = tell
                callback(pool, result, *user_data)

            super(Pool, self).call_all_async(args, options, cancellable, finished_cb)

        if callback is not None:
            return begin(cancellable, callback)
        return _wait(begin, self.call_all_finish, cancellable)

    def call_all_finish(self, result):
        """Gets whether all workers have been called."""
        try:
            return super().call_all_finish(result)
        except GLib.Error as error:
            better = result._tell_for_all(error)
            raise better from better.__cause__

    def map(self, *iterables, ordered=True, signature=None, timeout_ms=None, cancellable=None, raw=False, calls=False,
            return_exceptions=False, **options):
        """Calls the function with each element of an iterable, or with one of each of several, which are taken as results
        are. Returns the results, for "for" or "async for"; other keywords are properties of CallOptions."""
        if not iterables:
            raise TypeError("map() needs an iterable")
        return self._map(zip(*iterables) if len(iterables) > 1 else iterables[0], len(iterables) > 1, ordered, signature,
                         timeout_ms, cancellable, raw, calls, return_exceptions, options)

    def starmap(self, iterable, *, ordered=True, signature=None, timeout_ms=None, cancellable=None, raw=False, calls=False,
                return_exceptions=False, **options):
        """The same with the arguments in each element of an iterable."""
        return self._map(iterable, True, ordered, signature, timeout_ms, cancellable, raw, calls, return_exceptions, options)

    def _map(self, inputs, is_star, ordered, signature, timeout_ms, cancellable, raw, calls, return_exceptions, options):
        for name in (self._OF_LOOPS | {"fds", "result_fds"}).intersection(options):
            raise TypeError(f"map() has no option {name!r}")
        if "chunksize" in options:
            raise TypeError("map() has no option 'chunksize': how many calls travel together is found by measuring")

        def make_waiting():
            return _streams.AsyncMap(self, inputs, is_star, ordered, return_exceptions,
                                     dict(options, signature=signature, timeout_ms=timeout_ms, cancellable=cancellable,
                                          raw=raw))

        may_wait = hasattr(inputs, "__aiter__")
        if may_wait and not hasattr(inputs, "__iter__"):
            if calls:
                raise TypeError("map() gives no calls where inputs are waited for")
            return make_waiting()
        results = _proxy.map(self, inputs, is_star, signature, timeout_ms, cancellable, bool(ordered), bool(raw),
                             bool(calls), bool(return_exceptions), self._hooks, options or None)
        return _streams.EitherMap(results, make_waiting) if may_wait and not calls else results

    def invoke_all(self, *args, signature=None, timeout_ms=None, cancellable=None, fds=None, **options):
        """Has all workers, those that there are and each later one, call the function with args: to configure them. Returns
        a PendingCall that is done once those that there are have answered."""
        args, options = self._prepare_all(args, signature, timeout_ms, cancellable, fds, options)
        return self.call_all_async(args, options, cancellable)

    def invoke_all_sync(self, *args, signature=None, timeout_ms=None, cancellable=None, fds=None, **options):
        """The same, and waits."""
        args, options = self._prepare_all(args, signature, timeout_ms, cancellable, fds, options)
        self.call_all_sync(args, options, cancellable)

    def _prepare_all(self, args, signature, timeout_ms, cancellable, fds, options):
        try:
            fds = _make_fd_list(fds) if fds is not None else None
            return _proxy.prepare_all(self, args, signature, timeout_ms, cancellable, fds, options or None)
        except Exception as error:
            _say_not_started(error)
            raise


_guard(Pool, _OF_CALLERS + _OF_POOLS)
Pool = _help.document(override(Pool), _REPLACED)


class Exit(Afrpc.Exit):
    def __repr__(self):
        return f"<Afrpc.Exit: {self.to_string()}>"


Exit = override(Exit)


class PoolStats(Afrpc.PoolStats):
    def __repr__(self):
        return (f"<Afrpc.PoolStats: {_count(self.get_n_finished(), 'call')} finished, {self.get_n_failed()} failed; "
                f"{_count(self.get_n_workers_started(), 'worker')} started, {self.get_n_workers_died()} died>")


PoolStats = override(PoolStats)


class PoolWorker(Afrpc.PoolWorker):
    def __repr__(self):
        return f"<Afrpc.PoolWorker pid {self.get_pid()}, {self.get_state().value_nick}, {_count(self.get_n_calls(), 'call')}>"


PoolWorker = override(PoolWorker)


def _get_default(spec):
    """As the PyGObject that there is has it."""
    return spec.get_default_value() if hasattr(spec, "get_default_value") else spec.default_value


class CallOptions(_Ranged, Afrpc.CallOptions):
    def __repr__(self):
        said = [(spec.name.replace("-", "_"), self.get_property(spec.name)) for spec in self.list_properties()
                if self.get_property(spec.name) != _get_default(spec)]
        return f"Afrpc.CallOptions({', '.join(f'{name}={value!r}' for name, value in said)})"


def _chain_options(name):
    setter = getattr(Afrpc.CallOptions, name)

    @functools.wraps(setter)
    def chained(self, *args):
        _check_range(CallOptions, name[4:], *args)
        setter(self, *args)
        return self

    chained.__name__ = name
    setattr(CallOptions, name, chained)


for _name in ("set_affinity", "set_execution_timeout_ms", "set_fds", "set_function", "set_idempotent", "set_label",
              "set_metadata", "set_priority", "set_progress", "set_timeout_ms", "set_wait_for_room"):
    _chain_options(_name)

CallOptions = _help.document(override(CallOptions), _REPLACED)


class Call(Afrpc.Call):
    def __repr__(self):
        caller, options = self.get_caller(), self.get_options()
        function = options.get_function() if options is not None else None
        if function is None and caller.find_property("function") is not None:
            function = caller.get_property("function")
        return f"<Afrpc.Call of {function or repr(caller)}, {'settled' if self.is_settled() else 'pending'}>"

    def wait(self, cancellable=None, callback=None, *user_data):
        """Waits for the outcome; without a callback returns a PendingCall for the value. What is cancelled stops
        waiting; cancel() is for the call itself."""
        _check_caller(self.get_source_object())
        if callback is not None:
            return super().wait(cancellable, callback, *user_data)
        return _wait(super().wait, self.wait_finish, cancellable)


Call = _help.document(override(Call), _REPLACED)


def _get_path():
    """What this program can import, for its workers."""
    return ":".join(path for path in (os.path.abspath(path) for path in sys.path if isinstance(path, str))
                    if ":" not in path)


def _is_python(host):
    return isinstance(host, str) and os.path.basename(host).removeprefix("afrpc-host-") == "python"


def _prepare_thread():
    """Where a loop of asyncio runs that is not the main thread, what is made belongs to that loop."""
    asyncio = sys.modules.get("asyncio")
    loop = asyncio._get_running_loop() if asyncio is not None else None
    if loop is not None:
        from afrpc import aio

        if not isinstance(loop, aio.EventLoop):  # that sees to it itself
            aio._have_own_context()


def _get_text(value):
    """Paths are taken where text is."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _set_default_interpreter():
    """The default template is not a process of our own, and has the environment of the program."""
    GLib.setenv("AFRPC_PYTHON", sys.executable, True)
    GLib.setenv("AFRPC_PYTHON_PATH", _get_path(), True)


class Process(_Ranged, Afrpc.Process):
    _interpreter = ()  # what the host finds in its environment, whatever else that is: variables with their values

    def __init__(self, *args, python=None, **kwargs):
        _prepare_thread()
        host, is_default = kwargs.get("host"), kwargs.get("use_template", False)
        is_executed = not is_default and kwargs.get("template") is None and kwargs.get("destination") is None and \
            kwargs.get("fd", -1) < 0
        if python is not None and not is_executed:
            raise ValueError("only a process that executes a host here can have another interpreter")
        if is_default and _is_python(host):
            _set_default_interpreter()
        super().__init__(*args, **kwargs)
        if is_executed:
            self._set_interpreter(host, python)

    def _set_interpreter(self, host, python):
        """That of the program, with what that finds; or another one, which finds what is its own."""
        if not _is_python(host):
            if python is not None:
                raise ValueError(f"the host {host!r} has no interpreter of Python")
            return
        if python is None:
            self._interpreter = (("AFRPC_PYTHON", sys.executable), ("AFRPC_PYTHON_PATH", _get_path()))
        else:
            python = os.fspath(python)
            found = os.path.abspath(python) if "/" in python else shutil.which(python)
            if found is None or not os.path.exists(found):
                raise FileNotFoundError(errno.ENOENT, "there is no such interpreter", python)
            self._interpreter = (("AFRPC_PYTHON", found),)
        for name, value in self._interpreter:
            self.setenv(name, value, True)

    @classmethod
    def new(cls):
        _prepare_thread()
        return super().new()

    @classmethod
    def new_command(cls, argv):
        _prepare_thread()
        return super().new_command([_get_text(word) for word in argv])

    @classmethod
    def new_from_fd(cls, host, fd, pidfd=-1):
        """Goes on with a process that another program has prepared. The descriptors become the process'."""
        _prepare_thread()
        return super().new_from_fd(host, fd, pidfd)

    @classmethod
    def new_ssh(cls, destination, host=None, options=None):
        _prepare_thread()
        return super().new_ssh(destination, host, options)

    @classmethod
    def new_exec(cls, host=None, *, python=None):
        """Executes a host: the name of one, or its path.

        python: the interpreter of a host in Python, if it is to be another than that of the program: its path or name"""
        _prepare_thread()
        host = _get_text(host)
        process = super().new_exec(host)
        process._set_interpreter(host, python)
        return process

    @classmethod
    def new_for_host(cls, host=None):
        _prepare_thread()
        if _is_python(host):
            _set_default_interpreter()
        return super().new_for_host(host)

    def set_environ(self, environment):
        """Sets the whole environment, of texts as "NAME=value". What says which interpreter a host in Python is run by
        stays, unless it is among them."""
        _check_configurable(self)
        super().set_environ(environment)
        names = {text.partition("=")[0] for text in environment}
        for name, value in self._interpreter:
            if name not in names:
                super().setenv(name, value, True)
        return self

    def require(self, *modules):
        """Loads modules, by their names or the paths of their files; returns the process itself, as the methods
        below do."""
        _check_preparable(self)
        for module in modules:
            super().require(_get_module(module))
        return self

    def eval(self, code, *args):
        """Evaluates code, which finds args as the tuple "args"."""
        _check_preparable(self)
        super().eval(code, _proxy.pack(args))
        return self

    def send_arg(self, *values):
        """Sends arguments for the init function."""
        _check_preparable(self)
        for value in values:
            super().send_arg(_proxy.pack(value))
        return self

    def send_fd(self, *files):
        """Sends copies of file descriptors: numbers, or objects that have one."""
        _check_preparable(self)
        for file in files:
            super().send_fd(_get_fd(file))
        return self

    def fork(self):
        """A process that is prepared as this one is, and can be prepared further."""
        _check_thread(self)
        return super().fork()

    def kill(self, signum):
        """Sends the process a signal."""
        _check_thread(self)
        return super().kill(signum)

    def __repr__(self):
        pid = self.get_pid()
        return f"<Afrpc.Process {self.get_host() or 'of a command'}{f', pid {pid}' if pid > 0 else ''}>"

    def run_async(self, function, cancellable=None, callback=None, *user_data):
        """Runs a function; without a callback returns a PendingCall for the connection."""
        _check_thread(self)
        self._has_job = True
        if callback is not None:
            return super().run_async(function, cancellable, callback, *user_data)
        return _wait(lambda *args: super(Process, self).run_async(function, *args), self.run_finish,
                     cancellable)

    def to_fd_async(self, cancellable=None, callback=None, *user_data):
        """Hands the process over; without a callback returns a PendingCall for its socket and its pidfd."""
        _check_thread(self)
        self._has_job = True
        if callback is not None:
            return super().to_fd_async(cancellable, callback, *user_data)
        return _wait(super().to_fd_async, self.to_fd_finish, cancellable)

    def wait_sync(self, cancellable=None):
        """Blocks until the end, and returns its description, or until a handler of a signal raises."""
        _check_thread(self)
        return _proxy.block(super().wait_sync, cancellable)

    def wait_async(self, cancellable=None, callback=None, *user_data):
        """Waits for the end; without a callback returns a PendingCall for its description."""
        _check_thread(self)
        if callback is not None:
            return super().wait_async(cancellable, callback, *user_data)
        return _wait(super().wait_async, self.wait_finish, cancellable)


def _chain(name):
    setter = getattr(Afrpc.Process, name)

    @functools.wraps(setter)
    def chained(self, *args):
        _check_configurable(self)
        setter(self, *map(_get_text, args))
        return self

    chained.__name__ = name
    setattr(Process, name, chained)


for _name in ("set_cwd", "set_limit", "set_nice", "set_orphan_policy", "set_process_group", "set_send_modules",
              "set_stderr", "set_stdin", "set_stdout", "setenv", "take_stderr_fd", "take_stdin_fd", "take_stdout_fd", "unsetenv"):
    _chain(_name)

Process = _help.document(override(Process), _REPLACED)
