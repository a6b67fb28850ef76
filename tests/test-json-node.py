#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trees of JSON in Python: the namespace AfrpcJson."""
import unittest

import gi
gi.require_version("AfrpcJson", "1.0")
from gi.repository import AfrpcJson, GLib, Json


class Nodes(unittest.TestCase):
    def test_there_and_back(self):
        value = GLib.Variant("(sva{si})", ("x", GLib.Variant("q", 7), {"k": 1}))
        node = AfrpcJson.from_variant(value)
        self.assertEqual(Json.to_string(node, False), '["x",7,{"k":1}]')
        self.assertEqual(AfrpcJson.to_variant(node, GLib.VariantType("(sxa{si})")).unpack(), ("x", 7, {"k": 1}))
        self.assertTrue(value.equal(AfrpcJson.to_variant(AfrpcJson.from_variant_typed(value), None)))

    def test_refused(self):
        with self.assertRaisesRegex(GLib.Error, "/0: expected an integer of 32 bits"):
            AfrpcJson.to_variant(AfrpcJson.from_variant(GLib.Variant("(s)", ("x",))), GLib.VariantType("(i)"))


if __name__ == "__main__":
    unittest.main()
