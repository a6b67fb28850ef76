/* SPDX-License-Identifier: LGPL-2.1-or-later */

async void say_hello (string module) throws Error {
    var process = new Afrpc.Process.exec (null);
    process.require (module);
    var proxy = new Afrpc.Proxy (process, "hello");

    var result = yield proxy.call (new Variant ("(s)", "world"));
    print ("%s\n", result.get_string ());
    yield proxy.close_async ();
}

int main (string[] args) {
    var loop = new MainLoop ();
    int status = 0;

    say_hello.begin (args.length > 1 ? args[1] : "./hello-worker.so", (object, result) => {
        try {
            say_hello.end (result);
        } catch (Error error) {
            printerr ("%s\n", error.message);
            status = 1;
        }
        loop.quit ();
    });
    loop.run ();

    return status;
}
