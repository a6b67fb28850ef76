# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worker of values.py, and what both of them send besides what can be sent anyway."""
import dataclasses
import datetime
import enum
import functools
import pathlib
import typing
import uuid
from decimal import Decimal

import afrpc
from afrpc import Tagged


class How(enum.Enum):
    CASH = "cash"
    CARD = "card"


@dataclasses.dataclass
class Invoice:
    number: uuid.UUID
    day: datetime.date
    amount: Decimal
    paid: typing.Optional[datetime.datetime] = None


# From object to value: a tag, and a value that can be sent.

@functools.singledispatch
def default(value):
    raise TypeError(f"a value of type {type(value).__name__} cannot be sent")


@default.register
def _(value: datetime.date):  # a datetime, too
    return Tagged(type(value).__name__, value.isoformat())


@default.register(Decimal)
@default.register(uuid.UUID)
@default.register(pathlib.PurePath)
def _(value):
    return Tagged("Path" if isinstance(value, pathlib.PurePath) else type(value).__name__, str(value))


@default.register(set)
@default.register(frozenset)
def _(value):
    return Tagged("set", list(value))


@default.register
def _(value: How):
    return Tagged("How", value.value)


@default.register
def _(value: Invoice):
    return Tagged("Invoice", tuple(vars(value).values()))


# And back: only what is known here is made, whoever sends it.

MAKERS = {"date": datetime.date.fromisoformat, "datetime": datetime.datetime.fromisoformat,
          "Decimal": Decimal, "UUID": uuid.UUID, "Path": pathlib.Path, "set": set, "How": How,
          "Invoice": lambda members: Invoice(*members)}


def hook(tag, value):
    maker = MAKERS.get(tag)
    return maker(value) if maker else Tagged(tag, value)


# The worker's own.

afrpc.set_hooks(default=default, hook=hook)


def pay(invoice, how):
    if isinstance(how, How):
        return how
    assert how == {"cash", "card"}
    return dataclasses.replace(invoice, paid=datetime.datetime(2024, 3, 1, 12, 0))
