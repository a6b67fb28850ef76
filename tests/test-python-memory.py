#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Buffers of shared memory as objects that have a buffer, in programs and in workers."""
import array
import gc
import importlib.util
import os
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
WORKER = os.path.join(HERE, "workers", "python_values.py")
HAVE_NUMPY = importlib.util.find_spec("numpy") is not None
SIZE = 80000
KINDS = Afrpc.BufferFlags.DEFAULT, Afrpc.BufferFlags.REUSED
context = GLib.MainContext.default()


def count_fds():
    return len(os.listdir("/proc/self/fd"))


def make(function):
    return Afrpc.Proxy(process=Afrpc.Process.new_exec("python").require(WORKER), function=function)


def new_sealed(content, flags=Afrpc.BufferFlags.DEFAULT):
    buffer = Afrpc.Buffer.new(len(content), flags)
    buffer.write(0, content)
    buffer.seal()
    return buffer


def receive(buffer, flags=Afrpc.BufferFlags.DEFAULT):
    return Afrpc.Buffer.new_take_fd(os.dup(buffer.fileno()), len(buffer), flags)


class Buffers(unittest.TestCase):
    def test_write(self):
        numbers = array.array("d", [1.5, 2.5])
        for data in (b"0123456789abcdef", bytearray(b"0123456789abcdef"), memoryview(b"0123456789abcdef"), numbers,
                     memoryview(b"".join(b"%cx" % i for i in range(16)))[::2], new_sealed(b"y" * 16)):
            buffer = Afrpc.Buffer(24)
            buffer.write(8, data)
            self.assertEqual(bytes(buffer), bytes(8) + bytes(data))
        # As much as lets other threads in.
        buffer = Afrpc.Buffer(1 << 20)
        buffer.write(offset=0, data=bytearray(b"ab" * (1 << 19)))
        buffer.write(1, memoryview(buffer)[:-1])
        self.assertEqual(bytes(buffer), b"a" + b"ab" * ((1 << 19) - 1) + b"a")

    def test_write_refused(self):
        buffer = Afrpc.Buffer(10)
        for offset, data, kind in ((5, b"123456", ValueError), (11, b"", ValueError), (-1, b"a", ValueError),
                                   (2**62, b"a", ValueError), (2**64, b"a", OverflowError), (0, [1.5, 2.7], TypeError),
                                   (0, [1, 2], TypeError), (0, "text", TypeError), (0, 5, TypeError), (None, b"", TypeError),
                                   (0.5, b"a", TypeError)):
            with self.subTest(offset=offset, data=data), self.assertRaises(kind):
                buffer.write(offset, data)
        buffer.write(10, b"")
        self.assertEqual(bytes(buffer), bytes(10))
        buffer.seal()
        with self.assertRaisesRegex(ValueError, "sealed"):
            buffer.write(0, b"a")
        for size, kind in ((0, ValueError), (-1, ValueError), (2**64, OverflowError), ("a", TypeError)):
            with self.assertRaises(kind):
                Afrpc.Buffer.new(size)
        with self.assertRaises(GLib.Error) as caught:
            Afrpc.Buffer.new(2**62)
        self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.TOO_LARGE))

    def test_in_place(self):
        for flags in KINDS:
            buffer = Afrpc.Buffer.new(SIZE, flags)
            self.assertEqual((len(buffer), buffer.get_size(), buffer.is_sealed()), (SIZE, SIZE, False))
            numbers = memoryview(buffer).cast("d")
            numbers[5] = 1.5
            # To write to what is sealed would be the end of this process.
            with self.assertRaisesRegex(BufferError, "can still be written to"):
                buffer.seal()
            part = numbers[2:]
            numbers.release()
            self.assertRaises(BufferError, buffer.seal)
            part.release()
            self.assertIs(buffer.seal(), True)
            self.assertIs(buffer.seal(), True)
            read = memoryview(buffer)
            self.assertTrue(read.readonly)
            with self.assertRaises(TypeError):
                read[0] = 1
            with open(os.devnull, "rb") as file, self.assertRaises(TypeError):
                file.readinto(buffer)
            self.assertEqual(read.cast("d")[5], 1.5)

    def test_views_stay(self):
        for flags in KINDS:
            buffer = new_sealed(b"abc" * 1000, flags)
            received = receive(buffer, flags)
            views = memoryview(buffer), memoryview(received)[3:6]
            data = received.get_bytes()
            del buffer, received
            gc.collect()
            Afrpc.Buffer(3000, flags).write(0, b"x" * 3000)
            self.assertEqual((bytes(views[0][:3]), bytes(views[1]), data.get_data()[:3]), (b"abc",) * 3)
        buffer = Afrpc.Buffer(3)
        view = memoryview(buffer)
        del buffer
        gc.collect()
        view[0] = 1
        self.assertEqual(bytes(view), b"\1\0\0")

    def test_descriptors(self):
        """What was received and mapped needs none."""
        buffer = new_sealed(b"abc" * 1000)
        before = count_fds()
        views = [memoryview(receive(buffer)) for _ in range(100)]
        self.assertEqual(count_fds(), before)
        self.assertEqual({bytes(view[:3]) for view in views}, {b"abc"})
        received = receive(buffer)
        self.assertEqual(received.fileno(), received.get_fd())
        self.assertEqual(count_fds(), before + 1)
        # As long as it is there, it can be passed on.
        self.assertEqual(bytes(receive(received)), b"abc" * 1000)
        del received
        self.assertEqual(count_fds(), before)

    def test_fileno(self):
        buffer = Afrpc.Buffer.new(10, Afrpc.BufferFlags.REUSED)
        self.assertEqual(buffer.get_fd(), -1)
        self.assertRaises(ValueError, buffer.fileno)
        buffer.seal()
        self.assertEqual(os.fstat(buffer.fileno()).st_size, 10)

    def test_refused(self):
        buffer = new_sealed(b"abc")
        for arguments, kind in (((-1,), GLib.Error), ((os.open(os.devnull, os.O_RDONLY),), GLib.Error),
                                ((os.dup(buffer.fileno()), 4), GLib.Error), ((0, -1), ValueError),
                                (("a",), TypeError), ((), TypeError)):
            with self.assertRaises(kind) as caught:
                Afrpc.Buffer.new_take_fd(*arguments)
            if kind is GLib.Error:
                self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.INVALID_DATA))
        self.assertIn("afrpc.Buffer of 3 bytes", repr(buffer))
        self.assertRaises(ValueError, Afrpc.Buffer(3).get_bytes)

    @unittest.skipUnless(HAVE_NUMPY, "NumPy is not installed")
    def test_numpy(self):
        import numpy as np

        buffer = Afrpc.Buffer(SIZE)
        numbers = np.frombuffer(buffer)
        numbers[:] = np.arange(SIZE // 8)
        self.assertRaises(BufferError, buffer.seal)
        del numbers
        buffer.seal()
        numbers = np.frombuffer(buffer)
        self.assertEqual((numbers.sum(), numbers.flags.writeable), (sum(range(SIZE // 8)), False))
        buffer = Afrpc.Buffer(16)
        buffer.write(0, np.array([1.5, 2.5]))
        self.assertEqual(np.asarray(buffer).view(float).tolist(), [1.5, 2.5])
        with self.assertRaises(TypeError):
            buffer.write(0, np.array([object()]))


class Workers(unittest.TestCase):
    def call(self, proxy, *args, **options):
        call = proxy(*args, **options)
        while not call.done():
            context.iteration(True)
        return call

    def test_sent(self):
        proxy = make("read_buffer")
        for flags in KINDS:
            buffer = new_sealed(b"\1\2" * SIZE, flags)
            call = self.call(proxy, 0, len(buffer), int(flags), fds=[buffer])
            self.assertEqual(call.result(), (2 * SIZE, 3 * SIZE, True))

    def test_received(self):
        proxy = make("make_buffer")
        for flags in KINDS:
            call = self.call(proxy, SIZE, int(flags))
            buffer = Afrpc.Buffer.new_take_fd(call.get_fd(call.result()), SIZE, flags)
            numbers = memoryview(buffer).cast("d")
            self.assertEqual([numbers[0], numbers[1], numbers[-1], sum(numbers)], [1.5, 7.0, 2.5, 11.0])

    def test_refused(self):
        call = self.call(make("refuse_buffer"), 0, 4, fds=[new_sealed(b"abc")])
        domain, code, message = call.result()
        self.assertEqual((domain, code), ("afrpc-error-quark", Afrpc.Error.INVALID_DATA))
        self.assertIn("it has 3 bytes, not 4", message)


if __name__ == "__main__":
    unittest.main()
