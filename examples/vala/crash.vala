/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Goes on after the death of a worker: the job that killed it is lost, those behind it are done by another. */

Variant work (Afrpc.Worker worker, Variant args) throws Error {
    uint job = args.get_child_value (0).get_uint32 ();

    if (job == 2)
        Process.exit (3); /* a mistake that no error tells of */

    return new Variant.string (@"result of job $job");
}

class Jobs : Object {
    private Afrpc.Proxy? proxy;

    private Afrpc.Proxy get_proxy () {
        if (proxy == null || proxy.is_closed ()) {
            proxy = new Afrpc.Proxy (new Afrpc.Process.self (), "work");
            proxy.error.connect (() => {}); /* each call tells what became of it */
        }

        return proxy;
    }

    public async void run (uint job) {
        for (int tries_left = 5;; tries_left--) {
            try {
                var result = yield get_proxy ().call (new Variant ("(u)", job));
                print ("%s\n", result.get_string ());
                return;
            } catch (Error error) {
                if (error is Afrpc.Error.NOT_STARTED && tries_left > 0)
                    continue;
                print ("job %u is lost: %s\n", job, error.message);
                return;
            }
        }
    }
}

int main (string[] args) {
    Afrpc.register_function ("work", Afrpc.FunctionKind.SYNC, (Callback) work, "(u)");
    Afrpc.init_early (ref args);

    var loop = new MainLoop ();
    var jobs = new Jobs ();
    int n_left = 4;

    for (uint job = 1; job <= 4; job++) {
        jobs.run.begin (job, () => {
            if (--n_left == 0)
                loop.quit ();
        });
    }
    loop.run ();

    return 0;
}
