/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One file that is its own worker. Three countdowns run in one worker at the same time; the one that was started
 * last is the first to finish.
 * Usage: countdown [MILLISECONDS] */

/* In the worker */

void countdown (Afrpc.Invocation invocation) {
    count_up.begin (invocation);
}

async void count_up (Afrpc.Invocation invocation) {
    uint count, step_ms;

    invocation.get_args ().get ("(uu)", out count, out step_ms);
    invocation.get_worker ().event (new Variant.string (@"starting to count up to $count"));
    for (uint i = 1; i <= count; i++) {
        Timeout.add (step_ms, count_up.callback);
        yield;
        invocation.get_worker ().event (new Variant.string (@"count $i of $count"));
    }

    invocation.return_value (new Variant.uint32 (count));
}

/* In the program */

async void run (Afrpc.Proxy proxy, uint count, uint step_ms) {
    try {
        yield proxy.call (new Variant ("(uu)", count, step_ms));
        print ("job %u finished\n", count);
    } catch (Error error) {
        print ("job %u failed: %s\n", count, error.message);
    }
}

int main (string[] args) {
    /* First of all: workers are forked from the program as it is here. */
    Afrpc.register_function ("countdown", Afrpc.FunctionKind.ASYNC, (Callback) countdown, "(uu)");
    Afrpc.init_early (ref args);

    var loop = new MainLoop ();
    var step_ms = args.length > 1 ? uint.parse (args[1]) : 1000;
    var proxy = Object.new (typeof (Afrpc.Proxy),
                            "process", new Afrpc.Process.self (),
                            "function", "countdown",
                            "backend", Afrpc.Backend.ASYNC) as Afrpc.Proxy;

    proxy.event.connect ((event) => print ("%s\n", event.get_string ()));
    proxy.destroyed.connect (() => loop.quit ());
    for (uint count = 3; count >= 1; count--)
        run.begin (proxy, count, step_ms);
    proxy.close ();
    loop.run ();

    return 0;
}
