/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker in Vala. What each of its kind does is said in cases.txt. */
void send_events (Afrpc.Worker worker, uint n) {
  for (uint i = 0; i < n; i++)
    worker.event (new Variant.string (@"$i"));
}

/* null: it has to wait. */
Variant? act_now (Afrpc.Worker worker, string what, Variant value) throws Error {
  switch (what) {
  case "echo":
    return value;
  case "events":
    send_events (worker, value.get_uint32 ());
    return new Variant.string ("sent");
  case "exit":
    Process.exit ((int) value.get_uint32 ());
  case "fail":
    throw new Afrpc.Error.FAILED ("%s", value.get_string ());
  default:
    worker.event (new Variant.string ("waiting"));
    return null;
  }
}

public Variant act (Afrpc.Worker worker, Variant args) throws Error {
  var value = args.get_child_value (1).get_variant ();
  var result = act_now (worker, args.get_child_value (0).get_string (), value);

  if (result != null)
    return result;

  /* A function of the sync backend has no other way to know. */
  while (!worker.is_cancelled ())
    Thread.yield ();

  return new Variant.string ("waited");
}

public void act_async (Afrpc.Invocation invocation) {
  run.begin (invocation);
}

async void run (Afrpc.Invocation invocation) {
  var args = invocation.get_args ();

  try {
    var result = act_now (invocation.get_worker (), args.get_child_value (0).get_string (),
                          args.get_child_value (1).get_variant ());
    if (result == null) {
      var id = invocation.get_cancellable ().cancelled.connect (() => run.callback ());
      yield;
      SignalHandler.disconnect (invocation.get_cancellable (), id);
      result = new Variant.string ("waited");
    }
    invocation.return_value (result);
  } catch (Error e) {
    invocation.return_error (e);
  }
}
