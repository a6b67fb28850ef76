#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the examples that have pictures drawn: both have to get the same, byte by byte.

usage: test-picture.py PICTURE [PICTURE-GTK]

The program with GTK runs on a display of its own (Xvfb), and is skipped where there is none.
"""
import os
import re
import shutil
import subprocess
import sys

SKIPPED = 77
PATIENCE_S = 100


def run(command, environment=None):
    done = subprocess.run(command, env=environment, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    if done.returncode == SKIPPED:
        sys.exit(SKIPPED)
    if done.returncode != 0 or not re.fullmatch('20 pictures, the last is [0-9a-f]{64}\n', done.stdout):
        sys.exit(f'{command[0]}: exit status {done.returncode}\n{done.stdout}{done.stderr}')
    return done.stdout


def run_on_display(command):
    if shutil.which('Xvfb') is None:
        sys.exit(SKIPPED)
    reader, writer = os.pipe()
    with subprocess.Popen(['Xvfb', '-displayfd', str(writer), '-screen', '0', '1024x768x24', '-nolisten', 'tcp'],
                          pass_fds=[writer], stderr=subprocess.DEVNULL) as server:
        os.close(writer)
        try:
            with open(reader) as file:
                number = file.readline().strip()
            if not number:
                sys.exit(SKIPPED)
            return run(command, {**os.environ, 'DISPLAY': ':' + number, 'GDK_BACKEND': 'x11',
                                 'GSK_RENDERER': 'cairo', 'GTK_A11Y': 'none', 'GDK_DEBUG': 'gl-disable'})
        finally:
            server.terminate()


plain, *with_gtk = sys.argv[1:]
expected = run([plain])
for program in with_gtk:
    shown = run_on_display([program])
    if shown != expected:
        sys.exit(f'{program} shows something else:\n{expected}{shown}')
