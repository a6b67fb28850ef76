/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker module in Vala. */
public errordomain Refusal {
  TOO_MANY,
}

[CCode (cname = "afrpc_info_repeat")]
public const Afrpc.FunctionInfo INFO_REPEAT = { Afrpc.FunctionKind.SYNC, "(su)" };

[CCode (cname = "afrpc_info_rest")]
public const Afrpc.FunctionInfo INFO_REST = { Afrpc.FunctionKind.ASYNC, "(u)" };

uint n_max = 10;

public bool init (Afrpc.Worker worker, Variant args) throws Error {
  if (args.n_children () != 1)
    throw new Refusal.TOO_MANY ("one argument, not %u", (uint) args.n_children ());
  n_max = args.get_child_value (0).get_uint32 ();

  return true;
}

public void done (Afrpc.Worker worker) {
  stderr.printf ("done was called\n");
}

/* What is given, so often; each but the last is an event, too. */
public Variant repeat (Afrpc.Worker worker, Variant args) throws Error {
  string text;
  uint n;
  var all = new StringBuilder ();

  args.get ("(su)", out text, out n);
  if (n > n_max)
    throw new Refusal.TOO_MANY ("%u is more than %u", n, n_max);

  for (uint i = 0; i < n; i++) {
    all.append (text);
    worker.progress (new Variant.uint32 (i));
    if (i < n - 1)
      worker.event (new Variant.string (text));
  }

  return new Variant.string (all.str);
}

public Variant wait_for_cancel (Afrpc.Worker worker, Variant args) throws Error {
  worker.event (new Variant.string ("waiting"));
  while (!worker.is_cancelled ())
    Thread.yield ();

  return new Variant.boolean (true);
}

public Variant tell_metadata (Afrpc.Worker worker, Variant args) throws Error {
  return worker.get_metadata () ?? new Variant.string ("none");
}

/* Answers later than it returns: 1 when 2 comes, 3 when it is cancelled. */
public void rest (Afrpc.Invocation invocation) {
  rest_async.begin (invocation);
}

SourceFunc? release;

async void rest_async (Afrpc.Invocation invocation) {
  uint number = invocation.get_args ().get_child_value (0).get_uint32 ();

  try {
    switch (number) {
    case 0:
      throw new IOError.INVALID_ARGUMENT ("not at all?");
    case 1:
      release = rest_async.callback;
      yield;
      break;
    case 2:
      Idle.add ((owned) release);
      break;
    default:
      var id = invocation.get_cancellable ().cancelled.connect (() => rest_async.callback ());
      yield;
      SignalHandler.disconnect (invocation.get_cancellable (), id);
      break;
    }
    invocation.return_value (new Variant.uint32 (number));
  } catch (Error e) {
    invocation.return_error (e);
  }
}
