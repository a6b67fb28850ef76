#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import sys

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib

process = Afrpc.Process.new_exec(None)
process.require(sys.argv[1] if len(sys.argv) > 1 else "./hello-worker.so")
proxy = Afrpc.Proxy.new(process, "hello")
print(proxy.call_sync(GLib.Variant("(s)", ("world",)), None).unpack())

loop = GLib.MainLoop()
proxy.connect("destroyed", lambda proxy: loop.quit())
proxy.close()
loop.run()
