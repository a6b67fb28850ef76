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
