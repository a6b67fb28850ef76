# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines that have networks of their own: namespaces, each with a cable to the test's. That takes root, and iproute2."""

import contextlib
import os
import shutil
import signal
import subprocess

import lossy_link

LOSS = {'every': 20, 'delay_s': 0.02, 'jitter_s': 0.005}


class NoNetwork(Exception):
    """There is none to be had here, and why."""


def call(*command, check=True):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if check and done.returncode != 0:
        raise NoNetwork(f'{" ".join(command)}: {done.stderr.strip()}')
    return done.stdout


def say_what_is_missing():
    """Why there can be no machines, or None."""
    if os.geteuid() != 0:
        return 'namespaces of the network need root'
    if shutil.which('ip') is None:
        return 'there is no iproute2'
    return None


def list_left():
    """The namespaces that a test has left, which is a fault of its own."""
    return [line for line in call('ip', 'netns', 'list', check=False).split() if line.startswith(f'afrpc-{os.getpid()}-')]


class Machine:
    """A namespace, and the cable to it."""

    def __init__(self, number):
        self.number = number
        self.name = f'afrpc-{os.getpid()}-{number}'
        self.near, self.far = f'af{os.getpid() % 100000}n{number}', f'af{os.getpid() % 100000}f{number}'
        self.here, self.address = f'10.213.{number}.1', f'10.213.{number}.2'
        self.prefix = ['ip', 'netns', 'exec', self.name]

    def set_up(self):
        call('ip', 'netns', 'add', self.name)
        call('ip', 'link', 'add', self.near, 'type', 'veth', 'peer', 'name', self.far, 'netns', self.name)
        call('ip', 'addr', 'add', f'{self.here}/24', 'dev', self.near)
        call(*self.prefix, 'ip', 'addr', 'add', f'{self.address}/24', 'dev', self.far)
        call('ip', 'link', 'set', self.near, 'up')
        for device in 'lo', self.far:
            call(*self.prefix, 'ip', 'link', 'set', device, 'up')

    def set_link(self, state):
        """Of the far end: here it looks as if nobody answered, as behind a switch."""
        call(*self.prefix, 'ip', 'link', 'set', self.far, state)

    def lose_packets(self, **loss):
        """By another cable, until that is closed."""
        here, there = f'10.214.{self.number}.1', f'10.214.{self.number}.2'
        link = lossy_link.LossyLink(self.name, f'{self.near}t', f'{self.far}t', here, there, **{**LOSS, **loss})
        call('ip', 'route', 'add', f'{self.address}/32', 'dev', f'{self.near}t', 'src', here)
        return link

    def list_pids(self):
        return [int(pid) for pid in call('ip', 'netns', 'pids', self.name, check=False).split()]

    def kill_all(self):
        """All that runs there, which is ours, at once."""
        for pid in self.list_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def tear_down(self):
        self.kill_all()
        call('ip', 'link', 'del', self.near, check=False)
        call('ip', 'netns', 'del', self.name, check=False)
