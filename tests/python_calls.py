# SPDX-License-Identifier: LGPL-2.1-or-later
"""The functions that the tests of calls in Python call."""
import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc  # noqa: E402

CODE = """
import afrpc, os
def echo(*args): return args
def tell(value):
    afrpc.event(value)
    afrpc.progress(value)
    return value
def forever():
    afrpc.event("started")
    while not afrpc.is_cancelled(): pass
    return "noticed"
def stubborn():
    afrpc.event("started")
    while True: pass
def interrupt(pid, number):
    # Again and again: one that comes before the program waits is not noticed.
    import time
    while not afrpc.is_cancelled():
        os.kill(pid, number)
        time.sleep(0.01)
def leave():
    afrpc.event("last words")
    afrpc.flush()
    os._exit(3)
def plain(a): return a
async def generate(a): yield a
def picky(invocation, a): raise TypeError("not that")
def fail(): raise KeyError("x")
def named(*args, **keywords): return args, keywords
async def named_later(a, *, b, c=3): return a, b, c
def named_invocation(invocation, a, *, b): invocation.return_value((a, b))
def open_file():
    number = afrpc.append_result_fd(afrpc.steal_call_fd(0))
    return afrpc.Variant("h", number)
"""


def make(function, more="", **properties):
    process = Afrpc.Process.new_exec("python").eval(CODE + more).set_stderr(Afrpc.Stdio.CAPTURE)
    proxy = Afrpc.Proxy(process=process, function=function, **properties)
    proxy.connect("error", lambda proxy, error: None)
    return proxy
