# SPDX-License-Identifier: LGPL-2.1-or-later
"""Workers of afrpc in Python, and what they share with programs.

The functions of this module are for a worker: a function that its program calls, as in

    import afrpc

    def search(text, word):
        place = text.find(word)
        afrpc.event(("found", place))
        return place

Programs call it by gi.repository.Afrpc, whose classes help() knows as well, such as Afrpc.Process, Afrpc.Proxy, Afrpc.Pool:

    import gi
    gi.require_version("Afrpc", "1.0")
    from gi.repository import Afrpc

    process = Afrpc.Process.new_exec("python").require("./worker.py")
    with Afrpc.Proxy(process=process, function="search") as proxy:
        print(proxy.invoke_sync("a banana", "an"))

There are besides, for programs,

    afrpc.Executor  a concurrent.futures.Executor, which calls any function: see afrpc.executor
    afrpc.aio       asyncio on the main context of GLib
    afrpc.joblib    a backend of joblib
"""
import sys
from importlib._bootstrap_external import PathFinder as _PathFinder

try:
    from . import _afrpc
except ImportError as _error:
    from . import _missing

    raise _missing.explain_extension(_error) from None
from ._afrpc import (__version__, Buffer, Invocation, Variant, append_result_fd, event, flush, get_args, get_metadata,
                     get_n_fds, is_cancelled, progress, retire, set_hooks, steal_call_fd, steal_fd)

__all__ = ["Buffer", "Error", "Invocation", "Tagged", "Variant", "append_result_fd", "event", "flush",
           "get_args", "get_metadata", "get_n_fds", "is_cancelled", "progress", "retire", "set_hooks",
           "steal_call_fd", "steal_fd"]


def __getattr__(name):
    # A program's: it brings PyGObject, which no worker needs.
    if name == "Executor":
        from .executor import Executor

        return Executor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _check_pygobject(spec):
    """Without PyGObject the folder that our overrides are in is a package without anything of it."""
    if spec is not None and spec.origin is None and spec.submodule_search_locations is not None:
        from . import _missing

        raise _missing.make_pygobject_error(spec)


class _PyGObjectFinder:
    """Finds nothing. It says what is missing when a program imports PyGObject; a worker needs none."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "gi":
            _check_pygobject(_PathFinder.find_spec(name))


if "gi" in sys.modules:
    _check_pygobject(getattr(sys.modules["gi"], "__spec__", None))
elif _PathFinder in sys.meta_path:
    sys.meta_path.insert(sys.meta_path.index(_PathFinder), _PyGObjectFinder)


class Tagged(tuple):
    """A value, and a word that says what it stands for: for hooks."""

    __slots__ = ()

    def __new__(cls, tag, value):
        return tuple.__new__(cls, (tag, value))

    def __getnewargs__(self):
        return tuple(self)

    def __repr__(self):
        return f"afrpc.Tagged({self[0]!r}, {self[1]!r})"

    @property
    def tag(self):
        return self[0]

    @property
    def value(self):
        return self[1]


_afrpc._set_tagged(Tagged)


class Error(Exception):
    """An error that reaches the program as a GError of this domain and code."""

    def __init__(self, message, domain="afrpc-error-quark", code=0):
        super().__init__(message)
        self.message = message
        self.domain = domain
        self.code = code
