// SPDX-License-Identifier: LGPL-2.1-or-later
// The worker in JavaScript. What each of its kind does is said in cases.txt.
import System from 'system';

const actions = {
    echo: (_self, value) => value,
    events(self, n) {
        for (let i = 0; i < n; i++)
            self.event(`${i}`);
        return 'sent';
    },
    exit: (_self, status) => System.exit(status),
    fail(_self, text) {
        throw new Error(text);
    },
    // A function of the sync backend has no other way to know that it is cancelled.
    wait(self) {
        self.event('waiting');
        while (!self.is_cancelled())
            ;
        return 'waited';
    },
    async waitAsync(self) {
        self.event('waiting');
        await new Promise(resolve => self.get_cancellable().connect(resolve));
        return 'waited';
    },
};

export function act(what, value) {
    return actions[what](this, value);
}

export async function act_async(what, value) {
    return what === 'wait' ? actions.waitAsync(this) : actions[what](this, value);
}
