#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""afrpc serve, and afrpc call over NATS. See tool_case.py."""
import json
import os
import signal
import subprocess
import unittest

from nats_server import NatsServer
from tool_case import MODULE, SANITIZED, ToolTest, run, start

if SANITIZED:
    # Threads of nats.c that end meanwhile are more than it can stand that looks for leaks.
    os.environ['ASAN_OPTIONS'] = os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'


class ToolNatsTest(ToolTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.nats = NatsServer().__enter__()
        cls.addClassCleanup(cls.nats.__exit__)

    def tearDown(self):
        """What is left is looked for while NATS runs: that has no children, and is one itself."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
        with open(f'/proc/self/task/{os.getpid()}/children', encoding='ascii') as children:
            self.assertEqual(children.read().split(), [str(self.nats.process.pid)])

    def call(self, *words, **more):
        return run('call', '--nats', self.nats.url, '--subject', self.id(), *words, **more)

    def start_call(self, *words, **more):
        return start('call', '--nats', self.nats.url, '--subject', self.id(), *words, **more)

    def serve(self, *words):
        """Starts who serves, and calls him until he does."""
        process = start('serve', '--nats', self.nats.url, '--subject', self.id(), '-j', '1', *words, MODULE, 'echo')
        while self.call('echo', '1').returncode == 3:
            self.assertIsNone(process.poll())
        return process

    def end(self, process, signum=signal.SIGTERM, status=0):
        process.send_signal(signum)
        return self.finish(process, status)

    def assert_call(self, words, status, output):
        result = self.call(*words)
        self.assert_status(result, status)
        self.assertEqual((result.stdout if status == 0 else result.stderr).decode(), output)

    def test_calls(self):
        serving = self.serve()
        self.assert_call(['echo', '5', 'x', '[1]'], 0, "(5, 'x', [1])\n")
        self.assert_call(['--strings', 'echo', '5'], 0, "('5',)\n")
        self.assert_call(['work', 'x'], 0, "'X'\n")
        result = self.call('--json', '--from-json', 'echo', '{"a": [1, null]}')
        self.assert_status(result, 0)
        self.assertEqual(json.loads(result.stdout), [{'a': [1, None]}])
        # What the function has declared decides.
        self.assert_call(['half', '8'], 0, '4.0\n')
        self.assert_call(['work', '5'], 0, "'5'\n")
        self.assert_call(['mixed', '5', '6', '7'], 0, "('5', 6, '7')\n")
        self.assertEqual(self.end(serving), (b'', b''))

    def test_failures(self):
        result = self.call('echo')
        self.assert_status(result, 3)
        self.assertIn(f"nobody serves '{self.id()}'", result.stderr.decode())
        serving = self.serve()
        self.assert_call(['work', 'fail'], 1, 'afrpc: failed as asked\n')
        result = self.call('half', 'x')
        self.assert_status(result, 1)
        self.assertIn('takes (i), not (s)', result.stderr.decode())
        self.assert_status(self.call('work', 'crash'), 4)
        self.assert_call(['--timeout', '0.2', 'work', 'hang'], 5, 'afrpc: The time limit of 0.2 s has passed\n')
        self.end(serving, signal.SIGTERM)
        self.assert_status(self.call('echo'), 3)

    def test_help(self):
        text = run('serve', '--help').stdout
        self.assertIn(b'it was told to end', text)
        self.assertNotIn(b'a call failed', text)

    def test_usage(self):
        for words in (['--strings', '--from-json', 'f'], ['--timeout', '-1', 'f'], ['--timeout', 'nan', 'f'],
                      ['--nkey', 'x', 'f'], []):
            self.assert_status(self.call(*words), 2)
        self.assert_status(run('call', '--subject', 'x', 'f'), 2)
        for subject in 'a b', 'a..b', '.a', 'a.', '>', 'x' * 1001:
            self.assert_status(run('serve', '--nats', self.nats.url, '--subject', subject, MODULE, 'echo'), 2)
            self.assert_status(run('call', '--nats', self.nats.url, '--subject', subject, 'echo'), 2)
        for n in '-1', '65536':
            self.assert_status(run('serve', '--nats', self.nats.url, '--subject', 'x', '--max-calls', n, MODULE, 'echo'), 2)
        self.assert_status(run('serve', '--nats', self.nats.url, '--subject', 'x', '/nowhere.so', 'echo'), 3)
        self.assert_status(run('serve', '--nats', 'nats://127.0.0.1:1', '--subject', 'x', MODULE, 'echo'), 3)

    def test_preparation(self):
        """What no worker can be prepared with is said once, however many fail of it."""
        for words in (['/nowhere.so', 'echo'], [MODULE, 'nonsense']):
            result = run('serve', '--nats', self.nats.url, '--subject', self.id(), '-j', '4', *words)
            self.assert_status(result, 3)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)

    def test_workers_die(self):
        """Who has no workers any more does not stay."""
        result = run('serve', '--nats', self.nats.url, '--subject', self.id(), '-j', '1', '--init', 'die_init', MODULE, 'echo')
        self.assert_status(result, 3)
        self.assertIn(b'before it was ready', result.stderr)

    def test_output(self):
        serving = self.serve()
        process = self.start_call('work', 'big', stdin=subprocess.DEVNULL)
        process.stdout.close()
        process.stdout = None
        self.assertEqual(self.finish(process, 141)[1], b'')
        with open('/dev/full', 'wb') as full:
            self.assert_status(self.call('work', 'x', stdout=full), 1)
        self.end(serving)

    def test_signals(self):
        serving = self.serve('--max-calls', '1')
        for signum in signal.SIGINT, signal.SIGTERM:
            fifo = self.make_fifo(f'fifo-{signum}')  # who has the other one may not yet have closed it
            process = self.start_call('work', 'fifo:' + fifo, stdin=subprocess.DEVNULL)
            worker = os.open(fifo, os.O_WRONLY)  # it has begun
            self.end(process, signum, 128 + signum)
            os.close(worker)
        self.end(serving)


if __name__ == '__main__':
    unittest.main()
