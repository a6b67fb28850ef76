#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Buffers of shared memory as Python sees them."""
import mmap
import os
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib  # noqa: E402

WORKER = os.environ["AFRPC_TEST_BIG_WORKER"]
SIZE = 100000


def add_up(data):
    total = 0
    for byte in data:
        total = (total * 31 + byte) % 2**64
    return total


class Buffers(unittest.TestCase):
    def setUp(self):
        self.loop = GLib.MainLoop()
        process = Afrpc.Process.new_exec("c")
        process.require(WORKER)
        self.proxy = Afrpc.Proxy(process=process, function="act")
        self.proxy.connect("destroyed", lambda proxy: self.loop.quit())

    def tearDown(self):
        self.proxy.close()
        self.loop.run()

    def call(self, what, value, fd=None):
        """Returns the result and the list of descriptors."""
        fds = Gio.UnixFDList.new()
        if fd is not None:
            fds.append(fd)
        answer = []

        def settled_cb(proxy, result):
            try:
                answer.append(proxy.call_full_finish(result))
            except GLib.Error as error:
                answer.append(error)

        self.proxy.call_full(GLib.Variant("(sv)", (what, value)), Afrpc.CallOptions(fds=fds), None, settled_cb)
        while not answer:
            GLib.MainContext.default().iteration(True)
        if isinstance(answer[0], GLib.Error):
            raise answer[0]
        return answer[0]

    def receive(self, flags):
        value, fds = self.call("make-buffer", GLib.Variant("(tuy)", (SIZE, flags, 120)))
        handle, size, _inode = value.unpack()
        return Afrpc.Buffer.new_take_fd(fds.get(handle), size, flags)

    def test_received(self):
        for flags in Afrpc.BufferFlags.DEFAULT, Afrpc.BufferFlags.REUSED:
            buffer = self.receive(flags)
            self.assertTrue(buffer.is_sealed())
            self.assertEqual(buffer.get_size(), SIZE)
            data = buffer.get_bytes()
            # Without a copy, and with one.
            with mmap.mmap(buffer.get_fd(), SIZE, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as view:
                self.assertEqual(view[SIZE // 2:], b"x" * (SIZE // 2))
            del buffer
            self.assertEqual(data.get_data(), b"x" * SIZE)

    def test_sent(self):
        content = bytes(i * 7 % 251 for i in range(SIZE))
        for flags in Afrpc.BufferFlags.DEFAULT, Afrpc.BufferFlags.REUSED:
            buffer = Afrpc.Buffer.new(SIZE, flags)
            buffer.write(0, content[:10])
            buffer.write(10, content[10:])
            self.assertTrue(buffer.seal())
            value, _fds = self.call("read-buffer", GLib.Variant("(htu)", (0, SIZE, flags)), buffer.get_fd())
            self.assertEqual(value.unpack(), add_up(content))

    def test_built_in_place(self):
        buffer = Afrpc.Buffer.new(SIZE, Afrpc.BufferFlags.DEFAULT)
        view = mmap.mmap(buffer.get_fd(), SIZE)
        view[:3] = b"abc"
        with self.assertRaises(GLib.Error) as caught:
            buffer.seal()
        self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.FAILED))
        view.close()
        self.assertTrue(buffer.seal())
        value, _fds = self.call("read-buffer", GLib.Variant("(htu)", (0, SIZE, 0)), buffer.get_fd())
        self.assertEqual(value.unpack(), add_up(b"abc" + bytes(SIZE - 3)))

    def test_refused(self):
        reader, writer = os.pipe()
        os.close(writer)
        for fd, size in (reader, 0), (-1, 0), (os.memfd_create("test"), 0):
            with self.assertRaises(GLib.Error) as caught:
                Afrpc.Buffer.new_take_fd(fd, size, Afrpc.BufferFlags.DEFAULT)
            self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.INVALID_DATA))
        with self.assertRaises(OSError):  # it was closed
            os.fstat(reader)
        with self.assertRaises(GLib.Error) as caught:
            self.call("read-buffer", GLib.Variant("(htu)", (0, SIZE, 0)), 0)
        self.assertTrue(caught.exception.matches(Afrpc.error_quark(), Afrpc.Error.INVALID_DATA))


if __name__ == "__main__":
    unittest.main()
