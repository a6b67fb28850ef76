#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What CONTRIBUTING.md names is there: functions that are defined, folders, and words that the sources use.

usage: test-contributing.py FOLDER

FOLDER is that of the project.
"""
import pathlib
import re
import sys


def read_sources(root):
    return '\n'.join(path.read_text(encoding='utf-8') for path in sorted((root / 'afrpc').rglob('*.[ch]')))


def get_section(text, title):
    match = re.search(rf'^## {re.escape(title)}$(.*?)(?=^## )', text, re.MULTILINE | re.DOTALL)
    assert match, f'no section \'{title}\''
    return match[1]


def main(root):
    text = (root / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    sources = read_sources(root)
    wrong = []

    functions = set(re.findall(r'`([a-z_]+) \(\)`', get_section(text, 'A call, from end to end')))
    assert len(functions) > 30, 'where are the functions?'
    for name in sorted(functions):
        if not re.search(rf'^{name} \(', sources, re.MULTILINE):
            wrong.append(f'no function is called {name} ()')

    picture = get_section(text, 'Where things are').split('```')[1]
    for folder in sorted(set(re.findall(r'\b([a-z]+)/', picture))):
        if not (root / folder).is_dir() and not (root / 'afrpc' / folder).is_dir():
            wrong.append(f'there is no folder {folder}/')

    words = re.findall(r'^\| ([a-z ]+) \|', get_section(text, 'Words'), re.MULTILINE)[1:]
    assert words == sorted(words) and len(words) > 30, 'the words are not in order'
    for word in words:
        if not re.search(word.replace(' ', '[_ -]').removesuffix('s'), sources, re.IGNORECASE):
            wrong.append(f'no source has the word \'{word}\'')

    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(pathlib.Path(sys.argv[1])))
