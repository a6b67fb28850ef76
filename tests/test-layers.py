#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads what the files of the library include: an arrow only ever points down.

usage: test-layers.py FOLDER

FOLDER is that of the sources, afrpc/. What is wrong is told on standard error, an arrow a line.
"""
import itertools
import pathlib
import re
import sys

# From the bottom; those of one line know nothing of each other.
LAYERS = [
    ['wire'],
    ['json', 'serialise', 'os'],
    ['transport'],
    ['link'],
    ['peer', 'serve'],
    ['.'],  # public objects
    ['pool'],  # one that stands on others
    ['nats'],  # and one as anybody may write it: it knows what is public
    ['tool', 'python', 'gjs', 'vala', 'hosts'],
]
RANKS = {folder: rank for rank, folders in enumerate(LAYERS) for folder in folders}

# What everybody may include.
BASE = {'afrpc-error.h', 'afrpc-exit.h', 'afrpc-serialiser.h', 'afrpc-serialiser-values.h', 'afrpc-types.h'}

# What is for the files of one folder only: whoever includes it could reach into what is below.
PRIVATE = {'peer/afrpc-peer-parts.h', 'peer/afrpc-peer-birth.h', 'peer/afrpc-inbox.h'}

# What the files of a folder have of objects below, whose structure is not theirs: it is known by functions.
REACH = {
    '.': re.compile(r'\b(?:session|peer)(?:\.|->)(?!h\b)\w+'),
    'pool': re.compile(r'\b(?:session|peer|process|proxy)(?:\.|->)(?!h\b)\w+'),
}

# What anybody may write for himself includes what anybody has.
OUTSIDE = {'nats'}

# One public object is of the program's side or of the worker's, but for what is both.
SIDES = {'peer', 'serve'}


def find_arrows(root):
    """Pairs of files, as paths in root: the first includes the second."""
    for path in sorted(root.rglob('*.[ch]')):
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(encoding='utf-8'), re.MULTILINE):
            name = name.removeprefix('afrpc/')
            for place in (root / name, path.parent / name):
                if place.is_file():
                    yield path.relative_to(root), place.relative_to(root)
                    break


def get_folder(path):
    return path.parts[0] if len(path.parts) > 1 else '.'


def is_up(source, target):
    one, other = get_folder(source), get_folder(target)
    if one == other or str(target) in BASE:
        return False
    return RANKS[other] >= RANKS[one]


def get_concepts(paths):
    """Of each path: what it is about. A file belongs to the one whose name its own begins with; what everybody may
    include stands for itself."""
    stems = sorted({path.with_suffix('') for path in paths if path.suffix == '.h' and path.name != 'afrpc.h'}, key=lambda stem: len(stem.name))
    concepts = {}
    for path in paths:
        stem = path.with_suffix('')
        if str(path) in BASE:
            concepts[path] = path
            continue
        owners = [other for other in stems if other.parent == stem.parent and
                  (stem.name == other.name or stem.name.startswith(other.name + '-'))]
        concepts[path] = owners[0] if owners else stem
    return concepts


def find_circles(graph):
    """Tarjan: lists of nodes each of which is reached from each other."""
    numbers, lowest, stack = {}, {}, []
    count = itertools.count()
    circles = []

    def visit(node):
        numbers[node] = lowest[node] = next(count)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in numbers:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], numbers[other])
        if lowest[node] == numbers[node]:
            circle = []
            while not circle or circle[-1] != node:
                circle.append(stack.pop())
            circles.append(sorted(circle))

    for node in sorted(graph):
        if node not in numbers:
            visit(node)
    return [circle for circle in circles if len(circle) > 1]


def main(root):
    arrows = list(find_arrows(root))
    assert len(arrows) > 500, 'where are the sources?'
    wrong = []

    for source, target in arrows:
        if is_up(source, target):
            wrong.append(f'{source} includes {target}, which is not below it')
        if str(target) in PRIVATE and get_folder(source) != get_folder(target):
            wrong.append(f'{source} includes {target}, which is for the files of its folder')

        if get_folder(source) in OUTSIDE and get_folder(target) != get_folder(source) and \
                not re.fullmatch(r'afrpc(-nats.*)?\.h', str(target)):
            wrong.append(f'{source} includes {target}, which is not public, or not on its own')

    for source in sorted({source for source, _ in arrows if get_folder(source) == '.'}):
        sides = {get_folder(target) for other, target in arrows if other == source} & SIDES
        if len(sides) > 1:
            wrong.append(f'{source} includes files of both sides')

    for folder, reach in REACH.items():
        for path in sorted((root / folder).glob('*.[ch]')):
            for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
                if reach.search(line):
                    wrong.append(f'{path.relative_to(root)}:{number} reaches into what is below: {line.strip()}')

    # A circle of two is one concept in two.
    concepts = get_concepts({path for arrow in arrows for path in arrow})
    graph = {}
    for source, target in arrows:
        if concepts[source] != concepts[target]:
            graph.setdefault(concepts[source], set()).add(concepts[target])
    for circle in find_circles(graph):
        if len(circle) > 2 or len({stem.parent for stem in circle}) > 1:
            wrong.append('in a circle: ' + ', '.join(map(str, circle)))

    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(pathlib.Path(sys.argv[1])))
