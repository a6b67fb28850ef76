# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host of workers in Python, as far as it is easier said in Python.

Every worker loads this, so it imports nothing that Python has not loaded by itself until that is
needed: importlib.util alone would bring a dozen modules. What tells exceptions is here from the start: when it is
needed, there may be no descriptor left to load it with.
"""
import gc
import os
import sys
from importlib._bootstrap import module_from_spec
from importlib._bootstrap_external import spec_from_file_location

from . import _afrpc, _exceptions

# As in AfrpcFunctionKind
SYNC, ASYNC, INIT, DONE, RUN = range(5)
KINDS = ("a function of the sync backend", "a function of the async backend", "an init function",
         "a done function", "a function to run")

CO_COROUTINE = 0x80
CO_ASYNC_GENERATOR = 0x200

# What code that is evaluated is in, instead of the program that runs the host
main = type(sys)("__main__")
main.__builtins__ = __builtins__

modules = []    # that were required, in that order
evaluated = {}  # file name -> source, of code that has no file


class FunctionError(Exception):
    """The message is all there is to say."""


def add_to_path(folders):
    """Behind what belongs to Python, which nothing stands in for, and before what is installed besides."""
    place = 1 + max((i for i, path in enumerate(sys.path) if path.endswith("lib-dynload")), default=len(sys.path) - 1)
    sys.path[place:place] = [folder for folder in folders if folder not in sys.path]


def is_of(module, path):
    """Whether a module was made of that file."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and os.path.realpath(file) == path


def load_file(given):
    path = os.path.realpath(given)
    name = os.path.splitext(os.path.basename(path))[0]
    while name in sys.modules or name in sys.stdlib_module_names:
        module = sys.modules.get(name)
        if is_of(module, path):
            return module
        name += "_"
    spec = spec_from_file_location(name, given)
    if spec is None:
        raise ImportError(f"'{given}' is no Python file", path=given)
    add_to_path([os.path.dirname(path)])
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def load_module(name):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        if name.endswith(".py") and os.path.exists(name):
            raise ModuleNotFoundError(f"{error}; the path of a file has a slash in it: './{name}'", name=name) from None
        raise
    return sys.modules[name]


def require(name):
    module = load_file(name) if "/" in name else load_module(name)
    if module not in modules:
        modules.append(module)


def evaluate(code, args):
    name = f"<afrpc eval {len(evaluated) + 1}>"
    evaluated[name] = code
    main.args = args
    exec(compile(code, name, "exec"), main.__dict__)


def find(name):
    """A function of what was evaluated, or of a module: the first that was required. Or one whose
    name begins with that of a module."""
    first, *rest = name.split(".")
    for place in (main, *modules):
        found = getattr(place, first, None)
        for part in rest:
            found = getattr(found, part, None)
        if found is not None:
            return found
    parts = name.split(".")
    for n in range(len(parts) - 1, 0, -1):
        found = sys.modules.get(".".join(parts[:n]))
        for part in parts[n:]:
            found = getattr(found, part, None)
        if found is not None:
            return found
    places = ", ".join((*(["the evaluated code"] if evaluated else []), *(f"'{module.__name__}'" for module in modules)))
    raise FunctionError(f"there is no function '{name}' in {places}" if places else
                        f"there is no function '{name}', and no module was loaded")


def get_code_flags(function):
    # functools may not have been loaded: then there is none.
    functools = sys.modules.get("_functools")
    while functools is not None and isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)  # methods have it too
    if code is None:
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)
    return getattr(code, "co_flags", 0)


def is_coroutine_function(function):
    return bool(get_code_flags(function) & CO_COROUTINE)


serving = False  # from when on events can be sent


def resolve(name, kind):
    global serving
    function = find(name)
    if not callable(function):
        raise FunctionError(f"'{name}' cannot be called: it is of type {type(function).__name__}")
    flags = get_code_flags(function)
    is_coroutine = bool(flags & CO_COROUTINE)
    if flags & CO_ASYNC_GENERATOR:
        raise FunctionError(f"'{name}' is an async generator function, and a call has one result: afrpc.event() and "
                            "afrpc.progress() send more than that")
    if is_coroutine and kind != ASYNC:
        raise FunctionError(f"'{name}' is a coroutine function: it needs the async backend, in the command --async" if kind == SYNC
                            else f"'{name}' is a coroutine function, not {KINDS[kind]}")
    serving = serving or kind in (SYNC, ASYNC)
    if kind == ASYNC and not is_coroutine and "asyncio" in sys.modules:
        function = in_loop(function)
    return function, is_coroutine


def get_loop():
    import asyncio
    from . import aio

    loop = aio.get_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def get_create_task():
    return get_loop().create_task


def in_loop(function):
    """Calls a function of the async backend as a callback of asyncio would be, which it may use."""
    import asyncio

    loop = get_loop()

    def call(*args):
        asyncio._set_running_loop(loop)
        try:
            return function(*args)
        finally:
            asyncio._set_running_loop(None)

    return call


def explain_invocation(error):
    """That of a plain function of the async backend; where that has not begun, it may be that it does not know what it gets."""
    trace = error.__traceback__
    has_begun = trace is not None and (trace.tb_next is not None or trace.tb_frame.f_globals is not globals())  # by in_loop()
    if has_begun or not isinstance(error, TypeError):
        return error
    return TypeError(f"{error} (in the async backend, a function that is no coroutine gets an afrpc.Invocation before its "
                     "arguments)")


def describe(error):
    """(domain or None, code, text) of an exception."""
    if isinstance(error, FunctionError):
        return None, 0, str(error)
    try:
        told = vars(error).get("_afrpc_remote", error)  # of another worker, which keeps its own names apart: see _errors.py
        domain, code, message = told.domain, told.code, told.message
    except Exception:  # there are none, or what tells them fails
        domain = None
    if isinstance(domain, str) and isinstance(code, int) and isinstance(message, str) and -1 << 31 <= code < 1 << 31:
        return domain, code, message
    return None, *_exceptions.pack(error, evaluated)


def make_socket(fd):
    import socket

    return socket.socket(fileno=fd)


def freeze():
    """Before a fork: what would be done in each new process is done here."""
    # Functions only: other objects may answer anything when they are asked, or do anything.
    if any(type(value) is type(find) and is_coroutine_function(value)
           for module in (main, *modules) for value in list(vars(module).values())):
        from . import aio  # noqa: F401
    gc.freeze()


def forked():
    import atexit

    # What was to be done at the end of the template is not this process' to do.
    atexit._clear()


def renew_environment(variables):
    own = dict(variable.split(b"=", 1) for variable in variables if b"=" in variable[1:])
    for name in [name for name in os.environb if name not in own]:
        del os.environb[name]
    for name, value in own.items():
        if os.environb.get(name) != value:
            os.environb[name] = value


def get_exit_status(error):
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xff
    print(error.code, file=sys.stderr)
    return 1


def finish():
    import atexit

    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


def get_folders(variable):
    return [path for path in os.environ.get(variable, "").split(":") if path]


def serve():
    import _signal

    # As in a worker of any language; Python's own way is to raise an exception in whatever runs.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True)
    sys.modules["__main__"] = main
    add_to_path([*get_folders("AFRPC_MODULE_PATH"), *get_folders("AFRPC_PYTHON_PATH")])
    return _afrpc._serve(sys.modules[__name__])
