#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
import Afrpc from 'gi://Afrpc?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';

Gio._promisify(Afrpc.Proxy.prototype, 'call');
Gio._promisify(Afrpc.Proxy.prototype, 'close_async');

const process = Afrpc.Process.new_exec(null);
process.require(ARGV[0] ?? './hello-worker.so');
const proxy = Afrpc.Proxy.new(process, 'hello');

const result = await proxy.call(new GLib.Variant('(s)', ['world']), null);
print(result.unpack());
await proxy.close_async(null);
