#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program of the page "Serialisers", and its worker: values that are pickled."""
import datetime


def shift(day, days):
    return {day + datetime.timedelta(n) for n in days}


async def main():
    import gi
    gi.require_version("Afrpc", "1.0")
    from gi.repository import Afrpc

    process = Afrpc.Process.new_exec("python").require(__file__)
    async with Afrpc.Proxy(process=process, function="shift", serialiser="unsafe-pickle") as proxy:
        print(await proxy(datetime.date(2024, 2, 28), [1, 2]) == {datetime.date(2024, 2, 29), datetime.date(2024, 3, 1)})


if __name__ == "__main__":
    from afrpc import aio

    aio.run(main())
