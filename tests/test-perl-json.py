#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The serialiser that the documentation shows, half of it in Perl.

usage: test-perl-json.py PROGRAM
"""
import os
import subprocess
import sys

done = subprocess.run([sys.executable, sys.argv[1]], capture_output=True, encoding="utf-8", timeout=60, check=False,
                      env={**os.environ, "PYTHONIOENCODING": "utf-8"})
assert done.returncode == 0, done
assert done.stdout == "10 None\n25 ä\n", done
