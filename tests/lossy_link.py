# SPDX-License-Identifier: LGPL-2.1-or-later
"""A cable to a namespace of the network that loses packets and delays the others, made of two TUN devices: not all kernels
have netem."""

import contextlib
import fcntl
import heapq
import os
import random
import selectors
import struct
import subprocess
import threading
import time

TUNSETIFF = 0x400454ca  # linux/if_tun.h
IFF_TUN_NO_PI = 0x1001
PACKET_MAX = 65536


def open_tun(name):
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH', name.encode(), IFF_TUN_NO_PI))
    return fd


class LossyLink:
    """From now on until it is closed, when its devices are gone, and their routes."""

    def __init__(self, namespace, near, far, here, there, every, delay_s, jitter_s):
        """near, far: names of devices; here, there: addresses; every: which packets are lost, each 20th or so."""
        self.every, self.delay_s, self.jitter_s = every, delay_s, jitter_s
        self.n_lost = 0
        self.fds = []
        self.stop, self.stopped = os.pipe()
        self.thread = threading.Thread(target=self.carry, daemon=True)
        try:
            for name in near, far:
                self.fds.append(open_tun(name))
            inside = ['ip', 'netns', 'exec', namespace]
            for command in (['ip', 'link', 'set', far, 'netns', namespace],
                            ['ip', 'addr', 'add', here, 'peer', there, 'dev', near],
                            ['ip', 'link', 'set', near, 'up'],
                            [*inside, 'ip', 'addr', 'add', there, 'peer', here, 'dev', far],
                            [*inside, 'ip', 'link', 'set', far, 'up']):
                subprocess.run(command, check=True, stderr=subprocess.PIPE)
        except (OSError, subprocess.CalledProcessError):
            self.close()
            raise
        self.thread.start()

    def carry(self):
        under_way, n_packets = [], 0
        with selectors.DefaultSelector() as selector:
            for fd in (self.stop, *self.fds):
                selector.register(fd, selectors.EVENT_READ)
            while True:
                wait_s = max(0, under_way[0][0] - time.monotonic()) if under_way else None
                for key, _ in selector.select(wait_s):
                    if key.fd == self.stop:
                        return
                    packet = os.read(key.fd, PACKET_MAX)
                    n_packets += 1
                    if n_packets % self.every == 0:
                        self.n_lost += 1
                        continue
                    due = time.monotonic() + self.delay_s + random.uniform(-self.jitter_s, self.jitter_s)
                    other = self.fds[1 - self.fds.index(key.fd)]
                    heapq.heappush(under_way, (due, n_packets, other, packet))
                while under_way and under_way[0][0] <= time.monotonic():
                    *_, other, packet = heapq.heappop(under_way)
                    with contextlib.suppress(OSError):  # the far end may be down
                        os.write(other, packet)

    def close(self):
        if self.thread.ident is not None:
            os.close(self.stopped)
            self.stopped = None
            self.thread.join()
        for fd in (self.stop, self.stopped, *self.fds):
            if fd is not None:
                os.close(fd)
        self.fds = []
