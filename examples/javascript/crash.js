#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later

// Goes on after the death of a worker: the job that killed it is lost, those behind it are done by another.
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';

const [WORKER] = GLib.filename_from_uri(import.meta.url.replace('crash.js', 'crash-worker.js'));

let proxy = null;

function getProxy() {
    if (proxy === null || proxy.is_closed()) {
        const process = Afrpc.Process.new_exec('gjs');
        process.require(WORKER);
        proxy = new Afrpc.Proxy({process, function: 'work'});
        proxy.connect('error', () => {}); // each call tells what became of it
    }

    return proxy;
}

async function run(job, triesLeft = 5) {
    try {
        return await getProxy().invoke(job);
    } catch (e) {
        if (e.matches(Afrpc.Error, Afrpc.Error.NOT_STARTED) && triesLeft > 0)
            return run(job, triesLeft - 1);
        if (e.matches(Afrpc.Error, Afrpc.Error.DIED))
            return `job ${job} is lost: ${e.message.replace(/\(pid \d+\) /, '')}`;
        throw e;
    }
}

async function main() {
    for (const result of await Promise.all([1, 2, 3, 4].map(job => run(job))))
        print(result);
    await proxy.close_async();
}

const loop = new GLib.MainLoop(null, false);

main().catch(logError).finally(() => loop.quit());
loop.run();
