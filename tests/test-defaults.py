#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares what tables of the pages say of properties with the properties.

usage: test-defaults.py DOCS-FOLDER

In a table with a column "default", the numbers there are those of the properties in the same row, in their order. One
with a column "range" has all numbers and switches of a class that can be set.
"""
import collections
import pathlib
import re
import sys
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc  # noqa: E402

PAGES = pathlib.Path(sys.argv.pop(1))
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
WORDS = {"none": 0, "no": False, "yes": True}
PROPERTY = re.compile(r"\[property@Afrpc\.(\w+):([\w-]+)\]")
VALUE = re.compile(r"\b(none|no|yes)\b|(?<![\w-])([\d,]*\d)(?: ([KMG]iB))?(?![\w])")
RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
POWER = re.compile(f"2([{RAISED}]+)-([0-9]+)")


def read_values(cell):
    """What stands before a colon: what stands behind it explains."""
    to_digits = str.maketrans(RAISED, "0123456789")
    cell = POWER.sub(lambda power: str((1 << int(power[1].translate(to_digits))) - int(power[2])), cell)
    return [WORDS[word] if word else int(number.replace(",", "")) * UNITS[unit]
            for word, number, unit in VALUE.findall(cell.split(":")[0])]


def find_rows():
    """The page, the cells by their titles, and the properties of each row of a table with defaults."""
    for page in sorted(PAGES.glob("*.md")):
        titles = None
        for line in page.read_text(encoding="utf-8").splitlines():
            if not line.startswith("|"):
                titles = None
                continue
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if titles is None:
                titles = cells
            elif "default" in titles and "property" in titles and PROPERTY.search(line):
                row = dict(zip(titles, cells))
                yield page.name, row, PROPERTY.findall(row["property"])


def find_property(class_name, name):
    return getattr(Afrpc, class_name).find_property(name)


def get_default(prop):
    """As the PyGObject that there is has it."""
    return prop.get_default_value() if hasattr(prop, "get_default_value") else prop.default_value


class Defaults(unittest.TestCase):
    def test_defaults(self):
        n = 0
        for page, row, properties in find_rows():
            values = read_values(row["default"])
            with self.subTest(page=page, row=row):
                for value, (class_name, name) in zip(values, properties):
                    self.assertEqual(value, get_default(find_property(class_name, name)), name)
                    n += 1
        self.assertGreater(n, 30)

    def test_ranges(self):
        there = collections.defaultdict(set)
        for page, row, properties in find_rows():
            if "range" not in row:
                continue
            (class_name, name), = properties
            prop = find_property(class_name, name)
            with self.subTest(page=page, row=row):
                self.assertNotIn(name, there[class_name])
                there[class_name].add(name)
                expected = [prop.minimum, prop.maximum] if hasattr(prop, "minimum") else []
                self.assertEqual(read_values(row["range"]), expected)
                for end, unit in {"-ms": "ms", "-s": "s", "-size": "bytes"}.items():
                    if name.endswith(end):
                        self.assertEqual(row["unit"], unit)
        for class_name in "Pool", "Proxy":
            settable = {prop.name for prop in getattr(Afrpc, class_name).list_properties()
                        if prop.flags & 2 and isinstance(get_default(prop), int) and not hasattr(prop, "enum_class")}
            self.assertEqual(there[class_name], settable)


unittest.main()
