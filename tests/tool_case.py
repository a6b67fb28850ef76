# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of the afrpc command share. Environment: AFRPC_TOOL, its path; AFRPC_HOST_PATH, the folder of the hosts;
AFRPC_TEST_MODULES, the folder of tool-worker.so. Waits for events and never sleeps. After each test no process may be
left, not even a zombie."""

import ctypes
import errno
import os
import re
import signal
import subprocess
import tempfile
import unittest

TOOL = os.environ['AFRPC_TOOL']
MODULE = os.path.join(os.environ['AFRPC_TEST_MODULES'], 'tool-worker.so')
PATIENCE = 60  # seconds, for a machine that is busy: nothing takes that long
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

started = []  # since the test began
SANITIZED = 'ASAN_OPTIONS' in os.environ or 'TSAN_OPTIONS' in os.environ
TIME_LIMIT = '5' if SANITIZED else '1.5'  # seconds: a worker has to start within it


def environment(**more):
    env = dict(os.environ, LC_ALL='C.UTF-8', TERM='xterm')
    env.update(more)
    env.pop('LANGUAGE', None)
    return env


def start(*args, **more):
    # Without buffers, because communicate() would not see what readline() has left in them.
    streams = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    process = subprocess.Popen([TOOL, *args], **{**streams, 'env': environment(), **more})
    started.append(process)
    return process


def stop_started():
    """After a test that has failed, its processes may wait for ever."""
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=PATIENCE)
    started.clear()


def run(*args, stdin=b'', **more):
    streams = dict(input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    result = subprocess.run([TOOL, *args], timeout=PATIENCE, **{**streams, 'env': environment(), **more})
    if SANITIZED and isinstance(result.stderr, bytes):
        # What a worker says whose check for leaks was cut short by the end of the command.
        result.stderr = re.sub(rb'(?m)^==\d+==Unable to get registers.*\n', b'', result.stderr)
    return result


def run_call(*args, **more):
    return run('call', *args, **more)


def run_map(*args, **more):
    return run('map', *args, **more)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class ToolTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Whatever the command leaves behind becomes a child of this process, and is seen.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), 'prctl')

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.addCleanup(stop_started)

    def tearDown(self):
        try:
            while SANITIZED:
                # A worker that is killed while it looks for leaks leaves the sanitizer's helper.
                os.wait()
            left = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        self.fail(f'a process is left: {left}')

    def make_fifo(self, name='fifo'):
        path = os.path.join(self.folder, name)
        os.mkfifo(path)
        return path

    def make_host(self, name):
        """A host that only says which one it is. Returns the environment in which it is found."""
        path = os.path.join(self.folder, 'afrpc-host-' + name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(f'#!/bin/sh\necho this is {name} >&2\n')
        os.chmod(path, 0o755)
        return environment(AFRPC_HOST_PATH='/nowhere:' + self.folder)

    @staticmethod
    def release(fifo):
        os.close(os.open(fifo, os.O_WRONLY))

    def assert_not_started(self, fifo):
        """Nobody opens that pipe, although there is time for it."""
        for _ in range(20):
            run_call(MODULE, 'work', 'x')
            with self.assertRaises(OSError) as caught:
                os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            self.assertEqual(caught.exception.errno, errno.ENXIO)

    def read_until(self, stream, pattern):
        """Reads lines up to one that matches, and returns the match."""
        lines = []
        for line in stream:
            lines.append(line)
            match = re.search(pattern, line)
            if match:
                return match
        self.fail(f'no {pattern} in {lines}')

    def finish(self, process, status):
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, status, err)
        return out, err

    def assert_status(self, result, status):
        self.assertEqual(result.returncode, status, (result.stdout, result.stderr))

    def assert_usage(self, result, pattern):
        self.assert_status(result, 2)
        self.assertEqual(result.stdout, b'')
        self.assertRegex(result.stderr, pattern)
        self.assertRegex(result.stderr, rb'Try .*--help')


def main():
    # Whoever runs tests in the background may have these ignored, and the command would inherit that.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unittest.main()
