// SPDX-License-Identifier: LGPL-2.1-or-later
// What the tests in JavaScript share.
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';

export const HERE = GLib.path_get_dirname(GLib.filename_from_uri(import.meta.url)[0]);

export const BAD_HOST = `${HERE}/gjs-host.js`;
export const WORKER = `${HERE}/workers/gjs-worker.js`;

export function toText(value) {
    return JSON.stringify(value, (_key, inner) => {
        if (typeof inner === 'bigint')
            return `${inner}n`;
        return inner instanceof Uint8Array ? `bytes ${[...inner]}` : inner;
    });
}

export function assert(condition, what) {
    if (!condition)
        throw new Error(`not true: ${what}`);
}

export function assertEqual(value, expected, what = '') {
    if (toText(value) !== toText(expected))
        throw new Error(`${what} is ${toText(value)}, not ${toText(expected)}`);
}

// What a promise is rejected with.
export async function getError(promise) {
    let value;

    try {
        value = await promise;
    } catch (e) {
        return e;
    }
    throw new Error(`no error, but ${toText(value)}`);
}

export async function assertError(promise, domain, code, ...parts) {
    const e = await getError(promise);

    assert(e.matches?.(domain, code), `the error is ${e}`);
    for (const part of parts)
        assert(e.message.includes(part), `“${part}” is in “${e.message}”`);
}

// A proxy for a function of the worker module.
export function makeProxy(name, options = {}, process = Afrpc.Process.new_exec('gjs')) {
    process.set_stderr(Afrpc.Stdio.CAPTURE);
    process.require(WORKER);
    const proxy = new Afrpc.Proxy({process, function: name, ...options});

    proxy.connect('error', () => {});
    return proxy;
}

// Not top-level await: gjs 1.74 spins meanwhile.
export function runTests(tests) {
    const loop = new GLib.MainLoop(null, false);
    let nFailed = 0;

    async function run() {
        for (const [name, test] of Object.entries(tests)) {
            const begin = GLib.get_monotonic_time();

            try {
                await test();
                print(`ok - ${name} ${Math.round((GLib.get_monotonic_time() - begin) / 1000)} ms`);
            } catch (e) {
                print(`not ok - ${name}\n${e}\n${e.stack}`);
                nFailed++;
            }
        }
        loop.quit();
    }

    run();
    loop.run();
    imports.system.exit(nFailed === 0 ? 0 : 1);
}
