# SPDX-License-Identifier: LGPL-2.1-or-later
"""Functions for the tests of workers in Python."""
import atexit
import functools
import hashlib
import os
import signal
import sys
import threading
import time

import afrpc

calls = []
prepared = []


class Strange(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def echo(*args):
    return args


def one(arg):
    return arg


def kinds(*args):
    return [type(arg).__name__ for arg in args]


def typed(signature, value):
    return afrpc.Variant(signature, value)


def typed_by_gi(signature, value):
    from gi.repository import GLib
    return GLib.Variant(signature, value)


def raise_value_error(text):
    raise ValueError(text)


def raise_chained():
    try:
        {}["key"]
    except KeyError as error:
        raise RuntimeError("second") from error


def raise_strange():
    raise Strange


def raise_unsendable():
    raise ValueError("a\0\ud800b")


def raise_interrupt():
    raise KeyboardInterrupt


def raise_domain():
    raise afrpc.Error("no such thing", "g-io-error-quark", 1)


def raise_gerror():
    from gi.repository import GLib
    raise GLib.Error("gone", "g-file-error-quark", 4)


def return_nothing_of_the_kind():
    return {1, 2}


def return_too_deep():
    value = []
    for _ in range(1000):
        value = [value]
    return value


def return_itself():
    value = []
    value.append(value)
    return value


def recurse():
    return recurse()


def exit_with(status):
    sys.exit(status)


def exit_strangely(text):
    atexit.register(print, text)
    sys.exit(Strange())


def exit_at_once(status):
    os._exit(status)


def say(text, to_stderr=False):
    print(text, file=sys.stderr if to_stderr else sys.stdout)


def say_partly(text):
    sys.stdout.write(text)


def say_at_exit(text):
    atexit.register(print, text)


def crash():
    os.abort()


def hog():
    afrpc.event("here")
    # Without the interpreter's lock, and without an end.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)


def until_cancelled():
    afrpc.event("here")
    # Asking is the only way to know; the pause is for the processor's sake.
    while not afrpc.is_cancelled():
        time.sleep(0.001)
    afrpc.event("cancelled")


def events(n):
    for i in range(n):
        afrpc.event(i)
    return n


def event_then_die(n):
    for i in range(n):
        afrpc.event(i)
    afrpc.flush()
    os._exit(1)


def retire():
    afrpc.retire()
    afrpc.event("retired")


def event_by_thread():
    seen = []

    def run():
        try:
            afrpc.event("wrong")
        except RuntimeError as error:
            seen.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return seen[0]


def count_to(n):
    for i in range(n):
        afrpc.progress(i)
    return n


def read_call_fd(handle):
    with open(afrpc.steal_call_fd(handle), "rb") as file:
        return file.read()


def open_file(path):
    with open(path, "rb") as file:
        return afrpc.Variant("h", afrpc.append_result_fd(file))


def event_file(path):
    with open(path, "rb") as file:
        afrpc.event(afrpc.Variant("h", 0), fds=[file])


def event_many_files(n):
    afrpc.event(n, fds=[sys.stdin] * n)


def event_shrinking_files(n):
    class Shrinking:
        def fileno(self):
            files.clear()
            return 0

    files = [Shrinking() for _ in range(n)]
    afrpc.event(len(files), fds=files)
    afrpc.event(len(files))


def handle_signal(number, exits):
    def handler(number, frame):
        afrpc.event(["signal", number])
        if exits:
            sys.exit(7)

    signal.signal(number, handler)


def start_thread():
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def start_echoing(index):
    """A thread that works while no call runs."""
    fd = afrpc.steal_fd(index)

    def run():
        while data := os.read(fd, 1):
            os.write(fd, data)

    threading.Thread(target=run, daemon=True).start()


def remember(value):
    calls.append(value)
    return calls


def facts():
    return {"pid": os.getpid(), "args": list(afrpc.get_args()), "prepared": prepared,
            "gi": "gi" in sys.modules, "asyncio": "asyncio" in sys.modules,
            "gio": any("libgio" in line for line in open("/proc/self/maps")),
            "sigint": signal.getsignal(signal.SIGINT) == signal.SIG_DFL,
            "main": sys.modules["__main__"].__name__}


def read_fd(index):
    with open(afrpc.steal_fd(index), "rb") as file:
        return file.read()


def n_fds():
    return afrpc.get_n_fds()


def init(*args):
    prepared.extend(args)


def init_badly(*args):
    raise ValueError("not with me")


def init_and_exit(*args):
    sys.exit(5)


def init_event(*args):
    afrpc.event(1)


def done():
    print("done")


def take_over(sock, *args):
    sock.sendall(repr(args).encode())
    sock.sendall(sock.recv(100).upper())


# The async backend


async def async_echo(*args):
    return args


async def async_sleep(seconds, value):
    """A slow function."""
    import asyncio
    await asyncio.sleep(seconds)
    return value


turns = []


async def async_last_first(n):
    """Of n calls, returns from the last one first."""
    import asyncio
    place, turn = len(turns), asyncio.Event()
    turns.append(turn)
    if place == n - 1:
        turn.set()
    await turn.wait()
    if place > 0:
        turns[place - 1].set()
    return place


async def async_count_to(n):
    import asyncio

    async def inner(i):
        await asyncio.sleep(0)
        afrpc.progress(i)

    for i in range(n):
        await asyncio.gather(inner(i))
    return n


async def async_read_call_fd(handle):
    return read_call_fd(handle)


async def async_open_file(path):
    return open_file(path)


async def async_is_cancelled():
    import asyncio
    afrpc.event(["here", afrpc.is_cancelled()])
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        pass
    afrpc.event(["goes on", afrpc.is_cancelled()])
    return 1


async def async_handle_signal(number):
    import asyncio
    seen = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(number, seen.set)
    afrpc.event("ready")
    await seen.wait()
    return number


async def async_raise(text):
    raise ValueError(text)


async def async_inconvertible():
    return object()


async def async_exit(status):
    sys.exit(status)


async def async_until_cancelled():
    import asyncio
    afrpc.event("here")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        afrpc.event("cancelled")
        raise


async def async_subprocess(text):
    import asyncio
    process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE,
                                                   stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate(text.encode())
    return out


async def async_thread(value):
    import asyncio
    return await asyncio.to_thread(one, value)


def answer_at_once(invocation, *args):
    invocation.return_value(args)


waiting = []


def answer_last_first(invocation, n):
    """Answers all when there are n of them."""
    waiting.append(invocation)
    if len(waiting) == n:
        for i in range(n - 1, -1, -1):
            waiting[i].return_value(i)
        waiting.clear()


def answer_never(invocation):
    pass


def answer_twice(invocation):
    invocation.return_value(1)
    try:
        invocation.return_value(2)
    except RuntimeError as error:
        afrpc.event(str(error))


def answer_badly(invocation):
    try:
        invocation.return_value(object())
    except TypeError:
        invocation.return_error(ValueError("badly"))


def answer_with_progress(invocation, handle):
    invocation.progress("half")
    with open(invocation.steal_fd(handle)) as file:
        invocation.return_value(afrpc.Variant("h", invocation.append_fd(file)))
    try:
        afrpc.progress("late")
    except RuntimeError as error:
        afrpc.event(str(error))


def answer_by_raising(invocation):
    raise ValueError("raised")


def answer_cancelled(invocation):
    def cancelled():
        afrpc.event(["cancelled", invocation.is_cancelled()])
        invocation.return_value(None)
    invocation.on_cancel(cancelled)
    afrpc.event(["here", invocation.is_cancelled()])


def tell_metadata(*args):
    return afrpc.get_metadata(), args


async def async_tell_metadata(*args):
    return afrpc.get_metadata(), args


def answer_metadata(invocation, *args):
    invocation.return_value((invocation.get_metadata(), args))


partial = functools.partial(echo, "partial")
async_partial = functools.partial(async_echo, "partial")


class Holder:
    def method(self, *args):
        return ("method", *args)

    async def async_method(self, *args):
        return ("method", *args)

    def __call__(self, *args):
        return ("called", *args)


holder = Holder()
not_callable = 5


def answer_when_asked(invocation, how):
    """Something that is converted for the call answers it."""
    class Odd:
        def __index__(self):
            invocation.return_value("answered")
            return 0

        fileno = __index__

    class Unsendable:
        def __repr__(self):
            invocation.return_value("answered")
            return "something"

    afrpc.set_hooks(default=repr)
    use = {"steal": lambda: invocation.steal_fd(Odd()), "append": lambda: invocation.append_fd(Odd()),
           "steal_call": lambda: afrpc.steal_call_fd(Odd()), "append_result": lambda: afrpc.append_result_fd(Odd()),
           "progress": lambda: invocation.progress(Unsendable()), "call_progress": lambda: afrpc.progress(Unsendable()),
           "return": lambda: invocation.return_value(Unsendable())}[how]
    try:
        use()
    except RuntimeError as error:
        afrpc.event(str(error))
