// SPDX-License-Identifier: LGPL-2.1-or-later
// Calls who serves "languages" at the NATS server that it is told, and, with what programs in JavaScript have, who serves "javascript"
// in this program. Run by test-nats-languages.py.
import Afrpc from 'gi://Afrpc?version=1.0';
import AfrpcNats from 'gi://AfrpcNats?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

import {assert, assertEqual, assertThrows, getError, runTests, WORKER} from './gjs-util.js';

const URL = ARGV[ARGV.length - 1];
const E = Afrpc.Error;
const shared = AfrpcNats.Connection.new(URL);

function makeCaller(subject, more = {}) {
    return new AfrpcNats.Caller({connection: shared, subject, no_servers_timeout_ms: 10000, ...more});
}

function serve(subject, name) {
    const process = Afrpc.Process.new_exec('gjs');

    process.set_stderr(Afrpc.Stdio.CAPTURE);
    process.require(WORKER);
    const pool = new Afrpc.Pool({process, function: name, max_workers: 1, idle_workers: 1});
    const server = new AfrpcNats.Server({connection: shared, subject, caller: pool});

    pool.connect('error', () => {});
    server.connect('error', () => {});
    server.start();
    return [server, pool];
}

// With a caller of what serves the function act.
async function withAct(use, more = {}) {
    const [server, pool] = serve('javascript', 'act');
    const caller = makeCaller('javascript', more);

    try {
        await use(caller);
    } finally {
        await caller.close_async();
        assertEqual(await server.stop_async(), true, 'the end of the server');
        await pool.close_async();
    }
}

async function calling(url) {
    const connection = AfrpcNats.Connection.new(url);
    const fleet = new AfrpcNats.Caller({connection, subject: 'languages', no_servers_timeout_ms: 10000});

    print((await fleet.invoke(7, 'words')).join(', '));
    await fleet.close_async();
    await connection.close_async();
}

runTests({
    async documented() {
        await calling(URL);
    },

    async values() {
        const caller = makeCaller('languages');

        assertEqual(await caller.invoke(7, 'text', [1.5, null], {a: true}), [7, 'text', [1.5, null], {a: true}], 'what comes back');
        assertEqual(await caller.invokeWith({signature: '(sd)', timeoutMs: 10000}, 'ä', 1), ['ä', 1],
            'as the signature has it');
        assertEqual(await caller.invokeWith({bytesAsText: true}, new Uint8Array([97])), ['a'], 'bytes as text');
        assertEqual(caller.invokeSync(5), [5], 'that of a call that blocks');
        assertEqual(caller.invokeSyncWith({label: 'five'}, 5), [5], 'that of a call that blocks, with an option');
        assertEqual(await Promise.all([1, 2, 3].map(i => caller.invoke(i))), [[1], [2], [3]], 'what many give');
        assertEqual((await caller.call(new GLib.Variant('(u)', [9]))).deepUnpack(), [9], 'a variant');
        assertEqual(caller.call_sync(new GLib.Variant('(u)', [9])).deepUnpack(), [9], 'a variant of a call that blocks');
        assertEqual((await caller.start(new GLib.Variant('(u)', [9]), null).wait()).deepUnpack(), [9], 'of a call that was started');
        assertEqual([caller.is_closed(), caller.get_subject()], [false, 'languages']);
        await caller.close_async();
        assertEqual(caller.is_closed(), true, 'whether it is closed');
        const error = await getError(caller.invoke(1));
        assert(error.matches(E, E.CLOSED), `the error ${error}`);
        assertEqual(error.started, Afrpc.Started.NO);
        assertThrows(() => caller.invokeSync(1), GLib.Error, 'closed');
    },

    async properties() {
        const caller = makeCaller('languages', {bytesAsText: true});

        assertEqual(await caller.invoke(new Uint8Array([97])), ['a'], 'bytes as text');
        assertThrows(() => new AfrpcNats.Caller({subject: 'x'}), TypeError, 'a caller needs a connection');
        assertThrows(() => new AfrpcNats.Caller({connection: shared}), TypeError, 'a caller needs a subject');
        assertThrows(() => new AfrpcNats.Server({connection: shared, subject: 'x'}), TypeError, 'a server needs a caller');
        assert((await getError(caller.invoke(() => 1))) instanceof TypeError, 'the error of what cannot be sent');
        assert((await getError(caller.invokeWith({nothing: 1}, 1))) instanceof TypeError, 'the error of an option that there is not');
        caller.kill();
        assertEqual(caller.is_closed(), true, 'whether it is closed');
        const made = AfrpcNats.Caller.new(shared, 'languages');
        made.no_servers_timeout_ms = 10000;
        assertEqual(await made.invoke(1), [1], 'what one gives that was made by new ()');
        made.close();
    },

    async errors() {
        await withAct(async caller => {
            const error = await getError(caller.invoke('throwCause'));
            assert(error instanceof GLib.Error && error.matches(E, E.REMOTE), `the error ${error}`);
            assert(error.cause instanceof TypeError, `the cause ${error.cause}`);
            assertEqual([error.cause.message, error.cause.cause], ['inner', {code: 5, words: ['a']}]);
            assertEqual([error.started, error.process, error.exit], [Afrpc.Started.YES, null, null]);

            const many = await getError(caller.invoke('throwAggregate'));
            assertEqual([many.name, many.errors.length, many.cause.message], ['AggregateError', 3, 'why']);
            assert(many.errors[0] instanceof RangeError, 'the class of the first');

            const dead = await getError(caller.invoke('exit'));
            assert(dead.matches(E, E.DIED), `the error ${dead}`);
            assertEqual(dead.started, Afrpc.Started.YES);
        });
    },

    async options() {
        await withAct(async caller => {
            const seen = [];

            assertEqual(await caller.invokeWith({onProgress: value => seen.push(value)}, 'sayProgress', 3), 'said');
            assertEqual(seen, [{done: 0}, {done: 1}, {done: 2}], 'the progress');
            assertEqual(await caller.invokeWith({metadata: {who: 'me'}}, 'tellMetadata'), {who: 'me'});
            assertEqual(await caller.invokeWith({function: 'echo'}, 'other'), 'other', 'what another function gives');
            const late = await getError(caller.invokeWith({timeoutMs: 50}, 'waitForCancel'));
            assert(late.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.TIMED_OUT), `the error ${late}`);
            const cancellable = new Gio.Cancellable();
            const pending = getError(caller.invokeWith({cancellable}, 'waitForCancel'));
            cancellable.cancel();
            assert((await pending).matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED), 'the error of what was cancelled');
        });
    },

    async events() {
        let events = null;

        await withAct(async caller => {
            const some = [];

            events = caller.events();
            await caller.invoke('sendEvents', 2);
            for await (const event of events) {
                some.push(event);
                if (some.length === 3)
                    break;
            }
            assertEqual(some, ['event 0', 'event 1', 2], 'the events');
            events = caller.events();
        });
        for await (const event of events)
            assert(false, `${event} of a caller that is destroyed`);
    },

    // No garbage collection loses the end of what can be awaited.
    async collecting() {
        for (let i = 0; i < 5; i++) {
            const own = AfrpcNats.Connection.new(URL);
            const caller = new AfrpcNats.Caller({connection: own, subject: 'languages', no_servers_timeout_ms: 10000});
            const results = Promise.all(Array.from({length: 50}, (_, n) => caller.invoke(n)));

            System.gc();
            assertEqual((await results).length, 50);
            await caller.close_async();
            assertEqual(await own.close_async(), true, 'the end of the connection');
        }
    },

    ranges() {
        const caller = makeCaller('languages');
        const needed = {connection: shared, subject: 'languages'};

        for (const [Class, properties, name, value] of [
            [AfrpcNats.Connection, {}, 'connect_timeout_ms', 0], [AfrpcNats.Caller, needed, 'max_calls_queued', 0],
            [AfrpcNats.Server, {...needed, caller}, 'beat_ms', 9],
        ])
            assertThrows(() => new Class({...properties, [name]: value}), RangeError, `'${name}'`, `not ${value}`);
        caller.kill();
    },

    async served() {
        const caller = makeCaller('languages');

        print((await caller.call(new GLib.Variant('(is)', [7, 'text']))).print(false));
        await caller.close_async();
        await shared.close_async();
    },
});
