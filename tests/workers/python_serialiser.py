# SPDX-License-Identifier: LGPL-2.1-or-later
"""A serialiser in Python, for the tests: the same as in odd-serialiser.c; and functions of a worker with it."""
import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib, GObject  # noqa: E402


class Odd(GObject.Object, Afrpc.Serialiser):
    """Misbehaves, for values of the type (sss), as they say: what to do, in which function, and where."""

    def __init__(self, side, name="odd"):
        super().__init__()
        self.side = side
        self.name = name
        self.n_calls = 0

    def do_dup_name(self):
        return self.name

    def act(self, function, value):
        self.n_calls += 1
        if value.get_type_string() != "(sss)":
            return None
        trick, where, side = value.unpack()
        if (where, side) != (function, self.side):
            return None
        if trick == "error":
            raise GLib.Error("no ink left", "g-file-error-quark", 12)
        if trick == "exception":
            raise ValueError("as Python has them")
        return trick

    def do_serialise(self, value):
        trick = self.act("serialise", value)
        if trick == "none":
            return None
        if trick == "type":
            return "not bytes"
        return GLib.Bytes.new(bytes(255 - byte for byte in value.print_(True).encode()))

    def do_deserialise(self, data):
        text = bytes(255 - byte for byte in data.get_data()).decode()
        value = GLib.Variant.parse(None, text, None, None)
        trick = self.act("deserialise", value)
        if trick == "none":
            return None
        return 7 if trick == "type" else value


def register():
    Odd("worker").register()


def echo(*args):
    return args


async def echo_later(*args):
    return args
