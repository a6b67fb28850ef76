// SPDX-License-Identifier: LGPL-2.1-or-later
// What a garbage collection leaves alone, since somebody waits for it, and what it takes away.
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';
import System from 'system';

import {WORKER, assert, assertEqual, getError, makeProxy, runTests} from './gjs-util.js';

const {ASYNC} = Afrpc.Backend;
const N_COLLECTIONS = 20; // what is dropped is gone after two or three
const N_TURNS = 1000; // in which what has happened is told

function turn() {
    return new Promise(resolve => GLib.idle_add(GLib.PRIORITY_DEFAULT_IDLE, () => {
        resolve();
        return GLib.SOURCE_REMOVE;
    }));
}

async function collect() {
    for (let i = 0; i < N_COLLECTIONS; i++) {
        System.gc();
        await turn();
    }
}

// Whether it is settled soon.
async function isSettled(promise) {
    let settled = false;

    promise.then(() => (settled = true), () => (settled = true));
    for (let i = 0; i < N_TURNS && !settled; i++)
        await turn();

    return settled;
}

// Collects until it is.
async function untilSettled(promise) {
    let settled = false;

    promise.then(() => (settled = true), () => (settled = true));
    while (!settled) {
        System.gc();
        await turn();
    }

    return promise;
}

function makeProcess() {
    const process = Afrpc.Process.new_exec('gjs');

    process.set_stderr(Afrpc.Stdio.SILENCE);
    process.require(WORKER);

    return process;
}

function makePool(name, properties = {}) {
    const pool = new Afrpc.Pool({process: makeProcess(), function: name, max_workers: 1, ...properties});

    pool.connect('error', () => {});
    return pool;
}

// Of the only worker.
function getProcess(pool) {
    return pool.get_workers().get_item(0).get_process();
}

// Takes the first event and waits for others, with nothing but that to keep the caller.
// @take: how it waits
// @getProcess: the process of its worker
// Returns: that process, and a promise that the waiting is over
async function watch(makeCaller, take, getProcess) {
    let watched = null;
    const process = await new Promise((resolve, reject) => {
        watched = (async () => {
            const caller = makeCaller();
            const events = caller.events();

            await caller.invoke('sendEvents', 0);
            assertEqual(await events.next(), {done: false, value: 0}, 'the first event');
            resolve(getProcess(caller));
            await take(events);
        })();
        watched.catch(reject);
    });

    return [process, watched];
}

async function loop(events) {
    for await (const event of events)
        assert(false, `${event} was not expected`);
}

async function next(events) {
    return (await events.next()).done;
}

async function nextTwice(events) {
    await Promise.all([getError(events.next()), events.next()]);
}

// What nobody has but those who wait for what it does.
const waits = {
    invoke: () => makeProxy('act').invoke('returnNothing'),
    invokeLater: () => makeProxy('echo', {backend: ASYNC}).invoke(1),
    call: () => makeProxy('echo').call(new GLib.Variant('(i)', [1])),
    callFull: () => makeProxy('echo').call_full(new GLib.Variant('(i)', [1]), null),
    start: () => makeProxy('echo').start(new GLib.Variant('(i)', [1]), null).wait(),
    close: () => makeProxy('echo').close_async(),
    invokeOfPool: () => makePool('echo').invoke(1),
    closeOfPool: () => makePool('echo').close_async(),
    room: () => makePool('echo').wait_for_room_async(),
    all: () => makePool('echo', {idle_workers: 1}).invokeAll(1),
    async run() {
        const process = makeProcess();
        await process.run_async('done');
    },
    async give() {
        const process = makeProcess();
        const [socket] = await process.to_fd_async();
        GLib.close(socket);
    },
    async wait() {
        const {process} = makeProxy('echo');
        await process.wait_async();
    },
    async map() {
        const values = [];
        for await (const value of makePool('echo').map([1, 2, 3]))
            values.push(value);
        assertEqual(values, [1, 2, 3], 'what a map brings');
    },
    async mapOne() {
        assertEqual(await makePool('echo').map([1, 2, 3]).next(), {done: false, value: 1}, 'what a map brings first');
    },
};

runTests({
    async events() {
        for (const take of [loop, next, nextTwice]) {
            const [process, watched] = await watch(() => makeProxy('act'), take, proxy => proxy.process);

            await collect();
            process.kill(9);
            assertEqual((await process.wait_async()).get_signal(), 9, `the signal that ended the worker of ${take.name}()`);
            assert(await isSettled(watched), `${take.name}() is told of the end`);
        }
    },

    async eventsOfPools() {
        const [process, watched] = await watch(() => makePool('act'), loop, getProcess);

        await collect();
        process.kill(9);
        assertEqual((await process.wait_async()).get_signal(), 9, 'the signal that ended the worker');
        assert(!await isSettled(watched), 'a pool goes on without its worker, and so do its events');
    },

    // Who is left waits no more.
    async returned() {
        const proxy = makeProxy('act');
        const events = proxy.events();
        const waiting = events.next();

        assertEqual(await events.return(), {done: true, value: undefined});
        assertEqual(await waiting, {done: true, value: undefined}, 'who waited meanwhile');
        await proxy.close_async();
    },

    async everythingThatIsAwaited() {
        for (const [name, wait] of Object.entries(waits)) {
            const waited = wait();

            await collect();
            await untilSettled(waited);
            print(`# ${name}`);
        }
    },

    // Nobody waits any more: the worker ends.
    async droppedEvents() {
        const takes = {
            async nothing() {},
            async one(proxy, events) {
                await proxy.invoke('sendEvents', 0);
                await events.next();
            },
            async left(proxy, events) {
                await proxy.invoke('sendEvents', 1);
                for await (const _event of events)
                    break;
            },
            async unread(proxy, _events) {
                await proxy.invoke('sendEvents', 5);
            },
            async givenUp(proxy, events) {
                const waiting = events.next();
                await proxy.invoke('returnNothing');
                await events.return();
                await waiting;
            },
        };

        for (const [name, take] of Object.entries(takes)) {
            print(`# ${name}`);
            const process = await (async () => {
                const proxy = makeProxy('act');
                await proxy.invoke('returnNothing');
                await take(proxy, proxy.events());
                return proxy.process;
            })();

            assertEqual((await untilSettled(process.wait_async())).get_status(), 0, `the status after ${name}`);
        }
    },

    async droppedMaps() {
        const takes = {
            async nothing() {},
            async one(map) {
                await map.next();
            },
            async left(map) {
                for await (const _value of map)
                    break;
            },
        };

        for (const [name, take] of Object.entries(takes)) {
            print(`# ${name}`);
            const process = await (async () => {
                const pool = makePool('echo');
                await pool.invoke(1);
                await take(pool.map([1, 2, 3, 4, 5]));
                return getProcess(pool);
            })();

            assertEqual((await untilSettled(process.wait_async())).get_status(), 0, `the status after ${name}`);
        }
    },
});
