// SPDX-License-Identifier: LGPL-2.1-or-later
// Serialisers in JavaScript: in a program, with workers in C and in JavaScript, and in workers.
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';

import {HERE, assert, assertEqual, assertError, getError, runTests} from './gjs-util.js';
import {Odd} from './workers/gjs-serialiser.js';

const E = Afrpc.Error;

function makeProxy(host, serialiser, name = 'echo', options = {}) {
    const process = Afrpc.Process.new_exec(host);

    process.set_stderr(Afrpc.Stdio.CAPTURE);
    process.require(host === 'c' ? GLib.getenv('AFRPC_TEST_SERIALISER_WORKER') : `${HERE}/workers/gjs-serialiser.js`);
    const proxy = new Afrpc.Proxy({process, function: name, serialiser, ...options});

    proxy.connect('error', () => {});
    return proxy;
}

async function* oddProxies() {
    for (const [host, init, later] of [['c', 'init_odd', 'echo_async'], ['gjs', 'register', 'echoLater']]) {
        for (const [name, backend] of [['echo', Afrpc.Backend.SYNC], [later, Afrpc.Backend.ASYNC]]) {
            const odd = new Odd('program');
            const proxy = makeProxy(host, odd, name, {init, backend});

            yield [odd, proxy];
            await proxy.close_async(null);
        }
    }
}

function args() {
    return new GLib.Variant('(say)', ['ä', new Uint8Array([0, 255])]);
}

// What a worker in JavaScript unpacks and packs again, is of another type.
async function assertComesBack(proxy) {
    const value = await proxy.call(args(), null);
    const unpacked = value.recursiveUnpack();

    assertEqual([unpacked[0], [...unpacked[1]]], ['ä', [0, 255]]);
}

runTests({
    async own() {
        for (const host of ['c', 'gjs']) {
            const json = makeProxy(host, Afrpc.Serialiser.lookup('json'));
            const bytes = makeProxy('c', Afrpc.Serialiser.lookup('bytes'));

            assertEqual(json.serialiser.get_name(), 'json');
            await assertComesBack(json);
            await assertComesBack(bytes);
            await json.close_async(null);
            await bytes.close_async(null);
        }
    },

    async inProgramAndWorker() {
        for await (const [odd, proxy] of oddProxies()) {
            await assertComesBack(proxy);
            assertEqual(odd.nCalls, 2);
            const value = proxy.call_sync(args(), null);
            assertEqual(value.n_children(), 2);
        }
    },

    async tricks() {
        for await (const [, proxy] of oddProxies()) {
            for (const where of ['serialise', 'deserialise']) {
                for (const trick of ['error', 'exception', 'none']) {
                    const call = proxy.call(new GLib.Variant('(sss)', [trick, where, 'program']), null);

                    if (trick === 'error')
                        await assertError(call, GLib.file_error_quark(), GLib.FileError.NOSPC, 'no ink left');
                    else if (trick === 'exception')
                        assert(await getError(call) instanceof TypeError, 'an exception stays what it is');
                    else
                        await assertError(call, E, E.SERIALISER, '\'odd\'');
                    await assertComesBack(proxy);
                }
            }
        }
    },

    async tricksOfWorker() {
        const proxy = makeProxy('gjs', new Odd('program'), 'echo', {init: 'register'});

        for (const where of ['serialise', 'deserialise']) {
            for (const trick of ['error', 'exception', 'none']) {
                const call = proxy.call(new GLib.Variant('(sss)', [trick, where, 'worker']), null);

                if (trick === 'error')
                    await assertError(call, GLib.file_error_quark(), GLib.FileError.NOSPC, 'no ink left');
                else if (trick === 'exception')
                    await assertError(call, E, E.REMOTE, 'as JavaScript has them');
                else
                    await assertError(call, E, E.SERIALISER, '\'odd\'');
                await assertComesBack(proxy);
            }
        }
        await proxy.close_async(null);
    },

    async unknown() {
        for (const host of ['c', 'gjs']) {
            const proxy = makeProxy(host, new Odd('program', 'unheard-of'));

            await assertError(proxy.call(args(), null), E, E.SERIALISER, '\'unheard-of\'');
        }
    },

    async bytesRefuse() {
        const proxy = makeProxy('c', Afrpc.Serialiser.lookup('bytes'));

        await assertError(proxy.call(new GLib.Variant('(i)', [1]), null), E, E.SERIALISER, '(i)');
        await assertComesBack(proxy);
        await proxy.close_async(null);
    },

    async register() {
        const odd = new Odd('program', 'gjs-odd');

        assert(odd.register(), 'it is registered');
        assert(Afrpc.Serialiser.lookup('gjs-odd') === odd, 'it is found');
        assert(Afrpc.Serialiser.lookup('unheard-of') === null, 'nothing else is found');
    },
});
