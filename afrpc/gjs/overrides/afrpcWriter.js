// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported Writer, refuse, refuseRange, addPlace, addRoot, isInteger */

// Where the bytes of a GVariant are put together: alignment, numbers, strings, and the offsets behind a container.
const {afrpcTypes: Types} = imports.overrides;

var {Writer, refuse, refuseRange, addPlace, addRoot, isInteger} = (globals => {
    const {
        ArrayBuffer, BigInt, DataView, Error, Float64Array, Int32Array, Math, Number, RangeError, Symbol, TextEncoder,
        TypeError, Uint8Array,
    } = globals;

    const {Kind: {DOUBLE, INT64}, LITTLE_ENDIAN} = Types;

    const WHOLE = 24; // characters: no string so short consists of others
    const SHORT = 64; // characters: the engine does more for longer strings
    const ENDS_MAX = 1 << 13; // that are kept
    const SMALL = 1 << 20; // bytes: a buffer is doubled until then
    const MAX = Number.MAX_SAFE_INTEGER;
    const TWO_32 = 2 ** 32;
    const LOW = LITTLE_ENDIAN ? 0 : 1; // which half of an integer of 64 bits
    const LONE_SURROGATE = /\p{Surrogate}/u;
    const NUL = 'a string with a NUL character cannot be sent; Uint8Array can';
    const HALF = 'a string with half a surrogate pair cannot be sent';
    const PLACE = Symbol('place');
    const WHAT = Symbol('what');

    const encoder = new TextEncoder();

    // A safe one. The zero that is below zero is none.
    function isInteger(number) {
        return Math.floor(number) === number && number <= MAX && number >= -MAX && (number !== 0 || 1 / number > 0);
    }

    function mark(error, what) {
        error[WHAT] = what;
        error[PLACE] = '';

        return error;
    }

    // What cannot be sent, as a value of that kind or at all.
    function refuse(what) {
        return mark(new TypeError(what), what);
    }

    function refuseRange(what) {
        return mark(new RangeError(what), what);
    }

    // An error comes up through the containers that the value is in.
    function addPlace(error, step) {
        if (error instanceof Error && error[WHAT] !== undefined) {
            error[PLACE] = `${step}${error[PLACE]}`;
            error.message = `${error[WHAT]} (at ${error[PLACE]})`;
        }

        return error;
    }

    // What is outside of all containers; where there are none, the error speaks for itself.
    function addRoot(error, root) {
        return error?.[PLACE] ? addPlace(error, root) : error;
    }

    class Writer {
        constructor() {
            this.position = 0;
            // Of members so far, of all containers that are not finished.
            this.ends = new Float64Array(64);
            this.nEnds = 0;
            this._use(new ArrayBuffer(256));
        }

        _use(buffer) {
            this.bytes = new Uint8Array(buffer);
            this.view = new DataView(buffer);
        }

        // Nothing is left of what it was used for, whether that has come to its end or not.
        reset() {
            this.position = 0;
            this.nEnds = 0;
            if (this.ends.length > ENDS_MAX)
                this.ends = new Float64Array(64);
        }

        // Until the next use.
        getBytes() {
            return this.bytes.subarray(0, this.position);
        }

        // Room for so many bytes more.
        reserve(n) {
            if (this.position + n > this.bytes.length)
                this._grow(this.position + n);
        }

        _grow(needed) {
            const {bytes} = this;
            const {length} = bytes;

            this._use(new ArrayBuffer(Math.max(needed + 16, Math.ceil(length * (length < SMALL ? 2 : 1.5)))));
            this.bytes.set(bytes.subarray(0, this.position));
        }

        // Where a number of that size may be written now.
        _place(size) {
            let place = this.position;

            this.reserve(size * 2);
            while ((place & (size - 1)) !== 0)
                this.bytes[place++] = 0;
            this.position = place + size;

            return place;
        }

        align(alignment) {
            this.reserve(alignment);
            while ((this.position & (alignment - 1)) !== 0)
                this.bytes[this.position++] = 0;
        }

        writeByte(byte) {
            this.reserve(1);
            this.bytes[this.position++] = byte;
        }

        writeDouble(number) {
            const place = this._place(8);

            this.view.setFloat64(place, number, LITTLE_ENDIAN);
        }

        // A safe one, of either sign.
        writeInteger(number) {
            const place = this._place(8);

            this.view.setInt32(place + LOW * 4, number, LITTLE_ENDIAN);
            this.view.setInt32(place + 4 - LOW * 4, Math.floor(number / TWO_32), LITTLE_ENDIAN);
        }

        // Safe ones.
        writeIntegers(array) {
            this.align(8);
            this.reserve(array.length * 8);
            const halves = new Int32Array(this.bytes.buffer, this.position, array.length * 2);
            for (let i = 0; i < array.length; i++) {
                const value = array[i];

                halves[2 * i + LOW] = value;
                halves[2 * i + 1 - LOW] = Math.floor(value / TWO_32);
            }
            this.position += array.length * 8;
        }

        writeDoubles(array) {
            this.align(8);
            this.reserve(array.length * 8);
            const doubles = new Float64Array(this.bytes.buffer, this.position, array.length);
            for (let i = 0; i < array.length; i++)
                doubles[i] = array[i];
            this.position += array.length * 8;
        }

        // Numbers in variants, from @array[first] on, as long as there are some; returns how many.
        writeNumberBoxes(array, first) {
            const {length} = array;
            let last = first;
            while (last < length && typeof array[last] === 'number')
                last++;

            if (last === first)
                return 0;

            this.align(8);
            this.reserve((last - first) * 20);
            this._reserveEnds(last - first);
            const {view, ends, nEnds} = this;
            let place = this.position;
            for (let i = first; i < last; i++, place += 16) {
                const number = array[i];
                let kind = DOUBLE;

                if (isInteger(number)) {
                    view.setInt32(place + LOW * 4, number, LITTLE_ENDIAN);
                    view.setInt32(place + 4 - LOW * 4, Math.floor(number / TWO_32), LITTLE_ENDIAN);
                    kind = INT64;
                } else {
                    view.setFloat64(place, number, LITTLE_ENDIAN);
                }
                // A NUL, the type, and what is between this one and the next.
                view.setUint32(place + 8, kind << 8, true);
                view.setUint32(place + 12, 0, true);
                ends[nEnds + i - first] = place + 10;
            }
            this.position = place - 6;
            this.nEnds += last - first;

            return last - first;
        }

        // Of either sign, too.
        writeBigInt(number) {
            const place = this._place(8);

            this.view.setBigInt64(place, number, LITTLE_ENDIAN);
        }

        writeInt32(number) {
            const place = this._place(4);

            this.view.setInt32(place, number, LITTLE_ENDIAN);
        }

        writeInt16(number) {
            const place = this._place(2);

            this.view.setInt16(place, number, LITTLE_ENDIAN);
        }

        writeBytes(bytes) {
            this.reserve(bytes.length);
            this.bytes.set(bytes, this.position);
            this.position += bytes.length;
        }

        writeText(text) {
            const {length} = text;

            // Which makes one piece of a string that was put together, and slow to look into.
            if (length > WHOLE && text.includes('\0'))
                throw refuse(NUL);
            if (length <= SHORT) {
                this._writeShort(text);
                return;
            }

            if (LONE_SURROGATE.test(text))
                throw refuse(HALF);
            this.writeBytes(encoder.encode(text));
            this.writeByte(0);
        }

        _writeShort(text) {
            const {length} = text;

            this.reserve(3 * length + 1);
            const {bytes} = this;
            let place = this.position;
            for (let i = 0; i < length; i++) {
                const code = text.charCodeAt(i);

                if (code === 0)
                    throw refuse(NUL);
                if (code < 0x80) {
                    bytes[place++] = code;
                } else if (code < 0x800) {
                    bytes[place++] = 0xc0 | code >> 6;
                    bytes[place++] = 0x80 | code & 0x3f;
                } else if (code < 0xd800 || code > 0xdfff) {
                    bytes[place++] = 0xe0 | code >> 12;
                    bytes[place++] = 0x80 | code >> 6 & 0x3f;
                    bytes[place++] = 0x80 | code & 0x3f;
                } else {
                    const point = text.codePointAt(i++);

                    if (point < 0x10000)
                        throw refuse(HALF);
                    bytes[place++] = 0xf0 | point >> 18;
                    bytes[place++] = 0x80 | point >> 12 & 0x3f;
                    bytes[place++] = 0x80 | point >> 6 & 0x3f;
                    bytes[place++] = 0x80 | point & 0x3f;
                }
            }
            bytes[place++] = 0;
            this.position = place;
        }

        // Behind what is in a variant.
        writeType(text) {
            this.reserve(text.length + 1);
            this.bytes[this.position++] = 0;
            for (let i = 0; i < text.length; i++)
                this.bytes[this.position++] = text.charCodeAt(i);
        }

        _reserveEnds(n) {
            const {ends} = this;

            if (this.nEnds + n > ends.length) {
                this.ends = new Float64Array((this.nEnds + n) * 2);
                this.ends.set(ends);
            }
        }

        // Of a member, to be written behind the last one.
        noteEnd() {
            if (this.nEnds === this.ends.length)
                this._reserveEnds(1);
            this.ends[this.nEnds++] = this.position;
        }

        // @nBefore: how many ends there were before those of this container
        writeOffsets(begin, nBefore, isReversed) {
            const n = this.nEnds - nBefore;
            const body = this.position - begin;
            let size = 8;

            if (n === 0)
                return;
            if (body + n <= 0xff)
                size = 1;
            else if (body + n * 2 <= 0xffff)
                size = 2;
            else if (body + n * 4 <= 0xffffffff)
                size = 4;

            this.reserve(n * size);
            if (isReversed)
                this._writeEnds(begin, size, this.nEnds - 1, -1, n);
            else
                this._writeEnds(begin, size, nBefore, 1, n);
            this.nEnds = nBefore;
            this.position += n * size;
        }

        // They are little-endian everywhere.
        _writeEnds(begin, size, first, step, n) {
            const {bytes, view, ends} = this;
            let place = this.position;

            switch (size) {
            case 1:
                for (let i = 0; i < n; i++, place++)
                    bytes[place] = ends[first + i * step] - begin;
                break;
            case 2:
                for (let i = 0; i < n; i++, place += 2)
                    view.setUint16(place, ends[first + i * step] - begin, true);
                break;
            case 4:
                for (let i = 0; i < n; i++, place += 4)
                    view.setUint32(place, ends[first + i * step] - begin, true);
                break;
            default:
                for (let i = 0; i < n; i++, place += 8)
                    view.setBigUint64(place, BigInt(ends[first + i * step] - begin), true);
            }
        }
    }

    return {Writer, refuse, refuseRange, addPlace, addRoot, isInteger};
})(globalThis);
