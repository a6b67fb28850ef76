// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported _init */

// Callers over NATS in JavaScript: what a proxy has, a caller has, too.
imports.gi.versions.Afrpc = '1.0';
const {Afrpc} = imports.gi; // whose overrides have what is shared
const {afrpcCaller: Callers, afrpcCalls: Calls, afrpcRanges: Ranges} = imports.overrides;

function checkProperties(Connection, what, {connection, subject}) {
    if (!(connection instanceof Connection))
        throw new TypeError(`a ${what} needs a connection`);
    if (typeof subject !== 'string')
        throw new TypeError(`a ${what} needs a subject`);
}

// A caller has no state to ask for: that it was closed is known to who has done it.
function extendClosing({prototype}) {
    for (const name of ['close', 'close_async', 'close_sync', 'kill']) {
        const original = prototype[name];

        prototype[name] = function (...args) {
            this._afrpcIsClosed = true;

            return original.apply(this, args);
        };
    }
    prototype.is_closed = function () {
        return this._afrpcIsClosed === true || Calls.isDestroyed(this);
    };
}

function extendServer(Server, Connection) {
    const {_init: init} = Server.prototype;

    Server.prototype._init = function (properties = {}) {
        checkProperties(Connection, 'server', properties);
        if (!(properties.caller instanceof Afrpc.Caller))
            throw new TypeError('a server needs a caller');
        init.call(this, properties);
    };
    Calls.promisifyOther(Server, 'stop_async', 'afrpc_nats_server_stop_async', 'stop_finish');
    Calls.promisifyOther(Connection, 'close_async', 'afrpc_nats_connection_close_async', 'close_finish');
}

function _init() {
    const {Caller, Connection, Server} = this;

    Callers.extend(Caller, properties => checkProperties(Connection, 'caller', properties));
    extendClosing(Caller);
    extendServer(Server, Connection);
    for (const Class of [Caller, Connection, Server])
        Ranges.extend(Class);
}
