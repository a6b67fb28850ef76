/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parent in Vala. Usage: parent CASES LANGUAGE HOST MODULE */

const int N_CALLS = 10;
const int LARGE = 1 << 20;

string language;
string host;
string module;
string fifo;

Variant parse (string text) {
  try {
    return Variant.parse (null, text.replace ("%LARGE%", string.nfill (LARGE, 'x')));
  } catch (Error e) {
    error ("%s: %s", text, e.message);
  }
}

/* Of a string, or the octets that Perl has instead. */
string get_text (Variant value) {
  if (value.is_of_type (VariantType.STRING))
    return value.get_string ();
  assert (value.is_of_type (VariantType.BYTESTRING_ARRAY) && value.n_children () == 1);

  var text = new StringBuilder ();
  foreach (var octet in value.get_child_value (0).get_data_as_bytes ().get_data ())
    text.append_c ((char) octet);

  return text.str;
}

bool matches (Variant value, Variant expected) {
  if (value.equal (expected))
    return true;
  if (language != "perl" || !value.is_of_type (VariantType.BYTESTRING_ARRAY) || value.n_children () != 1)
    return false;

  var octets = expected.get_data_as_bytes ();
  if (expected.is_of_type (VariantType.STRING))
    octets = octets.slice (0, octets.length - 1);

  return value.get_child_value (0).get_data_as_bytes ().compare (octets) == 0;
}

/* What became of a call. */
class Call : Object {
  public Variant? value;
  public Error? error;

  public unowned Variant result () {
    if (error != null)
      GLib.error ("%s", error.message);

    return value;
  }
}

/* A worker and what became of it. */
class Worker : Object {
  public Afrpc.Backend backend;
  public Afrpc.Process process;
  public Afrpc.Proxy? proxy;
  public GenericArray<string> log = new GenericArray<string> ();
  public GenericArray<Call> settled = new GenericArray<Call> ();
  public bool destroyed;
  public Afrpc.Exit? exit;

  public Worker (Afrpc.Backend backend) {
    this.backend = backend;
    process = new Afrpc.Process.exec (host);
    process.set_stderr (Afrpc.Stdio.CAPTURE);
    process.require (module);
    process.wait_async.begin (null, (object, result) => {
      try {
        exit = process.wait_async.end (result);
      } catch (Error e) {
        error ("%s", e.message);
      }
    });
    proxy = (Afrpc.Proxy) Object.new (typeof (Afrpc.Proxy), "process", process, "backend", backend,
                                      "function", backend == Afrpc.Backend.SYNC ? "act" : "act_async");
    proxy.event.connect ((event) => log.add (get_text (event)));
    proxy.error.connect (() => {});
    proxy.destroyed.connect (() => { destroyed = true; });
  }

  public async void call (string what, Variant value, Cancellable? cancellable = null) {
    var call = new Call ();

    try {
      call.value = yield proxy.call (new Variant ("(sv)", what, value), cancellable);
    } catch (Error e) {
      call.error = e;
    }
    log.add (call.error == null ? "result" : "error");
    settled.add (call);
  }

  public unowned Call wait (uint n = 1) {
    while (settled.length < n)
      MainContext.default ().iteration (true);

    return settled[0];
  }

  public void wait_exit () {
    while (exit == null)
      MainContext.default ().iteration (true);
  }

  public void next_step () {
    log.length = 0;
    settled.length = 0;
  }

  public void check_alive () {
    next_step ();
    call.begin ("echo", new Variant.string ("alive"));
    assert (get_text (wait ().result ()) == "alive");
  }
}

void run_value (Worker worker, string[] words) {
  var expected = words[1];

  foreach (unowned var word in words[2:words.length])
    if (word.has_prefix (language + "="))
      expected = word.substring (language.length + 1);

  worker.call.begin ("echo", parse (words[1]));
  var call = worker.wait ();
  if (expected.has_prefix ("!"))
    assert (expected.substring (1) in call.error.message);
  else if (!matches (call.result (), parse (expected)))
    error ("%s: got %.200s", words[1], call.value.print (true));
}

void run_events (Worker worker, uint n) {
  uint n_events = 0, n_results = 0;

  for (int i = 0; i < N_CALLS; i++)
    worker.call.begin ("events", new Variant.uint32 (n));
  worker.wait (N_CALLS);
  worker.log.foreach ((entry) => {
    if (entry == "result") {
      n_results++;
      assert (n_events >= n_results * n);
      assert (worker.backend == Afrpc.Backend.ASYNC || n_events == n_results * n);
    } else {
      assert (uint.parse (entry) == n_events++ % n);
    }
  });
  assert (n_events == N_CALLS * n && n_results == N_CALLS);
}

void run_fail (Worker worker, string text) {
  worker.call.begin ("fail", new Variant.string (text));
  assert (text in worker.wait ().error.message);
}

/* The worker may open its end now, or may still be about to. */
void stop_waiting (Worker worker) {
  var fd = Posix.open (fifo, Posix.O_RDWR); /* for both ends, so that it does not wait itself */

  assert (fd >= 0);
  worker.check_alive ();
  Posix.close (fd);
}

void run_cancel (Worker worker) {
  var cancellable = new Cancellable ();

  worker.call.begin ("wait", new Variant.string (fifo), cancellable);
  while (worker.log.length == 0)
    MainContext.default ().iteration (true);
  assert (worker.log[0] == "waiting");
  cancellable.cancel ();
  assert (worker.wait ().error is IOError.CANCELLED);
  stop_waiting (worker);
}

void run_limit (Worker worker, uint limit_ms) {
  worker.proxy.call_timeout_ms = limit_ms;
  worker.call.begin ("wait", new Variant.string (fifo));
  worker.proxy.call_timeout_ms = 0;
  assert (worker.wait ().error is IOError.TIMED_OUT);
  stop_waiting (worker);
}

void run_end (Worker worker, bool is_drop) {
  for (int i = 0; i < N_CALLS; i++)
    worker.call.begin ("echo", new Variant.string (@"$i"));
  if (!is_drop)
    worker.proxy.close ();
  worker.proxy = null;
  worker.wait_exit ();
  assert (worker.settled.length == N_CALLS);
  for (int i = 0; i < N_CALLS; i++)
    assert (int.parse (get_text (worker.settled[i].result ())) == i);
  assert (worker.exit.is_success ());
  while (!is_drop && !worker.destroyed)
    MainContext.default ().iteration (true);
}

void run_exit (Worker worker, uint status) {
  worker.call.begin ("exit", new Variant.uint32 (status));
  worker.call.begin ("echo", new Variant.string ("behind it"));
  worker.wait (2);
  assert (worker.settled[0].error is Afrpc.Error.DIED);
  if (worker.backend == Afrpc.Backend.SYNC || !(worker.settled[1].error is Afrpc.Error.DIED))
    assert (worker.settled[1].error is Afrpc.Error.NOT_STARTED);
  worker.wait_exit ();
  assert (worker.exit.get_status () == status);
}

void run_line (Worker worker, string line) {
  var words = line.split ("\t");

  worker.next_step ();
  switch (words[0]) {
  case "value":
    run_value (worker, words);
    break;
  case "events":
    run_events (worker, uint.parse (words[1]));
    break;
  case "fail":
    run_fail (worker, words[1]);
    break;
  case "cancel":
    run_cancel (worker);
    break;
  case "limit":
    run_limit (worker, uint.parse (words[1]));
    break;
  case "close":
  case "drop":
    run_end (worker, words[0] == "drop");
    break;
  case "exit":
    run_exit (worker, uint.parse (words[1]));
    break;
  default:
    error ("unknown step: %s", line);
  }
}

void run_cases (Afrpc.Backend backend, string[] lines) {
  Worker? worker = null;

  foreach (unowned var line in lines) {
    if (line == "" || line.has_prefix ("#"))
      continue;
    if (worker == null)
      worker = new Worker (backend);
    run_line (worker, line);
    if (worker.exit != null)
      worker = null;
    else if (!line.has_prefix ("value"))
      worker.check_alive ();
  }
}

int main (string[] args) {
  language = args[2];
  host = args[3];
  module = args[4];

  try {
    var folder = DirUtils.make_tmp ("afrpc-matrix-XXXXXX");
    string text;

    fifo = Path.build_filename (folder, "fifo");
    assert (Posix.mkfifo (fifo, 0600) == 0);
    FileUtils.get_contents (args[1], out text);
    run_cases (Afrpc.Backend.SYNC, text.split ("\n"));
    run_cases (Afrpc.Backend.ASYNC, text.split ("\n"));
    FileUtils.unlink (fifo);
    DirUtils.remove (folder);
  } catch (Error e) {
    error ("%s", e.message);
  }

  return 0;
}
