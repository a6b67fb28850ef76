#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Short jobs over ssh to a server of its own on the loopback: by afrpc map, and by GNU parallel if that is installed.

usage: bench-ssh.py TOOL MODULE [--jobs N] [--rival-jobs N] [--workers N]

TOOL is the command afrpc, MODULE the worker of its tests. Prints jobs a second; those of who has fewer jobs, of these."""

import argparse
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import own_sshd  # noqa: E402


def measure(name, n, command, environment):
    inputs = ''.join(f'{i}\n' for i in range(n)).encode()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, input=inputs, stdout=subprocess.PIPE, check=True, env=environment)
    took = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert len(done.stdout.split()) == n, name
    print(f'{name:28} {n:7} jobs {took:8.2f} s {n / took:9.0f} jobs/s {1e6 * cpu / n:9.0f} us of CPU a job, here', flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('tool', type=os.path.abspath)
    parser.add_argument('module', type=os.path.abspath)
    parser.add_argument('--jobs', type=int, default=10000)
    parser.add_argument('--rival-jobs', type=int)
    parser.add_argument('--workers', type=int, default=2)
    options = parser.parse_args()
    rival = shutil.which('parallel')
    rival_jobs = options.rival_jobs or options.jobs

    with tempfile.TemporaryDirectory(prefix='afrpc-bench-') as name:
        folder = pathlib.Path(name)
        config, shared = folder / 'ssh_config', folder / 'shared_config'
        with own_sshd.Sshd(folder / 'server', path=os.path.dirname(options.tool)) as server:
            config.write_text(server.get_client_config('server'))
            shared.write_text(server.get_client_config('server', ControlMaster='auto', ControlPath=folder / 'control',
                                                       ControlPersist=10))
            own_sshd.check(config, 'server')
            environment = dict(os.environ, PARALLEL_HOME=name, LC_ALL='C.UTF-8')
            for n in 1, options.jobs:
                measure('afrpc map -S', n, [options.tool, 'map', '-q', '-S', f'{options.workers}/server',
                                            f'--ssh-option=-F{config}', options.module, 'work'], environment)
            if rival is None:
                print('GNU parallel is not installed')
                return 0
            (folder / 'will-cite').touch()
            for what, ssh in ('parallel -S', config), ('parallel -S, shared', shared):
                for n in 1, rival_jobs:
                    measure(what, n, [rival, '-S', f'{options.workers}/server', '--ssh', f'{own_sshd.TOOLS["ssh"]} -F {ssh}',
                                      'echo'], environment)
            subprocess.run([own_sshd.TOOLS['ssh'], '-F', shared, '-O', 'exit', 'server'], stderr=subprocess.DEVNULL)
    return 0


sys.exit(main())
