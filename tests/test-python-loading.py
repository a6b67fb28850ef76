#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a worker in Python can load: files and what lies beside them, and what its program has."""
import importlib.machinery
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib  # noqa: E402

import afrpc  # noqa: E402


def run(process, function, *args):
    process.set_stderr(Afrpc.Stdio.CAPTURE)
    proxy = Afrpc.Proxy(process=process, function=function)
    proxy.connect("error", lambda proxy, error: None)
    return proxy.invoke_sync(*args)


def new():
    return Afrpc.Process.new_exec("python")


class Loading(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def test_beside(self):
        self.write("beside_it.py", "def help(): return 'helped'")
        path = self.write("worker.py", "import beside_it\ndef run(): return beside_it.help()")
        self.assertEqual(run(new().require(path), "run"), "helped")
        # What is beside it can be required as well, and is the same then.
        code = "import sys\ndef same(): return sys.modules['beside_it'].help is help"
        self.assertIs(run(new().require(path, str(self.folder / "beside_it.py")).eval(
            code + "\nfrom beside_it import help"), "same"), True)

    def test_shadows_nothing(self):
        path = self.write("random.py", "import random\ndef run(): return random.__file__, __file__, random.randint(1, 1)")
        self.write("json.py", "raise ImportError('not this')")
        theirs, own, one = run(new().require(path), "run")
        self.assertEqual((os.path.realpath(own), one), (path, 1))
        self.assertNotEqual(os.path.realpath(theirs), path)
        self.assertEqual(run(new().require(path).eval("import json\ndef run_json(): return json.dumps([])"), "run_json"), "[]")
        # Those of classes that are looked for in their module, too.
        path = self.write("types.py", "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: 'int'\n"
                                      "def run(): return A(5).x")
        self.assertEqual(run(new().require(path), "run"), 5)

    def test_module_path_shadows_nothing(self):
        self.write("random.py", "raise ImportError('not this')")
        self.write("of_it.py", "import random\ndef run(): return random.randint(1, 1)")
        process = new().setenv("AFRPC_MODULE_PATH", str(self.folder), True)
        self.assertEqual(run(process.require("of_it"), "run"), 1)
        # What is installed besides comes behind it.
        self.write("gi.py", "def run(): return 'own'")
        self.assertEqual(run(new().setenv("AFRPC_MODULE_PATH", str(self.folder), True).require("gi"), "run"), "own")

    def test_same_name(self):
        one = self.write("one/work.py", "def first(): return __file__")
        two = self.write("two/work.py", "def second(): return __file__")
        process = new().require(one, two)
        self.assertEqual(run(process, "first"), one)
        self.assertEqual(run(new().require(one, two), "second"), two)

    def test_once(self):
        path = self.write("counted.py", "import builtins\nbuiltins.n = getattr(builtins, 'n', 0) + 1\n"
                                        "def run(): return n")
        link = str(self.folder / "link.py")
        os.symlink(path, link)
        self.write("sub/x", "")
        same = str(self.folder / "sub" / ".." / "counted.py")
        template = new().require(path, path, same)
        self.assertEqual(run(template.fork().require(path, link), "run"), 1)
        # One that fails is tried anew.
        path = self.write("fails.py", "import builtins\nbuiltins.n = getattr(builtins, 'n', 0) + 1\n1 / 0")
        with self.assertRaisesRegex(GLib.Error, "ZeroDivisionError"):
            run(new().require(path), "run")

    def test_paths(self):
        path = self.write("worker.py", "def run(): return __file__")
        self.assertEqual(run(new().require(pathlib.Path(path)), "run"), path)
        old = os.getcwd()
        os.chdir(self.folder)
        try:
            process = new().require(pathlib.Path("worker.py"))
            wrong = new().require("worker.py")
            wrong.set_cwd(str(self.folder))
        finally:
            os.chdir(old)
        self.assertEqual(run(process, "run"), path)
        with self.assertRaisesRegex(GLib.Error, "the path of a file has a slash in it: './worker.py'"):
            run(wrong, "run")
        with self.assertRaises(TypeError):
            new().require(5)

    def test_path_of_the_program(self):
        self.write("of_the_program/__init__.py", "def run(): return 'found'")
        self.write("string.py", "raise ImportError('not this')")
        sys.path.insert(0, str(self.folder))
        try:
            process = new().require("of_the_program", "string")
            forked = Afrpc.Process.new_for_host("python").require("of_the_program")
            self.assertEqual(run(forked, "run"), "found")
        finally:
            sys.path.remove(str(self.folder))
        self.assertEqual(run(process, "run"), "found")
        with self.assertRaisesRegex(GLib.Error, "ModuleNotFoundError"):
            run(new().require("of_the_program"), "run")

    @unittest.skipIf("LD_PRELOAD" in os.environ, "who gets an environment of its own loads nothing first")
    def test_interpreter(self):
        """As in a virtual environment, which this is, as far as Python is concerned."""
        real = os.path.realpath(sys.executable)
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        self.write("pyvenv.cfg", f"home = {os.path.dirname(real)}\ninclude-system-site-packages = true\n")
        self.write(f"lib/{version}/site-packages/only_there.py", "def run(): return 'only there'")
        (self.folder / "bin").mkdir()
        python = str(self.folder / "bin" / "python")
        os.symlink(real, python)
        code = "import sys, os\ndef tell(): return sys.executable, sys.prefix, os.environ.get('AFRPC_PYTHON')"
        old, sys.executable = sys.executable, python
        try:
            process = new().require("only_there")
            told = new().eval(code)
            others = [Afrpc.Process(host="python"), new().set_environ(["A=1"]), new().fork().set_environ(["A=1"]),
                      Afrpc.Process(host="python").set_environ([f"PATH={os.environ['PATH']}"]).setenv("A", "1", True)]
            for other in others:
                other.eval(code)
            own = new().set_environ([f"AFRPC_PYTHON={old}"]).eval(code)
        finally:
            sys.executable = old
        self.assertEqual(run(process, "run"), "only there")
        for told in told, *others:
            self.assertEqual(run(told, "tell"), (python, str(self.folder), None))
        self.assertEqual(run(own, "tell")[0], old)
        with self.assertRaisesRegex(GLib.Error, "ModuleNotFoundError"):
            run(new().require("only_there"), "run")
        # Another one for one process
        told = new().eval(code)
        told.setenv("AFRPC_PYTHON", python, True)
        self.assertEqual(run(told, "tell")[0], python)
        told = new().eval(code)
        told.setenv("AFRPC_PYTHON", "python", True).setenv("PATH", f"{self.folder}/bin:{os.environ['PATH']}", True)
        self.assertEqual(run(told, "tell")[0], python)
        told = new().eval(code)
        told.setenv("AFRPC_PYTHON", "/nonexistent/python", True)
        with self.assertRaisesRegex(GLib.Error, "the interpreter '/nonexistent/python' cannot be executed: No such file"):
            run(told, "tell")
        with self.assertRaisesRegex(GLib.Error, f"the interpreter '{self.folder}/no-program' cannot be executed: Permission denied"):
            run(Afrpc.Process.new_exec("python", python=self.write("no-program", "")).eval(code), "tell")
        # The same from the start, which finds what is its own
        sys.path.append(str(self.folder))
        try:
            for told in (Afrpc.Process.new_exec("python", python=python),
                         Afrpc.Process.new_exec("python", python=pathlib.Path(python)),
                         Afrpc.Process(host="python", python=python).set_environ([])):
                self.assertEqual(run(told.require("only_there").eval(code), "tell")[0], python)
            told = Afrpc.Process.new_exec("python", python=python).eval("import sys\ndef path(): return sys.path")
        finally:
            sys.path.remove(str(self.folder))
        self.assertNotIn(str(self.folder), run(told, "path"))
        for missing in "nopython", "/nonexistent/python", "no/python", self.folder / "none":
            with self.assertRaisesRegex(FileNotFoundError, f"there is no such interpreter: '{missing}'"):
                Afrpc.Process.new_exec("python", python=missing)
        for wrong in (lambda: Afrpc.Process.new_exec(python=python), lambda: Afrpc.Process(host="c", python=python),
                      lambda: Afrpc.Process(host="python", use_template=True, python=python),
                      lambda: Afrpc.Process(host="python", destination="nowhere", python=python)):
            self.assertRaises(ValueError, wrong)

    def copy(self, *left_out):
        """The package, and the folder of our overrides, without what else there is where they are."""
        package = pathlib.Path(afrpc.__file__).parent
        for place in package, pathlib.Path(Afrpc.Proxy.__init__.__code__.co_filename).parent:
            copy = self.folder / ("afrpc" if place == package else "gi/overrides")
            copy.mkdir(parents=True)
            for file in place.iterdir():
                if file.is_file() and not file.name.startswith(left_out) and (place == package or "Afrpc" in file.name):
                    os.symlink(file, copy / file.name)

    def run_alone(self, code):
        """In an interpreter that has nothing installed but the copy."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, env=environment)

    def test_without_pygobject(self):
        self.copy("nothing")
        self.assertEqual(self.run_alone("import afrpc; print(afrpc.Tagged(1, 2).tag)").stdout, "1\n")
        for code in ("import afrpc, gi", "from afrpc import aio; from gi.repository import Afrpc", "import gi, afrpc",
                     "from afrpc import Executor; Executor(1)"):
            with self.subTest(code):
                done = self.run_alone(code)
                self.assertRegex(done.stderr.splitlines()[-1],
                                 rf"ImportError: there is no PyGObject for {sys.executable}, only .* in {self.folder}/gi: install")
        # One that is found later is found.
        later = self.folder / "later" / "gi"
        later.mkdir(parents=True)
        (later / "__init__.py").write_text("found = 5")
        done = self.run_alone(f"import afrpc, sys; sys.path.append({str(later.parent)!r}); import gi; print(gi.found)")
        self.assertEqual(done.stdout, "5\n", done.stderr)

    def test_another_version(self):
        self.copy("_afrpc.")
        self.assertIn("circular import", self.run_alone("import afrpc").stderr.splitlines()[-1])
        there = self.folder / "afrpc"
        for tag, words in ("cpython-399-x86_64-linux-gnu", "Python 3.99"), ("cpython-313t-x", "Python 3.13t"), ("pypy-x", "pypy-x"):
            extension = there / f"_afrpc.{tag}.so"
            extension.touch()
            told = self.run_alone("import afrpc").stderr
            self.assertEqual(told.splitlines()[-1], f"ImportError: afrpc in {there} was built for {words}, and this is "
                                                    f"Python {sys.version.split()[0]}, {sys.executable}")
            self.assertNotIn("circular", told)
            extension.unlink()
        # What is of this version, and does not load for some other reason
        (there / f"_afrpc{importlib.machinery.EXTENSION_SUFFIXES[0]}").touch()
        self.assertIn("file too short", self.run_alone("import afrpc").stderr)

    @unittest.skipIf(sys.version_info < (3, 14), "there is no concurrent.interpreters")
    def test_sub_interpreter(self):
        """It is an error there, and does not hang or crash."""
        from concurrent import interpreters

        place = str(pathlib.Path(afrpc.__file__).parent.parent)
        for module in "afrpc", "gi":
            with self.assertRaisesRegex(interpreters.ExecutionFailed, "does not support loading in subinterpreters"):
                interpreters.create().exec(f"import sys; sys.path[:] = {[place, *sys.path]}; import {module}")

    def test_path_objects(self):
        """Wherever text may be a path."""
        code = "import os\ndef tell(): return os.getcwd(), os.environ['PLACE']"
        process = new().set_cwd(self.folder).setenv("PLACE", self.folder, True).eval(code)
        self.assertEqual(run(process, "tell"), (str(self.folder), str(self.folder)))
        self.assertEqual(Afrpc.Process.new_command([self.folder, "a"]).props.argv, [str(self.folder), "a"])
        self.assertEqual(Afrpc.Process.new_exec(self.folder).get_host(), str(self.folder))


if __name__ == "__main__":
    unittest.main()
