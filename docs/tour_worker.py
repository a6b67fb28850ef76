# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worker of the page "Python"."""
import asyncio

import afrpc

greeting = "Hello"


def search(text, word):
    """Where a word is in a text."""
    found = []
    place = text.find(word)
    while place >= 0 and not afrpc.is_cancelled():
        found.append(place)
        afrpc.progress(place)
        place = text.find(word, place + 1)
    afrpc.event(f"searched for {word}")
    return found


def show(*values):
    return [type(value).__name__ for value in values]


def count():
    return afrpc.Variant("u", 5)


def fail():
    raise ValueError("not today")


async def rest(seconds):
    await asyncio.sleep(seconds)
    return "rested"


def ring(invocation, seconds):
    timer = asyncio.get_running_loop().call_later(seconds, invocation.return_value, "rang")
    invocation.on_cancel(timer.cancel)


def load(first_word):
    global greeting
    greeting = first_word


def greet(name):
    return f"{greeting}, {name}!"
