#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example of a worker that may open nothing: it hashes what the program opens for it.

usage: test-locked-hash.py PROGRAM
"""
import hashlib
import os
import subprocess
import sys
import tempfile

SKIPPED = 77

with tempfile.TemporaryDirectory() as folder:
    expected = []
    for i in range(200):
        path = os.path.join(folder, f'file {i}')
        content = os.urandom(i * 1000)
        with open(path, 'wb') as file:
            file.write(content)
        expected.append(f'{hashlib.sha256(content).hexdigest()}  {path}')

    paths = [line[66:] for line in expected]
    missing = os.path.join(folder, 'missing')
    done = subprocess.run([sys.argv[1], *paths, missing, folder], capture_output=True, text=True, timeout=60)
    if 'the kernel does not lock' in done.stderr:
        print(done.stderr)
        sys.exit(SKIPPED)
    assert done.stdout.splitlines() == expected, (done.stdout, done.stderr)
    assert done.returncode == 1
    assert f'{missing}: cannot be opened' in done.stderr, done.stderr
    assert f'{folder}: ' in done.stderr, done.stderr
