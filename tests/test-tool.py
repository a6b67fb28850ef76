#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The afrpc command: what it says of itself, hosts, and single calls."""

import json
import os
import re
import shutil
import signal
import subprocess

from tool_case import (MODULE, SANITIZED, TIME_LIMIT, ToolTest, environment, is_alive, main, run, run_call, run_map,
                       start)


class TestCommand(ToolTest):
    def test_version(self):
        result = run('--version')
        self.assert_status(result, 0)
        self.assertRegex(result.stdout, rb'^afrpc [0-9]+\.[0-9]+\.[0-9]+\n$')

    def test_help(self):
        for args in (['--help'], ['help'], ['help', 'help'], ['help', '--help'], ['call', '--help'], ['map', '--help'],
                     ['help', 'map']):
            with self.subTest(args=args):
                result = run(*args)
                self.assert_status(result, 0)
                self.assertRegex(result.stdout, rb'Exit status:(?s:.*)\n  4  +the worker died\n')
                self.assertEqual(result.stderr, b'')
        self.assertIn(b'--keep-order', run('help', 'map').stdout)
        self.assertIn(b'--strings', run('help', 'call').stdout)
        # It makes no calls.
        result = run('help', 'host')
        self.assertRegex(result.stdout, rb'Exit status:\n  0 [^\n]*\n  1 [^\n]*\n  2 [^\n]*\n  3 [^\n]*\n')
        self.assertNotRegex(result.stdout, rb'a call|  [45] |time limit')

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
        self.assert_usage(run('help', 'fly'), 'no command “fly”'.encode())
        self.assert_usage(run('help', '--fly'), 'no command “--fly”'.encode())
        for words in ['map', 'extra'], ['map', '--help'], ['help', 'map']:
            self.assert_usage(run('help', *words), b'one command at a time')
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
        for name in '/nowhere/host', b'nowhere \xff', '':
            result = run('host', name)
            self.assert_status(result, 3)
            self.assertRegex(result.stderr, rb'^afrpc: Cannot run [^\n]*(nowhere|afrpc-host-)[^\n]+\n$')
        result = run('host', 'nowhere')
        self.assert_status(result, 3)
        self.assertRegex(result.stderr, rb"^afrpc: there is no host for 'nowhere': [^\n]*; there are hosts for: [^\n]*\bc\b[^\n]*\n$")

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
        for args, expected in (
                (['[]', 'nothing', '5'], '(@as [], nothing, 5)'),
                (["['a']", '5', '5'], "(['a'], 5, 5)"),
                (['[]', 'just 5', '-5'], '([], 5, -5)'),
                (['[]', '5', '5000000000'], '([], 5, 5000000000)')):
            with self.subTest(args=args):
                result = run_call(MODULE, 'kinds', '--', *args)
                self.assert_status(result, 0)
                self.assertEqual(re.sub('@[a-z]+ ', '', result.stdout.decode()), re.sub('@[a-z]+ ', '', expected) + '\n')
        for args in ['[]', 'nothing', 'x'], ['[5]', 'nothing', '5'], ['[]', 'nothing'], ['[]', '+', '5']:
            with self.subTest(args=args):
                result = run_call(MODULE, 'kinds', *args)
                self.assert_status(result, 1)
                self.assertIn(b"'kinds' takes (asmix), not (", result.stderr)
        # Nothing is called but what fits.
        result = run_call(MODULE, 'mixed', '1', '2', '3')
        self.assert_status(result, 0)
        self.assertEqual(result.stdout, b"('1', 2, '3')\n")
        result = run_call(MODULE, 'mixed', '1', 'x', '3')
        self.assert_status(result, 1)
        self.assertIn(b'takes (sis), not (isi)', result.stderr)

    def test_declared_type_that_takes_a_string(self):
        """One rule for both commands."""
        for function, word, expected in (
                ('maybe_string', 'nothing', '(@ms nothing,)'), ('maybe_string', 'text', "(@ms 'text',)"),
                ('maybe_string', '5', "(@ms '5',)"), ('maybe_string', "'nothing'", "(@ms 'nothing',)"),
                ('maybe_string', "just 'x'", "(@ms 'x',)"), ('maybe_string', '', "(@ms '',)"), ('maybe_string', '+', "(@ms '+',)"),
                ('variant', '5', '(<5>,)'), ('variant', 'text', "(<'text'>,)"), ('variant', "'5'", "(<'5'>,)"),
                ('variant', "<'5'>", "(<'5'>,)"), ('variant', '5000000000', '(<int64 5000000000>,)'),
                ('variant', 'nothing', "(<'nothing'>,)"), ('variant', '[1, 2]', '(<[1, 2]>,)'), ('variant', '', "(<''>,)"),
                ('maybe_variant', 'nothing', '(@mv nothing,)'), ('maybe_variant', '5', '(@mv <5>,)'),
                ('maybe_variant', 'just 5', '(@mv <5>,)'), ('maybe_variant', 'text', "(@mv <'text'>,)"),
                ('maybe_variant', "<'5'>", "(@mv <'5'>,)"), ('path', '/a', "(objectpath '/a',)"), ('path', "'/a'", "(objectpath '/a',)")):
            for command in run_call, run_map:
                with self.subTest(function=function, word=word, command=command.__name__):
                    result = command(MODULE, function, '--', word)
                    self.assert_status(result, 0)
                    told = re.sub('@m[sv] |objectpath |int64 ', '', result.stdout.decode())
                    bare = re.sub('@m[sv] |objectpath |int64 ', '', expected)
                    self.assertEqual(told, bare + '\n')
        # What is said to be a string is that.
        for function, expected in ('maybe_string', "('nothing',)"), ('variant', "(<'nothing'>,)"):
            self.assertEqual(run_call('--strings', MODULE, function, 'nothing').stdout.decode(), expected + '\n')
        self.assertEqual(run_map('-k', MODULE, 'variant', stdin=b'5\nx\n\n[]\n').stdout, b"(<5>,)\n(<'x'>,)\n(<''>,)\n(<'[]'>,)\n")

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

    def test_module_of_the_path(self):
        shutil.copy(MODULE, os.path.join(self.folder, 'of-it.so'))
        there = environment(AFRPC_MODULE_PATH=f'/nowhere:{self.folder}')
        result = run_call('of-it.so', 'work', 'x', env=there)
        self.assert_status(result, 3)
        self.assertIn(f'afrpc: To load the file in “{self.folder}”, write “of-it”\n'.encode(), result.stderr)
        self.assert_status(run_call('of-it', 'work', 'x', env=there), 0)
        for name, where in ('of-it.so', environment()), ('not-of-it.so', there):
            self.assertNotIn(b'write', run_call(name, 'work', 'x', env=where).stderr)

    def test_argument_not_utf8(self):
        self.assert_usage(run_call(MODULE, 'echo', b'\xff'), b'not valid UTF-8')

    def test_json(self):
        result = run_call('--json', MODULE, 'echo', "{'a': [1, 2]}", 'x"y', 'true')
        self.assert_status(result, 0)
        self.assertEqual(json.loads(result.stdout), [{'a': [1, 2]}, 'x"y', True])

    def test_bytes_as_text(self):
        """Whatever they are in; what is no text stays what it is."""
        for given, shown in (
                ("b'a \u00e4'", "('a ä',)"), ("@ay []", "('',)"), ("@aay []", "([],)"), ("[byte 0xff]", "([0xff],)"),
                ("[byte 0x61, 0, 0x62]", "([0x61, 0x00, 0x62],)"), ("[byte 0x61]", "('a',)"),
                ("[b'a', b'b']", "(['a', 'b'],)"), ("[b'a', [byte 0xff]]", "([<'a'>, <[byte 0xff]>],)"),
                ("{'a': b'b', 'c': b'd'}", "({'a': 'b', 'c': 'd'},)"), ("{'a': b'b', 'c': [byte 0xff]}", "({'a': <'b'>, 'c': <[byte 0xff]>},)"),
                ("{'a': <[<b'b'>, <5>]>}", "({'a': <[<'b'>, <5>]>},)"), ("@may b'a'", "('a',)"), ("@may nothing", "(nothing,)"),
                ("(b'a', [1, 2], 'x')", "(('a', [1, 2], 'x'),)")):
            with self.subTest(given):
                result = run_call('--bytes-as-text', MODULE, 'echo', given)
                self.assert_status(result, 0)
                self.assertEqual(result.stdout.decode().rstrip(), shown)
        result = run_call('--bytes-as-text', '--json', MODULE, 'like_perl', 'a,ä')
        self.assertEqual((json.loads(result.stdout), result.stderr.decode()), (['a', 'ä'], "event: ['a,ä']\n"))
        self.assertEqual(run_call(MODULE, 'like_perl', 'a').stdout, b'[[0x61]]\n')

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
        # Digits are an integer where the function takes one, as --json writes those that are no double.
        for t in '18446744073709551615', '"18446744073709551615"', '12345678901234567890', '"5"':
            result = run_call('--from-json', '--json', MODULE, 'large', t, '["9223372036854775807", 1]')
            self.assert_status(result, 0)
            self.assertEqual([int(n) for n in (lambda a, b: [a, *b])(*json.loads(result.stdout))], [int(t.strip('"')), 2**63 - 1, 1])
        again = run_call('--from-json', '--json', MODULE, 'large', *map(json.dumps, json.loads(result.stdout)))
        self.assertEqual(again.stdout, result.stdout)
        for t in '1e19', '18446744073709551616', '-12345678901234567890':
            result = run_call('--from-json', MODULE, 'large', '--', t, '[]')
            self.assert_status(result, 1)
            self.assertIn(b'write a string of digits', result.stderr)
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
        # What is for programs is not shown.
        self.assertEqual(run_call(MODULE, 'work', 'raise').stderr, b'afrpc: python-exception -11: KeyError: 5\n\nTraceback\n')

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


if __name__ == '__main__':
    main()
