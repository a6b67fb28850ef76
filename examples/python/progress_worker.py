# SPDX-License-Identifier: LGPL-2.1-or-later
import afrpc


def is_prime(n):
    return n >= 2 and all(n % i for i in range(2, int(n ** 0.5) + 1))


def count_primes(limit):
    """How many primes there are below a limit. Says four times how far it has come, and gives up when
    nobody wants to know any more."""
    count = 0
    for n in range(limit):
        if afrpc.is_cancelled():
            break
        count += is_prime(n)
        if (n + 1) % (limit // 4) == 0:
            afrpc.event((n + 1) * 100 // limit)
    return count
