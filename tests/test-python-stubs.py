#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The type stubs: their names are those that are there, and a type checker understands them."""
import ast
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc  # noqa: E402

import afrpc  # noqa: E402
import afrpc.aio  # noqa: E402

STUBS = os.environ["AFRPC_TEST_STUBS"]
ROOT = pathlib.Path(__file__).parent.parent
HAVE_MYPY = importlib.util.find_spec("mypy") is not None

PROGRAM = """
import asyncio
import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc
import afrpc
from afrpc import aio


async def main() -> int:
    process = Afrpc.Process.new_exec("python").require("a", "b").eval("pass", 1).send_arg(1)
    reveal_type(process)
    async with Afrpc.Proxy(process=process, function="f", on_event=print, default=str) as proxy:
        await proxy(1, "a", timeout_ms=5)
        reveal_type(await process.wait_async())
        reveal_type(proxy.get_n_calls_queued())
        proxy(1, timeout_ms="5")  # wrong
        proxy.on_event(5)  # wrong
        proxy.set_hooks(hook=5)  # wrong
    process.require(5)  # wrong
    afrpc.event({"a": 1}, fds=[0])
    afrpc.event()  # wrong
    reveal_type(afrpc.Variant("u", 5).signature)
    reveal_type(len(Afrpc.Buffer.new(5)))
    Afrpc.Buffer(5).write(0, memoryview(b""))
    Afrpc.Buffer(5).write(0, [1.5])  # wrong
    tag, value = Afrpc.Tagged("a", 1)
    reveal_type(tag)
    return 5


reveal_type(aio.run(main()))
aio.run(5)  # wrong
"""

REVEALED = ["gi.repository.Afrpc.Process", "gi.repository.Afrpc.Exit", "int",
            "str", "int", "str", "int"]


class Stubs(unittest.TestCase):
    def test_names(self):
        with open(STUBS, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        seen = set()
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                seen.add(node.name)
            if not isinstance(node, ast.ClassDef) or node.name == "Events":
                continue
            there = getattr(Afrpc, node.name)
            names = {child.name for child in node.body if isinstance(child, (ast.FunctionDef,
                                                                            ast.AsyncFunctionDef))}
            if issubclass(there, int):
                names |= {child.target.id for child in node.body if isinstance(child, ast.AnnAssign)}
            # PyGObject has no methods for the virtual functions of an interface.
            missing = {name for name in names if not hasattr(there, name)
                       and not (name.startswith("do_") and node.name in ("Caller", "Serialiser"))}
            self.assertEqual(missing, set(), node.name)
            # What the overrides define is said.
            if there.__module__ == "gi.overrides.Afrpc":
                own = {name for name, value in vars(there).items()
                       if callable(value) and not name.startswith("_")}
                self.assertEqual(own - names, set(), node.name)
        self.assertGreater(len(seen), 15)
        for name in dir(Afrpc):
            if name[0].isupper() and isinstance(getattr(Afrpc, name), type) and \
                    not name.endswith(("Class", "Interface")) and \
                    getattr(Afrpc, name) is not getattr(afrpc, name, None):
                self.assertIn(name, seen)

    def check(self, *files, folder):
        environment = dict(os.environ, MYPYPATH=f"{folder}:{os.environ['PYTHONPATH'].split(':')[0]}")
        return subprocess.run([sys.executable, "-m", "mypy", "--python-version=3.11",
                               "--ignore-missing-imports", "--no-error-summary", "--no-color-output",
                               "--no-incremental", f"--cache-dir={os.devnull}", *map(str, files)],
                              capture_output=True, text=True, env=environment, cwd=folder)

    @unittest.skipUnless(HAVE_MYPY, "there is no mypy")
    def test_mypy(self):
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder, "gi", "repository")
            place.mkdir(parents=True)
            (place.parent / "__init__.pyi").write_text(
                "def require_version(namespace: str, version: str) -> None: ...\n")
            for name in "Gio", "GLib", "GObject":  # others bring these
                (place / f"{name}.pyi").write_text(
                    "import typing\ndef __getattr__(name: str) -> typing.Any: ...\n")
            (place / "Afrpc.pyi").write_bytes(pathlib.Path(STUBS).read_bytes())
            program = pathlib.Path(folder, "program.py")
            program.write_text(PROGRAM)
            examples = [*ROOT.glob("examples/python/*.py"), *ROOT.glob("docs/tour*.py")]
            self.assertGreater(len(examples), 6)
            done = self.check(program, *examples, folder=folder)
            wrong = {i + 1 for i, line in enumerate(PROGRAM.splitlines()) if "# wrong" in line}
            lines = done.stdout.splitlines()
            said = {int(line.split(":")[1]) if line.startswith("program.py:") else line
                    for line in lines if ": error:" in line}
            self.assertEqual(said, wrong, done.stdout + done.stderr)
            notes = [line.split('"')[1].removeprefix("builtins.") for line in lines if "Revealed type" in line]
            self.assertEqual(notes, REVEALED)

    @unittest.skipUnless(HAVE_MYPY, "there is no mypy")
    def test_stubtest(self):
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as config, \
                tempfile.NamedTemporaryFile("w") as allowed:
            # What nobody else imports has no types.
            config.write("[mypy]\nignore_missing_imports = True\n"
                         "[mypy-afrpc._host,afrpc._errors,afrpc._exceptions]\nignore_errors = True\n")
            config.flush()
            # Before Python 3.12 nothing tells of a buffer but having one.
            allowed.write("afrpc.Buffer.__buffer__\n" r"afrpc\._exceptions\..*" "\n")
            allowed.flush()
            self.stubtest(config.name, allowed.name)

    def stubtest(self, config, allowed):
        done = subprocess.run([sys.executable, "-m", "mypy.stubtest", "--ignore-missing-stub",
                               f"--mypy-config-file={config}", f"--allowlist={allowed}",
                               "--ignore-unused-allowlist", "afrpc"], capture_output=True, text=True,
                              env=dict(os.environ, MYPYPATH=os.environ["PYTHONPATH"].split(":")[0]),
                              cwd=tempfile.gettempdir())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
