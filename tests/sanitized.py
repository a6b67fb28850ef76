#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a test that is built with the address sanitizer, as a wrapper for "meson test", and looks at what was said
of it and of each process that it started, whose exit status nobody may have asked for.

usage: sanitized.py [--all-leaks] LIBASAN COMMAND...

AFRPC_TEST_SANITIZE says what is special:

- "locked": a process that may not open anything cannot look for its leaks, nor write what it finds to a file.
- "perl": what Perl itself does not free when a process exits is not looked at.
- "python": an interpreter that is not built with the sanitizer, which has to be preloaded then, and whose memory is malloc's.
  Leaks are looked for if the value is "python-leaks", or with --all-leaks, since this takes all of the stack at
  each allocation, which takes five times as long. With "python-exits" they are not: where looking for them fails, as it may
  in a process of Python that another one has started, it ends that with a status of its own.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

OURS = re.compile(r"\.\./(?:afrpc|docs|examples|tests)/|/(?:libafrpc|_afrpc|_proxy)")
# What comes back to code that is not ours.
PYTHON = re.compile(r"_PyEval_|_PyFunction_|PyObject_Call|PyObject_Vectorcall|_PyObject_MakeTpCall|_PyObject_FastCall|PyErr_CheckSignals|"
                    r"/_gi\.|libgirepository|libffi")
PERL = re.compile(r"/libperl\.|/perl5?/")


def set_option(name, value):
    """Of a sanitizer: later ones count."""
    os.environ[name] = f"{os.environ.get(name, '')}:{value}".lstrip(":")


def prepare(libasan, special, folder):
    if special == "locked":
        set_option("ASAN_OPTIONS", "detect_leaks=0")
        return
    # nats.c has threads in the middle of OpenSSL when a process exits; what these had is no leak.
    suppressions = pathlib.Path(folder) / "suppressions"
    suppressions.write_text("leak:libcrypto.so\nleak:libssl.so\n")
    set_option("LSAN_OPTIONS", f"suppressions={suppressions}:print_suppressions=0:log_path={folder}/log:log_exe_name=1")
    if special.startswith("python"):
        os.environ["LD_PRELOAD"] = os.path.realpath(libasan)
        os.environ["PYTHONMALLOC"] = "malloc"
        set_option("LSAN_OPTIONS", "exitcode=0")
        set_option("ASAN_OPTIONS", "fast_unwind_on_malloc=0:malloc_context_size=12" if special == "python-leaks"
                   else "detect_leaks=0")


def is_ours(frames, special):
    """Whether memory that was allocated there is to be freed by us: what the innermost frame is that is known."""
    if special == "perl":
        return not any(PERL.search(frame) for frame in frames[:2])
    for frame in frames:
        if OURS.search(frame):
            return True
        if PYTHON.search(frame):
            return False
    return False


def find_errors(text, special):
    """What was said, but for leaks of others; memory that is leaked with other memory is not mentioned."""
    for part in re.split(r"\n{2,}|^=+$", text, flags=re.MULTILINE):
        part = part.strip("\n")
        lines = part.splitlines()
        if special and re.match("Indirect leak of", part):
            continue
        if special and re.match("Direct leak of", part) and not is_ours(lines[1:], special):
            continue
        # A process that is killed while it looks for leaks, or has threads that end meanwhile, says the last of these.
        if lines and not re.search(r"ERROR: LeakSanitizer|^SUMMARY: .* leaked in|Unable to get registers from thread|was not suspended\.|"
                                   r"LeakSanitizer has encountered a fatal error|ptrace appears to be blocked", part):
            yield part


def main():
    libasan, *command = (word for word in sys.argv[1:] if word != "--all-leaks")
    special = os.environ.get("AFRPC_TEST_SANITIZE", "")
    if special == "python" and "--all-leaks" in sys.argv:
        special = "python-leaks"

    with tempfile.TemporaryDirectory() as folder:
        prepare(libasan, special, folder)
        status = subprocess.run(command).returncode
        errors = {}
        for path in sorted(pathlib.Path(folder).glob("log.*")):
            for error in find_errors(path.read_text(errors="replace"), special):
                errors.setdefault(error, path.name.removeprefix("log."))
    for error, name in errors.items():
        print(f"{name}:\n{error}\n", file=sys.stderr)
    if status < 0:  # what ended the test ends this, too
        os.kill(os.getpid(), -status)

    return status if status != 0 else 99 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
