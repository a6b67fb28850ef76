#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library that has callbacks run main loops stands before all functions that take a callback, and that finish.

usage: test-nesting.py NESTING.C ABI.TXT
"""
import re
import sys


def main(nesting, abi):
    with open(nesting, encoding='utf-8') as file:
        source = file.read()
    with open(abi, encoding='utf-8') as file:
        functions = dict(re.findall(r'^(afrpc_\w+): \w[^({]*\((.*)\)$', file.read(), re.M))
    there = set(re.findall(r'^(?:ASYNC|FINISH) \((?:\w+, )?(afrpc_\w+),|^(afrpc_\w+) \(', source, re.M))
    there = {name for names in there for name in names}
    wanted = {name for name, parameters in functions.items()
              if re.search(r'GAsyncReadyCallback|AfrpcProgressFunc', parameters) or 'GAsyncResult' in parameters}
    assert len(wanted) > 20, 'where are the functions?'
    for name in sorted(wanted - there):
        print(f'{name} () is not in {nesting}', file=sys.stderr)
    return 1 if wanted - there else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
