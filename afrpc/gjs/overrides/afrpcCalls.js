// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported prepare, checkOptions, extendCaller, promisifyOther, invoke, invokeSync, invokeAll, openMap, sayNotStarted,
   notStartedIfThrown, tellEnd, watch, isDestroyed */

// All that a program hears of the library, and the only place that knows how calls are made. News comes through an
// inbox, not by callbacks, which gjs may refuse; see AfrpcGjs.Inbox.
const {AfrpcGjs, Gio, GLib, GObject} = imports.gi;
const {afrpcErrors: Errors, afrpcPackAs: PackAs, afrpcRanges: Ranges, afrpcUnpack: Unpack} = imports.overrides;

const UINT32_MAX = 2 ** 32 - 1;
const NO_PROGRESS = -1;
const N_PROGRESS_MODES = 2; // of Afrpc.ProgressMode

const isString = value => typeof value === 'string';
const isBoolean = value => typeof value === 'boolean';
const isObject = value => typeof value === 'object';
const isDescriptor = value => Number.isInteger(value) && value >= 0 && value < 2 ** 31;
const isDescriptors = value => Array.isArray(value) ? value.every(isDescriptor) : value instanceof Gio.UnixFDList;

// Throws by itself, and says what the range is.
function isNumber(value, name) {
    Ranges.check(ranges.get(name), value);

    return true;
}

// What each option has to be.
const OPTIONS = {
    signature: isString,
    cancellable: value => value instanceof Gio.Cancellable,
    onProgress: value => typeof value === 'function',
    progressMode: value => Number.isInteger(value) && value >= 0 && value < N_PROGRESS_MODES,
    bytesAsText: isBoolean,
    timeoutMs: isNumber,
    executionTimeoutMs: isNumber,
    fds: isDescriptors,
    function: isString,
    idempotent: isBoolean,
    priority: isNumber,
    affinity: isString,
    waitForRoom: isBoolean,
    label: isString,
    metadata: isObject,
};

// Those that the library knows, too.
const PROPERTIES = {
    timeoutMs: 'timeout_ms', executionTimeoutMs: 'execution_timeout_ms', fds: 'fds', function: 'function',
    idempotent: 'idempotent', priority: 'priority', affinity: 'affinity', waitForRoom: 'wait_for_room', label: 'label',
    metadata: 'metadata',
};

// What is called with news, by the number that they come with.
const handlers = new Map();
let lastId = 0;
let inbox = null;
let CallOptions = null;
let Failure = null; // Afrpc.Error
let Proxy = null;
let Started = null;
let ranges = null; // of the options that are numbers

function turn(id) {
    if (id !== 0) {
        handlers.get(id)?.(id);
        return;
    }

    // Maps have no numbers, nor have callers that are watched: what hears of them belongs to them, and goes with them.
    const map = inbox.get_map();
    if (map !== null) {
        map._afrpcListener?.notice();
        return;
    }

    const news = inbox.get_news();
    for (const listener of [...inbox.get_caller()._afrpcListeners])
        listener.notice(news, () => inbox.get_value());
}

function addHandler(handler) {
    do
        lastId = lastId % UINT32_MAX + 1;
    while (handlers.has(lastId));
    handlers.set(lastId, handler);

    return lastId;
}

// The engine remembers a function where it was called from, and what it closes over with it: not the caller, which would
// not be closed then when nobody has it any more.
function makeHandler(finish, onProgress, resolve, reject, origin) {
    return id => {
        if (onProgress !== null && inbox.get_news() === AfrpcGjs.News.PROGRESS) {
            onProgress();
            return;
        }

        handlers.delete(id);
        try {
            resolve(finish());
        } catch (e) {
            reject(Errors.addOrigin(Errors.addDetails(e), origin));
        }
    };
}

// A promise of what @finish returns or throws when the time has come.
// @begin: called with the number of what it begins
// @onProgress: called when there is other news of it
function start(begin, finish, onProgress = null) {
    return new Promise((resolve, reject) => {
        const id = addHandler(makeHandler(finish, onProgress, resolve, reject, Errors.takeOrigin()));

        try {
            begin(id);
        } catch (e) {
            handlers.delete(id);
            throw e;
        }
    });
}

// The same at once: @begin blocks until it has had its turn.
function startSync(begin, finish) {
    let outcome = null;
    const id = addHandler(() => {
        try {
            outcome = {value: finish()};
        } catch (e) {
            outcome = {error: Errors.addDetails(e)};
        }
    });

    try {
        begin(id);
    } finally {
        handlers.delete(id);
    }
    if ('error' in outcome)
        throw outcome.error;

    return outcome.value;
}

// As Gio._promisify() does it. What is left out is null. A program that calls that, too, changes nothing: it looks for
// the original.
function promisify({prototype}, name, nArgs, promised) {
    const original = prototype[name];

    prototype[`_original_${name}`] = original;
    prototype[name] = function (...args) {
        if (args.length > nArgs)
            return original.call(this, ...args);

        while (args.length < nArgs)
            args.push(null);
        return promised(this, ...args);
    };
}

// Has an error say what is known of its call.
// @call: the call, or the inbox in its turn
function tellCall(error, call) {
    Errors.setHidden(error, 'started', call.get_started());
    Errors.setHidden(error, 'process', call.get_process());
    Errors.setHidden(error, 'exit', call.get_exit());

    return error;
}

// What a call has come to.
// @get: gives its value, or throws its error
function getOutcome(get) {
    try {
        return get();
    } catch (e) {
        throw tellCall(e, inbox);
    }
}

// The same of an error that is none of a single call, where it is not known better.
function tell(error, started, process = null) {
    return tellCall(error, {get_started: () => started, get_process: () => process, get_exit: () => null});
}

// The call was not even made, unless the error knows better.
function sayNotStarted(error) {
    if ((error instanceof Error || error instanceof GLib.Error) && !('started' in error) && Object.isExtensible(error))
        tell(error, Started.NO);

    return error;
}

// Has what throws before a call is made say so.
function notStartedIfThrown(make) {
    try {
        return make();
    } catch (e) {
        throw sayNotStarted(e);
    }
}

// Of what a worker has ended with; that of a proxy is known.
function tellEnd(error, caller) {
    return tell(Errors.addDetails(error), Started.UNKNOWN, caller instanceof Proxy ? caller.get_process() : null);
}

// What the finish function of a method gives.
function finishBy(name) {
    return () => {
        const result = inbox.get_result();

        return result.get_source_object()[name](result);
    };
}

function promisifyCaller(Caller) {
    const getVariant = () => getOutcome(() => inbox.get_variant());

    const begin = (id, ...args) => notStartedIfThrown(() => inbox.call_full(id, ...args));

    promisify(Caller, 'call', 2, (caller, args, cancellable) =>
        start(id => begin(id, caller, args, null, cancellable), getVariant));
    promisify(Caller, 'call_full', 3, (caller, args, options, cancellable) =>
        start(id => begin(id, caller, args, options, cancellable), () => [getVariant(), inbox.get_fds()]));
    promisify(Caller, 'close_async', 1, (caller, cancellable) =>
        start(id => inbox.close(id, caller, cancellable), finishBy('close_finish')));
}

function promisifyCall(Call) {
    promisify(Call, 'wait', 1, (call, cancellable) =>
        start(id => inbox.wait_call(id, call, cancellable), () => getOutcome(() => inbox.get_variant())));
}

// What is thrown says the same as by a promise.
function tellOutcome(call, get) {
    try {
        return get();
    } catch (e) {
        throw tellCall(Errors.addDetails(e), call);
    }
}

// What blocks, and what gets an outcome in a callback.
function extendBlocking({prototype: caller}) {
    const {start: startCall} = caller;

    caller.start = function (args, options = null) {
        return notStartedIfThrown(() => startCall.call(this, args, options));
    };
    caller.call_sync = function (args, cancellable = null) {
        return this.start(args, null).wait_sync(cancellable);
    };
    caller.call_full_sync = function (args, options, cancellable = null) {
        const made = this.start(args, options);

        return [made.wait_sync(cancellable), made.steal_fds()];
    };
    for (const name of ['call_finish', 'call_full_finish']) {
        const finish = caller[name];

        caller[name] = function (result) {
            return tellOutcome(result, () => finish.call(this, result));
        };
    }
}

function extendBlockingCall({prototype: call}) {
    const {wait_sync: wait, wait_finish: finish} = call;

    call.wait_sync = function (cancellable = null) {
        return tellOutcome(this, () => wait.call(this, cancellable));
    };
    call.wait_finish = function (result) {
        return tellOutcome(this, () => finish.call(this, result));
    };
}

function extendCaller(Caller) {
    extendBlocking(Caller);
    promisifyCaller(Caller);
}

// A method of another library, with nothing but a cancellable. @symbol: what it is called in C
function promisifyOther(Class, name, symbol, finish) {
    promisify(Class, name, 1, (object, cancellable) =>
        start(id => inbox.begin(id, object, symbol, cancellable), finishBy(finish)));
}

function promisifyProcess(Process) {
    promisify(Process, 'run_async', 2, (process, function_, cancellable) =>
        start(id => inbox.run(id, process, function_, cancellable), finishBy('run_finish')));
    promisify(Process, 'to_fd_async', 1, (process, cancellable) =>
        start(id => inbox.to_fd(id, process, cancellable), finishBy('to_fd_finish')));
    promisify(Process, 'wait_async', 1, (process, cancellable) =>
        start(id => inbox.wait(id, process, cancellable), finishBy('wait_finish')));
}

// Has an error of what all workers of a pool are called with, each by itself, say whether any has started it: none if it could
// be said to none, and one if the function has thrown. Returns what does that, from what is known before.
function prepareForAll(pool, cancellable) {
    const isCancelled = cancellable instanceof Gio.Cancellable && cancellable.is_cancelled();
    const wasSaid = !pool.is_closed() && pool.get_failure() === null && !isCancelled;

    return error => {
        if (!(error instanceof GLib.Error))
            return sayNotStarted(error);
        if (!wasSaid)
            return tell(error, Started.NO);
        return tell(error, error.matches(Failure, Failure.REMOTE) ? Started.YES : Started.UNKNOWN);
    };
}

function callAll(pool, args, options, cancellable) {
    const tellError = prepareForAll(pool, cancellable);
    const finish = finishBy('call_all_finish');

    return start(id => notStartedIfThrown(() => inbox.call_all(id, pool, args, options, cancellable)), () => {
        try {
            return finish();
        } catch (e) {
            throw tellError(e);
        }
    });
}

function extendBlockingPool({prototype: pool}) {
    const {call_all_sync: callAllSync} = pool;

    pool.call_all_sync = function (args, options = null, cancellable = null) {
        const tellError = prepareForAll(this, cancellable);

        try {
            return callAllSync.call(this, args, options, cancellable);
        } catch (e) {
            throw tellError(Errors.addDetails(e));
        }
    };
}

function promisifyPool(Pool) {
    promisify(Pool, 'call_all_async', 3, callAll);
    promisify(Pool, 'wait_for_room_async', 1, (pool, cancellable) =>
        start(id => inbox.wait_for_room(id, pool, cancellable), finishBy('wait_for_room_finish')));
}

function checkOptions(options) {
    if (options === null || typeof options !== 'object')
        throw new TypeError('the options of a call are an object');

    for (const [name, value] of Object.entries(options)) {
        if (!Object.hasOwn(OPTIONS, name))
            throw new TypeError(`a call has no option '${name}', but ${Object.keys(OPTIONS).join(', ')}`);
        if (value !== null && value !== undefined && !OPTIONS[name](value, name))
            throw new TypeError(`${typeof value === 'string' ? `the string '${value}'` : String(value)} is no value of the option '${name}' of a call`);
    }
}

// What is not given as the library has it.
const CONVERTERS = {
    metadata: value => PackAs.packBytes(value, 'a{sv}', AfrpcGjs.new_value),
    fds(value) {
        if (!Array.isArray(value))
            return value;

        const list = new Gio.UnixFDList();
        value.forEach(fd => list.append(fd));

        return list;
    },
};

function makeCallOptions(options) {
    const properties = {};

    for (const [name, property] of Object.entries(PROPERTIES)) {
        const value = options[name] ?? null;

        if (value !== null)
            properties[property] = CONVERTERS[name]?.(value) ?? value;
    }

    return Object.keys(properties).length > 0 ? new CallOptions(properties) : null;
}

// What gets the result of a call, and what gets its progress.
function makeGetters(unpackOptions, fds, onProgress) {
    const getValue = () => getOutcome(() => Unpack.unpackBytes(...inbox.get_value(), unpackOptions));

    return [
        fds !== null ? () => [getValue(), inbox.get_fds()] : getValue,
        onProgress !== null ? () => onProgress(getValue()) : null,
    ];
}

// @begin: start() or startSync()
// @method: of the inbox
function makeCall(caller, options, args, begin, method) {
    checkOptions(options);
    const {signature = null, cancellable = null, onProgress = null, fds = null} = options;
    const callOptions = makeCallOptions(options);
    const mode = onProgress !== null ? options.progressMode ?? 0 : NO_PROGRESS;
    const getters = makeGetters({bytesAsText: options.bytesAsText ?? caller.bytesAsText}, fds, onProgress);

    return PackAs.packArgsBytes(args, signature, (type, bytes) => begin(
        id => notStartedIfThrown(() => inbox[method](id, caller, type, bytes, callOptions, mode, cancellable)), ...getters));
}

// What is wrong with the arguments is told by the promise, too. No other is put around it: whoever waits is told in the
// order of the outcomes.
function invoke(caller, options, args) {
    try {
        return makeCall(caller, options, args, start, 'call');
    } catch (e) {
        return Promise.reject(sayNotStarted(e));
    }
}

function invokeSync(caller, options, args) {
    return notStartedIfThrown(() => {
        if (options?.onProgress)
            throw new TypeError('nobody is called with the progress of a call that blocks');

        return makeCall(caller, options, args, startSync, 'call_sync');
    });
}

// A promise that all workers of a pool are configured.
function invokeAll(pool, options, args) {
    try {
        checkOptions(options);
        const {signature = null, cancellable = null} = options;
        const callOptions = makeCallOptions(options);

        return callAll(pool, PackAs.packArgsBytes(args, signature, AfrpcGjs.new_value), callOptions, cancellable);
    } catch (e) {
        return Promise.reject(sayNotStarted(e));
    }
}

class MapListener {
    constructor(listener, signature, unpackOptions) {
        this._listener = listener;
        this._signature = signature;
        this._unpackOptions = unpackOptions;
    }

    notice() {
        const {_listener: listener, _signature: signature, _unpackOptions: unpackOptions} = this;

        switch (inbox.get_news()) {
        case AfrpcGjs.News.INPUT:
            listener.takeInput(args => PackAs.packArgsBytes(args, signature, (type, bytes) => inbox.put_input(type, bytes)));
            break;
        case AfrpcGjs.News.BROUGHT:
            listener.noticeBrought();
            break;
        case AfrpcGjs.News.OVER:
            listener.noticeOver(() => getOutcome(() => inbox.get_variant()));
            break;
        default:
            listener.takeOutcome(() => getOutcome(() => Unpack.unpackBytes(...inbox.get_value(), unpackOptions)));
        }
    }
}

// A map, with a method of @listener called for each news: takeInput (give) wants @give called with the next arguments, or
// nothing to be done; takeOutcome (get) brings a value, or an error that @get throws; noticeBrought () says that this was all
// that there is, noticeOver (check) that there will be no more, where @check throws if there may be.
function openMap(pool, options, isOrdered, listener) {
    const {cancellable = null, signature = null} = options;
    const unpackOptions = {bytesAsText: options.bytesAsText ?? pool.bytesAsText};
    const map = inbox.map(pool, makeCallOptions(options), cancellable, isOrdered);

    map._afrpcListener = new MapListener(listener, signature, unpackOptions);

    return {
        ask: n => inbox.map_next(map, n),
        cancel: () => map.cancel(),
        forget: () => delete map._afrpcListener,
    };
}

function isDestroyed(caller) {
    return inbox.is_destroyed(caller);
}

// Has @listener.notice () called with each news of a proxy or a pool and a function that gives its value, or throws its
// error. Returns what ends it; null if the caller is destroyed, and there will be no news.
function watch(caller, listener) {
    if (isDestroyed(caller))
        return null;

    caller._afrpcListeners ??= new Set();
    if (caller._afrpcListeners.size === 0)
        inbox.watch(caller);
    caller._afrpcListeners.add(listener);

    return () => {
        if (caller._afrpcListeners.delete(listener) && caller._afrpcListeners.size === 0)
            inbox.unwatch(caller);
    };
}

function prepare(Afrpc) {
    const Inbox = GObject.registerClass({
        GTypeName: 'AfrpcOverridesInbox',
        Properties: {
            turn: GObject.ParamSpec.uint('turn', null, null, GObject.ParamFlags.READWRITE, 0, UINT32_MAX, 0),
        },
    }, class Inbox extends AfrpcGjs.Inbox {
        get turn() {
            return 0;
        }

        set turn(id) {
            turn(id);
        }
    });

    inbox = new Inbox();
    ranges = new Map([...Ranges.extend(Afrpc.CallOptions)].map(([name, range]) => [name, {...range, what: `the option '${name}'`}]));
    ranges.get('timeoutMs').min = 0; // not -1: to be left out says that
    ({CallOptions, Error: Failure, Proxy, Started} = Afrpc);
    extendBlockingCall(Afrpc.Call);
    promisifyCall(Afrpc.Call);
    promisifyProcess(Afrpc.Process);
    extendBlockingPool(Afrpc.Pool);
    promisifyPool(Afrpc.Pool);
}
