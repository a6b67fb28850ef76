#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later

// Calls one function in a worker.
import Afrpc from 'gi://Afrpc?version=1.0';
import GLib from 'gi://GLib';

const [WORKER] = GLib.filename_from_uri(import.meta.url.replace('hello.js', 'hello-worker.js'));

const process = Afrpc.Process.new_exec('gjs');
process.require(WORKER);
const proxy = new Afrpc.Proxy({process, function: 'hello'});

print(await proxy.invoke('world'));
await proxy.close_async();
