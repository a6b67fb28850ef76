# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tasks of an executor: what its workers do.

Arguments and results are pickles. A task that fails has a tuple as its outcome: how it does, the pickle of the exception,
and its traceback as text.
"""
import os
import sys
import time
from _pickle import PicklingError, dumps, loads

from ._afrpc import _call_each

FAILURE, INIT_FAILURE = range(2)
PROTOCOL = 5

BIG = 1 << 16  # bytes of a pickle that travels as an array

# As which the program's main module is loaded, so that what follows its "if __name__ == '__main__'" does not run. In
# the program that is another name of its main module: what is pickled is found on both sides.
MAIN = "__afrpc_main__"
# An error says so if the program's main module has started threads: then it cannot be loaded before workers are forked.
HAS_THREADS = "afrpc: the main module of the program has started threads"
# A note for who looks for something of it in vain: see get_main().
NO_MAIN = "workers cannot load the main module of this program, which has no file, or is the __main__.py of a package: put what " \
    "they need into another module, and import that"

_dumps = dumps  # what makes pickles of results
_init_failure = None
_is_loading = False


def wrap(data):
    """A pickle as it travels: a large one so that it can be read where it arrives, in the memory of the message."""
    return data if len(data) < BIG else memoryview(data).cast("b")


# In a program

def get_main():
    """How a worker loads what is the main module here: (name, path); None for what has no file, such as an interactive
    program, and for packages and archives that are run, which do so without any condition."""
    main = sys.modules.get("__main__")
    if main is None:
        return None
    sys.modules.setdefault(MAIN, main)
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        name = spec.name
        return None if name == "__main__" or name.endswith(".__main__") else (name, None)
    path = getattr(main, "__file__", None)
    if not isinstance(path, str) or not os.path.isfile(path):
        return None
    return None, os.path.abspath(path)


def get_authkey():
    """What the proxies of a multiprocessing.Manager prove themselves by, if that is in use."""
    process = sys.modules.get("multiprocessing.process")
    return bytes(process.current_process().authkey) if process is not None else None


def check_loaded():
    """A main module that does not look at __name__ would be loaded by a worker, which would be loaded by a worker..."""
    if _is_loading:
        raise RuntimeError("an executor is made while a worker loads the main module of the program: what the program does has to "
                           "come after 'if __name__ == \"__main__\":'")


# In a worker

def _load_main(name, path):
    global _is_loading

    module = type(sys)(MAIN)
    if name is not None:
        import importlib.util

        spec = importlib.util.find_spec(name)
        code = spec.loader.get_code(name)
        module.__spec__, module.__package__, path = spec, spec.parent, spec.origin
    else:
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec")
    module.__file__ = path
    sys.modules["__main__"] = sys.modules[MAIN] = module
    _is_loading = True
    try:
        exec(code, module.__dict__)
    finally:
        _is_loading = False


def _count_threads():
    """Of any kind; one of the host, which watches the program meanwhile, is among them."""
    return len(os.listdir("/proc/self/task"))


def prepare(data):
    """Before any worker is forked; then the main module is loaded, if it starts no threads."""
    path, argv, authkey, main, is_template = loads(data)
    sys.path[:] = path
    sys.argv[:] = argv
    if authkey is not None:
        import multiprocessing.process

        multiprocessing.process.current_process().authkey = authkey
    if main is None or not is_template:
        return
    n_threads = _count_threads()
    _load_main(*main)
    if _count_threads() > n_threads:
        raise RuntimeError(HAS_THREADS)


def _load(data):
    """The pickle of what the program wants to be called."""
    try:
        return loads(data)
    except AttributeError as error:
        if MAIN not in sys.modules and "'__main__'" in str(error):
            error.add_note(NO_MAIN)
        raise


def init(data):
    """Once in each worker. What the initializer raises is what every task gets."""
    global _dumps, _init_failure

    try:
        main, rest = loads(data)
        if main is not None:
            _load_main(*main)
        pickler, initializer, args = _load(rest)
        if pickler is not None:
            _dumps = pickler
        if initializer is not None:
            initializer(*args)
    except BaseException as error:
        _init_failure = _pack_error(error, INIT_FAILURE)


def revive(cls, args, state):
    error = cls(*args)
    vars(error).update(state)
    return error


class _Frozen:
    """In the place of an exception whose attributes cannot be set, which is what unpickling does with those of others."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return revive, (type(self.error), self.error.args, vars(self.error))


def _prepare_error(error):
    cls = type(error)
    is_frozen = cls.__setattr__ is not object.__setattr__ and cls.__setstate__ is BaseException.__setstate__ and \
        cls.__reduce__ is BaseException.__reduce__ and cls.__reduce_ex__ is object.__reduce_ex__
    return _Frozen(error) if is_frozen else error


def _pack_error(error, kind=FAILURE):
    from . import _exceptions

    try:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            error.__traceback__ = error.__traceback__.tb_next  # that of this module says nothing
    except BaseException:  # such as that of a frozen dataclass
        pass
    trace = _exceptions.get_traceback(error, {})
    try:
        data = _dumps(_prepare_error(error), PROTOCOL)
    except BaseException as reason:
        data = dumps(PicklingError(f"an exception that cannot be pickled, {type(error).__qualname__}: "
                                                 f"{_exceptions.get_words(reason)}"))
    return kind, data, trace


def run(data):
    """One task."""
    if _init_failure is not None:
        return _init_failure
    try:
        function, args, kwargs = _load(data)
        result = function(*args, **kwargs)
        try:
            return wrap(_dumps(result, PROTOCOL))
        except BaseException:
            if function is not run_chunk:
                raise
            return wrap(_dumps(_cut_chunk(*result), PROTOCOL))
    except BaseException as error:
        return _pack_error(error)


def _cut_chunk(results, failure, elapsed):
    """What there is before the first result that cannot be pickled."""
    for n, result in enumerate(results):
        try:
            _dumps(result, PROTOCOL)
        except BaseException as error:
            return results[:n], _pack_error(error), elapsed
    return results, failure, elapsed


def run_chunk(function, items, is_single, limit=None):
    """A part of a map: the results up to the first that fails, or after which the limit in seconds has passed; why that fails;
    and how long it took."""
    results, failure = [], None
    begun = time.perf_counter()
    try:
        _call_each(function, items, is_single, results, limit)
    except BaseException as error:
        failure = _pack_error(error)
    elapsed = time.perf_counter() - begun
    return results, failure, elapsed
