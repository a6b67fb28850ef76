#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes what help() says of gi.repository.Afrpc: the words of its GIR, as a module of Python.

usage: make-docs.py GIR OUTPUT
"""
import re
import sys
import xml.etree.ElementTree as ET

CORE = "{http://www.gtk.org/introspection/core/1.0}"
GLIB = "{http://www.gtk.org/introspection/glib/1.0}"

LINK = re.compile(r"\[(?:`?([^]`]+)`?\]\s*\[)?(\w+)@([^]]+)\]")
PAGE = re.compile(r"\[([^]]+)\]\([^)]*\)")
CONSTANTS = {"TRUE": "True", "FALSE": "False", "NULL": "None"}


def name_link(link):
    text, kind, target = link.groups()
    if text is not None:
        return text
    if kind in ("class", "iface", "struct", "enum", "flags"):
        return target
    target = target.removeprefix("Afrpc.")
    if kind in ("method", "ctor", "func", "vfunc"):
        return target + "()"
    return target.replace("::", " signal ").replace(":", ".props.").replace("-", "_") if kind == "property" else target


def name_constant(constant):
    name = constant[1]
    if name in CONSTANTS:
        return CONSTANTS[name]
    return re.sub(r"^AFRPC_(TYPE_)?([A-Z]+)_", lambda found: f"{found[2].title()}.", name)


def write(text):
    text = PAGE.sub(r"\1", LINK.sub(name_link, text))
    text = re.sub(r"%(\w+)", name_constant, text)
    return re.sub(r"(?<!\w)@(\w+)", r"\1", text).strip()


def get_doc(element):
    doc = element.find(CORE + "doc")
    return write(doc.text) if doc is not None and doc.text else ""


def first_sentence(text):
    return re.split(r"(?<=[.])\s", text.split("\n\n")[0], maxsplit=1)[0].replace("\n", " ")


def get_function_doc(function):
    parts = [get_doc(function)]
    lines = []
    holder = function.find(CORE + "parameters")
    for parameter in holder.findall(CORE + "parameter") if holder is not None else ():
        doc = get_doc(parameter)
        if doc and parameter.get("name") not in ("error", "user_data"):
            lines.append(f"{parameter.get('name')}: {doc}")
    returned = function.find(CORE + "return-value")
    doc = get_doc(returned) if returned is not None else ""
    if doc:
        lines.append(f"Returns: {doc}")
    if lines:
        parts.append("\n".join(lines))
    return "\n\n".join(part for part in parts if part)


def list_members(heading, members):
    lines = [f"  {name}: {first_sentence(doc)}" for name, doc in members if doc]
    return "\n".join([heading, *lines]) if lines else ""


def get_class_doc(element):
    properties = [(prop.get("name").replace("-", "_"), get_doc(prop)) for prop in element.findall(CORE + "property")]
    signals = [(signal.get("name"), get_doc(signal)) for signal in element.findall(GLIB + "signal")]
    parts = [get_doc(element), list_members("Properties, for the constructor and as .props.NAME:", properties),
             list_members("Signals:", signals)]
    return "\n\n".join(part for part in parts if part)


def main():
    gir, output = sys.argv[1:]
    namespace = ET.parse(gir).getroot().find(CORE + "namespace")
    docs = {}
    for element in namespace:
        kind = element.tag.partition("}")[2]
        if kind in ("class", "interface", "record"):
            docs[element.get("name")] = get_class_doc(element)
            for function in element:
                if function.tag.partition("}")[2] in ("method", "function", "constructor", "virtual-method"):
                    key = f"{element.get('name')}.{function.get('name')}"
                    docs[key] = docs.get(key) or get_function_doc(function)
        elif kind == "function":
            docs[element.get("name")] = get_function_doc(element)
    with open(output, "w", encoding="utf-8") as file:
        file.write('# Made from the GIR of Afrpc. Do not edit.\n"""What help() says."""\n\nDOCS = {\n')
        for name, doc in docs.items():
            if doc:
                file.write(f"    {name!r}: {doc!r},\n")
        file.write("}\n")


main()
