// SPDX-License-Identifier: LGPL-2.1-or-later
// A serialiser in JavaScript, for the tests: the same as in odd-serialiser.c; and functions of a worker with it.
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';

// Misbehaves, for values of the type (sss), as they say: what to do, in which function, and where.
export const Odd = GObject.registerClass({
    Implements: [Afrpc.Serialiser],
}, class Odd extends GObject.Object {
    constructor(side, name = 'odd') {
        super();
        this._side = side;
        this._name = name;
        this.nCalls = 0;
    }

    vfunc_dup_name() {
        return this._name;
    }

    _act(what, value) {
        this.nCalls++;
        if (value.get_type_string() !== '(sss)')
            return null;
        const [trick, where, side] = value.deepUnpack();
        if (where !== what || side !== this._side)
            return null;
        if (trick === 'error')
            throw new GLib.Error(GLib.file_error_quark(), GLib.FileError.NOSPC, 'no ink left');
        if (trick === 'exception')
            throw new TypeError('as JavaScript has them');
        return trick;
    }

    vfunc_serialise(value) {
        if (this._act('serialise', value) === 'none')
            return null;
        return new GLib.Bytes(new TextEncoder().encode(value.print(true)).map(byte => 255 - byte));
    }

    vfunc_deserialise(bytes) {
        const text = new TextDecoder().decode(bytes.toArray().map(byte => 255 - byte));
        const value = GLib.Variant.parse(null, text, null, null);

        return this._act('deserialise', value) === 'none' ? null : value;
    }
});

export function register() {
    new Odd('worker').register();
}

// As they came, if they are for the serialiser.
export function echo(...args) {
    return args.length === 3 ? new GLib.Variant('(sss)', args) : args;
}

export async function echoLater(...args) {
    await null;
    return echo(...args);
}
