# SPDX-License-Identifier: LGPL-2.1-or-later
import sys

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib, GObject


class Text(GObject.Object, Afrpc.Serialiser):
    def do_dup_name(self):
        return "text"

    def do_serialise(self, value):
        print("to the worker:", value.print_(True))
        return GLib.Bytes.new(value.print_(True).encode())

    def do_deserialise(self, data):
        print("from the worker:", data.get_data().decode())
        return GLib.Variant.parse(None, data.get_data().decode(), None, None)


process = Afrpc.Process.new_exec(None)
process.require(sys.argv[1])
proxy = Afrpc.Proxy(process=process, function="add", init="init", serialiser=Text())
print(proxy.call_sync(GLib.Variant("(ii)", (3, 4)), None).unpack())
