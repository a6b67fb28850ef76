# SPDX-License-Identifier: LGPL-2.1-or-later
def hello(name):
    return f"Hello, {name}!"
