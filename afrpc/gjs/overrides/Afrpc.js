// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported _init */

// What makes the library read naturally in JavaScript. The host of workers uses the same files, so that values
// convert by one rule on both sides.
imports.gi.versions.AfrpcGjs = '1.0';
const {AfrpcGjs, GLib} = imports.gi;
const {afrpcCaller: Callers, afrpcCalls: Calls, afrpcMap: Maps, afrpcPackAs: PackAs, afrpcUnpack: Unpack} = imports.overrides;

// By the type of the value alone, or as a type says.
function pack(value, type = null) {
    return PackAs.packBytes(value, type, AfrpcGjs.new_value);
}

function packArgs(args, signature = null) {
    return PackAs.packArgsBytes(args, signature, AfrpcGjs.new_value);
}

// By the type of the GVariant.
function unpack(variant, options = {}) {
    return Unpack.unpackBytes(...AfrpcGjs.get_value(variant.get_normal_form()), options);
}

// What a proxy and a pool want to be made.
function checkProperties(Process, what, {process, function: name}) {
    if (!(process instanceof Process))
        throw new TypeError(`a ${what} needs a process`);
    if (typeof name !== 'string')
        throw new TypeError(`a ${what} needs the name of a function`);
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
    Callers.extend(Afrpc.Proxy, properties => checkProperties(Afrpc.Process, 'proxy', properties));
    Callers.extend(Afrpc.Pool, properties => checkProperties(Afrpc.Process, 'pool', properties));
    extendPool(Afrpc.Pool);
    extendBuffer(Afrpc.Buffer);
    extendProcess(Afrpc.Process);
    extendWorker(Afrpc.Worker, Afrpc.Invocation);
}
