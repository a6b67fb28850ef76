#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What bash completes of the afrpc command.

usage: test-completion.py BASH SCRIPT COMMAND
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BASH, SCRIPT, COMMAND = map(os.path.abspath, sys.argv[1:])

# As readline calls it, which takes "=" for a word.
CALL = """
set -u
. "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_afrpc
printf '%s\\n' "${COMPREPLY[@]}"
complete -p afrpc >&2
"""


class Completion(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def complete(self, *words):
        env = dict(os.environ, AFRPC_HOST_PATH=f"/nowhere:{self.folder}")
        done = subprocess.run([BASH, "--norc", "-c", CALL, "bash", SCRIPT, COMMAND, *words], cwd=self.folder, env=env,
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, "complete -F _afrpc afrpc\n"))
        return sorted(done.stdout.split())

    def test_commands(self):
        self.assertEqual(self.complete("m"), ["map"])
        self.assertEqual(self.complete("help", ""), ["call", "host", "map", "serve"])

    def test_options(self):
        self.assertEqual(self.complete("map", "--keep"), ["--keep-order"])
        self.assertEqual(self.complete("map", "--max"), ["--max-failures="])
        self.assertEqual(self.complete("call", "--keep"), [])
        # All that are listed
        listed = subprocess.run([COMMAND, "help", "map"], capture_output=True, text=True, check=True).stdout
        options = [word.strip(",").split("=")[0] for word in listed.split() if word.startswith("--") and len(word) > 2]
        self.assertGreater(len(options), 15)
        self.assertEqual({option.rstrip("=") for option in self.complete("map", "--")}, set(options))

    def test_hosts(self):
        for name in "one", "two":
            (self.folder / f"afrpc-host-{name}").touch(0o755)
        (self.folder / "afrpc-host-not").touch(0o644)
        self.assertEqual(self.complete("host", "t"), ["two"])
        self.assertEqual(self.complete("call", "--host", "o"), ["one"])
        self.assertEqual(self.complete("call", "--host", "=", "t"), ["two"])
        self.assertEqual(self.complete("call", "--host", "n"), [])

    def test_files(self):
        for name in "module.so", "other file":
            (self.folder / name).touch()
        self.assertEqual(self.complete("call", "mod"), ["module.so"])
        self.assertEqual(self.complete("call", "--json", "--timeout", "3", "./mod"), ["./module.so"])
        self.assertEqual(self.complete("call", "--timeout", "=", "3", "mod"), ["module.so"])
        self.assertEqual(self.complete("map", "-j", "mod"), [])
        self.assertEqual(self.complete("call", "module.so", "mod"), [])  # a function
        self.assertEqual(self.complete("call", "module.so", "f", "mod"), ["module.so"])
        self.assertEqual(self.complete("call", "--require", "mod"), ["module.so"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
