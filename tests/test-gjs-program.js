// SPDX-License-Identifier: LGPL-2.1-or-later
// Programs in JavaScript: options of calls, errors with all that belongs to them, events, and garbage collections.
import Afrpc from 'gi://Afrpc?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

import {WORKER, assert, assertEqual, assertError, assertThrows, getError, makeProxy, runTests, toText} from './gjs-util.js';

const {ASYNC} = Afrpc.Backend;
const E = Afrpc.Error;
const LOSES = System.version < 18100; // callbacks
const ROUNDS = LOSES ? 5000 : 300;
const BURST = 20;
const context = GLib.MainContext.default();

function makeCProxy(options = {}) {
    const process = Afrpc.Process.new_exec('c');

    process.require(GLib.getenv('AFRPC_TEST_WORKER'));
    return new Afrpc.Proxy({process, function: 'act', ...options});
}

function hasOrigin({stack}) {
    return /\n### Promise created here: ###\n\S*@[^\n]*test-gjs-program\.js:\d+:\d+\n/.test(stack);
}

// What a worker has thrown, as its program sees it.
async function getThrown(what) {
    const proxy = makeProxy('act');
    const error = await getError(proxy.invoke(what));

    await proxy.close_async();
    return error;
}

function assertStack(error) {
    assert(/^\w+@.*gjs-worker\.js:\d+:\d+$/m.test(error.stack), `the stack ${error.stack}`);
}

// Otherwise no other would be settled meanwhile.
function outsideOfPromises(action) {
    return new Promise((resolve, reject) => GLib.idle_add(GLib.PRIORITY_DEFAULT, () => {
        try {
            resolve(action());
        } catch (e) {
            reject(e);
        }
        return GLib.SOURCE_REMOVE;
    }));
}

// Until 1.80, gjs does not call back while a collection is under way: some callbacks are lost here for certain. Nothing
// that comes through afrpc is. Nobody awaits anything: this function has to see what does not come.
function bursts() {
    const proxy = makeCProxy();
    const n = {made: 0, settled: 0, canaries: 0, back: 0};
    let litter = null;

    for (let round = 0; round < ROUNDS && n.back === n.canaries; round++) {
        for (let i = 0; i < BURST; i++) {
            n.made++;
            n.canaries++;
            proxy.invokeWith({signature: '(sv)'}, 'return', i).then(() => n.settled++, logError);
            GLib.idle_add(GLib.PRIORITY_DEFAULT_IDLE, () => {
                n.back++;
                return GLib.SOURCE_REMOVE;
            });
        }
        litter = Array.from({length: 20000}, (_, i) => ({i, litter: litter?.length}));
        while (proxy.get_n_calls_queued() > 0 || context.pending())
            context.iteration(true);
        assertEqual(n.settled, n.made, 'what is settled');
    }
    proxy.close();
}

async function callFirst(proxy, loadingMs) {
    try {
        return await proxy.invokeWith({timeoutMs: loadingMs}, 'world');
    } catch (e) {
        if (e.started === Afrpc.Started.NO)
            proxy.kill(); // nothing was called before: it is not even loaded
        throw e;
    }
}

runTests({
    async options() {
        const proxy = makeCProxy();
        const bad = [
            {timeout_ms: 5}, {signatur: '(i)'}, {toString: 1}, {timeoutMs: '5'},
            {signature: 5}, {onProgress: 'x'}, {cancellable: {}}, {fds: ['x']}, {fds: [-1]}, {bytesAsText: 1},
            {progressMode: 'ALL'}, {progressMode: 77}, {progressMode: 2}, {progressMode: -1},
            {executionTimeoutMs: '1'}, {label: 5}, {metadata: 5}, {metadata: {x: () => 1}}, {priority: '1'}, {idempotent: 1}, {waitForRoom: 1},
            {affinity: 1}, {function: 1}, {fds: new Gio.Cancellable()}, 'x', null, undefined, 5,
        ];

        for (const options of bad)
            assert(await getError(proxy.invokeWith(options, 'x')) instanceof TypeError, toText(options));
        for (const [option, value] of [['timeoutMs', '5'], ['label', 5]])
            assert((await getError(proxy.invokeWith({[option]: value}, 'x'))).message.includes(`'${option}'`), `the name of ${option}`);

        const TO_INT32 = 'between -2147483648 and 2147483647';
        for (const [option, value, range] of [
            ['timeoutMs', -1, 'between 0 and 2147483647'], ['timeoutMs', 2 ** 31, 'between 0 and 2147483647'],
            ['timeoutMs', 1.5, 'an integer'], ['executionTimeoutMs', -1, 'between 0 and 4294967295'],
            ['executionTimeoutMs', 2 ** 32, 'between 0 and 4294967295'], ['priority', 0.5, TO_INT32], ['priority', 2 ** 31, TO_INT32],
            ['priority', NaN, TO_INT32],
        ]) {
            const error = await getError(proxy.invokeWith({[option]: value}, 'x'));

            assert(error instanceof RangeError && error.started === Afrpc.Started.NO, `${option}: ${value} is ${error}`);
            for (const words of [`the option '${option}'`, range, `not ${value}`])
                assert(error.message.includes(words), `'${words}' is in '${error.message}'`);
        }
        const none = {signature: '(sv)', timeoutMs: null, onProgress: undefined, cancellable: null, fds: null};
        assertEqual(await proxy.invokeWith(none, 'return', 5), 5, 'options that say nothing');
        const all = {
            signature: '(sv)', timeoutMs: 60000, executionTimeoutMs: 60000, onProgress() {}, label: 'the call', priority: 1,
            idempotent: true, affinity: 'x', waitForRoom: true, metadata: {trace: 1, list: [1, 2]},
            cancellable: new Gio.Cancellable(),
        };
        assertEqual(await proxy.invokeWith(all, 'return', 5), 5, 'all options together');
        await proxy.close_async();
    },

    async otherFunctions() {
        const proxy = makeProxy('act');

        assertEqual(await proxy.invokeWith({function: 'echo'}, 'x'), 'x', 'another function of the module');
        await assertError(proxy.invokeWith({function: 'missing'}), E, E.FUNCTION, 'missing');
        assertEqual(await proxy.invoke('returnNothing'), null, 'its own');
        await proxy.close_async();
    },

    blocking() {
        const proxy = makeProxy('act');
        const value = [1, 'x', {a: new Float64Array([0.5])}];

        assertEqual(proxy.invokeSyncWith({function: 'echo', timeoutMs: 60000}, value), value);
        assertEqual(proxy.invokeSync('returnNothing'), null);
        assertThrows(() => proxy.invokeSync('throwCause'), GLib.Error, 'outer');
        assertThrows(() => proxy.invokeSync(() => 1), TypeError, '(at args[0])');
        assertThrows(() => proxy.invokeSyncWith({timeout: 1}), TypeError, 'timeout');
        assertThrows(() => proxy.invokeSyncWith({onProgress() {}}), TypeError, 'progress');
        assertThrows(() => proxy.invokeSyncWith({timeoutMs: 1}, 'waitForCancel'), GLib.Error);
        assertEqual(proxy.invokeSync('returnNothing'), null, 'a call afterwards');
        proxy.close();
    },

    // Where a call was made that failed; of very many, only some know.
    async origins() {
        const proxy = makeProxy('act');
        const pause = () => new Promise(resolve => GLib.timeout_add(GLib.PRIORITY_DEFAULT, 150, () => {
            resolve();
            return GLib.SOURCE_REMOVE;
        }));
        const fail = () => getError(proxy.invoke('throwError'));
        const args = Afrpc.packArgs(['throwError']);

        await pause();
        for (const make of [() => proxy.invoke('throwError'), () => proxy.invokeWith({label: 'x'}, 'throwError'),
            () => proxy.call(args, null), () => proxy.start(args, null).wait(null)]) {
            const error = await getError(make());
            assert(hasOrigin(error), error.stack);
        }
        assert((await getError(proxy.invoke(() => 1))).stack.includes('test-gjs-program.js'), 'what cannot be sent');
        await pause();
        const begun = GLib.get_monotonic_time();
        const errors = await Promise.all(Array.from({length: 1000}, fail));
        const nTenths = (GLib.get_monotonic_time() - begun) / 1e5;
        assertEqual(errors.map(hasOrigin).lastIndexOf(true, 99), 99);
        assert(errors.filter(hasOrigin).length <= (nTenths + 1) * 100, 'too many');
        await pause();
        assert(hasOrigin(await fail()), 'later');
        await proxy.close_async();
    },

    // Whether a call that failed had been started.
    async whatErrorsKnow() {
        const proxy = makeProxy('act');
        const thrown = await getError(proxy.invoke('throwError'));
        const [died, behind] = await Promise.all([proxy.invoke('exit'), proxy.invoke('returnNothing')].map(getError));
        const closed = await getError(proxy.invoke('returnNothing'));
        const {YES, NO} = Afrpc.Started;

        assertEqual([thrown, died, behind, closed].map(error => error.started), [YES, YES, NO, NO]);
        assertEqual((await getError(proxy.call(null))).started, NO, 'of a call with a value');
        assertEqual([died, behind].map(error => error.exit.get_status()), [7, 7], 'how the worker ended');
        assertEqual(thrown.exit, null, 'an end that was not');
        assert([thrown, died, behind].every(error => error.process === proxy.get_process()), 'who had it');
        assertEqual(Object.keys(died).filter(name => ['started', 'process', 'exit'].includes(name)), []);
    },

    // Also where many do.
    async whoHadIt() {
        const process = Afrpc.Process.new_exec('gjs');
        process.require(WORKER);
        const pool = new Afrpc.Pool({process, function: 'act', max_workers: 1});
        const [died, thrown] = await Promise.all(['exit', 'throwError'].map(what => getError(pool.invoke(what))));

        assertEqual([died.exit.get_status(), thrown.exit], [7, null], 'how they ended');
        assert(died.message.includes(`pid ${died.process.get_pid()})`), `who had it is in '${died.message}'`);
        assert(thrown.process !== died.process, 'another had the second');
        await pool.close_async();
    },

    noProxy() {
        const process = Afrpc.Process.new_exec('c');

        for (const properties of [undefined, {}, {process}, {function: 'x'}, {process, function: null}, {process: {}, function: 'x'}])
            assertThrows(() => new Afrpc.Proxy(properties), TypeError, 'a proxy needs');
        assertThrows(() => Afrpc.Proxy.new(null, 'x'), Error);
        assertThrows(() => Afrpc.Proxy.new(process, null), Error);
    },

    // What a function has declared decides, in whatever language it is.
    async declared() {
        const functions = {'act': {}, 'act_async': {backend: ASYNC}};

        for (const [name, options] of Object.entries(functions)) {
            const proxy = makeCProxy({function: name, ...options});

            assertEqual(await proxy.invoke('return', 5), 5, 'what is (sx) by itself');
            assertEqual(await proxy.invoke('return', new GLib.Variant('y', 5)), 5, 'what is (sy)');
            await assertError(proxy.invoke('return'), E, E.INVALID_ARGUMENTS, 'takes (sv), not (s)');
            await assertError(proxy.invoke(5, 5), E, E.INVALID_ARGUMENTS, 'takes (sv), not (xx): 5 does not fit');
            await proxy.close_async();
        }
        for (const [name, options] of [['sum', {}], ['sumLater', {backend: ASYNC}]]) {
            const proxy = makeProxy(name, options);

            assertEqual(await proxy.invoke([1, 2, 0.5], 'x'), ['Float64Array', 3.5, 'x']);
            assertEqual(await proxy.invoke(new Set(), null), ['Float64Array', 0, null]);
            await assertError(proxy.invoke([1, 'x'], 'x'), E, E.INVALID_ARGUMENTS, "takes (adms), not (avs): 'x' does not fit");
            await proxy.close_async();
        }
        await assertError(makeProxy('badlyDeclared').invoke(), E, E.FUNCTION, 'the signature of \'badlyDeclared\'');
    },

    async descriptors() {
        const proxy = makeCProxy();
        const fds = Gio.UnixFDList.new();
        const [value, list] = await proxy.invokeWith({signature: '(sv)', fds}, 'return', 'x');

        assertEqual(value, 'x', 'a value');
        assert(list === null || list instanceof Gio.UnixFDList, 'what comes along');
        await proxy.close_async();
    },

    // However a promise is made, who waits for it is told in turn.
    async order() {
        const proxy = makeCProxy();
        const said = [];
        const calls = [1, 2].map(n => proxy.invoke('hang', new GLib.Variant('u', 0)).catch(() => said.push(`call ${n}`)));

        proxy.connect('error', () => {});
        proxy.kill();
        await Promise.all([...calls, proxy.close_async().then(() => said.push('closed'))]);
        assertEqual(said, ['call 1', 'call 2', 'closed']);
    },

    // Who awaits goes on after the signals: what one of them has put in the worker's place is there.
    async end() {
        const said = [];
        let proxy = null;

        function renew() {
            const process = Afrpc.Process.new_exec('gjs');

            proxy = makeProxy('act', {}, process);
            proxy.connect('error', () => said.push('error'));
            process.connect('exited', () => said.push('exited'));
            proxy.connect('destroyed', () => {
                said.push('destroyed');
                if (!said.includes('awaited'))
                    renew();
            });
        }

        renew();
        proxy.call(new GLib.Variant('(s)', ['exit']), null, () => said.push('called back'));
        await getError(proxy.invoke('returnNothing'));
        said.push('awaited');
        // But if a handler runs the main loop, as tests/nesting.c has it, that goes on there.
        if (GLib.getenv('AFRPC_TEST_NESTING') !== null)
            return;
        assertEqual(said, ['called back', 'error', 'exited', 'destroyed', 'awaited']);
        assertEqual(await proxy.invoke('returnNothing'), null, 'another worker');
        await proxy.close_async();
    },

    // However a call is made, what is thrown says whether it had been started, and what it was.
    async started() {
        const proxy = makeProxy('act');
        const args = new GLib.Variant('(s)', ['throwError']);
        const later = (begin, finish) => new Promise((resolve, reject) => begin((source, result) => {
            try {
                resolve(finish(source, result));
            } catch (e) {
                reject(e);
            }
        }));
        const ways = {
            call_sync: () => proxy.call_sync(args, null),
            call_full_sync: () => proxy.call_full_sync(args, null, null),
            wait_sync: () => proxy.start(args, null).wait_sync(null),
            call: () => proxy.call(args, null),
            call_full: () => proxy.call_full(args, null, null),
            call_finish: () => later(cb => proxy.call(args, null, cb), (_proxy, result) => proxy.call_finish(result)),
            call_full_finish: () => later(cb => proxy.call_full(args, null, null, cb),
                (_proxy, result) => proxy.call_full_finish(result)),
            wait_finish: () => later(cb => proxy.start(args, null).wait(null, cb), (call, result) => call.wait_finish(result)),
            invoke: () => proxy.invoke('throwError'),
            invokeSync: () => proxy.invokeSync('throwError'),
        };

        for (const [name, way] of Object.entries(ways)) {
            const error = await getError((async () => way())());

            assertEqual(error.started, Afrpc.Started.YES, `of ${name}`);
            assert(error.process === proxy.get_process() && error.exit === null, `who had it, of ${name}`);
            assertEqual(error.name, 'RangeError', `of ${name}`);
        }
        assertEqual(proxy.call_sync(new GLib.Variant('(s)', ['retire']), null).deepUnpack(), 'retired');
        assertEqual(proxy.call_full_sync(new GLib.Variant('(s)', ['retire']), null, null)[0].deepUnpack(), 'retired');
        const ofGLib = new Gio.IOErrorEnum({code: Gio.IOErrorEnum.NOT_FOUND, message: 'nothing'});
        const throwing = {
            toJSON() {
                throw ofGLib;
            },
        };
        const badOptions = [{fds: [9999]}, {cancellable: {}}, {metadata: [1]}, {nonsense: 1}, {timeoutMs: -1}, {signature: 'x'}];
        const wrong = [
            () => proxy.invoke(() => 1),
            () => proxy.invokeSync(() => 1),
            () => proxy.invoke(throwing),
            ...badOptions.map(options => () => proxy.invokeWith(options, 'retire')),
            ...badOptions.map(options => () => proxy.invokeSyncWith(options, 'retire')),
            () => proxy.call('x'),
            () => proxy.call(args, {}),
            () => proxy.call_full(args, {}),
            () => proxy.call_sync('x'),
            () => proxy.call_full_sync(args, {}),
            () => proxy.start('x'),
        ];
        for (const [i, way] of wrong.entries()) {
            const {started, process, exit} = await getError((async () => way())());

            assertEqual([started, process, exit], [Afrpc.Started.NO, null, null], `of what cannot be sent, ${i}`);
        }
        await proxy.close_async();
        assertEqual((await getError((async () => proxy.call_sync(args, null))())).started, Afrpc.Started.NO, 'at the end');
    },

    // What cannot be unpacked had been made by a call that was.
    async startedIfNotUnpacked() {
        const proxy = makeCProxy();
        const type = new GLib.VariantType('a()');
        const many = GLib.Variant.new_from_bytes(type, new GLib.Bytes(new Uint8Array(16 << 20)), false);

        for (const way of [() => proxy.invoke('return', many), () => proxy.invokeSync('return', many)]) {
            const error = await getError((async () => way())());

            assert(error instanceof RangeError, `it is ${error}`);
            assertEqual([error.started, error.exit], [Afrpc.Started.YES, null], 'whether it was started');
            assert(error.process === proxy.get_process(), 'who had it');
        }
        await proxy.close_async();
    },

    // Loading has no time limit but those of calls, and only killing ends it.
    async neverLoaded() {
        const process = Afrpc.Process.new_exec('gjs');
        process.eval('await new Promise(() => {}); export function greet() {}');
        const proxy = new Afrpc.Proxy({process, function: 'greet', call_timeout_ms: 50});
        proxy.connect('error', () => {});
        const waiting = proxy.invokeWith({timeoutMs: 0, executionTimeoutMs: 1});
        for (const outcome of [proxy.invoke(), callFirst(proxy, 100)]) {
            const error = await getError(outcome);

            assert(error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.TIMED_OUT), `it is ${error}`);
            assert(error.message.includes('was not ready'), error.message);
            assertEqual(error.started, Afrpc.Started.NO, 'whether it was started');
        }
        assertEqual((await getError(waiting)).started, Afrpc.Started.NO, 'of the one without a limit');
        assert(proxy.is_closed(), 'it has been killed');
    },

    async text() {
        const text = new TextEncoder().encode('Grüße');
        const proxy = makeProxy('echo', {bytesAsText: true});

        assertEqual(await proxy.invoke(text), 'Grüße');
        assertEqual(await proxy.invokeWith({bytesAsText: false}, text), text);
        proxy.bytesAsText = false;
        assertEqual(await proxy.invoke(text), text);
        await proxy.close_async();
    },

    async plainError() {
        const error = await getThrown('throwError');

        assert(error.matches(E, E.REMOTE), 'its domain');
        assertEqual([error.name, error.cause, error.errors], ['RangeError', undefined, undefined]);
        assert(error.message.startsWith('RangeError: out of it\n'), `its message ${error.message}`);
        assert(String(error).includes('Error: RangeError: out of it\n'), `as text ${error}`);
    },

    async pythonError() {
        const error = await getThrown('throwPython');

        assert(error.matches(E, E.REMOTE), 'its domain');
        assertEqual(error.message, 'python-exception -11: KeyError: 5\n\nTraceback $&');
        assert(String(error).endsWith('Traceback $&'), `as text ${error}`);
        // What is below the object has all of it.
        assertEqual(Afrpc.Error.dup_message(error), error.message);
        assertEqual(Afrpc.Error.dup_message(new GLib.Error(E, E.REMOTE, 'python-exception -1: a\n\n{}')), 'python-exception -1: a');
    },

    async causes() {
        const error = await getThrown('throwCause');

        assert(error.matches(E, E.REMOTE) && error.message.includes('outer'), 'what was thrown');
        assertEqual(error.name, 'Error');
        assert(error.cause instanceof TypeError, `the cause ${error.cause}`);
        assertEqual([error.cause.name, error.cause.message], ['TypeError', 'inner']);
        assertStack(error.cause);
        assertEqual(error.cause.cause, {code: 5, words: ['a']});
    },

    async aggregates() {
        const error = await getThrown('throwAggregate');
        const [one, two, three] = error.errors;

        assertEqual([error.name, error.errors.length, error.cause.message], ['AggregateError', 3, 'why']);
        assert(one instanceof RangeError, 'the class of the first');
        assertEqual([one.message, two.message, three], ['one\nof@file:1:2', 'two', 'three']);
        assertStack(one);
        assert(two.cause.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND), `the cause ${two.cause}`);
        assertEqual(two.cause.message, 'not\nthere');
    },

    async otherErrors() {
        const own = await getThrown('throwOwnClass');
        const circle = await getThrown('throwCircle');
        const many = await getThrown('throwMany');
        const long = await getThrown('throwLong');
        let n = 0;

        assertEqual([own.name, own.cause.name, own.cause.message], ['OutOfPaper', 'OutOfPaper', 'tray 2']);
        assertEqual([circle.cause.message, circle.cause.cause], ['and round', undefined]);
        for (let error = many; error !== undefined; error = error.cause)
            n++;
        assert(n > 10 && n < 200, `${n} causes`);
        assertEqual([long.name, long.message.length > 10000], ['Error', true]);
    },

    // An error goes on as it came, to whoever called the caller.
    async passedOn() {
        const proxy = makeProxy('passOn', {backend: ASYNC});
        const error = await getError(proxy.invoke('throwAggregate'));

        assertEqual([error.name, error.errors.length, error.cause.message], ['AggregateError', 3, 'why']);
        assertEqual(error.errors[0].message, 'one\nof@file:1:2');
        assert(error.message.startsWith('AggregateError: '), `its message ${error.message}`);
        await proxy.close_async();
    },

    async eventsOfTheDead() {
        const proxy = makeProxy('act');
        const before = proxy.events();
        const others = [proxy.events(), proxy.events()];

        assertEqual(await before.return(), {done: true, value: undefined});
        assertEqual(await before.next(), {done: true, value: undefined});
        await proxy.invoke('sendEvents', 2);
        await proxy.close_async();
        for (const events of others) {
            const seen = [];
            for await (const event of events)
                seen.push(event);
            assertEqual(seen, ['event 0', 'event 1', 2], 'what each sees');
        }
        for await (const event of proxy)
            assert(false, `${event} of a proxy that is destroyed`);
        assertEqual(await proxy.events().next(), {done: true, value: undefined});
    },

    // In a program of its own, which warnings end.
    async eventsLeft() {
        const code = `
            import Afrpc from 'gi://Afrpc?version=1.0';
            const process = Afrpc.Process.new_exec('gjs');
            process.eval('export function run(n) { for (let i = 0; i < n; i++) this.event(i); return n; }');
            const proxy = new Afrpc.Proxy({process, function: 'run'});
            const events = proxy.events();
            const call = proxy.invoke(1000);
            for await (const _event of events)
                break;
            await call;
            await proxy.close_async();`;
        const [file, stream] = Gio.File.new_tmp('afrpc-XXXXXX.js');

        stream.close(null);
        file.replace_contents(code, null, false, Gio.FileCreateFlags.NONE, null);
        const program = Gio.Subprocess.new(['gjs', '-m', file.get_path()], Gio.SubprocessFlags.STDERR_PIPE);
        const [, , words] = program.communicate_utf8(null, null);
        file.delete(null);
        assertEqual(words, '', 'warnings');
    },

    async tooManyEvents() {
        const proxy = makeProxy('act');
        const [few, all] = [proxy.events(3), proxy.events()];
        const seen = [];

        for (const limit of [0, -1, 1.5, 'x'])
            assertThrows(() => proxy.events(limit), TypeError);
        await proxy.invoke('sendEvents', 5);
        try {
            for await (const event of few)
                seen.push(event);
            assert(false, 'it ends without an error');
        } catch (e) {
            assert(e instanceof RangeError, `${e}`);
        }
        assertEqual(seen, ['event 0', 'event 1', 'event 2'], 'those up to the limit');
        assertEqual(await few.next(), {done: true, value: undefined});
        proxy.close();
        for await (const event of all)
            seen.push(event);
        assertEqual(seen.slice(3, 8), [0, 1, 2, 3, 4].map(i => `event ${i}`), 'nobody else is concerned');
    },

    async eventsByDefault() {
        const LIMIT = 100000;
        const proxy = makeProxy('act');
        const [enough, tooMany] = [proxy.events(), proxy.events()];
        let n = 0;

        for (let i = 0; i < 2; i++)
            await proxy.invoke('sendEvents', LIMIT / 2 - 1); // and one more
        assertEqual(await enough.next(), {done: false, value: 'event 0'}); // so that there is room for another one
        await proxy.invoke('sendEvents', 0);
        await proxy.close_async();
        for await (const _event of enough)
            n++;
        assertEqual(n, LIMIT, 'as many as are kept');
        n = 0;
        try {
            for await (const _event of tooMany)
                n++;
            assert(false, 'it ends without an error');
        } catch (e) {
            assert(e instanceof RangeError && e.message.includes(`more events than ${LIMIT} waited`), `${e}`);
        }
        assertEqual(n, LIMIT, 'those up to the limit');
    },

    async callbacks() {
        const proxy = makeCProxy();
        const args = new GLib.Variant('(sv)', ['return', new GLib.Variant('s', 'x')]);
        const result = await new Promise(resolve => proxy.call(args, null, (_proxy, res) => resolve(proxy.call_finish(res))));

        assertEqual(result.deepUnpack(), 'x', 'the result that a callback gets');
        await new Promise(resolve => proxy.close_async(null, resolve));
        assert(await getError(proxy.call('x')) instanceof Error, 'what is no value');
    },

    async backendByName() {
        for (const [backend, expected] of [['sync', 'SYNC'], ['async', 'ASYNC'], [Afrpc.Backend.ASYNC, 'ASYNC'], [0, 'SYNC']]) {
            for (const Caller of [Afrpc.Proxy, Afrpc.Pool]) {
                const caller = new Caller({process: Afrpc.Process.new_exec('gjs'), function: 'f', backend});
                assertEqual(caller.backend, Afrpc.Backend[expected], `of ${backend}`);
                await caller.close_async();
            }
        }
        for (const backend of ['asynchronous', 2, null])
            assertThrows(() => new Afrpc.Proxy({process: Afrpc.Process.new_exec('gjs'), function: 'f', backend}), TypeError, 'backend');
    },

    noArray() {
        for (const args of [5, 'xy', {a: 1}, null, undefined, new Set([1]), true]) {
            assertThrows(() => Afrpc.packArgs(args), TypeError, 'are an array');
            assertThrows(() => Afrpc.packArgs(args, '(ss)'), TypeError, 'are an array');
        }
        assertEqual(Afrpc.packArgs(['x', 'y']).print(true), "('x', 'y')");
    },

    async tooLate() {
        const process = Afrpc.Process.new_exec('gjs');
        const ways = [['require', './x.js'], ['eval', ''], ['send_arg', 1], ['send_fd', 0], ['setenv', 'A', 'b', true], ['set_cwd', '/'],
            ['set_nice', 1], ['set_stderr', Afrpc.Stdio.CAPTURE]];

        process.eval('export function f() {}');
        const proxy = new Afrpc.Proxy({process, function: 'f'});
        for (const [name, ...args] of ways)
            assertThrows(() => process[name](...args), Error, 'before a proxy is made for it');
        await proxy.invoke();
        await proxy.close_async();
    },

    bursts: () => outsideOfPromises(bursts),

    async burstsOfWorkers() {
        for (const options of [{}, {backend: ASYNC}]) {
            const proxy = makeProxy('litterAndEcho', options);
            const numbers = Array.from({length: 500}, (_, i) => i);

            assertEqual(await Promise.all(numbers.map(i => proxy.invoke(i))), numbers, 'the results');
            await proxy.close_async();
        }
    },

    // Of a call whose promise nobody can settle any more.
    async lostPromises() {
        const proxy = makeProxy('act', {backend: ASYNC});
        const slow = makeProxy('crossing', {backend: ASYNC});
        const kept = slow.invoke(1);

        await assertError(proxy.invoke('returnNever'), E, E.NO_RESULT, 'dropped the call without an answer');
        await assertError(proxy.invoke('returnNever'), E, E.NO_RESULT, 'dropped the call without an answer');
        assertEqual(await slow.invoke(2), 2, 'the other');
        assertEqual(await kept, 1, 'one that somebody can settle');
        await proxy.close_async();
        await slow.close_async();
    },

    async memory() {
        const proxy = makeProxy('echo');
        const bytes = new Uint8Array(8 << 20);
        const getSize = () => Number(new TextDecoder().decode(GLib.file_get_contents('/proc/self/statm')[1]).split(' ')[1]) * 4096;
        let most = 0;

        for (let i = 0; i < 60; i++) {
            assertEqual((await proxy.invoke(bytes)).length, bytes.length);
            most = Math.max(most, getSize());
        }
        System.gc();
        assert(most < getSize() + (250 << 20), `${most} bytes during 480 MiB, ${getSize()} afterwards`);
        await proxy.close_async();
    },
});
