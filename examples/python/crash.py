#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Goes on after the death of a worker: the job that killed it is lost, those behind it are done by
another."""
import asyncio
import os

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib
from afrpc import aio

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "crash_worker.py")

proxy = None


def get_proxy():
    global proxy
    if proxy is None or proxy.is_closed():
        process = Afrpc.Process.new_exec("python").require(WORKER)
        proxy = Afrpc.Proxy(process=process, function="work")
        proxy.connect("error", lambda proxy, error: None)  # each call tells what became of it
    return proxy


async def run(job, tries_left=5):
    while True:
        try:
            return await get_proxy()(job)
        except GLib.Error as error:
            if error.matches(Afrpc.error_quark(), Afrpc.Error.NOT_STARTED) and tries_left > 0:
                tries_left -= 1
                continue
            if error.matches(Afrpc.error_quark(), Afrpc.Error.DIED):
                return f"job {job} is lost: {error.message}"
            raise


async def main():
    for result in await asyncio.gather(*map(run, range(1, 5))):
        print(result)
    await get_proxy().close_async()


aio.run(main())
