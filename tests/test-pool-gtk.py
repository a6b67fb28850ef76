#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the example that shows a pool at work: a worker is killed there, and the pool goes on.

usage: test-pool-gtk.py POOL-GTK
"""
import subprocess
import sys

from on_display import SKIPPED, run_on_display

PATIENCE_S = 100


def run(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode == SKIPPED:
        sys.exit(SKIPPED)
    if done.returncode != 0 or done.stdout != 'a worker was killed, and the pool went on\n' or 'CRITICAL' in done.stderr:
        sys.exit(f'{command[0]}: exit status {done.returncode}\n{done.stdout}{done.stderr}')


run_on_display(run, [sys.argv[1], '--check'])
