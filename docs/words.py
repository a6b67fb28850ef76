#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program of the page "Writing workers": words.py MODULE FILE PATTERN..."""
import sys

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib

loop = GLib.MainLoop()

process = Afrpc.Process.new_exec(None)
process.require(sys.argv[1])
process.send_arg(GLib.Variant("s", sys.argv[2]))
process.connect("exited", lambda process, exit: print(exit.to_string()))

proxy = Afrpc.Proxy(process=process, function="search", init="load", done="unload")
proxy.connect("event", lambda proxy, event, *rest: print("searched", event.unpack(), "words"))
proxy.connect("error", lambda proxy, error: print("error:", error.message))
proxy.connect("destroyed", lambda proxy: loop.quit())


def found(proxy, result, pattern):
    try:
        print(pattern, proxy.call_finish(result).unpack())
    except GLib.Error as error:
        if error.matches(Afrpc.error_quark(), Afrpc.Error.DIED):
            print(pattern, "killed the worker")
        else:
            print(pattern, "failed:", error.message)


for pattern in sys.argv[3:]:
    proxy.call(GLib.Variant("(s)", (pattern,)), None, found, pattern)
proxy.close()
loop.run()
