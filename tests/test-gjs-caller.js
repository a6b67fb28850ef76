// SPDX-License-Identifier: LGPL-2.1-or-later
// A caller that is written in JavaScript: it hands its calls on to another.
import Afrpc from 'gi://Afrpc?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';

import {assert, assertEqual, assertError, getError, runTests} from './gjs-util.js';

const IO = Gio.IOErrorEnum;

const Forwarder = GObject.registerClass({Implements: [Afrpc.Caller]}, class Forwarder extends GObject.Object {
    _init(inner) {
        super._init();
        this.inner = inner;
        this.calls = new Map();
        inner.connect('event', (_inner, event, process, fds) => this.emit_event(event, process, fds));
        inner.connect('error', (_inner, error) => this.emit_error(error));
        inner.connect('destroyed', () => this.emit_destroyed());
    }

    vfunc_begin(call, args, _options) {
        const inner = this.inner.start(args, call.forward_options());

        this.calls.set(call, inner);
        inner.wait(null, (_inner, result) => {
            this.calls.delete(call);
            call.set_process(inner.get_process(), inner.get_exit());
            try {
                call.return_value(inner.wait_finish(result), inner.steal_fds());
            } catch (e) {
                call.return_error(inner.get_started(), e);
            }
        });
    }

    vfunc_cancel(call) {
        this.calls.get(call).cancel();
    }

    vfunc_close() {
        this.inner.close();
    }
});

// Begins nothing, and cannot be told to stop.
const Idler = GObject.registerClass({Implements: [Afrpc.Caller]}, class Idler extends GObject.Object {
    vfunc_begin(call, _args, _options) {
        this.kept = call;
    }
});

function make(name = 'act', module = 'AFRPC_TEST_WORKER') {
    const process = Afrpc.Process.new_exec('c');

    process.set_stderr(Afrpc.Stdio.CAPTURE);
    process.require(GLib.getenv(module));
    return new Forwarder(new Afrpc.Proxy({process, function: name}));
}

function act(what, value = new GLib.Variant('b', true)) {
    return new GLib.Variant('(sv)', [what, value]);
}

// A call through the main loop; whether it was started is the second of what comes.
function call(caller, args, options = null, cancellable = null) {
    return new Promise(resolve => caller.call_full(args, options, cancellable, (_caller, result) => {
        try {
            resolve([caller.call_full_finish(result)[0], result.get_started()]);
        } catch (e) {
            resolve([e, result.get_started()]);
        }
    }));
}

function close(caller) {
    return new Promise((resolve, reject) => caller.close_async(null, (_caller, result) => {
        try {
            resolve(caller.close_finish(result));
        } catch (e) {
            reject(e);
        }
    }));
}

runTests({
    async waiting() {
        const process = Afrpc.Process.new_exec('c');
        process.require(GLib.getenv('AFRPC_TEST_WORKER'));
        const proxy = new Afrpc.Proxy({process, function: 'act'});
        const call = proxy.start(Afrpc.pack(['return', new GLib.Variant('s', 'x')], '(sv)'), null);
        const [one, other] = await Promise.all([call.wait(), call.wait(null)]);

        assertEqual([one.deepUnpack(), other.deepUnpack()], ['x', 'x'], 'what both get');
        const [value, fds] = await proxy.call_full(Afrpc.pack(['return', new GLib.Variant('s', 'y')], '(sv)'), null);
        assertEqual([value.deepUnpack(), fds], ['y', null], 'what call_full () gives');
        const failing = proxy.start(Afrpc.pack(['file-error', new GLib.Variant('s', 'no')], '(sv)'), null);
        assert((await getError(failing.wait())) instanceof GLib.Error, 'the error');
        await proxy.close_async();
    },

    async values() {
        const caller = make('echo');

        assertEqual((await call(caller, new GLib.Variant('(u)', [1])))[0].deepUnpack(), [1], 'a value');
        assertEqual(caller.call_sync(new GLib.Variant('(u)', [2]), null).deepUnpack(), [2], 'that of a blocking call');
        assert(await close(caller), 'closing');
    },

    async errors() {
        const caller = make();
        const options = new Afrpc.CallOptions({label: 'number 7'});
        const [refused, notStarted] = await call(caller, new GLib.Variant('(u)', [1]), options);

        assert(refused.matches(Afrpc.Error, Afrpc.Error.INVALID_ARGUMENTS), `the error ${refused}`);
        assertEqual(refused.message.match(/number 7: /g).length, 1, 'its label');
        assertEqual(notStarted, Afrpc.Started.NO, 'whether it was started');
        const [failed, started] = await call(caller, act('nothing'));

        assert(failed.matches(Afrpc.Error, Afrpc.Error.NO_RESULT), `the error ${failed}`);
        assertEqual(started, Afrpc.Started.YES, 'whether it was started');
        await close(caller);
    },

    async progressAndEvents() {
        const counter = make('count_up', 'AFRPC_TEST_MESSAGE_WORKER');
        const options = new Afrpc.CallOptions();
        const seen = [];

        options.set_progress(Afrpc.ProgressMode.ALL, (made, value) => seen.push([value.deepUnpack(), made.get_caller() === counter]));
        assertEqual((await call(counter, new GLib.Variant('(u)', [3]), options))[0].deepUnpack(), 3, 'the result');
        assertEqual(seen, [[1, true], [2, true], [3, true]], 'the progress');
        await close(counter);

        const caller = make();
        const events = [];

        caller.connect('event', (_caller, event) => events.push(event.deepUnpack()));
        await call(caller, act('event', new GLib.Variant('s', 'said')));
        assertEqual(events, ['said'], 'the events');
        await close(caller);
    },

    async cancelling() {
        const caller = make();
        const cancellable = new Gio.Cancellable();

        caller.connect('event', () => cancellable.cancel());
        const [error, started] = await call(caller, act('until-cancelled'), null, cancellable);

        assert(error.matches(IO, IO.CANCELLED), `the error ${error}`);
        assertEqual(started, Afrpc.Started.YES, 'whether it was started');
        await close(caller);
    },

    async givenUp() {
        const caller = new Idler();
        const cancellable = new Gio.Cancellable();
        const outcome = call(caller, null, null, cancellable);

        cancellable.cancel();
        const [error, started] = await outcome;

        assert(error.matches(IO, IO.CANCELLED), `the error ${error}`);
        assertEqual(started, Afrpc.Started.UNKNOWN, 'whether it was started');
        caller.kept.return_value(new GLib.Variant('b', true), null);
        assert(await close(caller), 'closing');
    },
});
