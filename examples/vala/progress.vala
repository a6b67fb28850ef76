/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Shows the events of a worker while its function computes. The program is its own worker. */
const uint LIMIT = 100000;

bool is_prime (uint n) {
    for (uint i = 2; i * i <= n; i++) {
        if (n % i == 0)
            return false;
    }

    return n >= 2;
}

/* How many primes there are below a limit. Says four times how far it has come, and gives up when nobody wants to
 * know any more. */
Variant count_primes (Afrpc.Worker worker, Variant args) throws Error {
    uint limit = args.get_child_value (0).get_uint32 ();
    uint count = 0;

    for (uint n = 0; n < limit && !worker.is_cancelled (); n++) {
        if (is_prime (n))
            count++;
        if ((n + 1) % (limit / 4) == 0)
            worker.event (new Variant.uint32 ((uint) ((n + 1) * 100.0 / limit)));
    }

    return new Variant.uint32 (count);
}

async void run () throws Error {
    var proxy = new Afrpc.Proxy (new Afrpc.Process.self (), "count-primes");
    proxy.event.connect ((percent) => print ("%u %%\n", percent.get_uint32 ()));

    var count = yield proxy.call (new Variant ("(u)", LIMIT));
    print ("%u primes below %u\n", count.get_uint32 (), LIMIT);
    yield proxy.close_async ();
}

int main (string[] args) {
    /* First of all: workers are forked from the program as it is here. */
    Afrpc.register_function ("count-primes", Afrpc.FunctionKind.SYNC, (Callback) count_primes, "(u)");
    Afrpc.init_early (ref args);

    var loop = new MainLoop ();
    int status = 0;

    run.begin ((object, result) => {
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
