#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
// The parent in JavaScript. Usage: parent.js CASES LANGUAGE HOST MODULE
import Afrpc from 'gi://Afrpc?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';

import {assert, runTests} from '../gjs-util.js';

const N_CALLS = 10;
const LARGE = 'x'.repeat(1 << 20);
const {SYNC} = Afrpc.Backend;
const [CASES, LANGUAGE, HOST, MODULE] = ARGV;
const FOLDER = GLib.Dir.make_tmp('afrpc-matrix-XXXXXX');
const FIFO = `${FOLDER}/fifo`;

function parse(text) {
    return GLib.Variant.parse(null, text.replaceAll('%LARGE%', LARGE), null, null);
}

// Of a string, or the octets that Perl has instead.
function getText(value) {
    if (value.get_type_string() === 's')
        return value.unpack();
    assert(value.get_type_string() === 'aay' && value.n_children() === 1, value.print(true));
    return new TextDecoder().decode(Afrpc.unpack(value)[0]);
}

function matches(value, expected) {
    if (value.equal(expected))
        return true;
    if (LANGUAGE !== 'perl' || value.get_type_string() !== 'aay' || value.n_children() !== 1)
        return false;
    const octets = Afrpc.unpack(expected);
    const [got] = Afrpc.unpack(value);

    return GLib.Bytes.new(got).equal(GLib.Bytes.new(typeof octets === 'string' ? new TextEncoder().encode(octets) : octets));
}

// A worker and what became of it.
class Worker {
    constructor(backend) {
        this.backend = backend;
        this.log = [];
        this.process = Afrpc.Process.new_exec(HOST);
        this.process.set_stderr(Afrpc.Stdio.CAPTURE);
        this.process.require(MODULE);
        this.proxy = new Afrpc.Proxy({
            process: this.process, backend, function: backend === SYNC ? 'act' : 'act_async',
        });
        this.exited = this.process.wait_async();
        this.destroyed = new Promise(resolve => this.proxy.connect('destroyed', resolve));
        this.proxy.connect('event', (_proxy, event) => this.log.push(getText(event)));
        this.proxy.connect('error', () => {});
    }

    // A promise of a result or an error.
    async call(what, value, cancellable = null) {
        try {
            const result = await this.proxy.call(new GLib.Variant('(sv)', [what, value]), cancellable);

            this.log.push('result');
            return result;
        } catch (e) {
            this.log.push('error');
            return e;
        }
    }

    async checkAlive() {
        assert(getText(await this.call('echo', new GLib.Variant('s', 'alive'))) === 'alive', 'it goes on');
    }
}

function assertError(error, domain, code) {
    assert(error instanceof GLib.Error && error.matches(domain, code), `the error is ${error}`);
}

// The worker may open its end now, or may still be about to.
async function stopWaiting(worker) {
    const stream = Gio.File.new_for_path(FIFO).open_readwrite(null); // both ends, so that it does not wait itself

    await worker.checkAlive();
    stream.close(null);
}

function queueCalls(worker) {
    return Promise.all(Array.from({length: N_CALLS}, (_, i) => worker.call('echo', new GLib.Variant('s', `${i}`))));
}

const steps = {
    async value(worker, text, ...others) {
        const prefix = `${LANGUAGE}=`;
        const expected = others.find(other => other.startsWith(prefix))?.slice(prefix.length) ?? text;
        const result = await worker.call('echo', parse(text));

        if (expected.startsWith('!'))
            assert(result.message.includes(expected.slice(1)), result);
        else
            assert(matches(result, parse(expected)), `${text.slice(0, 200)} is ${result.print?.(true).slice(0, 200) ?? result}`);
    },

    async events(worker, word) {
        const n = Number(word);
        const calls = Array.from({length: N_CALLS}, () => worker.call('events', new GLib.Variant('u', n)));
        let [nEvents, nResults] = [0, 0];

        await Promise.all(calls);
        for (const entry of worker.log) {
            if (entry !== 'result') {
                assert(Number(entry) === nEvents % n, `${entry} is event ${nEvents}`);
                nEvents++;
                continue;
            }
            nResults++;
            assert(nEvents >= nResults * n, 'results come after their events');
        }
        assert(nEvents === N_CALLS * n && nResults === N_CALLS, `${nEvents} events, ${nResults} results`);
    },

    async fail(worker, text) {
        const error = await worker.call('fail', new GLib.Variant('s', text));

        assert(error instanceof GLib.Error && error.message.includes(text), error);
    },

    async cancel(worker) {
        const cancellable = new Gio.Cancellable();
        const call = worker.call('wait', new GLib.Variant('s', FIFO), cancellable);

        while (worker.log.length === 0)
            await new Promise(resolve => worker.proxy.connect('event', resolve));
        assert(worker.log[0] === 'waiting', worker.log);
        cancellable.cancel();
        assertError(await call, Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED);
        await stopWaiting(worker);
    },

    async limit(worker, limitMs) {
        worker.proxy.call_timeout_ms = Number(limitMs);
        const call = worker.call('wait', new GLib.Variant('s', FIFO));
        worker.proxy.call_timeout_ms = 0;
        assertError(await call, Gio.IOErrorEnum, Gio.IOErrorEnum.TIMED_OUT);
        await stopWaiting(worker);
    },

    async close(worker) {
        const calls = queueCalls(worker);

        worker.proxy.close();
        assert((await calls).map(getText).join() === [...Array(N_CALLS).keys()].join(), 'all answered');
        assert((await worker.exited).is_success(), 'the end');
        await worker.destroyed;
        return true;
    },

    // Who knows when it is collected?
    drop: worker => steps.close(worker),

    async exit(worker, word) {
        const [died, behind] = await Promise.all([
            worker.call('exit', new GLib.Variant('u', Number(word))),
            worker.call('echo', new GLib.Variant('s', 'behind it')),
        ]);

        assertError(died, Afrpc.Error, Afrpc.Error.DIED);
        if (worker.backend === SYNC || !behind.matches(Afrpc.Error, Afrpc.Error.DIED))
            assertError(behind, Afrpc.Error, Afrpc.Error.NOT_STARTED);
        assert((await worker.exited).get_status() === Number(word), 'the status');
        return true;
    },
};

async function runCases(backend, lines) {
    let worker = null;

    for (const line of lines) {
        if (line === '' || line.startsWith('#'))
            continue;

        const [step, ...words] = line.split('\t');
        worker ??= new Worker(backend);
        worker.log = [];
        if (await steps[step](worker, ...words))
            worker = null;
        else if (step !== 'value')
            await worker.checkAlive();
    }
}

const lines = new TextDecoder().decode(GLib.file_get_contents(CASES)[1]).split('\n');

GLib.spawn_sync(null, ['mkfifo', FIFO], null, GLib.SpawnFlags.SEARCH_PATH, null);
runTests({
    sync: () => runCases(SYNC, lines),
    async: () => runCases(Afrpc.Backend.ASYNC, lines),

    cleanUp() {
        assert(GLib.unlink(FIFO) === 0 && GLib.rmdir(FOLDER) === 0, 'removing the folder');
    },
});
