#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the type stubs of a module of gi.repository: what its GIR says, with what the overrides change.

usage: make-stubs.py GIR OVERRIDES OUTPUT
"""
import ast
import keyword
import sys
import xml.etree.ElementTree as ET

CORE = "{http://www.gtk.org/introspection/core/1.0}"
GLIB = "{http://www.gtk.org/introspection/glib/1.0}"

SIMPLE = {"none": "None", "gboolean": "bool", "utf8": "str", "filename": "str", "gdouble": "float",
          "gfloat": "float", "gpointer": "typing.Any", "GLib.Quark": "int",
          "GObject.Callback": "typing.Callable[..., typing.Any]",
          "GLib.DestroyNotify": "typing.Callable[..., typing.Any]",
          "Gio.AsyncReadyCallback": "typing.Callable[..., typing.Any]"}
INTEGERS = ("gint", "guint", "gint8", "guint8", "gint16", "guint16", "gint32", "guint32", "gint64",
            "guint64", "gsize", "gssize", "glong", "gulong", "gchar", "guchar")


# Whose setters return the object itself, by the overrides; those of Process are in what these have.
CHAINED = ("CallOptions", "Pool", "Proxy")


def tag(element):
    return element.tag.partition("}")[2]


def is_hidden(element):
    return element.get("introspectable") == "0" or element.get(GLIB + "is-gtype-struct-for")


class Writer:
    def __init__(self, callbacks):
        self.callbacks = callbacks

    def type_of(self, element):
        array = element.find(CORE + "array")
        if array is not None:
            inner = array.find(CORE + "type")
            name = inner.get("name") if inner is not None else "gpointer"
            if name in ("guint8", "gchar"):
                return "bytes"
            return f"typing.Sequence[{self.name_of(name)}]"
        found = element.find(CORE + "type")
        return self.name_of(found.get("name")) if found is not None else "typing.Any"

    def name_of(self, name):
        if name in INTEGERS:
            return "int"
        if name in self.callbacks:
            return "typing.Callable[..., typing.Any]"
        return SIMPLE.get(name, name)

    def optional(self, element):
        written = self.type_of(element)
        if element.get("nullable") == "1" and written not in ("None", "typing.Any"):
            return f"typing.Optional[{written}]"
        return written

    def parameters(self, function):
        """What is given, and what is returned besides the result."""
        given, returned = [], []
        holder = function.find(CORE + "parameters")
        all_parameters = [] if holder is None else holder.findall(CORE + "parameter")
        left_out = set()
        for parameter in all_parameters:
            if parameter.get("destroy"):
                left_out.add(int(parameter.get("destroy")))
            array = parameter.find(CORE + "array")
            if array is not None and array.get("length"):
                left_out.add(int(array.get("length")))
        data = set()
        for i, parameter in enumerate(all_parameters):
            if parameter.get("closure") and i not in data:
                data.add(int(parameter.get("closure")))
        user_data = ""
        for i, parameter in enumerate(all_parameters):
            if i in left_out or parameter.find(CORE + "varargs") is not None:
                continue
            if i in data:
                user_data = "*user_data: typing.Any"
            elif parameter.get("direction") == "out":
                returned.append(self.optional(parameter))
            else:
                name = parameter.get("name")
                given.append((name + "_" if keyword.iskeyword(name) else name,
                              self.optional(parameter), parameter.get("nullable") == "1"))
        words = []
        for i, (name, written, nullable) in enumerate(given):
            # PyGObject lets what may be None be left out at the end.
            default = " = None" if all(entry[2] for entry in given[i:]) else ""
            words.append(f"{name}: {written}{default}")
        return words + ([user_data] if user_data else []), returned

    def function(self, function, indent="", first=None, decorator=None):
        words, returned = self.parameters(function)
        result = self.optional(function.find(CORE + "return-value"))
        # What fails raises; it does not return False.
        results = [result] * (result != "None" or not returned) + returned
        written = results[0] if len(results) == 1 else f"typing.Tuple[{', '.join(results)}]"
        if function.get("throws") == "1" and written.startswith("typing.Optional["):
            written = written[len("typing.Optional["):-1]
        lines = [f"{indent}@{decorator}"] if decorator else []
        arguments = ", ".join(([first] if first else []) + words)
        return lines + [f"{indent}def {function.get('name')}({arguments}) -> {written}: ..."]

    def enumeration(self, element):
        yield f"class {element.get('name')}(int):"
        for member in element.findall(CORE + "member"):
            yield f"    {member.get('name').upper()}: {element.get('name')}"
        yield from self.methods(element, set())

    def methods(self, element, known):
        for constructor in element.findall(CORE + "constructor"):
            if not is_hidden(constructor) and constructor.get("name") not in known:
                yield from self.function(constructor, "    ", "cls", "classmethod")
        for method in element.findall(CORE + "method"):
            if not is_hidden(method) and method.get("name") not in known | {"ref", "unref"}:
                lines = self.function(method, "    ", "self")
                if element.get("name") in CHAINED and method.get("name").startswith("set_"):
                    lines = [line.replace("-> None:", f"-> {element.get('name')}:") for line in lines]
                yield from lines
        for method in element.findall(CORE + "virtual-method"):
            if not is_hidden(method):
                method.set("name", "do_" + method.get("name"))
                yield from self.function(method, "    ", "self")
        for function in element.findall(CORE + "function"):
            if not is_hidden(function) and function.get("name") not in known:
                yield from self.function(function, "    ", None, "staticmethod")

    def type_of_property(self, element, prop):
        written = self.type_of(prop)
        getters = [method for method in element.findall(CORE + "method") if method.get("name") == prop.get("getter")]
        # What no function gets may be None if it can be.
        nullable = any(method.find(CORE + "return-value").get("nullable") == "1" for method in getters) if getters else \
            written not in ("bool", "int", "float", "typing.Any")
        return f"typing.Optional[{written}]" if nullable else written

    def properties(self, element):
        """As attributes of "props", which is all that PyGObject has them in."""
        yield "    class Props:"
        n_readable = 0
        for prop in element.findall(CORE + "property"):
            if is_hidden(prop) or prop.get("readable") == "0":
                continue
            n_readable += 1
            name, written = prop.get("name").replace("-", "_"), self.type_of_property(element, prop)
            if prop.get("writable") == "1" and prop.get("construct-only") != "1":
                yield f"        {name}: {written}"
            else:
                yield "        @property"
                yield f"        def {name}(self) -> {written}: ..."
        if n_readable == 0:
            yield "        pass"
        yield "    @property"
        yield "    def props(self) -> Props: ..."

    def constructor(self, element, source):
        """With the properties that can be set, in the place of **properties in what the overrides have, if that is so."""
        rest = "**properties: typing.Any"
        words = [f"{prop.get('name').replace('-', '_')}: {self.type_of_property(element, prop)} = ..."
                 for prop in element.findall(CORE + "property") if not is_hidden(prop) and prop.get("writable") == "1"]
        found = [line for line in source if "def __init__(" in line]
        if not found:
            return [f"    def __init__({', '.join(['self', *(['*', *words] if words else [])])}) -> None: ...", *source]
        words = [word for word in words if f" {word.partition(':')[0]}:" not in found[0]]
        return [line.replace(rest, ", ".join(words)) if line is found[0] else line for line in source]

    def cls(self, element, fragment):
        parents = [element.get("parent")] if element.get("parent") else []
        parents += [interface.get("name") for interface in element.findall(CORE + "implements")]
        known, source = fragment
        yield f"class {element.get('name')}{'(' + ', '.join(parents) + ')' if parents else ''}:"
        if tag(element) == "class":
            yield from self.properties(element)
            source = self.constructor(element, source)
        yield from source
        yield from self.methods(element, set(known))


def read_fragments(path):
    """{class: (names, lines, first line)}, what else the file has, and the names that it imports."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines = text.splitlines()
    fragments, others, imported = {}, [], set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom):
            imported |= {name.asname for name in node.names}
        if isinstance(node, ast.ClassDef):
            names = [child.name for child in node.body if hasattr(child, "name")]
            names += [child.target.id for child in node.body if isinstance(child, ast.AnnAssign)]
            body = lines[node.lineno:node.end_lineno]
            fragments[node.name] = (names, body, lines[node.lineno - 1])
        else:
            others += lines[node.lineno - 1:node.end_lineno]
    return fragments, others, imported


def main():
    gir, overrides, output = sys.argv[1:]
    root = ET.parse(gir).getroot()
    namespace = root.find(CORE + "namespace")
    used = sorted({"Gio", "GLib", "GObject"} | {include.get("name") for include in root.findall(CORE + "include")},
                  key=str.lower)
    fragments, others, imported = read_fragments(overrides)
    callbacks = {element.get("name") for element in namespace.findall(CORE + "callback")}
    writer = Writer(callbacks)

    # What a class has instead of what its interface has takes less, and more.
    written = [f"# Made from the GIR of {namespace.get('name')}. Do not edit.", "# mypy: disable-error-code=override",
               "import typing", "", f"from gi.repository import {', '.join(used)}", "", *others]
    for element in namespace:
        name = element.get("name")
        if is_hidden(element) or name in imported:
            continue
        if tag(element) == "constant":
            written.append(f"{name}: {writer.type_of(element)}")
        elif tag(element) in ("enumeration", "bitfield"):
            written += ["", *writer.enumeration(element)]
        elif tag(element) in ("class", "record", "interface"):
            names, body, _ = fragments.pop(name, ((), (), ""))
            lines = list(writer.cls(element, (names, body)))
            written += ["", *lines]
            if all(line.lstrip().startswith("#") for line in lines[1:]):
                written.append("    pass")
        elif tag(element) == "function":
            written += ["", *writer.function(element)]
    for names, body, head in fragments.values():
        written += ["", head, *body]
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(written) + "\n")


main()
