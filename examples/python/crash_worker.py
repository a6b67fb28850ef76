# SPDX-License-Identifier: LGPL-2.1-or-later
import os


def work(job):
    # A mistake that no exception tells of.
    if job == 2:
        os._exit(3)
    return f"result of job {job}"
