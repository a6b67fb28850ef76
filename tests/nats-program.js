// SPDX-License-Identifier: LGPL-2.1-or-later
// Calls who serves "languages" at the NATS server that it is told. Run by test-nats-languages.py.
import Afrpc from 'gi://Afrpc?version=1.0';
import AfrpcNats from 'gi://AfrpcNats?version=1.0';
import GLib from 'gi://GLib';

const connection = AfrpcNats.Connection.new(ARGV[ARGV.length - 1]);
const caller = new AfrpcNats.Caller({connection, subject: 'languages', no_servers_timeout_ms: 10000});
const loop = GLib.MainLoop.new(null, false);

caller.start(new GLib.Variant('(is)', [7, 'text']), null).wait(null, (call, result) => {
    print(call.wait_finish(result).print(false));
    caller.close();
});
caller.connect('destroyed', () => loop.quit());
loop.run();
Afrpc; // whose overrides callers have
