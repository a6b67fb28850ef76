// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported prepare, invoke, watch */

// All that a program hears of the library, and the only place that knows how calls are made. News comes through an
// inbox, not by callbacks, which gjs may refuse; see AfrpcGjs.Inbox.
const {AfrpcGjs, GObject} = imports.gi;
const {afrpcErrors: Errors, afrpcPackAs: PackAs, afrpcUnpack: Unpack} = imports.overrides;

const UINT32_MAX = 2 ** 32 - 1;
const NONE = -1; // of a time limit, of a mode

const OPTIONS = {
    signature: value => typeof value === 'string',
    cancellable: value => value instanceof GObject.Object,
    timeoutMs: value => Number.isInteger(value) && value >= 0 && value < 2 ** 31,
    onProgress: value => typeof value === 'function',
    progressMode: value => Number.isInteger(value) && value >= 0,
    fds: value => value instanceof GObject.Object,
    bytesAsText: value => typeof value === 'boolean',
};

// What is called with news, by the number that they come with.
const handlers = new Map();
let lastId = 0;
let inbox = null;

function turn(id) {
    if (id !== 0) {
        handlers.get(id)();
        return;
    }

    // Proxies that are watched have no numbers.
    const news = inbox.get_news();
    for (const listener of [...inbox.get_proxy()._afrpcListeners])
        listener(news, () => inbox.get_value());
}

function addHandler(handler) {
    do
        lastId = lastId % UINT32_MAX + 1;
    while (handlers.has(lastId));
    handlers.set(lastId, handler);

    return lastId;
}

// A promise of what @finish returns or throws when the time has come.
// @begin: called with the number of what it begins
// @onProgress: called when there is other news of it
function start(begin, finish, onProgress = null) {
    return new Promise((resolve, reject) => {
        const id = addHandler(() => {
            if (onProgress !== null && inbox.get_news() === AfrpcGjs.News.PROGRESS) {
                onProgress();
                return;
            }

            handlers.delete(id);
            try {
                resolve(finish());
            } catch (e) {
                reject(Errors.addDetails(e));
            }
        });

        try {
            begin(id);
        } catch (e) {
            handlers.delete(id);
            throw e;
        }
    });
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

function promisifyCalls(Proxy) {
    const getVariant = () => inbox.get_variant();

    promisify(Proxy, 'call', 2, (proxy, args, cancellable) =>
        start(id => inbox.call_variant(id, proxy, args, NONE, NONE, null, cancellable), getVariant));
    promisify(Proxy, 'call_full', 3, (proxy, args, options, cancellable) =>
        start(id => inbox.call_full(id, proxy, args, options, cancellable),
            () => [inbox.get_variant(), inbox.get_fds()]));
    promisify(Proxy, 'close_async', 1, (proxy, cancellable) =>
        start(id => inbox.close(id, proxy, cancellable), () => proxy.close_finish(inbox.get_result())));
}

function promisifyProcess(Process) {
    promisify(Process, 'run_async', 2, (process, function_, cancellable) =>
        start(id => inbox.run(id, process, function_, cancellable), () => process.run_finish(inbox.get_result())));
    promisify(Process, 'to_fd_async', 1, (process, cancellable) =>
        start(id => inbox.to_fd(id, process, cancellable), () => process.to_fd_finish(inbox.get_result())));
    promisify(Process, 'wait_async', 1, (process, cancellable) =>
        start(id => inbox.wait(id, process, cancellable), () => process.wait_finish(inbox.get_result())));
}

function checkOptions(options) {
    if (options === null || typeof options !== 'object')
        throw new TypeError('the options of a call are an object');

    for (const [name, value] of Object.entries(options)) {
        if (!Object.hasOwn(OPTIONS, name))
            throw new TypeError(`a call has no option “${name}”, but ${Object.keys(OPTIONS).join(', ')}`);
        if (value !== null && value !== undefined && !OPTIONS[name](value))
            throw new TypeError(`${String(value)} is no value of the option “${name}” of a call`);
    }
}

// Asynchronous so that what is wrong with the arguments is told by the promise.
async function invoke(proxy, options, args) {
    checkOptions(options);
    const {onProgress, fds} = options;
    const unpackOptions = {bytesAsText: options.bytesAsText ?? proxy.bytesAsText};
    const mode = onProgress ? options.progressMode ?? 0 : NONE;
    const getValue = () => Unpack.unpackBytes(...inbox.get_value(), unpackOptions);

    return PackAs.packArgsBytes(args, options.signature ?? null, (type, bytes) => start(
        id => inbox.call(id, proxy, type, bytes, options.timeoutMs ?? NONE, mode, fds ?? null,
            options.cancellable ?? null),
        () => fds ? [getValue(), inbox.get_fds()] : getValue(),
        onProgress ? () => onProgress(getValue()) : null));
}

// Has @listener called with each news of a proxy and a function that gives its value, or throws its error. Returns what
// ends it; null if the proxy is destroyed, and there will be no news.
function watch(proxy, listener) {
    if (inbox.is_destroyed(proxy))
        return null;

    proxy._afrpcListeners ??= new Set();
    if (proxy._afrpcListeners.size === 0)
        inbox.watch(proxy);
    proxy._afrpcListeners.add(listener);

    return () => {
        if (proxy._afrpcListeners.delete(listener) && proxy._afrpcListeners.size === 0)
            inbox.unwatch(proxy);
    };
}

function prepare({Process, Proxy}) {
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
    promisifyCalls(Proxy);
    promisifyProcess(Process);
}
