#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
// A host that fails without a GError: its functions are called like what they do.
import Afrpc from 'gi://Afrpc?version=1.0';
import GObject from 'gi://GObject';

const FUNCTIONS = ['none', 'null', 'throw', 'throw-gerror', 'good'];

const BadHost = GObject.registerClass(class BadHost extends Afrpc.Host {
    vfunc_require(module) {
        if (module === 'throw')
            throw new TypeError('not this one');
        return module !== 'false';
    }

    vfunc_resolve(name, _kind) {
        return Math.max(FUNCTIONS.indexOf(name), 0);
    }

    vfunc_call(number, _worker, args) {
        switch (FUNCTIONS[number]) {
        case 'throw':
            throw new RangeError('not this either');
        case 'throw-gerror':
            throw new Afrpc.Error({code: Afrpc.Error.BUSY, message: 'not now'});
        case 'good':
            return args;
        default:
            return null;
        }
    }

    vfunc_init(number, _worker) {
        return FUNCTIONS[number] === 'good';
    }
});

imports.system.exit(new BadHost({name: 'bad'}).serve());
