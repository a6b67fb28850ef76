// SPDX-License-Identifier: LGPL-2.1-or-later
import System from 'system';

export function work(job) {
    // A mistake that no exception tells of.
    if (job === 2)
        System.exit(3);

    return `result of job ${job}`;
}
