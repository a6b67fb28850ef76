# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worker of bench-afrpc-python."""
import afrpc


def echo(text):
    return text


async def echo_async(text):
    return text


def emit(n):
    for i in range(int(n)):
        afrpc.event(f'{i:016d}')
    return n


def double(numbers):
    if numbers is None:
        import numpy  # noqa: F401
        return None
    return numbers * 2


def double_buffer(size):
    import numpy
    if size is None:
        return None
    given = afrpc.Buffer.new_take_fd(afrpc.steal_call_fd(0), size)
    made = afrpc.Buffer(size)
    numpy.multiply(numpy.frombuffer(given), 2, out=numpy.frombuffer(made))
    made.seal()
    return afrpc.Variant('h', afrpc.append_result_fd(made))
