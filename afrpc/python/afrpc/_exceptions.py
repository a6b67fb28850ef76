# SPDX-License-Identifier: LGPL-2.1-or-later
"""How exceptions travel: as the message of an error, for readers in any language. It begins with the
class and the words of the exception, whose number of characters is the error's code; then follows what Python
prints of it. What that does not say, such as arguments, is a last line of JSON: the code is negative then.

A worker packs them, whatever state it is in: one that has no descriptor left can load no module and read no file,
and still says what was raised, where, and with which arguments. A program reads what a worker may have made up, and
loads nothing on its word.
"""
import sys

MESSAGE_MAX = 65000    # bytes of all that is sent: no more than 64 KiB arrive, with what is put before it on the way
TEXT_MAX = 16384       # bytes of an exception's own words that are sent
TRACEBACK_MAX = 32768  # bytes of its traceback that are sent
PART_MAX = 4096        # bytes of a line in that, or of an exception's words, where all would be too much
WORDS_MAX = 1024       # bytes of the words of those that belong to it
INT_BITS_MAX = 14000   # of which Python writes and reads the digits, if nothing else was set
REPR_MAX = 256         # bytes of what stands in for an argument that cannot be sent
PLACES_MAX = 40        # in code, of a traceback that is made without a module
DEPTH_MAX = 8          # of values in each other, causes of causes, and groups of groups
ITEMS_MAX = 256        # of attributes and notes
GROUP_MAX = 512        # members of a group: a program's main loop makes them at once, in less than 10 ms
CHAINED_SIZE = 1024    # bytes that arguments leave to what has led to an exception
MEMBER_SIZE = 256      # bytes that they leave to each member of a group, and others of that to it
LOST_SIZE = 1024       # bytes of what is said of what was left out

# What classes of Python itself know in a place of its own, be it from their arguments or not.
NATIVE = {ImportError: ("name", "path", "name_from"), NameError: ("name",), AttributeError: ("name", "obj"),
          OSError: ("errno", "strerror", "filename", "filename2"),
          SyntaxError: ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset", "print_file_and_line")}
# Those of all exceptions, whatever a class makes of the name.
get_vars = vars(BaseException)["__dict__"].__get__
# What Python makes of a name in __slots__.
SLOT = type(vars(OSError)["errno"])
CUT = " [...] "        # in the place of what was left out in the middle
# What arguments and attributes may be, besides those below.
PLAIN = (type(None), bool, int, float, str)
ESCAPES = {**{i: f"\\u{i:04x}" for i in range(32)}, ord('"'): '\\"', ord("\\"): "\\\\"}  # in JSON
WORDS = {None: "null", False: "false", True: "true"}
CHAINS = {"cause": "The above exception was the direct cause of the following exception:",
          "context": "During handling of the above exception, another exception occurred:"}
# Raised elsewhere, these would end a loop rather than be an error.
NEVER = ("StopIteration", "StopAsyncIteration")


def is_exception(cls):
    """Whether it is the class of errors: not of what ends programs, tasks or loops."""
    return isinstance(cls, type) and Exception in cls.__mro__ and \
        not any(base.__name__ in NEVER for base in cls.__mro__ if base.__module__ == "builtins")


def is_static(cls):
    return not cls.__flags__ & 1 << 9  # Py_TPFLAGS_HEAPTYPE


def get_native(cls):
    """The class of Python itself that makes its instances, and has its part of them."""
    while not is_static(cls):
        cls = cls.__base__
    return cls


def get_first(cls):
    """The class of Python itself whose __init__ () is found first; not each has its own since Python 3.14. If it is another one, it
    gets the arguments, and they say nothing of what the one that makes instances knows."""
    return next(base for base in cls.__mro__ if is_static(base) and "__init__" in vars(base))


# In a worker

class TooLarge(Exception):
    pass


class Unsendable(ValueError):
    """Its words say why."""


class Room:
    """Bytes that are left."""

    def __init__(self, size):
        self.left = size

    def take(self, size):
        if size > self.left:
            raise TooLarge
        self.left -= size


class Object(Room):
    """Of JSON, that has so many bytes at most."""

    def __init__(self, size):
        super().__init__(size)
        self.parts = []
        self.take(2)

    def add(self, name, text):
        part = f"{write_json(name)}:{text}"
        self.take(measure(part) + 1)
        self.parts.append(part)

    def end(self):
        return f"{{{','.join(self.parts)}}}"


def clean(text):
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def measure(text):
    return len(text) if text.isascii() else len(text.encode("utf-8", "backslashreplace"))


def cut(text, size):
    return text.encode()[:size].decode(errors="ignore")


def cut_start(text, size):
    return text.encode()[-size:].decode(errors="ignore")


def cut_middle(text, size):
    if measure(text) <= size:
        return text
    half = (size - len(CUT)) // 2
    return f"{cut(text, half)}{CUT}{cut_start(text, half)}"


def get_name(cls):
    if cls.__module__ in ("builtins", "__main__"):
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def get_words(error):
    name = get_name(type(error))
    try:
        text = str(error)
    except Exception:
        text = "<its text cannot be had>"
    return cut_middle(clean(f"{name}: {text}" if text else name), TEXT_MAX)


def get_traceback(error, evaluated):
    import linecache
    import traceback

    for name, code in evaluated.items():
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    parts = traceback.format_exception(type(error), error, error.__traceback__)
    trace = clean("".join(parts).rstrip("\n"))
    if measure(trace) > TRACEBACK_MAX:
        # Rather of long words than of the places.
        trace = "".join(cut_middle(clean(part), PART_MAX) for part in parts).rstrip("\n")
    if measure(trace) > TRACEBACK_MAX:
        start = "Traceback (most recent call last):\n  ...\n"
        trace = start + cut_start(trace, TRACEBACK_MAX - len(start))
    return trace


def get_places(error, evaluated):
    """The same without the help of any module, and without what is written in files."""
    return cut_start(clean("\n".join(list_places(error, evaluated))), TRACEBACK_MAX)


def list_places(error, evaluated, depth=0):
    how, chained = get_chained(error)
    lines = []
    if chained is not None and depth < DEPTH_MAX:
        lines += [*list_places(chained, evaluated, depth + 1), "", CHAINS[how], ""]
    place = error.__traceback__
    if place is not None:
        lines.append("Traceback (most recent call last):")
    first = len(lines)
    while place is not None:
        code = place.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {place.tb_lineno}, in {code.co_name}')
        if code.co_filename in evaluated:
            lines.append(f"    {evaluated[code.co_filename].splitlines()[place.tb_lineno - 1].strip()}")
        place = place.tb_next
    if len(lines) - first > PLACES_MAX:
        lines[first + PLACES_MAX // 2:-PLACES_MAX // 2] = ["  ..."]
    lines.append(cut_middle(get_words(error), PART_MAX))
    return lines


def write_json(value):
    """What the module json would make of it."""
    if isinstance(value, str):
        # What is left of surrogates becomes what JSON has for them.
        return f'"{value.translate(ESCAPES)}"'.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return f"{{{','.join(f'{write_json(name)}:{write_json(part)}' for name, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(write_json, value))}]"
    if value is None or isinstance(value, bool):
        return WORDS[value]
    if isinstance(value, float) and value - value != 0:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, (int, float)):
        return repr(value)
    raise ValueError


def write_words(text, size):
    """As JSON, as much of its beginning as so many bytes hold."""
    text = clean(text[:max(size, 0)])
    while measure(written := write_json(text)) > size:
        if not text:
            raise TooLarge
        text = text[:len(text) // 2]
    return written


def encode(value, room, depth=0):
    """As what JSON has: lists as they are; tuples, bytes and dictionaries in a dictionary that says so."""
    kind = type(value)
    room.take(len(value) if kind in (str, bytes, list, tuple, dict) else 1)
    if kind is int and value.bit_length() > INT_BITS_MAX:
        raise Unsendable("too large an int")
    if kind in PLAIN:
        return value
    if kind is bytes:
        room.take(len(value))
        return {"bytes": value.hex()}
    if kind not in (list, tuple, dict):
        raise Unsendable(kind.__name__)
    if depth == DEPTH_MAX:
        raise Unsendable("nested too deep")
    if kind is dict:
        return {"dict": [[encode(part, room, depth + 1) for part in item] for item in value.items()]}
    parts = [encode(part, room, depth + 1) for part in value]
    return parts if kind is list else {"tuple": parts}


def write_value(value, size):
    """Raises Unsendable for what cannot be sent at all."""
    written = write_json(encode(value, Room(size)))
    Room(size).take(measure(written))
    return written


def get_chained(error):
    if error.__cause__ is not None:
        return "cause", error.__cause__
    if error.__context__ is not None and not error.__suppress_context__:
        return "context", error.__context__
    return None, None


class Lost:
    """What is not sent, and why."""

    def __init__(self):
        self.too_large = []
        self.unsendable = []

    def add_unsendable(self, what, reason):
        self.unsendable.append(f"{what} ({reason})")

    def list(self):
        if self.too_large:
            yield f"left out, being too large: {', '.join(self.too_large)}"
        if self.unsendable:
            yield f"left out, as it cannot be sent: {', '.join(self.unsendable)}"


def add_class(error, whole):
    cls = type(error)
    if cls.__module__ != "builtins":
        bases = [base for base in cls.__mro__ if base.__module__ == "builtins"]
        whole.add("base", write_json(next(filter(is_exception, bases), bases[0]).__name__))
    whole.add("class", write_json([cls.__module__, cls.__qualname__]))


def describe_class(error, size):
    """Where what it is asked for fails."""
    whole = Object(size)
    add_class(error, whole)
    return whole.end()


def describe(error, size, depth=0):
    """In JSON, of so many bytes at most. What is needed least is left out first: attributes, the largest first, then notes,
    members of a group, what has led to it, arguments. Raises TooLarge if there is no room for its class."""
    whole = Object(size)
    if depth > 0:
        words = get_words(error)
        if is_told_by_words(error) and len(words) <= WORDS_MAX and measure(written := write_json(words)) <= size - 16:
            whole.add("words", written)
            return whole.end()
        whole.add("words", write_words(words, min(WORDS_MAX, size // 2)))
    add_class(error, whole)

    lost = Lost()
    for_lost = min(LOST_SIZE, whole.left // 4)
    whole.take(for_lost)
    how, chained = get_chained(error) if depth < DEPTH_MAX else (None, None)
    group = error.exceptions if isinstance(error, BaseExceptionGroup) and depth < DEPTH_MAX else ()
    add_args(error, whole, min(whole.left // 2, (how is not None) * CHAINED_SIZE + len(group) * MEMBER_SIZE), lost)
    if how is not None:
        try:
            whole.add(how, describe(chained, whole.left // 2, depth + 1))
        except TooLarge:
            lost.too_large.append(how)
    attributes = get_attributes(error)
    if group:
        add_group(group, whole, whole.left // 4 * 3 if attributes else whole.left, depth, lost)
    notes = write_notes(attributes.pop("__notes__", None), whole, lost)
    if attributes:
        add_attributes(attributes, whole, lost)

    whole.left += for_lost + sum(measure(note) + 1 for note in notes)
    try:
        told = list(lost.list())
        for words in told:
            notes.append(write_words(words, (for_lost - 16) // len(told)))
        if notes:
            whole.add("notes", f"[{','.join(notes)}]")
    except TooLarge:
        pass
    return whole.end()


def add_args(error, whole, kept, lost):
    args = get_args(error)
    size = whole.left - kept - 8
    try:
        whole.add("args", write_value(args, size))
    except TooLarge:
        lost.too_large.append("arguments")
    except Unsendable:
        add_standing_in(args, whole, size, lost)


def add_standing_in(args, whole, size, lost):
    found = Lost()
    try:
        if len(args) > ITEMS_MAX:
            raise TooLarge
        whole.add("args", write_value(tuple(stand_in(i, arg, size, found) for i, arg in enumerate(args)), size))
        lost.unsendable += found.unsendable
    except TooLarge:
        lost.too_large.append("arguments")


def stand_in(i, arg, size, lost):
    """The argument, or if it cannot be sent what it is to be found by in its place: a path as its text, anything else as Python
    prints it."""
    try:
        encode(arg, Room(size), 1)
        return arg
    except Unsendable as error:
        lost.add_unsendable(f"argument {i + 1}", str(error))
    try:
        words = arg.__fspath__() if hasattr(type(arg), "__fspath__") else repr(arg)
        return words if type(words) is bytes else cut(clean(words), REPR_MAX)
    except Exception:
        return f"<{type(arg).__name__}>"


def add_group(group, whole, size, depth, lost):
    """Each has its share of so many bytes."""
    members = []
    room = Room(size - 16)
    n_most = min(len(group), GROUP_MAX)
    for i, error in enumerate(group[:n_most]):
        try:
            members.append(describe(error, min(max(room.left // (n_most - i), MEMBER_SIZE), room.left - 1), depth + 1))
        except TooLarge:
            break
        room.take(measure(members[-1]) + 1)
    if members:
        whole.add("group", f"[{','.join(members)}]")
    if len(members) < len(group):
        lost.too_large.append(f"{len(group) - len(members)} of {len(group)} exceptions")


def write_notes(notes, whole, lost):
    """In JSON, as many as half of what is left holds; the last may be cut off."""
    notes = [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    written = []
    room = Room(whole.left // 2)
    for note in notes[:ITEMS_MAX]:
        try:
            written.append(write_words(note, room.left - 1))
        except TooLarge:
            break
        room.take(measure(written[-1]) + 1)
        whole.take(measure(written[-1]) + 1)
    if len(written) < len(notes):
        lost.too_large.append(f"{len(notes) - len(written)} of {len(notes)} notes")
    return written


def add_attributes(attributes, whole, lost):
    written = []
    for name, value in list(attributes.items())[:ITEMS_MAX]:
        try:
            written.append((name, write_value(value, whole.left)))
        except TooLarge:
            lost.too_large.append(name)
        except Unsendable as error:
            if name != "obj":  # of an AttributeError: Python's own, and most often a module or an instance
                lost.add_unsendable(name, str(error))
    try:
        those = Object(whole.left - 16)
    except TooLarge:
        return
    for name, text in sorted(written, key=lambda item: len(item[1])):
        try:
            those.add(name, text)
        except TooLarge:
            lost.too_large.append(name)
    whole.add("attributes", those.end())


def list_native(error):
    """Names and descriptors of what it may know in a place of its own."""
    for cls, names in NATIVE.items():
        if isinstance(error, cls):
            yield from ((name, vars(cls)[name]) for name in names if name in vars(cls))


def list_slots(error):
    """Names and descriptors of what classes have named in __slots__, those that are found first."""
    found = {}
    for cls in type(error).__mro__:
        names = get_names(cls)
        for name in names if "__slots__" in names else ():  # those of classes in C are their own matter
            if type(names[name]) is SLOT:
                found.setdefault(name, names[name])
    return found.items()


def get_slots(error):
    found = {}
    for name, place in list_slots(error):
        try:
            found[name] = place.__get__(error)
        except AttributeError:  # it has not been set
            pass
    return found


def get_known(error):
    """What it knows in a place of Python's own that its arguments do not tell: those of a class whose own __init__ () has kept
    them from the class of Python itself above, or has set something else."""
    places = list(list_native(error))
    if not places:
        return {}
    native, told = get_native(type(error)), None
    if native is get_first(type(error)):
        try:
            told = native(*get_args(error))
        except Exception:  # they are not for that
            pass
    found = {name: (place.__get__(error), place.__get__(told) if told is not None else None) for name, place in places}
    return {name: value for name, (value, other) in found.items() if value is not other}


def get_attributes(error):
    return {name: value for name, value in {**get_known(error), **get_slots(error), **get_vars(error)}.items()
            if name != "_afrpc_remote"}  # of what comes from another worker: see _errors.py


def get_args(error):
    if isinstance(error, BaseExceptionGroup):
        return (error.message,)
    args = error.args
    # Else it was not told of files by these.
    if isinstance(error, OSError) and len(args) == 2 and issubclass(get_first(type(error)), OSError):
        number, words, first, second = (place.__get__(error) for name, place in list_native(error))
        if number is args[0] and words is args[1] and first is not None:
            return (*args, first, None, second)[:3 if second is None else 5]
    return args


def is_told_by_words(error):
    cls = type(error)
    return cls.__module__ == "builtins" and get_chained(error) == (None, None) and not get_vars(error) and \
        not get_known(error) and \
        not isinstance(error, BaseExceptionGroup) and \
        (len(error.args) == 1 and type(error.args[0]) is str and cls is not KeyError or
         not error.args and get_words(error) == get_name(cls))  # SyntaxError() has words all the same


def pack(error, evaluated):
    """(code, message)"""
    words = message = get_words(error)
    for describe_more in get_traceback, get_places:
        try:
            message = f"{words}\n\n{describe_more(error, evaluated)}"
            break
        except BaseException:  # no module for it can be loaded
            pass
    try:
        if is_told_by_words(error):
            return len(words), message
    except BaseException:  # what it is asked for is its own code
        pass
    for describe_more in describe, describe_class:
        try:
            return -len(words), f"{message}\n\n{describe_more(error, MESSAGE_MAX - measure(message) - 2)}"
        except BaseException:  # the same, or there is no room
            pass
    return len(words), message


# In a program

def decode(value):
    if isinstance(value, list):
        return [decode(part) for part in value]
    if not isinstance(value, dict):
        return value
    (kind, parts), = value.items()
    if kind == "bytes":
        return bytes.fromhex(parts)
    if kind == "tuple":
        return tuple(decode(part) for part in parts)
    if kind == "dict":
        return {decode(key): decode(part) for key, part in parts}
    raise ValueError(kind)


def unpack(code, message):
    """(words, traceback, details or None)"""
    length = min(abs(code), len(message))
    words, rest = message[:length], message[length:].lstrip("\n")
    details = None
    if code < 0:
        rest, _, line = rest.rpartition("\n\n")
        try:
            import json

            details = json.loads(line) if len(line) <= MESSAGE_MAX else None
        except (ValueError, RecursionError):
            pass
        if not isinstance(details, dict):
            details = None
    return words, rest, details


def get_names(thing):
    """What a module or a class has, without anything that could be computed, or loaded, when it is asked for."""
    if issubclass(type(thing), type):
        return type.__dict__["__dict__"].__get__(thing)
    return object.__getattribute__(thing, "__dict__") if issubclass(type(thing), type(sys)) else {}


def find_class(module, name, registered):
    """The class of that name, if it is there already: nothing is imported on a worker's word."""
    found = registered.get(f"{module}.{name}")
    if found is not None or module == "__main__":
        return found
    found = sys.modules.get(module)
    for part in name.split("."):
        found = get_names(found).get(part)
    return found if is_exception(found) else None
