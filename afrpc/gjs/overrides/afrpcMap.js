// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported Results */

const {afrpcCalls: Calls, afrpcErrors: Errors} = imports.overrides;

const BATCH = 1000; // results that are brought at once

const OPTIONS = ['bytesAsText', 'signature', 'cancellable', 'timeoutMs', 'executionTimeoutMs', 'function', 'idempotent',
    'priority', 'affinity', 'label', 'metadata'];

function checkOptions(options) {
    for (const name of Object.keys(options)) {
        if (!OPTIONS.includes(name))
            throw new TypeError(`a map has no option '${name}'`);
    }
}

// Results of many calls of a pool, for "for await". Inputs are taken as results are.
var Results = class {
    constructor(pool, iterable, options) {
        const {ordered = true, spread = false, returnErrors = false, ...others} = options;

        checkOptions(others);
        if (typeof iterable?.[Symbol.iterator] !== 'function')
            throw new TypeError('a map needs something to iterate over');
        this._inputs = iterable[Symbol.iterator]();
        this._spread = spread;
        this._returnErrors = returnErrors;
        this._outcomes = []; // that were brought, the next one last
        this._brought = []; // those of the batch that is being brought
        this._waiting = []; // promises
        this._asked = false;
        this._over = false;
        this._error = null; // what is thrown instead of the end
        this._map = Calls.openMap(pool, others, ordered, (news, what) => this._notice(news, what));
    }

    _notice(news, what) {
        switch (news) {
        case 'input':
            this._giveInput(what);
            return;
        case 'result':
            try {
                this._brought.push({value: what()});
            } catch (e) {
                this._brought.push({error: Errors.addDetails(e)});
            }
            return;
        case 'over':
            try {
                what();
            } catch (e) {
                this._error ??= Errors.addDetails(e);
            }
            this._end();
        }
        this._asked = false;
        this._outcomes.unshift(...this._brought.reverse());
        this._brought = [];
        this._deliver();
    }

    // What is wrong with an input is told after the results of those before it.
    _giveInput(give) {
        try {
            const {done, value} = this._inputs.next();

            if (!done)
                give(this._spread ? [...value] : [value]);
        } catch (e) {
            this._error ??= e;
        }
    }

    _end() {
        this._over = true;
        this._map?.forget();
        this._map = null;
    }

    _deliver() {
        while (this._waiting.length > 0 && this._outcomes.length > 0) {
            const {resolve, reject} = this._waiting.shift();
            const {value, error} = this._outcomes.pop();

            if (error === undefined)
                resolve({done: false, value});
            else if (this._returnErrors)
                resolve({done: false, value: error});
            else
                reject(error);
        }
        if (this._waiting.length === 0)
            return;
        if (!this._over) {
            if (!this._asked) {
                this._asked = true;
                this._map.ask(BATCH);
            }
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

    [Symbol.asyncIterator]() {
        return this;
    }

    next() {
        return new Promise((resolve, reject) => {
            this._waiting.push({resolve, reject});
            this._deliver();
        });
    }

    // Gives up what is left: "for await" does so when it is left early.
    return() {
        this._map?.cancel();
        this._outcomes = [];
        this._error = null;
        this._inputs.return?.();
        if (!this._asked)
            this._end();
        this._deliver();

        return Promise.resolve({done: true, value: undefined});
    }
};
