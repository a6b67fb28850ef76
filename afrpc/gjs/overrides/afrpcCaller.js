// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported extend */

const {afrpcCalls: Calls, afrpcEvents: Events} = imports.overrides;

// Has a class of callers have what a proxy has besides what introspection says.
// @check: throws if a caller cannot be made with these properties
// @made: called with each
function extend(Caller, check, made = () => {}) {
    const {_init: init} = Caller.prototype;

    Calls.extendCaller(Caller);
    Caller.prototype._init = function (properties = {}) {
        const {bytesAsText = false, ...others} = properties;

        check(others);
        init.call(this, others);
        this.bytesAsText = bytesAsText;
        made(this);
    };
    Caller.prototype.bytesAsText = false;

    Caller.prototype.invoke = function (...args) {
        return Calls.invoke(this, {}, args);
    };
    Caller.prototype.invokeWith = function (options, ...args) {
        return Calls.invoke(this, options, args);
    };

    Caller.prototype.invokeSync = function (...args) {
        return Calls.invokeSync(this, {}, args);
    };
    Caller.prototype.invokeSyncWith = function (options, ...args) {
        return Calls.invokeSync(this, options, args);
    };

    Caller.prototype.events = function (limit = Events.EVENTS_MAX) {
        return new Events.Events(this, limit);
    };
    Caller.prototype[Symbol.asyncIterator] = Caller.prototype.events;
}
