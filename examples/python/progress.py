#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shows the events of a worker while its function computes."""
import asyncio
import os

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc
from afrpc import aio

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "progress_worker.py")
LIMIT = 100000


async def show_events(events):
    async for percent in events:
        print(percent, "%")


async def main():
    process = Afrpc.Process.new_exec("python").require(WORKER)
    async with Afrpc.Proxy(process=process, function="count_primes") as proxy:
        shown = asyncio.create_task(show_events(proxy.events()))
        print(await proxy(LIMIT), "primes below", LIMIT)
    await shown


aio.run(main())
