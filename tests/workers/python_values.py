# SPDX-License-Identifier: LGPL-2.1-or-later
"""Functions for the tests of values of Python."""
import array
import sys

import afrpc


def one(arg):
    return arg


def kind(arg):
    return type(arg).__name__


def kind_with_numpy(arg):
    import numpy  # noqa: F401
    return type(arg).__name__


def has_numpy():
    return "numpy" in sys.modules


def multiply(values, by):
    return values * by


def view(arg):
    return [arg.format, list(arg.shape), arg.readonly, arg.tolist()]


def send(arg):
    afrpc.event(arg)
    afrpc.progress(arg)


def change_hooks(which):
    afrpc.set_hooks(**{"none": {}, "repr": {"default": repr},
                       "tags": {"hook": lambda tag, value: [tag, value]},
                       "arrays": {"arrays": lambda memory: afrpc.Tagged(memory.format, memory.tolist())},
                       "bad": {"hook": lambda tag, value: 1 // 0}}[which])


def unsendable():
    return [1, {"a": object()}]


def read_buffer(handle, size, flags):
    buffer = afrpc.Buffer.new_take_fd(afrpc.steal_call_fd(handle), size, flags)
    return len(buffer), sum(memoryview(buffer)), buffer.is_sealed()


def refuse_buffer(handle, size):
    try:
        afrpc.Buffer.new_take_fd(afrpc.steal_call_fd(handle), size)
    except afrpc.Error as error:
        return error.domain, error.code, error.message


def make_buffer(size, flags):
    buffer = afrpc.Buffer(size, flags)
    numbers = memoryview(buffer).cast("d")
    numbers[0] = 1.5
    numbers[size // 8 - 1] = 2.5
    del numbers
    buffer.write(8, array.array("d", [7.0]))
    buffer.seal()
    return afrpc.Variant("h", afrpc.append_result_fd(buffer))
