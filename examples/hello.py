#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import sys

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc

process = Afrpc.Process.new_exec().require(sys.argv[1] if len(sys.argv) > 1 else "./hello-worker.so")
with Afrpc.Proxy(process=process, function="hello") as proxy:
    print(proxy.invoke_sync("world"))
