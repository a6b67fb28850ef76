# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program in Python gets to see of errors: exceptions by class, and those of workers in Python
as what they were, as far as that is known here."""
import builtins
import re

from gi.repository import Gio, GLib

from . import _exceptions

_PREFIX = re.compile(r"python-exception (-?\d{1,10}): ")
# Attributes that an error of GLib has, and a RemoteError.
_OWN = ("message", "domain", "code", "type_name", "text", "traceback")

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
    error.started = call.get_started()
    if isinstance(error, Failure):
        error.process, error.exit = call.get_process(), call.get_exit()
    return error


class RemoteTraceback(Exception):
    """The cause of a RemoteError, so that Python prints what the worker would have printed."""

    def __init__(self, traceback):
        super().__init__(traceback)
        self.traceback = traceback

    def __str__(self):
        return f'\n"""\n{self.traceback}\n"""'


class RemoteError(GLib.Error):
    """An exception of a worker's function in Python.

    type_name is the name of its class, text its own words, traceback what Python would have printed. It is an
    instance of that class, too, if the class is one of Python's own, has been imported by this program, or
    was registered.
    """

    def __init__(self, message="", domain="afrpc-error-quark", code=0):
        # As that of GLib.Error does, without going on to those of other classes.
        self.args = (message,)
        self.message, self.domain, self.code = message, domain, code
        words = _exceptions.unpack(*_split(message))[0]
        self.type_name, _, self.text = words.partition(": ")
        self.traceback = ""

    def __str__(self):
        return f"{self.type_name}: {self.text}" if self.text else self.type_name

    def __repr__(self):
        return f"Afrpc.RemoteError({str(self)!r})"

    def __reduce__(self):
        state = {name: vars(self)[name] for name in ("started", "__notes__") if name in vars(self)}
        return improve_parts, (self.message, self.domain, self.code), state

    def __setstate__(self, state):
        vars(self).update(state)

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
    """What a RemoteError says as an instance of another class."""

    def __str__(self):
        # It may be of a class that is not here, only of one above that.
        return self.text if self.type_name == _exceptions.get_name(type(self)) else RemoteError.__str__(self)

    def __repr__(self):
        return f"{self.type_name}({', '.join(map(repr, self.args))})"


class _Group:
    """Groups have a message that is read only, which is shorter than that of the error."""

    @property
    def message(self):
        return vars(self).get("_message", "")

    @message.setter
    def message(self, message):
        vars(self)["_message"] = message


def _make_class(cls):
    """The class that is a RemoteError as well; None if there can be none."""
    made = _made.get(cls)
    if made is None:
        bases = (_Same, RemoteError, cls)
        if issubclass(cls, BaseExceptionGroup):
            bases = (_Group, *bases)
        try:
            made = type(cls.__name__, bases, {"__module__": cls.__module__, "__qualname__": cls.__qualname__,
                                              "__doc__": cls.__doc__})
        except TypeError:  # what one has in memory leaves no room for the other
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
    native = next(base for base in cls.__mro__ if _exceptions.is_static(base))
    try:
        error = _allocate(native, made, args)
    except Exception:  # they do not fit
        return None
    try:
        native.__init__(error, *args)
        args = error.args
    except Exception:  # the same, of those that can be without
        pass
    RemoteError.__init__(error, message, domain, code)
    error.args = args
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


def _adorn(error, details, depth):
    """Gives an error what belongs to it besides its arguments."""
    attributes = details.get("attributes")
    native = dict(_exceptions.list_native(error))
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        if name not in _OWN and not name.startswith("__"):
            try:
                value = _exceptions.decode(value)
                if name in native:
                    native[name].__set__(error, value)
                else:
                    vars(error)[name] = value
            except (ValueError, TypeError, AttributeError, RecursionError):
                pass
    notes = details.get("notes")
    if isinstance(notes, list):
        for note in notes:
            if isinstance(note, str):
                error.add_note(note)
    if depth < _exceptions.DEPTH_MAX:
        if isinstance(details.get("cause"), dict):
            error.__cause__ = _revive(details["cause"], depth + 1)
        elif isinstance(details.get("context"), dict):
            error.__context__ = _revive(details["context"], depth + 1)


def _build(words, details, message, domain, code, depth):
    for cls in _get_candidates(words, details):
        error = _make(cls, _get_args(words, details, depth), message, domain, code)
        if error is not None:
            break
    else:
        error = RemoteError(message, domain, code)
    error.type_name, _, error.text = words.partition(": ")
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
    made.traceback = traceback
    if traceback:
        # At the end of what has led to it.
        last, seen = made, 0
        while (last.__cause__ or last.__context__) is not None and seen < _exceptions.DEPTH_MAX:
            last, seen = last.__cause__ or last.__context__, seen + 1
        last.__cause__ = RemoteTraceback(traceback)
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
    for cls in RemoteError, Failure:
        cls.started = module.Started.UNKNOWN
