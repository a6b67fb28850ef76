// SPDX-License-Identifier: LGPL-2.1-or-later
// The library as JavaScript sees it through introspection.
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Afrpc from 'gi://Afrpc?version=1.0';

import {assert, getError, runTests} from './gjs-util.js';

Gio._promisify(Afrpc.Proxy.prototype, 'call');
Gio._promisify(Afrpc.Proxy.prototype, 'close_async');
Gio._promisify(Afrpc.Process.prototype, 'wait_async', 'wait_finish');

const WORKER = GLib.getenv('AFRPC_TEST_WORKER');

function act(what, value = new GLib.Variant('b', true)) {
    return new GLib.Variant('(sv)', [what, value]);
}

function makeProxy(log) {
    const process = Afrpc.Process.new_exec('c');
    process.set_stderr(Afrpc.Stdio.CAPTURE);
    process.require(WORKER);
    const proxy = new Afrpc.Proxy({process, function: 'act'});
    proxy.connect('event', (_proxy, event) => log.push(event.deepUnpack()));
    proxy.connect('error', (_proxy, error) => log.push(error));
    return proxy;
}

async function testCalls() {
    const log = [];
    const proxy = makeProxy(log);
    const result = await proxy.call(act('event', new GLib.Variant('s', 'ä')), null);
    assert(result.deepUnpack() === true, 'a result');
    assert(log.length === 1 && log[0] === 'ä', 'an event');
    const e = await getError(proxy.call(new GLib.Variant('(i)', [1]), null));
    assert(e instanceof Afrpc.Error && e.matches(Afrpc.Error, Afrpc.Error.INVALID_ARGUMENTS), `its class: ${e}`);
    const text = proxy.call_sync(act('return', new GLib.Variant('s', 'x')), null).deepUnpack();
    assert(text === 'x', 'a blocking call');
    assert(await proxy.close_async(null), 'closing');
}

async function testDeath() {
    const log = [];
    const proxy = makeProxy(log);
    const ended = proxy.process.wait_async(null);
    const e = await getError(proxy.call(act('exit', new GLib.Variant('u', 3)), null));
    assert(e.matches(Afrpc.Error, Afrpc.Error.DIED), `its reason: ${e}`);
    const exit = await ended;
    assert(exit.get_status() === 3, 'an exit status');
    assert(log.length === 1 && log[0].matches(Afrpc.Error, Afrpc.Error.DIED), 'the error signal');
}

runTests({testCalls, testDeath});
