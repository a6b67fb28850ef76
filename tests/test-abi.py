#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares what programs and workers have been built against with what the libraries have.

usage: test-abi.py [--update] FOLDER [GIR]

FOLDER has the libraries. What they export is in packaging/debian/*.symbols, with the version that brought it; the types of functions, of fields and of signals, and the values of enumerations, as GIR says them, in
abi.txt. CONTRIBUTING.md says what may change there. --update writes both anew.
"""
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
SYMBOLS = sorted((HERE / "packaging" / "debian").glob("*.symbols"))
TYPES = HERE / "abi.txt"
CORE = "{http://www.gtk.org/introspection/core/1.0}"
C = "{http://www.gtk.org/introspection/c/1.0}"
GLIB = "{http://www.gtk.org/introspection/glib/1.0}"


def read_symbols(path):
    """The lines about each symbol, by library."""
    libraries = {}
    for line in path.read_text().splitlines():
        if line.startswith(" "):
            libraries[name][line.split("@")[0].strip()] = line
        else:
            name = line.split()[0]
            libraries[name] = {}
    return libraries


def list_symbols(library):
    done = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True)
    # What else there is comes from the compiler's own libraries.
    return sorted(name for *_, name in map(str.split, done.stdout.splitlines()) if re.match("_?afrpc", name))


def c_type(element):
    for child in element:
        if child.tag in (CORE + "type", CORE + "array"):
            # Properties and signals have types of GObject.
            return child.get(C + "type") or child.get("name") or f"{c_type(child)}[{child.get('fixed-size', '')}]"
        if child.tag == CORE + "callback":
            return signature(child)
        if child.tag == CORE + "varargs":
            return "..."
    raise ValueError(f"{element.get('name')} has no type")


def signature(element):
    """Of a function: its types, in the order of C."""
    parameters = element.find(CORE + "parameters")
    types = [] if parameters is None else [c_type(parameter) for parameter in parameters]
    if element.get("throws") == "1":
        types.append("GError**")
    return f"{c_type(element.find(CORE + 'return-value'))} ({', '.join(types) or 'void'})"


def describe(namespace):
    for element in namespace.iter():
        kind = element.tag.removeprefix(CORE)
        name = element.get(C + "identifier")
        if kind in ("function", "method", "constructor"):
            yield f"{name}: {signature(element)}"
        elif kind == "member":
            yield f"{name} = {element.get('value')}"
        elif kind == "callback" and element.get(C + "type"):
            yield f"{element.get(C + 'type')}: {signature(element)}"
        elif kind == "record" and element.get(C + "type") and not element.get("disguised") and not element.get("opaque"):
            fields = ", ".join(f"{field.get('name')} {c_type(field)}" for field in element.findall(CORE + "field"))
            if fields:
                yield f"{element.get(C + 'type')}: {{ {fields} }}"
        elif kind in ("class", "interface"):
            whole = element.get(C + "type")
            for child in element:
                if child.tag == CORE + "property":
                    access = "".join(short for short, default, name in (("r", "1", "readable"), ("w", "0", "writable"))
                                     if child.get(name, default) == "1")
                    yield f"{whole}:{child.get('name')}: {c_type(child)} ({access})"
                elif child.tag == GLIB + "signal":
                    yield f"{whole}::{child.get('name')}: {signature(child)}"


def has_lost(what, old, new):
    """Whether there is something no more, or is something else; this and what is new is printed."""
    gone, come = [line for line in old if line not in new], [line for line in new if line not in old]
    for sign, lines in ("-", gone), ("+", come):
        for line in lines:
            print(f"{what}: {sign} {line}", file=sys.stderr)
    return bool(gone)


def main():
    update = sys.argv[1] == "--update"
    folder, *girs = map(pathlib.Path, sys.argv[2 if update else 1:])
    files = {path: read_symbols(path) for path in SYMBOLS}
    libraries = {name: lines for of_file in files.values() for name, lines in of_file.items()}
    symbols = {name: list_symbols(folder / name) for name in libraries}
    types = sorted({line for gir in girs for line in describe(ElementTree.parse(gir).find(CORE + "namespace"))})
    if update:
        version = re.search("version: '(.*)'", (HERE.parent / "meson.build").read_text())[1]
        for path, of_file in files.items():
            path.write_text("".join(
                f"{name} #PACKAGE# #MINVER#\n"
                + "".join(lines.get(symbol, f" {symbol}@Base {version}") + "\n" for symbol in symbols[name])
                for name, lines in of_file.items()))
        if girs:
            TYPES.write_text("".join(line + "\n" for line in types))
        return 0

    bad = [has_lost(name, list(libraries[name]), symbols[name]) for name in libraries]
    if girs:
        bad.append(has_lost(TYPES.name, TYPES.read_text().splitlines(), types))
    if any(bad):
        print('What programs are built against has changed; see "What may change" in CONTRIBUTING.md. If it may, run\n'
              f"{__file__} --update {folder} {' '.join(map(str, girs))}", file=sys.stderr)
    return int(any(bad))


if __name__ == "__main__":
    sys.exit(main())
