// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported _init */

// What makes the library read naturally in JavaScript. The host of workers uses the same files, so that values
// convert by one rule on both sides.
imports.gi.versions.AfrpcGjs = '1.0';
const {AfrpcGjs, GLib} = imports.gi;
const {
    afrpcCaller: Callers, afrpcCalls: Calls, afrpcMap: Maps, afrpcPackAs: PackAs, afrpcRanges: Ranges, afrpcUnpack: Unpack,
} = imports.overrides;

// By the type of the value alone, or as a type says.
function pack(value, type = null) {
    return PackAs.packBytes(value, type, AfrpcGjs.new_value);
}

function packArgs(args, signature = null) {
    if (!Array.isArray(args))
        throw new TypeError(`arguments are an array, not ${args === null || typeof args !== 'object' ? String(args) : 'another object'}`);

    return PackAs.packArgsBytes(args, signature, AfrpcGjs.new_value);
}

// By the type of the GVariant.
function unpack(variant, options = {}) {
    return Unpack.unpackBytes(...AfrpcGjs.get_value(variant.get_normal_form()), options);
}

// A word would be taken for 0 by gjs.
function getBackend({SYNC, ASYNC}, backend) {
    const found = {sync: SYNC, async: ASYNC, [SYNC]: SYNC, [ASYNC]: ASYNC}[backend];

    if (found === undefined)
        throw new TypeError(`a backend is 'sync' or 'async', not ${String(backend)}`);
    return found;
}

// What a proxy and a pool want to be made.
function checkProperties({Process, Backend}, what, properties) {
    const {process, function: name, backend} = properties;

    if (!(process instanceof Process))
        throw new TypeError(`a ${what} needs a process`);
    if (typeof name !== 'string')
        throw new TypeError(`a ${what} needs the name of a function`);
    if (backend !== undefined)
        properties.backend = getBackend(Backend, backend);
}

function extendPool(Pool) {
    Pool.prototype.map = function (iterable, options = {}) {
        return new Maps.Results(this, iterable, options);
    };
    Pool.prototype.invokeAll = function (...args) {
        return Calls.invokeAll(this, {}, args);
    };
    Pool.prototype.invokeAllWith = function (options, ...args) {
        return Calls.invokeAll(this, options, args);
    };
}

// What is said of a process before it gets its job, and before it is started: the library itself only complains.
const PREPARERS = ['require', 'eval', 'send_arg', 'send_fd'];
const CONFIGURERS = ['set_environ', 'setenv', 'unsetenv', 'set_cwd', 'set_limit', 'set_nice', 'set_orphan_policy',
    'set_process_group', 'set_send_modules', 'set_stdin', 'set_stdout', 'set_stderr', 'take_stdin_fd', 'take_stdout_fd',
    'take_stderr_fd'];

function guardProcess(Process, Start) {
    const {prototype} = Process;

    for (const name of [...PREPARERS, ...CONFIGURERS]) {
        const original = prototype[name];

        prototype[name] = function (...args) {
            if (this._afrpcHasJob) {
                throw new Error(`${name}(): a process is prepared before it gets its job: before a proxy is made for it, and ` +
                    'before it is run or handed over');
            }
            if (this.get_start() !== Start.NONE && CONFIGURERS.includes(name))
                throw new Error(`${name}(): this is said of a process before it is started`);

            return original.call(this, ...args);
        };
    }
    for (const name of ['run_async', 'to_fd_async']) {
        const original = prototype[name];

        prototype[name] = function (...args) {
            this._afrpcHasJob = true;
            return original.call(this, ...args);
        };
    }
}

function extendProcess(Process) {
    const {eval: evalCode, send_arg: sendArg} = Process.prototype;
    const newFromFd = Process.new_from_fd;

    Process.prototype.eval = function (code, ...args) {
        if (args.length === 1 && (args[0] === null || args[0] instanceof GLib.Variant))
            evalCode.call(this, code, args[0]);
        else
            evalCode.call(this, code, packArgs(args));
    };
    Process.prototype.send_arg = function (arg) {
        sendArg.call(this, pack(arg));
    };
    Process.new_from_fd = function (host, fd, pidfd = -1) {
        return newFromFd.call(this, host, fd, pidfd);
    };
}

// The bytes of whatever has some, as they are. (gjs itself makes a byte of each element.)
function toBytes(data) {
    if (ArrayBuffer.isView(data))
        return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (data instanceof ArrayBuffer)
        return new Uint8Array(data);
    if (data instanceof GLib.Bytes)
        return data.toArray();
    throw new TypeError('what is written to a buffer has bytes: a typed array, an ArrayBuffer, a DataView, or GLib.Bytes');
}

function extendBuffer(Buffer) {
    const {write} = Buffer.prototype;
    const {new: newBuffer} = Buffer;

    Buffer.new = function (size, flags = 0) {
        if (!(size >= 1))
            throw new RangeError('a buffer has at least 1 byte');
        return newBuffer.call(this, size, flags);
    };
    Buffer.prototype.write = function (offset, data) {
        const bytes = toBytes(data);
        const size = Number(this.get_size());

        if (this.is_sealed())
            throw new Error('the buffer is sealed');
        if (!(offset >= 0 && offset + bytes.length <= size))
            throw new RangeError(`${bytes.length} bytes at ${offset} do not fit into a buffer of ${size}`);
        write.call(this, offset, bytes);
    };
}

function extendWorker(Worker, Invocation) {
    for (const prototype of [Worker.prototype, Invocation.prototype]) {
        const getMetadata = prototype.get_metadata;

        Object.defineProperty(prototype, 'metadata', {
            get() {
                const metadata = getMetadata.call(this);

                return metadata !== null ? unpack(metadata) : {};
            },
        });
    }

    Worker.prototype.event = function (event) {
        PackAs.packBytes(event, null, (type, bytes) => AfrpcGjs.event(this, type, bytes));
    };
    Worker.prototype.progress = function (progress) {
        PackAs.packBytes(progress, null, (type, bytes) => AfrpcGjs.progress(this, null, type, bytes));
    };

    // So that a function need not know which backend it runs in.
    Invocation.prototype.event = function (event) {
        this.get_worker().event(event);
    };
    Invocation.prototype.flush = function () {
        this.get_worker().flush();
    };
    Invocation.prototype.retire = function () {
        this.get_worker().retire();
    };
    Invocation.prototype.progress = function (progress) {
        PackAs.packBytes(progress, null, (type, bytes) => AfrpcGjs.progress(this.get_worker(), this, type, bytes));
    };

    // An answer is final, whoever gave it: the function or, with what it returns, its host.
    Invocation.prototype.answered = false;
    Invocation.prototype.return_value = function (value) {
        PackAs.packBytes(value, null, (type, bytes) => AfrpcGjs.answer(this, type, bytes));
        this.answered = true;
    };
    for (const name of ['return_error', 'return_error_literal']) {
        const original = Invocation.prototype[name];

        Invocation.prototype[name] = function (...args) {
            original.call(this, ...args);
            this.answered = true;
        };
    }
}

function _init() {
    const Afrpc = this;

    Afrpc.pack = pack;
    Afrpc.packArgs = packArgs;
    Afrpc.unpack = unpack;
    Afrpc.worker = null;

    Calls.prepare(Afrpc);
    Callers.extend(Afrpc.Proxy, properties => checkProperties(Afrpc, 'proxy', properties),
        proxy => (proxy.get_process()._afrpcHasJob = true));
    Callers.extend(Afrpc.Pool, properties => checkProperties(Afrpc, 'pool', properties));
    extendPool(Afrpc.Pool);
    extendBuffer(Afrpc.Buffer);
    extendProcess(Afrpc.Process);
    guardProcess(Afrpc.Process, Afrpc.Start);
    extendWorker(Afrpc.Worker, Afrpc.Invocation);
    for (const Class of [Afrpc.Pool, Afrpc.Process, Afrpc.Proxy])
        Ranges.extend(Class);
}
