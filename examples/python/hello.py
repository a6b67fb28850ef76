#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls one function in a worker."""
import os

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc
from afrpc import aio

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hello_worker.py")


async def main():
    process = Afrpc.Process.new_exec("python").require(WORKER)
    async with Afrpc.Proxy(process=process, function="hello") as proxy:
        print(await proxy("world"))


aio.run(main())
