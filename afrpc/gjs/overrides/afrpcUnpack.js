// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported unpackBytes */

// The bytes of a GVariant, in normal form, as a value of JavaScript.
const {afrpcTypes: Types} = imports.overrides;
const {byteArray} = imports;

var {unpackBytes} = (globals => {
    const {
        Array, BigInt64Array, BigUint64Array, DataView, Float32Array, Float64Array, Int16Array, Int32Array,
        Int8Array, Map, Number, Object, RangeError, String, TextDecoder, Uint16Array, Uint32Array, Uint8Array,
    } = globals;

    const {Kind, LITTLE_ENDIAN, alignUp, compile, isKnown} = Types;

    const {DOUBLE} = Kind;
    const SHORT = 23; // characters: the engine does more for longer ones
    const TWO_32 = 2 ** 32;
    const HIGH_MAX = 2 ** 21; // of the high half of an integer that a number can hold

    // What a value may take in JavaScript, in 8 bytes: () is a byte there and an array here.
    const BUDGET = 1 << 26;
    const CONTAINER = 8;
    const STRING = 3;
    const NODE = 16; // a character of a type

    // Arrays of these are read at once.
    const TYPED = {
        [Kind.BYTE]: Uint8Array, [Kind.INT16]: Int16Array, [Kind.UINT16]: Uint16Array, [Kind.INT32]: Int32Array,
        [Kind.HANDLE]: Int32Array, [Kind.UINT32]: Uint32Array, [Kind.INT64]: BigInt64Array,
        [Kind.UINT64]: BigUint64Array, [Kind.DOUBLE]: Float64Array,
    };

    // Where there are no bytes, no ends are either, and all of them are at the beginning.
    function getOffsetSize(size) {
        if (size <= 0xff)
            return size > 0 ? 1 : 0;
        if (size <= 0xffff)
            return 2;
        return size <= 0xffffffff ? 4 : 8;
    }

    // As the module struct of Python calls them.
    const FORMATS = {'B': Uint8Array, 'b': Int8Array, 'f': Float32Array, [LITTLE_ENDIAN ? '<f' : '>f']: Float32Array};

    function giveFormat(bytes, format) {
        const klass = Object.hasOwn(FORMATS, format.replace(/^[@=]/, '')) ? FORMATS[format.replace(/^[@=]/, '')] : null;

        if (klass === null || bytes.length % klass.BYTES_PER_ELEMENT !== 0)
            return null;
        return new klass(bytes.buffer, bytes.byteOffset, bytes.length / klass.BYTES_PER_ELEMENT);
    }

    class Reader {
        constructor(bytes, {bytesAsText = false}) {
            this._bytes = bytes;
            this._view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
            this._bytesAsText = bytesAsText;
            this._budget = BUDGET;
            this._lastType = compile('as');
        }

        _spend(cost) {
            this._budget -= cost;
            if (this._budget < 0)
                throw new RangeError('a value has too many parts to be unpacked');
        }

        // @end: behind it
        read(type, begin, end) {
            switch (type.kind) {
            case Kind.MAYBE:
                if (begin === end)
                    return null;
                return this.read(type.element, begin, type.element.size === 0 ? end - 1 : end);
            case Kind.ARRAY:
                return this._readArray(type.element, begin, end);
            case Kind.ENTRY:
                return type.isShaped ? this._readShaped(type, begin, end) : this._readMembers(type, begin, end);
            case Kind.TUPLE:
                return this._readMembers(type, begin, end);
            default:
                return this._readBasic(type.kind, begin, end);
            }
        }

        _readBasic(kind, begin, end) {
            const view = this._view;

            switch (kind) {
            case Kind.BOOLEAN:
                return this._bytes[begin] !== 0;
            case Kind.BYTE:
                return this._bytes[begin];
            case Kind.INT16:
                return view.getInt16(begin, LITTLE_ENDIAN);
            case Kind.UINT16:
                return view.getUint16(begin, LITTLE_ENDIAN);
            case Kind.INT32:
            case Kind.HANDLE:
                return view.getInt32(begin, LITTLE_ENDIAN);
            case Kind.UINT32:
                return view.getUint32(begin, LITTLE_ENDIAN);
            case Kind.INT64:
                return this._readInt64(begin);
            case Kind.UINT64:
                return this._readUint64(begin);
            case Kind.DOUBLE:
                return view.getFloat64(begin, LITTLE_ENDIAN);
            case Kind.VARIANT:
                return this._readVariant(begin, end);
            default:
                return this._readText(begin, end - 1);
            }
        }

        _readInt64(place) {
            const high = this._view.getInt32(place + (LITTLE_ENDIAN ? 4 : 0), LITTLE_ENDIAN);
            const low = this._view.getUint32(place + (LITTLE_ENDIAN ? 0 : 4), LITTLE_ENDIAN);

            if (high < HIGH_MAX && (high > -HIGH_MAX || (high === -HIGH_MAX && low > 0)))
                return high * TWO_32 + low;
            return this._view.getBigInt64(place, LITTLE_ENDIAN);
        }

        _readUint64(place) {
            const high = this._view.getUint32(place + (LITTLE_ENDIAN ? 4 : 0), LITTLE_ENDIAN);

            if (high < HIGH_MAX)
                return high * TWO_32 + this._view.getUint32(place + (LITTLE_ENDIAN ? 0 : 4), LITTLE_ENDIAN);
            return this._view.getBigUint64(place, LITTLE_ENDIAN);
        }

        _readText(begin, end) {
            this._spend(STRING + ((end - begin) >> 3));
            if (end - begin <= SHORT) {
                let text = '';

                for (let i = begin; i < end; i++) {
                    const byte = this._bytes[i];

                    if (byte >= 0x80)
                        return byteArray.toString(this._bytes.subarray(begin, end));
                    text += String.fromCharCode(byte);
                }
                return text;
            }

            return byteArray.toString(this._bytes.subarray(begin, end));
        }

        _readVariant(begin, end) {
            const bytes = this._bytes;
            let nul = end - 2;

            if (bytes[nul] === 0)
                return this._readBasic(bytes[end - 1], begin, nul);
            while (bytes[nul] !== 0)
                nul--;

            return this.read(this._findType(nul + 1, end), begin, nul);
        }

        // It is often the same as before.
        _findType(begin, end) {
            const {text} = this._lastType;
            let n = 0;

            if (end - begin === text.length) {
                while (n < text.length && text.charCodeAt(n) === this._bytes[begin + n])
                    n++;
                if (n === text.length)
                    return this._lastType;
            }

            const found = this._readText(begin, end);
            if (!isKnown(found))
                this._spend(found.length * NODE);

            return (this._lastType = compile(found));
        }

        // A copy, unless it is most of what the message has, and the first of it.
        _readTyped(kind, begin, end) {
            const array = new TYPED[kind](this._bytes.buffer, this._bytes.byteOffset + begin,
                (end - begin) / TYPED[kind].BYTES_PER_ELEMENT);

            return array.byteLength * 2 >= this._bytes.length && array.byteOffset === 0 ? array : array.slice();
        }

        _readBytes(begin, end) {
            const bytes = this._readTyped(Kind.BYTE, begin, end);

            if (this._bytesAsText) {
                try {
                    return new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes);
                } catch {
                    // What is no text stays what it is.
                }
            }
            return bytes;
        }

        _readFixed(element, begin, end) {
            const n = (end - begin) / element.size;
            const {kind} = element;

            if (kind === Kind.BYTE)
                return this._readBytes(begin, end);
            if (kind in TYPED)
                return this._readTyped(kind, begin, end);

            this._spend(n + CONTAINER);
            // Rather now than in the middle of it.
            if (element.members !== null && n * CONTAINER > this._budget)
                this._spend(n * CONTAINER);
            const array = new Array(n);
            for (let i = 0, place = begin; i < n; i++, place += element.size)
                array[i] = this.read(element, place, place + element.size);

            return array;
        }

        // An array of Python: what it is there, the format of an element, the shape, and the elements.
        _readShaped(type, begin, end) {
            const {_bytesAsText: bytesAsText} = this;
            this._bytesAsText = false;
            const parts = this._readMembers(type, begin, end);
            this._bytesAsText = bytesAsText;
            const [what, [format, lengths, elements]] = parts;
            const shape = Array.from(lengths, Number);
            const array = elements instanceof Uint8Array ? giveFormat(elements, format) : elements;

            // It is not what it says, or nothing that there is here.
            if (array === null || shape.reduce((product, length) => product * length, 1) !== array.length)
                return parts;

            const isTransposed = what.endsWith('.T');
            if (shape.length !== 1 || isTransposed) {
                Object.defineProperty(array, 'shape', {value: isTransposed ? shape.reverse() : shape});
                Object.defineProperty(array, 'order', {value: isTransposed ? 'F' : 'C'});
            }
            return array;
        }

        // They are little-endian everywhere.
        _readOffset(place, size) {
            switch (size) {
            case 0:
                return 0;
            case 1:
                return this._bytes[place];
            case 2:
                return this._view.getUint16(place, true);
            case 4:
                return this._view.getUint32(place, true);
            default:
                return Number(this._view.getBigUint64(place, true));
            }
        }

        _readArray(element, begin, end) {
            if (element.kind === Kind.ENTRY && element.members[0].size === 0)
                return this._readObject(element, begin, end);
            // Other keys would not be what they were.
            if (element.kind === Kind.ENTRY)
                return new Map(this._readElements(element, begin, end));
            return this._readElements(element, begin, end);
        }

        _readElements(element, begin, end) {
            if (element.size > 0)
                return this._readFixed(element, begin, end);

            const n = this._countVariable(begin, end);
            const offsetSize = getOffsetSize(end - begin);
            const offsets = end - n * offsetSize;
            const array = new Array(n);
            if (element.kind === Kind.VARIANT && offsetSize === 4) {
                this._readVariants(array, begin, offsets);
                return array;
            }

            let place = begin;
            for (let i = 0; i < n; i++) {
                const from = alignUp(place, element.alignment);

                place = begin + this._readOffset(offsets + i * offsetSize, offsetSize);
                array[i] = this.read(element, from, place);
            }

            return array;
        }

        // Many of them, which are often numbers.
        _readVariants(array, begin, offsets) {
            const {length} = array;
            const bytes = this._bytes;
            const view = this._view;
            let place = begin;

            for (let i = 0; i < length; i++) {
                const from = alignUp(place, 8);

                place = begin + view.getUint32(offsets + i * 4, true);
                if (bytes[place - 1] === DOUBLE && bytes[place - 2] === 0)
                    array[i] = view.getFloat64(from, LITTLE_ENDIAN);
                else
                    array[i] = this._readVariant(from, place);
            }
        }

        // Of the elements of an array.
        _countVariable(begin, end) {
            const offsetSize = getOffsetSize(end - begin);
            const n = begin < end ? (end - begin - this._readOffset(end - offsetSize, offsetSize)) / offsetSize : 0;

            this._spend(n + CONTAINER);

            return n;
        }

        // Strings are the names of an object.
        _readObject(entry, begin, end) {
            const n = this._countVariable(begin, end);
            const object = {};
            const offsetSize = getOffsetSize(end - begin);
            let place = begin;
            for (let i = 0, offset = end - n * offsetSize; i < n; i++, offset += offsetSize) {
                const from = alignUp(place, entry.alignment);

                place = begin + this._readOffset(offset, offsetSize);
                this._readProperty(object, entry, from, place);
            }

            return object;
        }

        _readProperty(object, {members}, begin, end) {
            const offsetSize = getOffsetSize(end - begin);
            const {alignment, size} = members[1];
            // The end of the key; a value of fixed size has none.
            const keyEnd = begin + this._readOffset(end - offsetSize, offsetSize);
            const from = alignUp(keyEnd, alignment);
            const key = this._readText(begin, keyEnd - 1);
            const value = this.read(members[1], from, size > 0 ? from + size : end - offsetSize);

            // That would not be a property of its own.
            if (key === '__proto__')
                Object.defineProperty(object, key, {value, configurable: true, enumerable: true, writable: true});
            else
                object[key] = value;
        }

        _readMembers({members}, begin, end) {
            const n = members.length;
            const array = new Array(n);
            const offsetSize = getOffsetSize(end - begin);
            let place = begin;
            let offset = end;

            this._spend(n + CONTAINER);
            for (let i = 0; i < n; i++) {
                const member = members[i];
                let to;

                place = alignUp(place, member.alignment);
                if (member.size > 0) {
                    to = place + member.size;
                } else if (i === n - 1) {
                    to = offset;
                } else {
                    offset -= offsetSize;
                    to = begin + this._readOffset(offset, offsetSize);
                }
                array[i] = this.read(member, place, to);
                place = to;
            }

            return array;
        }
    }

    // @options: bytesAsText: bytes that are UTF-8 are wanted as strings
    function unpackBytes(type, bytes, options = {}) {
        // Of gjs' own ones some have another toString().
        const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);

        return new Reader(plain, options).read(compile(type), 0, plain.length);
    }

    return {unpackBytes};
})(globalThis);
