#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the seeds of the fuzz targets into the folders beside it: stream/, value/, options/ and ring/.

The layout of a frame is that of afrpc/wire/afrpc-frame.h, the bytes in front that of fuzz-stream.c and
fuzz-value.c, the steps those of fuzz-ring.c.
"""

import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
MAGIC = 0x0A31637072666100
HELLO, FAILED, READY, CALL, RESULT, ERROR, EVENT, FORKED, REFUSED = 1, 7, 8, 9, 11, 12, 13, 15, 16
EXITED, STARTED, GOODBYE, PROGRESS, RETIRE, RING = 19, 20, 21, 22, 25, 26
AT_READY, FDS, NO_PAGE, ABANDONED, SMALL, COMMAND, TIMED, RESTART = 1, 2, 4, 8, 16, 32, 64, 128
GUARD = b"\xa5" * 8
# Of fuzz-ring.c: the options, and steps that are not looked at yet, or send a descriptor
WORKER, BY_SOCKET = 1, 2
UNSEEN, WITH_FD = 128, 64
TAIL, BELLS, IS_CLOSED, ROOM_SLEEP, HEAD, IS_TAKEN, SLEEP = 0, 1, 2, 3, 16, 17, 18
TO_PROGRAM, TO_WORKER = 0, 32
RING_SIZE = 16384


def pad(data):
    return data + bytes(-len(data) % 8)


def frame(kind, serial=0, type_string=b"", payload=b"", flags=0, n_fds=0, size=None):
    size = len(payload) if size is None else size
    header = struct.pack("<BBHB3xQQ", kind, flags, n_fds, len(type_string), serial, size)
    return header + pad(type_string) + pad(payload)


def serial(call):
    """Of the call of that number, from 0, when none was answered before."""
    return (call + 1) << 24 | call


def error(domain, code, message):
    """A GVariant of type (sis)."""
    head = domain + bytes(1)
    head += bytes(-len(head) % 4)
    return head + struct.pack("<i", code) + message + bytes(1) + bytes([len(domain) + 1])


def options(*entries):
    """A GVariant of type a{sv}: of each entry, the name, the type and the bytes of the value, which is not large."""
    data, ends = b"", []
    for name, type_string, value in entries:
        data = pad(data)
        begin = len(data)
        data += pad(name + bytes(1)) + value + bytes(1) + type_string
        data += struct.pack("<B" if len(data) - begin < 255 else "<H", len(name) + 1)
        ends.append(len(data))
    size = 1 if len(data) + len(ends) < 256 else 2
    return data + b"".join(end.to_bytes(size, "little") for end in ends)


def word(at, value, how=0):
    return struct.pack("<BBI", 0 | how, at, value)


def ring_bytes(at, data, how=0):
    return struct.pack("<BHB", 1 | how, at, len(data)) + data


def send(data, how=0):
    return struct.pack("<BB", 2 | how, len(data)) + data


def put(data, how=0):
    return struct.pack("<BB", 3 | how, len(data)) + data


def announce(size, how=0):
    return struct.pack("<BI", 4 | how, size)


BELL_STEP, CLOSE_STEP = b"\5", b"\6"


def queue(size, how=0):
    return struct.pack("<BH", 7 | how, size)


# {'version': <uint32 1>, 'host': <'c'>}, as GLib 2.74 writes it.
GREETING = (
    b"version\0" + b"\1\0\0\0" + b"\0u" + b"\x08" + bytes(1) + b"host\0" + bytes(3) + b"c\0\0s" + b"\x05" + b"\x0f\x1d"
)
GOODBYE_FRAME = frame(GOODBYE, 0x123456789ABCDEF0, b"", struct.pack("<iBB2x", -1, 9, 0))
HELLO_FRAME = frame(HELLO, MAGIC, b"a{sv}", GREETING)

# <'abcde'>, of a multiple of 8 bytes
METADATA_ARGS = b"abcde\0\0s"

STREAM = {
    "greeting": (0, 0, 0, HELLO_FRAME + frame(READY) + frame(EVENT, 0, b"s", b"event\0")),
    "greeting-in-pieces": (0, 5, 0, HELLO_FRAME + frame(READY)),
    "greeting-failed": (0, 0, 0, HELLO_FRAME + frame(FAILED, 0, b"(sis)", error(b"g-io-error-quark", 1, b"no file"))),
    "greeting-wrong": (0, 0, 0, frame(HELLO, MAGIC + 1, b"a{sv}", GREETING)),
    "forked": (FDS, 64, 0, HELLO_FRAME + frame(FORKED, 0, b"(ub)", b"\1\0\0\0\1\0\0\0", n_fds=1)),
    "forked-malformed": (FDS, 64, 0, HELLO_FRAME + frame(FORKED, 0, b"(ub)", b"123", n_fds=1)),
    "exited": (0, 0, 0, HELLO_FRAME + frame(EXITED, 0, b"(uiib)", struct.pack("<IiiB3x", 7, -1, 9, 1))),
    "timed": (AT_READY | TIMED, 0, 2,
              frame(STARTED, serial(0), b"x", struct.pack("<q", 1)) + frame(PROGRESS, serial(0), b"b", b"\2")
              + frame(PROGRESS, serial(0), b"b", b"\1") + frame(RESULT, serial(0), b"b", b"\1") + frame(RETIRE)),
    "restart": (RESTART, 0, 7, (HELLO_FRAME + frame(READY) + frame(STARTED, serial(1))
                                + frame(RESULT, serial(1), b"b", b"\1") + frame(RETIRE)) * 2),
    "restart-no-page": (RESTART | NO_PAGE | TIMED, 0, 7, (HELLO_FRAME + frame(READY) + frame(STARTED, serial(1))) * 2),
    "command": (AT_READY | COMMAND, 0, 1,
                frame(STARTED, serial(0)) + GUARD + frame(RESULT, serial(0), b"b", b"\1") + GUARD + GOODBYE_FRAME),
    "command-half-frame": (AT_READY | COMMAND, 0, 0, frame(EVENT, 0, b"ay", b"half", size=1000) + GOODBYE_FRAME),
    "command-no-guard": (AT_READY | COMMAND, 0, 0, frame(EVENT, 0, b"b", b"\1") * 2),
    "fork-refused": (0, 0, 0, HELLO_FRAME + frame(REFUSED, 0, b"(sis)", error(b"afrpc-error-quark", 19, b"no"))),
    "garbage": (0, 0, 0, b"Usage: cat [OPTION]... [FILE]...\n"),
    "results": (AT_READY, 0, 3, b"".join(frame(RESULT, serial(i), b"(is)", b"\1\0\0\0a\0") for i in (2, 0, 1))),
    "results-in-pieces": (AT_READY | NO_PAGE, 7, 2, b"".join(frame(RESULT, serial(i), b"ay", b"x" * 9) for i in (1, 0))),
    "result-twice": (AT_READY, 0, 1, frame(RESULT, serial(0), b"b", b"\1") * 2),
    "result-of-no-call": (AT_READY, 0, 1, frame(RESULT, serial(5), b"b", b"\1")),
    "results-without-type": (AT_READY, 0, 4, b"".join(frame(RESULT, serial(i)) for i in range(4))),
    "error": (AT_READY, 0, 1, frame(ERROR, serial(0), b"(sis)", error(b"elsewhere", -3, b"text"))),
    "refused": (AT_READY, 0, 2, frame(ERROR, serial(0), b"(sis)", error(b"elsewhere", -3, b"text"), flags=64)
                + frame(RESULT, serial(1), b"b", b"\1", flags=64)),
    "abandoned": (AT_READY | ABANDONED, 0, 4, b"".join(frame(RESULT, serial(i), b"v", b"a\0\0s") for i in range(4))),
    "event-swapped": (AT_READY, 0, 0, frame(EVENT, 0, b"at", bytes(range(16)), flags=1)),
    "event-malformed": (AT_READY, 0, 0, frame(EVENT, 0, b"as", b"a\0b\0\4\2") + frame(EVENT, 0, b"u", b"1234")),
    "events-small": (AT_READY | SMALL, 0, 0, frame(EVENT, 0, b"t", b"12345678") + frame(EVENT, 0, b"s", b"12345678\0")),
    "descriptors": (AT_READY | FDS, 24, 0, frame(EVENT, 0, b"y", b"1", n_fds=1)),
    "large-unfinished": (AT_READY, 0, 0, frame(EVENT, 0, b"ay", b"begin", size=65536)),
    "too-large": (AT_READY, 0, 0, frame(EVENT, 0, b"ay", b"begin", size=65537)),
    "ready-twice": (AT_READY, 0, 0, frame(READY)),
    "call-of-parent": (AT_READY, 0, 0, frame(CALL, serial(0), b"s", b"a\0")),
}

VALUE = {
    "string": (0, b"s", b"text\0"),
    "string-bad": (0, b"s", b"a\xff\0"),
    "bytes": (0, b"ay", b"\0\1\2"),
    "number-swapped": (1, b"t", bytes(range(8))),
    "nested": (0, b"(yas)", b"\1a\0b\0\2\4"),
    "strings": (0, b"as", b"a\0b\0\2\4"),
    "strings-swapped": (1, b"as", b"a\0b\0\2\4"),
    "strings-overlapping": (0, b"as", b"a\0b\0\4\2"),
    "dictionary": (0, b"a{sv}", GREETING),
    "dictionary-swapped": (1, b"a{sv}", GREETING),
    "maybe": (0, b"ms", b"a\0\0"),
    "variant": (0, b"v", b"a\0\0s"),
    "variant-deep": (0, b"v", b"\1" + b"\0y" + b"\0v" * 40),
    "error": (0, b"(sis)", error(b"g-io-error-quark", 1, b"text")),
    "unit": (0, b"()", b"\0"),
    "no-type": (0, b"", b""),
    "type-indefinite": (0, b"a*", b""),
    "type-with-nul": (0, b"s\0", b"a\0"),
    "type-deep": (0, b"a" * 127 + b"s", b""),
    "path": (0, b"o", b"/a/b_0\0"),
    "signature": (0, b"g", b"a{s(ax)}\0"),
    "text": (0, b"s", "aé€😀".encode() + b"\0"),
    "rows": (0, b"a(yx)", (b"\1" + bytes(7) + bytes(range(8))) * 3),
    "rows-swapped": (1, b"a(yx)", (b"\1" + bytes(7) + bytes(range(8))) * 3),
    "truths": (0, b"a(bq)", b"\1\0\2\3" * 9),
    "maybes": (0, b"(mnms)", b"\1\2a\0\0\2"),
    "variants": (0, b"av", b"a\0\2\0as" + b"\0\0" + b"\1\0y" + b"\6\x0b"),
    "empty-tuple": (0, b"(ayay)", b""),
    "metadata": (32, b"(va{sv})", METADATA_ARGS + GREETING + bytes([len(METADATA_ARGS)])),
    "metadata-swapped": (33, b"(va{sv})", METADATA_ARGS + GREETING + bytes([len(METADATA_ARGS)])),
    "metadata-bad": (32, b"(vs)", METADATA_ARGS + b"a\0" + bytes([len(METADATA_ARGS)])),
    "type-longest": (0, b"(" + b"y" * 253 + b")", b"y" * 253),
}

OPTIONS = {
    "none": b"",
    "greeting": GREETING,
    "all": options((b"async", b"b", b"\1"), (b"byte", b"y", b"\xff"), (b"nice", b"i", struct.pack("<i", -3)),
                   (b"version", b"u", struct.pack("<I", 1)), (b"max-message-size", b"t", struct.pack("<Q", 1 << 20)),
                   (b"function", b"s", b"echo\0"), (b"cwd", b"ay", b"/\0")),
    "large": options((b"function", b"s", b"s" * 300 + b"\0"), (b"host", b"s", b"c\0")),
    "twice": options((b"host", b"s", b"c\0"), (b"host", b"u", struct.pack("<I", 1))),
    "nested": options((b"", b"a{sv}", GREETING), (b"host", b"v", b"c\0\0s")),
    "no-element": options((b"byte", b"ay", b""), (b"cwd", b"ay", b"")),
    "short": options((b"async", b"b", b"\2"), (b"max-message-size", b"t", b"\1")),
    "names-alike": options((b"h", b"s", b"\0"), (b"host-", b"s", b"c\0"), (b"host", b"s", b"d\0")),
}

EVENT_FRAME = frame(EVENT, 0, b"s", b"event\0")
RECORD = struct.pack("<II", len(EVENT_FRAME), 0) + EVENT_FRAME
FD_FRAME = frame(EVENT, 0, b"y", b"1", n_fds=1)

# A byte of options, and the steps.
RINGS = {
    "put": (0, put(EVENT_FRAME) + put(EVENT_FRAME)),
    "put-worker": (WORKER, put(frame(CALL, 1, b"s", b"a\0")) + queue(20)),
    "put-half": (0, put(EVENT_FRAME[:20]) + put(EVENT_FRAME[20:])),
    "announced": (0, announce(len(EVENT_FRAME)) + send(EVENT_FRAME) + put(EVENT_FRAME)),
    "announced-late": (0, put(EVENT_FRAME, UNSEEN) + announce(len(EVENT_FRAME), UNSEEN) + put(EVENT_FRAME) + send(EVENT_FRAME[:9])
                       + send(EVENT_FRAME[9:])),
    "announced-nothing": (0, announce(0) + send(EVENT_FRAME)),
    "announced-huge": (0, announce(0xffffffff) + send(EVENT_FRAME * 5)),
    "announced-with-bells": (0, BELL_STEP + announce(len(FD_FRAME), UNSEEN) + send(FD_FRAME, WITH_FD) + BELL_STEP),
    "descriptor-early": (0, send(FD_FRAME, WITH_FD | UNSEEN) + announce(len(FD_FRAME))),
    "bells": (0, BELL_STEP * 3 + word(TO_PROGRAM + BELLS, 1000) + put(EVENT_FRAME)),
    "bells-many": (0, word(TO_PROGRAM + BELLS, 1000, UNSEEN) + send(bytes(200))),
    "bells-not-sent": (0, word(TO_PROGRAM + BELLS, 5) + announce(len(EVENT_FRAME), UNSEEN) + send(EVENT_FRAME)),
    "foreign": (0, send(b"x")),
    "closed": (0, put(EVENT_FRAME, UNSEEN) + CLOSE_STEP + put(EVENT_FRAME)),
    "closed-worker": (WORKER, word(TO_WORKER + IS_CLOSED, 1) + put(EVENT_FRAME)),
    "switch": (BY_SOCKET, send(EVENT_FRAME + frame(RING)) + put(EVENT_FRAME) + queue(100)),
    "switch-worker": (WORKER | BY_SOCKET, send(EVENT_FRAME) + send(frame(RING)) + put(EVENT_FRAME)),
    "switch-early": (BY_SOCKET, put(EVENT_FRAME, UNSEEN) + send(frame(RING))),
    "switch-behind": (BY_SOCKET, send(frame(RING) + EVENT_FRAME)),
    "switch-twice": (BY_SOCKET, send(frame(RING)) + put(frame(RING))),
    "tail-beyond": (0, word(TO_PROGRAM + TAIL, RING_SIZE + 8)),
    "tail-beyond-record": (0, ring_bytes(0, struct.pack("<II", 3 * RING_SIZE - 16, 0) + frame(EVENT, 0, b"ay", size=9000), UNSEEN)
                           + word(TO_PROGRAM + TAIL, 3 * RING_SIZE)),
    "tail-odd": (0, word(TO_PROGRAM + TAIL, 4)),
    "tail-behind": (0, put(EVENT_FRAME) + word(TO_PROGRAM + TAIL, 8)),
    "tail-all": (0, ring_bytes(0, struct.pack("<II", RING_SIZE - 8, 0) + EVENT_FRAME * 3, UNSEEN) + word(TO_PROGRAM + TAIL, RING_SIZE)),
    "record": (0, ring_bytes(0, RECORD, UNSEEN) + word(TO_PROGRAM + TAIL, len(RECORD)) + queue(300)),
    "record-too-large": (0, ring_bytes(0, struct.pack("<II", 1000, 0) + EVENT_FRAME, UNSEEN) + word(TO_PROGRAM + TAIL, len(RECORD))),
    "record-empty": (0, word(TO_PROGRAM + TAIL, 64)),
    "record-short": (0, ring_bytes(0, struct.pack("<II", 0xffffffff, 0), UNSEEN) + word(TO_PROGRAM + TAIL, 8)),
    "record-negative": (0, ring_bytes(0, struct.pack("<IIII", 0xffffffff, 0, 8, 1 << 31), UNSEEN) + word(TO_PROGRAM + TAIL, 16)),
    "full": (0, word(TO_WORKER + HEAD, 0, UNSEEN) + queue(9000) + queue(9000) + queue(100) + word(TO_WORKER + HEAD, 9000)),
    "full-large": (0, word(TO_WORKER + IS_TAKEN, 1, UNSEEN) + queue(30000) + queue(30000) + word(TO_WORKER + HEAD, 16)),
    "head-beyond": (0, word(TO_WORKER + HEAD, 64) + queue(100) + queue(100)),
    "head-beyond-much": (0, word(TO_WORKER + HEAD, 0x7ffffff8, UNSEEN) + queue(9000, UNSEEN) * 9 + queue(100)),
    "sleep": (0, word(TO_WORKER + SLEEP, 2) + queue(10) + word(TO_WORKER + SLEEP, 1) + queue(10) + word(TO_WORKER + SLEEP, 77)
              + queue(10)),
    "room-sleep": (0, word(TO_PROGRAM + ROOM_SLEEP, 2, UNSEEN) + put(EVENT_FRAME)
                   + word(TO_PROGRAM + ROOM_SLEEP, 99, UNSEEN) + put(EVENT_FRAME)),
    "wrapped": (0, ring_bytes(0, struct.pack("<II", RING_SIZE - 24, 0) + frame(EVENT, 0, b"ay", size=RING_SIZE - 56), UNSEEN)
                + word(TO_PROGRAM + TAIL, RING_SIZE - 16) + ring_bytes(RING_SIZE - 16, RECORD[:16], UNSEEN)
                + ring_bytes(0, RECORD[16:], UNSEEN) + word(TO_PROGRAM + TAIL, RING_SIZE - 16 + len(RECORD))),
}


def main():
    for name, (options, piece, n_calls, data) in STREAM.items():
        (HERE / "stream" / name).write_bytes(bytes([options, piece, n_calls]) + data)
    for name, (flags, type_string, payload) in VALUE.items():
        (HERE / "value" / name).write_bytes(bytes([flags, len(type_string)]) + type_string + payload)
    for name, data in OPTIONS.items():
        (HERE / "options" / name).write_bytes(data)
    for name, (options, steps) in RINGS.items():
        (HERE / "ring" / name).write_bytes(bytes([options]) + steps)


if __name__ == "__main__":
    main()
