#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One file that holds its worker's code as well. Three countdowns run in one worker at the same time;
the one that was started last is the first to finish.

usage: countdown.py [MILLISECONDS]
"""
import asyncio
import sys

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc
from afrpc import aio

STEP_MS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000

CODE = """
import asyncio
import afrpc

step_ms, = args


async def run(count):
    afrpc.event(f"starting to count up to {count}")
    for i in range(1, count + 1):
        await asyncio.sleep(step_ms / 1000)
        afrpc.event(f"count {i} of {count}")
"""


async def job(proxy, count):
    await proxy(count)
    print("job", count, "finished")


async def main():
    process = Afrpc.Process.new_exec("python").eval(CODE, STEP_MS)
    async with Afrpc.Proxy(process=process, function="run", backend=Afrpc.Backend.ASYNC,
                           on_event=print) as proxy:
        await asyncio.gather(job(proxy, 3), job(proxy, 2), job(proxy, 1))


aio.run(main())
