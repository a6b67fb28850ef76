#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The serialiser "unsafe-pickle": any value that can be pickled, between programs and workers in Python."""
import array
import datetime
import decimal
import functools
import logging
import os
import pickle
import threading
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib  # noqa: E402

import afrpc.aio  # noqa: E402

C_WORKER = os.environ["AFRPC_TEST_WORKER"]
CODE = """
import asyncio, datetime, logging
import afrpc

def echo(*args, **keywords):
    return args, keywords

def tell(value):
    afrpc.progress({value})
    afrpc.event((value, {value}))
    logging.getLogger().warning("told %s", value)
    return [value]

def unsendable():
    return lambda: 0

def add_one(values):
    values[0] += 1
    return values

def look(rows):
    return [(bytes(row), memoryview(row).readonly) for row in rows]

def get_prepared():
    return afrpc.get_args(), afrpc.get_metadata(), args

def fail():
    raise ValueError(1)

async def later(value):
    await asyncio.sleep(0)
    afrpc.progress({value})
    return {value}

def answer(invocation, value):
    invocation.progress({value})
    invocation.return_value({value})
"""


def make(function, *, code=CODE, **properties):
    process = Afrpc.Process.new_exec("python").eval(code, 1, [2]).send_arg("prepared")
    proxy = Afrpc.Proxy(process=process, function=function, serialiser="unsafe-pickle", **properties)
    proxy.connect("error", lambda proxy, error: None)
    return proxy


class Counted:
    """A value that counts how often it is made."""
    n = 0

    def __init__(self):
        Counted.n += 1


class OutOfBand:
    """A value whose buffers are of any kind."""

    def __init__(self, buffers):
        self.buffers = buffers

    def __reduce_ex__(self, protocol):
        return list, ([pickle.PickleBuffer(buffer) for buffer in self.buffers],)


class Pickles(unittest.TestCase):
    def test_values(self):
        proxy = make("echo")
        for value in ({1, "a"}, 1 << 100, datetime.date(2020, 1, 1), decimal.Decimal("1.5"), 3 + 4j, {(1, 2): None},
                      "\0\ud800", b"", (), [1, (2,)], functools.partial(pow, 2).func, ValueError, range(5)):
            self.assertEqual(proxy.invoke_sync(value), ((value,), {}))
        self.assertEqual(proxy.invoke_sync(), ((), {}))
        self.assertEqual(proxy.invoke_sync(*range(40)), (tuple(range(40)), {}))
        self.assertEqual(proxy.call_kw_sync({1}, x={2}), (({1},), {"x": {2}}))
        self.assertEqual(proxy.props.serialiser.get_name(), "unsafe-pickle")

    def test_buffers(self):
        proxy = make("look")
        rows = [bytearray(range(100)), b"x" * 5000, bytearray(), memoryview(b"abc"), array.array("d", [1.5])]
        # What could be written to can be, and nothing else
        self.assertEqual(proxy.invoke_sync(OutOfBand(rows)), [(bytes(row), memoryview(row).readonly) for row in rows])
        with self.assertRaises((BufferError, pickle.PicklingError)):
            proxy.invoke_sync(OutOfBand([memoryview(bytearray(10))[::2]]))
        big = bytearray(b"y") * (5 << 20)
        self.assertEqual(proxy.invoke_sync(OutOfBand([big, bytes(big)])), [(big, False), (big, True)])
        self.assertEqual(make("echo").invoke_sync(b"z" * (5 << 20))[0][0], b"z" * (5 << 20))
        self.assertEqual(make("add_one").invoke_sync(array.array("i", [1, 2])), array.array("i", [2, 2]))

    def test_events_and_progress(self):
        async def main():
            events, progress = [], []
            proxy = make("tell", on_event=events.append, log=True)
            with self.assertLogs(level=logging.WARNING) as logs:
                async with proxy:
                    self.assertEqual(await proxy(5, on_progress=progress.append), [5])
            self.assertEqual((events, progress), ([(5, {5})], [{5}]))
            self.assertEqual(logs.output, ["WARNING:root:told 5"])
            for function in "later", "answer":
                progress.clear()
                async with make(function, backend=Afrpc.Backend.ASYNC) as proxy:
                    self.assertEqual(await proxy(5, on_progress=progress.append), {5})
                self.assertEqual(progress, [{5}])

        afrpc.aio.run(main())

    def test_event_is_unpickled_once(self):
        """By each who is told of it: here who takes the log, and who takes events."""
        code = """
import afrpc

class Counted:
    def __reduce__(self):
        return Counted, ()

def tell():
    afrpc.event(Counted())
"""

        async def main():
            events, before = [], Counted.n
            async with make("tell", code=code, on_event=events.append, log=True) as proxy:
                await proxy()
            self.assertIsInstance(events[0], Counted)
            self.assertEqual((len(events), Counted.n - before), (1, 2))

        afrpc.aio.run(main())

    def test_pool(self):
        process = Afrpc.Process.new_exec("python").eval(CODE)
        with Afrpc.Pool(process=process, function="echo", serialiser="unsafe-pickle", max_workers=1) as pool:
            self.assertEqual(pool.invoke_sync({1}), (({1},), {}))

    def test_what_is_not_pickled(self):
        """What a process is prepared with, and metadata."""
        self.assertEqual(make("get_prepared").invoke_sync(metadata={"a": 1}), (("prepared",), {"a": 1}, (1, [2])))

    def test_errors(self):
        proxy = make("echo")
        text, junk = GLib.Variant("(s)", ("a",)), GLib.Variant("ay", b"junk")
        for call, error, words in (
                (lambda: proxy.invoke_sync(lambda: 0), (AttributeError, pickle.PicklingError), "pickle|local object"),
                (lambda: proxy.invoke_sync(threading.Lock()), TypeError, "pickle"),
                (lambda: proxy.invoke_sync(1, signature="(i)"), TypeError, "signature"),
                (lambda: proxy.invoke(1, signature="(i)"), TypeError, "signature"),
                (lambda: proxy.set_hooks(default=str), TypeError, "hooks"),
                (lambda: proxy.call_sync(text, None), GLib.Error, "values of Python"),
                (lambda: proxy.call_sync(junk, None), pickle.UnpicklingError, "truncated"),
                (lambda: make("unsendable").invoke_sync(), Exception, "pickle|local object"),
                (lambda: make("fail").invoke_sync(), ValueError, "1")):
            with self.assertRaisesRegex(error, words):
                call()
        self.assertEqual(proxy.invoke_sync(1), ((1,), {}))

    def test_malformed(self):
        """Bytes that are no pickle with buffers are an error, and no more than that."""
        proxy = make("echo")
        value = b"\0" * 8 + (1).to_bytes(8, "little") + (3).to_bytes(8, "little") + bytes(8)
        for rest in b"", b"\xff" * 8, (100).to_bytes(8, "little"), (4).to_bytes(8, "little") + bytes(20):
            for n in range(0, len(value + rest) + 1):
                with self.assertRaises(GLib.Error):
                    proxy.call_sync(GLib.Variant("ay", (value + rest)[:n]), None)
        self.assertEqual(proxy.invoke_sync(1), ((1,), {}))

    def test_where_not(self):
        process = Afrpc.Process.new_exec(None).require(C_WORKER)
        proxy = Afrpc.Proxy(process=process, function="echo", serialiser="unsafe-pickle")
        proxy.connect("error", lambda proxy, error: None)
        refusal = "only workers of the host 'python' have the serialiser 'unsafe-pickle', and this one's host is 'c'"
        with self.assertRaisesRegex(GLib.Error, refusal) as raised:
            proxy.invoke_sync(1)
        self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.SERIALISER))
        command, machine = Afrpc.Process.new_command(["false"]), Afrpc.Process.new_ssh("nowhere", "python")
        elsewhere = command, command.fork(), machine, machine.fork(), Afrpc.Process(host="python", destination="nowhere")
        for cls in Afrpc.Proxy, Afrpc.Pool:
            for serialiser in "unsafe-pickle", Afrpc.Serialiser.lookup("unsafe-pickle"):
                for wrong in elsewhere:
                    with self.assertRaisesRegex(ValueError, "trust_command=True"):
                        cls(process=wrong, function="echo", serialiser=serialiser)
        pool = Afrpc.Pool(process=process, function="echo", serialiser="unsafe-pickle", max_workers=1)
        for wrong in elsewhere:
            for later in lambda: pool.add_template(wrong), lambda: pool.refresh(wrong):
                with self.assertRaisesRegex(ValueError, "trust_command=True"):
                    later()
        self.assertEqual(pool.props.process, process)
        pool.refresh(None)
        pool.kill()
        trusting = Afrpc.Pool(process=process, function="echo", serialiser="unsafe-pickle", trust_command=True)
        other = Afrpc.Pool(process=process, function="echo")
        for pool in trusting, other:
            for there in command, machine:
                pool.add_template(there, 1)
                pool.refresh(there)
            pool.kill()
        with self.assertRaisesRegex(ValueError, "there is no serialiser 'nothing': there are 'bytes', 'json', "):
            Afrpc.Proxy(process=process, function="echo", serialiser="nothing")

    @unittest.skipIf("AFRPC_HOST_PATH" not in os.environ, "where the host is, is not known")
    def test_command(self):
        argv = [os.path.join(os.environ["AFRPC_HOST_PATH"], "afrpc-host-python")]
        process = Afrpc.Process.new_command(argv)
        process.eval(CODE)
        proxy = Afrpc.Proxy(process=process, function="echo", serialiser="unsafe-pickle", trust_command=True)
        self.assertEqual(proxy.invoke_sync({1}), (({1},), {}))


if __name__ == "__main__":
    unittest.main()
