/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library as Vala sees it, on both sides. */

Variant act (string what, Variant value) {
  return new Variant ("(sv)", what, value);
}

string variable (string name) {
  return Environment.get_variable (name);
}

Afrpc.Proxy make_proxy (string module, string function, Afrpc.Backend backend = Afrpc.Backend.SYNC) {
  var process = new Afrpc.Process.exec ("c");

  process.set_stderr (Afrpc.Stdio.CAPTURE);
  process.require (variable (module));

  return (Afrpc.Proxy) Object.new (typeof (Afrpc.Proxy), "process", process, "function", function, "backend", backend);
}

async void test_calls () throws Error {
  var proxy = make_proxy ("AFRPC_TEST_WORKER", "act");
  string[] log = {};
  proxy.event.connect ((event) => { log += event.get_string (); });
  proxy.error.connect ((error) => { log += "error"; });

  var result = yield proxy.call (act ("event", new Variant.string ("hello")));
  assert (result.get_boolean ());
  assert (log.length == 1 && log[0] == "hello");
  assert (proxy.call_sync (act ("return", new Variant.string ("x"))).get_string () == "x");

  try {
    yield proxy.call (new Variant ("(i)", 1));
    assert_not_reached ();
  } catch (Afrpc.Error.INVALID_ARGUMENTS e) {
    assert ("takes (sv), not (i)" in e.message);
  }

  try {
    yield proxy.call (act ("exit", new Variant.uint32 (3)));
    assert_not_reached ();
  } catch (Afrpc.Error.DIED e) {
    assert ("exited with status 3" in e.message);
  }
  var exit = yield proxy.process.wait_async ();
  assert (exit.get_status () == 3);
  assert (yield proxy.close_async ());
}

async void test_sync_module () throws Error {
  var proxy = make_proxy ("AFRPC_TEST_VALA_WORKER", "repeat");
  string[] events = {};
  uint[] progress = {};
  proxy.event.connect ((event) => { events += event.get_string (); });

  var options = new Afrpc.CallOptions ();
  options.set_progress (Afrpc.ProgressMode.ALL, (call, value) => { progress += value.get_uint32 (); });

  var result = yield proxy.call_full (new Variant ("(su)", "ä", 3), options, null, null);
  assert (result.get_string () == "äää");
  assert (events.length == 2 && events[1] == "ä");
  assert (progress.length == 3 && progress[2] == 2);

  try {
    yield proxy.call (new Variant ("(su)", "x", 11));
    assert_not_reached ();
  } catch (Afrpc.Error.REMOTE e) {
    assert ("refusal" in e.message && "11 is more than 10" in e.message);
    assert (Afrpc.Error.dup_message (e) == e.message);
    assert (Afrpc.Error.dup_message (new Afrpc.Error.REMOTE ("python-exception -1: a\n\n{}")) == "python-exception -1: a");
  }
  try {
    yield proxy.call (new Variant ("(s)", "x"));
    assert_not_reached ();
  } catch (Afrpc.Error.INVALID_ARGUMENTS e) {
    assert ("'repeat' takes (su), not (s)" in e.message);
  }
  assert (yield proxy.close_async ());
}

async void test_start_and_end () throws Error {
  var process = new Afrpc.Process.exec ("c");
  process.set_stderr (Afrpc.Stdio.CAPTURE);
  process.require (variable ("AFRPC_TEST_VALA_WORKER"));
  process.send_arg (new Variant.uint32 (1));
  var proxy = (Afrpc.Proxy) Object.new (typeof (Afrpc.Proxy), "process", process, "function", "repeat",
                                        "init", "init", "done", "done");
  try {
    yield proxy.call (new Variant ("(su)", "x", 2));
    assert_not_reached ();
  } catch (Afrpc.Error.REMOTE e) {
    assert ("2 is more than 1" in e.message);
  }
  proxy.close ();
  var exit = yield process.wait_async ();
  assert (exit.is_success () && exit.get_stderr ().strip () == "done was called");
}

async void test_hand_over () throws Error {
  var prepared = new Afrpc.Process.exec ("c");
  prepared.require (variable ("AFRPC_TEST_WORKER"));
  int pidfd;
  var fd = yield prepared.to_fd_async (null, out pidfd);
  var process = new Afrpc.Process.from_fd ("c", fd, pidfd);
  var proxy = new Afrpc.Proxy (process, "act");
  proxy.error.connect ((error) => {});

  var result = yield proxy.call (act ("return", new Variant.string ("x")));
  assert (result.get_string () == "x");
  assert (process.pid == prepared.pid);
  process.kill (ProcessSignal.TERM);
  var exit = yield prepared.wait_async ();
  assert (exit.get_signal () == ProcessSignal.TERM);
}

async void test_cancel () throws Error {
  var proxy = make_proxy ("AFRPC_TEST_VALA_WORKER", "wait_for_cancel");
  var cancellable = new Cancellable ();
  proxy.event.connect (() => cancellable.cancel ());

  try {
    yield proxy.call (null, cancellable);
    assert_not_reached ();
  } catch (IOError.CANCELLED e) {
  }
  assert (yield proxy.close_async ());
}

async void test_metadata () throws Error {
  var proxy = make_proxy ("AFRPC_TEST_VALA_WORKER", "tell_metadata");
  var options = new Afrpc.CallOptions ();

  options.metadata = new Variant.parsed ("{'trace': <'a'>}");
  var told = yield proxy.call_full (null, options, null, null);
  assert (told.print (false) == "{'trace': <'a'>}");
  told = yield proxy.call (null);
  assert (told.get_string () == "none");
  assert (yield proxy.close_async ());
}

/* Hands its calls on to another. */
class Forwarder : Object, Afrpc.Caller {
  private Afrpc.Caller inner;
  private HashTable<Afrpc.Call, Afrpc.Call> calls = new HashTable<Afrpc.Call, Afrpc.Call> (direct_hash, direct_equal);

  public Forwarder (Afrpc.Caller inner) {
    this.inner = inner;
    inner.event.connect ((event, from, fds) => emit_event (event, from, fds));
    inner.destroyed.connect (() => emit_destroyed ());
  }

  protected void begin (Afrpc.Call call, Variant args, Afrpc.CallOptions? options) {
    hand_on.begin (call, args);
  }

  private async void hand_on (Afrpc.Call call, Variant args) {
    var inner_call = inner.start (args, call.forward_options ());

    calls[call] = inner_call;
    try {
      var value = yield inner_call.wait ();
      call.return_value (value, inner_call.steal_fds ());
    } catch (Error e) {
      call.return_error (inner_call.get_started (), e);
    }
    calls.remove (call);
  }

  protected void cancel (Afrpc.Call call) {
    calls[call].cancel ();
  }

  public void close () {
    inner.close ();
  }
}

async void test_caller () throws Error {
  Afrpc.Caller caller = new Forwarder (make_proxy ("AFRPC_TEST_VALA_WORKER", "wait_for_cancel"));
  var cancellable = new Cancellable ();
  caller.event.connect (() => cancellable.cancel ());

  try {
    yield caller.call (null, cancellable);
    assert_not_reached ();
  } catch (IOError.CANCELLED e) {
  }
  var options = new Afrpc.CallOptions ();
  options.function = "tell_metadata";
  assert ((yield caller.call_full (null, options, null, null)).get_string () == "none");
  var call = caller.start (null, options);
  assert ((yield call.wait ()).get_string () == "none");
  assert (call.get_started () == Afrpc.Started.YES);
  assert (yield caller.close_async ());
}

async void test_async_module () throws Error {
  var proxy = make_proxy ("AFRPC_TEST_VALA_WORKER", "rest", Afrpc.Backend.ASYNC);
  string order = "";
  proxy.call.begin (new Variant ("(u)", 1), null, (object, result) => { order += "slow"; });
  proxy.call.begin (new Variant ("(u)", 2), null, (object, result) => { order += "fast "; });

  try {
    yield proxy.call (new Variant ("(u)", 0));
    assert_not_reached ();
  } catch (IOError.INVALID_ARGUMENT e) {
    assert (e.message == "not at all?");
  }
  try {
    yield proxy.call_full (new Variant ("(u)", 3), new Afrpc.CallOptions () { timeout_ms = 1 }, null, null);
    assert_not_reached ();
  } catch (IOError.TIMED_OUT e) {
  }
  assert (yield proxy.close_async ());
  assert (order == "fast slow");
}

async void test_own_functions () throws Error {
  var proxy = new Afrpc.Proxy (new Afrpc.Process.self (), "twice");

  var result = yield proxy.call (new Variant ("(i)", 21));
  assert (result.get_int32 () == 42);
  assert (proxy.process.start == Afrpc.Start.FORK);
  assert (yield proxy.close_async ());
}

async void test_host () throws Error {
  foreach (var backend in new Afrpc.Backend[] { Afrpc.Backend.SYNC, Afrpc.Backend.ASYNC }) {
    var process = new Afrpc.Process.exec (variable ("AFRPC_TEST_VALA_HOST"));
    string[] events = {};
    process.require ("hello");
    process.require ("world");
    var proxy = (Afrpc.Proxy) Object.new (typeof (Afrpc.Proxy), "process", process, "function", "say",
                                          "backend", backend);
    proxy.event.connect ((event) => { events += event.get_string (); });
    var result = yield proxy.call (null);
    assert (result.get_string () == (backend == Afrpc.Backend.SYNC ? "hello world" : "hello-world"));
    assert (backend == Afrpc.Backend.ASYNC || events[0] == "word");
    assert (yield proxy.close_async ());
  }
}

/* What fails without saying why. */
async void test_mute_host () throws Error {
  foreach (var module in new string?[] { null, "" }) {
    var process = new Afrpc.Process.exec (variable ("AFRPC_TEST_VALA_HOST"));
    process.set_stderr (Afrpc.Stdio.SILENCE);
    if (module != null)
      process.require (module);
    var proxy = new Afrpc.Proxy (process, "say");
    proxy.error.connect (() => {});
    try {
      yield proxy.call (null);
      assert_not_reached ();
    } catch (Afrpc.Error.NO_RESULT e) {
      assert (module == null);
    } catch (Afrpc.Error.FAILED e) {
      assert (module == "" && "without saying why" in e.message);
    }
    yield proxy.close_async ();
  }
}

class Text : Object, Afrpc.Serialiser {
  string dup_name () {
    return "text";
  }

  Bytes serialise (Variant value) throws Error {
    return new Bytes (value.print (true).data);
  }

  Variant deserialise (Bytes bytes) throws Error {
    return Variant.parse (null, ((string) bytes.get_data ()).substring (0, (long) bytes.length));
  }
}

async void test_serialisers () throws Error {
  var text = new Text ();
  assert (text.get_name () == "text");
  assert (text.deserialise (text.serialise (new Variant ("(si)", "a", 1))).print (false) == "('a', 1)");
  assert (text.register ());
  assert (Afrpc.Serialiser.lookup ("text") == text);

  foreach (unowned string name in new string[] { "json", "text" }) {
    var process = new Afrpc.Process.exec ("c");
    process.set_stderr (Afrpc.Stdio.CAPTURE);
    process.require (variable ("AFRPC_TEST_WORKER"));
    var proxy = (Afrpc.Proxy) Object.new (typeof (Afrpc.Proxy), "process", process, "function", "echo",
                                          "serialiser", Afrpc.Serialiser.lookup (name));
    proxy.error.connect (() => {});
    try {
      var result = yield proxy.call (new Variant ("(si)", "a", 1));
      assert (name == "json" && result.print (false) == "('a', 1)");
    } catch (Afrpc.Error.SERIALISER e) {
      assert (name == "text" && "'text'" in e.message);
    }
    yield proxy.close_async ();
  }
}

async void test_pool () throws Error {
  var process = new Afrpc.Process.exec ("c");
  process.require (variable ("AFRPC_TEST_WORKER"));
  var pool = (Afrpc.Pool) Object.new (typeof (Afrpc.Pool), "process", process, "function", "act", "max-workers", 2);
  int n = 0;
  int seen = 0;

  assert (yield pool.call_all_async (act ("configure", new Variant.string ("a"))));
  assert ((yield pool.call (act ("configuration", new Variant.boolean (true)))).get_string () == "a");

  var map = pool.map (() => n < 100 ? act ("return", new Variant.int32 (n++)) : null);
  Afrpc.Call? call;
  while ((call = yield map.next_async ()) != null) {
    assert (call.get_index () == seen);
    assert (call.wait_sync ().get_int32 () == seen);
    seen++;
  }
  assert (seen == 100);

  Variant[] inputs = { act ("return", new Variant.int32 (1)), act ("return", new Variant.int32 (2)) };
  var few = pool.map_variant (new Variant.array (null, inputs), null, null, Afrpc.MapFlags.UNORDERED);
  seen = 0;
  for (;;) {
    var calls = yield few.next_many_async (10);
    if (calls.length == 0)
      break;
    calls.foreach ((one) => seen++);
  }
  assert (seen == 2);
  yield pool.close_async ();
}

async void test_all () throws Error {
  yield test_pool ();
  yield test_calls ();
  yield test_sync_module ();
  yield test_start_and_end ();
  yield test_hand_over ();
  yield test_cancel ();
  yield test_metadata ();
  yield test_caller ();
  yield test_async_module ();
  yield test_own_functions ();
  yield test_host ();
  yield test_mute_host ();
  yield test_serialisers ();
}

Variant twice (Afrpc.Worker worker, Variant args) throws Error {
  return new Variant.int32 (2 * args.get_child_value (0).get_int32 ());
}

int main (string[] args) {
  Afrpc.register_function ("twice", Afrpc.FunctionKind.SYNC, (Callback) twice, "(i)");
  Afrpc.init_early (ref args);

  var loop = new MainLoop ();
  var ok = false;

  test_all.begin ((source, result) => {
    try {
      test_all.end (result);
      ok = true;
    } catch (Error e) {
      stderr.printf ("%s\n", e.message);
    }
    loop.quit ();
  });
  loop.run ();

  return ok ? 0 : 1;
}
