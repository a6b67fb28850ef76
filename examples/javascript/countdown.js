#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later

// One file that holds its worker's code as well. Three countdowns run in one worker at the same time; the one that
// was started last is the first to finish.
// Usage: countdown.js [MILLISECONDS]
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';

const STEP_MS = Number(ARGV[0] ?? 1000);

const CODE = `
    import GLib from 'gi://GLib';

    const [stepMs] = args;

    function step() {
        return new Promise(resolve => GLib.timeout_add(GLib.PRIORITY_DEFAULT, stepMs, () => {
            resolve();
            return GLib.SOURCE_REMOVE;
        }));
    }

    export async function run(count) {
        this.event('starting to count up to ' + count);
        for (let i = 1; i <= count; i++) {
            await step();
            this.event('count ' + i + ' of ' + count);
        }
    }
`;

async function main() {
    const process = Afrpc.Process.new_exec('gjs');
    process.eval(CODE, STEP_MS);
    const proxy = new Afrpc.Proxy({process, function: 'run', backend: Afrpc.Backend.ASYNC});
    proxy.connect('event', (_proxy, event) => print(event.unpack()));

    await Promise.all([3, 2, 1].map(async count => {
        await proxy.invoke(count);
        print(`job ${count} finished`);
    }));
    await proxy.close_async();
}

const loop = new GLib.MainLoop(null, false);

main().catch(logError).finally(() => loop.quit());
loop.run();
