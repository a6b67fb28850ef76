#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Python's own ways to call a child process: --variant pipe (multiprocessing.Pipe), forkserver (the same,
with a process that was forked from multiprocessing's server), executor
(concurrent.futures.ProcessPoolExecutor with one worker) or shared (multiprocessing.shared_memory beside a pipe)."""

import argparse
import collections
import concurrent.futures
import json
import multiprocessing
import os
import sys
from multiprocessing import resource_tracker

from bench_common import (SKIPPED, WINDOW, check, fail, make_numbers, make_values, peaks, private_kb, rate_spawns, text,
                          time_calls, time_echoes)

# Both ends of a Pipe block while they write: with more calls in flight than their sockets hold
# (some 270 small messages), parent and child would wait for each other for ever.
PIPE_WINDOW = 100
WARM_UP = 100

context = multiprocessing.get_context('fork')


def echo(argument):
    return argument


def serve_pipe(connection, parent_end):
    parent_end.close()
    try:
        while True:
            method, argument = connection.recv()
            if method == 'emit':
                for i in range(int(argument)):
                    connection.send(text(i))
            elif method == 'double':
                argument = argument * 2
            elif method == 'double shared':
                argument = double_shared(argument)
            connection.send(argument)
    except EOFError:
        pass


class Shared:
    """Memory that two processes have, as an array of numbers."""

    def __init__(self, name=None, size=0):
        import numpy
        from multiprocessing import shared_memory
        self.memory = shared_memory.SharedMemory(name=name, create=name is None, size=size)
        self.numbers = numpy.frombuffer(self.memory.buf)

    def close(self, unlink=False):
        del self.numbers
        self.memory.close()
        if unlink:
            self.memory.unlink()


def double_shared(name):
    import numpy
    given = Shared(name)
    made = Shared(size=given.numbers.nbytes)
    numpy.multiply(given.numbers, 2, out=made.numbers)
    given.close()
    made.close()
    return made.memory.name


class Pipe:
    """A process with a loop around a duplex pipe."""

    context = context

    def __init__(self):
        self.connection, child_end = self.context.Pipe()
        self.process = self.context.Process(target=serve_pipe, args=(child_end, self.connection))
        self.process.start()
        child_end.close()
        self.pid = self.process.pid

    def calls(self, n, window):
        send, recv = self.connection.send, self.connection.recv
        window = min(window, PIPE_WINDOW, n)
        for i in range(window):
            send(('echo', text(i)))
        for i in range(n):
            check(recv(), i)
            if i + window < n:
                send(('echo', text(i + window)))

    def events(self, n):
        self.connection.send(('emit', text(n)))
        for i in range(n + 1):
            check(self.connection.recv(), i)

    def ask(self, method, argument):
        self.connection.send((method, argument))
        return self.connection.recv()

    def double(self, numbers, expected, shared):
        import numpy
        if not shared:
            answer = self.ask('double', numbers)
            return lambda: numpy.array_equal(answer, expected)

        given = Shared(size=numbers.nbytes)
        given.numbers[:] = numbers
        made = Shared(self.ask('double shared', given.memory.name))
        given.close(True)

        def is_right():
            same = numpy.array_equal(made.numbers, expected)
            made.close(True)
            return same

        return is_right

    def close(self):
        self.connection.close()
        self.process.join()
        if self.process.exitcode != 0:
            fail(f'the child exited with {self.process.exitcode}')


class ForkServer(Pipe):
    """The same, forked from a server and not from this process."""

    context = multiprocessing.get_context('forkserver')


class Executor:
    """The standard library's pool, with one process."""

    def __init__(self):
        self.pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=context)
        self.pid = self.pool.submit(os.getpid).result()

    def calls(self, n, window):
        submit = self.pool.submit
        pending = collections.deque()
        for i in range(min(window, n)):
            pending.append(submit(echo, text(i)))
        for i in range(n):
            check(pending.popleft().result(), i)
            if i + window < n:
                pending.append(submit(echo, text(i + window)))

    def close(self):
        self.pool.shutdown()


def run(peer, workload, n):
    if workload == 'W1':
        peer.calls(n, 1)
    elif workload == 'W2':
        peer.calls(n, WINDOW)
    elif workload == 'W3' and isinstance(peer, Pipe):
        peer.events(n)
    else:
        fail(f'no such workload here: {workload}')


def echo_value(peer, value):
    answer = peer.ask('echo', value)
    return lambda: answer == value


def measure_large(workload, n, shared):
    if shared:  # one for both processes, of which either makes what the other removes
        resource_tracker.ensure_running()
    peer = Pipe()
    if workload == 'W8':
        try:
            numbers = make_numbers()
        except ImportError:
            sys.exit(SKIPPED)
        expected = numbers * 2
        result = time_echoes(lambda: peer.double(numbers, expected, shared), n)
    else:
        value = make_values()[workload.partition('-')[2]]
        result = time_echoes(lambda: echo_value(peer, value), n)
    peer.close()
    return {**result, **peaks()}


def measure(kind, workload, n):
    if workload == 'W5':
        if kind is ForkServer:  # the server's own start is not counted
            kind().close()

        def spawn():
            peer = kind()
            peer.calls(1, 1)
            peer.close()

        return rate_spawns(spawn, n)

    peer = kind()
    if workload == 'W6':
        peer.calls(n, 1)
        result = {'value': private_kb(peer.pid), 'unit': 'kB'}
    else:
        run(peer, workload, WARM_UP)
        result = time_calls(lambda n: run(peer, workload, n), workload, n, peer.pid)
    peer.close()
    return result


def main():
    kinds = {'pipe': Pipe, 'forkserver': ForkServer, 'executor': Executor, 'shared': None}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--workload', default='W1')
    parser.add_argument('--variant', choices=kinds, default='pipe')
    parser.add_argument('--n', type=int, default=1000)
    options = parser.parse_args()

    if options.workload == 'W1':
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    result = {'peer': 'python', 'variant': options.variant, 'workload': options.workload,
              'n': options.n}
    if options.workload.startswith(('W7', 'W8')):
        result.update(measure_large(options.workload, options.n, options.variant == 'shared'))
    else:
        result.update(measure(kinds[options.variant], options.workload, options.n))
    print(json.dumps(result))


if __name__ == '__main__':
    main()
