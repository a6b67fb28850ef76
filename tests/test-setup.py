#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Meson makes of a machine: what is on, what is not, and why.

usage: test-setup.py MESON PYTHON SOURCE-TREE

PYTHON is that which runs MESON, and has PyGObject.
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

MESON, PYTHON, ROOT = sys.argv[1:]


class Setup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # One that has nothing but what belongs to Python.
        self.bare = self.folder / "python3"
        self.bare.write_text(f"#!/bin/sh\nexec {shlex.quote(PYTHON)} -I -S \"$@\"\n")
        self.bare.chmod(0o755)

    def set_up(self, *options):
        """What the summary says, by name."""
        done = subprocess.run([MESON, "setup", "-Dtests=false", *options, self.folder / "build", ROOT],
                              capture_output=True, text=True,
                              env=dict(os.environ, PATH=f"{self.folder}:{os.environ['PATH']}"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return dict(re.findall(r"^    (\w[\w ]*?) *: (.*)$", done.stdout, re.MULTILINE))

    def test_first_without_pygobject(self):
        said = self.set_up("-Dperl=disabled", "-Ddocs=disabled")
        self.assertEqual(said["Python"], PYTHON, said)
        self.assertEqual((said["Perl"], said["Tests"]), ("no: -Dperl=disabled", "NO"))

    def test_none_with_pygobject(self):
        machine = self.folder / "machine"
        machine.write_text(f"[binaries]\npython = '{self.bare}'\n")
        said = self.set_up("--native-file", machine, "-Dintrospection=disabled", "-Dgtk=disabled")
        self.assertRegex(said["Python"], f"^no: {self.bare} has no PyGObject")
        self.assertEqual(said["Introspection"], "no: -Dintrospection=disabled")
        self.assertEqual(said["Example with GTK"], "no: -Dgtk=disabled")
        for name in "Vala", "JavaScript", "API reference":
            self.assertRegex(said[name], "^no: .*(introspection|not found)")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
