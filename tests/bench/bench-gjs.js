#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
// What a program in JavaScript does without any library: a child process that is called by lines over its standard
// input and output. Both block while they read.
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

const [SELF] = GLib.filename_from_uri(import.meta.url);
const WINDOW = 1000;
const WARM_UP = 100;

function fail(message) {
    printerr(`bench-gjs: ${message}`);
    System.exit(1);
}

function text(number) {
    return String(number).padStart(16, '0');
}

function serve() {
    const input = new Gio.DataInputStream({base_stream: new Gio.UnixInputStream({fd: 0})});
    const output = new Gio.UnixOutputStream({fd: 1});

    for (;;) {
        const [line] = input.read_line_utf8(null);

        if (line === null)
            return;
        output.write_all(`${line}\n`, null);
    }
}

class Lines {
    constructor() {
        this._process = Gio.Subprocess.new(['gjs', '-m', SELF, '--serve'],
            Gio.SubprocessFlags.STDIN_PIPE | Gio.SubprocessFlags.STDOUT_PIPE);
        this._input = new Gio.DataInputStream({base_stream: this._process.get_stdout_pipe()});
        this._output = this._process.get_stdin_pipe();
        this.pid = this._process.get_identifier();
    }

    _send(number) {
        this._output.write_all(`${text(number)}\n`, null);
    }

    calls(n, window) {
        for (let i = 0; i < Math.min(n, window); i++)
            this._send(i);
        for (let i = 0; i < n; i++) {
            if (this._input.read_line_utf8(null)[0] !== text(i))
                fail(`text ${i} is wrong`);
            if (i + window < n)
                this._send(i + window);
        }
    }

    close() {
        this._output.close(null);
        if (!this._process.wait_check(null))
            fail('the child failed');
    }
}

function read(path) {
    return new TextDecoder().decode(GLib.file_get_contents(path)[1]);
}

function privateKb(pid) {
    return [...read(`/proc/${pid}/smaps_rollup`).matchAll(/^Private_(?:Clean|Dirty): +(\d+)/gm)]
        .reduce((sum, [, kb]) => sum + Number(kb), 0);
}

// In hundredths.
function cpuSeconds(pid) {
    const fields = read(`/proc/${pid}/stat`).replace(/^.*\) /, '').split(' ');

    return (Number(fields[11]) + Number(fields[12])) / 100;
}

function measure(workload, n) {
    const start = GLib.get_monotonic_time();

    if (workload === 'W5') {
        for (let i = 0; i < n; i++) {
            const peer = new Lines();
            peer.calls(1, 1);
            peer.close();
        }
        const seconds = (GLib.get_monotonic_time() - start) / 1e6;
        return {value: n / seconds, unit: '/s', seconds};
    }

    const peer = new Lines();
    const window = workload === 'W2' ? WINDOW : 1;
    peer.calls(WARM_UP, window);
    const cpu = ['self', peer.pid].map(cpuSeconds);
    const begin = GLib.get_monotonic_time();
    peer.calls(n, window);
    const seconds = (GLib.get_monotonic_time() - begin) / 1e6;
    const [cpuParent, cpuChild] = ['self', peer.pid].map((pid, i) => (cpuSeconds(pid) - cpu[i]) * 1e6 / n);
    const value = workload === 'W6' ? privateKb(peer.pid) : workload === 'W1' ? seconds * 1e6 / n : n / seconds;
    peer.close();

    return {value, unit: {W1: 'us', W2: '/s', W6: 'kB'}[workload], seconds, cpu_parent: cpuParent, cpu_child: cpuChild};
}

function main(args) {
    const options = {workload: 'W1', variant: 'lines', n: '1000'};

    for (let i = 0; i + 1 < args.length; i += 2)
        options[args[i].slice(2)] = args[i + 1];
    if (!['W1', 'W2', 'W5', 'W6'].includes(options.workload))
        fail(`no such workload here: ${options.workload}`);
    // Both processes on one CPU: it is inherited.
    if (options.workload === 'W1')
        GLib.spawn_command_line_sync(`taskset -a -p -c 0 ${read('/proc/self/stat').split(' ')[0]}`);

    const n = Number(options.n);
    print(JSON.stringify({peer: 'gjs', variant: options.variant, workload: options.workload, n,
        ...measure(options.workload, n)}));
}

if (ARGV[0] === '--serve')
    serve();
else
    main(ARGV);
