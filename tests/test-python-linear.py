#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conversions of Python take so many times as many instructions as there are times as many elements.

usage: test-python-linear.py VALGRIND PROGRAM
"""
import re
import subprocess
import sys
import tempfile

N = 1000
TIMES = 4

valgrind, program = sys.argv[1:]


def count(n):
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([valgrind, "--quiet", "--tool=callgrind", "--toggle-collect=work",
                        f"--callgrind-out-file={file.name}", program, str(n)], check=True)
        return int(re.search(r"^(?:totals|summary): (\d+)", file.read().decode(), re.M)[1])


few, many = count(N), count(TIMES * N)
print(f"{few} instructions for {N} elements of each type, {many} for {TIMES * N}: {many / few:.2f} times as many")
sys.exit(0 if TIMES * 0.8 < many / few < TIMES * 1.1 else 1)
