#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the examples that have pictures drawn: both have to get the same, byte by byte.

usage: test-picture.py PICTURE [PICTURE-GTK]

The program with GTK runs on a display of its own (Xvfb), and is skipped where there is none.
"""
import re
import subprocess
import sys

from on_display import SKIPPED, run_on_display

PATIENCE_S = 100


def run(command, environment=None):
    done = subprocess.run(command, env=environment, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    if done.returncode == SKIPPED:
        sys.exit(SKIPPED)
    if done.returncode != 0 or not re.fullmatch('20 pictures, the last is [0-9a-f]{64}\n', done.stdout):
        sys.exit(f'{command[0]}: exit status {done.returncode}\n{done.stdout}{done.stderr}')
    return done.stdout


plain, *with_gtk = sys.argv[1:]
expected = run([plain])
for program in with_gtk:
    shown = run_on_display(run, [program])
    if shown != expected:
        sys.exit(f'{program} shows something else:\n{expected}{shown}')
