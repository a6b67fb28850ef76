#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pools from Python: what runs with a proxy runs with a pool."""
import asyncio
import os
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib  # noqa: E402

import afrpc.aio  # noqa: E402

WORKER = os.environ["AFRPC_TEST_WORKER"]


def make_pool(function, **properties):
    return Afrpc.Pool(process=Afrpc.Process.new_exec(None).require(WORKER), function=function, **properties)


class PoolTest(unittest.TestCase):
    def test_blocking(self):
        with make_pool("echo", max_workers=2) as pool:
            self.assertEqual(pool.invoke_sync(1, "a"), (1, "a"))
            self.assertIn("Afrpc.Pool of echo", repr(pool))
        self.assertTrue(pool.close_sync())

    def test_asyncio(self):
        async def main():
            async with make_pool("echo", max_workers=2, start_delay_ms=0) as pool:
                results = await asyncio.gather(*(pool(i) for i in range(100)))
                await pool.wait_for_room_async()
            return results, pool

        results, pool = afrpc.aio.run(main())
        self.assertEqual([value for value, in results], list(range(100)))
        self.assertTrue(pool.is_closed())

    def test_incomplete(self):
        process = Afrpc.Process.new_exec(None)
        for cls in (Afrpc.Pool, Afrpc.Proxy):
            for properties, missing in (({}, "a process"), ({"function": "echo"}, "a process"),
                                        ({"process": process}, "the name of a function"),
                                        ({"process": process, "function": None}, "the name of a function")):
                with self.assertRaisesRegex(TypeError, f"^{cls.__name__} needs {missing}, "):
                    cls(**properties)

    def test_errors(self):
        async def main():
            async with make_pool("act", max_workers=1) as pool:
                with self.assertRaises(GLib.Error) as raised:
                    await pool("exit", GLib.Variant("u", 3), idempotent=True, label="seven", signature="(sv)")
                self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.DIED))
                self.assertIn("seven: the call has ended 3 workers", raised.exception.message)
                return await pool("return", 5, signature="(sv)")

        self.assertEqual(afrpc.aio.run(main()), 5)

    def test_cancelled(self):
        async def main():
            async with make_pool("act", max_workers=1, load=1) as pool:
                running = pool("until-cancelled", True, signature="(sv)")
                waiting = pool("return", True, signature="(sv)")
                pool.on_event(lambda event: waiting.cancel())
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
                running.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await running

        afrpc.aio.run(main())

    def test_templates(self):
        first, second = (Afrpc.Process.new_exec(None).require(WORKER) for _ in range(2))
        with Afrpc.Pool(process=first, function="echo", max_workers=3) as pool:
            pool.add_template(second, weight=2)
            pool.set_idle_workers(3)
            self.assertEqual([pool.get_n_template_workers(process) for process in (first, second)], [1, 2])
            self.assertEqual(pool.invoke_sync(1), (1,))
            self.assertTrue(pool.remove_template(first))
            self.assertIs(pool.get_process(), second)
            self.assertIsNone(pool.get_template_failure(second))
        self.assertTrue(pool.close_sync())

    def test_seen(self):
        async def main():
            ended = []
            async with make_pool("echo", max_workers=1) as pool:
                workers = pool.get_workers()
                pool.connect("worker-ended", lambda pool, worker, exit: ended.append((worker, exit)))
                before = pool.get_stats()
                await asyncio.gather(*(pool(i) for i in range(100)))
                recent = pool.get_stats().subtract(before)
                print(f"{recent.get_n_finished()} calls, {recent.get_n_failed()} of them failed;",
                      f"99 % waited for less than {recent.get_quantile(Afrpc.PoolTime.QUEUED, 0.99)} us;",
                      ", ".join(f"worker {worker.props.pid} is {worker.props.state.value_nick}" for worker in workers))
                self.assertEqual(recent.get_n_outcomes(Afrpc.CallOutcome.SUCCESS), 100)
                self.assertEqual(sum(recent.get_histogram(Afrpc.PoolTime.ASSIGNED)), 100)
                self.assertEqual(pool.props.n_calls_pending, 0)
                worker, = workers
                self.assertEqual(worker.props.n_calls, 100)
                self.assertGreater(worker.get_memory(), 0)
            self.assertEqual(len(workers), 0)
            return worker, ended

        worker, ended = afrpc.aio.run(main())
        self.assertEqual(worker.get_state(), Afrpc.PoolWorkerState.ENDED)
        self.assertEqual([(one, exit.is_success()) for one, exit in ended], [(worker, True)])
        with self.assertRaises(GLib.Error) as raised:
            worker.get_memory()
        self.assertTrue(raised.exception.matches(Afrpc.error_quark(), Afrpc.Error.CLOSED))

    def test_wrong(self):
        with self.assertRaises(TypeError):
            import afrpc._proxy
            afrpc._proxy.call(Gio.Cancellable(), (), None, None, None, False, None, None, None, None)


if __name__ == "__main__":
    unittest.main()
