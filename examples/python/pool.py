#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls a function in as many workers as are needed."""
import asyncio
import os

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc
from afrpc import aio

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hello_worker.py")


async def main():
    process = Afrpc.Process.new_exec("python").require(WORKER)
    async with Afrpc.Pool(process=process, function="hello", max_workers=2) as pool:
        print(await asyncio.gather(*(pool(name) for name in ("Anna", "Bert", "world"))))


aio.run(main())
