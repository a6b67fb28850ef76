#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program of the page "Python"."""
import asyncio
import os

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib
from afrpc import aio

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tour_worker.py")


def new_proxy(function, **properties):
    process = Afrpc.Process.new_exec("python").require(WORKER)
    return Afrpc.Proxy(process=process, function=function, **properties)


async def values():
    async with new_proxy("show") as proxy:
        print(await proxy(1, 1.5, "x", True, None, b"\1", (1, "a"), [1], {"a": 1}))


async def options():
    async with new_proxy("search", on_event=print) as proxy:
        found = await proxy("a banana", "an", signature="(ss)")
        print(found)

        await proxy("a banana", "na", on_progress=lambda place: print("found at", place))

        call = proxy("a banana", "x", callback=lambda call: print("called back:", call.result()))
        await call


async def many():
    async with new_proxy("rest", backend=Afrpc.Backend.ASYNC) as proxy:
        print(await asyncio.gather(proxy(0.02), proxy(0.01)))

        try:
            async with asyncio.timeout(0.01):
                await proxy(60.0)
        except TimeoutError:
            print("too late")


async def events():
    proxy = new_proxy("search")
    searched = proxy.events()
    proxy("a banana", "an")
    proxy.close()
    async for event in searched:
        print(event)


async def errors():
    async with new_proxy("fail") as proxy:
        try:
            await proxy()
        except Afrpc.RemoteError as error:
            print(error.type_name, "|", error.text)
            print(error.traceback.splitlines()[0])
            print(error.matches(Afrpc.error_quark(), Afrpc.Error.REMOTE))

        try:
            await proxy()
        except ValueError as error:
            print(f"{error!r}, {error.args}")

        try:
            await proxy({1, 2})
        except TypeError as error:
            print(error)


async def preparing():
    template = Afrpc.Process.new_exec("python").require(WORKER).send_arg("Good morning")
    for name in "Anna", "Bert":
        async with Afrpc.Proxy(process=template.fork(), function="greet", init="load") as proxy:
            print(await proxy(name))


def greet_in_thread(name):
    context = GLib.MainContext.new()
    context.push_thread_default()
    try:
        proxy = new_proxy("greet")
        greeting = proxy.invoke_sync(name)
        proxy.close_sync()
        return greeting
    finally:
        context.pop_thread_default()


async def main():
    for part in values, options, many, events, errors, preparing:
        await part()
    async with new_proxy("count") as proxy:
        print(await proxy())
    async with new_proxy("ring", backend=Afrpc.Backend.ASYNC) as proxy:
        print(await proxy(0.01))
    print(await asyncio.to_thread(greet_in_thread, "thread"))


aio.run(main())

# Without a loop
proxy = new_proxy("greet")
print(proxy.invoke_sync("everybody"))
proxy.close()

# In a main loop of GLib, as that of a GTK application
loop = GLib.MainLoop()


async def in_main_loop():
    try:
        async with new_proxy("greet") as proxy:
            print(await proxy("main loop"))
    finally:
        loop.quit()


task = aio.create_task(in_main_loop())
loop.run()
