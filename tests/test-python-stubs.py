#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The type stubs: their names are those that are there, and a type checker understands them."""
import ast
import builtins
import importlib.util
import inspect
import os
import pathlib
import pydoc
import shutil
import subprocess
import sys
import tempfile
import types
import typing
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, Gio, GLib, GObject  # noqa: E402

import afrpc  # noqa: E402
import afrpc.aio  # noqa: E402

STUBS = os.environ["AFRPC_TEST_STUBS"]
NATS_STUBS = os.environ.get("AFRPC_TEST_NATS_STUBS")  # where afrpc is built with NATS
MODULES = [(Afrpc, STUBS)]
if NATS_STUBS is not None:
    gi.require_version("AfrpcNats", "1.0")
    from gi.repository import AfrpcNats

    MODULES.append((AfrpcNats, NATS_STUBS))
ROOT = pathlib.Path(__file__).parent.parent
HAVE_MYPY = importlib.util.find_spec("mypy") is not None

PROGRAM = """
import asyncio
import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib
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
        Afrpc.Pool(process=process)  # wrong
        pool = Afrpc.Pool(process=process, function="f", log=True, max_workers=2)
        reveal_type(pool.events(5))
        await pool(fds={0, open("/dev/null")}, metadata={"a": 1})
        pool.map([1], iter("a"))
        pool.map(proxy.events())
        pool.starmap(pair for pair in [(1, 2)])
        await pool.call_all_async(GLib.Variant("(i)", (1,)))
        pool.call_all_async(None, None, None, print)
        pool.map(3)  # wrong
        pool.map([1], 3)  # wrong
        pool.starmap(3)  # wrong
        pool(fds=["0"])  # wrong
        pool(fds=0)  # wrong
        Afrpc.Pool(process=process, function="f", log="INFO")
        Afrpc.Proxy(process=process, function="f", log="INFO")
        Afrpc.Proxy(process=process, function="f", log=1.5)  # wrong
    process.require(5)  # wrong
    Afrpc.Process.new_command(iter(["a"])).send_fd(0, open("/dev/null"))
    Afrpc.Process.new_command(["a"]).send_fd("0")  # wrong
    afrpc.event({"a": 1}, fds=[0])
    afrpc.event({"a": 1}, fds=iter([0]))
    afrpc.event()  # wrong
    reveal_type(afrpc.Variant("u", 5).signature)
    reveal_type(len(Afrpc.Buffer.new(5)))
    Afrpc.Buffer(5).write(0, memoryview(b""))
    Afrpc.Buffer(5).write(0, [1.5])  # wrong
    tag, value = Afrpc.Tagged("a", 1)
    reveal_type(tag)
    Afrpc.Pool(process=process, function="f", serialiser="unsafe-pickle", trust_command=True)
    Afrpc.Proxy(process=process, function="f", serialiser=5)  # wrong
    afrpc.Executor(log=1.5)  # wrong
    with afrpc.Executor(2, initializer=print, max_tasks_per_child=5, log="INFO") as executor:
        reveal_type(executor.submit(len, "abc").result())
        for number in executor.map(len, ["a"], chunksize=5, buffersize=10):
            reveal_type(number)
        executor.kill_workers()
    afrpc.Executor(initializer=5)  # wrong
    return 5


reveal_type(aio.run(main()))
aio.run(5)  # wrong
"""

# Of functions that have types, with what others have stubs for: it has to pass as it is, and each line by itself.
RIGHT = """
import typing
import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib


def make(name: str) -> Afrpc.Proxy:
    process: Afrpc.Process = Afrpc.Process.new_exec("python").require(name)
    return Afrpc.Proxy(process=process, function="f", max_message_size=5, backend=Afrpc.Backend.ASYNC, init=None)


def look(proxy: Afrpc.Proxy) -> int:
    backend: Afrpc.Backend = proxy.props.backend
    function: str = proxy.props.function
    init: typing.Optional[str] = proxy.props.init
    process: Afrpc.Process = proxy.props.process
    proxy.props.call_timeout_ms = 5
    handler: int = proxy.connect("event", print)
    call: Afrpc.Call = proxy.start(GLib.Variant("()", ()))
    options = Afrpc.CallOptions(timeout_ms=5, label="a")
    options.props.label = None
    return proxy.props.max_message_size + Afrpc.error_quark()


def watch(pool: Afrpc.Pool) -> bool:
    pool.props.max_workers = pool.props.n_workers + 1
    caller: Afrpc.Caller = pool
    process = pool.props.process
    name = process.props.host if process is not None else None
    return pool.props.closed and pool.props.failure is None
"""

WRONG = """
import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc


def look(proxy: Afrpc.Proxy, pool: Afrpc.Pool, process: Afrpc.Process) -> None:
    proxy.props.nonsense  # wrong
    proxy.backend  # wrong
    proxy.props.backend = Afrpc.Backend.ASYNC  # wrong
    proxy.props.call_timeout_ms = "5"  # wrong
    backend: Afrpc.Limit = proxy.props.backend  # wrong
    init: str = proxy.props.init  # wrong
    quark: str = Afrpc.error_quark()  # wrong
    pool.props.n_workers = 5  # wrong
    pool.props.max_calls.nonsense  # wrong
    process.props.fd  # wrong
    Afrpc.CallOptions(timeout_ms="5")  # wrong
    Afrpc.CallOptions(nonsense=5)  # wrong
    Afrpc.Pool(process=process, function="f", nonsense=5)  # wrong
    proxy.start(5, 5)  # wrong
    Afrpc.nonsense()  # wrong
"""

# The same of callers over NATS.
NATS_RIGHT = """
import gi
gi.require_version("AfrpcNats", "1.0")
from gi.repository import Afrpc, AfrpcNats


async def call(url: str) -> int:
    connection = AfrpcNats.Connection(servers=[url], connect_timeout_ms=5)
    fleet = AfrpcNats.Caller(connection=connection, subject="a", on_event=print, default=str, max_repeats=5)
    fleet.props.max_repeats = fleet.props.max_calls_queued
    async with AfrpcNats.Caller.new(connection, "b") as other:
        call: Afrpc.PendingCall[object] = other(1, timeout_ms=5, metadata={"a": 1}, fds=iter([0]))
        await call
    other.set_hooks(hook=None).invoke_sync(1, function="f")
    caller: Afrpc.Caller = fleet
    failure = connection.get_failure()
    closed: bool = await connection.close_async()
    return fleet.get_n_servers()


async def serve(connection: AfrpcNats.Connection, pool: Afrpc.Pool) -> None:
    server = AfrpcNats.Server(connection=connection, subject="a", caller=pool, max_calls=5)
    server.start()
    server.connect("error", print)
    state: AfrpcNats.State = connection.props.state
    stopped: bool = await server.stop_async()
"""

NATS_WRONG = """
import gi
gi.require_version("AfrpcNats", "1.0")
from gi.repository import Afrpc, AfrpcNats


def look(connection: AfrpcNats.Connection, fleet: AfrpcNats.Caller) -> None:
    AfrpcNats.Caller(connection=connection)  # wrong
    AfrpcNats.Caller(connection=connection, subject="a", log=True)  # wrong
    AfrpcNats.Server(connection=connection, subject="a", caller=5)  # wrong
    fleet(1, timeout_ms="5")  # wrong
    fleet(1, fds=0)  # wrong
    fleet.props.subject = "b"  # wrong
    fleet.map([1])  # wrong
    connection.props.nonsense  # wrong
    connection.get_failure(5)  # wrong
    AfrpcNats.nonsense()  # wrong
"""

# As what others have it: other classes are Any here.
OBJECT = """
import typing


class Object:
    def connect(self, signal: str, handler: typing.Callable[..., typing.Any], *args: typing.Any) -> int: ...


def __getattr__(name: str) -> typing.Any: ...
"""

REVEALED = ["gi.repository.Afrpc.Process", "gi.repository.Afrpc.Exit", "int", "gi.repository.Afrpc.Events",
            "str", "int", "str", "int", "int", "int"]


class Help(unittest.TestCase):
    """What help() says."""

    def check(self, thing, *words):
        text = " ".join(pydoc.render_doc(thing, renderer=pydoc.plaintext).replace("|", "").split())
        text = text.replace("( ", "(")  # of a long list of arguments, from Python 3.13 on
        for part in words:
            self.assertIn(part, text)
        self.assertNotRegex(text, r"\[\w+@|%TRUE|%NULL")

    def test_classes(self):
        self.check(Afrpc.Pool, "Calls a function in a number of worker processes", "max_workers: How many workers there may be",
                   "remove_template(self, process:Afrpc.Process) -> bool", "Waits until there is room")
        self.check(Afrpc.Proxy, "Properties, for the constructor", "max_message_size: ", "get_n_calls_queued(self) -> int")
        self.check(Afrpc.Process, "A worker process, from its preparation to its end", "Loads modules, by their names")
        self.check(Afrpc.Error, "BUSY = ")
        self.check(afrpc.Executor, "Calls functions in worker processes", "max_tasks_per_child: ", "chunksize: ")

    def test_functions(self):
        for cls in Afrpc.Proxy, Afrpc.Pool:
            self.check(cls.invoke, "invoke(self, *args", "timeout_ms: how long it may take, in milliseconds")
            self.check(cls.invoke_sync, "waits for its result")
            self.check(cls.close, "Has everything that was called executed")
        self.check(Afrpc.Pool.refresh, "Replaces workers")
        self.check(Afrpc.Process.kill, "kill(self, signum) Sends the process a signal.")

    def test_modules(self):
        self.check(afrpc, "for a worker", "afrpc.Executor", "Afrpc.Proxy", "Sends an event to the program")
        # What is not ours is as it was.
        self.assertEqual(GLib.get_user_name.__doc__, "get_user_name() -> str")


class Stubs(unittest.TestCase):
    def test_names(self):
        for module, stubs in MODULES:
            self.check_names(module, stubs)

    def check_names(self, module, stubs):
        with open(stubs, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        seen = set()
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                seen.add(node.name)
            if not isinstance(node, ast.ClassDef) or node.name in ("Events", "Results"):
                continue
            there = getattr(module, node.name)
            names = {child.name for child in node.body if isinstance(child, (ast.FunctionDef,
                                                                            ast.AsyncFunctionDef))}
            if issubclass(there, int):
                names |= {child.target.id for child in node.body if isinstance(child, ast.AnnAssign)}
            if issubclass(there, Exception):
                # What there is is said, and what is said is there.
                said = {child.target.id for child in node.body if isinstance(child, ast.AnnAssign)}
                own = {name for cls in there.__mro__ if cls.__module__ == "afrpc._errors" for name in vars(cls)
                       if name[0] != "_"}
                self.assertEqual(own - names - said, set(), node.name)
                self.assertEqual({name for name in said if not hasattr(there(), name)}, set(), node.name)
            # PyGObject has no methods for the virtual functions of an interface.
            missing = {name for name in names if not hasattr(there, name)
                       and not (name.startswith("do_") and node.name in ("Caller", "Serialiser"))}
            self.assertEqual(missing, set(), node.name)
            self.check_parameters(node, there)
            # What the overrides define is said.
            if there.__module__.startswith("gi.overrides."):
                own = {name for name, value in vars(there).items()
                       if callable(value) and not name.startswith("_") and type(value).__name__ != "_Method"}
                self.assertEqual(own - names, set(), node.name)
        self.assertGreater(len(seen), 15 if module is Afrpc else 3)
        for name in dir(module):
            if name[0].isupper() and isinstance(getattr(module, name), type) and \
                    not name.endswith(("Class", "Interface")) and \
                    getattr(module, name) is not getattr(afrpc, name, None):
                self.assertIn(name, seen)

    def test_properties(self):
        """Those of "props" are those that there are, with what they are where something is there to be asked."""
        process = Afrpc.Process.new_exec("python").eval("def f(): pass")
        pool = Afrpc.Pool(process=process, function="f", max_workers=1)
        pool.invoke_sync()
        ssh = Afrpc.Process.new_ssh("nowhere", "python", ["-v"])
        things = [process, ssh, Afrpc.Process.new_command(["a", "b"]), pool, *pool.get_workers(),
                  Afrpc.Proxy(process=process.fork(), function="f", serialiser="json", init="a", done="b"),
                  Afrpc.Proxy(process=process.fork(), function="f"),
                  Afrpc.CallOptions(), Afrpc.CallOptions(label="a", function="b", affinity="c", fds=Gio.UnixFDList(),
                                                         metadata=GLib.Variant("a{sv}", {})),
                  Afrpc.JsonSerialiser(), Afrpc.JsonSerialiser(expected_type=GLib.VariantType("i"))]
        for thing in things[5:7]:
            thing.connect("error", lambda proxy, error: None)
        self.assertGreater(self.check_properties(Afrpc, STUBS, things), 65)
        pool.kill()

    @unittest.skipIf(NATS_STUBS is None, "there is no NATS")
    def test_nats_properties(self):
        connections = [AfrpcNats.Connection.new("nats://127.0.0.1:1"),
                       AfrpcNats.Connection(servers=["nats://127.0.0.1:1"], user="a", password="b", name="c", tls=True)]
        caller = AfrpcNats.Caller.new(connections[0], "a")
        things = [*connections, caller, AfrpcNats.Server.new(connections[0], "b", caller)]
        self.assertGreater(self.check_properties(AfrpcNats, NATS_STUBS, things), 30)
        caller.kill()

    def check_properties(self, module, stubs, things):
        """Returns how many were asked for."""
        names = {**vars(builtins), "typing": typing, "Gio": Gio, "GLib": GLib, "Afrpc": Afrpc,
                 **{name: getattr(module, name) for name in dir(module)}}
        asked = set()
        with open(stubs, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in tree.body:
            props = [child for child in getattr(node, "body", ()) if isinstance(child, ast.ClassDef)]
            there = getattr(module, getattr(node, "name", ""), None)
            if not (isinstance(there, type) and issubclass(there, GObject.Object)):
                self.assertEqual(props, [])
                continue
            said = {child.target.id if isinstance(child, ast.AnnAssign) else child.name: child
                    for child in props[0].body if not isinstance(child, ast.Pass)}
            specs = {spec.name.replace("-", "_"): spec for spec in there.list_properties()}
            settable = GObject.ParamFlags.WRITABLE
            self.assertEqual(set(said), {name for name, spec in specs.items() if spec.flags & GObject.ParamFlags.READABLE},
                             node.name)
            for name, child in said.items():
                flags = specs[name].flags
                self.assertEqual(isinstance(child, ast.AnnAssign),
                                 bool(flags & settable and not flags & GObject.ParamFlags.CONSTRUCT_ONLY), name)
                written = eval(ast.unparse(child.annotation if isinstance(child, ast.AnnAssign) else child.returns), names)
                kinds = tuple(typing.get_origin(kind) or kind for kind in typing.get_args(written) or (written,))
                for thing in things:
                    if type(thing) is there:
                        value = getattr(thing.props, name)
                        self.assertIsInstance(value, kinds, f"{node.name}.{name}")
                        asked.add((node.name, name))
        return len(asked)

    def check_parameters(self, node, there):
        """Those of what is written in Python, and takes what it names and nothing else."""
        overloaded = {child.name for child in node.body if isinstance(child, ast.FunctionDef) and
                      any(getattr(one, "id", "") == "overload" for one in child.decorator_list)}
        for child in node.body:
            function = getattr(there, getattr(child, "name", ""), None)
            function = getattr(function, "__func__", function)
            if not isinstance(function, types.FunctionType) or child.name in overloaded or child.name[:2] == "__" or \
                    not function.__module__.startswith("gi.overrides."):
                continue
            there_are = inspect.signature(function).parameters.values()
            if any(parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in there_are):
                continue
            said = [arg.arg for arg in (*child.args.args, *child.args.kwonlyargs)]
            self.assertEqual(said, [parameter.name for parameter in there_are], f"{node.name}.{child.name}")
            n_defaults = len(child.args.defaults) + len([one for one in child.args.kw_defaults if one is not None])
            self.assertEqual(n_defaults, len([one for one in there_are if one.default is not one.empty]), child.name)

    def check(self, *files, folder, is_installed=True):
        environment = dict(os.environ, MYPYPATH=f"{folder}:{os.environ['PYTHONPATH'].split(':')[0]}")
        if not is_installed:
            del environment["PYTHONPATH"]
        return subprocess.run([sys.executable, "-m", "mypy", "--python-version=3.11",
                               "--ignore-missing-imports", "--warn-unused-ignores", "--no-error-summary", "--no-color-output",
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
            for module, stubs in MODULES:
                shutil.copy(stubs, place)
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

            (place / "GObject.pyi").write_text(OBJECT)
            for text in RIGHT, WRONG, *((NATS_RIGHT, NATS_WRONG) if NATS_STUBS is not None else ()):
                program.write_text(text)
                done = self.check("--check-untyped-defs", program, folder=folder)
                lines = [line for line in done.stdout.splitlines() if ": error:" in line]
                self.assertEqual([line for line in lines if not line.startswith("program.py:")], [])
                self.assertEqual({int(line.split(":")[1]) for line in lines},
                                 {i + 1 for i, line in enumerate(text.splitlines()) if "# wrong" in line}, done.stdout)

    def check_beside(self, folder, *others):
        """What a type checker says of a program that uses other modules of gi, in an environment in which the stubs
        are installed as they are, beside those of others or not."""
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        packages = folder / "lib" / version / "site-packages"
        stubs = packages / "gi-stubs"
        (stubs / "repository").mkdir(parents=True)
        for name, place in ("py.typed", stubs), ("__init__.pyi", stubs), ("__init__.pyi", stubs / "repository"):
            shutil.copy(ROOT / "afrpc" / "python" / "stubs" / name, place)
        for module, path in MODULES:
            shutil.copy(path, stubs / "repository")
        (packages / "others.pth").write_text("".join(f"{other}\n" for other in others))
        home = os.path.dirname(os.path.realpath(sys.executable))
        (folder / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = true\n")
        (folder / "bin").mkdir(parents=True)
        os.symlink(os.path.realpath(sys.executable), folder / "bin" / "python")
        program = folder / "program.py"
        program.write_text("import gi\ngi.require_version('Gtk', '4.0')\nfrom gi.repository import Afrpc, Gtk\n"
                           "reveal_type(Gtk.Button)\nreveal_type(Afrpc.Process.new_exec('c'))\n")
        done = subprocess.run([sys.executable, "-m", "mypy", f"--python-executable={folder / 'bin' / 'python'}",
                               "--no-error-summary", "--no-incremental", f"--cache-dir={os.devnull}", "program.py"],
                              capture_output=True, text=True, cwd=folder,
                              env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"})
        self.assertNotIn("error", done.stdout + done.stderr)
        return [line.split('"')[1] for line in done.stdout.splitlines() if "Revealed type" in line]

    @unittest.skipUnless(HAVE_MYPY, "there is no mypy")
    def test_beside_others(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name).resolve()
            other = folder / "other" / "gi-stubs"
            (other / "repository").mkdir(parents=True)
            (other / "__init__.pyi").write_text("def require_version(namespace: str, version: str) -> None: ...\n")
            (other / "repository" / "__init__.pyi").touch()
            (other / "repository" / "Gtk.pyi").write_text("class Button: ...\n")
            for module in "Gio", "GLib", "GObject":
                (other / "repository" / f"{module}.pyi").write_text(
                    "import typing\ndef __getattr__(name: str) -> typing.Any: ...\n")
            self.assertEqual(self.check_beside(folder / "alone"), ["Any", "gi.repository.Afrpc.Process"])
            button, process = self.check_beside(folder / "beside", other.parent)
            self.assertIn("gi.repository.Gtk.Button", button)
            self.assertEqual(process, "gi.repository.Afrpc.Process")

    @unittest.skipUnless(HAVE_MYPY, "there is no mypy")
    def test_unused_ignores(self):
        """A type checker that is told of the folder itself complains of them."""
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "program.py")
            program.write_text("import afrpc\nimport afrpc.aio\nafrpc.Executor\n")
            done = self.check(program, folder=folder, is_installed=False)
            self.assertEqual((done.stdout, done.returncode), ("", 0))

    @unittest.skipUnless(HAVE_MYPY, "there is no mypy")
    def test_stubtest(self):
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as config, \
                tempfile.NamedTemporaryFile("w") as allowed:
            # What nobody else imports has no types.
            config.write("[mypy]\nignore_missing_imports = True\n"
                         "[mypy-afrpc._host,afrpc._errors,afrpc._exceptions,afrpc._core,afrpc._loop,afrpc._map,afrpc._tasks]\nignore_errors = True\n")
            config.flush()
            # Before Python 3.12 nothing tells of a buffer but having one.
            allowed.write("afrpc.Buffer.__buffer__\n" r"afrpc\._exceptions\..*" "\n" r"afrpc\._logging\.PLAIN" "\n")
            if importlib.util.find_spec("joblib") is None:
                allowed.write(r"afrpc\.joblib" "\n")
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
