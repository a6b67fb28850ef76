#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the examples in one language, and compares what they print.

usage: test-examples.py COMMAND...

Each COMMAND is an example with its arguments: words that are separated by "--". What an example prints is known
by its name, whatever the language.
"""
import pathlib
import re
import subprocess
import sys

DIVIDED = "(integer division or modulo|division) by zero"  # since Python 3.14

EXPECTED = {
    "hello": r"Hello, world!\n",
    "progress":
        r"25 %\n"
        r"50 %\n"
        r"75 %\n"
        r"100 %\n"
        r"9592 primes below 100000\n",
    "countdown":
        r"starting to count up to 3\n"
        r"starting to count up to 2\n"
        r"starting to count up to 1\n"
        r"job 1 finished\n"
        r"job 2 finished\n"
        r"job 3 finished\n",
    "crash":
        r"result of job 1\n"
        r"job 2 is lost: .* exited with status 3\n"
        r"result of job 3\n"
        r"result of job 4\n",
    "pool":
        r"\['Hello, Anna!', 'Hello, Bert!', 'Hello, world!'\]\n",
    "ranges":
        r"9592 primes below 100000\n"
        r"4 primes below 10\n"
        r"11 calls, 0 failed\n",
    "refuse":
        r"70 are left\n"
        r"too much: Anna has 100\n"
        r"refused: Bert has no account\n",
    "values.py":
        r"Invoice\(number=UUID\('00000000-0000-0000-0000-000000000007'\), day=datetime.date\(2024, 2, 29\), "
        r"amount=Decimal\('19.90'\), paid=datetime.datetime\(2024, 3, 1, 12, 0\)\)\n"
        r"\[<How.CASH: 'cash'>, <How.CARD: 'card'>\]\n",
    # Of docs/
    "pickled.py": r"True\n",
    "executor.py":
        r"49\n"
        r"333283335000\n"
        r"\['Hello, Anna!', 'Hello, Bert!'\]\n"
        r"\[8, 9\]\n"
        r"\[0, 1, 4, 9, 16\]\n"
        rf"called back: {DIVIDED}\n"
        r"the worker that ran _exit is lost: .* exited with status 3\n"
        r"328350\n"
        rf"the initializer failed: ZeroDivisionError\('{DIVIDED}'\)\n"
        r"\('found', 3\)\n"
        r"\('found', 5\)\n"
        r"\[0, 1, 4, 9, 16\]\n"
        r"(\[0, 1, 4, 9, 16\]|there is no joblib)\n",
    "tour.py":
        r"\['int', 'float', 'str', 'bool', 'NoneType', 'bytes', 'tuple', 'list', 'dict'\]\n"
        r"searched for an\n"
        r"\[3, 5\]\n"
        r"found at 4\n"
        r"found at 6\n"
        r"searched for na\n"
        r"searched for x\n"
        r"called back: \[\]\n"
        r"\['rested', 'rested'\]\n"
        r"too late\n"
        r"searched for an\n"
        r"ValueError \| not today\n"
        r"Traceback .*\n"
        r"True\n"
        r"ValueError\('not today'\), \('not today',\)\n"
        r"argument 1: a value of type set cannot be sent\n"
        r"Good morning, Anna!\n"
        r"Good morning, Bert!\n"
        r"5\n"
        r"rang\n"
        r"Hello, thread!\n"
        r"Hello, everybody!\n"
        r"Hello, main loop!\n",
    "tour":
        r"Number\nNumber\nBigInt\nString\nBoolean\nnull\nUint8Array\nArray\nObject\n"
        r"searched for an\n"
        r"3,5\n"
        r"found at 4\n"
        r"found at 6\n"
        r"searched for na\n"
        r"rested\n"
        r"cancelled\n"
        r"true true TypeError: .*\n"
        r"Good morning, everybody!\n"
        r"2,2,0,1\n",
}


# Timers that are due at the same time may fire in any order.
UNCERTAIN = re.compile(r"^count .*\n", re.MULTILINE)


def split(words):
    command = []
    for word in words:
        if word == "--":
            yield command
            command = []
        else:
            command.append(word)
    yield command


def get_name(command):
    for word in command:
        if pathlib.Path(word).name in EXPECTED:
            return pathlib.Path(word).name
        name = pathlib.Path(word).stem.split("-")[-1]
        if name in EXPECTED:
            return name
    raise SystemExit(f"unknown example: {command}")


n_wrong = 0
for command in split(sys.argv[1:]):
    name = get_name(command)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode == 0 and re.fullmatch(EXPECTED[name], UNCERTAIN.sub("", done.stdout)):
        print(f"ok - {name}")
    else:
        print(f"not ok - {name}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        n_wrong += 1
sys.exit(1 if n_wrong > 0 else 0)
