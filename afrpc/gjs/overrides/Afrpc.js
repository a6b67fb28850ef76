// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported _init */

// What makes the library read naturally in JavaScript. The host of workers uses the same file, so that values
// convert by one rule on both sides.
const {GLib} = imports.gi;

const DEPTH_MAX = 127; // of GVariant: deeper values are refused as malformed
const VARIANT = new GLib.VariantType('v');
const ENTRY = new GLib.VariantType('{sv}');
// What this version makes by a constructor of GVariants keeps a reference that nobody owns.
const LEAKS = imports.system.version >= 17400 && imports.system.version < 17500;
const LONE_SURROGATE = /\p{Surrogate}/u;

// Arrays of these are read at once.
const FIXED = {
    b: Uint8Array, n: Int16Array, q: Uint16Array, i: Int32Array, u: Uint32Array, h: Int32Array,
    x: BigInt64Array, t: BigUint64Array, d: Float64Array,
};

function describe(value) {
    if (typeof value !== 'object')
        return `a ${typeof value}`;
    return `an object of ${value.constructor?.name ?? 'an unknown class'}`;
}

function own(variant) {
    if (LEAKS)
        variant.unref();

    return variant;
}

function packString(string) {
    if (string.includes('\0'))
        throw new TypeError('a string with a NUL character cannot be sent; Uint8Array can');
    if (LONE_SURROGATE.test(string))
        throw new TypeError('a string with half a surrogate pair cannot be sent');
    return own(GLib.Variant.new_string(string));
}

function box(value, depth) {
    return own(GLib.Variant.new_variant(packValue(value, depth)));
}

function packObject(object, depth) {
    const entries = Object.entries(object).map(([key, value]) =>
        own(GLib.Variant.new_dict_entry(packString(key), box(value, depth + 3))));

    return own(GLib.Variant.new_array(ENTRY, entries));
}

function packArray(array, depth) {
    return own(GLib.Variant.new_array(VARIANT, Array.from(array, value => box(value, depth + 2))));
}

function packValue(value, depth) {
    if (depth >= DEPTH_MAX)
        throw new RangeError('a value that is nested too deeply cannot be sent');

    switch (typeof value) {
    case 'boolean':
        return own(GLib.Variant.new_boolean(value));
    case 'number':
        return own(GLib.Variant.new_double(value));
    case 'bigint':
        if (BigInt.asIntN(64, value) !== value)
            throw new RangeError(`${value} does not fit into 64 bits`);
        return own(GLib.Variant.new_int64(value));
    case 'string':
        return packString(value);
    case 'undefined':
        return own(GLib.Variant.new_maybe(VARIANT, null));
    case 'object':
        break;
    default:
        throw new TypeError(`${describe(value)} cannot be sent`);
    }

    if (value === null)
        return own(GLib.Variant.new_maybe(VARIANT, null));
    if (value instanceof GLib.Variant)
        return value;
    if (value instanceof Uint8Array)
        return own(GLib.Variant.new_from_bytes(new GLib.VariantType('ay'), value, true));
    if (Array.isArray(value))
        return packArray(value, depth);

    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null)
        throw new TypeError(`${describe(value)} cannot be sent`);
    return packObject(value, depth);
}

// By the type of the value alone.
function pack(value) {
    return packValue(value, 0);
}

function packArgs(args, signature = null) {
    if (signature === null)
        return own(GLib.Variant.new_tuple(args.map(value => packValue(value, 1))));

    const variant = own(new GLib.Variant(signature, args));
    if (!variant.get_type_string().startsWith('('))
        throw new TypeError(`${signature} is not the type of a tuple`);
    return variant;
}

function getBytes(variant) {
    const array = variant.get_data_as_bytes().toArray();

    return array.byteOffset % 8 === 0 ? array : array.slice();
}

function fromBigInt(number) {
    return Number.isSafeInteger(Number(number)) ? Number(number) : number;
}

function unpackFixed(variant, type) {
    const {buffer, byteOffset, length} = getBytes(variant);
    const array = Array.from(new FIXED[type](buffer, byteOffset, length / FIXED[type].BYTES_PER_ELEMENT));

    if (type === 'x' || type === 't')
        return array.map(fromBigInt);
    if (type === 'b')
        return array.map(Boolean);
    return array;
}

function unpackDictionary(variant) {
    const object = {};

    for (let i = 0; i < variant.n_children(); i++) {
        const entry = variant.get_child_value(i);
        // Not an assignment: a key may be “__proto__”.
        Object.defineProperty(object, unpack(entry.get_child_value(0)),
            {value: unpack(entry.get_child_value(1)), configurable: true, enumerable: true, writable: true});
    }

    return object;
}

function unpackChildren(variant) {
    return Array.from({length: variant.n_children()}, (_, i) => unpack(variant.get_child_value(i)));
}

function unpackArray(variant, element) {
    switch (element) {
    case 'y':
        return getBytes(variant);
    case 's':
        return variant.get_strv();
    default:
        if (element in FIXED)
            return unpackFixed(variant, element);
        return element.startsWith('{') ? unpackDictionary(variant) : unpackChildren(variant);
    }
}

// By the type of the GVariant.
function unpack(variant) {
    const type = variant.get_type_string();

    switch (type[0]) {
    case 'b':
        return variant.get_boolean();
    case 'y':
        return variant.get_byte();
    case 'n':
        return variant.get_int16();
    case 'q':
        return variant.get_uint16();
    case 'i':
        return variant.get_int32();
    case 'u':
        return variant.get_uint32();
    case 'h':
        return variant.get_handle();
    case 'x':
    case 't':
        return unpackFixed(variant, type)[0];
    case 'd':
        return variant.get_double();
    case 's':
    case 'o':
    case 'g':
        return variant.get_string()[0];
    case 'v':
        return unpack(variant.get_variant());
    case 'm': {
        const child = variant.get_maybe();
        return child === null ? null : unpack(child);
    }
    case 'a':
        return unpackArray(variant, type.slice(1));
    default:
        return unpackChildren(variant);
    }
}

// As Gio._promisify() does it, but without what else comes with Gio. What is left out is null. A program that
// calls that, too, changes nothing: it looks for the original.
function promisify(klass, name, nArgs, finish = `${name}_finish`) {
    const {prototype} = klass;
    const original = prototype[name];

    prototype[`_original_${name}`] = original;
    prototype[name] = function (...args) {
        if (args.length > nArgs)
            return original.call(this, ...args);

        while (args.length < nArgs)
            args.push(null);
        return new Promise((resolve, reject) => {
            original.call(this, ...args, (self, result) => {
                try {
                    resolve(self[finish](result));
                } catch (e) {
                    reject(e);
                }
            });
        });
    };
}

// The events of a proxy in the order in which they arrive, from now on until the proxy is destroyed.
class Events {
    constructor(proxy) {
        this._proxy = proxy;
        this._events = [];
        this._waiting = [];
        this._error = null;
        this._ids = [
            proxy.connect('event', (_proxy, event) => {
                this._events.push(event);
                this._deliver();
            }),
            proxy.connect('error', (_proxy, error) => {
                this._error ??= error;
            }),
            proxy.connect('destroyed', () => this._end()),
        ];
    }

    _deliver() {
        while (this._waiting.length > 0 && this._events.length > 0)
            this._waiting.shift().resolve({done: false, value: unpack(this._events.shift())});
        if (this._proxy !== null)
            return;

        for (const {resolve, reject} of this._waiting.splice(0)) {
            if (this._error !== null)
                reject(this._error);
            else
                resolve({done: true, value: undefined});
            this._error = null;
        }
    }

    _end() {
        this._ids.forEach(id => this._proxy?.disconnect(id));
        this._ids = [];
        this._proxy = null;
        this._deliver();
    }

    [Symbol.asyncIterator]() {
        return this;
    }

    next() {
        return new Promise((resolve, reject) => {
            this._waiting.push({resolve, reject});
            this._deliver();
        });
    }

    return() {
        this._events = [];
        this._error = null;
        this._end();
        return Promise.resolve({done: true, value: undefined});
    }
}

function extendProxy({CallOptions, Proxy, ProgressMode}) {
    promisify(Proxy, 'call', 2);
    promisify(Proxy, 'call_full', 3);
    promisify(Proxy, 'close_async', 1, 'close_finish');

    Proxy.prototype.invoke = function (...args) {
        return this.invokeWith({}, ...args);
    };

    Proxy.prototype.invokeWith = async function (options, ...args) {
        const {signature = null, cancellable = null, timeoutMs = null, onProgress = null} = options;
        const variant = packArgs(args, signature);

        const callOptions = new CallOptions();

        if (timeoutMs === null && onProgress === null)
            return unpack(await this.call(variant, cancellable));
        if (timeoutMs !== null)
            callOptions.timeoutMs = timeoutMs;
        if (onProgress !== null) {
            callOptions.set_progress(options.progressMode ?? ProgressMode.ALL,
                (_proxy, progress) => onProgress(unpack(progress)));
        }

        return unpack((await this.call_full(variant, callOptions, cancellable))[0]);
    };

    Proxy.prototype.events = function () {
        return new Events(this);
    };

    Proxy.prototype[Symbol.asyncIterator] = Proxy.prototype.events;
}

function extendProcess(Process) {
    promisify(Process, 'run_async', 2, 'run_finish');
    promisify(Process, 'to_fd_async', 1, 'to_fd_finish');
    promisify(Process, 'wait_async', 1, 'wait_finish');

    const evalCode = Process.prototype.eval;
    Process.prototype.eval = function (code, ...args) {
        if (args.length === 1 && (args[0] === null || args[0] instanceof GLib.Variant))
            evalCode.call(this, code, args[0]);
        else
            evalCode.call(this, code, packArgs(args));
    };

    const sendArg = Process.prototype.send_arg;
    Process.prototype.send_arg = function (arg) {
        sendArg.call(this, pack(arg));
    };
}

function extendWorker(Worker, Invocation) {
    for (const [klass, name] of [[Worker, 'event'], [Worker, 'progress'], [Invocation, 'progress']]) {
        const original = klass.prototype[name];

        klass.prototype[name] = function (value) {
            original.call(this, pack(value));
        };
    }

    // So that a function need not know which backend it runs in.
    Invocation.prototype.event = function (event) {
        this.get_worker().event(event);
    };
    Invocation.prototype.flush = function () {
        this.get_worker().flush();
    };

    // An answer is final, whoever gave it: the function or, with what it returns, its host.
    for (const name of ['return_value', 'return_error', 'return_error_literal']) {
        const original = Invocation.prototype[name];

        Invocation.prototype[name] = function (...args) {
            original.call(this, ...(name === 'return_value' ? [pack(args[0])] : args));
            this.answered = true;
        };
    }
    Invocation.prototype.answered = false;
}

function _init() {
    const Afrpc = this;

    Afrpc.pack = pack;
    Afrpc.packArgs = packArgs;
    Afrpc.unpack = unpack;
    Afrpc.worker = null;

    extendProxy(Afrpc);
    extendProcess(Afrpc.Process);
    extendWorker(Afrpc.Worker, Afrpc.Invocation);
}
