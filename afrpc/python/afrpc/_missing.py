# SPDX-License-Identifier: LGPL-2.1-or-later
"""What to say where something is not there that afrpc needs: Python itself says something else."""
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES


def explain_extension(error):
    """The error of an extension module that was built for another version, which Python takes for a circular import."""
    folder = os.path.dirname(__file__)
    built = [name for name in os.listdir(folder) if name.startswith("_afrpc.") and name.endswith(".so")]
    if not built or any(f"_afrpc{suffix}" in built for suffix in EXTENSION_SUFFIXES):
        return error
    kind, _, rest = built[0].split(".")[1].partition("-")
    version = rest.partition("-")[0]
    known = f"Python {version[0]}.{version[1:]}" if kind == "cpython" and version[:1].isdigit() else f"{kind}-{rest}"
    return ImportError(f"afrpc in {folder} was built for {known}, and this is Python {sys.version.split()[0]}, {sys.executable}",
                       name="afrpc._afrpc", path=os.path.join(folder, built[0]))


def make_pygobject_error(spec):
    return ImportError(f"there is no PyGObject for {sys.executable}, only afrpc's part of its package 'gi', in "
                       f"{':'.join(spec.submodule_search_locations)}: install it (python3-gi in Debian), or make the virtual "
                       "environment with --system-site-packages", name="gi")
