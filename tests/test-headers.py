#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The public headers, and the macros of modules, say nothing to a compiler that is asked to be strict.

usage: test-headers.py FLAGS-OF-THE-LIBRARY... -- C-MODULE C-COMPILER [-- C++-MODULE C++-COMPILER]"""
import subprocess
import sys
import unittest

STRICT = ['-Wall', '-Wextra', '-Wpedantic', '-Wno-unused-parameter', '-Wstrict-prototypes']
STANDARDS = {False: ['c99', 'c17'], True: ['c++11', 'c++20']}


def split(words):
    groups = [[]]
    for word in words:
        if word == '--':
            groups.append([])
        else:
            groups[-1].append(word)
    return groups


FLAGS, *COMPILERS = split(sys.argv[1:])


class Headers(unittest.TestCase):
    def check(self, source, compiler, standard, define=None):
        strict = [flag for flag in STRICT if standard[1] != '+' or flag != '-Wstrict-prototypes']
        command = [*compiler, f'-std={standard}', *strict, *FLAGS, '-fsyntax-only', source]
        if define:
            command.insert(-1, f'-D{define}')
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        # What GLib's own headers say is not our affair.
        said = [line for line in done.stderr.splitlines() if 'afrpc' in line or source in line]
        self.assertEqual((done.returncode, said), (0, []), done.stderr)

    def test_strict(self):
        for source, *compiler in COMPILERS:
            for standard in STANDARDS[source.endswith('.cpp')]:
                with self.subTest(source=source, standard=standard):
                    self.check(source, compiler, standard)

    def test_extern_c(self):
        for source, *compiler in COMPILERS:
            if source.endswith('.cpp'):
                self.check(source, compiler, 'c++17', 'IN_EXTERN_C')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
