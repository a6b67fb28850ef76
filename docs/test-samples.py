#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the programs that the pages show, and compares what they print.

usage: test-samples.py HELLO-MODULE WORDS-MODULE TEXT-MODULE [-- COMMAND...]...

Each COMMAND is a program in a language of its own that says hello by way of HELLO-MODULE.
"""
import itertools
import pathlib
import re
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).parent
n_wrong = 0


def check(name, command, expected):
    global n_wrong
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0 or not re.fullmatch(expected, done.stdout):
        print(f"{name}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        n_wrong += 1


hello, words, text, *programs = sys.argv[1:]
for command in (list(words) for ends, words in itertools.groupby(programs, "--".__eq__) if not ends):
    check(command[-1], [*command, hello], r"Hello, world!\n")

check("text", [sys.executable, here / "text.py", text],
      r"to the worker: \(3, 4\)\nfrom the worker: 7\n7\n")

with tempfile.NamedTemporaryFile("w") as file:
    file.write("\n".join(str(i) for i in range(1500)))
    file.flush()
    check("words", [sys.executable, here / "words.py", words, file.name, "^1.99$", "("],
          r"searched 0 words\n"
          r"searched 1000 words\n"
          r"\^1\.99\$ \['1099', '1199', '1299', '1399', '1499'\]\n"
          r"\( failed: .*\n"
          r"process \(pid \d+\) exited with status 0\n")
    check("no words", [sys.executable, here / "words.py", words, "/dev/null/none", "a"],
          r"a failed: '.*' running '.*: init function 'load': .*\n"
          r"error: '.*' running '.*: init function 'load': .*\n"
          r"process \(pid \d+\) exited with status 1: '.*' running '.*: init function 'load': .*\n")

sys.exit(1 if n_wrong > 0 else 0)
