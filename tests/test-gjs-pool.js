// SPDX-License-Identifier: LGPL-2.1-or-later

// Pools from JavaScript: what runs with a proxy runs with a pool.

import Afrpc from 'gi://Afrpc?version=1.0';
import Gio from 'gi://Gio';
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

async function collect(results, n = Infinity) {
    const values = [];

    for await (const value of results) {
        values.push(value);
        if (values.length === n)
            break;
    }

    return values;
}

async function testMap() {
    const pool = makePool('echo', {max_workers: 2, start_delay_ms: 0});
    const inputs = [...Array(3000).keys()];
    const values = await collect(pool.map(inputs));

    assert(values.length === 3000 && values.every(([value], i) => value === i), 'results come in the order of the inputs');
    assert((await collect(pool.map(inputs, {ordered: false}))).map(([value]) => value).sort((a, b) => a - b)
        .every((value, i) => value === i), 'or as they are there, each once');
    assert((await collect(pool.map([[1, 'a'], [2, 'b']], {spread: true})))[1][1] === 'b', 'inputs are all arguments');
    assert((await collect(pool.map([]))).length === 0, 'no input is no result');

    let pulled = 0;
    let returned = false;
    function* endless() {
        try {
            for (;;)
                yield pulled++;
        } finally {
            returned = true;
        }
    }
    assert((await collect(pool.map(endless()), 5000)).length === 5000, 'a loop is left early');
    assert(returned, 'the inputs are told');
    assert(pulled <= 5000 + 4096 + 1000, 'no more are taken than fit');
    const before = pulled;
    assert((await pool.invoke(7))[0] === 7, 'the pool goes on');
    assert(pulled === before, 'and no more are taken');

    try {
        await collect(pool.map([1, 2, () => {}, 3]));
        assert(false, 'what cannot be sent is an error');
    } catch (e) {
        assert(e instanceof TypeError, `of its kind: ${e}`);
    }
    for (const wrong of [[5], [[1], {load: 3}], [[1], {onProgress: () => {}}]]) {
        try {
            pool.map(...wrong);
            assert(false, 'what is wrong is told at once');
        } catch (e) {
            assert(e instanceof TypeError, 'as such');
        }
    }
    pool.close();
    try {
        await collect(pool.map([1]));
        assert(false, 'a closed pool maps nothing');
    } catch (e) {
        assert(e.matches(Afrpc.Error, Afrpc.Error.CLOSED), 'and says so');
    }
    await pool.close_async(null);

    const act = makePool('act', {max_workers: 2});
    const what = [0, 1, 2, 3, 4].map(i => [i % 2 ? 'file-error' : 'return', new GLib.Variant('u', i)]);
    const results = act.map(what, {spread: true, signature: '(sv)'});
    const seen = [];

    for (let i = 0; i < 5; i++) {
        try {
            seen.push((await results.next()).value);
        } catch (e) {
            assert(e.started === Afrpc.Started.YES, 'an error says whether its call was started');
            seen.push('error');
        }
    }
    assert((await results.next()).done, 'that was all');
    assert(JSON.stringify(seen) === '[0,"error",2,"error",4]', 'an error ends nothing');
    assert((await collect(act.map(what, {spread: true, signature: '(sv)', returnErrors: true})))[3] instanceof GLib.Error,
        'errors may be results');
    await act.close_async(null);
}

async function testAll() {
    const pool = makePool('act', {max_workers: 2, idle_workers: 2});
    const say = (text, options = {}) =>
        pool.invokeAllWith({signature: '(sv)', ...options}, 'configure', new GLib.Variant('s', text));
    const ask = () => pool.invokeWith({signature: '(sv)'}, 'configuration', new GLib.Variant('b', true));

    await say('a');
    await say('b', {label: 'x'});
    assert(await ask() === 'ab', 'workers are configured');
    pool.refresh(null);
    assert(await ask() === 'ab', 'later ones too');
    try {
        await pool.invokeAllWith({signature: '(sv)'}, 'file-error', new GLib.Variant('b', true));
        assert(false, 'it is refused');
    } catch (e) {
        assert(e instanceof GLib.Error, 'with an error');
    }
    pool.forget_call_all(null, null);
    assert(await ask() === 'b', 'what is forgotten is not said any more');
    await pool.close_async(null);
}

// What runs with a proxy runs with a pool, and what a pool has besides is in order, too.
async function testMethods() {
    const names = Object.getOwnPropertyNames(Afrpc.Proxy.prototype).filter(name => /[A-Z]|^events$/.test(name));

    for (const name of [...names, Symbol.asyncIterator])
        assert(typeof Afrpc.Pool.prototype[name] === typeof Afrpc.Proxy.prototype[name], `a pool has ${String(name)}`);

    for (const Caller of [Afrpc.Proxy, Afrpc.Pool]) {
        const process = Afrpc.Process.new_exec(null);
        process.require(GLib.getenv('AFRPC_TEST_WORKER'));
        const caller = new Caller({process, function: 'act', bytesAsText: true});
        const options = {signature: '(sv)'};
        const number = new GLib.Variant('u', 7);
        const args = new GLib.Variant('(sv)', ['return', number]);
        const text = new TextEncoder().encode('text');
        const [all, few] = [caller.events(), caller.events(1)];
        const onProgress = () => {};

        assert(await caller.invoke('return', number) === 7, 'invoke ()');
        assert(await caller.invokeWith({...options, onProgress, timeoutMs: 60000}, 'return', number) === 7, 'invokeWith ()');
        assert((await caller.invokeWith({...options, fds: []}, 'return', number))[0] === 7, 'with file descriptors');
        assert(caller.invokeSync('return', number) === 7, 'invokeSync ()');
        assert(caller.invokeSyncWith(options, 'return', number) === 7, 'invokeSyncWith ()');
        assert(await caller.invokeWith(options, 'return', Afrpc.pack(text)) === 'text', 'bytes as text');
        assert((await caller.call(args)).deepUnpack() === 7, 'call ()');
        assert((await caller.call_full(args, null))[0].deepUnpack() === 7, 'call_full ()');
        assert(caller.call_sync(args).deepUnpack() === 7, 'call_sync ()');
        assert(caller.call_full_sync(args, null)[0].deepUnpack() === 7, 'call_full_sync ()');
        assert((await caller.start(args, null).wait()).deepUnpack() === 7, 'start ()');
        for (let i = 0; i < 2; i++)
            await caller.invokeWith(options, 'event', number);
        assert(!(await few.next()).done, 'events come');
        try {
            await few.next();
            assert(false, 'there are too many');
        } catch (e) {
            assert(e instanceof RangeError, 'and it is said so');
        }

        const left = caller.events();
        const waiting = left.next();
        await left.return();
        assert((await waiting).done, 'a loop that is left gets no more');
        await caller.close_async();
        assert((await collect(all)).length === 2, 'all events, until the end');
        assert((await collect(caller)).length === 0, 'afterwards there are none');
        assert((await caller.events().next()).done, 'of whatever is destroyed');
        caller.close();
        caller.kill();
        caller.close_sync(null);
    }

    const pool = makePool('act', {max_workers: 1});
    const events = pool.events();
    const values = [];

    pool.connect('error', () => {});
    try {
        await pool.invokeWith({signature: '(sv)'}, 'exit', new GLib.Variant('u', 3));
        assert(false, 'its worker dies');
    } catch (e) {
        assert(e.matches(Afrpc.Error, Afrpc.Error.DIED), 'and the call is told');
    }
    await pool.invokeWith({signature: '(sv)'}, 'event', new GLib.Variant('u', 5));
    await pool.close_async();
    try {
        for await (const event of events)
            values.push(event);
        assert(false, 'the pool had an error');
    } catch (e) {
        assert(e.matches(Afrpc.Error, Afrpc.Error.DIED), 'and is ended by it');
    }
    assert(values.length === 1 && values[0] === 5, 'after the events of all workers');
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

    assert(await (makePool('echo', {max_workers: 1}).wait_for_room_async()), 'who waits for room is told that there is some');
    await testMap();
    await testMethods();
    await testAll();

    const limited = makePool('act', {max_workers: 1, cancel_grace_ms: 1, max_age_s: 3600});

    assert(limited.cancel_grace_ms === 1 && limited.maxAgeS === 3600, 'limits can be read');
    limited.max_memory_growth = 1 << 30;
    assert(limited.get_max_memory_growth() === 1 << 30, 'and set');
    try {
        await limited.invokeWith({signature: '(sv)', executionTimeoutMs: 1}, 'spin', new GLib.Variant('b', true));
        assert(false, 'what runs for too long fails');
    } catch (e) {
        assert(e.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.TIMED_OUT), `as that, and not ${e}`);
    }
    await limited.invokeWith({signature: '(sv)'}, 'return', new GLib.Variant('u', 7));
    await limited.close_async(null);

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
