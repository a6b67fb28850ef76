#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares the code in README.md and docs/*.md with the files that it was cut from.

usage: check-readme.py SOURCE-TREE

A block of code in a language that is compiled or run comes after a line "<!-- FILE -->" and consists
of whole lines of FILE, in one piece. What a block in Python or JavaScript uses of a module has been imported by it, or
before it on the page. Links to files of the source tree lead somewhere.
"""
import pathlib
import re
import sys

LANGUAGES = ("c", "js", "python", "vala")

BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCE = re.compile(r"<!-- (\S+) -->\n\Z")
IMPORT = re.compile(r"^ *(?:import|from)\s.*$", re.MULTILINE)
USES = {"python": re.compile(r"(?<![\w.\"'])(Afrpc|GLib|Gio|GObject|afrpc|aio|asyncio|datetime|functools|gi|json|logging|os|pathlib|"
                             r"subprocess|sys|uuid)\.\w"),
        "js": re.compile(r"(?<![\w.\"'])(Afrpc|GLib|Gio|System)\.\w")}
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
        for line, complaint in (*check_blocks(root, text), *check_imports(text), *check_links(page, text)):
            print(f"{page.relative_to(root)}:{line}: {complaint}")
            n_wrong += 1

    print(f"{n_blocks} blocks of code in {len(pages)} pages")
    return 1 if n_wrong > 0 or n_blocks == 0 else 0


sys.exit(main())
