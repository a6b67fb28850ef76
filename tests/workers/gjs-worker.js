// SPDX-License-Identifier: LGPL-2.1-or-later
// What workers in JavaScript do well, and what they do badly.
import Afrpc from 'gi://Afrpc?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

let initArgs = null;
export const notAFunction = 1;

// In another turn of the main loop.
function later(action) {
    return new Promise(resolve => GLib.idle_add(GLib.PRIORITY_DEFAULT, () => {
        resolve(action());
        return GLib.SOURCE_REMOVE;
    }));
}

export function init(...args) {
    initArgs = args;
}

export async function initLater(...args) {
    await later(() => (initArgs = args));
}

// No functions of a worker.
export function* generate() {
    yield 1;
}

export async function* generateLater() {
    yield 1;
}

export function initBadly() {
    throw new Error('no wish to begin');
}

export function getInitArgs() {
    return [initArgs, Afrpc.worker === this];
}

let litter = null;

// Makes the engine collect, which it does in slices.
export function litterAndEcho(value) {
    litter = Array.from({length: 20000}, (_, i) => ({i, litter: litter?.length}));
    return value;
}

export function echo(...args) {
    return args.length === 1 ? args[0] : args;
}

const kept = [];

// What the two backends have in common.
const actions = {
    throwError() {
        throw new RangeError('out of it');
    },
    throwPython() {
        throw new GLib.Error(GLib.quark_from_string('python-exception'), -11, 'KeyError: 5\n\nTraceback $&\n\n{"class":[]}');
    },
    throwString() {
        throw 'just words';
    },
    throwNull() {
        throw null;
    },
    throwEvil() {
        throw {
            toString() {
                throw new Error('and another one');
            },
        };
    },
    throwNul() {
        throw new Error('a\0b');
    },
    throwGError() {
        throw new Gio.IOErrorEnum({code: Gio.IOErrorEnum.NOT_FOUND, message: 'no such thing'});
    },
    recurse() {
        return actions.recurse() + 1;
    },
    returnSymbol() {
        return Symbol('x');
    },
    returnError() {
        return {x: [new Error('as a value')]};
    },
    returnGenerator() {
        return generate();
    },
    returnBadMap() {
        return new Map([['x', 1], [2, 2]]);
    },
    returnCycle() {
        const cycle = [];

        cycle.push(cycle);
        return cycle;
    },
    returnNul() {
        return 'a\0b';
    },
    returnSurrogate() {
        return '\ud800';
    },
    returnHuge() {
        return 2n ** 64n;
    },
    throwCause() {
        throw new Error('outer\ncause: Error: no cause', {
            cause: new TypeError('inner', {cause: {code: 5, words: ['a']}}),
        });
    },
    throwAggregate() {
        throw new AggregateError([
            new RangeError('one\nof@file:1:2'),
            new Error('two', {cause: new Gio.IOErrorEnum({code: Gio.IOErrorEnum.NOT_FOUND, message: 'not\nthere'})}),
            'three',
        ], 'many', {cause: new Error('why')});
    },
    throwOwnClass() {
        class OutOfPaper extends Error {
            get name() {
                return 'OutOfPaper';
            }
        }
        throw new OutOfPaper('', {cause: new OutOfPaper('tray 2')});
    },
    throwCircle() {
        const error = new Error('round');
        error.cause = new Error('and round', {cause: error});
        throw error;
    },
    throwMany() {
        let error = new Error('0');
        for (let i = 1; i < 1000; i++)
            error = new Error(`${i}`, {cause: error});
        throw error;
    },
    throwLong() {
        throw new Error('ä'.repeat(100000), {cause: new Error('cut off')});
    },
    returnNothing() {},
    returnRejected() {
        return Promise.reject(new Error('not granted'));
    },
    returnNever() {
        this.event('waiting');
        return new Promise(() => {});
    },
    // Somebody can still settle it, until nobody can: what cannot be settled is noticed sooner or later.
    returnLate() {
        const promise = new Promise(resolve => kept.push(resolve));

        this.event('waiting');
        return promise;
    },
    letGo() {
        kept.length = 0;
    },
    rejectUnhandled() {
        Promise.reject(new Error('nobody cares'));
        return 'fine';
    },
    // What promises have to do when nobody waits for it.
    returnSettled() {
        return Promise.resolve(1);
    },
    leaveJobs() {
        Promise.resolve().then(() => printerr('a job was done'));
        (async () => {
            for (let i = 0; i < 10; i++)
                await null;
            printerr('many jobs were done');
        })();
        return 'left';
    },
    leaveBadJobs() {
        Promise.resolve().then(() => {
            throw new Error('at the very end');
        });
        return 'left';
    },
    leaveExit() {
        Promise.resolve().then(() => System.exit(5));
        return 'left';
    },
    leaveEndlessJobs() {
        (async () => {
            for (;;)
                await null;
        })();
        return 'left';
    },
    // Events from within and from elsewhere.
    sendEvents(n) {
        for (let i = 0; i < n; i++)
            this.event(`event ${i}`);
        Afrpc.worker.event(new GLib.Variant('q', n));
        return 'sent';
    },
    sendBadEvent() {
        this.event(() => 1);
    },
    sayProgress(n) {
        for (let i = 0; i < n; i++)
            this.progress({done: i});
        return 'said';
    },
    flushAndExit() {
        this.event('last words');
        this.flush();
        System.exit(4);
    },
    retire() {
        this.retire();
        this.event('retired');
        return 'retired';
    },
    exit() {
        System.exit(7);
    },
    tellMetadata() {
        return this.metadata;
    },
    waitForCancel() {
        while (!this.is_cancelled())
            ;
        return 'nobody waits for this';
    },
};

export function act(name, ...args) {
    return actions[name].apply(this, args);
}

export async function actLater(name, ...args) {
    await later(() => {});
    return actions[name].apply(this, args);
}

// Only for the async backend.
export async function exitLater(status) {
    await later(() => {});
    System.exit(status);
}

export async function waitForCancellable() {
    this.event('waiting');
    await new Promise(resolve => this.get_cancellable().connect(resolve));
    this.event('cancelled');
}

export async function answerEarly() {
    this.return_value('early');
    await later(() => {});
    return 'late';
}

let fail = null;

// The first call is answered, and fails when the second comes.
export async function failAfterAnswer(n) {
    if (n === 2) {
        fail();
        return 'failed';
    }
    this.return_value('early');
    await new Promise(resolve => (fail = resolve));
    throw new Error('too late to matter');
}

export function readHandle(handle) {
    const stream = new Gio.UnixInputStream({fd: this.steal_fd(handle), close_fd: true});

    return new TextDecoder().decode(stream.read_bytes(100, null).toArray());
}

// Calls another worker.
export async function passOn(what) {
    const process = Afrpc.Process.new_exec('gjs');
    process.require(import.meta.url);
    process.set_stderr(Afrpc.Stdio.SILENCE);
    const proxy = new Afrpc.Proxy({process, function: 'act'});

    try {
        return await proxy.invoke(what);
    } finally {
        await proxy.close_async();
    }
}

export function sum(numbers, word) {
    return [numbers.constructor.name, numbers.reduce((a, b) => a + b, 0), word];
}
sum.signature = '(adms)';

export async function sumLater(...args) {
    await later(() => {});
    return sum(...args);
}
sumLater.signature = '(adms)';

export function badlyDeclared() {}
badlyDeclared.signature = 'ad';

let release = null;

// The first call waits for the second, whoever cancels it.
export async function crossing(n) {
    if (n === 1)
        await new Promise(resolve => (release = resolve));
    else
        release?.();
    return n;
}

export function done() {
    printerr('done was called');
}

export async function doneLater() {
    await later(() => {});
    printerr('done was called');
    System.exit(6);
}

// Takes the process over.
export async function own(fd) {
    const socket = Gio.Socket.new_from_fd(fd);
    const stream = socket.connection_factory_create_connection();

    stream.output_stream.write_all(`own ${Afrpc.unpack(this.get_args())}`, null);
    await later(() => {});
    stream.close(null);
}

export function ownBadly() {
    throw new Error('cannot stand it');
}

export function collect() {
    System.gc();
    return Number(new TextDecoder().decode(GLib.file_get_contents('/proc/self/statm')[1]).split(' ')[1]) * 4096;
}

export function getEnvironment() {
    return GLib.listenv();
}
