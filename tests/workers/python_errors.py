# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exceptions of every kind, for test-python-errors."""
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


def raise_it(code):
    exec(code, globals())


def make_up(message, code):
    """What no worker would send that is as it should be."""
    raise afrpc.Error(message, "python-exception", code)


def make_up_details(details):
    words = "ValueError: made up"
    raise afrpc.Error(f"{words}\n\nTraceback\n\n{json.dumps(details)}", "python-exception", -len(words))
