// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported Packer, describe, getBytes, getOwnBytes, getText */

// Values of JavaScript as the bytes of a GVariant, in normal form, by what they are. As a type wants them:
// afrpcPackAs.js.
const {AfrpcGjs, GLib} = imports.gi;
const {afrpcTypes: Types, afrpcWriter: Writing} = imports.overrides;

var {Packer, describe, getBytes, getOwnBytes, getText} = (globals => {
    const {
        Array, ArrayBuffer, BigInt, BigInt64Array, BigUint64Array, DataView, Date, Float64Array, Int16Array,
        Int32Array, Int8Array, JSON, Map, Object, Set, String, Symbol, Uint16Array, Uint32Array, Uint8Array,
        Uint8ClampedArray, isNaN,
    } = globals;

    const {compile} = Types;
    const {Writer, addPlace, isInteger, refuse, refuseRange} = Writing;

    const DEPTH_MAX = 127; // of GVariant: deeper values are refused as malformed

    // Arrays that GVariant has as well. Others of numbers become the next larger one.
    const TYPED = new Map([
        [Float64Array, 'ad'], [Int32Array, 'ai'], [Uint32Array, 'au'], [Int16Array, 'an'], [Uint16Array, 'aq'],
        [BigInt64Array, 'ax'], [BigUint64Array, 'at'],
    ]);

    function describe(value) {
        if (value === null || value === undefined)
            return String(value);
        if (typeof value !== 'object')
            return `a ${typeof value}`;
        // What a generator function returns has a class without a name.
        return `an object of ${value.constructor?.name || value[Symbol.toStringTag] || 'an unknown class'}`;
    }

    // Of a date; not toJSON(), which makes null of an invalid one.
    function getText(date) {
        if (isNaN(date.getTime()))
            throw refuseRange('a Date that is invalid cannot be sent');

        return date.toISOString();
    }

    // What is octets and nothing else, as an array; else null.
    function getBytes(value) {
        if (value instanceof Uint8Array)
            return value;
        if (value instanceof ArrayBuffer)
            return new Uint8Array(value);
        if (value instanceof GLib.Bytes)
            return value.toArray();
        if (value instanceof DataView || value instanceof Uint8ClampedArray)
            return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
        return null;
    }

    // Type and bytes of an array that has them already; else null.
    function getOwnBytes(array) {
        const octets = getBytes(array);
        if (octets !== null)
            return ['ay', octets];

        for (const [klass, type] of TYPED) {
            if (array instanceof klass)
                return [type, new Uint8Array(array.buffer, array.byteOffset, array.byteLength)];
        }
        return null;
    }

    function getKeyType(keys) {
        if (keys.every(key => typeof key === 'string'))
            return 's';
        if (keys.every(key => typeof key === 'bigint' ? BigInt.asIntN(64, key) === key : isInteger(key)))
            return 'x';
        throw refuse('a Map whose keys are neither all strings nor all integers cannot be sent');
    }

    // What writes a value returns the type of what it has written.
    class Packer extends Writer {
        write(value, depth) {
            if (depth >= DEPTH_MAX)
                throw refuseRange('a value that is nested too deeply cannot be sent');

            switch (typeof value) {
            case 'boolean':
                this.writeByte(value ? 1 : 0);
                return 'b';
            case 'number':
                if (!isInteger(value)) {
                    this.writeDouble(value);
                    return 'd';
                }
                this.writeInteger(value);
                return 'x';
            case 'bigint':
                return this._writeBigInt(value);
            case 'string':
                this.writeText(value);
                return 's';
            case 'undefined':
                return this._writeNothing();
            case 'object':
                return value === null ? this._writeNothing() : this._writeObject(value, depth);
            default:
                throw refuse(`${describe(value)} cannot be sent`);
            }
        }

        _writeNothing() {
            this.align(8);

            return 'mv';
        }

        _writeBigInt(value) {
            const isSigned = BigInt.asIntN(64, value) === value;

            if (!isSigned && BigInt.asUintN(64, value) !== value)
                throw refuseRange(`${value} does not fit into 64 bits`);
            this.writeBigInt(value);

            return isSigned ? 'x' : 't';
        }

        _writeObject(value, depth) {
            if (Array.isArray(value))
                return this.writeArray(value, depth);

            const prototype = Object.getPrototypeOf(value);
            if ((prototype === Object.prototype || prototype === null) && typeof value.toJSON !== 'function')
                return this._writeObjectEntries(value, depth);
            if (value instanceof GLib.Variant)
                return this.writeVariant(value);
            if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof GLib.Bytes)
                return this._writeBuffer(value);
            if (value instanceof Map)
                return this._writeMap(value, depth);
            if (value instanceof Set)
                return this.writeArray([...value], depth);
            if (value instanceof Date)
                return this.write(getText(value), depth);
            if (typeof value.toJSON === 'function')
                return this.write(value.toJSON(), depth + 1);
            throw refuse(`${describe(value)} cannot be sent`);
        }

        // As it is.
        writeVariant(variant) {
            const [text, bytes] = AfrpcGjs.get_value(variant);

            this.align(compile(text).alignment);
            this.writeBytes(bytes);

            return text;
        }

        // Numbers that GVariant does not have are sent as the next larger ones.
        _writeBuffer(value) {
            let own = getOwnBytes(value);
            if (own === null)
                own = getOwnBytes(value instanceof Int8Array ? Int16Array.from(value) : Float64Array.from(value));

            const [type, bytes] = own;
            this.align(compile(type).alignment);
            this.writeBytes(bytes);

            return type;
        }

        writeNumbers(array) {
            this.align(array.BYTES_PER_ELEMENT);
            this.writeBytes(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
        }

        writeArray(array, depth) {
            this.align(8);
            const begin = this.position;
            const nBefore = this.nEnds;
            let i = 0;
            try {
                while (i < array.length) {
                    i += this.writeNumberBoxes(array, i);
                    if (i < array.length) {
                        this.writeBox(array[i++], depth + 2);
                        this.noteEnd();
                    }
                }
            } catch (e) {
                throw addPlace(e, `[${i - 1}]`);
            }
            this.writeOffsets(begin, nBefore, false);

            return 'av';
        }

        // What is undefined is left out, as JSON does it.
        _writeObjectEntries(object, depth) {
            const keys = Object.keys(object);

            return this._writeEntries('s', keys.map(key => object[key]), keys, depth);
        }

        _writeMap(map, depth) {
            const keys = [...map.keys()];

            return this._writeEntries(getKeyType(keys), [...map.values()], keys, depth);
        }

        _writeEntries(keyType, values, keys, depth) {
            this.align(8);
            const begin = this.position;
            const nBefore = this.nEnds;
            let i = 0;
            try {
                for (; i < keys.length; i++) {
                    if (keyType !== 's' || values[i] !== undefined)
                        this._writeEntry(keyType, keys[i], values[i], depth);
                }
            } catch (e) {
                throw addPlace(e, `[${JSON.stringify(String(keys[i]))}]`);
            }
            this.writeOffsets(begin, nBefore, false);

            return `a{${keyType}v}`;
        }

        _writeEntry(keyType, key, value, depth) {
            this.align(8);
            const begin = this.position;
            const nBefore = this.nEnds;

            this.write(key, depth + 2);
            if (keyType === 's')
                this.noteEnd();
            this.writeBox(value, depth + 3);
            this.writeOffsets(begin, nBefore, false);
            this.noteEnd();
        }

        // In a variant.
        writeBox(value, depth) {
            this.align(8);
            this.writeType(this.write(value, depth));
        }
    }

    return {Packer, describe, getBytes, getOwnBytes, getText};
})(globalThis);
