#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The afrpc command. Environment: AFRPC_TOOL, its path; AFRPC_HOST_PATH, the folder of the hosts;
AFRPC_TEST_MODULES, the folder of tool-worker.so. Waits for events and never sleeps. After each test
no process may be left, not even a zombie."""

import ctypes
import errno
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import threading
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


class TestCommand(ToolTest):
    def test_version(self):
        result = run('--version')
        self.assert_status(result, 0)
        self.assertRegex(result.stdout, rb'^afrpc [0-9]+\.[0-9]+\.[0-9]+\n$')

    def test_help(self):
        for args in (['--help'], ['help'], ['call', '--help'], ['map', '--help'], ['help', 'map']):
            with self.subTest(args=args):
                result = run(*args)
                self.assert_status(result, 0)
                self.assertIn(b'Exit status:', result.stdout)
                self.assertEqual(result.stderr, b'')
        self.assertIn(b'--keep-order', run('help', 'map').stdout)
        self.assertIn(b'--strings', run('help', 'call').stdout)

    def test_no_locale(self):
        for locale in 'C', 'POSIX':
            env = dict(environment(), LC_ALL=locale)
            self.assert_usage(run('fly', env=env), rb"no command 'fly'")
            self.assertRegex(run('--help', env=env).stdout, rb"\[ARGUMENT\.\.\.\]")
            result = run_call('missing', 'f', env=env)
            self.assert_status(result, 3)
            self.assertIn(b"no module 'missing'", result.stderr)
            self.assertTrue(result.stderr.isascii())
            result = run_call(MODULE, 'echo', '\u00e4', env=env)  # what it prints is data
            self.assertEqual((result.stdout, result.stderr), ("('\u00e4',)\n".encode(), b''))

    def test_usage(self):
        self.assert_usage(run(), b'A command is missing')
        self.assert_usage(run('fly'), 'no command “fly”'.encode())
        self.assert_usage(run('--fly'), b'--fly')
        for command in 'call', 'map':
            self.assert_usage(run(command), b'MODULE and FUNCTION')
            self.assert_usage(run(command, MODULE), b'MODULE and FUNCTION')
            self.assert_usage(run(command, '--fly', MODULE, 'work'), b'--fly')
            for seconds in '-1', 'nan', 'inf', '1e30', 'soon':
                with self.subTest(command=command, seconds=seconds):
                    self.assert_usage(run(command, f'--timeout={seconds}', MODULE, 'work'), b'.')
        for jobs in '0', '-1', '1000000', 'many':
            self.assert_usage(run('map', '-j', jobs, MODULE, 'work'), b'.')


class TestHost(ToolTest):
    def test_becomes_the_host(self):
        for name, host in ('perl', 'perl'), ('javascript', 'gjs'):
            with self.subTest(name=name):
                result = run('host', name, env=self.make_host(host))
                self.assert_status(result, 0)
                self.assertEqual(result.stderr, f'this is {host}\n'.encode())
        result = run('host', os.path.join(self.folder, 'afrpc-host-perl'))
        self.assertEqual(result.stderr, b'this is perl\n')

    def test_no_such_host(self):
        for name in 'nowhere', '/nowhere/host':
            result = run('host', name)
            self.assert_status(result, 3)
            self.assertRegex(result.stderr, rb'^afrpc: Cannot run [^\n]*nowhere[^\n]+\n$')

    def test_usage(self):
        self.assert_usage(run('host'), b'HOST or .*--receive.* is needed')
        self.assert_usage(run('host', 'c', 'd'), b'HOST or .*--receive.* is needed')
        self.assert_usage(run('host', '--receive', 'c'), b'HOST or .*--receive.* is needed')


class TestCall(ToolTest):
    def test_result(self):
        result = run_call(MODULE, 'work', 'abc')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"'ABC'\n")
        self.assertEqual(result.stderr, b'')

    def test_argument_forms(self):
        for args, expected in (
                ([], '()'),
                (['5'], '(5,)'),
                (['5', 'true', '1.5'], '(5, true, 1.5)'),
                (['uint32 5'], '(5,)'),
                (['[1, 2]'], '([1, 2],)'),
                (["{'a': <1>}"], "({'a': <1>},)"),
                (["'5'"], "('5',)"),
                (['five'], "('five',)"),
                (['five six'], "('five six',)"),
                (['/tmp/x', ''], "('/tmp/x', '')"),
                (['äöü'], "('äöü',)"),
                (['--', '-5', '--json'], "(-5, '--json')"),
                (['--strings', '5', 'true', "'q'"], '(\'5\', \'true\', "\'q\'")'),
        ):
            with self.subTest(args=args):
                result = run_call(MODULE, 'echo', *args)
                self.assert_status(result, 0)
                self.assertEqual(result.stdout.decode(), expected + '\n')

    def test_signs_and_large_numbers(self):
        for args, expected in (
                (['--', '-'], "('-',)"),
                (['--', '+', '- ', '--'], "('+', '- ', '--')"),
                (['5000000000', '18446744073709551615'], '(5000000000, 18446744073709551615)'),
                (['--', '-5000000000'], '(-5000000000,)'),
                (['18446744073709551616'], "('18446744073709551616',)"),
        ):
            with self.subTest(args=args):
                result = run_call(MODULE, 'echo', *args)
                self.assert_status(result, 0)
                self.assertEqual(result.stdout.decode(), expected + '\n')

    def test_declared_type_decides(self):
        for word in '2024', '5000000000', 'true', '[1, 2]', '1.5':
            with self.subTest(word=word):
                result = run_call(MODULE, 'work', word)
                self.assert_status(result, 0)
                self.assertEqual(result.stdout.decode(), f"'{word.upper()}'\n")
        # Each way is tried, and nothing is called but what fits.
        result = run_call(MODULE, 'mixed', '1', '2', '3')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"('1', 2, '3')\n")
        result = run_call(MODULE, 'mixed', '1', 'x', '3')
        self.assert_status(result, 1)
        self.assertIn(b'not (isi)', result.stderr)

    def test_host_by_suffix(self):
        # One that is not there says what it has been asked for.
        for suffix, host in ('py', 'python'), ('mjs', 'gjs'), ('js', 'gjs'), ('pl', 'perl'), ('pm', 'perl'), ('so', 'c'):
            with self.subTest(suffix=suffix):
                result = run_call(f'./x.{suffix}', 'f', env=self.make_host(host))
                self.assertIn(f'this is {host}'.encode(), result.stderr)
        result = run_call('--host', 'javascript', './x.py', 'f', env=self.make_host('gjs'))
        self.assertIn(b'this is gjs', result.stderr)

    def test_module_of_any_bytes(self):
        self.assert_usage(run_call(b'./\xff.so', 'f'), b'is not UTF-8')
        self.assert_usage(run_call('--require', b'./\xff.so', 'm', 'f'), b'is not UTF-8')
        self.assert_usage(run_map(b'./\xff.so', 'f', '--', 'x'), b'is not UTF-8')

    def test_module_of_this_folder(self):
        shutil.copy(MODULE, os.path.join(self.folder, 'here.so'))
        result = run_call('here.so', 'work', 'x', cwd=self.folder)
        self.assert_status(result, 3)
        self.assertIn('write “./here.so”'.encode(), result.stderr)
        self.assert_status(run_call('./here.so', 'work', 'x', cwd=self.folder), 0)
        self.assertNotIn(b'write', run_call('not-here.so', 'work', 'x', cwd=self.folder).stderr)

    def test_argument_not_utf8(self):
        self.assert_usage(run_call(MODULE, 'echo', b'\xff'), b'not valid UTF-8')

    def test_json(self):
        result = run_call('--json', MODULE, 'echo', "{'a': [1, 2]}", 'x"y', 'true')
        self.assert_status(result, 0)
        self.assertEqual(json.loads(result.stdout), [{'a': [1, 2]}, 'x"y', True])

    def test_async(self):
        result = run_call('--async', MODULE, 'echo_async', 'x')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"('x',)\n")

    def test_wrong_backend(self):
        self.assert_status(run_call(MODULE, 'echo_async', 'x'), 3)
        self.assert_status(run_call('--async', MODULE, 'echo', 'x'), 3)

    def test_init(self):
        result = run_call('--init', 'good_init', MODULE, 'state')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"'initialised'\n")
        result = run_call('--init', 'bad_init', MODULE, 'state')
        self.assert_status(result, 3)
        self.assertIn(b'no init today', result.stderr)

    def test_init_arguments(self):
        result = run_call('--init', 'good_init', '--init-arg=5', '--init-arg', 'five', "--init-arg={'a': <1>}", MODULE, 'state')
        self.assert_status(result, 0)
        self.assertEqual(eval(result.stdout), "(5, 'five', {'a': <1>})")
        result = run_map('-q', '--init=good_init', '--init-arg=x', MODULE, 'state', stdin=b'1\n')
        self.assertEqual(result.stdout, b"('x',)\n")
        for command in 'call', 'map':
            self.assert_usage(run(command, '--init-arg=5', MODULE, 'state'), b'needs .*--init')
            self.assert_usage(run(command, '--init=good_init', b'--init-arg=\xff', MODULE, 'state'), b'UTF-8')

    def test_limits(self):
        wanted = [1 << 40, 1000, 200, 1 << 20]
        options = [f'--address-space={wanted[0]}', f'--cpu-time={wanted[1]}', f'--open-files={wanted[2]}',
                   f'--file-size={wanted[3]}', '--nice=3']
        if SANITIZED:
            del options[0]
        nice = min(os.nice(0) + 3, 19)
        result = run_call('--json', *options, MODULE, 'limits')
        self.assert_status(result, 0)
        limits, is_nice = json.loads(result.stdout)
        self.assertEqual(([int(limit) for limit in limits][SANITIZED:], is_nice), (wanted[SANITIZED:], nice))
        for command in 'call', 'map':
            self.assert_usage(run(command, '--cpu-time=-1', MODULE, 'limits'), b'below 0')
            self.assert_usage(run(command, '--nice=41', MODULE, 'limits'), b'40')

    def test_from_json(self):
        for args, expected in (
                (['{"a": [1, 2]}', '"x"', 'true', '-5', '1.0'], "({'a': <[<int64 1>, <int64 2>]>}, 'x', true, -5, 1.0)"),
                (['9223372036854775807', 'null'], '(9223372036854775807, nothing)'),
        ):
            with self.subTest(args=args):
                result = run_call('--from-json', MODULE, 'echo', '--', *args)
                self.assert_status(result, 0)
                self.assertEqual(result.stdout.decode(), expected + '\n')
        result = run_call('--from-json', MODULE, 'mixed', '"2024"', '7', '"x"')  # (sis)
        self.assertEqual(result.stdout, b"('2024', 7, 'x')\n")
        self.assert_status(run_call('--from-json', MODULE, 'mixed', '2024', '7', '"x"'), 1)  # a number is no string
        self.assert_usage(run_call('--from-json', MODULE, 'echo', 'five'), b'JSON')
        self.assert_usage(run_call('--from-json', '--strings', MODULE, 'echo', '5'), b'either')

    def test_require(self):
        result = run_call('--require', MODULE, '--require', MODULE, MODULE, 'work', 'x')
        self.assert_status(result, 0)
        self.assert_status(run_call('--require', '/does/not/exist.so', MODULE, 'work', 'x'), 3)

    def test_event(self):
        result = run_call(MODULE, 'work', 'event:half done')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"'EVENT:HALF DONE'\n")
        self.assertEqual(result.stderr, b"event: 'half done'\n")

    def test_big_result(self):
        result = run_call(MODULE, 'work', 'big')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"'" + b'x' * (1 << 20) + b"'\n")

    def test_status_of_the_function(self):
        result = run_call(MODULE, 'work', 'fail')
        self.assert_status(result, 1)
        self.assertEqual(result.stdout, b'')
        self.assertEqual(result.stderr, b'afrpc: failed as asked\n')
        self.assert_status(run_call(MODULE, 'work', 'x', '5'), 1)  # not of type (s)

    def test_status_of_preparing(self):
        for args in (['/does/not/exist.so', 'work'], [MODULE, 'no_such_function'],
                     ['--host', 'nowhere', MODULE, 'work']):
            with self.subTest(args=args):
                result = run_call(*args, 'x')
                self.assert_status(result, 3)
                self.assertEqual(result.stdout, b'')
                self.assertRegex(result.stderr, rb'^afrpc: [^\n]+\n$')

    def test_status_of_a_death(self):
        for how in 'crash', 'exit':
            with self.subTest(how=how):
                result = run_call(MODULE, 'work', how)
                self.assert_status(result, 4)
                self.assertIn(b'afrpc: ', result.stderr)
                self.assertEqual(result.stderr.count(b'afrpc: '), 1)

    def test_unfinished_line(self):
        """What a worker said last is not on the same line as what is said of its end."""
        for how, expected in ('exit-saying', b'^half a line\nafrpc: [^\n]* exited with status 3: half a line\n$'), (
                'exit-saying-more', b'^a line\nafrpc: [^\n]* exited with status 3: a line\n$'):
            with self.subTest(how=how):
                result = run_call(MODULE, 'work', how)
                self.assert_status(result, 4)
                if not SANITIZED:
                    self.assertRegex(result.stderr, expected)

    def test_status_of_a_passed_time_limit(self):
        result = run_call('--timeout', TIME_LIMIT, MODULE, 'work', 'hang')
        self.assert_status(result, 5)
        self.assertIn(f'time limit of {TIME_LIMIT} s'.encode(), result.stderr)
        pid = int(re.search(rb"'hanging', ([0-9]+)", result.stderr)[1])
        self.assertFalse(is_alive(pid))

    def test_time_limit_that_does_not_pass(self):
        for seconds in '0', '1000':
            self.assert_status(run_call('--timeout', seconds, MODULE, 'work', 'x'), 0)

    def test_signals(self):
        for signum in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            with self.subTest(signum=signum):
                process = start('call', MODULE, 'work', 'hang')
                pid = int(self.read_until(process.stderr, rb"'hanging', ([0-9]+)")[1])
                process.send_signal(signum)
                out, err = self.finish(process, 128 + signum)
                self.assertEqual((out, err), (b'', b''))
                self.assertFalse(is_alive(pid))

    def test_ignored_signal(self):
        fifo = self.make_fifo()
        process = start('call', MODULE, 'work', f'fifo:{fifo}',
                        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        writer = os.open(fifo, os.O_WRONLY)
        process.send_signal(signal.SIGHUP)
        os.close(writer)
        self.finish(process, 0)

    def test_standard_streams_of_the_worker(self):
        result = run_call(MODULE, 'work', 'read', stdin=b'not for the worker')
        self.assertEqual(result.stdout, b'0\n')
        result = run_call(MODULE, 'work', 'print')
        self.assertEqual((result.stdout, result.stderr), (b"'PRINT'\n", b'printed\n'))

    def test_no_standard_streams(self):
        result = run_call(MODULE, 'work', 'x', preexec_fn=lambda: os.closerange(0, 2),
                          input=None, stdout=None)
        self.assert_status(result, 1)
        self.assertIn(b'Cannot write the output', result.stderr)

    def test_output_that_fails(self):
        with open('/dev/full', 'wb') as full:
            result = run_call(MODULE, 'work', 'x', stdout=full)
        self.assert_status(result, 1)
        self.assertIn(b'No space left', result.stderr)

    def test_output_that_nobody_reads(self):
        process = start('call', MODULE, 'work', 'big', stdin=subprocess.DEVNULL)
        process.stdout.close()
        process.stdout = None
        self.assertEqual(self.finish(process, 141)[1], b'')

    def test_signal_while_output_is_blocked(self):
        process = start('call', MODULE, 'work', 'big', stdin=subprocess.DEVNULL)
        self.assertEqual(os.read(process.stdout.fileno(), 1), b"'")  # now there is a result
        process.send_signal(signal.SIGINT)
        self.finish(process, 130)


class TestMap(ToolTest):
    def test_lines(self):
        result = run_map(MODULE, 'work', stdin=b'a\nb\nc\n')
        self.assert_status(result, 0)
        self.assertEqual(sorted(result.stdout.split(b'\n')), [b'', b'A', b'B', b'C'])
        self.assertEqual(result.stderr, b'afrpc: 3 succeeded, 0 failed\n')

    def test_words(self):
        result = run_map(MODULE, 'work', '-k', '-q', '--', 'b', '-a', stdin=b'not read\n')
        self.assert_status(result, 0)
        self.assertEqual((result.stdout, result.stderr), (b'B\n-A\n', b''))

    def test_edges_of_lines(self):
        for stdin, expected in ((b'', b''), (b'\n', b'\n'), (b'a', b'A\n'),
                                (b'a\n\nb', b'A\n\nB\n'), (b'a\n\n', b'A\n\n')):
            with self.subTest(stdin=stdin):
                result = run_map('-k', MODULE, 'work', stdin=stdin)
                self.assert_status(result, 0)
                self.assertEqual(result.stdout, expected)

    def test_input_from_a_file(self):
        path = os.path.join(self.folder, 'input')
        with open(path, 'wb') as file:
            file.write(b''.join(b'%d\n' % i for i in range(1000)))
        with open(path, 'rb') as file:
            process = start('map', '-k', MODULE, 'work', stdin=file)
            out, _ = self.finish(process, 0)
        self.assertEqual(out, b''.join(b'%d\n' % i for i in range(1000)))

    def test_input_that_cannot_be_read(self):
        folder = os.open(self.folder, os.O_RDONLY)
        process = start('map', MODULE, 'work', stdin=folder)
        os.close(folder)
        self.assertIn(b'Is a directory', self.finish(process, 1)[1])

    def test_null(self):
        result = run_map('-0', '-k', MODULE, 'work', stdin=b'a\nb\0c\0')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b'A\nB\nC\n')
        result = run_map('-0', '-z', '-k', MODULE, 'work', stdin=b'a\nb\0c')
        self.assertEqual(result.stdout, b'A\nB\0C\0')

    def test_print_input_and_json(self):
        result = run_map('-k', '--print-input', MODULE, 'work', stdin=b'a\nb\n')
        self.assertEqual(result.stdout, b'a\tA\nb\tB\n')
        result = run_map('-k', '--json', MODULE, 'echo', stdin=b'a"\nb\n')
        self.assertEqual([json.loads(line) for line in result.stdout.splitlines()], [['a"'], ['b']])

    def test_forms_of_results(self):
        self.assertEqual(run_map(MODULE, 'echo', '--', 'a b').stdout, b'a b\n')
        self.assertEqual(run_map(MODULE, 'work', '--', 'read').stdout, b'0\n')
        self.assertEqual(run_map('--bytes', MODULE, 'bytes', '--', b'\xffx').stdout, b'\xffx\n')

    def test_results_come_at_once(self):
        fifo = self.make_fifo()
        process = start('map', '-j', '2', MODULE, 'work')
        process.stdin.write(f'fifo:{fifo}\nb\n'.encode())
        self.assertEqual(process.stdout.readline(), b'B\n')
        self.release(fifo)
        self.assertEqual(process.stdout.readline(), f'fifo:{fifo}\n'.upper().encode())
        self.finish(process, 0)

    def test_keep_order(self):
        fifo = self.make_fifo()
        process = start('map', '-k', '-j', '2', MODULE, 'work')
        process.stdin.write(f'fifo:{fifo}\nevent:second\n'.encode())
        self.read_until(process.stderr, b'second')
        self.release(fifo)
        out, _ = self.finish(process, 0)
        self.assertEqual(out.splitlines(), [f'fifo:{fifo}'.upper().encode(), b'EVENT:SECOND'])

    def test_keep_order_has_a_limit(self):
        first, last = self.make_fifo('first'), self.make_fifo('last')
        inputs = [f'fifo:{first}', *(f'event:{i}' for i in range(1100)), f'fifo:{last}']
        process = start('map', '-k', '-q', '-j', '2', MODULE, 'work')
        process.stdin.write(''.join(f'{text}\n' for text in inputs).encode())
        process.stdin.close()
        process.stdin = None
        self.read_until(process.stderr, b'event: .1022')  # the last of 1024
        self.assert_not_started(last)
        self.release(first)
        self.release(last)
        out, _ = self.finish(process, 0)
        self.assertEqual(out.decode().splitlines(), [text.upper() for text in inputs])

    def test_keep_order_with_failures(self):
        stdin = b'a\nfail\nb\ncrash\nc\n\xff\nd\n'
        result = run_map('-k', '-j', '3', MODULE, 'work', stdin=stdin)
        self.assert_status(result, 1)
        self.assertEqual(result.stdout, b'A\nB\nC\nD\n')
        self.assertIn(b'4 succeeded, 3 failed', result.stderr)

    def test_failure(self):
        result = run_map('-j', '1', MODULE, 'work', stdin=b'a\nfail\nb\n')
        self.assert_status(result, 1)
        self.assertEqual(result.stdout, b'A\nB\n')
        self.assertEqual(result.stderr,
                         b'afrpc: fail: failed as asked\nafrpc: 2 succeeded, 1 failed\n')

    def test_not_utf8(self):
        result = run_map('-k', '-q', MODULE, 'work', stdin=b'a\n\xff\x1b[31m\nn\0l\nb\n')
        self.assert_status(result, 1)
        self.assertEqual(result.stdout, b'A\nB\n')
        self.assertIn(rb'afrpc: \xff\x1b[31m: The input is not valid UTF-8', result.stderr)
        self.assertIn(rb'afrpc: n\x00l: The input holds a NUL byte', result.stderr)

    def test_crash_of_one(self):
        # The worker has the next input already when it dies; that one must not be lost.
        inputs = [b'%d' % i for i in range(50)]
        for jobs in '1', '2', '4':
            for crash in 'crash', 'exit':
                with self.subTest(jobs=jobs, crash=crash):
                    stdin = b'\n'.join(inputs[:25] + [crash.encode()] + inputs[25:])
                    result = run_map('-k', '-j', jobs, MODULE, 'work', stdin=stdin)
                    self.assert_status(result, 1)
                    self.assertEqual(result.stdout.splitlines(), inputs)
                    self.assertIn(f'afrpc: {crash}: '.encode(), result.stderr)
                    self.assertIn(b'50 succeeded, 1 failed', result.stderr)

    def test_crashes_with_results_in_between(self):
        result = run_map('-j', '1', MODULE, 'work', stdin=b'a\ncrash\n' * 10)
        self.assert_status(result, 1)
        self.assertEqual(result.stdout, b'A\n' * 10)
        self.assertIn(b'10 succeeded, 10 failed', result.stderr)

    def test_nothing_but_crashes(self):
        result = run_map('-j', '2', MODULE, 'die', stdin=b'x\n' * 30)
        self.assert_status(result, 1)
        self.assertEqual(result.stdout, b'')
        self.assertIn(b'0 succeeded, 30 failed\n', result.stderr)

    def test_max_failures(self):
        result = run_map('-j', '1', '--max-failures', '3', MODULE, 'die', '--', *['x'] * 1000)
        self.assert_status(result, 1)
        self.assertIn(b'3 inputs have failed: no more are tried\n', result.stderr)
        self.assertIn(b'0 succeeded, 3 failed, 997 given up\n', result.stderr)

    def test_retries(self):
        # Each try has a worker of its own, which says that it dies.
        result = run_map('-j', '1', '--retries', '2', MODULE, 'work', stdin=b'a\ncrash\nb\nfail\n')
        self.assert_status(result, 1)
        self.assertEqual(sorted(result.stdout.split()), [b'A', b'B'])
        self.assertIn(b'2 succeeded, 2 failed', result.stderr)
        once = os.path.join(self.folder, 'once')
        result = run_map('--retries', '1', MODULE, 'die_once', '--', once)
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, once.encode() + b'\n')
        self.assertIn(b'1 succeeded, 0 failed', result.stderr)

    def test_retried_in_another_worker(self):
        # What a worker has behind the one that it dies of is no retry.
        result = run_map('-k', '-j', '1', '--retries', '1', '--stats', MODULE, 'work', stdin=b'a\ncrash\nb\nfail\n')
        self.assert_status(result, 1)
        self.assertEqual(result.stdout, b'A\nB\n')
        self.assertIn(b'calls: 6; failed: 2 by the function, 2 by a death, 0 by the time limit, 0 otherwise; tried again: 2\n',
                      result.stderr)
        self.assertIn(b'afrpc: workers: 3; died: 2\n', result.stderr)

    def test_stats(self):
        result = run_map('-q', '-j', '1', '--stats', '--timeout', TIME_LIMIT, MODULE, 'work', stdin=b'a\nb\nhang\nc\n')
        self.assert_status(result, 1)
        self.assertEqual(sorted(result.stdout.split()), [b'A', b'B', b'C'])
        self.assertIn(b'calls: 4; failed: 0 by the function, 0 by a death, 1 by the time limit, 0 otherwise; tried again: 0\n',
                      result.stderr)
        self.assertIn(b'afrpc: workers: 2; died: 1\n', result.stderr)
        times = [float(time) for time in re.search(rb'time: (\S+) s; a call: (\S+) ms at least, (\S+) on average, (\S+) at',
                                                   result.stderr).groups()]
        self.assertLessEqual(times[1], times[2])
        self.assertLessEqual(times[2], times[3])
        self.assertGreaterEqual(times[3], float(TIME_LIMIT) * 1000)
        self.assertGreaterEqual(times[0] * 1000 + 1, times[3])
        result = run_map('-q', '--stats', MODULE, 'work', stdin=b'')
        self.assertIn(b'calls: 0;', result.stderr)

    def test_streams_of_forked_workers(self):
        for options in [], ['--nice=3', '--open-files=200']:
            result = run_map('-q', *options, MODULE, 'work', stdin=b'print\nread\n')
            self.assert_status(result, 0)
            self.assertEqual((sorted(result.stdout.split()), result.stderr), ([b'0', b'PRINT'], b'printed\n'))
        limits = run_map('-q', '--from-json', '--json', '--nice=3', '--open-files=200', MODULE, 'limits', stdin=b'[]\n')
        self.assertEqual(json.loads(limits.stdout)[1], min(os.nice(0) + 3, 19))

    def test_dies_only(self):
        result = run_map('-q', '-j', '2', '--init', 'die_init', MODULE, 'work', stdin=b'x\n' * 10)
        self.assert_status(result, 3)
        self.assertEqual(result.stdout, b'')
        self.assertRegex(result.stderr, rb'^afrpc: 5 workers in a row ended before they had begun a call; the last one: [^\n]+\n$')

    def test_async(self):
        result = run_map('--async', MODULE, 'echo_async', stdin=b'x\ny\n')
        self.assert_status(result, 0)
        self.assertEqual(sorted(result.stdout.split()), [b'x', b'y'])

    def test_delimiter(self):
        result = run_map('-j', '1', '-d', ', ', MODULE, 'echo', stdin=b'a, b c, 5\nd\n\n')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"('a', 'b c', '5')\nd\n()\n")

    def test_json_lines(self):
        lines = (b'["a", 1, "b"]\n'
                 b'["2024", 2.0, ""]\n'    # a whole number is one
                 b'["a", "1", "b"]\n'
                 b'{"not": "three"}\n'
                 b'[1, 2\n'
                 b'["\xff"]\n')
        result = run_map('-k', '--from-json', '--json', MODULE, 'mixed', stdin=lines)
        self.assert_status(result, 1)
        self.assertEqual([json.loads(line) for line in result.stdout.splitlines()], [['a', 1, 'b'], ['2024', 2, '']])
        self.assertIn(b'2 succeeded, 4 failed', result.stderr)
        result = run_map('-q', '-k', '--from-json', MODULE, 'echo', stdin=b'5\n[]\n[[]]\n{"a": null}\n')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"(5,)\n()\n([],)\n({'a': <@mv nothing>},)\n")
        for options in ['--bytes'], ['--delimiter=,'], ['--bytes', '--delimiter=,']:
            self.assert_usage(run_map(*['--from-json'][:2 - len(options)], *options, MODULE, 'echo'), b'either')

    def test_preparing_fails(self):
        for args in (['/does/not/exist.so', 'work'], [MODULE, 'no_such_function'],
                     ['--host', 'nowhere', MODULE, 'work'], ['--init', 'bad_init', MODULE, 'work']):
            with self.subTest(args=args):
                result = run_map('-q', '-j', '3', *args, stdin=b'x\n' * 100)
                self.assert_status(result, 3)
                self.assertEqual(result.stdout, b'')
                self.assertRegex(result.stderr, rb'^afrpc: [^\n]+\n$')

    def test_no_input_starts_nothing(self):
        self.assert_status(run_map('/does/not/exist.so', 'work', stdin=b''), 0)

    def test_time_limit(self):
        result = run_map('-k', '-j', '1', '--timeout', TIME_LIMIT, MODULE, 'work',
                         stdin=b'a\nhang\nb\nc\n')
        self.assert_status(result, 1)
        self.assertEqual(result.stdout, b'A\nB\nC\n')
        self.assertIn(f'afrpc: hang: The time limit of {TIME_LIMIT} s has passed'.encode(),
                      result.stderr)
        self.assertIn(b'3 succeeded, 1 failed', result.stderr)

    def test_time_limit_is_for_one_call(self):
        # Naps of 50 ms; a worker always has the next one before it has finished one.
        n_naps = int(float(TIME_LIMIT) * 20 * 1.2)
        result = run_map('-j', '1', '--timeout', TIME_LIMIT, MODULE, 'work',
                         stdin=b'nap\n' * n_naps)
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b'NAP\n' * n_naps)

    def test_time_limits_do_not_trip_the_brake(self):
        result = run_map('-j', '4', '--timeout', '0.1', MODULE, 'work', stdin=b'hang\n' * 8)
        self.assert_status(result, 1)
        self.assertIn(b'0 succeeded, 8 failed', result.stderr)

    def test_signals(self):
        for signum in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            with self.subTest(signum=signum):
                process = start('map', '-j', '3', MODULE, 'work')
                process.stdin.write(b'hang\nhang\nhang\n')
                pids = [int(self.read_until(process.stderr, rb"'hanging', ([0-9]+)")[1])
                        for _ in range(3)]
                process.stdin.write(b'x\n' * 100)
                process.send_signal(signum)
                out, err = self.finish(process, 128 + signum)
                self.assertEqual(out, b'')
                self.assertRegex(err, rb'^afrpc: 0 succeeded, 0 failed, [3-9] given up\n$')
                for pid in pids:
                    self.assertFalse(is_alive(pid))

    def test_worker_killed_while_idle(self):
        process = start('map', '-j', '1', MODULE, 'work')
        for _ in range(3):
            process.stdin.write(b'pid\n')
            pid = int(process.stdout.readline())
            os.kill(pid, signal.SIGKILL)
            self.read_until(process.stderr, b'afrpc: .*9')
        process.stdin.write(b'a\n')
        out, err = self.finish(process, 0)
        self.assertEqual(out, b'A\n')
        self.assertIn(b'4 succeeded, 0 failed', err)

    def test_replacement_is_another_process(self):
        result = run_map('-k', '-j', '1', MODULE, 'work', stdin=b'pid\ncrash\npid\npid\n')
        first, second, third = result.stdout.split()
        self.assertNotEqual(first, second)
        self.assertEqual(second, third)

    def test_number_of_workers(self):
        fifos = [self.make_fifo(str(i)) for i in range(3)]
        process = start('map', '-j', '3', MODULE, 'work')
        process.stdin.write(''.join(f'fifo:{fifo}\n' for fifo in fifos).encode())
        writers = [os.open(fifo, os.O_WRONLY) for fifo in fifos]  # returns when all three run
        for writer in writers:
            os.close(writer)
        self.finish(process, 0)

    def test_output_that_nobody_reads(self):
        process = start('map', '-j', '2', MODULE, 'work')

        def feed():
            try:
                while True:
                    process.stdin.write(b'x' * 100 + b'\n')
            except BrokenPipeError:
                pass

        feeder = threading.Thread(target=feed)
        feeder.start()
        self.assertEqual(process.stdout.readline(), b'X' * 100 + b'\n')
        process.stdout.close()
        self.assertEqual(process.wait(timeout=PATIENCE), 141)
        self.assertEqual(process.stderr.read(), b'')
        feeder.join(timeout=PATIENCE)
        process.stderr.close()
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass

    def test_output_that_fails(self):
        with open('/dev/full', 'wb') as full:
            result = run_map('-q', MODULE, 'work', stdin=b'x\n' * 1000, stdout=full)
        self.assert_status(result, 1)
        self.assertEqual(result.stderr.count(b'No space left'), 1)

    def test_signal_while_output_is_blocked(self):
        process = start('map', '-q', '-j', '2', MODULE, 'work', stdin=subprocess.PIPE)
        process.stdin.write(b'big\n' * 10)
        process.stdin.close()
        process.stdin = None
        self.assertEqual(os.read(process.stdout.fileno(), 1), b'x')
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=PATIENCE), 143)
        process.communicate()

    def test_slow_reader(self):
        last = self.make_fifo()
        process = start('map', '-q', '-j', '2', MODULE, 'work')
        process.stdin.write(b'big\n' * 20 + f'fifo:{last}\n'.encode())
        process.stdin.close()
        process.stdin = None
        self.assertEqual(os.read(process.stdout.fileno(), 1), b'x')
        self.assert_not_started(last)
        releaser = threading.Thread(target=self.release, args=(last,))
        releaser.start()
        out, _ = self.finish(process, 0)
        releaser.join(timeout=PATIENCE)
        self.assertEqual(len(out), 20 * ((1 << 20) + 1) - 1 + len(f'fifo:{last}\n'))

    def test_large_results(self):
        result = run_map('-k', MODULE, 'work', stdin=b'big\n' * 40)
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, (b'x' * (1 << 20) + b'\n') * 40)

    def test_long_line(self):
        line = b'y' * (3 << 20)
        result = run_map('-k', MODULE, 'work', stdin=b'a\n' + line + b'\nb\n')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b'A\n' + line.upper() + b'\nB\n')

    def peak_memory(self, *args, n_lines, line):
        """Bytes of memory that the command has needed for that many lines of input."""
        fifo = self.make_fifo(str(n_lines))
        process = start('map', '-j', '2', *args, MODULE, 'work', bufsize=-1)
        last = f'fifo:{fifo}'

        def feed():
            for _ in range(n_lines):
                process.stdin.write(line)
            process.stdin.write(last.encode())
            process.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        for _ in range(n_lines):
            self.assertEqual(process.stdout.readline(), line.upper())
        with open(f'/proc/{process.pid}/status', 'rb') as status:
            peak = int(self.read_until(status, rb'VmHWM:\s+([0-9]+) kB')[1]) * 1024
        feeder.join(timeout=PATIENCE)
        self.release(fifo)
        self.assertEqual(process.stdout.read(), last.upper().encode() + b'\n')
        err = process.stderr.read()
        self.assertEqual(process.wait(timeout=PATIENCE), 0, err)
        process.stdout.close()
        process.stderr.close()
        self.assertIn(b'%d succeeded, 0 failed' % (n_lines + 1), err)
        return peak

    @unittest.skipIf(SANITIZED, 'a sanitizer keeps memory that was freed')
    def test_memory(self):
        line = b'x' * 199 + b'\n'
        for order in [], ['-k']:
            with self.subTest(order=order):
                small = self.peak_memory(*order, n_lines=10, line=line)
                large = self.peak_memory(*order, n_lines=100000, line=line)  # 20 MB
                self.assertLess(large - small, 6 << 20)
                for n_lines in 10, 100000:
                    os.unlink(os.path.join(self.folder, str(n_lines)))


class TestTerminal(ToolTest):
    def read_terminal(self, master, expected):
        seen = b''
        while not re.search(expected, seen):
            seen += os.read(master, 4096)
        return seen

    def test_interrupt_key(self):
        # The workers get the signal as well; that they die of it is no news. The shell leads the
        # session: when the leader exits, the terminal drops what has not been read.
        script = 'trap : INT; "$@"; echo "status $?"; read -r line'
        args = ['map', '--no-progress', '-j', '3', MODULE, 'work', '--', *['hang'] * 10]
        for _ in range(10):
            pid, master = pty.fork()
            if pid == 0:
                os.execve('/bin/sh', ['sh', '-c', script, 'sh', TOOL, *args], environment())
            self.read_terminal(master, b'(?s)(hanging.*){3}')
            os.write(master, b'\x03')
            seen = self.read_terminal(master, b'status [0-9]+')
            self.assertNotIn(b'killed', seen)
            self.assertIn(b'0 succeeded, 0 failed', seen)
            self.assertIn(b'status 130', seen)
            os.write(master, b'\n')
            os.waitpid(pid, 0)
            os.close(master)

    def test_progress(self):
        fifo = self.make_fifo()
        master, slave = pty.openpty()
        process = start('map', '-j', '2', MODULE, 'work', '--', f'fifo:{fifo}', 'b', stderr=slave)
        self.read_terminal(master, b'1 of 2 done, 0 failed')
        self.release(fifo)
        self.read_terminal(master, rb'\r\033\[Kafrpc: 2 succeeded, 0 failed')
        self.finish(process, 0)
        os.close(slave)
        os.close(master)

    def test_no_progress(self):
        for args, env in ((['--no-progress'], {}), ([], {'TERM': 'dumb'})):
            with self.subTest(args=args):
                fifo = self.make_fifo(str(len(args)))
                master, slave = pty.openpty()
                process = start('map', *args, '-j', '1', MODULE, 'work', stderr=slave,
                                env=environment(**env))
                process.stdin.write(f'b\nfifo:{fifo}\n'.encode())
                self.assertEqual(process.stdout.readline(), b'B\n')
                self.release(fifo)
                self.finish(process, 0)
                seen = self.read_terminal(master, b'\n')
                self.assertEqual(seen, b'afrpc: 2 succeeded, 0 failed\r\n')
                os.close(slave)
                os.close(master)


class TestMachines(ToolTest):
    """Workers on other machines, by a program that is found instead of ssh; see fake-ssh/ssh."""

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
    # Whoever runs tests in the background may have these ignored, and the command would inherit that.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unittest.main()
