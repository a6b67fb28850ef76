# SPDX-License-Identifier: LGPL-2.1-or-later
import json

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib, GObject


class JsonList(GObject.Object, Afrpc.Serialiser):
    """The program's side: JSON is what it has, as a string."""

    def do_dup_name(self):
        return "json-list"

    def do_serialise(self, value):
        return GLib.Bytes.new(value.get_string().encode())

    def do_deserialise(self, data):
        return GLib.Variant("s", data.get_data().decode())


process = Afrpc.Process.new_exec("perl")
process.eval("Afrpc::register_serialiser (@_)", "json-list", """
    use JSON::PP ();
    (sub { JSON::PP::encode_json (\\@_) }, sub { @{JSON::PP::decode_json ($_[0])} })
""")
process.eval("sub scale { my ($factor, $rows) = @_; map { {%$_, size => $factor * $_->{size}} } @$rows }")
proxy = Afrpc.Proxy(process=process, function="scale", serialiser=JsonList())
args = json.dumps([10, [{"size": 1}, {"size": 2.5, "name": "ä"}]])
for row in json.loads(proxy.call_sync(GLib.Variant("s", args), None).get_string()):
    print(row["size"], row.get("name"))
