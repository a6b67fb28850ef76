#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
import Afrpc from 'gi://Afrpc?version=1.0';

const process = Afrpc.Process.new_exec(null);
process.require(ARGV[0] ?? './hello-worker.so');
const proxy = new Afrpc.Proxy({process, function: 'hello'});

print(await proxy.invoke('world'));
await proxy.close_async();
