#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sends values that GVariant has no type for: dates, numbers with all their digits, sets and objects."""
import asyncio
import datetime
import os
import uuid
from decimal import Decimal

import gi
gi.require_version("Afrpc", "1.0")
from gi.repository import Afrpc
from afrpc import aio

import values_worker

WORKER = os.path.abspath(values_worker.__file__)


async def main():
    process = Afrpc.Process.new_exec("python").require(WORKER)
    async with Afrpc.Proxy(process=process, function="pay", default=values_worker.default,
                           hook=values_worker.hook) as proxy:
        invoice = values_worker.Invoice(uuid.UUID(int=7), datetime.date(2024, 2, 29), Decimal("19.90"))
        paid = await proxy(invoice, {"cash", "card"})
        print(paid)
        print(await asyncio.gather(*(proxy(paid, how) for how in values_worker.How)))


aio.run(main())
