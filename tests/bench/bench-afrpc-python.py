#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""afrpc with a program and a worker in Python. Variants: "sync" and "async" are the worker's backend, called with
callbacks from GLib's main loop; "sync-await" and "async-await" are called by coroutines of asyncio;
"sync-direct" in W1 by invoke_sync (); "sync-buffer" in W8 sends shared memory; "sync-fork" and "async-fork" have workers that are forked from a template
and not executed."""

import argparse
import collections
import json
import os
import sys

from bench_common import (SKIPPED, WINDOW, check, fail, make_numbers, make_values, peaks, private_kb, rate_spawns, text,
                          time_calls, time_echoes)

WARM_UP = 1000

try:
    import gi
    gi.require_version('Afrpc', '1.0')
    from gi.repository import Afrpc, GLib
    Afrpc.RemoteError
    from afrpc import aio
except (ImportError, ValueError, AttributeError):
    sys.exit(SKIPPED)

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'bench_python_worker.py')
context = GLib.MainContext.default()


class Client:
    def __init__(self, variant, template=None, function=None, **properties):
        process = template.fork() if template else new_process()
        backend, _, self.way = variant.partition('-')
        function = function or ('echo' if backend == 'sync' else 'echo_async')
        self.proxy = Afrpc.Proxy(process=process, function=function,
                                 backend=Afrpc.Backend.SYNC if backend == 'sync' else Afrpc.Backend.ASYNC, **properties)
        self.proxy.connect('error', lambda proxy, error: fail(error.message))

    def get_pid(self):
        return self.proxy.get_process().get_pid()

    def calls_by_callback(self, n, window):
        n_sent = n_received = 0

        def received_cb(call):
            nonlocal n_sent, n_received
            check(call.result(), n_received)
            n_received += 1
            if n_sent < n:
                self.proxy(text(n_sent), callback=received_cb)
                n_sent += 1

        while n_sent < min(n, window):
            self.proxy(text(n_sent), callback=received_cb)
            n_sent += 1
        while n_received < n:
            context.iteration(True)

    async def calls_by_await(self, n, window):
        proxy = self.proxy
        pending = collections.deque(proxy(text(i)) for i in range(min(window, n)))
        for i in range(n):
            check(await pending.popleft(), i)
            if i + window < n:
                pending.append(proxy(text(i + window)))

    def calls(self, n, window):
        if self.way == 'await':
            aio.run(self.calls_by_await(n, window))
        elif self.way == 'direct' and window == 1:
            for i in range(n):
                check(self.proxy.invoke_sync(text(i)), i)
        else:
            self.calls_by_callback(n, window)

    def events(self, n):
        n_events = 0

        def event_cb(event):
            nonlocal n_events
            check(event, n_events)
            n_events += 1

        handler = self.proxy.on_event(event_cb)
        call = self.proxy(text(n))
        while not call.done():
            context.iteration(True)
        check(call.result(), n)
        if n_events != n:
            fail(f'{n_events} events of {n}')
        self.proxy.disconnect(handler)

    def wait(self, call):
        while not call.done():
            context.iteration(True)
        return call.result()

    def echo_value(self, value):
        answer = self.proxy.invoke_sync(value)
        return lambda: answer == value

    def double(self, numbers, expected):
        import numpy
        if self.way != 'buffer':
            answer = self.wait(self.proxy(numbers))
            return lambda: numpy.array_equal(answer, expected)

        given = Afrpc.Buffer(numbers.nbytes)
        numpy.frombuffer(given)[:] = numbers
        given.seal()
        call = self.proxy(numbers.nbytes, fds=[given])
        made = Afrpc.Buffer.new_take_fd(call.get_fd(self.wait(call)), numbers.nbytes)
        return lambda: numpy.array_equal(numpy.frombuffer(made), expected)

    def close(self):
        call = self.proxy.close_async()
        while not call.done():
            context.iteration(True)
        call.result()


def new_process():
    return Afrpc.Process.new_exec('python').require(WORKER)


def spawn(options, template):
    def spawn_one():
        client = Client(options.variant, template)
        client.calls(1, 1)
        client.close()

    if template:  # its own start is not counted
        spawn_one()
    return rate_spawns(spawn_one, options.n)


def measure_large(variant, workload, n):
    limits = {'max_message_size': 1 << 30, 'max_bytes_queued': 1 << 30}
    if workload == 'W8':
        try:
            numbers = make_numbers()
        except ImportError:
            sys.exit(SKIPPED)
        expected = numbers * 2
        client = Client(variant, function='double_buffer' if variant == 'sync-buffer' else 'double', **limits)
        client.proxy.invoke_sync(None)
        result = time_echoes(lambda: client.double(numbers, expected), n)
    else:
        value = make_values()[workload.partition('-')[2]]
        client = Client(variant, **limits)
        client.proxy.invoke_sync(None)
        result = time_echoes(lambda: client.echo_value(value), n)
    client.close()
    return {**result, **peaks()}


def measure(options):
    workload, n = options.workload, options.n
    if workload.startswith(('W7', 'W8')):
        return measure_large(options.variant, workload, n)
    template = new_process() if options.variant.endswith('-fork') else None
    if workload == 'W5':
        return spawn(options, template)

    client = Client(options.variant, template, 'emit' if workload == 'W3' else None)
    runs = {'W1': lambda n: client.calls(n, 1), 'W2': lambda n: client.calls(n, WINDOW),
            'W3': client.events, 'W6': lambda n: client.calls(n, 1)}
    if workload not in runs:
        fail(f'no such workload here: {workload}')
    run = runs[workload]
    run(min(n, WARM_UP))
    if workload == 'W6':
        result = {'value': private_kb(client.get_pid()), 'unit': 'kB'}
    else:
        result = time_calls(run, workload, n, client.get_pid())
    client.close()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--workload', default='W1')
    parser.add_argument('--variant', default='sync')
    parser.add_argument('--n', type=int, default=1000)
    options = parser.parse_args()

    if options.workload == 'W1':
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    result = {'peer': 'afrpc-python', 'variant': options.variant, 'workload': options.workload,
              'n': options.n}
    result.update(measure(options))
    print(json.dumps(result))


if __name__ == '__main__':
    main()
