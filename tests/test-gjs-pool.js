// SPDX-License-Identifier: LGPL-2.1-or-later

// Pools from JavaScript: what runs with a proxy runs with a pool.

import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';
import System from 'system';

const loop = new GLib.MainLoop(null, false);
let failed = false;

function assert(condition, text) {
    if (!condition)
        throw new Error(`not so: ${text}`);
}

function makePool(func, properties = {}) {
    const process = Afrpc.Process.new_exec(null);

    process.require(GLib.getenv('AFRPC_TEST_WORKER'));

    return new Afrpc.Pool({process, function: func, ...properties});
}

async function main() {
    const pool = makePool('echo', {max_workers: 2});
    const results = await Promise.all([...Array(50).keys()].map(i => pool.invoke(i)));

    assert(results.every(([value], i) => value === i), 'results are those of their calls');
    assert(pool.invokeSync(7)[0] === 7, 'a blocking call returns its result');
    await pool.close_async(null);
    assert(pool.is_closed(), 'it is closed');

    const act = makePool('act', {max_workers: 1});

    try {
        await act.invokeWith({signature: '(sv)', idempotent: true}, 'exit', new GLib.Variant('u', 3));
        assert(false, 'a death is an error');
    } catch (e) {
        assert(e.matches(Afrpc.Error, Afrpc.Error.DIED), 'of the right code');
        assert(e.message.includes('3 workers'), 'that says how often');
    }
    await act.close_async(null);

    try {
        new Afrpc.Pool({});
        assert(false, 'a pool needs a process');
    } catch (e) {
        assert(e instanceof TypeError, 'it is told so');
    }
}

main().catch(e => {
    printerr(e, e.stack);
    failed = true;
}).finally(() => loop.quit());
loop.run();
System.exit(failed ? 1 : 0);
