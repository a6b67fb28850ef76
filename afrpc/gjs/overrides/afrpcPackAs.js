// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported checkSignature, packBytes, packArgsBytes */

// Values of JavaScript as the bytes of a GVariant of a given type. What the type cannot hold exactly is refused.
const {GLib} = imports.gi;
const {afrpcPack: Pack, afrpcTypes: Types, afrpcWriter: Writing} = imports.overrides;

var {checkSignature, packBytes, packArgsBytes} = (globals => {
    const {
        Array, ArrayBuffer, BigInt, BigInt64Array, BigUint64Array, DataView, Date, Float64Array, Int16Array,
        Int32Array, JSON, Map, Number, Object, Set, String, TypeError, Uint16Array, Uint32Array, Uint8Array,
    } = globals;

    const {Kind, compile} = Types;
    const {Packer, describe, getBytes, getOwnBytes, getText} = Pack;
    const {addPlace, addRoot, isInteger, refuse, refuseRange} = Writing;

    const SPARE_MAX = 1 << 16; // bytes of a packer that is used again

    const NAMES = {
        [Kind.BYTE]: 'a byte', [Kind.INT16]: 'an int16', [Kind.UINT16]: 'a uint16', [Kind.INT32]: 'an int32',
        [Kind.UINT32]: 'a uint32', [Kind.HANDLE]: 'a handle', [Kind.INT64]: 'an int64', [Kind.UINT64]: 'a uint64',
        [Kind.DOUBLE]: 'a double', [Kind.BOOLEAN]: 'a boolean', [Kind.STRING]: 'a string',
        [Kind.OBJECT_PATH]: 'an object path', [Kind.SIGNATURE]: 'a signature',
    };

    // Bits, and whether there is a sign.
    const INTEGERS = {
        [Kind.BYTE]: [8, false], [Kind.INT16]: [16, true], [Kind.UINT16]: [16, false], [Kind.INT32]: [32, true],
        [Kind.UINT32]: [32, false], [Kind.HANDLE]: [31, false], [Kind.INT64]: [64, true], [Kind.UINT64]: [64, false],
    };

    // What is of that type already.
    const ARRAYS = {
        [Kind.BYTE]: Uint8Array, [Kind.INT16]: Int16Array, [Kind.UINT16]: Uint16Array, [Kind.INT32]: Int32Array,
        [Kind.UINT32]: Uint32Array, [Kind.INT64]: BigInt64Array, [Kind.UINT64]: BigUint64Array,
        [Kind.DOUBLE]: Float64Array,
    };

    let spare = null;

    function everyNumber(array) {
        for (let i = 0; i < array.length; i++) {
            if (typeof array[i] !== 'number')
                return false;
        }

        return true;
    }

    function checkNumber(value, kind) {
        // The milliseconds that it stands for.
        if (value instanceof Date)
            value = value.getTime();
        if (typeof value !== 'number' && typeof value !== 'bigint')
            throw refuse(`${describe(value)} is not ${NAMES[kind]}`);

        return value;
    }

    // As a number if it is a safe one.
    function toInteger(value, kind) {
        const number = checkNumber(value, kind);
        const [bits, isSigned] = INTEGERS[kind];
        const least = isSigned ? -(2 ** (bits - 1)) : 0;

        // Beyond those, a number may have been another one.
        if (typeof number === 'number' && !Number.isSafeInteger(number))
            throw refuseRange(`${number} is not ${NAMES[kind]}${Number.isInteger(number) ? '; a BigInt is' : ''}`);
        if (number < least || number >= (isSigned ? -least : 2 ** bits))
            throw refuseRange(`${number} is not ${NAMES[kind]}`);

        return bits < 64 ? Number(number) : number;
    }

    function toDouble(value) {
        const number = checkNumber(value, Kind.DOUBLE);

        if (typeof number === 'bigint' && BigInt(Number(number)) !== number)
            throw refuseRange(`${number} is not a double`);
        return Number(number);
    }

    // Of an object, whose own are strings.
    function toKey(name, {kind}) {
        if (typeof name !== 'string')
            return name;

        if (kind === Kind.BOOLEAN && (name === 'true' || name === 'false'))
            return name === 'true';
        if (kind === Kind.DOUBLE && String(Number(name)) === name)
            return Number(name);
        if (kind in INTEGERS && /^-?\d+$/.test(name))
            return BigInt(name);
        return name;
    }

    function checkText(value, kind) {
        if (value instanceof Date && kind === Kind.STRING)
            return getText(value);
        if (typeof value !== 'string')
            throw refuse(`${describe(value)} is not ${NAMES[kind]}`);
        if ((kind === Kind.OBJECT_PATH && !GLib.Variant.is_object_path(value)) ||
            (kind === Kind.SIGNATURE && !GLib.Variant.is_signature(value)))
            throw refuse(`'${value}' is not ${NAMES[kind]}`);

        return value;
    }

    class TypedPacker extends Packer {
        writeAs(type, value, depth) {
            const {kind} = type;

            if (value instanceof GLib.Variant && kind !== Kind.VARIANT && value.get_type_string() === type.text) {
                this.writeVariant(value);
                return;
            }

            switch (kind) {
            case Kind.BOOLEAN:
                if (typeof value !== 'boolean')
                    throw refuse(`${describe(value)} is not a boolean`);
                this.writeByte(value ? 1 : 0);
                break;
            case Kind.BYTE:
                this.writeByte(toInteger(value, kind));
                break;
            case Kind.INT16:
            case Kind.UINT16:
                this.writeInt16(toInteger(value, kind));
                break;
            case Kind.INT32:
            case Kind.UINT32:
            case Kind.HANDLE:
                this.writeInt32(toInteger(value, kind));
                break;
            case Kind.INT64:
            case Kind.UINT64:
                this._writeInteger64(toInteger(value, kind));
                break;
            case Kind.DOUBLE:
                this.writeDouble(typeof value === 'number' ? value : toDouble(value));
                break;
            case Kind.STRING:
            case Kind.OBJECT_PATH:
            case Kind.SIGNATURE:
                this.writeText(checkText(value, kind));
                break;
            case Kind.VARIANT:
                this.writeBox(value, depth + 1);
                break;
            case Kind.MAYBE:
                this._writeMaybe(type, value, depth);
                break;
            case Kind.ARRAY:
                this._writeArrayAs(type, value, depth);
                break;
            default:
                this._writeMembers(type, value, depth);
            }
        }

        _writeInteger64(value) {
            if (typeof value === 'bigint')
                this.writeBigInt(value);
            else
                this.writeInteger(value);
        }

        _writeMaybe({element, alignment}, value, depth) {
            this.align(alignment);
            if (value === null || value === undefined)
                return;

            this.writeAs(element, value, depth + 1);
            if (element.size === 0)
                this.writeByte(0);
        }

        _writeArrayAs({element, text, alignment}, value, depth) {
            this.align(alignment);
            if (element.kind === Kind.ENTRY) {
                this._writeEntriesAs(element, value, text, depth);
                return;
            }

            const bytes = element.kind === Kind.BYTE ? getBytes(value) : null;
            if (bytes !== null) {
                this.writeBytes(bytes);
                return;
            }
            if (element.kind in ARRAYS && value instanceof ARRAYS[element.kind]) {
                this.writeNumbers(value);
                return;
            }

            const array = value instanceof Set ? [...value] : value;
            if (!Array.isArray(array) && (!ArrayBuffer.isView(array) || array instanceof DataView))
                throw refuse(`${describe(value)} is not an array of the type ${text}`);
            if (element.kind === Kind.VARIANT && Array.isArray(array))
                this.writeArray(array, depth);
            else
                this._writeElements(element, array, depth);
        }

        // Numbers of that type, all of them; else false, and somebody has to look at them one by one.
        _writeNumbersAs(kind, array) {
            const klass = ARRAYS[kind];

            if (klass === undefined || !everyNumber(array))
                return false;
            if (kind === Kind.DOUBLE) {
                this.writeDoubles(array);
                return true;
            }
            if (kind === Kind.INT64 || kind === Kind.UINT64) {
                if (!array.every(number => isInteger(number) && (number >= 0 || kind === Kind.INT64)))
                    return false;
                this.writeIntegers(array);
                return true;
            }

            const typed = klass.from(array);
            if (!typed.every((number, i) => number === array[i]))
                return false;
            this.writeNumbers(typed);

            return true;
        }

        _writeElements(element, array, depth) {
            if (this._writeNumbersAs(element.kind, array))
                return;

            const begin = this.position;
            const nBefore = this.nEnds;
            const isFixed = element.size > 0;
            let i = 0;

            try {
                for (; i < array.length; i++) {
                    this.align(element.alignment);
                    this.writeAs(element, array[i], depth + 1);
                    if (!isFixed)
                        this.noteEnd();
                }
            } catch (e) {
                throw addPlace(e, `[${i}]`);
            }
            this.writeOffsets(begin, nBefore, false);
        }

        _writeEntriesAs(entry, value, text, depth) {
            const begin = this.position;
            const nBefore = this.nEnds;
            let entries;

            if (value instanceof Map) {
                entries = [...value];
            } else if (value !== null && typeof value === 'object' &&
                [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
                entries = Object.entries(value).filter(([, member]) => member !== undefined)
                    .map(([name, member]) => [toKey(name, entry.members[0]), member]);
            } else {
                throw refuse(`${describe(value)} is not a dictionary of the type ${text}`);
            }

            for (const pair of entries) {
                this.align(entry.alignment);
                try {
                    this._writeMembers(entry, pair, depth + 1);
                } catch (e) {
                    throw addPlace(e, `[${JSON.stringify(String(pair[0]))}]`);
                }
                if (entry.size === 0)
                    this.noteEnd();
            }
            this.writeOffsets(begin, nBefore, false);
        }

        _writeMembers(type, values, depth) {
            const {kind, members, size} = type;

            this.align(type.alignment);
            const begin = this.position;
            const nBefore = this.nEnds;
            if (!Array.isArray(values) || values.length !== members.length) {
                throw refuse(`${Array.isArray(values) ? `an array of ${values.length}` : describe(values)} ` +
                    `is not of the type ${type.text}`);
            }

            for (let i = 0; i < members.length; i++) {
                const member = members[i];

                try {
                    this.align(member.alignment);
                    this.writeAs(member, values[i], depth + 1);
                } catch (e) {
                    throw kind === Kind.TUPLE ? addPlace(e, `[${i}]`) : e;
                }
                if (member.size === 0 && i < members.length - 1)
                    this.noteEnd();
            }
            while (this.position < begin + size)
                this.writeByte(0);
            this.writeOffsets(begin, nBefore, true);
        }

        // A tuple of what each is by itself.
        writeArgs(args) {
            const types = [];
            let text, size;

            for (let i = 0; i < args.length; i++) {
                try {
                    types.push(this.write(args[i], 1));
                } catch (e) {
                    throw addPlace(e, `[${i}]`);
                }
                if (i < args.length - 1 && compile(types[i]).size === 0)
                    this.noteEnd();
            }

            text = `(${types.join('')})`;
            ({size} = compile(text));
            while (this.position < size)
                this.writeByte(0);
            this.writeOffsets(0, 0, true);

            return text;
        }
    }

    // What it looks at may be code of the program, which may pack other values meanwhile.
    function withPacker(root, action) {
        const packer = spare ?? new TypedPacker();

        spare = null;
        try {
            return action(packer);
        } catch (e) {
            throw addRoot(e, root);
        } finally {
            packer.reset();
            if (packer.bytes.length <= SPARE_MAX)
                spare = packer;
        }
    }

    // A large array, which need not be copied: its bytes are those of the value, and of a tuple of it alone.
    function isReady(value) {
        return ArrayBuffer.isView(value) && value.byteLength > SPARE_MAX;
    }

    // @type: null for what the value is by itself
    // @use: what is done with the type and the bytes, which are not valid any longer than that
    function packBytes(value, type, use) {
        const ready = type === null && isReady(value) ? getOwnBytes(value) : null;
        if (ready !== null)
            return use(...ready);

        return withPacker('value', packer => {
            let text = type;

            if (type === null)
                text = packer.write(value, 0);
            else
                packer.writeAs(compile(type), value, 0);
            return use(text, packer.getBytes());
        });
    }

    // The type that it stands for.
    function checkSignature(signature) {
        const type = compile(signature);

        if (type.kind !== Kind.TUPLE)
            throw new TypeError(`${signature} is not the type of a tuple`);
        return type;
    }

    // The arguments of a call.
    function packArgsBytes(args, signature, use) {
        const ready = signature === null && args.length === 1 && isReady(args[0]) ? getOwnBytes(args[0]) : null;
        if (ready !== null)
            return use(`(${ready[0]})`, ready[1]);

        return withPacker('args', packer => {
            let text = signature;

            if (signature === null) {
                text = packer.writeArgs(args);
            } else {
                packer.writeAs(checkSignature(signature), args, 0);
            }
            return use(text, packer.getBytes());
        });
    }

    return {checkSignature, packBytes, packArgsBytes};
})(globalThis);
