/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An error domain of one's own: what the worker throws is what the program catches. */

public errordomain BankError {
    NO_ACCOUNT,
    NOT_ENOUGH,
}

Variant withdraw (Afrpc.Worker worker, Variant args) throws Error {
    string owner;
    int amount;

    args.get ("(si)", out owner, out amount);
    if (owner != "Anna")
        throw new BankError.NO_ACCOUNT ("%s has no account", owner);
    if (amount > 100)
        throw new BankError.NOT_ENOUGH ("%s has 100", owner);

    return new Variant.int32 (100 - amount);
}

async void run (string owner, int amount, Afrpc.Proxy proxy) throws Error {
    try {
        var left = yield proxy.call (new Variant ("(si)", owner, amount));
        print ("%d are left\n", left.get_int32 ());
    } catch (BankError.NOT_ENOUGH error) {
        print ("too much: %s\n", error.message);
    } catch (BankError error) {
        print ("refused: %s\n", error.message);
    }
}

async void run_all () throws Error {
    var proxy = new Afrpc.Proxy (new Afrpc.Process.self (), "withdraw");

    yield run ("Anna", 30, proxy);
    yield run ("Anna", 300, proxy);
    yield run ("Bert", 30, proxy);
    yield proxy.close_async ();
}

int main (string[] args) {
    Afrpc.register_function ("withdraw", Afrpc.FunctionKind.SYNC, (Callback) withdraw, "(si)");
    Afrpc.init_early (ref args);
    /* Without this, it would be an Afrpc.Error.REMOTE that names domain and code. */
    Afrpc.Error.register_domain (new BankError.NO_ACCOUNT ("").domain);

    var loop = new MainLoop ();
    int status = 0;

    run_all.begin ((object, result) => {
        try {
            run_all.end (result);
        } catch (Error error) {
            printerr ("%s\n", error.message);
            status = 1;
        }
        loop.quit ();
    });
    loop.run ();

    return status;
}
