// SPDX-License-Identifier: LGPL-2.1-or-later
import GLib from 'gi://GLib';

export function multiply(a, b) {
    return a * b;
}

export function describe(value) {
    return `${value?.constructor.name ?? value}`;
}

// For the sync backend: one call at a time.
export function search(text, needle) {
    const found = [];

    for (let i = text.indexOf(needle); i >= 0; i = text.indexOf(needle, i + 1)) {
        if (this.is_cancelled())
            throw new Error('given up');
        this.progress(i);
        found.push(i);
    }
    this.event(`searched for ${needle}`);

    return found;
}

// For the async backend: many at once.
export async function rest(ms) {
    await new Promise((resolve, reject) => {
        const id = GLib.timeout_add(GLib.PRIORITY_DEFAULT, ms, () => {
            resolve();
            return GLib.SOURCE_REMOVE;
        });

        this.get_cancellable().connect(() => {
            GLib.source_remove(id);
            reject(new Error('woken up'));
        });
    });

    return 'rested';
}

let greeting = '';

export function init(...args) {
    [greeting] = args;
}

export function greet(name) {
    return `${greeting}, ${name}!`;
}
