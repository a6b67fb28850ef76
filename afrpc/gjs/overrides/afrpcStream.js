// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported Stream */

// Those that somebody waits for. The promise alone keeps nothing: whoever awaits it is kept by it, and not the other way
// round, so that a collection would take the stream, and what it brings things from, away from those who wait.
const awaited = new Set();

// What is taken one by one, by any number of "for await" and next() at once: each gets its own, in the order in which they
// asked. A subclass says by these methods what there is, and calls _deliver() when that has changed:
//   _hasNext(), _take(): the next one; what that throws is thrown in its place
//   _isOver(): whether nothing more comes
//   _ask(): somebody waits for what is not there yet
//   _drop(): nobody takes anything any more
var Stream = class {
    constructor() {
        this._waiting = []; // promises
        this._error = null; // what is thrown instead of the end, once
    }

    _deliver() {
        this._settle();
        if (this._waiting.length > 0)
            awaited.add(this);
        else
            awaited.delete(this);
    }

    _settle() {
        while (this._waiting.length > 0 && this._hasNext()) {
            const {resolve, reject} = this._waiting.shift();

            try {
                resolve({done: false, value: this._take()});
            } catch (e) {
                reject(e);
            }
        }
        if (this._waiting.length === 0)
            return;
        if (!this._isOver()) {
            this._ask();
            return;
        }

        for (const {resolve, reject} of this._waiting.splice(0)) {
            if (this._error !== null)
                reject(this._error);
            else
                resolve({done: true, value: undefined});
            this._error = null;
        }
    }

    _ask() {
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

    // "for await" calls it when it is left early.
    return() {
        this._drop();
        this._error = null;
        this._deliver();

        return Promise.resolve({done: true, value: undefined});
    }
};
