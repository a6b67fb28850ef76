# SPDX-License-Identifier: LGPL-2.1-or-later
"""An OpenSSH server of our own, which lets in who runs the test, and what to tell ssh of it."""

import getpass
import os
import pathlib
import shutil
import socket
import subprocess
import threading

PATIENCE_S = 20

SSHD = shutil.which('sshd', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
TOOLS = {'ssh': shutil.which('ssh'), 'sshd': SSHD, 'ssh-keygen': shutil.which('ssh-keygen')}

# What commands find that the server runs: what has been built.
PASSED_ON = ['AFRPC_HOST_PATH', 'AFRPC_MODULE_PATH', 'AFRPC_TEST_SANITIZE', 'ASAN_OPTIONS', 'G_SLICE', 'GI_TYPELIB_PATH',
             'LD_LIBRARY_PATH', 'LSAN_OPTIONS', 'PYTHONPATH', 'TSAN_OPTIONS', 'UBSAN_OPTIONS', 'XDG_CACHE_HOME']


class NoServer(Exception):
    """There is none to be had here, and why."""


def free_port(address='127.0.0.1'):
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def make_key(path):
    subprocess.run([TOOLS['ssh-keygen'], '-q', '-t', 'ed25519', '-N', '', '-f', path], check=True)


class Sshd:
    """One server, from its keys to its end."""

    def __init__(self, folder, address='127.0.0.1', port=None, prefix=(), path=None, more='', environment=None):
        """path: folders for the PATH of commands, before all others; prefix: of a command that runs something
        elsewhere; more: lines of its configuration; environment: more that commands find."""
        if None in TOOLS.values():
            raise NoServer('no OpenSSH: ' + ', '.join(name for name, found in TOOLS.items() if found is None))
        self.folder = pathlib.Path(folder)
        self.address = address
        self.port = port or free_port(address)
        self.prefix = list(prefix)
        self.process = None
        self.folder.mkdir(exist_ok=True)
        for name in 'host_key', 'user_key':
            make_key(self.folder / name)
        shutil.copy(self.folder / 'user_key.pub', self.folder / 'authorized_keys')
        variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | (environment or {})
        variables['PATH'] = ':'.join([path, os.environ['PATH']] if path else [os.environ['PATH']])
        settings = ' '.join(f'"{name}={value}"' for name, value in variables.items())
        self.config = self.folder / 'sshd_config'
        self.config.write_text(f'''
ListenAddress {address}
Port {self.port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
PermitRootLogin yes
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
MaxStartups 200
SetEnv {settings}
{more}
''')
        # What ssh-keyscan would find, had it somebody to ask.
        key = (self.folder / 'host_key.pub').read_text().split()
        name = address if self.port == 22 else f'[{address}]:{self.port}'
        (self.folder / 'known_hosts').write_text(f'{name} {key[0]} {key[1]}\n')

    def get_client_config(self, name, **changes):
        """Lines of ssh_config for it, under a name."""
        settings = {
            'HostName': self.address, 'Port': self.port, 'User': getpass.getuser(),
            'IdentityFile': f'{self.folder}/user_key', 'IdentitiesOnly': 'yes', 'StrictHostKeyChecking': 'yes',
            'UserKnownHostsFile': f'{self.folder}/known_hosts', 'GlobalKnownHostsFile': '/dev/null',
        } | changes
        return f'Host {name}\n' + ''.join(f'  {key} {value}\n' for key, value in settings.items())

    def start(self):
        """Raises NoServer if it does not come to listen."""
        if os.geteuid() == 0:
            os.makedirs('/run/sshd', mode=0o755, exist_ok=True)  # sshd wants it to exist
        self.process = subprocess.Popen([*self.prefix, SSHD, '-D', '-e', '-f', self.config], stderr=subprocess.PIPE, text=True)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if 'listening' in line:
                # It says something of each login: nobody may keep it waiting.
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return self
        raise NoServer('sshd does not start: ' + ''.join(said))

    def wait(self):
        """Waits for its end."""
        if self.process is not None:
            self.process.wait(timeout=PATIENCE_S)
            self.process = None

    def stop(self):
        """Ends it, and not those whom it has let in."""
        if self.process is not None:
            self.process.terminate()
        self.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def check(config, name):
    """Raises NoServer if ssh is not let in."""
    login = subprocess.run([TOOLS['ssh'], '-F', config, '-oBatchMode=yes', name, 'true'], timeout=PATIENCE_S,
                           stderr=subprocess.PIPE, text=True)
    if login.returncode != 0:
        raise NoServer('sshd lets nobody in: ' + login.stderr)
