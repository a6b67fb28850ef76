#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""afrpc map: many calls, their inputs and outputs, and what a terminal shows of them."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
import unittest

from tool_case import (MODULE, PATIENCE, SANITIZED, TIME_LIMIT, TOOL, ToolTest, environment, is_alive, main, run,
                       run_map, start)


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

    def test_bytes_as_text(self):
        result = run_map('-kq', '-j1', '--bytes-as-text', MODULE, 'like_perl', '--', 'ä', 'a,b')
        self.assertEqual((result.stdout.decode(), result.stderr.decode()),
                         ("ä\n['a', 'b']\n", "event: ['ä']\nevent: ['a,b']\n"))
        result = run_map('-q', '--json', '--bytes-as-text', MODULE, 'like_perl', '--', 'ä')
        self.assertEqual(result.stdout.decode(), '["ä"]\n')

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

        self.assertEqual(run_map('-q', MODULE, 'work', '--', 'raise').stderr,
                         b'afrpc: raise: python-exception -11: KeyError: 5\n\nTraceback\n')

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
        self.assertIn(b'afrpc: workers: 3; died: 2; renewed: 0; calls moved to another: ', result.stderr)

    def test_stats(self):
        result = run_map('-q', '-j', '1', '--stats', '--timeout', TIME_LIMIT, MODULE, 'work', stdin=b'a\nb\nhang\nc\n')
        self.assert_status(result, 1)
        self.assertEqual(sorted(result.stdout.split()), [b'A', b'B', b'C'])
        self.assertIn(b'calls: 4; failed: 0 by the function, 0 by a death, 1 by the time limit, 0 otherwise; tried again: 0\n',
                      result.stderr)
        self.assertIn(b'afrpc: workers: 2; died: 1; renewed: 0; calls moved to another: ', result.stderr)
        times = [[float(time) for time in re.search(start + rb': (\S+) ms on average, half of them up to (\S+), 99 % up to (\S+)\n',
                                                    result.stderr).groups()] for start in (b'a call waits', b'it takes')]
        for mean, median, most in times:
            self.assertLessEqual(median, most)
            self.assertLessEqual(mean, most)
        self.assertGreaterEqual(times[1][0] * 4, float(TIME_LIMIT) * 1000)
        total = float(re.search(rb'afrpc: time: (\S+) s\n', result.stderr).group(1))
        self.assertGreaterEqual(total, float(TIME_LIMIT))
        result = run_map('-q', '--stats', MODULE, 'work', stdin=b'')
        self.assertIn(b'calls: 0;', result.stderr)
        # Of one call all three are the same.
        result = run_map('-q', '-j', '1', '--stats', MODULE, 'work', stdin=b'a\n')
        for times in re.findall(rb': (\S+) ms on average, half of them up to (\S+), 99 % up to (\S+)\n', result.stderr):
            self.assertEqual(len(set(times)), 1, times)

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
        self.assertRegex(result.stderr, rb'^afrpc: 5 times in a row workers ended before they had begun a call; the last one: [^\n]+\n$')

    def test_async(self):
        result = run_map('--async', MODULE, 'echo_async', stdin=b'x\ny\n')
        self.assert_status(result, 0)
        self.assertEqual(sorted(result.stdout.split()), [b'x', b'y'])

    def test_declared_type_decides(self):
        result = run_map('-k', '--stats', MODULE, 'half', stdin=b'1\n2\nx\n-3\n' + b'4\n' * 20)
        self.assert_status(result, 1)
        self.assertEqual(result.stdout, b'0.5\n1.0\n-1.5\n' + b'2.0\n' * 20)
        self.assertIn(b"afrpc: x: 'half' takes (i), not (s): 'x' does not fit\n", result.stderr)
        # What was refused first is no call of its own.
        self.assertIn(b'calls: 24; failed: 0 by the function, 0 by a death, 0 by the time limit, 1 otherwise', result.stderr)
        result = run_map('-k', '-d,', '--retries', '1', MODULE, 'mixed', stdin=b'1,2,3\na,-5,b\na,b,c\na,5\n')
        self.assert_status(result, 1)
        self.assertEqual(result.stdout, b"('1', 2, '3')\n('a', -5, 'b')\n")
        self.assertIn(b"'mixed' takes (sis), not (sss): 'b' does not fit\n", result.stderr)
        self.assertIn(b"'mixed' takes (sis), not (ss)\n", result.stderr)
        result = run_map('-k', MODULE, 'half', '--', '1', '2')
        self.assertEqual((result.stdout, result.stderr), (b'0.5\n1.0\n', b'afrpc: 2 succeeded, 0 failed\n'))

    def test_given_up(self):
        """What was read is told from what was not."""
        result = run_map('-j', '1', MODULE, 'nothing', stdin=b'1\n2\n3\n4\n5\n')
        self.assert_status(result, 3)
        self.assertRegex(result.stderr, rb'afrpc: 0 succeeded, 0 failed, 2 given up, and what was not read\n')
        result = run_map('-j', '1', MODULE, 'nothing', '--', '1', '2', '3', '4', '5')
        self.assertRegex(result.stderr, rb'afrpc: 0 succeeded, 0 failed, 5 given up\n')

    def test_delimiter(self):
        result = run_map('-j', '1', '-d', ', ', MODULE, 'echo', stdin=b'a, b c, 5\nd\n\n')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"('a', 'b c', '5')\nd\n\n")

    def test_json_lines(self):
        lines = (b'["a", 1, "b"]\n'
                 b'["2024", 2.0, ""]\n'    # a whole number is one
                 b'["a", "1", "b"]\n'     # and so are digits
                 b'["a", "x", "b"]\n'
                 b'{"not": "three"}\n'
                 b'[1, 2\n'
                 b'["\xff"]\n')
        result = run_map('-k', '--from-json', '--json', MODULE, 'mixed', stdin=lines)
        self.assert_status(result, 1)
        self.assertEqual([json.loads(line) for line in result.stdout.splitlines()], [['a', 1, 'b'], ['2024', 2, ''], ['a', 1, 'b']])
        self.assertIn(b'3 succeeded, 4 failed', result.stderr)
        lines = b'[18446744073709551615, []]\n["12345678901234567890", ["-1"]]\n[1e19, []]\n'
        result = run_map('-k', '--from-json', '--json', MODULE, 'large', stdin=lines)
        self.assertEqual(result.stdout, b'["18446744073709551615",[]]\n["12345678901234567890",[-1]]\n')
        self.assertIn(b'write a string of digits', result.stderr)
        result = run_map('-q', '-k', '--from-json', MODULE, 'echo', stdin=b'5\n[]\n[[]]\n{"a": null}\n')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"(5,)\n()\n([],)\n({'a': <@mv nothing>},)\n")
        for options in ['--bytes'], ['--delimiter=,'], ['--bytes', '--delimiter=,']:
            self.assert_usage(run_map(*['--from-json'][:2 - len(options)], *options, MODULE, 'echo'), b'either')

    def test_values_with_their_letters(self):
        """A value may be in the same word as its option's letter, behind others that have none."""
        for options, expected in (
                (['-j2', '-d,'], b"('a', 'b')"), (['-kj2', '-d', ','], b"('a', 'b')"), (['-kqd,', '-j', '2'], b"('a', 'b')"),
                (['-d-', '-j2'], b'a,b'), (['-d', '-', '-j2'], b'a,b'), (['-dj2', '-j2'], b'a,b'),
                (['-d', '-j2', '-j2'], b'a,b'), (['--delimiter', '-j2', '-j2'], b'a,b'),
                (['--delimiter=,', '--jobs=2'], b"('a', 'b')"), (['-d', '--', '-j2'], b'a,b'),
        ):
            for words in [*options, MODULE, 'echo'], [MODULE, 'echo', *options], [MODULE, *options, 'echo', '--', 'a,b']:
                with self.subTest(words=words):
                    result = run_map(*words, stdin=b'a,b\n')
                    self.assert_status(result, 0)
                    self.assertEqual(result.stdout, expected + b'\n')
        result = run_map(MODULE, 'work', '--', '-j2', '--', '-d')
        self.assertEqual(sorted(result.stdout.split()), [b'--', b'-D', b'-J2'])
        for options in ['-j'], ['-j0'], ['-jmany'], ['-k2'], ['-j2k'], ['-y2'], ['-j=2'], ['-kyj2']:
            with self.subTest(options=options):
                self.assert_usage(run_map(MODULE, 'work', *options), b'.')

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
                self.assertRegex(err, rb'^afrpc: 0 succeeded, 0 failed, [3-9] given up, and what was not read\n$')
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


if __name__ == '__main__':
    main()
