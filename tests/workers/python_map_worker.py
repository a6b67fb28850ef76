# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is called for many inputs: each call says in a file that it was made."""
import gc
import os
import signal
import sys
import time

import afrpc

calls = -1


def open_log(path):
    global calls
    if calls < 0:
        calls = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def log(i):
    os.write(calls, b"%d\n" % i)


def same(*args):
    return args[0] if len(args) == 1 else args


def keywords(a, *, b=0):
    return a + b


class Odd(ValueError):
    pass


def fail(i):
    if i % 3 == 1:
        try:
            {}[i]
        except KeyError as cause:
            error = Odd("odd", i, b"x")
            error.add_note(f"a note of {i}")
            raise error from cause
    if i % 50 == 0:
        return object()
    if i % 50 == 3:
        raise afrpc.Error("in words", "g-io-error-quark", 1)
    return i


def end(path, how, when, i):
    """Ends the process at a certain input; once, if that is wanted, which the existence of a file says."""
    open_log(path)
    log(i)
    if how == "fork and kill" and i == when + 10:
        os.kill(os.getpid(), signal.SIGKILL)
    if i == when and not (how.startswith("once ") and os.path.exists(path + ".once")):
        if how.startswith("once "):
            os.close(os.open(path + ".once", os.O_CREAT | os.O_WRONLY, 0o600))
        if how.endswith("os._exit"):
            os._exit(3)
        elif how.endswith("sys.exit"):
            sys.exit(3)
        elif how.endswith("kill") and not how.startswith("fork"):
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        elif how.startswith("fork"):
            # It ends as this function returns there, which is before this process goes on.
            pid = os.fork()
            if pid != 0:
                os.waitpid(pid, 0)
        elif how.endswith("retire"):
            afrpc.retire()
    return i


def wait(path, when, i):
    """Waits at a certain input until there is a file."""
    open_log(path)
    log(i)
    while i == when and not os.path.exists(path + ".go"):
        time.sleep(0.001)
    return i


def spin_until_cancelled(path, when, i):
    open_log(path)
    log(i)
    if i == when:
        afrpc.event("begun")
        while not afrpc.is_cancelled():
            time.sleep(0.001)
    return i


def announce(i):
    afrpc.event(i)
    afrpc.progress(i)
    return afrpc.get_metadata()["a"] + i


def with_fd(i):
    if i % 10 != 0:
        return -1
    with open("/dev/null") as file:
        return afrpc.append_result_fd(file)


def octets(n):
    return bytes(n)


def logged_text(path, i, n):
    """So many characters, as a result, or raised."""
    open_log(path)
    log(i)
    if n < 0:
        raise ValueError("y" * -n)
    return "y" * n


def length(value):
    return len(value)


def count_blocks():
    gc.collect()
    return sys.getallocatedblocks()
