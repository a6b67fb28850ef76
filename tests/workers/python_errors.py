# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exceptions of every kind, for test-python-errors."""
import builtins
import json

import afrpc


class Unlucky(LookupError):
    """Its arguments are not those that it is made with."""

    def __init__(self, path, line):
        super().__init__(f"{path}:{line}")
        self.path = path
        self.line = line
        self.unsendable = object()


class Hidden(ValueError):
    pass


class Odd(Exception):
    @property
    def domain(self):
        raise ValueError("no")


class Shop(Exception):
    """Has what others mean by the names of a GLib.Error, and of an Afrpc.RemoteError."""

    def __init__(self, code, message):
        super().__init__(code, message)
        self.code, self.message = code, message
        self.started = self.text = self.type_name = self.traceback = self.matches = self.copy = code


class OwnMethods(Exception):
    domain = "shop"

    def code(self):
        return self.args[0]

    @property
    def message(self):
        return f"code {self.args[0]}"

    text = "of the class"


class Asking(Exception):
    """Hands on what it does not have itself."""

    def __init__(self, words, response):
        super().__init__(words)
        self.response = response

    def __getattr__(self, name):
        return getattr(self.response, name)


class AskingAll(Asking):
    def __getattr__(self, name):
        return self.__dict__["file"][name]


class OfTheSystem(OSError):
    """Does not let the class of Python itself have its arguments."""

    def __init__(self, number, place):
        self.errno, self.filename, self.place = number, place, place


class OfSyntax(SyntaxError):
    def __init__(self, words, where):
        self.where = where


class Slotted(Exception):
    __slots__ = ("value", "unset", "unsendable", "__own", "started")

    def __init__(self, value):
        super().__init__("slotted")
        self.value = self.__own = value
        self.started = "its own"
        self.unsendable = {1}


class OfAKey(KeyError, OSError):
    """The first has the arguments, the second has files."""

    def __init__(self, number, place):
        OSError.__init__(self, number, "words", place)


class Saying:
    code = property(lambda self: self.args[0])
    text = "late"

    def copy(self):
        return self.args[0]


class Late(RuntimeError, Saying):
    pass


class Unspeakable(KeyError):
    args = property(lambda self: 1 / 0)


def make_pair(first, second):
    name = f"{first}_{second}"
    globals()[name] = type(name, tuple(vars(builtins)[base] for base in (first, second)), {"__module__": __name__})
    return globals()[name]


def raise_it(code):
    exec(code, globals())


def make_up(message, code):
    """What no worker would send that is as it should be."""
    raise afrpc.Error(message, "python-exception", code)


def make_up_details(details):
    words = "ValueError: made up"
    raise afrpc.Error(f"{words}\n\nTraceback\n\n{json.dumps(details)}", "python-exception", -len(words))
