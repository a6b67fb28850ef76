// SPDX-License-Identifier: LGPL-2.1-or-later
// Workers in JavaScript, well and badly behaved.
import Afrpc from 'gi://Afrpc?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';

import {BAD_HOST, WORKER, assert, assertEqual, assertError, getError, makeProxy, runTests, skip} from './gjs-util.js';

const {SYNC, ASYNC} = Afrpc.Backend;
const TMPDIR = GLib.Dir.make_tmp('afrpc-test-XXXXXX');
const IO = Gio.IOErrorEnum;
const E = Afrpc.Error;

// What goes wrong in the call alone: the same with both backends.
const BAD = [
    ['throwError', E, E.REMOTE, 'RangeError: out of it', 'gjs-worker.js:'],
    ['throwString', E, E.REMOTE, 'just words'],
    ['throwNull', E, E.REMOTE, 'null'],
    ['throwEvil', E, E.REMOTE, 'an exception that cannot be shown'],
    ['throwNul', E, E.REMOTE, 'Error: a\\0b'],
    ['throwGError', IO, IO.NOT_FOUND, 'no such thing'],
    ['recurse', E, E.REMOTE, 'InternalError: too much recursion'],
    ['returnSymbol', E, E.REMOTE, 'TypeError: a symbol cannot be sent'],
    ['returnError', E, E.REMOTE, 'TypeError: an object of Error cannot be sent (at value["x"][0])'],
    ['returnGenerator', E, E.REMOTE, 'TypeError: an object of Generator cannot be sent'],
    ['returnBadMap', E, E.REMOTE, 'TypeError: a Map whose keys'],
    ['returnCycle', E, E.REMOTE, 'RangeError: a value that is nested too deeply cannot be sent'],
    ['returnNul', E, E.REMOTE, 'NUL'],
    ['returnSurrogate', E, E.REMOTE, 'surrogate'],
    ['returnHuge', E, E.REMOTE, 'RangeError: 18446744073709551616 does not fit into 64 bits'],
    ['sendBadEvent', E, E.REMOTE, 'TypeError: a function cannot be sent'],
];

function endOf(proxy) {
    return proxy.process.wait_async();
}

async function checkBad(proxy) {
    for (const [name, ...expected] of BAD)
        await assertError(proxy.invoke(name), ...expected);
    assertEqual(await proxy.invoke('returnNothing'), null, 'a call afterwards');

    const ended = endOf(proxy);
    assertEqual(await proxy.invoke('rejectUnhandled'), 'fine', 'a call with a rejection that nobody handles');
    assert(await proxy.close_async(), 'closing');
    const exit = await ended;
    assert(exit.is_success(), exit.to_string());
    assert(exit.get_stderr().includes('Unhandled promise rejection'), exit.get_stderr());
}

async function checkEvents(proxy) {
    const events = proxy.events();
    const result = proxy.invoke('sendEvents', 1000);
    const seen = [];

    proxy.close();
    for await (const event of events)
        seen.push(event);
    assertEqual(seen, [...Array.from({length: 1000}, (_, i) => `event ${i}`), 1000], 'what was sent');
    assertEqual(await result, 'sent', 'the result');
}

async function checkExit(proxy, status, ...args) {
    const ended = endOf(proxy);

    await assertError(proxy.invoke(...args), E, E.DIED, `status ${status}`);
    assertEqual((await ended).get_status(), status, 'the exit status');
}

function listFiles(path) {
    return [...Gio.File.new_for_path(path).enumerate_children('standard::name', 0, null)].map(info => info.get_name());
}

async function checkEval(code, args, ...expected) {
    const process = Afrpc.Process.new_exec('gjs');

    process.setenv('TMPDIR', TMPDIR, true);
    process.eval(code, ...args);
    const proxy = new Afrpc.Proxy({process, function: 'run'});
    proxy.connect('error', () => {});
    if (expected.length > 1)
        await assertError(proxy.invoke('x'), ...expected);
    else
        assertEqual(await proxy.invoke('x'), expected[0]);
    await proxy.close_async();
    assertEqual(listFiles(TMPDIR), [], 'what stays behind');
}

function makeModuleProxy(module, path) {
    const process = Afrpc.Process.new_exec('gjs');

    process.setenv('AFRPC_MODULE_PATH', path, true);
    process.require(module);
    const proxy = new Afrpc.Proxy({process, function: 'echo'});
    proxy.connect('error', () => {});

    return proxy;
}

async function checkModule(module, ...expected) {
    const proxy = makeModuleProxy(module, `/nowhere::${GLib.path_get_dirname(WORKER)}`);

    if (expected.length > 1)
        await assertError(proxy.invoke('x'), ...expected);
    else
        assertEqual(await proxy.invoke('x'), expected[0]);
    await proxy.close_async();
}

function writeModule(name, code) {
    const path = `${TMPDIR}/${name}.js`;

    GLib.file_set_contents(path, code);
    return path;
}

runTests({
    async arguments() {
        for (const backend of [SYNC, ASYNC]) {
            const proxy = makeProxy('echo', {backend});
            const value = ['ä', 1, 2n ** 60n, {list: [new Float64Array([1.5]), null]}];

            assertEqual(await proxy.invoke(), [], 'no arguments');
            assertEqual(await proxy.invoke(1, 2), [1, 2], 'two arguments');
            assertEqual(await proxy.invoke(value), value, 'one');
            assertEqual(await proxy.invokeWith({signature: '(uax)'}, 7, [2n ** 60n]), [7, BigInt64Array.of(2n ** 60n)]);
            assertEqual(Afrpc.unpack(await proxy.call(new GLib.Variant('s', 'x'))), 'x', 'what is no tuple');
            await proxy.close_async();
        }
    },

    badSyncFunctions: () => checkBad(makeProxy('act')),
    badFunctionsOfAsyncBackend: () => checkBad(makeProxy('act', {backend: ASYNC})),
    badAsyncFunctions: () => checkBad(makeProxy('actLater', {backend: ASYNC})),

    eventsOfSyncBackend: () => checkEvents(makeProxy('act')),
    eventsOfAsyncBackend: () => checkEvents(makeProxy('act', {backend: ASYNC})),
    eventsOfAsyncFunction: () => checkEvents(makeProxy('actLater', {backend: ASYNC})),

    async promisesNeedTheAsyncBackend() {
        const proxy = makeProxy('act');

        await assertError(proxy.invoke('returnRejected'), E, E.FUNCTION, 'async backend');
        await assertError(proxy.invoke('returnNever'), E, E.FUNCTION, 'async backend');
        assertEqual(await proxy.invoke('returnNothing'), null, 'a call afterwards');
        await proxy.close_async();
        await assertError(makeProxy('actLater').invoke('returnNothing'), E, E.FUNCTION, 'async function');
    },

    // Whatever it is for: to call one does not run it.
    async generators() {
        for (const [name, what] of [['generate', "'generate' is a"], ['generateLater', "'generateLater' is an async"]]) {
            for (const [called, options] of [[name, {}], [name, {backend: ASYNC}], ['echo', {init: name}], ['echo', {done: name}]]) {
                const error = await assertError(makeProxy(called, options).invoke(), E, E.FUNCTION,
                    `${what} generator function, and a call has one result: this.event () and this.progress ()`);

                assertEqual(error.started, Afrpc.Started.NO, 'whether it was started');
            }
        }
    },

    async rejections() {
        const proxy = makeProxy('actLater', {backend: ASYNC});

        await assertError(proxy.invoke('returnRejected'), E, E.REMOTE, 'Error: not granted', 'gjs-worker.js:');
        await proxy.close_async();
    },

    async manyAtOnce() {
        const proxy = makeProxy('crossing', {backend: ASYNC});
        const order = [];

        await Promise.all([1, 2].map(n => proxy.invoke(n).then(result => order.push(result))));
        assertEqual(order, [2, 1], 'the order');
        await proxy.close_async();
    },

    // What is left to be done is done, or dropped, before the engine ends.
    async jobsAtTheEnd() {
        const jobs = {
            leaveJobs: [0, 'a job was done', 'many jobs were done'],
            leaveBadJobs: [0, 'Unhandled promise rejection'],
            leaveExit: [5],
            leaveEndlessJobs: [0],
        };

        for (const [name, [status, ...texts]] of Object.entries(jobs)) {
            const proxy = makeProxy('act');
            const ended = endOf(proxy);

            assertEqual(await proxy.invoke(name), 'left', `what ${name}() returned`);
            await proxy.close_async();
            const exit = await ended;
            assertEqual([exit.get_status(), exit.get_signal()], [status, 0], `the end after ${name}()`);
            for (const text of texts)
                assert(exit.get_stderr().includes(text), `'${text}' in ${exit.get_stderr()}`);
        }

        const proxy = makeProxy('act');
        const ended = endOf(proxy);
        for (const name of ['returnSettled', 'returnNever', 'returnRejected'])
            await assertError(proxy.invoke(name), E, E.FUNCTION, "'act' returned a promise: it needs the async backend, in");
        await proxy.close_async();
        assert((await ended).is_success(), 'the end after promises');
    },

    exitOfSyncBackend: () => checkExit(makeProxy('act'), 7, 'exit'),
    exitOfAsyncBackend: () => checkExit(makeProxy('act', {backend: ASYNC}), 7, 'exit'),
    exitInPromise: () => checkExit(makeProxy('exitLater', {backend: ASYNC}), 8, 8),

    async lastWords() {
        for (const backend of [SYNC, ASYNC]) {
            const proxy = makeProxy('act', {backend});
            const events = proxy.events();
            const seen = [];

            proxy.invoke('flushAndExit').catch(() => {});
            const error = await getError((async () => {
                for await (const event of events)
                    seen.push(event);
            })());
            assertEqual(seen, ['last words'], 'events before the end');
            assert(error.matches(E, E.DIED), `the events end with ${error}`);
        }
    },

    async retires() {
        for (const backend of [SYNC, ASYNC]) {
            const proxy = makeProxy('act', {backend});
            const seen = [];

            proxy.connect('notify::retired', () => seen.push(`retired ${proxy.retired}`));
            proxy.connect('event', (_proxy, event) => seen.push(event.deepUnpack()));
            assertEqual(proxy.is_retired(), false, 'before');
            assertEqual(await proxy.invoke('retire'), 'retired', 'the result');
            assertEqual(seen, ['retired true', 'retired'], 'what came');
            assertEqual(await proxy.invoke('retire'), 'retired', 'another call');
            assertEqual(seen.length, 3, 'what came');
            await proxy.close_async();
        }
    },

    async leavingEvents() {
        const proxy = makeProxy('act');
        const result = proxy.invoke('sendEvents', 3);
        let n = 0;

        proxy.connect('event', () => n++);
        for await (const event of proxy) {
            assertEqual(event, 'event 0', 'the first');
            break;
        }
        await result;
        assertEqual(n, 4, 'what other handlers see');
        await proxy.close_async();
    },

    async progress() {
        for (const backend of [SYNC, ASYNC]) {
            const proxy = makeProxy('act', {backend});
            const seen = [];

            assertEqual(await proxy.invokeWith({onProgress: value => seen.push(value)}, 'sayProgress', 3), 'said');
            assertEqual(seen, [{done: 0}, {done: 1}, {done: 2}], 'the progress');
            assertEqual(await proxy.invoke('sayProgress', 3), 'said', 'a call that does not want to know');
            assertEqual(await proxy.invokeWith({onProgress() {}, timeoutMs: 60000}, 'sayProgress', 1), 'said', 'with a limit');
            await proxy.close_async();
        }
    },

    async fileDescriptors() {
        const proxy = makeProxy('readHandle', {backend: ASYNC});
        const [text, path] = ['what is in it\n', `${TMPDIR}/file`];
        GLib.file_set_contents(path, text);
        const stream = Gio.File.new_for_path(path).read(null);
        const fds = Gio.UnixFDList.new();
        const handle = new GLib.Variant('(h)', [fds.append(stream.get_fd())]);
        const [result] = await proxy.call_full(handle, new Afrpc.CallOptions({fds}));

        assertEqual(Afrpc.unpack(result), text, 'the contents');
        GLib.unlink(path);
        await proxy.close_async();
    },

    async timeLimits() {
        const never = makeProxy('act', {backend: ASYNC});
        const slow = makeProxy('crossing', {backend: ASYNC});
        const busy = makeProxy('act');
        const events = never.events();
        const cancellable = new Gio.Cancellable();
        const cancelled = getError(never.invokeWith({cancellable}, 'returnLate'));
        assertEqual((await events.next()).value, 'waiting', 'the event of a call that runs');
        cancellable.cancel();
        assert((await cancelled).matches(IO, IO.CANCELLED), 'cancelled');
        events.return();
        assertEqual(await never.invoke('letGo'), null, 'a call afterwards');
        assert(await never.close_async(), 'what never settles does not hold the end up');
        assertEqual(await slow.invoke(2), 2, 'a call beforehand');
        await assertError(slow.invokeWith({timeoutMs: 50}, 1), IO, IO.TIMED_OUT);
        assertEqual(await slow.invoke(2), 2, 'what lets it go');
        assert(await slow.close_async(), 'closing');
        await assertError(busy.invokeWith({timeoutMs: 1}, 'waitForCancel'), IO, IO.TIMED_OUT);
        assertEqual(await busy.invoke('returnNothing'), null, 'a call afterwards');
        assert(await busy.close_async(), 'closing');
    },

    async cancelling() {
        const proxy = makeProxy('waitForCancellable', {backend: ASYNC});
        const cancellable = new Gio.Cancellable();
        const events = proxy.events();
        const call = getError(proxy.invokeWith({cancellable}));

        assertEqual((await events.next()).value, 'waiting', 'the event');
        cancellable.cancel();
        assert((await call).matches(IO, IO.CANCELLED), 'cancelled');
        assertEqual((await events.next()).value, 'cancelled', 'the event');
        events.return();
        await proxy.close_async();
    },

    async metadata() {
        for (const [name, options] of [['act', {}], ['actLater', {backend: ASYNC}]]) {
            const proxy = makeProxy(name, options);

            assertEqual(await proxy.invokeWith({metadata: {trace: 'a', n: 7}}, 'tellMetadata'), {trace: 'a', n: 7},
                'the metadata');
            assertEqual(await proxy.invoke('tellMetadata'), {}, 'none');
            await proxy.close_async();
        }
    },

    async answers() {
        const early = makeProxy('answerEarly', {backend: ASYNC});
        const failing = makeProxy('failAfterAnswer', {backend: ASYNC});
        const ended = endOf(failing);

        assertEqual(await early.invoke(), 'early', 'what the function answered by itself');
        await early.close_async();
        assertEqual(await Promise.all([failing.invoke(1), failing.invoke(2)]), ['early', 'failed'], 'the same');
        await failing.close_async();
        const exit = await ended;
        assert(exit.is_success(), exit.to_string());
        assert(exit.get_stderr().includes('too late to matter'), exit.get_stderr());
    },

    async initFunctions() {
        for (const init of ['init', 'initLater']) {
            const process = Afrpc.Process.new_exec('gjs');

            process.send_arg('one');
            process.send_arg(2n ** 60n);
            const proxy = makeProxy('getInitArgs', {init}, process);
            assertEqual(await proxy.invoke(), [['one', 2n ** 60n], true], 'start-up arguments');
            await proxy.close_async();
        }
        await assertError(makeProxy('echo', {init: 'initBadly'}).invoke(), E, E.INIT, 'Error: no wish to begin');
        await assertError(makeProxy('echo', {init: 'missing'}).invoke(), E, E.FUNCTION, 'missing');
    },

    async doneFunctions() {
        for (const [backend, done, status] of [[SYNC, 'done', 0], [SYNC, 'doneLater', 6], [ASYNC, 'doneLater', 6]]) {
            const proxy = makeProxy('echo', {backend, done});
            const ended = endOf(proxy);

            await proxy.invoke();
            await proxy.close_async();
            const exit = await ended;
            assertEqual(exit.get_status(), status, `the status after ${done}`);
            assert(exit.get_stderr().includes('done was called'), exit.get_stderr());
        }
    },

    async processesThatAreTakenOver() {
        const process = Afrpc.Process.new_exec('gjs');

        process.require(WORKER);
        process.send_arg('it');
        const stream = await process.run_async('own');
        const ended = process.wait_async();
        assertEqual(new TextDecoder().decode(stream.input_stream.read_bytes(100, null).toArray()), 'own it');
        assertEqual(stream.input_stream.read_bytes(100, null).get_size(), 0, 'the end');
        assert((await ended).is_success(), 'the status');

        const template = Afrpc.Process.new_exec('gjs');
        template.require(WORKER);
        const [fd, pidfd] = await template.to_fd_async();
        const handedOver = Afrpc.Process.new_from_fd('gjs', fd, pidfd);
        const proxy = new Afrpc.Proxy({process: handedOver, function: 'echo'});
        proxy.connect('error', () => {});
        assertEqual(await proxy.invoke(3), 3, 'the echo of what was handed over');
        assertEqual(handedOver.get_pid(), template.get_pid(), 'the process');
        const killed = template.wait_async();
        handedOver.kill(9);
        assertEqual((await killed).get_signal(), 9, 'the signal');

        const again = Afrpc.Process.new_exec('gjs');
        again.require(WORKER);
        const [socket] = await again.to_fd_async();
        const other = new Afrpc.Proxy({process: Afrpc.Process.new_from_fd(null, socket), function: 'echo'});
        assertEqual(await other.invoke(4), 4, 'without a pidfd');
        await other.close_async();

        const bad = Afrpc.Process.new_exec('gjs');
        bad.set_stderr(Afrpc.Stdio.CAPTURE);
        bad.require(WORKER);
        await bad.run_async('ownBadly');
        const exit = await bad.wait_async();
        assertEqual(exit.get_status(), 1, 'the status of a failure');
        assert(exit.get_stderr().includes('cannot stand it'), exit.get_stderr());
    },

    async code() {
        await checkEval('export function run(x) { return [x, args]; }', ['a', 1n], ['x', ['a', 1]]);
        await checkEval('import GLib from "gi://GLib"; export const run = () => GLib.MAXUINT8;', [], 255);
        await checkEval('export const x = await Promise.resolve(3); export const run = () => x;', [null], 3);
        await checkEval('export function run() { throw new Error("x"); }', [], E, E.REMOTE, 'run@eval 1:1:');
        await checkEval('export function', [], E, E.MODULE, 'the evaluated code cannot be loaded: SyntaxError', 'eval 1:1:1');
        await checkEval('throw new TypeError("top")', [], E, E.MODULE, 'TypeError: top', 'eval 1:1:7');
        await checkEval('imports.system.exit(9)', [], E, E.NOT_STARTED, 'status 9');
    },

    async modules() {
        const syntax = writeModule('syntax', 'export function echo( {');
        const top = writeModule('top', 'export const echo = 1; missing();');
        const importing = writeModule('importing', `import {x} from './${GLib.path_get_basename(syntax)}';`);

        await checkModule('gjs-worker', 'x');
        await checkModule(GLib.filename_to_uri(WORKER, null), 'x');
        await checkModule('missing', E, E.MODULE, 'there is no module \'missing\'', 'AFRPC_MODULE_PATH');
        await checkModule('/nowhere/x.js', E, E.MODULE, 'No such file or directory');
        await checkModule('resource:///nowhere', E, E.MODULE, 'does not exist');
        await checkModule(syntax, E, E.MODULE, `the module '${syntax}' cannot be loaded: SyntaxError`, 'syntax.js:');
        await checkModule(importing, E, E.MODULE, `the module '${importing}' cannot be loaded: SyntaxError`, 'syntax.js:');
        await checkModule(top, E, E.MODULE, `the module '${top}' cannot be loaded: ReferenceError: missing is not defined`, 'top.js:1');
        [syntax, top, importing].forEach(path => GLib.unlink(path));

        const cwd = GLib.get_current_dir();
        GLib.chdir(GLib.path_get_dirname(WORKER));
        for (const name of ['gjs-worker', 'gjs-worker.js']) {
            await assertError(makeModuleProxy(name, '/nowhere').invoke(), E, E.MODULE, `there is no module '${name}'`,
                "; the path of a file has a slash in it: './gjs-worker.js'");
        }
        GLib.chdir(cwd);
        const {message} = await assertError(makeModuleProxy('gjs-worker.js', '/nowhere').invoke(), E, E.MODULE);
        assert(!message.includes('slash'), message);
        await assertError(makeProxy('missing').invoke(), E, E.FUNCTION, 'there is no function \'missing\' in ', WORKER);
        await assertError(makeProxy('toString').invoke(), E, E.FUNCTION, 'there is no function');
        await assertError(new Afrpc.Proxy({process: Afrpc.Process.new_exec('gjs'), function: 'f'}).invoke(), E, E.FUNCTION,
            'there is no function \'f\', and no module was loaded');
        await assertError(makeProxy('notAFunction').invoke(), E, E.FUNCTION, '\'notAFunction\' is not a function');
    },

    // The engine waits for ever where it cannot have a thread.
    async addressSpace() {
        const makeLimited = value => {
            const process = Afrpc.Process.new_exec('gjs');

            process.set_limit(Afrpc.Limit.ADDRESS_SPACE, value);
            return makeProxy('echo', {}, process);
        };
        const getLeast = async (value, pattern) => {
            const error = await getError(makeLimited(value).invoke(1));

            assert(error.matches(E, E.SPAWN) && pattern.test(error.message), `too little is ${error}`);
            return Number(pattern.exec(error.message)[1]);
        };
        let mapped = 0;

        if (['ASAN_OPTIONS', 'TSAN_OPTIONS'].some(name => GLib.getenv(name) !== null))
            skip('a sanitizer needs terabytes of it');
        for (const value of [1, 4 << 20, 1000 << 20])
            mapped = await getLeast(value, / bytes: (\d+) bytes are mapped already/);
        const least = await getLeast(mapped + (1 << 20), / bytes: JavaScript needs at least (\d+)/);
        // Besides, the C library may reserve 64 MiB for a thread, as it happens.
        const proxy = makeLimited(least + (65 << 20));
        assertEqual(await proxy.invoke(1), 1, 'what a worker with little space returns');
        await proxy.close_async();
    },

    async noTemplate() {
        const template = Afrpc.Process.new_for_host('gjs');

        template.require(WORKER);
        template.send_arg('kept');
        const process = template.fork();
        const proxy = new Afrpc.Proxy({process, function: 'getInitArgs', init: 'init'});
        assertEqual((await proxy.invoke())[0], ['kept'], 'what was prepared before');
        assertEqual(process.get_start(), Afrpc.Start.EXEC, 'how it was started');
        await proxy.close_async();
    },

    async command() {
        const host = `${GLib.getenv('AFRPC_HOST_PATH').split(':')[0]}/afrpc-host-gjs`;
        const proxy = makeProxy('collect', {backend: ASYNC}, Afrpc.Process.new_command([host]));
        const ended = endOf(proxy);
        const dying = makeProxy('act', {}, Afrpc.Process.new_command([host]));

        assert(await proxy.invoke() > 0, 'a collection');
        await proxy.close_async();
        assert((await ended).is_success(), 'the end');
        await checkExit(dying, 7, 'exit');
    },

    // Somebody else's host, which does not say why it fails.
    async badHost() {
        const expected = {
            'null': [E.NO_RESULT, '\'null\' gave neither a result nor an error'],
            'throw': [E.REMOTE, 'gjs-js-error-quark 3: not this either'],
            'throw-gerror': [E.BUSY, 'not now'],
            'none': [E.FAILED, 'without saying why'],
        };
        const makeBad = (options, module = 'good') => {
            const process = Afrpc.Process.new_exec(BAD_HOST);
            process.require(module);
            process.set_stderr(Afrpc.Stdio.SILENCE);
            const proxy = new Afrpc.Proxy({process, ...options});
            proxy.connect('error', () => {});
            return proxy;
        };

        for (const [name, [code, text]] of Object.entries(expected))
            await assertError(makeBad({function: name}).invoke(), E, code, text);
        await assertError(makeBad({function: 'good'}, 'false').invoke(), E, E.FAILED, 'without saying why');
        await assertError(makeBad({function: 'good'}, 'throw').invoke(), E, E.REMOTE, 'not this one');
        await assertError(makeBad({function: 'good', init: 'null'}).invoke(), E, E.INIT, 'without saying why');
        await assertError(makeBad({function: 'good', backend: ASYNC}).invoke(), E, E.NOT_SUPPORTED, 'async');
        const good = makeBad({function: 'good', init: 'good'});
        assertEqual(await good.invoke(true), [true], 'what is good');
        await good.close_async();
    },

    // The host finds what belongs to it by itself.
    async emptyEnvironment() {
        const process = Afrpc.Process.new_exec('gjs');

        process.set_environ([]);
        const proxy = makeProxy('getEnvironment', {}, process);
        assertEqual(await proxy.invoke(), [], 'the environment');
        await proxy.close_async();
    },

    async memory() {
        for (const backend of [SYNC, ASYNC]) {
            const proxy = makeProxy('echo', {backend});
            const collector = makeProxy('collect', {backend});
            const values = [Afrpc.pack(new Uint8Array(1 << 20)), Afrpc.pack('x'.repeat(1 << 20))];

            for (let i = 0; i < 200; i++)
                await proxy.call(values[i % 2]);
            const [, status] = GLib.file_get_contents(`/proc/${proxy.process.pid}/statm`);
            const size = Number(new TextDecoder().decode(status).split(' ')[1]) * 4096;
            assert(size < await collector.invoke() + (120 << 20), `${size} bytes after 400 MiB`);
            await proxy.close_async();
            await collector.close_async();
        }
    },

    cleanUp() {
        assertEqual(GLib.rmdir(TMPDIR), 0, 'removing the folder');
    },
});
