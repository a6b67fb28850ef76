#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Meson makes of a machine: what is on, what is not, and why; and of afrpc as a part of another project.

usage: test-setup.py MESON PYTHON SOURCE-TREE BUILD-FOLDER [COMMAND... [-- COMMAND...]...]

PYTHON is that which runs MESON, and has PyGObject. Each COMMAND is a program that greets the world.
"""
import itertools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

MESON, PYTHON, ROOT, BUILD = sys.argv[1:5]
COMMANDS = [list(words) for ends, words in itertools.groupby(sys.argv[5:], "--".__eq__) if not ends]


class Setup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # One that has nothing but what belongs to Python.
        self.bare = self.folder / "python3"
        self.bare.write_text(f"#!/bin/sh\nexec {shlex.quote(PYTHON)} -I -S \"$@\"\n")
        self.bare.chmod(0o755)

    def set_up(self, *options, source=ROOT):
        """What the summary says, by name."""
        done = subprocess.run([MESON, "setup", *options, self.folder / "build", source],
                              capture_output=True, text=True,
                              env=dict(os.environ, PATH=f"{self.folder}:{os.environ['PATH']}"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return dict(re.findall(r"^    (\w[\w ]*?) *: (.*)$", done.stdout, re.MULTILINE))

    def test_first_without_pygobject(self):
        said = self.set_up("-Dtests=false", "-Dperl=disabled", "-Ddocs=disabled")
        self.assertEqual(said["Python"], PYTHON, said)
        self.assertEqual((said["Perl"], said["Tests"]), ("no: -Dperl=disabled", "NO"))

    def test_none_with_pygobject(self):
        machine = self.folder / "machine"
        machine.write_text(f"[binaries]\npython = '{self.bare}'\n")
        said = self.set_up("--native-file", machine, "-Dtests=false", "-Dintrospection=disabled", "-Dgtk=disabled")
        self.assertRegex(said["Python"], f"^no: {self.bare} has no PyGObject")
        self.assertEqual(said["Introspection"], "no: -Dintrospection=disabled")
        self.assertEqual(said["Examples with GTK"], "no: -Dgtk=disabled")
        for name in "Vala", "JavaScript", "API reference":
            self.assertRegex(said[name], "^no: .*(introspection|not found)")

    def test_nothing_by_name(self):
        """What runs is what PATH or a machine file says."""
        bad = [str(path) for folder in ("afrpc", "docs", "examples", "tests") for path in (pathlib.Path(ROOT) / folder).rglob("*")
               if path.is_file() and re.search(b"/usr/bin/(python|perl|gjs)", path.read_bytes())
               and "__pycache__" not in path.parts]
        self.assertEqual(bad, [])

    def test_part_of_another(self):
        """Of a project without a wrap file, as such an option of Meson says; only what is linked and run is built."""
        source = self.folder / "source"
        (source / "subprojects").mkdir(parents=True)
        (source / "subprojects" / "afrpc").symlink_to(ROOT)
        (source / "meson.build").write_text("""
            project('other', 'c')
            parent = dependency('afrpc-1.0', fallback: 'afrpc')
            worker = dependency('afrpc-worker-1.0')
            summary('hosts', parent.get_variable('hostdir'))
            summary('modules', worker.get_variable('moduledir'))
            """)
        said = self.set_up("--prefix=/usr", "--libexecdir=libexec", "--libdir=lib", "-Dafrpc:introspection=disabled",
                           "-Dafrpc:perl=disabled", source=source)
        self.assertEqual((said["hosts"], said["modules"]), ("/usr/libexec/afrpc", "/usr/lib/afrpc/modules"))
        self.assertNotIn("Tests", said)

        def introspect(what):
            done = subprocess.run([MESON, "introspect", what, self.folder / "build"], check=True, capture_output=True)
            return json.loads(done.stdout)
        self.assertEqual(introspect("--tests"), [])
        folders = {str(pathlib.Path(target["defined_in"]).resolve().parent.relative_to(pathlib.Path(ROOT).resolve()))
                   for target in introspect("--targets")}
        self.assertIn("afrpc/hosts", folders)
        self.assertEqual({folder.split("/")[0] for folder in folders} - {"afrpc", "po"}, set())


class Environment(unittest.TestCase):
    """Of "meson devenv"."""

    def run_there(self, *command, **more):
        clean = {name: value for name, value in os.environ.items()
                 if not re.match("AFRPC_|GJS_PATH|GI_TYPELIB_PATH|LD_LIBRARY_PATH|PYTHONPATH", name)}
        return subprocess.run([MESON, "devenv", "-C", BUILD, *command], capture_output=True, text=True, timeout=60,
                              env=dict(clean, **more))

    def test_examples(self):
        self.assertEqual(self.run_there("afrpc", "call", f"{BUILD}/examples/hello-worker.so", "hello", "you").stdout,
                         "'Hello, you!'\n")
        for command in COMMANDS:
            with self.subTest(command[-1]):
                done = self.run_there(*command)
                self.assertEqual(done.stdout, "Hello, world!\n", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
