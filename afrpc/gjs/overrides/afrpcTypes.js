// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported Kind, LITTLE_ENDIAN, alignUp, compile, isKnown */

// Types of GVariants as trees, for what reads and writes their bytes. Both are in JavaScript, where the engine compiles
// them: a call of a function of GLib for each element takes a hundred times as long. As long takes it to find a name
// outside of a function, in a script such as this; that is why there is a function around everything.

var {Kind, LITTLE_ENDIAN, alignUp, compile, isKnown} = (globals => {
    const {Map, Math, Object, String, TypeError, Uint16Array, Uint8Array} = globals;

    const DEPTH_MAX = 128; // of GVariant
    const TEXT_MAX = 1 << 16; // characters

    // Of those that are kept: other processes choose them.
    const CACHED_MAX = 500;
    const CACHED_TEXT_MAX = 255;

    const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

    // The basic ones are the characters themselves, which need not be looked up.
    const Kind = {
        ARRAY: 97, BOOLEAN: 98, DOUBLE: 100, SIGNATURE: 103, HANDLE: 104, INT32: 105, MAYBE: 109, INT16: 110,
        OBJECT_PATH: 111, UINT16: 113, STRING: 115, UINT64: 116, UINT32: 117, VARIANT: 118, INT64: 120, BYTE: 121,
        TUPLE: 40, ENTRY: 123,
    };

    // Bytes of one, or 0 if that depends; and what its place is a multiple of.
    const BASIC = {
        b: [1, 1], y: [1, 1], n: [2, 2], q: [2, 2], i: [4, 4], u: [4, 4], h: [4, 4], x: [8, 8], t: [8, 8], d: [8, 8],
        s: [0, 1], o: [0, 1], g: [0, 1], v: [0, 8],
    };

    // What an array of Python is; see docs/python.md.
    const SHAPED = /^\{s\(sata[bynqiuxtd]\)\}$/;

    let compiled = new Map();

    function bad(text) {
        return new TypeError(`'${text}' is not a type of GVariant`);
    }

    function alignUp(position, alignment) {
        return position + (-position & (alignment - 1));
    }

    // Tuples, and entries of dictionaries, of fixed size end where the next of the kind could begin.
    function getFixedSize(members) {
        let size = 0;

        for (const member of members) {
            if (member.size === 0)
                return 0;
            size = alignUp(size, member.alignment) + member.size;
        }

        return Math.max(alignUp(size, Math.max(1, ...members.map(member => member.alignment))), 1);
    }

    class Parser {
        constructor(text) {
            this._text = text;
            this._position = 0;
        }

        parse() {
            const type = this._one(0);

            if (this._position !== this._text.length)
                throw bad(this._text);
            return type;
        }

        _one(depth) {
            const begin = this._position;
            const character = this._text[this._position++];
            const node = {
                text: character, kind: character?.charCodeAt(0), size: 0, alignment: 1, element: null, members: null,
                isShaped: false,
            };

            if (depth > DEPTH_MAX)
                throw bad(this._text);
            if (Object.hasOwn(BASIC, character)) {
                [node.size, node.alignment] = BASIC[character];
                return node;
            }

            switch (character) {
            case 'a':
            case 'm':
                node.element = this._one(depth + 1);
                node.alignment = node.element.alignment;
                break;
            case '(':
            case '{':
                node.members = this._members(character === '(' ? ')' : '}', depth + 1);
                node.size = getFixedSize(node.members);
                node.alignment = node.members.reduce((most, {alignment}) => Math.max(most, alignment), 1);
                if (character === '{' && (node.members.length !== 2 || !'bynqiuxthdsog'.includes(node.members[0].text)))
                    throw bad(this._text);
                break;
            default:
                throw bad(this._text);
            }
            node.text = this._text.slice(begin, this._position);
            node.isShaped = SHAPED.test(node.text);

            return node;
        }

        _members(end, depth) {
            const members = [];

            while (this._text[this._position] !== end)
                members.push(this._one(depth));
            this._position++;

            return members;
        }
    }

    function isKnown(text) {
        return compiled.has(text);
    }

    // A TypeError if it is none, or not a definite one, or a very long one.
    function compile(text) {
        let type = compiled.get(text);

        if (type !== undefined)
            return type;
        if (typeof text !== 'string' || text.length > TEXT_MAX)
            throw bad(`${String(text).slice(0, 20)}...`);

        type = new Parser(text).parse();
        if (text.length <= CACHED_TEXT_MAX) {
            if (compiled.size >= CACHED_MAX)
                compiled = new Map();
            compiled.set(text, type);
        }

        return type;
    }

    return {Kind, LITTLE_ENDIAN, alignUp, compile, isKnown};
})(globalThis);
