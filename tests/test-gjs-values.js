// SPDX-License-Identifier: LGPL-2.1-or-later
// Values of JavaScript as GVariants, and back; GLib says what is right.
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';

import {assert, assertEqual, assertThrows, runTests, toText} from './gjs-util.js';

const N_RANDOM = 600;
const DATE = new Date(1e12);

// What is packed, its type, and what comes back if that is not the same.
const VALUES = [
    [true, 'b'],
    [false, 'b'],
    [0, 'x'],
    [-1, 'x'],
    [2 ** 53 - 1, 'x'],
    [-(2 ** 53 - 1), 'x'],
    [2 ** 53, 'd'],
    [-0, 'd'],
    [-1.5, 'd'],
    [Infinity, 'd'],
    [NaN, 'd'],
    [0n, 'x', 0],
    [2n ** 53n - 1n, 'x', 2 ** 53 - 1],
    [2n ** 53n, 'x'],
    [1n - 2n ** 53n, 'x', 1 - 2 ** 53],
    [-(2n ** 53n), 'x'],
    [2n ** 63n - 1n, 'x'],
    [-(2n ** 63n), 'x'],
    [2n ** 63n, 't'],
    [2n ** 64n - 1n, 't'],
    ['', 's'],
    ['Grüße, 世界 🌍', 's'],
    ['Grüße, 世界 🌍'.repeat(9), 's'],
    ['\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\ufeff', 's'],
    ['\ufeffx', 's'],
    ['x'.repeat(1 << 20), 's'],
    ['a'.repeat(20) + 'ä'.repeat(30), 's'],
    [null, 'mv'],
    [undefined, 'mv', null],
    [[], 'av'],
    [[1, 2.5, -0, 2 ** 60], 'av'],
    [[1, 'x', [null, true]], 'av'],
    [[1, , 3], 'av', [1, null, 3]], // eslint-disable-line no-sparse-arrays
    [{}, 'a{sv}'],
    [{a: 1, 'ä': {b: [2n ** 60n]}}, 'a{sv}'],
    [{a: undefined, b: null}, 'a{sv}', {b: null}],
    [Object.assign(Object.create(null), {a: 'x'}), 'a{sv}', {a: 'x'}],
    [JSON.parse('{"__proto__": "x", "toString": 1}'), 'a{sv}'],
    [new Map([['a', 1]]), 'a{sv}', {a: 1}],
    [new Map([[1, 'x'], [2n ** 60n, []]]), 'a{xv}'],
    [new Map(), 'a{sv}', {}],
    [new Set([1, 'x']), 'av', [1, 'x']],
    [DATE, 's', '2001-09-09T01:46:40.000Z'],
    [{toJSON: () => ({a: 1})}, 'a{sv}', {a: 1}],
    [new (class Point {
        toJSON() {
            return [1, 2];
        }
    })(), 'av', [1, 2]],
    [new Uint8Array([0, 1, 255]), 'ay'],
    [new Uint8Array(0), 'ay'],
    [new Uint8Array([9, 8, 7, 6]).subarray(1, 3), 'ay'],
    [new Uint8ClampedArray([1, 2]), 'ay', new Uint8Array([1, 2])],
    [new Uint8Array([1, 2]).buffer, 'ay', new Uint8Array([1, 2])],
    [new DataView(new Uint8Array([1, 2, 3]).buffer, 1), 'ay', new Uint8Array([2, 3])],
    [new GLib.Bytes(new Uint8Array([1, 2])), 'ay', new Uint8Array([1, 2])],
    [new Float64Array([1.5, -0, NaN]), 'ad'],
    [new Float64Array(0), 'ad'],
    [new Float64Array([1, 2, 3]).subarray(1), 'ad'],
    [new Int32Array([1, -(2 ** 31)]), 'ai'],
    [new Uint32Array([1, 2 ** 32 - 1]), 'au'],
    [new Int16Array([1, -(2 ** 15)]), 'an'],
    [new Uint16Array([1, 2 ** 16 - 1]), 'aq'],
    [new BigInt64Array([1n, -(2n ** 63n)]), 'ax'],
    [new BigUint64Array([1n, 2n ** 64n - 1n]), 'at'],
    [new Int8Array([1, -128]), 'an', new Int16Array([1, -128])],
    [new Float32Array([0.5, 3]), 'ad', new Float64Array([0.5, 3])],
    [new GLib.Variant('(qas)', [7, ['a', 'b']]), '(qas)', [7, ['a', 'b']]],
    [['x', new GLib.Variant('(yx)', [1, 2])], 'av', ['x', [1, 2]]],
];

// The text of a GVariant, and what it unpacks to.
const TEXTS = [
    ['byte 255', 255],
    ['int16 -3', -3],
    ['uint16 65535', 65535],
    ['-2147483648', -2147483648],
    ['uint32 4294967295', 4294967295],
    ['int64 -9223372036854775808', -(2n ** 63n)],
    ['uint64 18446744073709551615', 2n ** 64n - 1n],
    ['uint64 9007199254740991', 2 ** 53 - 1],
    ['uint64 9007199254740992', 2n ** 53n],
    ['handle 3', 3],
    ['objectpath "/a"', '/a'],
    ['signature "a{sv}"', 'a{sv}'],
    ['@ad []', new Float64Array(0)],
    ['[int64 1, 9007199254740993]', BigInt64Array.of(1n, 9007199254740993n)],
    ['[true, false]', [true, false]],
    ['[handle 1]', Int32Array.of(1)],
    ['["a", "ä"]', ['a', 'ä']],
    ['@as []', []],
    ['[b"a", b""]', [new Uint8Array([97, 0]), new Uint8Array([0])]],
    ['[@mi 3, nothing]', [3, null]],
    ['@mmi just nothing', null],
    ['(1, "x", <<5>>)', [1, 'x', 5]],
    ['()', []],
    ['[(), ()]', [[], []]],
    ['{1: "x"}', new Map([[1, 'x']])],
    ['{byte 1: uint16 2}', new Map([[1, 2]])],
    ['{int64 9007199254740993: "x"}', new Map([[9007199254740993n, 'x']])],
    ['{true: <{"a": <"b">}>}', new Map([[true, {a: 'b'}]])],
    ['{objectpath "/a": byte 1}', {'/a': 1}],
    ['@a{sv} {}', {}],
    ['{"x", byte 3}', ['x', 3]],
];

// What can be packed as a type, and the text of what it is then.
const TYPED = [
    [5, 'i', '5'], [5n, 'i', '5'], [2n ** 64n - 1n, 't', 'uint64 18446744073709551615'], [255, 'y', 'byte 0xff'],
    [2n ** 60n, 'x', 'int64 1152921504606846976'], [2n ** 60n, 'd', '1152921504606846976.0'], [1, 'd', '1.0'],
    [DATE, 'x', 'int64 1000000000000'], [DATE, 'd', '1e12'], [DATE, 'v', '<"2001-09-09T01:46:40.000Z">'],
    [DATE, 's', '"2001-09-09T01:46:40.000Z"'], [[DATE], 'as', '["2001-09-09T01:46:40.000Z"]'],
    [1, 'v', '<int64 1>'], [new GLib.Variant('y', 1), 'v', '<byte 1>'], [new GLib.Variant('i', 1), 'i', '1'],
    ['/a', 'o', 'objectpath "/a"'], ['a{sv}', 'g', 'signature "a{sv}"'],
    [null, 'ms', '@ms nothing'], [undefined, 'ms', '@ms nothing'], ['x', 'ms', '@ms "x"'], [1, 'my', '@my 1'],
    [[null, 'x'], 'ams', '[@ms nothing, "x"]'], [[1, null], 'ami', '[@mi 1, nothing]'],
    [[1, 2], 'ay', '[byte 1, 2]'], [new Uint8Array([1]).buffer, 'ay', '[byte 1]'], [new Int32Array([1]), 'ay', '[byte 1]'],
    [[1, 2.5], 'ad', '[1.0, 2.5]'], [new Float32Array([0.5]), 'ad', '[0.5]'], [[2 ** 40, 1n], 'ax', '[int64 1099511627776, 1]'],
    [[1, 2], 'at', '[uint64 1, 2]'], [new Float64Array([1, 2]), 'ai', '[1, 2]'], [new Set(['x']), 'as', '["x"]'],
    [[true, false], 'ab', '[true, false]'], [[], 'a(ss)', '@a(ss) []'],
    [[[1, 'x'], [2, 'y']], 'a(is)', '[(1, "x"), (2, "y")]'], [[[1, 2]], 'a(yx)', '[(byte 1, int64 2)]'],
    [{a: 1, b: 'x'}, 'a{sv}', '{"a": <int64 1>, "b": <"x">}'], [{a: 1, b: undefined}, 'a{si}', '{"a": 1}'],
    [new Map([['a', 1]]), 'a{si}', '{"a": 1}'], [{1: 'a'}, 'a{is}', '{1: "a"}'], [{true: 1}, 'a{bi}', '{true: 1}'],
    [new Map([[1, 2]]), 'a{yq}', '{byte 1: uint16 2}'], [{1.5: 1}, 'a{di}', '{1.5: 1}'],
    [{a: {b: ['x']}}, 'a{sa{sas}}', '{"a": {"b": ["x"]}}'], [['x', 3], '{sy}', '{"x", byte 3}'], [[], '()', '()'],
];

// What cannot, the error and its words.
const BAD_TYPED = [
    [2 ** 40, 'i', RangeError, '1099511627776 is not an int32'], [1.5, 'i', RangeError, '1.5 is not an int32'],
    [NaN, 'i', RangeError], [-1, 'u', RangeError], [256, 'y', RangeError], [-1, 'h', RangeError], [2 ** 31, 'h', RangeError],
    [-32769, 'n', RangeError], [65536, 'q', RangeError], [2n ** 63n, 'x', RangeError], [-1n, 't', RangeError],
    [2 ** 53, 'x', RangeError, 'a BigInt is'], [1e300, 't', RangeError], [2n ** 53n + 1n, 'd', RangeError],
    [new Date(NaN), 'x', RangeError], [[new Date(NaN)], 'as', RangeError, 'a Date that is invalid', '(at value[0])'], [DATE, 'o', TypeError], ['5', 'i', TypeError, 'a string is not an int32'], [true, 'd', TypeError],
    [null, 'i', TypeError, 'null is not'], [1, 'b', TypeError], [5, 's', TypeError, 'a number is not a string'],
    [null, 's', TypeError], ['a', 'o', TypeError, 'object path'], ['(', 'g', TypeError], ['a\0', 's', TypeError, 'NUL'],
    ['\ud800', 'as', TypeError], [['\ud800'], 'as', TypeError, 'surrogate', '(at value[0])'],
    ['abc', 'ay', TypeError], [[1, 256], 'ay', RangeError, '(at value[1])'], [[1, 'x'], 'ad', TypeError, '(at value[1])'],
    [[1, 2.5], 'ai', RangeError, '(at value[1])'], [[1, -1], 'at', RangeError, '(at value[1])'],
    [[1], '(ss)', TypeError, 'an array of 1 is not of the type (ss)'], [{}, '(s)', TypeError],
    [{a: [1, 'x']}, 'a{sai}', TypeError, '(at value["a"][1])'], [{x: 1}, 'a{is}', TypeError], [[['a', 1]], 'a{si}', TypeError],
    [{a: () => 1}, 'a{sv}', TypeError, 'a function cannot be sent (at value["a"])'], [1, 'z', TypeError, '\'z\' is not a type'],
    [1, '', TypeError], [1, 'ii', TypeError], [1, '(i', TypeError], [1, 'a{vs}', TypeError], [1, 'a{sss}', TypeError],
    [1, 'a', TypeError], [1, '*', TypeError], [1, 'r', TypeError], [[], `${'a'.repeat(200)}s`, TypeError],
];

// So that what fails, fails again.
let seed = 1;

function random(n) {
    seed = Math.imul(seed, 1664525) + 1013904223 >>> 0;

    return Math.floor(seed / 2 ** 32 * n);
}

function choose(...values) {
    return values[random(values.length)];
}

function times(n, make) {
    return Array.from({length: n}, (_, i) => make(i));
}

function randomText() {
    return times(choose(0, 1, 5, 23, 25, 70), () => choose('a', 'b', '"', '\\', 'ä', '世', '🌍', '\u{7f}')).join('');
}

const BASIC = {
    b: () => choose(true, false), y: () => random(256), n: () => random(2 ** 16) - 2 ** 15, q: () => random(2 ** 16),
    i: () => random(2 ** 32) - 2 ** 31, u: () => random(2 ** 32), x: () => choose(random(100) - 50, -(2n ** 63n), 2n ** 60n),
    t: () => choose(random(100), 2n ** 64n - 1n), d: () => choose(-0, 0.5, 1e300, -1), s: randomText,
};

// Of types whose values come back as they were.
function randomType(depth) {
    const kind = depth > 4 ? 0 : random(10);

    if (kind < 5)
        return choose(...Object.keys(BASIC));
    if (kind < 7)
        return `a${randomType(depth + 1)}`;
    if (kind === 7)
        return `(${times(random(5), () => randomType(depth + 1)).join('')})`;
    return kind === 8 ? `m${choose('s', 'i', '(ys)', 'as')}` : `a{${choose('s', 'x', 'y')}${randomType(depth + 1)}}`;
}

// A value of a type, and the same as GLib reads it.
function randomValue(type, rest = {text: type, depth: 0}) {
    const begin = rest.text;
    const kind = begin[0];

    rest.text = begin.slice(1);
    if (kind in BASIC) {
        const value = BASIC[kind]();
        return [value, kind === 's' ? JSON.stringify(value).replaceAll('\u{7f}', '\\u007f') : toText(value).replace('n', '')];
    }
    if (kind === 'm') {
        const [value, text] = randomValue(null, rest);
        return random(2) === 0 ? [null, 'nothing'] : [value, `just ${text}`];
    }
    if (kind === '(' || kind === '{') {
        const members = [];
        while (rest.text[0] !== ')' && rest.text[0] !== '}')
            members.push(randomValue(null, rest));
        rest.text = rest.text.slice(1);
        const texts = members.map(([, text]) => text).join(', ');
        return [members.map(([value]) => value), kind === '(' ? `(${texts}${members.length === 1 ? ',' : ''})` : texts];
    }

    const element = rest.text;
    rest.depth++;
    const elements = times(choose(0, 1, 2, 3, 40, 300) >> (rest.depth - 1) * 3, () => {
        rest.text = element;
        return randomValue(null, rest);
    });
    if (elements.length === 0)
        randomValue(null, rest);
    rest.depth--;
    return makeArray(element, elements);
}

const ARRAYS = {
    y: Uint8Array, n: Int16Array, q: Uint16Array, i: Int32Array, u: Uint32Array, d: Float64Array,
    x: BigInt64Array, t: BigUint64Array,
};

function makeArray(element, elements) {
    const values = elements.map(([value]) => value);
    const text = `[${elements.map(([, inner]) => inner).join(', ')}]`;

    if (element[0] === '{') {
        const map = new Map(values);
        const entries = [...new Map(elements.map(([[key], inner]) => [key, inner])).values()];

        return [element[1] === 's' ? Object.fromEntries(map) : map, `{${entries.map(entry => entry.replace(',', ':'))}}`];
    }
    if (element[0] === 'x' || element[0] === 't')
        return [ARRAYS[element[0]].from(values, BigInt), text];
    return [element[0] in ARRAYS ? ARRAYS[element[0]].from(values) : values, text];
}

function assertSame(variant, expected, what) {
    assert(variant.equal(expected), `${what}: ${variant.print(true)} is ${expected.print(true)}`);
    assert(variant.is_normal_form(), `${what}: ${variant.print(true)} is in normal form`);
    assert(variant.get_data_as_bytes().equal(expected.get_data_as_bytes()), `${what}: the bytes of ${expected.print(true)}`);
}

function reparse(variant) {
    return GLib.Variant.parse(null, variant.print(true), null, null);
}

function anyValue(depth) {
    switch (depth > 3 ? random(7) : random(10)) {
    case 7:
        return times(choose(0, 1, 3, 50) >> depth, () => anyValue(depth + 1));
    case 8:
        return Object.fromEntries(times(choose(0, 1, 4, 30) >> depth, i => [`${randomText()}${i}`, anyValue(depth + 1)]));
    case 9:
        return new Map(times(1 + random(3), i => [i - 1, anyValue(depth + 1)]));
    default:
        return choose(...Object.values(BASIC), () => null, () => Float64Array.of(random(9)), () => new Uint8Array(random(5)))();
    }
}

runTests({
    byWhatTheyAre() {
        for (const [value, type, expected = value] of VALUES) {
            const variant = Afrpc.pack(value);

            assertEqual(variant.get_type_string(), type, `the type of ${toText(value).slice(0, 100)}`);
            assertSame(variant, reparse(variant), type);
            assertEqual(Afrpc.unpack(variant), value === undefined ? null : expected, `a ${type}`);
        }
    },

    whatTheyBecome() {
        for (const [text, expected] of TEXTS)
            assertEqual(Afrpc.unpack(GLib.Variant.parse(null, text, null, null)), expected, text);
    },

    asATypeWants() {
        for (const [value, type, text] of TYPED)
            assertSame(Afrpc.pack(value, type), GLib.Variant.parse(new GLib.VariantType(type), text, null, null), type);
        for (const [value, type, ...expected] of BAD_TYPED)
            assertThrows(() => Afrpc.pack(value, type), ...expected);
        assertThrows(() => Afrpc.packArgs([1], 'i'), TypeError, 'i is not the type of a tuple');
        assertThrows(() => Afrpc.packArgs(['x', {y: 1.5}], '(sa{si})'), RangeError, '(at args[1]["y"])');
    },

    whatCannotBePacked() {
        const cycle = [];
        cycle.push({cycle});
        const bad = {toJSON: () => bad};

        for (const value of [Symbol('x'), () => 1, new Error('x'), new (class Point {})(), new Map([['a', 1], [1, 1]]),
            new Map([[{}, 1]]), new Promise(() => {}), 'a\0', 'a\0'.repeat(100), '\udc00', '\ud800', '\ud800x', `${'x'.repeat(99)}\ud800`])
            assertThrows(() => Afrpc.pack(value), TypeError);
        for (const value of [1n << 64n, -(1n << 63n) - 1n, cycle, bad, new Date(NaN)])
            assertThrows(() => Afrpc.pack(value), RangeError);
        assertThrows(() => Afrpc.pack([1, new Date(NaN)]), RangeError, 'a Date that is invalid cannot be sent (at value[1])');
        assertThrows(() => Afrpc.pack([1, {x: Symbol('y')}]), TypeError, 'a symbol cannot be sent (at value[1]["x"])');
        assertThrows(() => Afrpc.packArgs([1, [2, 3, () => 1]]), TypeError, '(at args[1][2])');
    },

    // Whatever is looked at may be a function, which may do the same.
    whilePacking() {
        const outer = {
            a: 'begins',
            get b() {
                return Afrpc.unpack(Afrpc.pack([this.a, 'inner']));
            },
            get c() {
                try {
                    return Afrpc.pack(() => 1);
                } catch {
                    return 'refused';
                }
            },
        };

        assertEqual(Afrpc.unpack(Afrpc.pack(outer)), {a: 'begins', b: ['begins', 'inner'], c: 'refused'});
        assertThrows(() => Afrpc.pack({
            get x() {
                throw new Error('my own');
            },
        }), Error, 'my own');
    },

    randomValues() {
        for (let i = 0; i < N_RANDOM; i++) {
            const value = anyValue(0);
            const variant = Afrpc.pack(value);

            assertSame(variant, reparse(variant), toText(value));
            assertEqual(Afrpc.unpack(variant), value, `value ${i}`);
        }
    },

    randomTypes() {
        for (let i = 0; i < N_RANDOM; i++) {
            const type = randomType(0);
            const [value, text] = randomValue(type);
            const variant = GLib.Variant.parse(new GLib.VariantType(type), text, null, null);

            assertSame(Afrpc.pack(value, type), variant, `${type} ${text}`);
            assertEqual(Afrpc.unpack(variant), value, type);
        }
    },

    // Offsets of one, two and four bytes.
    sizes() {
        for (const n of [250, 251, 252, 253, 254, 255, 256, 300, 65527, 65528, 65529, 65530, 65536]) {
            for (const value of [['x'.repeat(n)], [1, 'y'.repeat(n), 'z'], {k: 'v'.repeat(n)}])
                assertEqual(Afrpc.unpack(reparse(Afrpc.pack(value))), value, `${n}`);
        }
    },

    // Nothing of GLib is called for an element: that would take a hundred times as long.
    large() {
        const {get_child_value: getChild} = GLib.Variant.prototype;
        let nCalls = 0;

        GLib.Variant.prototype.get_child_value = function (...args) {
            nCalls++;
            return getChild.call(this, ...args);
        };
        const rows = times(20000, i => [i, `${i}`, i / 2, {a: [i]}]);
        assertEqual(Afrpc.unpack(Afrpc.pack(rows)), rows, 'rows');
        GLib.Variant.prototype.get_child_value = getChild;
        assertEqual(nCalls, 0, 'children that were made');
    },

    bytesAsText() {
        const variant = GLib.Variant.parse(null, '([b"Gr\\303\\274\\303\\237e"], [[byte 0xff]], @ay [])', null, null);
        const [[text], [bytes], empty] = Afrpc.unpack(variant, {bytesAsText: true});

        assertEqual([text, bytes, empty], ['Grüße\0', new Uint8Array([255]), '']);
    },

    // As Python sends them.
    arrays() {
        const floats = '[byte 0, 0, 0, 0x3f, 0, 0, 0x40, 0x40]';
        const texts = [
            ['{"numpy", ("<d", [uint64 3], [1.5, 2, 3])}', Float64Array.of(1.5, 2, 3)],
            ['{"array", ("i", [uint64 2], [1, 2])}', Int32Array.of(1, 2)],
            ['{"memory", ("?", [uint64 1], [true])}', [true]],
            ['{"numpy", ("b", [uint64 2], [byte 1, 255])}', Int8Array.of(1, -1)],
            [`{"numpy", ("<f", [uint64 2], ${floats})}`, Float32Array.of(0.5, 3)],
            [`{"numpy", (">f", [uint64 2], ${floats})}`,
                ['numpy', ['>f', BigUint64Array.of(2n), new Uint8Array([0, 0, 0, 0x3f, 0, 0, 0x40, 0x40])]]],
            ['{"numpy", ("<d", [uint64 2], [1.0])}', ['numpy', ['<d', BigUint64Array.of(2n), Float64Array.of(1)]]],
            ['{"other", <5>}', ['other', 5]],
        ];
        const unpack = text => Afrpc.unpack(GLib.Variant.parse(null, text, null, null), {bytesAsText: true});

        for (const [text, expected] of texts)
            assertEqual(unpack(text), expected, text);
        const square = unpack('{"numpy", ("<h", [uint64 2, 3], [int16 1, 2, 3, 4, 5, 6])}');
        const transpose = unpack('{"numpy.T", ("<h", [uint64 2, 3], [int16 1, 2, 3, 4, 5, 6])}');
        assertEqual([square, square.shape, square.order], [Int16Array.of(1, 2, 3, 4, 5, 6), [2, 3], 'C']);
        assertEqual([transpose, transpose.shape, transpose.order], [Int16Array.of(1, 2, 3, 4, 5, 6), [3, 2], 'F']);
        assertEqual(Afrpc.unpack(Afrpc.pack(square)), square, 'the same elements again');
    },

    // A byte there, an array here.
    manyUnits() {
        const type = new GLib.VariantType('a()');
        const few = GLib.Variant.new_from_bytes(type, new GLib.Bytes(new Uint8Array(1000)), false);
        const many = GLib.Variant.new_from_bytes(type, new GLib.Bytes(new Uint8Array(16 << 20)), false);

        assertEqual(Afrpc.unpack(few).length, 1000);
        assertThrows(() => Afrpc.unpack(many), RangeError, 'too many parts');
    },

    // What others have made need not be in normal form.
    notNormal() {
        for (const [type, ...octets] of [['as', 97, 98, 99, 200], ['(ss)', 1], ['av', 0, 0, 1], ['a{sv}', 1, 2, 3, 4], ['v', 1, 2]]) {
            const variant = GLib.Variant.new_from_bytes(new GLib.VariantType(type), new GLib.Bytes(new Uint8Array(octets)), false);

            assertEqual(Afrpc.unpack(variant), Afrpc.unpack(reparse(variant)), type);
        }
    },

    // GLib makes no such tuples itself, and reads those of others: all that is in them is nothing.
    noBytes() {
        const values = [
            ['(mdab)', []], ['(mabas)', []], ['(aum((y)))', []], ['(y(myay)s)', [1, 97, 98, 99, 0, 1]],
            ['(y(mabas)t)', [3, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1]], ['a(mabm(xo))', [0]], ['m(mabas)', [0]],
        ];

        for (const [type, octets] of values) {
            const variant = GLib.Variant.new_from_bytes(new GLib.VariantType(type), new GLib.Bytes(new Uint8Array(octets)), false);

            assert(variant.is_normal_form(), type);
            assertEqual(toText(Afrpc.unpack(variant)), toText(Afrpc.unpack(reparse(variant))), type);
        }
    },

    // Other processes choose the types.
    manyTypes() {
        for (let i = 0; i < 2000; i++) {
            const type = `(${'s'.repeat(i % 40)}${'i'.repeat(i / 40)})`;
            const values = [...Array(i % 40).fill('x'), ...Array(Math.floor(i / 40)).fill(7)];

            assertEqual(Afrpc.unpack(Afrpc.pack(values, type)), values, type);
        }
    },
});
