#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Workers on two machines that have networks of their own: namespaces, each with a server, and a cable to the test's own. Exits
with 77, and says why, where that is not to be had.

usage: test-ssh-networks.py TOOL MODULE

TOOL is the command afrpc, MODULE the worker of its tests. What is known of a machine that is gone is what the command says."""

import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import networks
import own_sshd

TOOL, MODULE = map(os.path.abspath, sys.argv[1:3])
PATIENCE_S = 60
INTERVAL_S = 1  # of the test: a network that is dead is noticed after at most three times as long
NOTICED_S = 3 * INTERVAL_S
SLACK_S = 5     # for a machine that is busy


def give_up(signum, _):
    raise InterruptedError(signal.strsignal(signum))


class Machine(networks.Machine):
    """One that has a server."""

    def __init__(self, folder, number, environment):
        super().__init__(number)
        self.sshd = None
        self.folder, self.environment = folder, environment

    def set_up(self):
        super().set_up()
        self.sshd = own_sshd.Sshd(self.folder / self.name, address=self.address, port=22, prefix=self.prefix,
                                  path=os.path.dirname(TOOL), environment=self.environment)
        self.sshd.start()

    def reboot(self):
        self.set_link('down')
        self.kill_all()
        self.sshd.wait()
        self.set_link('up')
        self.sshd.start()

    def tear_down(self):
        self.kill_all()
        if self.sshd is not None:
            self.sshd.wait()
        super().tear_down()


class TestNetworks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix='afrpc-networks-')))
        environment = {'XDG_CACHE_HOME': f'{cls.folder}/cache'}
        cls.machines = [Machine(cls.folder, number, environment) for number in (1, 2)]
        for machine in cls.machines:
            cls.addClassCleanup(machine.tear_down)
            machine.set_up()
        cls.config = cls.folder / 'ssh_config'
        cls.config.write_text(''.join(machine.sshd.get_client_config(f'm{i}') for i, machine in enumerate(cls.machines, 1)))
        for name in 'm1', 'm2':
            own_sshd.check(cls.config, name)

    def setUp(self):
        self.fifos = 0
        self.started = []
        # Who waits for a worker that does not come is woken up.
        signal.alarm(PATIENCE_S)
        self.addCleanup(signal.alarm, 0)
        self.addCleanup(self.end_started)

    def end_started(self):
        for process in self.started:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=PATIENCE_S)

    def start(self, *args, machines='1/m1,1/m2'):
        process = subprocess.Popen(
            [TOOL, 'map', '-S', machines, f'--ssh-option=-F{self.config}', f'--ssh-option=-oServerAliveInterval={INTERVAL_S}',
             f'--ssh-option=-oConnectTimeout={NOTICED_S}', *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, 'LC_ALL': 'C.UTF-8'}, bufsize=0)
        self.started.append(process)
        return process

    def finish(self, process, status, text=b''):
        out, err = process.communicate(text, timeout=PATIENCE_S)
        self.assertEqual(process.returncode, status, (out, err))
        return out.split(), err

    def make_fifo(self):
        self.fifos += 1
        path = self.folder / f'{self.id()}-{self.fifos}'
        os.mkfifo(path)
        return path

    def begin_both(self, process):
        """A call on each machine, which runs until its pipe is closed. Returns what closes which."""
        fifos = [self.make_fifo() for _ in range(2)]
        process.stdin.write(b''.join(f'fifo:{fifo}\n'.encode() for fifo in fifos))
        return [(fifo, os.open(fifo, os.O_WRONLY)) for fifo in fifos]

    def test_calls(self):
        """Both are there, and what is sent is sent once to each."""
        sent = self.folder / 'sent.so'
        shutil.copy(MODULE, sent)
        words = [f'word{i}' for i in range(200)]
        process = self.start('-k', '--send', str(sent), 'work', '--', *words)
        out, _ = self.finish(process, 0)
        self.assertEqual([word.decode() for word in out], [word.upper() for word in words])

    def test_loss(self):
        """Packets that are late, or lost, are the network's affair."""
        links = []
        for machine in self.machines:
            try:
                links.append(machine.lose_packets())
            except OSError as error:
                self.skipTest(str(error))
            self.addCleanup(links[-1].close)
        out, _ = self.finish(self.start(MODULE, 'work', '--', *['x'] * 100), 0)
        self.assertEqual(out, [b'X'] * 100)
        for link in links:
            self.assertGreater(link.n_lost, 0)

    def test_link_goes_away(self):
        """It is noticed in time; what ran there has failed, and nobody knows how far it came; the rest is done by the other."""
        process = self.start(MODULE, 'work')
        ends = self.begin_both(process)
        began = time.monotonic()
        self.machines[1].set_link('down')
        self.addCleanup(self.machines[1].set_link, 'up')
        lines = []
        while not lines or b'the link to the worker broke' not in lines[-1]:
            lines.append(process.stderr.readline())
            self.assertTrue(lines[-1], lines)
        took = time.monotonic() - began
        self.assertLess(took, NOTICED_S + SLACK_S)
        lost = re.search(rb'fifo:(\S+): .*ssh m2', lines[-1])
        self.assertIsNotNone(lost, lines)
        for fifo, end in ends:
            os.close(end)
        out, err = self.finish(process, 1, b'x\n' * 50)
        kept = next(str(fifo) for fifo, _ in ends if os.fsencode(fifo) != lost[1])
        self.assertEqual(sorted(out), sorted([b'X'] * 50 + [f'fifo:{kept}'.upper().encode()]))
        self.assertIn(b'51 succeeded, 1 failed', err)

    def test_reboot(self):
        """A machine whose processes are all gone, and that comes up again, has work again."""
        process = self.start(MODULE, 'work')
        ends = self.begin_both(process)
        self.machines[1].reboot()
        for _, end in ends:
            os.close(end)
        # Only when both have one at the same time can both pipes be opened.
        for _, end in self.begin_both(process):
            os.close(end)
        out, err = self.finish(process, 1)
        self.assertEqual(len(out), 3, err)
        self.assertRegex(err, rb'ssh m2[^\n]*exited with status 255')

    def test_program_is_killed(self):
        """Its workers end in the middle of their calls: ssh says nothing there but that no more comes."""
        process = self.start(MODULE, 'work')
        ends = self.begin_both(process)
        process.kill()
        for _, end in ends:
            # That nobody reads any more is all that is waited for.
            poller = select.poll()
            poller.register(end, 0)
            self.assertEqual(poller.poll(PATIENCE_S * 1000), [(end, select.POLLERR)])
            os.close(end)

    def test_nobody_there(self):
        """One that is cut off from the beginning keeps nothing waiting."""
        self.machines[0].set_link('down')
        self.addCleanup(self.machines[0].set_link, 'up')
        process = self.start(MODULE, 'work', '--', *['x'] * 20)
        out, err = self.finish(process, 0)
        self.assertEqual(out, [b'X'] * 20)


def main():
    missing = networks.say_what_is_missing()
    if missing is not None:
        print(missing)
        return 77
    for signum in signal.SIGALRM, signal.SIGTERM:
        signal.signal(signum, give_up)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(TestNetworks)
    try:
        result = unittest.TextTestRunner(verbosity=2).run(suite)
    finally:
        left = networks.list_left()
        assert not left, left
    if any('NoServer' in text or 'NoNetwork' in text for _, text in result.errors):
        return 77
    return not result.wasSuccessful()


sys.exit(main())
