// SPDX-License-Identifier: LGPL-2.1-or-later
// Calls who serves "languages" at the NATS server that it is told. Run by test-nats-languages.py.

int main (string[] args)
{
  var connection = new AfrpcNats.Connection (args[args.length - 1]);
  var caller = new AfrpcNats.Caller (connection, "languages");
  var loop = new MainLoop ();

  caller.no_servers_timeout_ms = 10000;
  caller.destroyed.connect (() => loop.quit ());
  caller.call.begin (new Variant ("(is)", 7, "text"), null, (object, result) => {
    try
      {
        print ("%s\n", caller.call.end (result).print (false));
      }
    catch (Error error)
      {
        printerr ("%s\n", error.message);
      }
    caller.close ();
  });
  loop.run ();

  return 0;
}
