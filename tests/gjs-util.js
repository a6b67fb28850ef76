// SPDX-License-Identifier: LGPL-2.1-or-later
// What the tests in JavaScript share.
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';

export const HERE = GLib.path_get_dirname(GLib.filename_from_uri(import.meta.url)[0]);

export const BAD_HOST = `${HERE}/gjs-host.js`;
export const WORKER = `${HERE}/workers/gjs-worker.js`;

// So that values are the same if and only if their texts are.
export function toText(value) {
    if (typeof value === 'bigint')
        return `${value}n`;
    if (typeof value === 'number')
        return Object.is(value, -0) ? '-0' : `${value}`;
    if (value instanceof DataView || value instanceof ArrayBuffer)
        return `${value.constructor.name} ${value.byteLength}`;
    if (ArrayBuffer.isView(value))
        return `${value.constructor.name} [${[...value].map(toText)}]`;
    if (value instanceof Map)
        return `Map {${[...value].map(([key, inner]) => `${toText(key)} => ${toText(inner)}`)}}`;
    if (Array.isArray(value))
        return `[${Array.from(value, toText)}]`;
    if (value?.constructor === Object)
        return `{${Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: ${toText(inner)}`)}}`;
    return JSON.stringify(value) ?? String(value);
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
        assert(e.message.includes(part), `'${part}' is in '${e.message}'`);
    return e;
}

export function assertThrows(action, klass, ...parts) {
    let error = null;

    try {
        action();
    } catch (e) {
        error = e;
    }
    assert(error instanceof klass, `the error is ${error}`);
    for (const part of parts)
        assert(error.message.includes(part), `'${part}' is in '${error.message}'`);
}

// A proxy for a function of the worker module.
export function makeProxy(name, options = {}, process = Afrpc.Process.new_exec('gjs')) {
    process.set_stderr(Afrpc.Stdio.CAPTURE);
    process.require(WORKER);
    const proxy = new Afrpc.Proxy({process, function: name, ...options});

    proxy.connect('error', () => {});
    return proxy;
}

class Skipped extends Error {}

// Says that the test that runs cannot.
export function skip(why) {
    throw new Skipped(why);
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
                if (e instanceof Skipped) {
                    print(`ok - ${name} # SKIP ${e.message}`);
                    continue;
                }
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
