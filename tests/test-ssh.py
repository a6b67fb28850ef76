#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker at the other end of ssh, by a server of our own on the loopback. Exits with 77 where there is none."""

import getpass
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

SSHD = shutil.which('sshd', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
TOOLS = [SSHD, shutil.which('ssh'), shutil.which('ssh-keygen')]
PATIENCE_S = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def write_config(folder, port):
    for name in 'host_key', 'user_key':
        subprocess.run([TOOLS[2], '-q', '-t', 'ed25519', '-N', '', '-f', folder / name], check=True)
    shutil.copy(folder / 'user_key.pub', folder / 'authorized_keys')
    config = folder / 'sshd_config'
    config.write_text(f'''
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
PermitRootLogin yes
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
''')
    return config


def wait_until_it_listens(server):
    """What the server has said so far; it ends with its end if it does not come to listen."""
    said = []
    for line in server.stderr:
        said.append(line)
        if 'listening' in line:
            return True, said
    return False, said


def main():
    if None in TOOLS:
        print('no OpenSSH')
        return 77
    if os.geteuid() == 0:
        os.makedirs('/run/sshd', mode=0o755, exist_ok=True)  # sshd wants it to exist

    with tempfile.TemporaryDirectory(prefix='afrpc-ssh-') as name:
        folder = pathlib.Path(name)
        port = free_port()
        config = write_config(folder, port)
        ssh = [TOOLS[1], '-F', 'none', '-q', '-T', '-p', str(port), '-i', f'{folder}/user_key', '-o', 'BatchMode=yes',
               '-o', 'IdentitiesOnly=yes', '-o', 'StrictHostKeyChecking=no',
               '-o', f'UserKnownHostsFile={folder}/known_hosts', f'{getpass.getuser()}@127.0.0.1']
        server = subprocess.Popen([SSHD, '-D', '-e', '-f', config], stderr=subprocess.PIPE, text=True)
        try:
            listens, said = wait_until_it_listens(server)
            if not listens:
                print('sshd does not start:', *said)
                return 77
            if subprocess.run([*ssh, 'true'], timeout=PATIENCE_S).returncode != 0:
                server.terminate()
                print('sshd lets nobody in:', *said, server.stderr.read())
                return 77
            command = ' '.join([*ssh, f"{os.environ['AFRPC_HOST_PATH']}/afrpc-host-c"])
            for program in sys.argv[1:]:
                subprocess.run([program], timeout=100, check=True, env={**os.environ, 'AFRPC_TEST_COMMAND': command})
        finally:
            server.terminate()
            server.communicate(timeout=PATIENCE_S)
    return 0


sys.exit(main())
