# SPDX-License-Identifier: LGPL-2.1-or-later
"""A NATS server of a test's own."""
import os
import shutil
import subprocess
import sys

SKIPPED = 77


class NatsServer:
    """Listens on a port of its own, until it is left."""

    def __enter__(self):
        program = shutil.which("nats-server", path=os.environ["PATH"] + ":/usr/sbin")
        if program is None:
            print("nats-server is not installed")
            sys.exit(SKIPPED)
        self.process = subprocess.Popen([program, "-a", "127.0.0.1", "-p", "-1"], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "Listening for client connections on" in line:
                self.url = "nats://127.0.0.1:" + line.rpartition(":")[2].strip()
            if "Server is ready" in line:
                break
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
