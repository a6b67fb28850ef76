// SPDX-License-Identifier: LGPL-2.1-or-later
// Buffers of shared memory as JavaScript sees them.
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Afrpc from 'gi://Afrpc?version=1.0';

import {assert, assertEqual, assertError, assertThrows, runTests} from './gjs-util.js';

const WORKER = GLib.getenv('AFRPC_TEST_BIG_WORKER');
const SIZE = 100000;
const KINDS = [Afrpc.BufferFlags.DEFAULT, Afrpc.BufferFlags.REUSED];

function act(what, type, value) {
    return new GLib.Variant('(sv)', [what, new GLib.Variant(type, value)]);
}

// 64 bits, as in the worker.
function addUp(bytes) {
    let sum = 0n;
    for (const byte of bytes)
        sum = BigInt.asUintN(64, sum * 31n + BigInt(byte));
    return Number(sum);
}

async function received(proxy) {
    for (const flags of KINDS) {
        const [value, fds] = await proxy.call_full(act('make-buffer', '(tuy)', [SIZE, flags, 120]), null, null);
        const [handle, size] = value.deepUnpack();
        const buffer = Afrpc.Buffer.new_take_fd(fds.get(handle), size, flags);
        assert(buffer.is_sealed() && buffer.get_size() === SIZE, 'a sealed buffer');
        const bytes = buffer.get_bytes().toArray();
        assert(bytes.length === SIZE && bytes.every(byte => byte === 120), 'its content');
    }
}

async function sent(proxy) {
    const content = Uint8Array.from({length: SIZE}, (_, i) => i * 7 % 251);
    for (const flags of KINDS) {
        const buffer = Afrpc.Buffer.new(SIZE, flags);
        buffer.write(0, content.subarray(0, 10));
        buffer.write(10, content.subarray(10));
        buffer.seal();
        const list = Gio.UnixFDList.new();
        const handle = list.append(buffer.get_fd());
        const [value] = await proxy.call_full(act('read-buffer', '(htu)', [handle, SIZE, flags]), new Afrpc.CallOptions({fds: list}), null);
        assert(Number(value.get_uint64()) === addUp(content), 'what the worker read');
    }
}

// Whatever has bytes is written as they are.
function written() {
    const numbers = [1.5, -2.5, 300];
    const floats = Float64Array.from([7, ...numbers]).subarray(1);
    const expected = new Uint8Array(Float64Array.from(numbers).buffer);

    for (const data of [floats, expected.buffer, new DataView(floats.buffer, 8), new GLib.Bytes(expected)]) {
        const buffer = Afrpc.Buffer.new(26, 0);
        buffer.write(2, data);
        buffer.seal();
        assertEqual(buffer.get_bytes().toArray().subarray(2), expected, data.constructor.name);
        assertThrows(() => buffer.write(0, data), Error, 'is sealed');
    }

    const buffer = Afrpc.Buffer.new(24);
    assertThrows(() => buffer.write(1, floats), RangeError, 'do not fit');
    assertThrows(() => buffer.write(-1, floats), RangeError, 'do not fit');
    assertThrows(() => buffer.write(0, 'text'), TypeError, 'has bytes');
    assertThrows(() => Afrpc.Buffer.new(0, 0), RangeError, 'at least 1 byte');
}

// An Array of numbers does as a list, an empty one if only the result has descriptors.
async function numbers(proxy) {
    const [[handle, size], list] = await proxy.invokeWith({signature: '(sv)', fds: []}, 'make-buffer',
        new GLib.Variant('(tuy)', [SIZE, 0, 120]));
    const buffer = Afrpc.Buffer.new_take_fd(list.get(handle), size, 0);
    const args = ['read-buffer', new GLib.Variant('(htu)', [0, SIZE, 0])];
    const [sum, none] = await proxy.invokeWith({signature: '(sv)', fds: [buffer.get_fd()]}, ...args);

    assertEqual([Number(sum), none], [addUp(buffer.get_bytes().toArray()), null], 'what the worker read, and sent along');
    await assertError(proxy.invokeWith({fds: [4095]}, ...args), Gio.IOErrorEnum, Gio.IOErrorEnum.FAILED);
}

async function refused() {
    // A copy of the standard input, which is no memory.
    const list = Gio.UnixFDList.new();
    list.append(0);
    for (const fd of [-1, list.get(0)]) {
        await assertError((async () => Afrpc.Buffer.new_take_fd(fd, 0, Afrpc.BufferFlags.DEFAULT))(), Afrpc.Error,
            Afrpc.Error.INVALID_DATA);
    }
}

function withProxy(test) {
    return async () => {
        const process = Afrpc.Process.new_exec('c');
        process.require(WORKER);
        const proxy = new Afrpc.Proxy({process, function: 'act'});
        await test(proxy);
        await proxy.close_async(null);
    };
}

runTests({received: withProxy(received), sent: withProxy(sent), numbers: withProxy(numbers), written, refused});
