#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values of Python: what they become, and what becomes of what cannot be sent."""
import array
import ctypes
import gc
import importlib.util
import math
import mmap
import os
import pickle
import sys
import unittest

import gi

gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc, GLib  # noqa: E402

from afrpc import Tagged, _proxy  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
WORKER = os.path.join(HERE, "workers", "python_values.py")
C_WORKER = os.environ["AFRPC_TEST_WORKER"]
HAVE_NUMPY = importlib.util.find_spec("numpy") is not None
context = GLib.MainContext.default()


def make(function, worker=WORKER, host="python", **arguments):
    process = Afrpc.Process.new_exec(host).require(worker)
    return Afrpc.Proxy(process=process, function=function, **arguments)


def unpack(signature, value, hooks=None):
    return _proxy.unpack(GLib.Variant(signature, value), hooks)


class Places(unittest.TestCase):
    """Where in a value it is that cannot be sent."""

    @classmethod
    def setUpClass(cls):
        cls.proxy = make("one")

    def assert_refused(self, kind, words, *args, **options):
        with self.assertRaises(kind) as caught:
            self.proxy.invoke_sync(*args, **options)
        self.assertEqual(str(caught.exception), words)

    def test_places(self):
        self.assert_refused(TypeError, "argument 1: a value of type object cannot be sent", object())
        self.assert_refused(OverflowError, "argument 2, key 'a', element 3: an int that is beyond 64 bits with a sign cannot be sent",
                            1, {"a": [1, 2, 3, 2**64]})
        self.assert_refused(ValueError, "argument 1, element 1, element 0, key 5: a str with a NUL in it cannot be sent, "
                            "send bytes instead", (1, [{5: "\0"}]))
        self.assert_refused(ValueError, "argument 1, key 'a\\ud800': a str with half a surrogate pair in it cannot be sent",
                            {"a\ud800": 1})
        self.assert_refused(TypeError, "argument 1, element 0: the keys of a dict must be all str or all int to be sent",
                            [{"a": 1, 2: 3}])
        self.assert_refused(ValueError, "argument 1" + ", element 0" * 7 + ", ..., element 0, element 0"
                            ": a value that is nested more than 120 deep cannot be sent", self.deep(100))
        self.assert_refused(TypeError, "argument 1" + ", element 0" * 9 + ": a value of type object cannot be sent",
                            self.deep(9, object()))
        self.assert_refused(TypeError, "argument 1" + ", element 0" * 7 + ", ..., element 0, element 0"
                            ": a value of type object cannot be sent", self.deep(10, object()))
        self.assert_refused(ValueError, "arguments of so many members that the type has 302 characters cannot be sent",
                            *[1] * 300)
        self.assert_refused(ValueError, "argument 1, element 1: a tuple of so many members that its type has 302 "
                            "characters cannot be sent", [1, (1,) * 300])

    def test_endless(self):
        """What contains itself has no end of places."""
        numbers, names, both = [1], {}, [{}, 1]
        numbers.append(numbers)
        names["a"] = [names]
        both[0]["b"] = (both,)
        outside = Tagged("t", [])
        outside.value.append(outside)
        words = "a value of type list that contains itself cannot be sent"
        self.assert_refused(ValueError, f"argument 1: {words}", numbers)
        self.assert_refused(ValueError, f"argument 2, key 'k', element 1: {words}", 1, {"k": [1, numbers]})
        self.assert_refused(ValueError, f"argument 1: {words}", numbers, signature="(v)")
        self.assert_refused(ValueError, f"argument 1, key 't': {words}", outside)
        for value in names, both:
            for signature in None, "(v)", "(av)" if value is both else "(a{sv})":
                self.assert_refused_like(r"argument 1(, key '.'|, element .){0,2}: a value of type \w+ that contains itself "
                                         "cannot be sent", value, signature=signature)
        with make("one", default=lambda value: [value]) as proxy, self.assertRaisesRegex(ValueError, "more than 120 deep"):
            proxy.invoke_sync(object())
        # It says where the next one is wrong, too.
        self.assert_refused(TypeError, "argument 1, element 0: a value of type object cannot be sent", [object()])

    def assert_refused_like(self, words, *args, **options):
        with self.assertRaises(ValueError) as caught:
            self.proxy.invoke_sync(*args, **options)
        self.assertRegex(str(caught.exception), f"^{words}$")

    def deep(self, n, value=None):
        value = [] if value is None else value
        for _ in range(n):
            value = [value]
        return value

    def test_places_with_signature(self):
        self.assert_refused(OverflowError, "argument 1: an int is out of the range of 'u'", -1, signature="(u)")
        self.assert_refused(TypeError, "argument 2, element 1: a value of type str cannot be sent as 'i'",
                            1, [1, "2"], signature="(iai)")
        self.assert_refused(TypeError, "argument 1, element 2: a value of type NoneType cannot be sent as 's'",
                            ["a", "b", None], signature="as")
        self.assert_refused(TypeError, "argument 1, key 'a': a value of type str cannot be sent as 'u'",
                            {"a": "b"}, signature="(a{su})")
        self.assert_refused(OverflowError, "argument 1, key 300: an int is out of the range of 'y'",
                            {300: "b"}, signature="(a{ys})")
        self.assert_refused(TypeError, "2 values cannot be sent as '(u)'", 1, 2, signature="(u)")
        self.assert_refused(TypeError, "argument 1: 1 values cannot be sent as '(us)'", (1,), signature="((us))")
        self.assert_refused(ValueError, "'nonsense' is not the type of a value", 1, signature="nonsense")
        self.assert_refused(ValueError, "argument 1: 'x' is not valid as 'o'", "x", signature="(o)")
        self.assert_refused(ValueError, "argument 1: '" + "x" * 199 + "\ufffd' is not valid as 'o'", "x" * 199 + "äöü",
                            signature="(o)")
        self.assert_refused(TypeError, "argument 1: a Variant of type 'i' cannot be sent as 'u'",
                            GLib.Variant("i", 1), signature="(u)")
        self.assert_refused(ValueError, "'" + "a" * 129 + "y' is not the type of a value", [],
                            signature="a" * 129 + "y")
        with self.assertRaisesRegex(TypeError, "^element 1: a value of type str cannot be sent as 'y'$"):
            Afrpc.Variant("ay", [1, "a"])

    def test_results(self):
        with self.assertRaises(TypeError) as caught:
            make("unsendable").invoke_sync()
        self.assertTrue(str(caught.exception).startswith(
            "element 1, key 'a': a value of type object cannot be sent"), caught.exception)

    def test_exceptions_of_others_are_kept(self):
        class Index:
            def __index__(self):
                raise KeyError("mine")

        with self.assertRaises(KeyError) as caught:
            self.proxy.invoke_sync([1, Index()], signature="(ax)")
        self.assertEqual(caught.exception.args, ("mine",))
        self.assertEqual(caught.exception.__notes__, ["when afrpc converted argument 1, element 1"])

    def test_nothing_is_left(self):
        """Of what fails half-way, and of what does not."""
        def work():
            for value in ([1, "a", ({"a": [b"b"]},)], {"a": (1.5, None)}, [array.array("d", [1])] * 3):
                _proxy.unpack(_proxy.pack(value), None)
            for value in ([1, "a" * 50, {"a" * 50: [b"b" * 50, object()]}], (2**70,), {"a": {1: 1, "b": 1}}):
                self.assertRaises((TypeError, OverflowError), _proxy.pack, value)
            self.assertRaises(ValueError, unpack, "{s(satad)}", ("numpy", ("O", [3], [1.0])))

        work()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(3000):
            work()
        gc.collect()
        # A few hundred come and go.
        self.assertLess(sys.getallocatedblocks() - before, 2000)


class Hostile(unittest.TestCase):
    """Objects whose code runs in the middle of a conversion."""

    def setUp(self):
        self.proxy = make("one")

    def test_lists_that_change(self):
        class Index:
            def __index__(self):
                del items[:]
                return 1

        items = [Index()] + [object() for _ in range(1000)]
        with self.assertRaisesRegex(RuntimeError, "^argument 1: the list changed while it was converted$"):
            self.proxy.invoke_sync(items, signature="(ax)")
        items = [1, Index(), 2]
        with self.assertRaises(RuntimeError):
            self.proxy.invoke_sync((items,), signature="((ax))")

    def test_lists_that_grow(self):
        def default(value):
            items.extend([object() for _ in range(10000)])
            return 1

        self.proxy.set_hooks(default=default)
        items = [object(), object()]
        with self.assertRaisesRegex(RuntimeError, "the list changed"):
            self.proxy.invoke_sync(items)

    def test_dicts_that_change(self):
        for change in (dict.clear, lambda items: items.update({str(i): i for i in range(1000)}),
                       lambda items: (items.clear(), items.update({i: i for i in range(10)}))):
            for signature in None, "(a{sx})":
                items = {str(i): object() for i in range(10)}

                def default(value):
                    change(items)
                    return 1

                self.proxy.set_hooks(default=default)
                # With a signature, the default is asked for what is no str any more.
                with self.assertRaises(RuntimeError if signature is None else (RuntimeError, TypeError)):
                    self.proxy.invoke_sync(items, signature=signature)
        self.proxy.set_hooks(default=lambda value: 1)
        self.assertEqual(self.proxy.invoke_sync({"a": object()}), {"a": 1})

    def test_subclasses_are_what_they_are_made_of(self):
        class List(list):
            def __len__(self):
                raise RuntimeError

            __iter__ = __getitem__ = __len__

        class Dict(dict):
            def items(self):
                raise RuntimeError

            __iter__ = __len__ = __getitem__ = keys = items

        class Int(int):
            def __index__(self):
                raise RuntimeError

            __int__ = __index__

        class Str(str):
            def __str__(self):
                raise RuntimeError

            encode = __hash__ = None

        value = List([Dict({"a": Int(5)}), Str("ü"), Int(2**62)])
        self.assertEqual(self.proxy.invoke_sync(value), [{"a": 5}, "ü", 2**62])
        self.assertEqual(self.proxy.invoke_sync(List(["a"]), signature="(as)"), ["a"])

    def test_hooks_that_use_everything(self):
        """A conversion in a conversion, and other hooks in the middle of it."""
        def default(value):
            self.proxy.set_hooks()
            gc.collect()
            return [self.proxy.invoke_sync([value.real]), "a" * 10000]

        for _ in range(20):
            self.proxy.set_hooks(default=default)
            self.assertEqual(self.proxy.invoke_sync(["x", 1j, 2]), ["x", [[0.0], "a" * 10000], 2])

    def test_default_for_ever(self):
        self.proxy.set_hooks(default=lambda value: value)
        with self.assertRaisesRegex(ValueError, "nested more than"):
            self.proxy.invoke_sync(object())
        self.proxy.set_hooks(default=lambda value: [value])
        with self.assertRaisesRegex(ValueError, "nested more than"):
            self.proxy.invoke_sync(object())

    def test_malformed(self):
        for signature, data in (("as", b"abc\0\x09"), ("(ss)", b"a\0"), ("v", b"\0\0"), ("av", b"\1"), ("b", b"\2"),
                                ("ab", b"\0\2"), ("ax", b"123"), ("s", b"a"), ("s", b"\xff\0"), ("s", b"a\0b\0"),
                                ("v", b"\0" * 8 + b"\0" + b"(" * 300), ("ms", b"ab"), ("a{sv}", b"\1\2")):
            value = GLib.Variant.new_from_bytes(GLib.VariantType(signature), GLib.Bytes(data), False)
            with self.subTest(signature=signature, data=data), self.assertRaises(ValueError):
                _proxy.unpack(value, None)


class Hooks(unittest.TestCase):
    def setUp(self):
        self.proxy = make("one")

    def test_tagged(self):
        tagged = Tagged("a tag", [1, None])
        back = self.proxy.invoke_sync(tagged)
        self.assertIs(type(back), Tagged)
        self.assertEqual((back.tag, back.value), ("a tag", [1, None]))
        self.assertEqual(back, ("a tag", [1, None]))
        self.assertEqual(self.proxy.invoke_sync(tagged, raw=True).get_type_string(), "{sv}")
        self.assertEqual(pickle.loads(pickle.dumps(back)), back)
        self.assertEqual(repr(back), "afrpc.Tagged('a tag', [1, None])")
        with self.assertRaises(TypeError):
            self.proxy.invoke_sync(Tagged(1, 2))

    def test_default(self):
        self.proxy.set_hooks(default=lambda value: sorted(value))
        self.assertEqual(self.proxy.invoke_sync([{3, 1, 2}]), [[1, 2, 3]])
        self.assertEqual(self.proxy.invoke_sync({3, 1, 2}, signature="(ai)"), [1, 2, 3])
        self.assertEqual(self.proxy.invoke_sync("as it is"), "as it is")
        # What it raises of what does not go with a signature says which type was wanted, and where.
        for value, signature, note in ((5, "(ai)", "argument 1: a value of type int cannot be sent as 'ai'"),
                                       (5, "ai", "argument 1: a value of type int cannot be sent as 'ai'"),
                                       (["a", 5], "(as)", "argument 1, element 1: a value of type int cannot be sent as 's'"),
                                       ({"a": [1, None]}, "(a{s(ii)})",
                                        "argument 1, key 'a', element 1: a value of type NoneType cannot be sent as 'i'")):
            with self.assertRaisesRegex(TypeError, "is not iterable") as caught:
                self.proxy.invoke_sync(value, signature=signature)
            self.assertEqual(caught.exception.__notes__, [f"when afrpc converted {note}"])
        self.proxy.set_hooks(default=lambda value: value)
        with self.assertRaisesRegex(TypeError, r"^argument 1: a value of type str cannot be sent as 'i', and default\(\) returns"):
            self.proxy.invoke_sync("x", signature="(i)")
        self.proxy.set_hooks(default=lambda value: sorted(value))
        with self.assertRaises(TypeError):
            self.proxy.invoke_sync(object())
        self.proxy.set_hooks()
        with self.assertRaises(TypeError):
            self.proxy.invoke_sync({1})

    def test_hook(self):
        seen = []
        self.proxy.set_hooks(hook=lambda tag, value: seen.append(tag) or value)
        self.assertEqual(self.proxy.invoke_sync([Tagged("a", Tagged("b", 5))]), [5])
        self.assertEqual(seen, ["b", "a"])

    def test_hook_that_fails(self):
        self.proxy.set_hooks(hook=lambda tag, value: 1 // 0)
        call = self.proxy([Tagged("a", 1)])
        while not call.done():
            context.iteration(True)
        self.assertIsInstance(call.exception(), ZeroDivisionError)
        with self.assertRaises(ZeroDivisionError):
            self.proxy.invoke_sync(Tagged("a", 1))
        self.assertEqual(self.proxy.invoke_sync(1), 1)

    def test_given_when_made(self):
        proxy = make("one", default=str, hook=lambda tag, value: (tag, value), arrays=bytes)
        self.assertEqual(proxy.invoke_sync(1j), "1j")
        self.assertEqual(proxy.invoke_sync(Tagged("a", 1)), ("a", 1))
        self.assertEqual(proxy.invoke_sync(array.array("h", [1])), array.array("h", [1]).tobytes())
        with self.assertRaises(TypeError):
            make("one", default=5)

    def test_events_and_progress(self):
        events, news = [], []
        proxy = make("send", hook=lambda tag, value: (tag, value), on_event=events.append)
        later = proxy.events()
        call = proxy(Tagged("a", 1), on_progress=news.append)
        while not call.done():
            context.iteration(True)
        self.assertEqual((events, news), ([("a", 1)], [("a", 1)]))
        self.assertIs(type(events[0]), tuple)
        self.assertEqual(later._queue[0], ("a", 1))

    def test_hooks_of_the_worker(self):
        process = Afrpc.Process.new_exec("python").require(WORKER)
        process.eval("import python_values; change_hooks = python_values.change_hooks\n"
                     "def act(what, *args):\n"
                     "    return getattr(python_values, what)(*args)\n")
        act = Afrpc.Proxy(process=process, function="act").invoke_sync
        act("change_hooks", "repr")
        self.assertEqual(act("unsendable")[1]["a"][:7], "<object")
        act("change_hooks", "tags")
        self.assertEqual(act("one", Tagged("a", 1)), ["a", 1])
        act("change_hooks", "arrays")
        self.assertEqual(act("one", array.array("f", [1.5])), Tagged("f", [1.5]))
        act("change_hooks", "bad")
        with self.assertRaises(Afrpc.RemoteError) as caught:
            act("one", Tagged("a", 1))
        self.assertEqual(caught.exception.type_name, "ZeroDivisionError")
        act("change_hooks", "none")
        self.assertEqual(act("one", Tagged("a", 1)), Tagged("a", 1))


class Arrays(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.proxy = make("one")
        cls.from_c = make("act", C_WORKER, "c")

    def test_array(self):
        for code in "bBhHiIlLqQfd":
            sent = array.array(code, [0, 1, 100])
            back = self.proxy.invoke_sync(sent)
            self.assertIs(type(back), array.array)
            self.assertEqual((back.typecode, back), (code, sent))
        self.assertEqual(len(self.proxy.invoke_sync(array.array("d"))), 0)

    def test_bytes_are_bytes(self):
        for value in (b"ab", bytearray(b"ab"), memoryview(b"ab"), memoryview(b"axbx")[::2], memoryview(b"ab").cast("c"),
                      (ctypes.c_ubyte * 2)(97, 98), mmap.mmap(-1, 2)):
            back = self.proxy.invoke_sync(value)
            self.assertEqual(back, b"\0\0" if isinstance(value, mmap.mmap) else b"ab")
            self.assertIs(type(back), bytes)
            self.assertEqual(self.proxy.invoke_sync(value, signature="(ay)"), back)

    def test_memory(self):
        memory = memoryview(array.array("i", range(6)))
        back = self.proxy.invoke_sync([memory[::-2]])[0]
        self.assertEqual((type(back), back.format, back.tolist(), back.readonly), (memoryview, "i", [5, 3, 1], True))
        table = memory.cast("B").cast("i", (2, 3))
        back = self.proxy.invoke_sync(table)
        self.assertEqual((back.format, back.shape, back.tolist()), ("i", (2, 3), [[0, 1, 2], [3, 4, 5]]))
        self.assertEqual(make("view").invoke_sync(table), ["i", [2, 3], True, [[0, 1, 2], [3, 4, 5]]])
        self.assertEqual(self.proxy.invoke_sync((ctypes.c_double * 2)(1, 2)).tolist(), [1.0, 2.0])
        # It keeps what it is a part of, and nothing else.
        del memory, table
        gc.collect()
        self.assertEqual(bytes(back), array.array("i", range(6)).tobytes())

    def test_wire(self):
        """As other languages see it."""
        def look(value):
            return self.proxy.invoke_sync(value, raw=True).print_(True)

        self.assertEqual(look(array.array("d", [1.5])), "{'array', ('d', [uint64 1], [1.5])}")
        self.assertEqual(look(array.array("b", [-1])), "{'array', ('b', [uint64 1], [byte 0xff])}")
        self.assertEqual(look(array.array("f", [1])),
                         "{'array', ('%sf', [uint64 1], [byte %s])}" % (
                             ("<", "0x00, 0x00, 0x80, 0x3f") if sys.byteorder == "little" else
                             (">", "0x3f, 0x80, 0x00, 0x00")))
        self.assertEqual(look(memoryview(array.array("h", [1, 2])).cast("B").cast("h", (1, 2))),
                         "{'memory', ('h', [uint64 1, 2], [int16 1, 2])}")

    def test_refused(self):
        for value, words in ((array.array("u", "ab"), "array.array with elements of the format 'w'"),
                             ((ctypes.c_void_p * 2)(), "with elements of the format '<P'"),
                             ((ctypes.py_object * 1)(1), "with elements of the format '<O'")):
            with self.assertRaisesRegex(TypeError, words):
                self.proxy.invoke_sync(value)

    def test_hostile(self):
        """A pointer, a shape that is not that of the data, and numbers that are too large to be multiplied."""
        def refuse(kind, format, shape, data, type="d"):
            signature = f"{{s(sata{type})}}"
            with self.subTest(format=format, shape=shape), self.assertRaises(ValueError):
                unpack(signature, (kind, (format, shape, data)))

        for kind in "numpy", "array", "memory", "numpy.T", "else":
            for format in ("O", "P", "&d", "", "dd", "2d", "T{d:a:}", "x", "s", "<", "@", "i", "Zd", "<O", "d" * 300, ">d"):
                refuse(kind, format, [1], [1.0])
            for shape in ([2], [1] * 33, [2**63], [2**64 - 1], [2**32, 2**32, 1], [0, 2**62, 2**62],
                          [2**62, 2**62, 0], [2**63, 2], [0]):
                refuse(kind, "d", shape, [1.0])
            refuse(kind, "d", [0, 2**62, 2**62], [])
            for format in "O", "P", "X{}", "Zd", "<f", "?", "d":
                refuse(kind, format, [3], b"abc", "y")
            refuse(kind, "l", [1], [1], "n")
            refuse(kind, "?", [1], [True], "i")
            damaged = GLib.Variant.new_from_bytes(
                GLib.VariantType("{s(satab)}"),
                GLib.Bytes(unpack_bytes(GLib.Variant("{s(satab)}", (kind, ("?", [8], [True] * 8)))).replace(
                    b"\1" * 8, b"\1\1\1\1\1\1\1\7")), False)
            with self.assertRaises(ValueError):
                _proxy.unpack(damaged, None)
        self.assertEqual(unpack("{s(satad)}", ("else", ("d", [2, 1], [1.0, 2.0]))).tolist(), [[1.0], [2.0]])
        self.assertEqual(unpack("{s(satax)}", ("memory", ("l", [1], [-5]))).tolist(), [-5])
        # A long of a machine where it has another size.
        self.assertEqual(unpack("{s(satai)}", ("memory", ("l", [1], [-5]))).tolist(), [-5])
        self.assertEqual(unpack("{s(satai)}", ("array", ("l", [1], [-5]))), array.array("i", [-5]))
        self.assertEqual(unpack("{s(satau)}", ("memory", ("L", [1], [5]))).format, "I")

    def test_signature(self):
        for signature, value in (("ad", array.array("d", [1.5, 2.5])), ("ad", array.array("f", [1.5])),
                                 ("ai", array.array("i", [1])), ("ax", array.array("b", [-1])),
                                 ("ai", memoryview(array.array("i", range(10)))[::-3]),
                                 ("aad", memoryview(array.array("d", range(4))).cast("B").cast("d", (2, 2))),
                                 ("au", b"ab")):
            with self.subTest(signature=signature):
                back = self.proxy.invoke_sync(value, signature=f"({signature})", raw=True)
                self.assertEqual(_proxy.unpack(back, None), memoryview(value).tolist())
        for signature, value, kind in (("ay", array.array("d", [1.5]), TypeError), ("ay", array.array("h", [300]), OverflowError),
                                       ("ai", array.array("d", [1.5]), TypeError), ("ax", array.array("Q", [2**63]), OverflowError),
                                       ("as", b"ab", TypeError)):
            with self.subTest(signature=signature), self.assertRaises(kind):
                self.proxy.invoke_sync(value, signature=f"({signature})")
        self.assertEqual(Afrpc.Variant("ad", array.array("d", [1.5])), Afrpc.Variant("ad", [1.5]))

    def test_plain_arrays(self):
        """Of other languages: lists, unless somebody asks for arrays."""
        def ask(value):
            return self.from_c.invoke_sync("return", value, signature="(sv)")

        numbers = GLib.Variant("(adax)", ([1.5, 2.5], [-1]))
        self.assertEqual(ask(numbers), ([1.5, 2.5], [-1]))
        self.from_c.set_hooks(arrays=lambda memory: memory)
        for signature, format in (("an", "h"), ("aq", "H"), ("ai", "i"), ("au", "I"), ("ax", "q"), ("at", "Q"), ("ad", "d")):
            back = ask(GLib.Variant(signature, [1, 2]))
            self.assertEqual((type(back), back.format, back.tolist()), (memoryview, format, [1, 2]))
        for signature in "ab", "ay", "ah", "as", "aad":
            self.assertNotIsInstance(ask(GLib.Variant(signature, [])), memoryview)
        self.from_c.set_hooks(arrays=lambda memory: array.array(memory.format, memory))
        self.assertEqual(ask(numbers), (array.array("d", [1.5, 2.5]), array.array("q", [-1])))
        self.from_c.set_hooks()


def unpack_bytes(variant):
    return variant.get_data_as_bytes().get_data()


@unittest.skipUnless(HAVE_NUMPY, "NumPy is not installed")
class NumPy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        global np
        import numpy as np
        cls.proxy = make("one")

    def assert_same(self, sent, back):
        self.assertIs(type(back), np.ndarray)
        self.assertEqual((back.dtype, back.shape), (sent.dtype, sent.shape))
        np.testing.assert_array_equal(back, sent)
        if back.size:
            self.assertTrue(back.flags.writeable and back.flags.aligned)

    def test_kinds(self):
        for kind in ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32",
                     "float64", "complex64", "complex128", ">f8", ">f4", ">i2", ">u8", ">c16", "<i4", "longlong"):
            sent = np.arange(6).reshape(2, 3).astype(kind)
            with self.subTest(kind):
                self.assert_same(sent, self.proxy.invoke_sync(sent))
                self.assert_same(sent[0], self.proxy.invoke_sync(sent[0]))
        for value in ("longdouble", "object", "S3", "U3", "datetime64[s]", [("a", "i4")]):
            with self.subTest(value), self.assertRaises(TypeError):
                self.proxy.invoke_sync(np.zeros(2, value))

    def test_masks(self):
        """Each byte that is not 0 is true, as it is to NumPy, however it came to be there."""
        mask = np.array([0, 1, 2, 255] * 20, "u1").view(bool)
        for sent in (mask, mask.reshape(8, 10), np.asfortranarray(mask.reshape(8, 10)), mask[::-3]):
            back = self.proxy.invoke_sync(sent)
            self.assert_same(sent != np.zeros((), bool), back)
            self.assertEqual(back.view("u1").max(), 1)
        self.assertEqual(list(self.proxy.invoke_sync(mask, signature="(ab)")), [False, True, True, True] * 20)

    def test_dates(self):
        """They are refused by their place, or what default () makes of them, and never mere numbers without a unit."""
        for dtype in "datetime64[D]", "datetime64[ns]", "timedelta64[s]", "timedelta64[Y]":
            array = np.array([1, 2], dtype)
            for signature in None, "(v)", "(ax)" if "ns" in dtype else None:
                with self.assertRaises(TypeError) as caught:
                    self.proxy.invoke_sync(array, signature=signature)
                self.assertEqual(str(caught.exception), f"argument 1: numpy.ndarray of {dtype} cannot be sent")
            with self.assertRaisesRegex(TypeError, r"^argument 2, key 'a', element 1: numpy.ndarray of .* cannot be sent$"):
                self.proxy.invoke_sync(1, {"a": [1, array]})
            with self.assertRaisesRegex(TypeError, "^argument 1, element 0: a value of type .* cannot be sent$"):
                self.proxy.invoke_sync([array[0]])
        with make("one", default=lambda value: [str(value.dtype), value.astype("i8")]) as proxy:
            for value in np.array([1, 2], "M8[ns]"), np.datetime64(5, "ns"), np.timedelta64(6, "M"):
                name, number = proxy.invoke_sync(value)
                self.assertEqual(name, str(value.dtype))
                np.testing.assert_array_equal(number, value.astype("i8"))
        self.assertEqual(self.proxy.invoke_sync(np.datetime64("NaT")), None)

    def test_shapes(self):
        numbers = np.arange(24.0)
        for sent in (numbers, numbers.reshape(2, 3, 4), numbers.reshape((1,) * 31 + (24,)), np.array(5.0), np.zeros((0, 3)),
                     np.zeros((3, 0)), numbers[::-2], numbers.reshape(4, 6)[::2, ::-1], np.broadcast_to(1.5, (3, 4)),
                     numbers.reshape(2, 3, 4).transpose(1, 0, 2)):
            self.assert_same(sent, self.proxy.invoke_sync(sent))

    def test_order(self):
        for sent in (np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)), np.arange(6).reshape(2, 3).T):
            back = self.proxy.invoke_sync(sent)
            self.assert_same(sent, back)
            self.assertEqual(back.strides, sent.strides)
            self.assertTrue(back.flags.f_contiguous)
        self.assertEqual(self.proxy.invoke_sync(np.arange(6).reshape(2, 3).T, raw=True).print_(True),
                         "{'numpy.T', ('l', [uint64 2, 3], [int64 0, 1, 2, 3, 4, 5])}")

    def test_worker_with_numpy(self):
        process = Afrpc.Process.new_exec("python").require(WORKER).eval("import numpy")
        proxy = Afrpc.Proxy(process=process, function="multiply")
        np.testing.assert_array_equal(proxy.invoke_sync(np.arange(3), 2), [0, 2, 4])
        # It is what it is at that time, and is not imported for that.
        self.assertEqual(make("kind").invoke_sync(np.arange(3)), "memoryview")
        proxy = make("kind_with_numpy")
        self.assertEqual([proxy.invoke_sync(np.arange(3)) for _ in range(2)], ["memoryview", "ndarray"])

    def test_scalars(self):
        for sent, expected in ((np.float64(1.5), 1.5), (np.float32(1.5), 1.5), (np.int64(-1), -1), (np.uint8(5), 5),
                               (np.bool_(True), True), (np.str_("a"), "a"), (np.bytes_(b"a"), b"a")):
            back = self.proxy.invoke_sync([sent])[0]
            self.assertEqual((type(back), back), (type(expected), expected))
        # Some are their own "item".
        for sent in np.complex64(1), np.datetime64("2020-01-01"), np.longdouble(1), np.clongdouble(1), [np.longdouble(1)]:
            with self.assertRaises(TypeError):
                self.proxy.invoke_sync(sent)
        self.assertEqual(self.proxy.invoke_sync((np.int64(5), np.float32(1.5)), signature="((id))"), (5, 1.5))

    def test_more_than_an_array(self):
        """A mask, or what an operator does, would be lost."""
        class Mine(np.ndarray):
            pass

        for value in np.ma.array([1, 2], mask=[0, 1]), np.zeros(2).view(Mine), np.rec.array([(1, 2.0)]):
            with self.assertRaises(TypeError):
                self.proxy.invoke_sync(value)
        self.proxy.set_hooks(default=lambda value: Tagged("masked", [np.asarray(value.data), value.mask]))
        back = self.proxy.invoke_sync(np.ma.array([1, 2], mask=[0, 1]))
        self.assertEqual(np.ma.array(back.value[0], mask=back.value[1]).sum(), 1)
        self.proxy.set_hooks(default=lambda value: Tagged(value.dtype.str, value.view("i8")))
        back = self.proxy.invoke_sync(np.array(["2020-01-01"], "datetime64[s]"))
        self.assertEqual(back.value.view(back.tag)[0], np.datetime64("2020-01-01"))
        self.proxy.set_hooks()

    def test_arrays_by_hook(self):
        proxy = make("one", arrays=np.asarray)
        back = proxy.invoke_sync(np.arange(6.0).reshape(2, 3))
        self.assertEqual((back.shape, back.flags.writeable), ((2, 3), False))
        self.assertIsInstance(proxy.invoke_sync(array.array("f", [1])), np.ndarray)
        from_c = make("act", C_WORKER, "c", arrays=np.array)
        back = from_c.invoke_sync("return", GLib.Variant("ad", [1.5]), signature="(sv)")
        self.assertEqual((back.dtype, back.tolist(), back.flags.writeable), (np.float64, [1.5], True))

    def test_large(self):
        sent = np.random.default_rng(1).random((1000, 1300))
        self.assert_same(sent, self.proxy.invoke_sync(sent))
        self.assertEqual(make("one").invoke_sync(sent, signature="(aad)"), sent.tolist())

    def test_not_a_number(self):
        back = self.proxy.invoke_sync(np.array([np.nan, -0.0]))
        self.assertTrue(np.isnan(back[0]) and math.copysign(1, back[1]) == -1)


if __name__ == "__main__":
    unittest.main()
