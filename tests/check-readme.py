#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares the code in README.md and docs/*.md with the files that it was cut from.

usage: check-readme.py SOURCE-TREE

A block of code in a language that is compiled or run comes after a line "<!-- FILE -->" and consists
of whole lines of FILE, in one piece. What a block in Python or JavaScript uses of a module has been imported by it, or
before it on the page. What blocks in Python use is in those of the same file, but where they are from inside of something.
One that begins as a file does is all of it, but for comments at the beginning, and so are those together, in their order,
that come after "<!-- FILE, all in pieces -->". FILE is compiled, or run, by other tests. Functions that the tours call are
shown. Links to files of the source tree lead somewhere.
"""
import builtins
import collections
import pathlib
import re
import symtable
import sys

LANGUAGES = ("c", "js", "python", "vala")

BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCE = re.compile(r"<!-- (\S+?)(, all in pieces)? -->\n\Z")
IMPORT = re.compile(r"^ *(?:import|from)\s.*$", re.MULTILINE)
USES = {"python": re.compile(r"(?<![\w.\"'])(Afrpc|GLib|Gio|GObject|afrpc|aio|asyncio|datetime|functools|gi|json|logging|os|pathlib|"
                             r"subprocess|sys|uuid)\.\w"),
        "js": re.compile(r"(?<![\w.\"'])(Afrpc|GLib|Gio|System)\.\w")}
BEGINNING = re.compile(r"#!|#include|package |import |from |using ")
COMMENTS = re.compile(r'(\s*(#![^\n]*\n|# [^\n]*\n|//[^\n]*\n|/\*.*?\*/|""".*?"""))*', re.DOTALL)
HEAD = re.compile(r"((#include|import|from|use|using|gi\.require_version)\b.*\n|\s*\n)*\Z")
WORKERS = {"docs/tour.py": ("docs/tour_worker.py", r"def (\w+)"), "docs/tour.js": ("docs/tour-worker.js", r"function (\w+)")}
CALLED = re.compile(r"""\b(?:new_proxy\(|(?:function|init)[=:] *)["'](\w+)["']""")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def check_blocks(root, text):
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        source = SOURCE.search(text, 0, block.start())
        if source is None:
            if block[1] in LANGUAGES or block[1] == "":
                yield line, "does not say which file it is from"
            continue

        path = root / source[1]
        if not path.is_file():
            yield line, f"is from {source[1]}, which does not exist"
        elif "\n" + block[2] not in "\n" + path.read_text(encoding="utf-8"):
            yield line, f"is not in {source[1]}"


def check_imports(text):
    for language, pattern in USES.items():
        imported = set()
        for block in BLOCK.finditer(text):
            if block[1] != language:
                continue
            for line in IMPORT.findall(block[2]):
                imported.update(re.findall(r"\w+", line))
            missing = set(pattern.findall(block[2])) - imported
            if missing:
                yield text.count("\n", 0, block.start()) + 1, f"does not import {', '.join(sorted(missing))}"


def collect_blocks(text):
    """By the files that they are from: blocks, and whether they are all of it."""
    blocks, in_pieces = collections.defaultdict(list), set()
    for block in BLOCK.finditer(text):
        source = SOURCE.search(text, 0, block.start())
        if source is not None:
            blocks[source[1]].append(block)
            if source[2]:
                in_pieces.add(source[1])
    return blocks, in_pieces


def get_code(text):
    """Its lines, without comments at the beginning."""
    return [line for line in COMMENTS.sub("", text, count=1).splitlines() if line.strip()]


def check_whole(root, text):
    blocks, in_pieces = collect_blocks(text)
    for name, pieces in blocks.items():
        first = pieces[0][2]
        begins = len(pieces) == 1 and BEGINNING.match(first) and not HEAD.match(first)
        if not (begins or name in in_pieces) or not (root / name).is_file():
            continue
        if get_code("".join(piece[2] for piece in pieces)) != get_code((root / name).read_text(encoding="utf-8")):
            yield text.count("\n", 0, pieces[0].start()) + 1, f"is not all of {name}"


def find_missing(code):
    """Names that the code uses and does not define."""
    top = symtable.symtable(code, "page", "exec")
    defined, used, tables = {"__file__", "__name__", *dir(builtins)}, set(), [top]
    for table in tables:
        tables += table.get_children()
        for symbol in table.get_symbols():
            is_global = table is top or symbol.is_global()
            if is_global and symbol.is_referenced():
                used.add(symbol.get_name())
            if is_global and (symbol.is_assigned() or symbol.is_imported()):
                defined.add(symbol.get_name())
    return used - defined


def check_names(text):
    blocks, _ = collect_blocks(text)
    for name, pieces in list(blocks.items()):
        shown = [piece for piece in pieces if piece[1] == "python" and not piece[2].startswith(" ")]
        missing = find_missing("\n".join(piece[2] for piece in shown))
        if missing:
            yield text.count("\n", 0, shown[0].start()) + 1, f"shows of {name} nothing that defines {', '.join(sorted(missing))}"
        if name in WORKERS:
            worker, definition = WORKERS[name]
            defined = {function for piece in blocks[worker] for function in re.findall(definition, piece[2])}
            for piece in pieces:
                missing = set(CALLED.findall(piece[2])) - defined
                if missing:
                    yield text.count("\n", 0, piece.start()) + 1, f"calls {', '.join(sorted(missing))}, which is not shown"


def check_links(page, text):
    for link in LINK.finditer(BLOCK.sub("", text)):
        target = link[1].split("#")[0]
        if not target or ":" in target or "@" in target:
            continue
        # Pages of the reference are linked as what they become.
        written = re.sub(r"\.html$", ".md", target) if page.parent.name == "docs" else target
        if not (page.parent / written).exists():
            yield 0, f"links to {target}, which does not exist"


def main():
    root = pathlib.Path(sys.argv[1])
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    n_blocks = n_wrong = 0

    for page in pages:
        text = page.read_text(encoding="utf-8")
        n_blocks += sum(1 for block in BLOCK.finditer(text) if block[1] in LANGUAGES)
        for line, complaint in (*check_blocks(root, text), *check_imports(text), *check_whole(root, text),
                                *check_names(text), *check_links(page, text)):
            print(f"{page.relative_to(root)}:{line}: {complaint}")
            n_wrong += 1

    print(f"{n_blocks} blocks of code in {len(pages)} pages")
    return 1 if n_wrong > 0 or n_blocks == 0 else 0


sys.exit(main())
