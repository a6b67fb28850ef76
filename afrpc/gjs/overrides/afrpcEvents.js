// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported Events, EVENTS_MAX */

const {AfrpcGjs} = imports.gi;
const {afrpcCalls: Calls, afrpcStream: Stream, afrpcUnpack: Unpack} = imports.overrides;

var EVENTS_MAX = 100000; // that wait to be taken

// The events of a proxy or a pool in the order in which they arrive, from now on until that is destroyed.
var Events = class extends Stream.Stream {
    constructor(caller, limit) {
        super();
        if (!Number.isInteger(limit) || limit < 1)
            throw new TypeError(`the limit of events has to be an integer above 0, not ${limit}`);
        this._limit = limit;
        this._options = {bytesAsText: caller.bytesAsText};
        this._events = []; // types and bytes
        this._caller = caller; // until its end: whoever waits for events, waits for the caller
        this._unwatch = Calls.watch(caller, this);
        if (this._unwatch === null)
            this._end();
    }

    notice(news, getValue) {
        switch (news) {
        case AfrpcGjs.News.EVENT:
            if (this._events.length >= this._limit) {
                this._error ??= Calls.tellEnd(
                    new RangeError(`more events than ${this._limit} waited for whoever takes them`), this._caller);
                this._end();
                break;
            }
            this._events.push(getValue());
            this._deliver();
            break;
        case AfrpcGjs.News.ERROR:
            try {
                getValue();
            } catch (e) {
                this._error ??= Calls.tellEnd(e, this._caller);
            }
            break;
        default:
            this._end();
        }
    }

    _stop() {
        this._unwatch?.();
        this._unwatch = null;
        this._caller = null;
    }

    _end() {
        this._stop();
        this._deliver();
    }

    _hasNext() {
        return this._events.length > 0;
    }

    _take() {
        return Unpack.unpackBytes(...this._events.shift(), this._options);
    }

    _isOver() {
        return this._caller === null;
    }

    _drop() {
        this._events = [];
        this._stop();
    }
};
