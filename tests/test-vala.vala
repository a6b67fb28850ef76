/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library as Vala sees it. */

Variant act (string what, Variant value) {
  return new Variant ("(sv)", what, value);
}

async void test_calls () throws Error {
  var process = new Afrpc.Process.exec ("c");
  process.set_stderr (Afrpc.Stdio.CAPTURE);
  process.require (Environment.get_variable ("AFRPC_TEST_WORKER"));
  var proxy = new Afrpc.Proxy (process, "act");
  string[] log = {};
  proxy.event.connect ((event) => { log += event.get_string (); });
  proxy.error.connect ((error) => { log += "error"; });

  var result = yield proxy.call (act ("event", new Variant.string ("hello")), null);
  assert (result.get_boolean ());
  assert (log.length == 1 && log[0] == "hello");

  try {
    yield proxy.call (new Variant ("(i)", 1), null);
    assert_not_reached ();
  } catch (Afrpc.Error.INVALID_ARGUMENTS e) {
    assert ("takes (sv), not (i)" in e.message);
  }

  try {
    yield proxy.call (act ("exit", new Variant.uint32 (3)), null);
    assert_not_reached ();
  } catch (Afrpc.Error.DIED e) {
    assert ("exited with status 3" in e.message);
  }
  var exit = yield process.wait (null);
  assert (exit.get_status () == 3);
  assert (yield proxy.close_async (null));
}

int main (string[] args) {
  var loop = new MainLoop ();
  var ok = false;

  test_calls.begin ((source, result) => {
    try {
      test_calls.end (result);
      ok = true;
    } catch (Error e) {
      stderr.printf ("%s\n", e.message);
    }
    loop.quit ();
  });
  loop.run ();

  return ok ? 0 : 1;
}
