#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example of a pre-forked server: a hundred clients at once are each answered, by several
processes, and all of them end with the server, whether it ends them or is killed."""

import os
import re
import socket
import subprocess
import sys

CLIENTS = 100
PATIENCE_S = 60


def start():
    # The workers inherit the output: its end is the end of the last of them.
    server = subprocess.Popen(sys.argv[1:3], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    host, port = server.stdout.readline().strip().rsplit(':', 1)
    return server, (host, int(port))


def visit(address):
    """The process that answered each client; all clients connect before any reads."""
    clients = [socket.create_connection(address, PATIENCE_S) for _ in range(CLIENTS)]
    pids = []
    for client in clients:
        with client:
            text = client.makefile().read()
        match = re.fullmatch(r'Hello from process (\d+)!\n', text)
        assert match, text
        pids.append(int(match[1]))
    return pids


def visit_until_several(address, server):
    """One process may be quicker than the others wake up, but not for ever."""
    pids = set()
    for _ in range(50):
        found = visit(address)
        assert len(found) == CLIENTS
        pids.update(found)
        if len(pids) >= 2:
            break
    assert len(pids) >= 2, pids
    assert server.pid not in pids
    return pids


def wait_for_last(server):
    with server.stdout:
        assert server.stdout.read() == ''


def test_ended():
    server, address = start()
    pids = visit_until_several(address, server)
    server.stdin.close()
    assert server.wait(PATIENCE_S) == 0
    wait_for_last(server)
    assert not any(os.path.exists(f'/proc/{pid}') for pid in pids)


def test_killed():
    server, address = start()
    visit_until_several(address, server)
    server.kill()
    server.wait(PATIENCE_S)
    wait_for_last(server)


for test in (test_ended, test_killed):
    test()
