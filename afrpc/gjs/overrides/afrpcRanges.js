// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported check, extend */

// Numbers that properties are set to. gjs makes a number of whatever there is, and of one out of range GLib only warns.
const {AfrpcGjs, GObject} = imports.gi;

const isNumber = value => typeof value === 'number' || typeof value === 'bigint';
const isInteger = value => typeof value === 'bigint' || Number.isInteger(value);

function toNumber(text) {
    return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
}

// Those of a class that can be set, by each of the names that they have.
function getRanges(Class) {
    const ranges = new Map();

    for (const pspec of Class.list_properties()) {
        const [isRanged, min, max] = AfrpcGjs.get_range(pspec);
        const {name, flags} = pspec;

        if (!isRanged || !(flags & GObject.ParamFlags.WRITABLE))
            continue;

        const property = name.replaceAll('-', '_');
        const range = {what: `'${property}'`, property, flags, min: toNumber(min), max: toNumber(max)};

        for (const alias of [name, property, name.replace(/-./g, part => part[1].toUpperCase())])
            ranges.set(alias, range);
    }

    return ranges;
}

// Throws if a value is none of a range.
function check({what, min, max}, value) {
    if (!isNumber(value))
        throw new TypeError(`${what} has to be a number, not ${typeof value === 'string' ? `the string '${value}'` : String(value)}`);
    if (!(isInteger(value) && value >= min && value <= max))
        throw new RangeError(`${what} has to be an integer between ${min} and ${max}, not ${value}`);
}

// Has numbers checked that objects of a class are made with, and those that they are given later. Returns their ranges.
function extend(Class) {
    const {prototype} = Class;
    const {_init: init} = prototype;
    const ranges = getRanges(Class);

    prototype._init = function (properties = {}) {
        for (const name in properties) {
            const range = ranges.get(name);

            if (range !== undefined)
                check(range, properties[name]);
        }
        init.call(this, properties);
    };

    for (const [name, range] of ranges) {
        const descriptor = Object.getOwnPropertyDescriptor(prototype, name);

        if (range.flags & GObject.ParamFlags.CONSTRUCT_ONLY || descriptor?.set === undefined)
            continue;
        Object.defineProperty(prototype, name, {
            ...descriptor,
            set(value) {
                check(range, value);
                descriptor.set.call(this, value);
            },
        });
    }
    for (const range of new Set(ranges.values())) {
        const name = `set_${range.property}`;
        const setter = prototype[name];

        if (setter !== undefined) {
            prototype[name] = function (value) {
                check(range, value);
                setter.call(this, value);
            };
        }
    }

    return ranges;
}
