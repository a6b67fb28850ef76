#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later

// Shows the events of a worker while its function computes.
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';

const [WORKER] = GLib.filename_from_uri(import.meta.url.replace('progress.js', 'progress-worker.js'));
const LIMIT = 100000;

async function showEvents(events) {
    for await (const percent of events)
        print(`${percent} %`);
}

async function main() {
    const process = Afrpc.Process.new_exec('gjs');
    process.require(WORKER);
    const proxy = new Afrpc.Proxy({process, function: 'countPrimes'});

    const shown = showEvents(proxy.events());
    print(`${await proxy.invoke(LIMIT)} primes below ${LIMIT}`);
    await proxy.close_async();
    await shown;
}

// Programs that wait for long have a main loop of their own: gjs is busy while a module awaits.
const loop = new GLib.MainLoop(null, false);

main().catch(logError).finally(() => loop.quit());
loop.run();
