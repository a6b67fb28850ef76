// SPDX-License-Identifier: LGPL-2.1-or-later
function isPrime(n) {
    for (let i = 2; i * i <= n; i++) {
        if (n % i === 0)
            return false;
    }
    return n >= 2;
}

// How many primes there are below a limit. Says four times how far it has come, and gives up when nobody wants to
// know any more.
export function countPrimes(limit) {
    let count = 0;

    for (let n = 0; n < limit && !this.is_cancelled(); n++) {
        if (isPrime(n))
            count++;
        if ((n + 1) % (limit / 4) === 0)
            this.event((n + 1) / limit * 100);
    }

    return count;
}
