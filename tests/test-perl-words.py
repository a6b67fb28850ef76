#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example with a worker in Perl.

usage: test-perl-words.py PERL-WORDS
"""
import subprocess
import sys
import tempfile

with tempfile.TemporaryDirectory() as folder:
    # A file's name need not be UTF-8.
    name = folder.encode() + b"/\xff.txt"
    with open(name, "w", encoding="ascii") as file:
        file.write("one two, three two!\nThree three four four four four\n" * 1000)
    done = subprocess.run([sys.argv[1], name, "/no/such/file"], capture_output=True, timeout=60, check=False)

lines = done.stdout.decode().splitlines()
assert done.returncode == 0, done
assert len(lines) == 2, done
assert lines[0].endswith(": four (4000) three (3000) two (2000)"), done
assert lines[1] == "/no/such/file: No such file or directory", done
progress = done.stderr.decode().splitlines()
assert [line.partition(".txt: ")[2] for line in progress] == ["1000 lines", "2000 lines"], done
