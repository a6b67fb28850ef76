#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
// What it takes to make a GVariant of a value of JavaScript, and to read one, by afrpc and by gjs itself: by what it
// offers for that, and by the fastest means that a program can find, which is to write the bytes of this very type
// itself. Microseconds, the least of several, taken in turns.
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';

const N = Number(ARGV[0] ?? 100000);
const ROUNDS = 15;
const DOUBLE = 'd'.charCodeAt(0);

const numbers = Array.from({length: N}, (_, i) => i + 0.5);
const doubles = Float64Array.from(numbers);
const strings = Array.from({length: N}, (_, i) => `string ${i}`);
const rows = Array.from({length: N / 10}, (_, i) => [i, `row ${i}`, i / 2]);
const object = Object.fromEntries(Array.from({length: N / 10}, (_, i) => [`key ${i}`, i]));

function fromBytes(type, bytes) {
    return GLib.Variant.new_from_bytes(new GLib.VariantType(type), bytes, true);
}

// Not in place, where the engine would not know how much memory it holds.
function getBytes(variant) {
    return variant.get_data_as_bytes().toArray().slice();
}

// An `av` of doubles, and nothing else.
function writeBoxes(array) {
    const n = array.length;
    const bytes = new Uint8Array(n * 20 - 6);
    const view = new DataView(bytes.buffer);

    for (let i = 0; i < n; i++) {
        view.setFloat64(i * 16, array[i], true);
        bytes[i * 16 + 9] = DOUBLE;
        view.setUint32(n * 16 - 6 + i * 4, i * 16 + 10, true);
    }

    return fromBytes('av', bytes);
}

function readBoxes(variant) {
    const bytes = getBytes(variant);
    const view = new DataView(bytes.buffer);
    const offsets = view.getUint32(bytes.length - 4, true);
    const array = new Array((bytes.length - offsets) / 4);

    for (let i = 0, from = 0; i < array.length; i++) {
        const to = view.getUint32(offsets + i * 4, true);

        if (bytes[to - 1] !== DOUBLE)
            throw new Error('no double');
        array[i] = view.getFloat64(from, true);
        from = to + 7 & ~7;
    }

    return array;
}

// A name, the type, the value; how gjs does it, and the fastest means, or null.
const CASES = [
    ['numbers', 'av', numbers, [array => new GLib.Variant('av', array.map(x => new GLib.Variant('d', x))),
        variant => variant.recursiveUnpack()], [writeBoxes, readBoxes]],
    ['Float64Array', 'ad', doubles, [array => new GLib.Variant('ad', array), variant => variant.deepUnpack()],
        [array => fromBytes('ad', new Uint8Array(array.buffer)), variant => new Float64Array(getBytes(variant).buffer)]],
    ['strings', 'as', strings, [array => new GLib.Variant('as', array), variant => variant.deepUnpack()],
        [array => GLib.Variant.new_strv(array), variant => variant.get_strv()]],
    ['rows', 'a(isd)', rows, [array => new GLib.Variant('a(isd)', array), variant => variant.deepUnpack()], null],
    ['object', 'a{si}', object, [value => new GLib.Variant('a{si}', value), variant => variant.deepUnpack()], null],
];

// What a way costs: packing, unpacking.
function measure([pack, unpack], value) {
    const begin = GLib.get_monotonic_time();
    const variant = pack(value);
    const middle = GLib.get_monotonic_time();

    unpack(variant);
    return [middle - begin, GLib.get_monotonic_time() - middle];
}

function report(what, afrpc, others) {
    const columns = others.map(time => time === null ? '' : `${time.toFixed(0)} (${(afrpc / time).toFixed(2)})`);

    print(`${what.padEnd(26)}${afrpc.toFixed(0).padStart(10)}${columns.map(text => text.padStart(22)).join('')}`);
}

print(`${'µs'.padEnd(26)}${'afrpc'.padStart(10)}${'gjs (ratio)'.padStart(22)}${'fastest (ratio)'.padStart(22)}`);
for (const [name, type, value, own, fastest] of CASES) {
    const ways = [[array => Afrpc.pack(array, type), variant => Afrpc.unpack(variant)], own, fastest];
    const least = ways.map(way => way === null ? [null, null] : [Infinity, Infinity]);

    for (let round = 0; round < ROUNDS; round++) {
        ways.forEach((way, i) => {
            // What gjs offers takes its time.
            if (way !== null && (i !== 1 || round < 2))
                least[i] = measure(way, value).map((time, j) => Math.min(time, least[i][j]));
        });
    }
    for (const [j, what] of ['pack', 'unpack'].entries()) {
        const [afrpc, ...others] = least.map(times => times[j]);
        report(`${what} ${name}`, afrpc, others);
    }
}
