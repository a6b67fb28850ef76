/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Counts primes in ten ranges at once, in as many workers as there are processors. */

const uint LIMIT = 100000;
const uint STEP = 10000;

/* In the workers */

Variant count_between (Afrpc.Worker worker, Variant args) throws Error {
    uint from, to;
    uint count = 0;

    args.get ("(uu)", out from, out to);
    for (uint n = uint.max (from, 2); n < to; n++) {
        uint divisor = 2;

        while (divisor * divisor <= n && n % divisor != 0)
            divisor++;
        if (divisor * divisor > n)
            count++;
    }

    return new Variant.uint32 (count);
}

/* In the program */

async void run (Afrpc.Pool pool) throws Error {
    uint from = 0;
    uint total = 0;

    /* The inputs are asked for as results are taken; the results come in their order. */
    var map = pool.map (() => {
        if (from == LIMIT)
            return null;
        from += STEP;
        return new Variant ("(uu)", from - STEP, from);
    });
    Afrpc.Call? call;
    while ((call = yield map.next_async ()) != null)
        total += call.wait_sync ().get_uint32 ();
    print ("%u primes below %u\n", total, LIMIT);

    /* One by one, calls are those of a proxy. */
    var options = new Afrpc.CallOptions ();
    options.idempotent = true;
    options.wait_for_room = true;
    var few = yield pool.call_full (new Variant ("(uu)", 0, 10), options, null, null);
    print ("%u primes below 10\n", few.get_uint32 ());

    var stats = pool.get_stats ();
    print ("%u calls, %u failed\n", (uint) stats.get_n_finished (), (uint) stats.get_n_failed ());
    yield pool.close_async ();
}

int main (string[] args) {
    /* First of all: workers are forked from the program as it is here. */
    Afrpc.register_function ("count-between", Afrpc.FunctionKind.SYNC, (Callback) count_between, "(uu)");
    Afrpc.init_early (ref args);

    var loop = new MainLoop ();
    var pool = Object.new (typeof (Afrpc.Pool),
                           "process", new Afrpc.Process.self (),
                           "function", "count-between",
                           "start-delay-ms", 0) as Afrpc.Pool;
    var status = 0;

    pool.notify["failure"].connect (() => {
        if (pool.failure != null)
            printerr ("there are no workers: %s\n", pool.failure.message);
    });
    run.begin (pool, (object, result) => {
        try {
            run.end (result);
        } catch (Error error) {
            printerr ("%s\n", error.message);
            status = 1;
        }
        loop.quit ();
    });
    loop.run ();

    return status;
}
