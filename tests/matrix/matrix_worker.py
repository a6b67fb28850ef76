# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worker in Python. What each of its kind does is said in cases.txt."""
import asyncio
import os
import sys

import afrpc


def act(what, value):
    if what == "echo":
        return value
    if what == "events":
        for i in range(value):
            afrpc.event(str(i))
        return "sent"
    if what == "exit":
        sys.exit(value)
    if what == "fail":
        raise ValueError(value)

    afrpc.event("waiting")
    # A function of the sync backend has no other way to know.
    while not afrpc.is_cancelled():
        os.sched_yield()
    return "waited"


async def act_async(what, value):
    if what != "wait":
        return act(what, value)

    afrpc.event("waiting")
    await asyncio.Event().wait() # until this is cancelled
