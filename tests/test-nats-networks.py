#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls at random over a NATS server and two machines that serve, each with a network of its own, while processes are killed, cables
are cut, and packets are lost: each call has one outcome; none is begun twice that may not be; what is said of whether it was begun
is true; and nothing hangs. The workers write down what they begin. Exits with 77, and says why, where networks are not to be had.

usage: test-nats-networks.py TOOL WORKER

TOOL is the command afrpc, WORKER the module with the function carry. $AFRPC_NETWORKS_SEED says what happens, one at random without
that; $AFRPC_NETWORKS_CALLS how many calls there are."""

import collections
import contextlib
import ctypes
import heapq
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import gi
gi.require_version('Afrpc', '1.0')
gi.require_version('AfrpcNats', '1.0')
from gi.repository import Afrpc, AfrpcNats, Gio, GLib

import networks

TOOL, WORKER = map(os.path.abspath, sys.argv[1:3])
SEED = int(os.environ.get('AFRPC_NETWORKS_SEED') or random.randrange(1 << 32))
N_CALLS = int(os.environ.get('AFRPC_NETWORKS_CALLS') or 300)
NATS_SERVER = shutil.which('nats-server', path=os.environ['PATH'] + ':/usr/sbin')
CLONE_NEWNET = 0x40000000  # unshare(2)

SUBJECT = 'chaos'
N_PENDING_MAX = 30
PAUSE_MS = 25        # between calls, on the average
PATIENCE_S = 60      # for what is left when nothing is broken any more
SETTLED_S = 0.5      # after a time limit, or after a call was cancelled, as the documentation says
SLACK_S = 5          # for a machine that is busy
CONNECTED_S = 3      # after which who serves is connected, or has ended: nats.c gives up after two
N_BEGUN_MAX = 9      # of one that may be repeated: a caller makes it three times by default, and so does the pool of who serves
HARM_S = 15 * max(1, N_CALLS / 300)
N_PROGRESS = 5       # of the worker
LARGE_BYTES = 100000, 400000
LOSS = {'every': 40, 'delay_s': 0.005, 'jitter_s': 0.002}

# What the worker is told to do; see pool-worker.c.
SHORT, CRASH, FAIL, EVENT, FOREVER, SLOW, LONG, PROGRESS = 0, 1, 2, 4, 5, 6, 8, 9
WHATS = [SHORT] * 5 + [SLOW] * 4 + [LONG] * 3 + [EVENT] * 2 + [PROGRESS] * 2 + [CRASH, FAIL, FOREVER]


class Process:
    """One that runs on a machine, and is started again when it has ended."""

    def __init__(self, machine, folder, *words):
        self.machine, self.words = machine, words
        self.process = None
        self.log = folder / f'{machine.name}.log'
        self.is_wanted = True
        self.began_s = None

    def keep(self):
        if self.is_wanted and (self.process is None or self.process.poll() is not None):
            self.began_s = time.monotonic()
            with open(self.log, 'ab') as log:
                self.process = subprocess.Popen([*self.machine.prefix, *self.words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def signal(self, signum):
        if self.process is not None:
            self.process.send_signal(signum)

    def kill(self):
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def has_begun(self):
        """It is not one that began while NATS was not there, and is about to end for that."""
        return self.process.poll() is None and time.monotonic() > self.began_s + CONNECTED_S

    def list_workers(self):
        with contextlib.suppress(OSError), open(f'/proc/{self.process.pid}/task/{self.process.pid}/children', encoding='ascii') as pids:
            return [int(pid) for pid in pids.read().split()]
        return []


class Harm(threading.Thread):
    """What happens to the machines, until it is stopped; then everything is as it was."""

    def __init__(self, random_, nats, serving):
        super().__init__()
        self.random, self.nats, self.serving = random_, nats, serving
        self.counts = collections.Counter()
        self.undoing = []  # heap of (time, number, function)
        self.n = 0
        self.busy = set()  # what is cut, stopped or lossy
        self.is_over = threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.is_over.wait(0.02):
                self.undo(time.monotonic())
                self.keep()
                if self.random.random() < 0.06:
                    self.do_harm()
        except Exception as error:
            self.failure = error
        finally:
            self.undo(float('inf'))

    def keep(self):
        for process in (self.nats, *self.serving):
            process.keep()

    def stop(self):
        self.is_over.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def undo(self, now):
        while self.undoing and self.undoing[0][0] <= now:
            heapq.heappop(self.undoing)[2]()

    def later(self, what, seconds, undo):
        """Until then nothing else of that kind happens to it."""
        self.busy.add(what)
        self.n += 1

        def do():
            self.busy.discard(what)
            undo()

        heapq.heappush(self.undoing, (time.monotonic() + seconds, self.n, do))

    def do_harm(self):
        harms = [self.kill_worker] * 8 + [self.kill_serving] * 3 + [self.cut] * 4 + [self.lose] * 2 + [
            self.end_serving, self.stop_serving, self.kill_nats, self.cut_caller]
        harm = self.random.choice(harms)
        process = self.random.choice(self.serving)
        if harm(process) is not False:
            self.counts[harm.__name__] += 1

    def kill_worker(self, process):
        """Or a child that is about to be one, or was."""
        pids = process.list_workers()
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.random.choice(pids), signal.SIGKILL)

    def take_away(self, process):
        """So that it is started again after a while."""
        process.is_wanted = False

        def undo():
            process.is_wanted = True

        self.later((process, 'away'), self.random.uniform(0, 1), undo)

    def kill_serving(self, process):
        if (process, 'away') in self.busy:
            return False
        process.kill()
        self.take_away(process)

    def kill_nats(self, _):
        return self.kill_serving(self.nats)

    def end_serving(self, process):
        process.signal(signal.SIGTERM)

    def stop_serving(self, process):
        if (process, 'stopped') in self.busy:
            return False
        process.signal(signal.SIGSTOP)
        self.later((process, 'stopped'), self.random.uniform(0, 2.5), lambda: process.signal(signal.SIGCONT))

    def cut(self, process):
        """Off from all others. One that serves is so more often than NATS, which is everybody."""
        machine = self.random.choice([process, process, process, self.nats]).machine
        if (machine, 'cut') in self.busy:
            return False
        machine.set_link('down')

        def undo():
            machine.set_link('up')
            machine.set_route()

        self.later((machine, 'cut'), self.random.uniform(0, 3), undo)

    def cut_caller(self, _):
        """NATS sends nothing to the program any more."""
        machine = self.nats.machine
        if (machine, 'caller') in self.busy or (machine, 'cut') in self.busy:
            return False
        networks.call(*machine.prefix, 'ip', 'route', 'add', 'blackhole', f'{machine.here}/32')
        self.later((machine, 'caller'), self.random.uniform(0, 3),
                   lambda: networks.call(*machine.prefix, 'ip', 'route', 'del', 'blackhole', f'{machine.here}/32', check=False))

    def lose(self, process):
        machine = self.random.choice([process, self.nats]).machine
        if (machine, 'lossy') in self.busy:
            return False
        with contextlib.suppress(OSError):  # not everywhere are there such devices
            self.later((machine, 'lossy'), self.random.uniform(0.5, 2), machine.lose_packets(**LOSS).close)


class Machine(networks.Machine):
    """The test passes on what they send to each other."""

    def set_up(self):
        super().set_up()
        self.set_route()

    def set_route(self):
        """Gone with a link that was down. That it is reached by this one is not for the cable to decide that loses packets."""
        networks.call(*self.prefix, 'ip', 'route', 'replace', 'default', 'via', self.here, 'dev', self.far, 'onlink')

    def lose_packets(self, **loss):
        """Of the connections that there are, too: their addresses stay."""
        link = super().lose_packets(**loss)
        networks.call('ip', 'route', 'replace', f'{self.address}/32', 'dev', f'{self.near}t', 'src', self.here)
        # Beside the routes that there are, and before them: with the same destination, one would be taken for the other.
        for there in '0.0.0.0/1', f'{self.here.rpartition(".")[0]}.0/25':
            networks.call(*self.prefix, 'ip', 'route', 'add', there, 'dev', f'{self.far}t', 'src', self.address)
        return link


class Call:
    """One that was made, and what has become of it."""

    def __init__(self, number, what, is_idempotent, size, timeout_s):
        self.number, self.what, self.is_idempotent, self.timeout_s = number, what, is_idempotent, timeout_s
        self.bytes = bytes([number % 251]) * size
        self.cancellable = Gio.Cancellable()
        self.began_s = time.monotonic()
        self.limit_s = self.began_s + timeout_s if timeout_s is not None else float('inf')
        self.n_settled, self.settled_s = 0, None
        self.progress = []
        self.value, self.error = None, None

    def __repr__(self):
        return (f'<call {self.number}: {self.what}, {len(self.bytes)} bytes{", idempotent" * self.is_idempotent}, {self.timeout_s} s, '
                f'settled {self.n_settled} times: {self.value and self.value[0]} {self.error!r} {getattr(self.error, "started", None)}>')

    def cancel(self):
        self.cancellable.cancel()
        if self.n_settled == 0:
            self.limit_s = min(self.limit_s, time.monotonic())
        return GLib.SOURCE_REMOVE

    def settled_cb(self, pending):
        self.n_settled += 1
        self.settled_s = time.monotonic()
        try:
            self.value = pending.result()
        except GLib.Error as error:
            self.error = error

    def progress_cb(self, value):
        self.progress.append((value, self.n_settled))


def give_up(signum, _):
    signal.signal(signum, signal.SIG_IGN)  # what is set up is taken down
    raise InterruptedError(signal.strsignal(signum))


class TestNatsNetworks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # One of the test's own besides those of the machines, where it may pass on what is not for it.
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise networks.NoNetwork(f'unshare: {os.strerror(ctypes.get_errno())}')
        networks.call('ip', 'link', 'set', 'lo', 'up')
        try:
            pathlib.Path('/proc/sys/net/ipv4/ip_forward').write_text('1')
        except OSError as error:
            raise networks.NoNetwork(f'ip_forward: {error}') from None
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix='afrpc-networks-')))
        cls.machines = [Machine(number) for number in (1, 2, 3)]
        for machine in cls.machines:
            cls.addClassCleanup(machine.tear_down)
            machine.set_up()

    def setUp(self):
        nats, *others = self.machines
        self.url = f'nats://{nats.address}:4222'
        self.ledger = self.folder / 'ledger'
        self.ledger.touch()
        self.nats = Process(nats, self.folder, NATS_SERVER, '-a', '0.0.0.0', '-p', '4222')
        self.serving = [Process(machine, self.folder, TOOL, 'serve', '--nats', self.url, '--subject', SUBJECT, '-j', '2',
                                '--init', 'init_log', '--init-arg', str(self.ledger), WORKER, 'carry') for machine in others]
        self.addCleanup(self.end_all)
        self.random = random.Random(SEED)
        self.calls, self.events = [], collections.Counter()
        self.unwritten = []  # calls that are said to have been begun, and were not
        self.nats.keep()
        connection = AfrpcNats.Connection.new(self.url)
        self.wait_for(lambda: connection.get_state() in (AfrpcNats.State.CONNECTED, AfrpcNats.State.FAILED), 'a connection')
        while connection.get_state() == AfrpcNats.State.FAILED:  # the server does not listen yet
            self.assertIsNone(self.nats.process.poll())
            connection = AfrpcNats.Connection.new(self.url)
            self.wait_for(lambda: connection.get_state() in (AfrpcNats.State.CONNECTED, AfrpcNats.State.FAILED), 'a connection')
        self.caller = AfrpcNats.Caller(connection=connection, subject=SUBJECT, no_servers_timeout_ms=PATIENCE_S * 1000,
                                       on_event=self.event_cb)
        self.caller.connect('error', lambda *_: None)
        for process in self.serving:
            process.keep()

    def end_all(self):
        for process in (*self.serving, self.nats):
            process.kill()

    def event_cb(self, event):
        self.events[event] += 1

    def wait_for(self, condition, what):
        end_s = time.monotonic() + PATIENCE_S
        # What is looked at need not wake anybody up.
        tick = GLib.timeout_add(20, lambda: GLib.SOURCE_CONTINUE)
        while not condition():
            if time.monotonic() > end_s:
                self.fail(f'{what} does not come: {self.describe_state()}')
            GLib.MainContext.default().iteration(True)
        GLib.source_remove(tick)

    def describe_state(self):
        pending = [call for call in self.calls if call.n_settled == 0]
        logs = {process.machine.name: (process.process.poll(), process.list_workers(), process.log.read_text()[-500:])
                for process in (self.nats, *self.serving)}
        return (f'{self.caller.get_n_calls_queued()} queued, {self.caller.get_n_calls_sent()} sent, {self.caller.get_n_servers()} servers, '
                f'{self.caller.get_connection().get_state()}; {pending}; {logs}')

    def make_call(self, what, is_idempotent, size=0, timeout_s=None):
        call = Call(len(self.calls), what, is_idempotent, size, timeout_s)
        self.calls.append(call)
        self.caller.invoke(call.number, what, call.bytes, signature='(uuay)', callback=call.settled_cb, idempotent=is_idempotent,
                           timeout_ms=round(timeout_s * 1000) if timeout_s is not None else None, cancellable=call.cancellable,
                           on_progress=call.progress_cb if what == PROGRESS else None)
        return call

    def make_some_call(self):
        choose = self.random
        what = choose.choice(WHATS)
        is_idempotent = choose.random() < 0.35
        size = choose.randint(*LARGE_BYTES) if choose.random() < 0.1 else choose.randint(0, 1000)
        timeout_s = choose.uniform(0.001, 0.5) if what == FOREVER or choose.random() < 0.1 else None
        call = self.make_call(what, is_idempotent, size, timeout_s)
        if choose.random() < 0.1:
            GLib.timeout_add(choose.randint(0, 200), call.cancel)

    def get_n_pending(self):
        return sum(call.n_settled == 0 for call in self.calls[-1000:])

    def make_calls(self, end_s):
        while len(self.calls) < N_CALLS and time.monotonic() < end_s:
            for _ in range(self.random.randint(0, 8)):
                if self.get_n_pending() < N_PENDING_MAX and len(self.calls) < N_CALLS:
                    self.make_some_call()
            awake = []
            GLib.timeout_add(self.random.randint(0, 8 * PAUSE_MS), awake.append, 1)
            while not awake:
                GLib.MainContext.default().iteration(True)

    def make_last_calls(self):
        """So many together that both have some, until all succeed."""
        end_s = time.monotonic() + PATIENCE_S
        while True:
            last = [self.make_call(EVENT, False, 100000) for _ in range(20)]
            self.wait_for(lambda: all(call.n_settled > 0 for call in last), 'an outcome')
            is_well = all(call.value is not None for call in last) and all(
                process.has_begun() and process.list_workers() for process in self.serving)
            if is_well or time.monotonic() > end_s:
                return last

    def read_ledger(self):
        return collections.Counter(record[0] for record in struct.iter_unpack('=III', self.ledger.read_bytes()))

    def check(self, call, n_begun):
        self.assertEqual(call.n_settled, 1, call)
        if not call.is_idempotent:
            self.assertLessEqual(n_begun, 1, call)
        self.assertLessEqual(n_begun, N_BEGUN_MAX, call)
        self.assertLess(call.settled_s, call.limit_s + SETTLED_S + SLACK_S, call)
        if call.value is not None:
            self.assertEqual(call.value, (call.number, call.bytes), call)
            self.assertGreaterEqual(n_begun, 1, call)
            self.assertNotIn(call.what, (CRASH, FAIL), call)
        else:
            self.check_error(call, n_begun)
        numbers = [value[1] for value, n_settled in call.progress if value[0] == call.number and n_settled == 0]
        self.assertEqual(len(numbers), len(call.progress), call)
        self.assertLessEqual(len(numbers), N_PROGRESS * n_begun, call)
        if n_begun <= 1:
            self.assertEqual(numbers, sorted(set(numbers)), call)

    def check_error(self, call, n_begun):
        error = call.error
        if error.started == Afrpc.Started.NO:
            self.assertEqual(n_begun, 0, call)
        elif error.started == Afrpc.Started.YES and n_begun == 0:
            # Its worker was killed, or it was cancelled, just before the function was entered: that is seldom so.
            self.assertFalse(error.matches(GLib.file_error_quark(), GLib.FileError.NOENT), call)
            self.unwritten.append(call)
        if error.matches(GLib.file_error_quark(), GLib.FileError.NOENT):
            self.assertEqual((call.what, error.started), (FAIL, Afrpc.Started.YES), call)
        elif error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED):
            self.assertTrue(call.cancellable.is_cancelled(), call)
        elif error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT) or isinstance(error, TimeoutError):
            self.assertIsNotNone(call.timeout_s, call)
        else:
            self.assertTrue(error.matches(Afrpc.error_quark(), Afrpc.Error.DIED)
                            or error.matches(Afrpc.error_quark(), Afrpc.Error.NOT_STARTED), call)

    def describe(self, call):
        if call.error is None:
            return 'value'
        words = {Afrpc.Started.NO: 'not started', Afrpc.Started.YES: 'started', Afrpc.Started.UNKNOWN: 'unknown'}
        return f'{type(call.error).__name__} {call.error.code}, {words[call.error.started]}'

    def test_harm(self):
        began_s = time.monotonic()
        harm = Harm(random.Random(SEED + 1), self.nats, self.serving)
        harm.start()
        try:
            self.make_calls(began_s + HARM_S)
        finally:
            harm.stop()
        harmed_s = time.monotonic()
        # Now nothing is broken any more, but what was lost before that may not have been sent again yet. Who began while NATS was
        # not there has ended.
        keeping = GLib.timeout_add(100, lambda: harm.keep() or GLib.SOURCE_CONTINUE)
        self.make_calls(harmed_s + PATIENCE_S + N_CALLS * PAUSE_MS / 1000)
        self.assertGreaterEqual(len(self.calls), N_CALLS, self.describe_state())
        self.wait_for(lambda: all(call.n_settled > 0 for call in self.calls), 'an outcome')
        last = self.make_last_calls()
        GLib.source_remove(keeping)
        for process in self.serving:
            process.signal(signal.SIGTERM)
        self.wait_for(lambda: all(process.process.poll() is not None for process in self.serving), 'the end of who serves')
        self.caller.close()
        n_begun = self.read_ledger()
        outcomes = collections.Counter(map(self.describe, self.calls))
        print(f'seed {SEED}: {len(self.calls)} calls, {sum(n_begun.values())} begun, {dict(outcomes)}; {dict(harm.counts)}; '
              f'{sum(self.events.values())} events of {sum(n_begun[call.number] for call in self.calls if call.what == EVENT)}; '
              f'{harmed_s - began_s:.1f} s, and {time.monotonic() - harmed_s:.1f} s for the rest')
        for call in self.calls:
            with self.subTest(seed=SEED):
                self.check(call, n_begun[call.number])
        self.assertLessEqual(len(self.unwritten), 1 + len(self.calls) / 1000, self.unwritten)
        for call in last:
            self.assertIsNotNone(call.value, call)
        for number, n in self.events.items():
            self.assertLessEqual(n, n_begun[number], self.calls[number])
        self.assertEqual([process.process.returncode for process in self.serving], [0, 0], self.describe_state())


def main():
    missing = networks.say_what_is_missing() or (NATS_SERVER is None and 'nats-server is not installed')
    if missing:
        print(missing)
        return 77
    for signum in signal.SIGALRM, signal.SIGTERM:
        signal.signal(signum, give_up)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(TestNatsNetworks)
    try:
        result = unittest.TextTestRunner(verbosity=2).run(suite)
    finally:
        left = networks.list_left()
        assert not left, left
    if any('NoNetwork' in text and 'setUpClass' in str(test) for test, text in result.errors):
        return 77
    return not result.wasSuccessful()


sys.exit(main())
