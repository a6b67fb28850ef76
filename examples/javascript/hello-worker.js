// SPDX-License-Identifier: LGPL-2.1-or-later
export function hello(name) {
    return `Hello, ${name}!`;
}
