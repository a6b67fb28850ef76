#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Flatpak manifest of the example with GTK fits the source tree and what is built of it.

usage: test-flatpak.py MANIFEST BUILD-FOLDER
"""
import json
import pathlib
import re
import shlex
import sys

manifest = pathlib.Path(sys.argv[1])
build = pathlib.Path(sys.argv[2])
whole = json.loads(manifest.read_text())
module, = whole["modules"]
source, = module["sources"]
root = (manifest.parent / source["path"]).resolve()

assert manifest.stem == whole["app-id"]
assert manifest.resolve().is_relative_to(root) and (root / "meson.build").is_file(), root
options = re.findall(r"option\('([^']+)'", (root / "meson_options.txt").read_text())
for option in module["config-opts"]:
    assert re.match("-D([^=]+)=", option)[1] in options, option
installed = [shlex.split(command)[-2:] for command in module["post-install"]]
assert f"${{FLATPAK_DEST}}/bin/{whole['command']}" in [target for _, target in installed]
for path, target in installed:
    assert (build / path).is_file(), path
    assert pathlib.Path(target).name == pathlib.Path(path).name
