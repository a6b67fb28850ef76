# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program in Python gets to see of errors: exceptions by class, and those of workers in Python
as what they were, as far as that is known here."""
import builtins
import re

from gi.repository import Gio, GLib

from . import _exceptions

_PREFIX = re.compile(r"python-exception (-?\d{1,10}): ")
# Attributes that no exception brings.
_OWN = ("_afrpc_remote", "matches")

# Those of all exceptions, whatever a class makes of the names.
_ARGS, _CAUSE, _CONTEXT = (vars(BaseException)[name] for name in ("args", "__cause__", "__context__"))
_get_vars = _exceptions.get_vars
# What afrpc and Python need of an instance is that of all exceptions, too.
_NEEDED = ("__cause__", "__class__", "__context__", "__delattr__", "__dict__", "__getattribute__", "__setattr__",
           "__suppress_context__", "__traceback__")

_registered = {}  # "module.name" -> class
_made = {}        # class -> the same that is a RemoteError as well


class Failure:
    """What knows who had the call: process is an Afrpc.Process, exit is an Afrpc.Exit that says how that ended. Both
    are None where that is not known, and neither is pickled."""

    process = None
    exit = None

    def __reduce__(self):
        cls, args, *state = super().__reduce__()
        return cls, args, *({name: value for name, value in part.items() if name not in ("process", "exit")}
                            for part in state)

    def __repr__(self):
        return f"Afrpc.{type(self).__name__}({self.message!r})"


class WorkerDied(Failure, GLib.Error):
    """The worker ended while it ran the call."""


class NotStarted(Failure, GLib.Error):
    """The worker ended, or what was called was closed, before the call was started: it is safe to be made again."""


class TimeoutError(Failure, GLib.Error, builtins.TimeoutError):
    """The time limit of a call has passed."""


def tell_call(error, call):
    """Has the exception of an Afrpc.Call say what is known of that."""
    if call.get_started() == NOT_BEGUN:
        error = improve_refused(error)
    tell_started(error, call.get_started())
    if isinstance(error, Failure):
        error.process, error.exit = call.get_process(), call.get_exit()
    return error


def tell_started(error, started):
    told = _get_remote(error) if isinstance(error, RemoteError) else error
    told.started = started


def get_message(error):
    """That of a GLib.Error, whatever an exception of a worker has by this name."""
    return (_get_remote(error) if isinstance(error, RemoteError) else error).message


class RemoteTraceback(Exception):
    """The cause of a RemoteError, so that Python prints what the worker would have printed."""

    def __init__(self, traceback):
        super().__init__(traceback)
        self.traceback = traceback

    def __str__(self):
        return f'\n"""\n{self.traceback}\n"""'


class _Remote:
    """What afrpc knows of an exception of a worker, by no name that this may have for something of its own."""

    traceback = ""

    def __init__(self, message="", domain="afrpc-error-quark", code=0):
        self.message, self.domain, self.code = message, domain, code
        words = _exceptions.unpack(*_split(message))[0]
        self.type_name, _, self.text = words.partition(": ")

    def __str__(self):
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


def _get_remote(error):
    known = _get_vars(error)
    if "_afrpc_remote" not in known:  # of a class that is derived, and does not care
        known["_afrpc_remote"] = _Remote()
    return known["_afrpc_remote"]


class _Word:
    """One of these where the exception has nothing by that name: attributes of an instance, and of a class before this one,
    are found first."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, error, cls=None):
        return getattr(_get_remote(error), self.name) if error is not None else self


class RemoteError(GLib.Error):
    """An exception of a worker's function in Python.

    type_name is the name of its class, text its own words, traceback what Python would have printed. It is an
    instance of that class, too, if the class is one of Python's own, has been imported by this program, or
    was registered; what the exception has by one of these names, or by those of GLib.Error, is found in its place.
    """

    message, domain, code, type_name, text, traceback, started = (_Word() for _ in range(7))

    def __init__(self, message="", domain="afrpc-error-quark", code=0):
        # As that of GLib.Error does, without going on to those of other classes.
        _ARGS.__set__(self, (message,))
        _get_vars(self)["_afrpc_remote"] = _Remote(message, domain, code)

    def __str__(self):
        return str(_get_remote(self))

    def __repr__(self):
        return f"Afrpc.RemoteError({str(_get_remote(self))!r})"

    def __reduce__(self):
        remote, known = _get_remote(self), _get_vars(self)
        state = {"started": remote.started, **{name: known[name] for name in ("__notes__",) if name in known}}
        return improve_parts, (remote.message, remote.domain, remote.code), state

    def __reduce_ex__(self, protocol):
        return RemoteError.__reduce__(self)

    def __setstate__(self, state):
        for name, value in state.items():
            (vars(_get_remote(self)) if name == "started" else _get_vars(self))[name] = value

    def copy(self):
        remote = _get_remote(self)
        return GLib.Error(remote.message, remote.domain, remote.code)

    def matches(self, domain, code):
        return RemoteError.copy(self).matches(domain, code)

    @staticmethod
    def register(cls):
        """Has exceptions of that name be instances of a class, which need not lie where the worker has it: the
        name of its module counts, or "__main__" for what was evaluated there. Returns the class."""
        if not _exceptions.is_exception(cls):
            raise TypeError(f"{cls!r} is not a class of errors")
        _registered[f"{cls.__module__}.{cls.__qualname__}"] = cls
        _registered[f"__main__.{cls.__qualname__}"] = cls
        return cls


def _split(message):
    """(code, message) of an exception"""
    found = _PREFIX.match(message)
    return (int(found[1]), message[found.end():]) if found else (len(message), message)


class _Same:
    """What a RemoteError needs as an instance of another class, whose names come before its own."""

    __init__, __reduce__, __reduce_ex__ = RemoteError.__init__, RemoteError.__reduce__, RemoteError.__reduce_ex__
    __setstate__, matches = RemoteError.__setstate__, RemoteError.matches
    __copy__ = __deepcopy__ = None  # as it is pickled

    def __init_subclass__(cls, **kwargs):
        pass

    def __str__(self):
        # It may be of a class that is not here, only of one above that.
        remote = _get_remote(self)
        return remote.text if remote.type_name == _exceptions.get_name(type(self)) else str(remote)

    def __repr__(self):
        return f"{_get_remote(self).type_name}({', '.join(map(repr, _ARGS.__get__(self)))})"


def _compute(self, name):
    """What the class itself makes of names that there are not, which may need what was not sent: it can be asked whether there is
    one all the same, as Python does with those of its own."""
    if not name.startswith("__"):
        try:
            return super(type(self), self).__getattr__(name)
        except AttributeError:
            raise
        except Exception:  # told by what follows as its context
            pass
    raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)


def _test(self):
    """Likewise; Python asks this of what it prints."""
    own = super(type(self), self)
    try:
        return bool(own.__bool__() if hasattr(own, "__bool__") else own.__len__())
    except Exception:
        return True


def _end(self):
    """In the place of what a class does at the end of what it has made itself."""


def _list_contents(cls):
    """What the class that is made of one has, whatever that has by these names."""
    given = {name for base in cls.__mro__ if not _exceptions.is_static(base) for name in _exceptions.get_names(base)}
    yield "__module__", cls.__module__
    yield "__qualname__", cls.__qualname__
    yield "__doc__", cls.__doc__
    for name in given.intersection(_NEEDED):
        yield name, next(names[name] for names in map(vars, BaseException.__mro__) if name in names)
    for name, function in ("__getattr__", _compute), ("__del__", _end):
        if name in given:
            yield name, function
    if given.intersection(("__bool__", "__len__")):
        yield "__bool__", _test
    # Those that come after the RuntimeError of a GLib.Error would be found too late.
    for name, word in vars(RemoteError).items() if issubclass(cls, RuntimeError) else ():
        if isinstance(word, _Word) or name == "copy":
            own = [names[name] for names in map(_exceptions.get_names, cls.__mro__) if name in names]
            if own:
                yield name, own[0]


def _make_class(cls):
    """The class that is a RemoteError as well; None if there can be none."""
    made = _made.get(cls)
    if made is None:
        # Names that it has are found first; none that is among those above anyway has any of its own.
        is_above = any(base is cls for base in RemoteError.__mro__)
        bases = (_Same, RemoteError, cls) if is_above else (_Same, cls, RemoteError)
        try:
            made = type(cls.__name__, bases, dict(_list_contents(cls)))
        except Exception:  # what one has in memory leaves no room for the other, or it forbids to be derived from
            return None
        _made[cls] = made
    return made


def _allocate(native, made, args):
    try:
        return native.__new__(made, *args)
    except TypeError:
        # MemoryError keeps some in reserve, and for that has a function of its own, which is for nothing else.
        return BaseException.__new__(made, *args)


def _make(cls, args, message, domain, code):
    """An instance without any code of the class itself, which would get what a worker may have made up."""
    made = _make_class(cls)
    if made is None:
        return None
    try:
        error = _allocate(_exceptions.get_native(cls), made, args)
    except Exception:  # they do not fit
        return None
    try:
        _exceptions.get_first(cls).__init__(error, *args)
        args = _ARGS.__get__(error)
    except Exception:  # the same, of those that can be without
        pass
    RemoteError.__init__(error, message, domain, code)
    _ARGS.__set__(error, args)
    return error


def _get_candidates(words, details):
    """The classes that it may be an instance of, the best first."""
    name = words.partition(": ")[0]
    module, base = "builtins", None
    if details is not None:
        given = details.get("class")
        if isinstance(given, list) and len(given) == 2 and all(isinstance(part, str) for part in given):
            module, name = given
        base = details.get("base")
    found = _exceptions.find_class(module, name, _registered)
    if found is not None and not issubclass(found, GLib.Error):
        yield found
    found = vars(builtins).get(base) if isinstance(base, str) else None
    if _exceptions.is_exception(found):
        yield found


def _get_args(words, details, depth):
    text = words.partition(": ")[2]
    if details is None:
        return (text,) if text else ()
    try:
        args = _exceptions.decode(details.get("args"))
    except (ValueError, TypeError, AttributeError, RecursionError):
        args = None
    if not isinstance(args, tuple):
        args = (text,) if text else ()
    group = details.get("group")
    if isinstance(group, list) and depth < _exceptions.DEPTH_MAX:
        return str(args[0]) if args else text, [_revive(one, depth + 1) for one in group[:_exceptions.GROUP_MAX]]
    return args


def _get_origin(error):
    cause = _CAUSE.__get__(error)
    return cause if cause is not None else _CONTEXT.__get__(error)


def _adorn(error, details, depth):
    """Gives an error what belongs to it besides its arguments."""
    attributes = details.get("attributes")
    places = dict((*_exceptions.list_native(error), *_exceptions.list_slots(error)))
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        if name not in _OWN and not name.startswith("__"):
            try:
                value = _exceptions.decode(value)
                if name in places:
                    places[name].__set__(error, value)
                else:
                    _get_vars(error)[name] = value
            except (ValueError, TypeError, AttributeError, RecursionError):
                pass
    notes = details.get("notes")
    if isinstance(notes, list):
        # Not by add_note (), which asks a class that computes its attributes whether there are some.
        _get_vars(error)["__notes__"] = [note for note in notes if isinstance(note, str)]
    if depth < _exceptions.DEPTH_MAX:
        if isinstance(details.get("cause"), dict):
            _CAUSE.__set__(error, _revive(details["cause"], depth + 1))
        elif isinstance(details.get("context"), dict):
            _CONTEXT.__set__(error, _revive(details["context"], depth + 1))


def _build(words, details, message, domain, code, depth):
    for cls in _get_candidates(words, details):
        error = _make(cls, _get_args(words, details, depth), message, domain, code)
        if error is not None:
            break
    else:
        error = RemoteError(message, domain, code)
        _ARGS.__set__(error, _get_args(words, details, depth))
    remote = _get_remote(error)
    remote.type_name, _, remote.text = words.partition(": ")
    if details is not None:
        _adorn(error, details, depth)
    return error


def _revive(details, depth):
    """An exception that belongs to another one."""
    words = details.get("words") if isinstance(details, dict) else None
    if not isinstance(words, str):
        words, details = "an exception", None
    return _build(words, details, words, "afrpc-error-quark", _REMOTE, depth)


def improve_parts(message, domain, code):
    return improve(GLib.Error(message, domain, code))


def improve(error):
    """The exception that a GLib.Error is better told by; itself if there is none."""
    if type(error) is not GLib.Error:
        return error
    key = error.domain, error.code
    if key != (_AFRPC, _REMOTE) or not _PREFIX.match(error.message):
        better = _classes.get(key)
        return better(error.message, *key) if better is not None else error

    words, traceback, details = _exceptions.unpack(*_split(error.message))
    made = _build(words, details, error.message, *key, 0)
    _get_remote(made).traceback = traceback
    if traceback:
        # At the end of what has led to it.
        last, seen = made, 0
        while _get_origin(last) is not None and seen < _exceptions.DEPTH_MAX:
            last, seen = _get_origin(last), seen + 1
        _CAUSE.__set__(last, RemoteTraceback(traceback))
    return made


def improve_refused(error):
    """The same for that of a call that was not started. That there was no worker any more when it was made is no other
    outcome than that there was none when it should have been started."""
    if type(error) is GLib.Error and (error.domain, error.code) == CLOSED:
        return NotStarted(error.message, *CLOSED)
    return error


def improve_end(error, process):
    """The same for what a worker has ended with: it had no call then, or one that was told by itself."""
    better = improve(error)
    if type(better) is GLib.Error and (better.domain, better.code) == CLOSED:
        better = WorkerDied(better.message, *CLOSED)
    if isinstance(better, Failure):
        better.process = process
    return better


def set_up(module):
    """Once the library is there, whose numbers this needs."""
    global _AFRPC, _REMOTE, CLOSED, NOT_BEGUN, _classes

    NOT_BEGUN = module.Started.NO
    _AFRPC = GLib.quark_to_string(module.error_quark())
    _REMOTE = int(module.Error.REMOTE)
    CLOSED = _AFRPC, int(module.Error.CLOSED)
    _classes = {(_AFRPC, int(module.Error.DIED)): WorkerDied,
                (_AFRPC, int(module.Error.NOT_STARTED)): NotStarted,
                (GLib.quark_to_string(Gio.io_error_quark()), int(Gio.IOErrorEnum.TIMED_OUT)): TimeoutError}
    # Of what is no call's, such as the error of a loop over events, nothing else is known.
    for cls in _Remote, Failure:
        cls.started = module.Started.UNKNOWN
