#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events in loops, and what a worker logs."""
import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib  # noqa: E402

from afrpc import Executor, aio  # noqa: E402
from python_calls import CODE, make  # noqa: E402


class Events(unittest.TestCase):
    def test_limit(self):
        async def main():
            got = []
            async with make("tell") as proxy:
                events = proxy.events(limit=3)
                for i in range(5):
                    await proxy(i)
                with self.assertRaisesRegex(RuntimeError, "more events than 3 waited"):
                    async for event in events:
                        got.append(event)
            self.assertEqual(got, [0, 1, 2])

        aio.run(main())

    def test_two_tasks(self):
        """Each event comes to one of those that wait, also when another one of them was cancelled."""
        async def main():
            async with make("tell") as proxy:
                events = proxy.events()
                first, second, third = (asyncio.ensure_future(anext(events)) for _ in range(3))
                await asyncio.sleep(0)
                first.cancel()
                await asyncio.wait([first])
                self.assertFalse(second.done())
                await proxy(1)
                self.assertEqual(await second, 1)
                # Cancelled when it has been woken, and has not run yet.
                third.cancel()
                fourth = asyncio.ensure_future(anext(events))
                await asyncio.wait([third])
                await proxy(2)
                self.assertEqual(await fourth, 2)
                left = [asyncio.ensure_future(anext(events, "end")) for _ in range(2)]
                await asyncio.sleep(0)
                events.close()
                self.assertEqual(await asyncio.gather(*left), ["end", "end"])

        for run in asyncio.run, aio.run:
            run(main())

    def test_worker_dies(self):
        """What ended it is raised where there are no more events, once."""
        async def main():
            proxy = make("leave")
            events, seen = proxy.events(), []
            call = proxy()
            with self.assertRaises(Afrpc.WorkerDied) as caught:
                async for event in events:
                    seen.append(event)
            self.assertEqual(seen, ["last words"])
            self.assertIn("status 3", str(caught.exception))
            self.assertEqual(await anext(events, "end"), "end")
            self.assertEqual(await anext(proxy.events(), "end"), "end")
            with self.assertRaises(Afrpc.WorkerDied):
                await call

        aio.run(main())

    def test_cancelled_when_woken(self):
        async def main():
            async with make("tell") as proxy:
                events = proxy.events()
                first, second = (asyncio.ensure_future(anext(events)) for _ in range(2))
                await asyncio.sleep(0)
                proxy.connect("event", lambda *args: first.cancel())  # after the one of events
                await proxy(5)
                self.assertEqual(await second, 5)
                with self.assertRaises(asyncio.CancelledError):
                    await first

        aio.run(main())


class Log(unittest.TestCase):
    CODE = """
import logging
log = logging.getLogger("afrpc-test.deep.unheard-of")
def work(text):
    log.debug("%s: debug", text)
    log.warning("%s: warning", text)
    try: 1 / 0
    except ZeroDivisionError: log.exception("%s: failed", text)
    afrpc.event("an event")
    log.log(35, "between")
def odd():
    import threading
    odd, thread = "nul\\0, half \\udcff", threading.current_thread()
    log.error("found %s", odd)
    try: raise OSError(odd)
    except OSError: log.exception("failed", stack_info=True)
    logging.getLogger("afrpc-test.deep." + odd).error("by name")
    name, thread.name = thread.name, odd
    exec(compile("log.error('by place')", "file \\udcff", "exec"), globals())
    thread.name = name
def shift():
    made = logging.LogRecord("afrpc-test.deep", 40, "/some/where.py", 5, "made", (), None)
    made.created, made.msecs = 1000000000.25, 250.0
    log.handle(made)
class Odd:
    def __init__(self, text): self.text = text
    def __str__(self): return self.text + ""
def extra():
    log.error("extra", extra={"user": "anna", "n": 5, "ratio": 0.5, "ok": True, "none": None, "big": 1 << 70, "nan": float("nan"),
                              "list": [1, "a"], "half": "nul\\0 \\udcff", "lone \\udcff": Odd("x" * 100000), "failing": Odd(None), 5: 6})
    log.error("many", extra={f"m{i}": i for i in range(1000)})
def lie():
    afrpc.event(afrpc.Tagged("afrpc.log", {"name": 5, "levelno": "x", "msg": "a lie", "created": float("nan"), "extra": {
        "getMessage": 5, "msg": "another", "args": 5, "exc_info": 5, "__class__": 5, "list": [5], "there": 5}}))
    afrpc.event(afrpc.Tagged("afrpc.log", {"msg": "a lie", "created": 1e300, "extra": 5}))
    afrpc.event(afrpc.Tagged("afrpc.log", "nothing"))
    for i in range(100): logging.getLogger(f"made.up.{i}").error("made up")
"""

    def collect(self, function, *args, **properties):
        events = []
        records = []
        process = Afrpc.Process.new_exec("python").eval("import afrpc").eval(self.CODE).set_stderr(Afrpc.Stdio.CAPTURE)
        proxy = Afrpc.Proxy(process=process, function=function, on_event=events.append, **properties)
        logger = logging.getLogger("afrpc-test.deep")
        logger.propagate = False
        handler = logging.Handler()
        handler.emit = lambda record: records.append((record, len(events)))
        for place in logger, logging.getLogger():
            place.addHandler(handler)
            self.addCleanup(place.removeHandler, handler)

        async def main():
            async with proxy:
                await proxy(*args)

        aio.run(main())
        return events, records

    def test_records(self):
        logging.getLogger("afrpc-test.deep").setLevel(logging.DEBUG)
        events, records = self.collect("work", "x", log=logging.DEBUG)
        self.assertEqual(events, ["an event"])
        self.assertEqual([(record.name, record.levelname, record.getMessage(), n) for record, n in records], [
            ("afrpc-test.deep.unheard-of", "DEBUG", "x: debug", 0), ("afrpc-test.deep.unheard-of", "WARNING", "x: warning", 0),
            ("afrpc-test.deep.unheard-of", "ERROR", "x: failed", 0), ("afrpc-test.deep.unheard-of", "Level 35", "between", 1)])
        self.assertIn("ZeroDivisionError", logging.Formatter().format(records[2][0]))
        self.assertNotEqual(records[0][0].process, os.getpid())
        self.assertEqual(records[0][0].funcName, "work")
        self.assertNotIn("afrpc-test.deep.unheard-of", logging.Logger.manager.loggerDict)

    def test_levels(self):
        logging.getLogger("afrpc-test.deep").setLevel(logging.DEBUG)
        events, records = self.collect("work", "x", log=True)  # the root logger's: WARNING
        self.assertEqual([record.levelno for record, n in records], [30, 40, 35])
        events, records = self.collect("work", "x")
        self.assertEqual((len(events), records), (1, []))

    def test_log_of_templates(self):
        """Workers of each process that a pool gets send their log, once."""
        def make_process():
            return Afrpc.Process.new_exec("python").eval("import logging\ndef work(text): logging.warning(text)")

        records = []
        handler = logging.Handler()
        handler.emit = lambda record: records.append(record.getMessage())
        logging.getLogger().addHandler(handler)
        self.addCleanup(logging.getLogger().removeHandler, handler)
        first, second, third = (make_process() for _ in range(3))
        with Afrpc.Pool(process=first, function="work", log=True, max_workers=1) as pool:
            pool.invoke_sync("first")
            pool.add_template(second)
            pool.remove_template(first)
            pool.invoke_sync("second")
            pool.refresh(third)
            pool.invoke_sync("third")
            pool.refresh(third)
            pool.invoke_sync("again")
        pool.close_sync()
        self.assertEqual(records, ["first", "second", "third", "again"])

    def test_no_levels(self):
        """What is no level is said where it is given."""
        for log, error in ("nope", ValueError), (3.5, TypeError), ([], TypeError):
            with self.subTest(log=log):
                with self.assertRaises(error):
                    Afrpc.Proxy(process=Afrpc.Process.new_exec("python"), function="work", log=log)
                with self.assertRaises(error):
                    Executor(log=log)

    def test_making_a_loop(self):
        """What asyncio logs while the loop of an async worker is made is a line of standard error, not an error of logging."""
        process = Afrpc.Process.new_exec("python").eval("import afrpc\nasync def work(): return 1").set_stderr(Afrpc.Stdio.CAPTURE)

        async def main():
            async with Afrpc.Proxy(process=process, function="work", backend=Afrpc.Backend.ASYNC, log=logging.DEBUG) as proxy:
                self.assertEqual(await proxy(), 1)
                await proxy.close_async()

        handler = logging.NullHandler()
        logging.getLogger().addHandler(handler)
        self.addCleanup(logging.getLogger().removeHandler, handler)
        exits = []
        process.connect("exited", lambda process, exit: exits.append(exit))
        aio.run(main())
        while not exits:
            GLib.MainContext.default().iteration(True)
        said = exits[0].get_stderr() or ""
        self.assertNotIn("Logging error", said)
        self.assertNotIn("Traceback", said)

    def test_own_handlers(self):
        """What cannot be sent goes to the handlers of the worker's own, and is printed where there are none."""
        code = """
import logging, threading
logging.getLogger("silent").addHandler(logging.NullHandler())
def init(): logging.getLogger("silent").error("at first")
def work():
    logging.error("in a call")
    thread = threading.Thread(target=logging.error, args=("in a thread",))
    thread.start()
    thread.join()
"""
        handler = logging.Handler()
        handler.emit = lambda record: records.append(record.getMessage())
        logging.getLogger().addHandler(handler)
        self.addCleanup(logging.getLogger().removeHandler, handler)
        for more, lines in (("", ["ERROR:silent:at first", "ERROR:root:in a thread"]),
                            ("logging.basicConfig(format='own %(message)s')", ["own at first", "own in a call", "own in a thread"])):
            records, exits = [], []
            process = Afrpc.Process.new_exec("python").eval(code + more).set_stderr(Afrpc.Stdio.CAPTURE)
            process.connect("exited", lambda process, exit: exits.append(exit))
            proxy = Afrpc.Proxy(process=process, function="work", init="init", log=True)
            proxy.invoke_sync()
            proxy.close_sync()
            while not exits:
                GLib.MainContext.default().iteration(True)
            self.assertEqual(exits[0].get_stderr().splitlines(), lines)
            self.assertEqual(records, ["in a call"])

    def test_odd_characters(self):
        """What cannot be sent, of names of files that are no UTF-8, say, is written as an escape."""
        told = r"nul\x00, half \udcff"
        events, records = self.collect("odd", log=True)
        self.assertEqual([record.getMessage() for record, n in records], [f"found {told}", "failed", "by name", "by place"])
        found, failed, by_name, by_place = (record for record, n in records)
        self.assertIn(f"OSError: {told}", failed.exc_text)
        self.assertEqual((by_name.name, by_place.threadName, by_place.pathname),
                         (f"afrpc-test.deep.{told}", told, r"file \udcff"))

    def test_places(self):
        """What a record derives from its time and its file is of those, and not of the moment when the program made it."""
        for serialiser in None, "json":
            events, records = self.collect("shift", log=True, serialiser=serialiser)
            [(record, n)] = records
            self.assertEqual((record.created, record.msecs), (1000000000.25, 250.0))
            fresh = logging.makeLogRecord({})
            self.assertAlmostEqual(record.relativeCreated - fresh.relativeCreated, (record.created - fresh.created) * 1000, 0)
            self.assertEqual((record.pathname, record.filename, record.module), ("/some/where.py", "where.py", "where"))
            self.assertIsNone(record.taskName)

    def test_extra(self):
        text = r"nul\x00 \udcff"
        for serialiser in None, "json", "unsafe-pickle":
            with self.subTest(serialiser=serialiser):
                events, records = self.collect("extra", log=True, serialiser=serialiser)
                (one, n), (many, n) = records
                self.assertEqual(logging.Formatter("%(user)s: %(message)s").format(one), "anna: extra")
                self.assertEqual((one.n, one.ratio, one.ok, one.none, one.big, one.list, one.half),
                                 (5, 0.5, True, None, str(1 << 70), "[1, 'a']", text))
                self.assertNotEqual(one.nan, one.nan)
                self.assertEqual(vars(one)[r"lone \udcff"], "x" * 16384)
                self.assertIn("cannot be had", one.failing)
                self.assertEqual((many.m255, hasattr(many, "m256")), (255, False))

    def test_lies(self):
        before = set(logging.Logger.manager.loggerDict)
        events, records = self.collect("lie", log=True)
        self.assertEqual(events, [])
        self.assertEqual([record.getMessage() for record, n in records], ["a lie", "a lie", ""] + ["made up"] * 100)
        first = records[0][0]
        self.assertEqual((first.there, first.args, first.exc_info, hasattr(first, "list")), (5, (), None, False))
        self.assertAlmostEqual(first.created, time.time(), -2)
        self.assertIsInstance(first, logging.LogRecord)
        self.assertEqual(set(logging.Logger.manager.loggerDict) - {"afrpc-test", "afrpc-test.deep"},
                         before - {"afrpc-test", "afrpc-test.deep"})


class LogWithoutLoop(unittest.TestCase):
    """At the end of what blocks, there is what workers have logged until then; events wait for a main loop, as ever."""
    CODE = """
import logging, afrpc
log = logging.getLogger("afrpc-test.deep")
def work(text):
    afrpc.event("an event")
    afrpc.event({"afrpc.log": "no record"})
    log.warning("%s: first", text)
    log.warning("%s: second", text)
    if text == "fail": raise KeyError(text)
    return text
def bye(): log.warning("bye")
"""

    def setUp(self):
        self.records = []
        logger, handler = logging.getLogger("afrpc-test.deep"), logging.Handler()
        handler.emit = lambda record: self.records.append(record.getMessage())
        logger.propagate = False
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)

    def make(self, cls, **properties):
        process = Afrpc.Process.new_exec("python").eval(self.CODE).set_stderr(Afrpc.Stdio.CAPTURE)
        self.events = []
        return cls(process=process, function="work", done="bye", log=True, on_event=self.events.append, **properties)

    def take(self):
        records, self.records[:] = list(self.records), []
        return records

    def test_proxy(self):
        for serialiser in None, "json", "unsafe-pickle":
            with self.subTest(serialiser=serialiser):
                proxy = self.make(Afrpc.Proxy, serialiser=serialiser)
                self.assertEqual(proxy.invoke_sync("a"), "a")
                self.assertEqual(self.take(), ["a: first", "a: second"])
                with self.assertRaises(KeyError):
                    proxy.invoke_sync("fail")
                self.assertEqual(self.take(), ["fail: first", "fail: second"])
                n_calls = 2
                if serialiser is None:
                    args = GLib.Variant("(s)", ("b",))
                    for call in (lambda: proxy.call_sync(args), lambda: proxy.call_full_sync(args),
                                 lambda: proxy.start(args).wait_sync()):
                        call()
                        self.assertEqual(self.take(), ["b: first", "b: second"])
                        n_calls += 1
                # What only has the words of a record in it is an event all the same, of which nothing is lost.
                self.assertNotIn("an event", self.events)
                last = proxy("c")
                proxy.close_sync()
                self.assertEqual(self.take(), ["c: first", "c: second", "bye"])
                while not last.done():
                    GLib.MainContext.default().iteration(True)
                events = ["an event", {"afrpc.log": "no record"}] * (n_calls + 1)
                self.assertEqual(sorted(self.events, key=str), sorted(events, key=str))
                self.assertEqual(self.take(), [])

    def test_pool(self):
        pool = self.make(Afrpc.Pool, max_workers=2)
        self.assertEqual(pool.invoke_sync("a"), "a")
        self.assertEqual(self.take(), ["a: first", "a: second"])
        pool.invoke_all_sync("b")
        self.assertEqual(self.take(), ["b: first", "b: second"] * pool.get_n_workers())
        self.assertEqual(list(pool.map(["c", "d"])), ["c", "d"])
        n_workers = pool.get_n_workers()
        pool.close_sync()
        self.assertEqual(sorted(self.take()), [*["bye"] * n_workers, "c: first", "c: second", "d: first", "d: second"])


class Ends(unittest.TestCase):
    """What loops over events end with."""

    def test_proxy(self):
        async def main(proxy, function):
            events = proxy.events()
            await proxy(1)
            if function is None:
                os.kill(proxy.get_process().get_pid(), signal.SIGKILL)
            else:
                with self.assertRaises(Afrpc.WorkerDied):
                    await proxy(function=function)
            got = []
            with self.assertRaises(Afrpc.WorkerDied) as raised:
                async for event in events:
                    got.append(event)
            return got, raised.exception

        for function, said, how in (None, [], "signal 9"), ("leave", ["last words"], "status 3"):
            proxy = make("tell")
            got, error = aio.run(main(proxy, function))
            self.assertEqual(got, [1, *said])
            self.assertIs(error.process, proxy.get_process())
            self.assertIn(how, str(error))

    def test_pool(self):
        async def main():
            process = Afrpc.Process.new_exec("python").eval(CODE).set_stderr(Afrpc.Stdio.CAPTURE)
            pool = Afrpc.Pool(process=process, function="tell", max_workers=1)
            events = pool.events()
            await pool(1)
            with self.assertRaises(Afrpc.WorkerDied):
                await pool(function="leave")
            await pool(2)
            pool.close()
            return [event async for event in events]

        self.assertEqual(aio.run(main()), [1, "last words", 2])


class Errors(unittest.TestCase):
    """What ends a worker is no event of its functions: it is a warning if no call has got it."""
    PROGRAM = """
import os, signal, sys
import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc
from afrpc import aio

def got(event):
    print("event", event)

async def main(how, when):
    process = Afrpc.Process.new_exec("python").eval("def work(n):\\n while n: pass")
    proxy = Afrpc.Proxy(process=process, function="work", log="log" in how, on_event=got if "on_event" in how else None)
    await proxy(0)
    call = proxy(1) if when == "busy" else None
    os.kill(process.get_pid(), signal.SIGKILL)
    await process.wait_async()
    if call is not None:
        try:
            await call
        except (Afrpc.WorkerDied, Afrpc.NotStarted):
            print("told")

aio.run(main(*sys.argv[1:]))
"""

    def test_no_events(self):
        for how in "on_event", "log", "on_event, log":
            for when in "idle", "busy":
                with self.subTest(how=how, when=when):
                    done = subprocess.run([sys.executable, "-c", self.PROGRAM, how, when], capture_output=True, text=True)
                    self.assertEqual((done.returncode, done.stdout), (0, "told\n" if when == "busy" else ""), done.stderr)
                    self.assertEqual("killed by signal 9" in done.stderr, when == "idle", done.stderr)


if __name__ == "__main__":
    unittest.main()
