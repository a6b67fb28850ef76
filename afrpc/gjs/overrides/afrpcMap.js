// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported Results */

const {afrpcCalls: Calls, afrpcErrors: Errors, afrpcStream: Stream} = imports.overrides;

const BATCH = 64; // results that are brought at once

const OPTIONS = ['bytesAsText', 'signature', 'cancellable', 'timeoutMs', 'executionTimeoutMs', 'function', 'idempotent',
    'priority', 'affinity', 'label', 'metadata'];

function check(iterable, options) {
    for (const name of Object.keys(options)) {
        if (!OPTIONS.includes(name))
            throw new TypeError(`a map has no option '${name}'`);
    }
    Calls.checkOptions(options);
    if (typeof iterable?.[Symbol.iterator] === 'function')
        return;
    if (typeof iterable?.[Symbol.asyncIterator] === 'function')
        throw new TypeError('a map takes no asynchronous iterable: call invoke () with each of its elements, in "for await"');
    throw new TypeError('a map needs something to iterate over');
}

function describe(value) {
    return value === null || typeof value !== 'object' ? String(value) : `a value of type ${typeof value}`;
}

// Results of many calls of a pool, for "for await". Inputs are taken as results are.
var Results = class extends Stream.Stream {
    constructor(pool, iterable, options) {
        super();
        this._origin = new Error();
        this._outcomes = []; // that were brought, the next one last
        this._brought = []; // those of the batch that is being brought
        this._asked = false;
        this._over = false;
        Calls.notStartedIfThrown(() => this._open(pool, iterable, options));
    }

    _open(pool, iterable, options) {
        if (options === null || typeof options !== 'object')
            throw new TypeError('the options of a map are an object');

        const {ordered = true, spread = false, returnErrors = false, ...others} = options;

        check(iterable, others);
        this._inputs = iterable[Symbol.iterator]();
        this._spread = spread;
        this._nInputs = 0; // that were taken
        this._returnErrors = returnErrors;
        this._map = Calls.openMap(pool, others, ordered, this);
    }

    _spreadOut(value) {
        if (typeof value?.[Symbol.iterator] !== 'function')
            throw new TypeError(`input ${this._nInputs} of a map that spreads them is no list of arguments: ${describe(value)}`);

        return [...value];
    }

    // What is wrong with an input is told after the results of those before it; its call is not made.
    takeInput(give) {
        try {
            const {done, value} = this._inputs.next();

            if (!done)
                give(this._spread ? this._spreadOut(value) : [value]);
            this._nInputs++;
        } catch (e) {
            this._error ??= Calls.sayNotStarted(e);
        }
    }

    takeOutcome(get) {
        try {
            this._brought.push({value: get()});
        } catch (e) {
            this._brought.push({error: Errors.addOrigin(Errors.addDetails(e), this._origin)});
        }
    }

    noticeBrought() {
        this._asked = false;
        this._outcomes.unshift(...this._brought.reverse());
        this._brought = [];
        this._deliver();
    }

    noticeOver(check) {
        try {
            check();
        } catch (e) {
            this._error ??= Errors.addOrigin(Errors.addDetails(e), this._origin);
        }
        this._end();
        this.noticeBrought();
    }

    _end() {
        this._over = true;
        this._map?.forget();
        this._map = null;
    }

    _hasNext() {
        return this._outcomes.length > 0;
    }

    _take() {
        const {value, error} = this._outcomes.pop();

        if (error === undefined)
            return value;
        if (this._returnErrors)
            return error;
        throw error;
    }

    _isOver() {
        return this._over;
    }

    _ask() {
        if (this._asked)
            return;

        this._asked = true;
        this._map.ask(BATCH);
    }

    // Gives up what is left.
    _drop() {
        this._map?.cancel();
        this._outcomes = [];
        this._inputs.return?.();
        if (!this._asked)
            this._end();
    }
};
