#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the example that walks a result as a tree, and the worker that builds one.

usage: test-json-tree.py PROGRAM MODULE
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM, MODULE = sys.argv[1:]


class Tree(unittest.TestCase):
    def run_program(self, *args):
        return subprocess.run([PROGRAM, MODULE, "list", *args], capture_output=True, text=True, check=False, timeout=60)

    def test_walk(self):
        with tempfile.TemporaryDirectory() as folder:
            big = pathlib.Path(folder, "big \"file\"")
            big.touch()
            os.truncate(big, 5000000000)  # more than 32 bits, and no bytes on the disk
            done = self.run_program(folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, 'big "file":\n  folder:\n    false\n  size:\n    5000000000\n')

    def test_error(self):
        done = self.run_program("/dev/null/none")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("/dev/null/none", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
