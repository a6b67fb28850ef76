#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts the instructions of what value-cost, cancel-cost or pool-cost does, by valgrind: they repeat, where times do not.

usage: test-value-cost.py PROGRAM

Walking what has arrived, cancelling what waits, and what a pool does about calls of a worker, takes four times as many for four times as many elements, and no step of a large message takes
more than a slice of a main loop does.
"""

import collections
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

FUNCTION = "measured"

# Four times the elements, and a little for what is done once.
RATIO_MIN, RATIO_MAX = 3.8, 4.12

# Of what allocates, grows tables, is told in slices of time, and arrives when the worker gets to run. What is quadratic
# has 16; what counts nothing has 1, or none.
RATIO_MIN_OF_CALLS, RATIO_MAX_OF_CALLS = 2, 6

# Instructions: two or three milliseconds of most machines.
STEP_MAX = 6_000_000


def count(program):
    """Returns (what, name, size, instructions) of each measurement."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={FUNCTION}",
                   f"--dump-after={FUNCTION}", f"--callgrind-out-file={folder}/out", program]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"Bail out! {done.stdout[-1000:]}{done.stderr[-1000:]}")
        files = [name for name in glob.glob(f"{folder}/out.*") if name.rsplit(".", 1)[1].isdigit()]
        files.sort(key=lambda name: int(name.rsplit(".", 1)[1]))
        counts = []
        for name in files:
            with open(name, encoding="utf-8") as file:
                counts.append(int(re.search(r"^(?:totals|summary): (\d+)", file.read(), re.MULTILINE).group(1)))
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    if len(lines) != len(counts):
        sys.exit(f"Bail out! {len(lines)} measurements, {len(counts)} counts")
    return [(what, name, int(size), n) for (what, name, size), n in zip(lines, counts)]


def main():
    if shutil.which("valgrind") is None:
        print("1..0 # SKIP no valgrind")
        return 0

    walks = collections.defaultdict(dict)
    steps = collections.defaultdict(list)
    for what, name, size, n in count(sys.argv[1]):
        if what == "step":
            steps[name].append(n)
        elif what != "warm":
            walks[f"{what} {name}"][size] = n

    results = []
    for name, counts in walks.items():
        (few, few_count), (_, many_count) = sorted(counts.items())
        ratio = many_count / few_count
        is_walk = name.startswith("walk ")
        ratio_min, ratio_max = (RATIO_MIN, RATIO_MAX) if is_walk else (RATIO_MIN_OF_CALLS, RATIO_MAX_OF_CALLS)
        results.append((ratio_min <= ratio <= ratio_max, f"{name}: {few_count / few:.0f} an element, ratio {ratio:.2f}"))
    for name, counts in steps.items():
        results.append((max(counts) <= STEP_MAX, f"steps {name}: {len(counts)}, {max(counts)} instructions at most"))

    print(f"1..{len(results)}")
    for number, (is_good, text) in enumerate(results, 1):
        print(f"{'' if is_good else 'not '}ok {number} {text.replace('#', '')}")
        if not is_good:
            print(text, file=sys.stderr)
    return 0 if results and all(is_good for is_good, _ in results) else 1


if __name__ == "__main__":
    # What preloads into the program would be counted.
    os.environ.pop("LD_PRELOAD", None)
    sys.exit(main())
