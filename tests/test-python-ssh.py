#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Workers on other machines, from Python: by a program that is found instead of ssh. Environment: AFRPC_TEST_SSH_PATH, the
folders of that and of the command afrpc."""
import os
import tempfile
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib  # noqa: E402

os.environ["PATH"] = os.environ["AFRPC_TEST_SSH_PATH"] + ":" + os.environ["PATH"]

CODE = """
import os

def where():
    return os.environ["MACHINE"], os.getcwd()
"""


def make_machine(name, folder, module):
    return (Afrpc.Process.new_ssh(name, "python").setenv("MACHINE", name, True).setenv("XDG_CACHE_HOME", folder, True)
            .set_cwd("/usr").set_send_modules(True).require(module))


def make_pool(machines):
    pool = Afrpc.Pool(process=machines[0], function="where", max_workers=3)
    pool.add_template(machines[0], 2)
    pool.add_template(machines[1], 1)
    return pool


class TestSsh(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.module = os.path.join(self.folder, "where.py")
        with open(self.module, "w", encoding="utf-8") as file:
            file.write(CODE)

    def test_process(self):
        process = make_machine("here-a", self.folder, self.module)
        self.assertEqual((process.get_destination(), process.get_host()), ("here-a", "python"))
        self.assertEqual(process.get_n_processors(), 0)
        with Afrpc.Proxy(process=process, function="where") as proxy:
            self.assertEqual(proxy.invoke_sync(), ("here-a", "/usr"))
            self.assertEqual(process.get_n_processors(), len(os.sched_getaffinity(0)))

    def test_pool(self):
        with make_pool([make_machine(name, self.folder, self.module) for name in ("here-a", "here-b")]) as pool:
            for _ in range(10):
                machine, folder = pool.invoke_sync()
                self.assertIn(machine, ("here-a", "here-b"))
                self.assertEqual(folder, "/usr")

    def test_unreachable(self):
        with Afrpc.Proxy(process=make_machine("nowhere", self.folder, self.module), function="where") as proxy:
            with self.assertRaises(GLib.Error) as caught:
                proxy.invoke_sync()
        self.assertTrue(caught.exception.matches(Afrpc.Error.quark(), Afrpc.Error.UNREACHABLE))


if __name__ == "__main__":
    unittest.main()
