#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""afrpc map with workers on other machines, by a program that is found instead of ssh; see fake-ssh/ssh."""

import os
import shutil

from tool_case import MODULE, TOOL, ToolTest, environment, main, run_map, start


class TestMachines(ToolTest):
    def setUp(self):
        super().setUp()
        fake = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fake-ssh')
        self.down = os.path.join(self.folder, 'down')
        os.mkdir(self.down)
        self.env = environment(PATH=f'{fake}:{os.path.dirname(TOOL)}:{os.environ["PATH"]}', FAKE_SSH_DOWN=self.down,
                               XDG_CACHE_HOME=os.path.join(self.folder, 'cache'))

    def set_down(self, machine):
        with open(os.path.join(self.down, machine), 'w', encoding='utf-8'):
            pass

    def run_map(self, *args, **more):
        return run_map(*args, env=self.env, **more)

    def test_result(self):
        words = [f'word{i}' for i in range(100)]
        for machines in (['-S', 'here'], ['-S', '2/here-a,1/here-b,:'], ['-S', 'here-a', '--sshlogin=2/:'], ['-S', '1/:', '-j', '3']):
            with self.subTest(machines=machines):
                result = self.run_map('-k', *machines, MODULE, 'work', '--', *words)
                self.assert_status(result, 0)
                self.assertEqual(result.stdout.decode().split(), [word.upper() for word in words])
                self.assertEqual(result.stderr, b'afrpc: 100 succeeded, 0 failed\n')

    def test_all_machines_work(self):
        """As many inputs at once as there are workers in all: of one machine, as many as it says that it has processors."""
        fifos = [self.make_fifo(f'fifo{i}') for i in range(3 + len(os.sched_getaffinity(0)))]
        process = start('map', '-S', '2/here-a,here-b,1/:', MODULE, 'work', '--', *(f'fifo:{fifo}' for fifo in fifos),
                        env=self.env)
        ends = [os.open(fifo, os.O_WRONLY) for fifo in fifos]
        for end in ends:
            os.close(end)
        self.finish(process, 0)

    def test_send(self):
        module = os.path.join(self.folder, 'sent.so')
        shutil.copy(MODULE, module)
        for _ in range(2):
            result = self.run_map('-q', '-S', '2/here', '--send', module, 'work', '--', 'a')
            self.assert_status(result, 0)
            self.assertEqual(result.stdout, b'A\n')
            kept, = os.listdir(os.path.join(self.folder, 'cache', 'afrpc'))
            self.assertEqual(os.listdir(os.path.join(self.folder, 'cache', 'afrpc', kept)), ['sent.so'])
        result = self.run_map('-q', '-S', 'here', '--send', '/nowhere/x.so', 'work', '--', 'a')
        self.assert_status(result, 3)
        self.assertRegex(result.stderr, b"cannot send the module '/nowhere/x.so': No such file")

    def test_one_is_down(self):
        """The others have the work, and what is wrong is said once."""
        self.set_down('here-a')
        result = self.run_map('-S', '2/here-a,1/here-b', MODULE, 'work', '--', *['x'] * 200)
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b'X\n' * 200)
        self.assertEqual(result.stderr.count(b"afrpc: cannot reach 'here-a'"), 1)
        self.assertIn(b'200 succeeded, 0 failed', result.stderr)

    def test_all_are_down(self):
        for machine in 'here-a', 'here-b':
            self.set_down(machine)
        result = self.run_map('-S', 'here-a,here-b', MODULE, 'work', '--', 'x')
        self.assert_status(result, 3)
        self.assertEqual(result.stdout, b'')
        for machine in b'here-a', b'here-b':
            self.assertIn(b"afrpc: cannot reach '" + machine + b"'", result.stderr)
        self.assertIn(b'No machine has a worker any more', result.stderr)
        result = self.run_map('-S', 'here-a', MODULE, 'work', '--', 'x')
        self.assert_status(result, 3)
        self.assertIn(b"cannot reach 'here-a'", result.stderr)

    def test_no_afrpc_there(self):
        result = self.run_map('-S', 'no-afrpc,1/here', MODULE, 'work', '--', *['x'] * 20)
        self.assert_status(result, 0)
        self.assertIn(b'install afrpc', result.stderr)
        result = self.run_map('-S', 'no-afrpc', MODULE, 'work', '--', 'x')
        self.assert_status(result, 3)
        self.assertIn(b'install afrpc', result.stderr)

    def test_worker_dies(self):
        result = self.run_map('-S', '1/here', MODULE, 'work', '--', 'a', 'crash', 'b')
        self.assert_status(result, 1)
        self.assertEqual(sorted(result.stdout.split()), [b'A', b'B'])
        self.assertRegex(result.stderr, rb"crash: 'ssh here' running 'work' [^\n]*the worker was killed by signal 6")

    def test_usage(self):
        for machines in '', 'a,', '0/a', '5000/a', '-oProxyCommand=x', '2/-x', 'a b', '3/':
            with self.subTest(machines=machines):
                self.assert_usage(self.run_map('-S', machines, MODULE, 'work'), b'is no machine')


if __name__ == '__main__':
    main()
