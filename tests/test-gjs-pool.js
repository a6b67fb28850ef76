// SPDX-License-Identifier: LGPL-2.1-or-later

// Pools from JavaScript: what runs with a proxy runs with a pool, and what a pool has besides is in order, too.
import Afrpc from 'gi://Afrpc?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';

import {assert, assertEqual, assertError, assertThrows, getError, runTests} from './gjs-util.js';

const E = Afrpc.Error;
const SIGNATURE = {signature: '(sv)'};
const number = n => new GLib.Variant('u', n);
const flag = value => new GLib.Variant('b', value);
const range = n => [...Array(n).keys()];

function makeProcess() {
    const process = Afrpc.Process.new_exec(null);

    process.require(GLib.getenv('AFRPC_TEST_WORKER'));
    return process;
}

function makePool(func, properties = {}) {
    return new Afrpc.Pool({process: makeProcess(), function: func, ...properties});
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

async function* later(values) {
    for (const value of values)
        yield await new Promise(resolve => GLib.idle_add(GLib.PRIORITY_DEFAULT, () => resolve(value)));
}

// The results for inputs that are waited for themselves. How many of the calls may wait at once, the pool says.
async function callEach(pool, inputs) {
    const calls = [];

    for await (const input of inputs) {
        await pool.wait_for_room_async();
        const call = pool.invoke(input);
        call.catch(() => {}); // it is thrown below
        calls.push(call);
    }

    return Promise.all(calls);
}

// Whatever runs with a proxy as with a pool.
async function testCaller(Caller) {
    const caller = new Caller({process: makeProcess(), function: 'act', bytesAsText: true});
    const args = new GLib.Variant('(sv)', ['return', number(7)]);
    const text = new TextEncoder().encode('text');
    const [all, few] = [caller.events(), caller.events(1)];
    const onProgress = () => {};

    assertEqual(await caller.invoke('return', number(7)), 7, 'invoke ()');
    assertEqual(await caller.invokeWith({...SIGNATURE, onProgress, timeoutMs: 60000}, 'return', number(7)), 7,
        'invokeWith ()');
    assertEqual((await caller.invokeWith({...SIGNATURE, fds: []}, 'return', number(7)))[0], 7, 'with file descriptors');
    assertEqual(caller.invokeSync('return', number(7)), 7, 'invokeSync ()');
    assertEqual(caller.invokeSyncWith(SIGNATURE, 'return', number(7)), 7, 'invokeSyncWith ()');
    assertEqual(await caller.invokeWith(SIGNATURE, 'return', Afrpc.pack(text)), 'text', 'bytes as text');
    assertEqual((await caller.call(args)).deepUnpack(), 7, 'call ()');
    assertEqual((await caller.call_full(args, null))[0].deepUnpack(), 7, 'call_full ()');
    assertEqual(caller.call_sync(args).deepUnpack(), 7, 'call_sync ()');
    assertEqual(caller.call_full_sync(args, null)[0].deepUnpack(), 7, 'call_full_sync ()');
    assertEqual((await caller.start(args, null).wait()).deepUnpack(), 7, 'start ()');
    for (let i = 0; i < 2; i++)
        await caller.invokeWith(SIGNATURE, 'event', number(7));
    assert(!(await few.next()).done, 'events come');
    const tooMany = await getError(few.next());
    assert(tooMany instanceof RangeError, 'it is said that there are too many');
    assertEqual([tooMany.started, tooMany.exit], [Afrpc.Started.UNKNOWN, null], 'what is known of calls');
    assert(tooMany.process === (caller instanceof Afrpc.Proxy ? caller.get_process() : null), 'which worker that was');

    const left = caller.events();
    const waiting = left.next();
    await left.return();
    assert((await waiting).done, 'a loop that is left gets no more');
    await caller.close_async();
    assertEqual((await collect(all)).length, 2, 'how many events come until the end');
    assertEqual((await collect(caller)).length, 0, 'how many come afterwards');
    assert((await caller.events().next()).done, 'of whatever is destroyed there are none');
    caller.close();
    caller.kill();
    caller.close_sync(null);
}

runTests({
    async results() {
        const pool = makePool('echo', {max_workers: 2});
        const results = await Promise.all(range(50).map(i => pool.invoke(i)));

        assertEqual(results, range(50).map(i => [i]), 'what calls return');
        assertEqual(pool.invokeSync(7)[0], 7, 'what a blocking call returns');
        await pool.close_async(null);
        assert(pool.is_closed(), 'it is closed');
    },

    async death() {
        const pool = makePool('act', {max_workers: 1});

        await assertError(pool.invokeWith({...SIGNATURE, idempotent: true}, 'exit', number(3)), E, E.DIED, '3 workers');
        await pool.close_async(null);
    },

    async failure() {
        const pool = makePool('no_such_function');

        assertEqual(pool.failure, null, 'before it has failed');
        const told = new Promise(resolve => pool.connect('notify::failure', resolve));
        await assertError(pool.invoke(), E, E.FUNCTION, 'no_such_function');
        await told;
        assert(pool.failure.matches(E, E.FUNCTION), 'what it has failed with');
        pool.refresh(null);
        assertEqual(pool.failure, null, 'after it has begun anew');
        await pool.close_async(null);
    },

    async room() {
        const pool = makePool('echo', {max_workers: 1});

        assert(await pool.wait_for_room_async(), 'who waits for room is told that there is some');
    },

    async map() {
        const pool = makePool('echo', {max_workers: 2, start_delay_ms: 0});

        assertEqual(await collect(pool.map(range(3000))), range(3000).map(i => [i]), 'results in the order of the inputs');
        assertEqual((await collect(pool.map(range(3000), {ordered: false}))).map(([value]) => value).sort((a, b) => a - b),
            range(3000), 'results as they are there');
        assertEqual((await collect(pool.map([[1, 'a'], [2, 'b']], {spread: true})))[1][1], 'b', 'an argument of several');
        assertEqual(await collect(pool.map([])), [], 'what there is without inputs');
        await pool.close_async(null);
    },

    async asynchronousInputs() {
        const pool = makePool('echo', {max_workers: 1, max_calls_queued: 1});

        assertEqual(await callEach(pool, later(range(20))), range(20).map(i => [i]), 'results in the order of the inputs');
        assert(await getError(callEach(pool, later([1, () => {}, 2]))) instanceof TypeError, 'what cannot be sent');
        await pool.close_async(null);
    },

    async mapLeft() {
        const pool = makePool('echo', {max_workers: 2, start_delay_ms: 0});
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
        assertEqual((await collect(pool.map(endless()), 5000)).length, 5000, 'what a loop had that was left');
        assert(returned, 'the inputs are told');
        assert(pulled <= 5000 + 4096 + 64, 'no more are taken than fit');
        pulled = 0;
        const results = pool.map(endless());
        for (let round = 0; round < 3; round++) {
            for (let i = 0; i < 100; i++)
                await results.next();
            for (let n = -1; n !== pulled || pool.n_calls_running > 0 || pool.n_calls_queued > 0;) {
                n = pulled;
                await new Promise(resolve => GLib.idle_add(GLib.PRIORITY_LOW, () => resolve()));
            }
        }
        assert(pulled > 4000 && pulled <= 300 + 4096 + 64, `as much waits as may: ${pulled}`);
        await results.return();
        const before = pulled;
        assertEqual((await pool.invoke(7))[0], 7, 'a call of the pool afterwards');
        assertEqual(pulled, before, 'how many were taken');
        await pool.close_async(null);
    },

    async mapWrong() {
        const pool = makePool('echo', {max_workers: 2});
        const error = await getError(collect(pool.map([1, 2, () => {}, 3])));

        assert(error instanceof TypeError, `what cannot be sent is ${error}`);
        for (const wrong of [[5], [[1], {load: 3}], [[1], {onProgress: () => {}}], [[1], null], [[1], {timeoutMs: '5'}]])
            assertThrows(() => pool.map(...wrong), TypeError);
        assertThrows(() => pool.map([1], {timeoutMs: -1}), RangeError, "the option 'timeoutMs'");
        assertThrows(() => pool.map(later([1])), TypeError, 'a map takes no asynchronous iterable', 'invoke ()');
        pool.close();
        await assertError(collect(pool.map([1])), E, E.CLOSED);
        await pool.close_async(null);
    },

    async mapNotUnpacked() {
        const pool = makePool('echo', {max_workers: 1});
        const type = new GLib.VariantType('a()');
        const many = GLib.Variant.new_from_bytes(type, new GLib.Bytes(new Uint8Array(16 << 20)), false);
        const results = pool.map([many, 1]);
        const error = await getError(results.next());

        assert(error instanceof RangeError, `it is ${error}`);
        assertEqual([error.started, error.exit, error.process !== null], [Afrpc.Started.YES, null, true], 'what it knows');
        assertEqual((await results.next()).value, [1], 'the next');
        await pool.close_async(null);
    },

    async mapCancelled() {
        const pool = makePool('echo', {max_workers: 1});
        const cancellable = new Gio.Cancellable();

        cancellable.cancel();
        await assertError(collect(pool.map([1], {cancellable})), Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED);
        await pool.close_async(null);
    },

    async mapErrors() {
        const pool = makePool('act', {max_workers: 2});
        const what = range(5).map(i => [i % 2 ? 'file-error' : 'return', number(i)]);
        const results = pool.map(what, {spread: true, ...SIGNATURE});
        const errors = [];

        for (let i = 0; i < 5; i++) {
            if (i % 2 === 0)
                assertEqual((await results.next()).value, i);
            else
                errors.push(await getError(results.next()));
        }
        assert((await results.next()).done, 'that was all');
        for (const {started, stack} of errors) {
            assertEqual(started, Afrpc.Started.YES, 'whether a call was started');
            assert(/### Promise created here: ###\nmapErrors@[^\n]*test-gjs-pool\.js:\d+:\d+\n/.test(stack), stack);
        }
        assert((await collect(pool.map(what, {spread: true, ...SIGNATURE, returnErrors: true})))[3] instanceof GLib.Error,
            'errors may be results');
        const {message} = await getError(collect(pool.map([['return', number(1)], 5], {spread: true, ...SIGNATURE})));
        assert(message.startsWith('input 1 of a map'), message);
        await pool.close_async(null);
    },

    sameMethods() {
        const names = Object.getOwnPropertyNames(Afrpc.Proxy.prototype).filter(name => /[A-Z]|^events$/.test(name));

        for (const name of [...names, Symbol.asyncIterator])
            assertEqual(typeof Afrpc.Pool.prototype[name], typeof Afrpc.Proxy.prototype[name], String(name));
    },

    async methodsOfProxy() {
        await testCaller(Afrpc.Proxy);
    },

    async methodsOfPool() {
        await testCaller(Afrpc.Pool);
    },

    async events() {
        const pool = makePool('act', {max_workers: 1});
        const events = pool.events();

        pool.connect('error', () => {});
        await assertError(pool.invokeWith(SIGNATURE, 'exit', number(3)), E, E.DIED);
        await pool.invokeWith(SIGNATURE, 'event', number(5));
        await pool.close_async();
        assertEqual((await events.next()).value, 5, 'the event of another worker');
        const {started, process} = await assertError(events.next(), E, E.DIED);
        assertEqual(started, Afrpc.Started.UNKNOWN, 'what is known of calls');
        assertEqual(process, null, 'which worker that was');
    },

    async all() {
        const pool = makePool('act', {max_workers: 2, idle_workers: 2});
        const say = (text, options = {}) =>
            pool.invokeAllWith({...SIGNATURE, ...options}, 'configure', new GLib.Variant('s', text));
        const ask = () => pool.invokeWith(SIGNATURE, 'configuration', flag(true));

        await say('a');
        await say('b', {label: 'x'});
        assertEqual(await ask(), 'ab', 'what workers are configured with');
        pool.refresh(null);
        assertEqual(await ask(), 'ab', 'what later ones are');
        assert(await getError(pool.invokeAllWith(SIGNATURE, 'file-error', flag(true))) instanceof GLib.Error,
            'it is refused');
        pool.forget_call_all(null, null);
        assertEqual(await ask(), 'b', 'what is said without what was forgotten');
        await pool.close_async(null);
    },

    // Whatever a pool rejects that is about calls says whether those had been started.
    async started() {
        const process = Afrpc.Process.new_exec('gjs');
        process.eval('export const f = x => { while (x === 2); if (x) throw new RangeError("no"); };');
        const pool = new Afrpc.Pool({process, function: 'f', max_workers: 1});
        const {NO, YES, UNKNOWN} = Afrpc.Started;
        const cancellable = new Gio.Cancellable();
        const getStarted = async (name, begin, expected) => {
            const error = await getError((async () => begin())());

            assertEqual(error.started, expected, `of ${name}`);
            assertEqual([error.process, error.exit], [null, null], `who had ${name}`);
            return error;
        };
        const renew = () => pool.forget_call_all(null, null) && pool.invoke(0);
        function* breaking(error = new Error('broken')) {
            yield 0;
            throw error;
        }

        const missing = () => {
            throw new Error('not there');
        };

        cancellable.cancel();
        await pool.invoke(0);
        await getStarted('a value', () => pool.invokeAll(() => 1), NO);
        await getStarted('an option', () => pool.invokeAllWith({nonsense: 1}), NO);
        await getStarted('a cancelled one', () => pool.invokeAllWith({cancellable}, 0), NO);
        await getStarted('a cancelled map', () => collect(pool.map([0], {cancellable})), UNKNOWN);
        await getStarted('a value of a map', () => collect(pool.map([0, () => 1])), NO);
        await getStarted('an input that throws', () => collect(pool.map(breaking())), NO);
        const ofGLib = new Gio.IOErrorEnum({code: Gio.IOErrorEnum.NOT_FOUND, message: 'nothing'});
        await getStarted('an input that throws what is of GLib', () => collect(pool.map(breaking(ofGLib))), NO);
        await getStarted('what cannot be iterated over', () => pool.map({[Symbol.iterator]: missing}), NO);
        await getStarted('an option of a map', () => pool.map([0], {nonsense: 1}), NO);
        await getStarted('metadata of a map', () => pool.map([0], {metadata: [1]}), NO);
        await getStarted('an asynchronous iterable', () => pool.map(later([0])), NO);
        await getStarted('descriptors', () => pool.invokeAllWith({fds: [9999]}, 0), NO);
        await getStarted('what is no variant', () => pool.call_all_async('x'), NO);
        await getStarted('what is no cancellable', () => pool.call_all_async(null, null, {}), NO);
        await getStarted('what is none, and blocks', () => pool.call_all_sync(null, null, {}), NO);
        await getStarted('progress', () => pool.invokeSyncWith({onProgress: () => {}}, 0), NO);
        const error = await getStarted('what throws', () => pool.invokeAll(1), YES);
        assertEqual(error.name, 'RangeError', 'what was thrown');
        await renew();
        const args = Afrpc.packArgs([1]);
        await getStarted('what throws, as a variant', () => pool.call_all_async(args), YES);
        await renew();
        assertEqual((await getStarted('what throws, and blocks', () => pool.call_all_sync(args), YES)).name, 'RangeError');
        await renew();
        await getStarted('a time limit', () => pool.invokeAllWith({timeoutMs: 1}, 2), UNKNOWN);
        pool.kill();
        await getStarted('a closed pool', () => pool.invokeAll(0), NO);
        await getStarted('a closed pool that blocks', () => pool.call_all_sync(Afrpc.packArgs([0])), NO);
    },

    async limits() {
        const pool = makePool('act', {max_workers: 1, cancel_grace_ms: 1, max_age_s: 3600});

        assertEqual(pool.cancel_grace_ms, 1);
        assertEqual(pool.maxAgeS, 3600);
        pool.max_memory_growth = 1 << 30;
        assertEqual(pool.get_max_memory_growth(), 1 << 30);
        await assertError(pool.invokeWith({...SIGNATURE, executionTimeoutMs: 1}, 'spin', flag(true)),
            Gio.IOErrorEnum, Gio.IOErrorEnum.TIMED_OUT);
        await pool.invokeWith(SIGNATURE, 'return', number(7));
        await pool.close_async(null);
    },

    // A number is in the range of its property, however that is set, or nothing is changed.
    ranges() {
        const process = Afrpc.Process.new_exec('gjs');
        const needed = {process, function: 'f'};
        const pool = new Afrpc.Pool(needed);
        const proxy = new Afrpc.Proxy({process: process.fork(), function: 'f'});

        for (const [object, properties, name, min, max] of [
            [pool, needed, 'load', 1, 65536], [pool, needed, 'max_workers', 0, 65536], [pool, needed, 'call_timeout_ms', 0, 2 ** 32 - 1],
            [pool, needed, 'max_memory_growth', 0, 2n ** 64n - 1n], [pool, needed, 'max_message_size', 1, 2n ** 63n - 1n],
            [proxy, needed, 'max_calls_queued', 1, 2 ** 32 - 1], [new Afrpc.CallOptions(), {}, 'timeout_ms', -1, 2 ** 31 - 1],
            [new Afrpc.CallOptions(), {}, 'priority', -(2 ** 31), 2 ** 31 - 1], [process, {host: 'gjs'}, 'fd', -1, 2 ** 31 - 1],
        ]) {
            const camelCase = name.replace(/_./g, part => part[1].toUpperCase());
            const aliases = [name, name.replaceAll('_', '-'), camelCase];
            const range = `'${name}' has to be an integer between ${min} and ${max}, not `;
            const before = object[name];
            const values = [min - 1, typeof max === 'bigint' ? max + 1n : max + 1, min + 0.5, NaN, Infinity];

            for (const value of values) {
                for (const alias of aliases)
                    assertThrows(() => new object.constructor({...properties, [alias]: value}), RangeError, range + value);
            }
            for (const value of ['2x', null, true])
                assertThrows(() => new object.constructor({...properties, [name]: value}), TypeError, `'${name}' has to be a number`);
            if (name === 'max_message_size' || name === 'fd') // are said when an object is made
                continue;
            for (const alias of aliases) {
                for (const value of values)
                    assertThrows(() => (object[alias] = value), RangeError, range + value);
                assertThrows(() => (object[alias] = '2x'), TypeError, "not the string '2x'");
            }
            assertThrows(() => object[`set_${name}`](min - 1), RangeError, range);
            assertThrows(() => object[`set_${name}`]('2x'), TypeError, "not the string '2x'");
            assertEqual(object[name], before, `the ${name}`);
            object[camelCase] = 5;
            assertEqual(object[name], 5, `the ${name}`);
            object[`set_${name}`](6);
            assertEqual(object[name], 6, `the ${name}`);
        }
        pool.kill();
        proxy.kill();
    },

    noProcess() {
        assertThrows(() => new Afrpc.Pool({}), TypeError);
    },
});
