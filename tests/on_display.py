# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a program with GTK on a display of its own (Xvfb); skips the test where there is none."""
import os
import shutil
import subprocess
import sys

SKIPPED = 77


def run_on_display(run, command):
    """What run (command, environment) returns, which is called while there is a display."""
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
