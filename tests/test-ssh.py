#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Workers at the other end of ssh, by a server of our own on the loopback. Exits with 77 where there is none.

usage: test-ssh.py FOLDER PROGRAM...

FOLDER is that of the command afrpc; each PROGRAM is run with what leads to the server in its environment, by a command and
by ssh itself."""

import os
import pathlib
import subprocess
import sys
import tempfile

import own_sshd


def run(program, environment):
    subprocess.run([program], timeout=150, check=True, env={**os.environ, **environment})


def main():
    tool_folder, *programs = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix='afrpc-ssh-') as name:
        folder = pathlib.Path(name)
        config = folder / 'ssh_config'
        try:
            with own_sshd.Sshd(folder / 'server', path=tool_folder) as server:
                own_sshd.make_key(folder / 'other_key')
                (folder / 'other_known_hosts').write_text(
                    (folder / 'server' / 'known_hosts').read_text().split()[0] + ' ' +
                    ' '.join((folder / 'other_key.pub').read_text().split()[:2]) + '\n')
                config.write_text(
                    server.get_client_config('here') +
                    server.get_client_config('unknown-key', UserKnownHostsFile='/dev/null') +
                    server.get_client_config('changed-key', UserKnownHostsFile=folder / 'other_known_hosts') +
                    server.get_client_config('refused', IdentityFile=folder / 'other_key') +
                    server.get_client_config('closed', Port=own_sshd.free_port()) +
                    server.get_client_config('nowhere', HostName='nowhere.invalid'))
                own_sshd.check(config, 'here')
                options = {'AFRPC_TEST_SSH_OPTIONS': f'-F {config}'}
                command = f'{own_sshd.TOOLS["ssh"]} -F {config} -T -oBatchMode=yes here afrpc host c'
                for program in programs:
                    if program.endswith(('-process', '-send')):
                        run(program, options)
                    else:
                        run(program, {'AFRPC_TEST_COMMAND': command})
                        run(program, options | {'AFRPC_TEST_DESTINATION': 'here'})
        except own_sshd.NoServer as error:
            print(error)
            return 77
    return 0


sys.exit(main())
