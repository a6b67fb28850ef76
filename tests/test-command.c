/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define LARGE (1u << 20) /* bytes */

static const AfrpcBackend backends[] = { AFRPC_BACKEND_SYNC, AFRPC_BACKEND_ASYNC };

/* Ways to a host: a socket that the host inherits, and pipes to and from it. */
static const char *const scripts[] = { "exec \"$0\"", "cat | \"$0\" | cat" };

static AfrpcProcess *
new_process (const char *script)
{
  g_autofree char *host = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
  const char *const argv[] = { "sh", "-c", script, host, NULL };
  AfrpcProcess *process = afrpc_process_new_command (argv);

  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

static AfrpcProxy *
new_proxy (const char   *script,
           AfrpcBackend  backend)
{
  g_autoptr(AfrpcProcess) process = new_process (script);

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function",
                       backend == AFRPC_BACKEND_SYNC ? "act" : "act_async", "backend", backend, NULL);
}

static void
wait_events (Watched *watched,
             guint    n)
{
  while (watched->n_events < n)
    g_main_context_iteration (NULL, TRUE);
}

static int
get_worker_pid (AfrpcProxy *proxy)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) pid = test_call (proxy, test_act ("readlink", g_variant_new_string ("/proc/self")), &error);

  g_assert_no_error (error);

  return atoi (g_variant_get_string (pid, NULL));
}

static void
check_order (const char   *script,
             AfrpcBackend  backend)
{
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[3] = { 0 };

  watch_init (&watched, new_proxy (script, backend));
  watch_events (&watched);
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      outcomes[i].log = watched.log;
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("event", g_variant_new_uint32 (i)), NULL, outcome_cb, &outcomes[i]);
    }
  watch_end (&watched);

  g_assert_cmpstr (watched.log->str, ==,
                   "event 0; result true; event 1; result true; event 2; result true; exited; destroyed; ");
  g_assert_true (afrpc_exit_is_success (watched.exit));
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    outcome_clear (&outcomes[i]);
}

static void
test_command_order (void)
{
  g_test_summary ("Events and results come in order; closing ends worker and command");
  for (guint i = 0; i < G_N_ELEMENTS (scripts); i++)
    for (guint j = 0; j < G_N_ELEMENTS (backends); j++)
      check_order (scripts[i], backends[j]);
  test_assert_no_children ();
}

static void
test_command_properties (void)
{
  g_autoptr(AfrpcProcess) process = new_process (scripts[0]);
  g_auto(Watched) watched = { 0 };
  g_auto(GStrv) argv = NULL;

  g_test_summary ("What is particular about a process over a command");
  watch_init (&watched, afrpc_proxy_new (process, "echo"));
  g_variant_unref (test_call (watched.proxy, NULL, NULL));
  g_assert_cmpint (afrpc_process_get_start (process), ==, AFRPC_START_COMMAND);
  g_assert_null (afrpc_process_get_host (process));
  g_assert_null (afrpc_proxy_get_socket (watched.proxy));
  g_object_get (process, "argv", &argv, NULL);
  g_assert_cmpstr (argv[2], ==, scripts[0]);
}

static void
test_command_large (void)
{
  g_test_summary ("Large messages, both ways, in a blocking call too");
  for (guint i = 0; i < G_N_ELEMENTS (scripts); i++)
    for (guint j = 0; j < G_N_ELEMENTS (backends); j++)
      {
        g_auto(Watched) watched = { 0 };
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) result = NULL;
        g_autoptr(GVariant) sync_result = NULL;

        watch_init (&watched, new_proxy (scripts[i], backends[j]));
        result = test_call (watched.proxy, test_act ("return", test_zeros (LARGE)), &error);
        g_assert_no_error (error);
        g_assert_cmpuint (g_variant_get_size (result), ==, LARGE);
        sync_result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("return", test_zeros (LARGE + 3)), NULL, &error);
        g_assert_no_error (error);
        g_assert_cmpuint (g_variant_get_size (sync_result), ==, LARGE + 3);
      }
}

static void
check_cancel (AfrpcBackend backend)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) running = { 0 };
  g_auto(Outcome) queued = { 0 };
  g_autoptr(GCancellable) cancel_running = g_cancellable_new ();
  g_autoptr(GCancellable) cancel_queued = g_cancellable_new ();

  watch_init (&watched, new_proxy (scripts[0], backend));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act (backend == AFRPC_BACKEND_SYNC ? "until-cancelled" : "wait-cancelled", NULL),
                    cancel_running, outcome_cb, &running);
  wait_events (&watched, 1);
  if (backend == AFRPC_BACKEND_SYNC)
    {
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("event", g_variant_new_string ("never")), cancel_queued, outcome_cb, &queued);
      g_cancellable_cancel (cancel_queued);
      outcome_wait (&queued);
      g_assert_error (queued.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
  g_cancellable_cancel (cancel_running);
  outcome_wait (&running);
  g_assert_error (running.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  watch_end (&watched);
  g_assert_cmpstr (watched.log->str, ==, "event 'here'; event 'cancelled'; exited; destroyed; ");
}

static void
test_command_cancel (void)
{
  g_test_summary ("A function that runs learns that it is cancelled; one that waits never runs");
  for (guint j = 0; j < G_N_ELEMENTS (backends); j++)
    check_cancel (backends[j]);
}

typedef struct
{
  const char *what;
  guint n;
  const char *words;
} Death;

/* The call before has its result, the ones after were not started. */
static void
check_death (const char   *script,
             AfrpcBackend  backend,
             const Death  *death)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) before = { 0 };
  g_auto(Outcome) bad = { 0 };
  g_auto(Outcome) after = { 0 };

  watch_init (&watched, new_proxy (script, backend));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act (death->what, g_variant_new_uint32 (death->n)), NULL, outcome_cb, &bad);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &after);
  test_iterate_until (&watched.destroyed);

  g_assert_error (bad.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_true (g_str_has_prefix (bad.error->message, "'sh' running 'act"));
  if (strstr (bad.error->message, death->words) == NULL)
    g_error ("'%s' is not in '%s'", death->words, bad.error->message);
  g_assert_error (after.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  g_assert_error (watched.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_false (afrpc_exit_was_killed (watched.exit));
  test_assert_no_children ();
}

static void
test_command_death (void)
{
  const Death deaths[] = {
    { "exit", 0, "': the worker exited with status 0" },
    { "exit", 3, "': the worker exited with status 3" },
    { "die-saying", 5, "the worker exited with status 5: the last words" },
    { "signal", SIGKILL, "': the worker was killed by signal 9 (Killed)" },
    { "fork-and-exit", 6, "the worker exited with status 6" },
  };

  g_test_summary ("However a worker dies, every call is settled with the reason, started or not");
  for (guint i = 0; i < G_N_ELEMENTS (scripts); i++)
    for (guint j = 0; j < G_N_ELEMENTS (backends); j++)
      for (guint k = 0; k < G_N_ELEMENTS (deaths); k++)
        /* A grandchild keeps the last cat waiting, which is then ended. */
        if (i == 0 || !g_str_equal (deaths[k].what, "fork-and-exit"))
          check_death (scripts[i], backends[j], &deaths[k]);
}

static void
test_command_death_before_command (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autoptr(AfrpcProcess) process = new_process ("\"$0\"; exec sleep 1000");
  int pid;

  g_test_summary ("Who waits for a worker that has died learns how, whatever its command still does");
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  pid = afrpc_process_get_pid (process);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("exit", g_variant_new_uint32 (7)), NULL, outcome_cb, &outcome);
  outcome_wait (&outcome);
  g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_cmpint (outcome.started, ==, AFRPC_STARTED_YES);
  g_assert_nonnull (strstr (outcome.error->message, "the worker exited with status 7"));
  g_assert_cmpint (kill (pid, 0), ==, 0);
  g_assert_false (watched.destroyed);

  afrpc_process_kill (process, SIGTERM);
  test_iterate_until (&watched.destroyed);
  g_assert_cmpint (afrpc_exit_get_signal (watched.exit), ==, SIGTERM);
}

/* The worker is killed while it writes a result that nobody reads, after different amounts of it. */
static void
test_command_death_writing (void)
{
  g_test_summary ("A worker that dies in the middle of a result");
  for (guint i = 0; i < G_N_ELEMENTS (scripts); i++)
    for (guint n = 0; n < 20; n++)
      {
        g_auto(Watched) watched = { 0 };
        Outcome outcomes[4] = { 0 };
        int pid;

        watch_init (&watched, new_proxy (scripts[i], AFRPC_BACKEND_SYNC));
        pid = get_worker_pid (watched.proxy);
        for (guint j = 0; j < G_N_ELEMENTS (outcomes); j++)
          afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("bytes", g_variant_new_uint32 (LARGE + 13 * n)), NULL, outcome_cb,
                            &outcomes[j]);
        for (guint j = 0; j < n && !outcomes[0].done; j++)
          g_main_context_iteration (NULL, TRUE);
        g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
        test_iterate_until (&watched.destroyed);

        for (guint j = 0; j < G_N_ELEMENTS (outcomes); j++)
          {
            g_assert_true (outcomes[j].done);
            if (outcomes[j].error == NULL)
              g_assert_cmpuint (g_variant_get_size (outcomes[j].value), ==, LARGE + 13 * n);
            else if (strstr (outcomes[j].error->message, "the worker was killed by signal 9") == NULL)
              g_error ("%s", outcomes[j].error->message);
            outcome_clear (&outcomes[j]);
          }
      }
}

static void
test_command_death_idle (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("An idle worker that is killed is an error, whatever the command exits with");
  watch_init (&watched, new_proxy (scripts[1], AFRPC_BACKEND_SYNC));
  g_assert_cmpint (kill (get_worker_pid (watched.proxy), SIGKILL), ==, 0);
  test_iterate_until (&watched.destroyed);
  g_assert_error (watched.error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_assert_nonnull (strstr (watched.error->message, "the worker was killed by signal 9"));
  g_assert_true (afrpc_exit_is_success (watched.exit));
}

static void
test_command_broken (void)
{
  g_test_summary ("A link that breaks is told from a worker that dies, which is ended; nobody knows what was started");
  for (guint i = 0; i < G_N_ELEMENTS (scripts); i++)
    {
      g_auto(Watched) watched = { 0 };
      g_auto(Outcome) running = { 0 };
      g_auto(Outcome) after = { 0 };
      int pid;

      watch_init (&watched, new_proxy (scripts[i], AFRPC_BACKEND_SYNC));
      watch_events (&watched);
      pid = get_worker_pid (watched.proxy);
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("spin", NULL), NULL, outcome_cb, &running);
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &after);
      wait_events (&watched, 1);
      kill (afrpc_process_get_pid (afrpc_proxy_get_process (watched.proxy)), SIGKILL);
      test_iterate_until (&watched.destroyed);

      g_assert_error (running.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      g_assert_error (after.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      g_assert_true (g_str_has_prefix (running.error->message, "the link to the worker broke: 'sh' running 'act' of "));
      g_assert_nonnull (strstr (running.error->message, "was killed by signal 9"));
      test_wait_gone (pid);
    }
  test_assert_no_children ();
}

static void
test_command_send_fd (void)
{
  g_autoptr(AfrpcProcess) process = new_process (scripts[0]);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;

  g_test_summary ("File descriptors cannot be passed");
  afrpc_process_send_fd (process, 0);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  g_assert_null (test_call (watched.proxy, test_act ("return", NULL), &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
  g_assert_true (g_str_has_suffix (error->message, "': file descriptors cannot be passed over a command"));
}

static void
test_command_fork (void)
{
  g_autoptr(AfrpcProcess) template = new_process (scripts[1]);
  g_autoptr(AfrpcProcess) first = NULL;
  g_autoptr(AfrpcProcess) second = NULL;
  g_auto(Watched) a = { 0 };
  g_auto(Watched) b = { 0 };
  g_autofree char *text_a = NULL;
  g_autofree char *text_b = NULL;
  g_autoptr(GVariant) value_a = NULL;
  g_autoptr(GVariant) value_b = NULL;

  g_test_summary ("Forking runs the command again, and prepares the new process in the same way");
  afrpc_process_send_arg (template, g_variant_new_string ("a"));
  first = afrpc_process_fork (template);
  afrpc_process_send_arg (template, g_variant_new_string ("late"));
  afrpc_process_send_arg (first, g_variant_new_string ("b"));
  second = afrpc_process_fork (first);
  watch_init (&a, afrpc_proxy_new (first, "get_start"));
  watch_init (&b, afrpc_proxy_new (second, "get_start"));
  value_a = test_call (a.proxy, NULL, NULL);
  value_b = test_call (b.proxy, NULL, NULL);
  text_a = g_variant_print (value_a, FALSE);
  text_b = g_variant_print (value_b, FALSE);
  g_assert_cmpstr (text_a, ==, "(<'none'>, <('a', 'b')>, [])");
  g_assert_cmpstr (text_b, ==, text_a);
  g_assert_cmpint (afrpc_process_get_start (second), ==, AFRPC_START_COMMAND);
  g_assert_cmpint (afrpc_process_get_pid (first), !=, afrpc_process_get_pid (second));
}

static void
test_command_printf (void)
{
  g_test_summary ("What a worker prints goes to standard error, what it reads is empty");
  for (guint i = 0; i < G_N_ELEMENTS (scripts); i++)
    {
      g_auto(Watched) watched = { 0 };
      g_autoptr(GVariant) input = NULL;

      watch_init (&watched, new_proxy (scripts[i], AFRPC_BACKEND_SYNC));
      g_variant_unref (test_call (watched.proxy, test_act ("print", g_variant_new_string ("to whom?\n")), NULL));
      input = test_call (watched.proxy, test_act ("readlink", g_variant_new_string ("/proc/self/fd/0")), NULL);
      g_assert_cmpstr (g_variant_get_string (input, NULL), ==, "/dev/null");
      watch_end (&watched);
      g_assert_cmpstr (afrpc_exit_get_stderr (watched.exit), ==, "to whom?");
    }
}

static void
check_failure (const char *const *argv,
               int                code,
               const char        *words)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_command (argv);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;

  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  g_assert_null (test_call (watched.proxy, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, code);
  if (strstr (error->message, words) == NULL)
    g_error ("'%s' is not in '%s'", words, error->message);
}

/* What is in the way of a command that is looked for. */
static void
check_in_path (void)
{
  g_autofree char *folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "nearly-a-command", NULL);
  g_autofree char *before = g_strdup (g_getenv ("PATH"));
  g_autofree char *search = g_strconcat (folder, ":", before, NULL);
  g_autofree char *words = g_strconcat (path, ", which is in PATH, is not executable", NULL);

  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  g_setenv ("PATH", search, TRUE);
  check_failure ((const char *[]) { "nearly-a-command", NULL }, AFRPC_ERROR_SPAWN, words);
  g_setenv ("PATH", before, TRUE);
  unlink (path);
  rmdir (folder);
}

static void
test_command_failures (void)
{
  g_test_summary ("Commands that do not exist, fail, or lead to no host");
  check_failure ((const char *[]) { "no-such-command", NULL }, AFRPC_ERROR_SPAWN, "no such command");
  check_failure ((const char *[]) { "/no/such/command", NULL }, AFRPC_ERROR_SPAWN, "no such command");
  check_failure ((const char *[]) { "/etc/passwd", NULL }, AFRPC_ERROR_SPAWN, "'/etc/passwd': it is not executable");
  check_failure ((const char *[]) { "/etc", NULL }, AFRPC_ERROR_SPAWN, "'/etc': it is a directory");
  check_in_path ();
  check_failure ((const char *[]) { "sh", "-c", "echo no route >&2; exit 255", NULL }, AFRPC_ERROR_NOT_A_HOST,
                 "exited with status 255: no route");
  check_failure ((const char *[]) { "echo", "Welcome to this machine, which talks a lot at login", NULL },
                 AFRPC_ERROR_NOT_A_HOST, "no greeting, but 'Welcome to this machine, which talks a lot at login\\n'");
  test_assert_no_children ();
}

/* What waits for the command to be killed before anybody has said anything. */
static void
check_killed (AfrpcCall *call,
              int        code,
              gboolean   may_have_begun)
{
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;

  value = afrpc_call_wait_sync (call, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, code);
  g_assert_nonnull (strstr (error->message, "before it said that it is a host, 'sh' running 'act'"));
  g_assert_true (g_str_has_suffix (error->message, "was killed by signal 15 (Terminated)"));
  g_assert_cmpint (afrpc_call_get_started (call), ==, may_have_begun ? AFRPC_STARTED_UNKNOWN : AFRPC_STARTED_NO);
}

static void
test_command_killed (void)
{
  static const char *const argv[] = { "sh", "-c", "head -c 24 > /dev/null; kill $$", NULL };
  g_autoptr(AfrpcProcess) process = afrpc_process_new_command (argv);
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(AfrpcCall) written = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(AfrpcExit) exit = NULL;
  g_autofree char *large = g_strnfill (4 << 20, 'x');
  g_autofree char *words = NULL;

  g_test_summary ("A command that is killed before it has led to a host says so, whatever was written to it");
  afrpc_process_require (process, TEST_WORKER);
  proxy = afrpc_proxy_new (process, "act");
  written = afrpc_caller_start (AFRPC_CALLER (proxy), test_act ("return", g_variant_new_string (large)), NULL);
  waiting = afrpc_caller_start (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL);
  check_killed (written, AFRPC_ERROR_DIED, TRUE);
  check_killed (waiting, AFRPC_ERROR_NOT_STARTED, FALSE);
  exit = afrpc_process_wait_sync (process, NULL, NULL);
  g_assert_nonnull (exit);
  words = afrpc_exit_to_string (exit);
  g_assert_true (g_str_has_prefix (words, "before it said that it is a host, the process (pid "));
  test_assert_no_children ();
}

static void
run_cb (GObject      *source,
        GAsyncResult *result,
        gpointer      stream)
{
  g_autoptr(GError) error = NULL;

  *(GIOStream **) stream = afrpc_process_run_finish (AFRPC_PROCESS (source), result, &error);
  g_assert_no_error (error);
}

static GSocketConnection *
run (AfrpcProcess *process,
     const char   *function)
{
  GIOStream *stream = NULL;

  afrpc_process_send_arg (process, g_variant_new_string ("a"));
  afrpc_process_run_async (process, function, NULL, run_cb, &stream);
  while (stream == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (G_IS_SOCKET_CONNECTION (stream));
  g_socket_set_blocking (g_socket_connection_get_socket (G_SOCKET_CONNECTION (stream)), TRUE);

  return G_SOCKET_CONNECTION (stream);
}

static void
assert_reads (GSocketConnection *connection,
              const void        *data,
              gsize              size)
{
  g_autofree guint8 *got = g_malloc (size);
  gsize n;

  g_assert_true (g_input_stream_read_all (g_io_stream_get_input_stream (G_IO_STREAM (connection)), got, size, &n, NULL,
                                          NULL));
  g_assert_cmpmem (got, n, data, size);
}

static void
test_command_run (void)
{
  static guint8 data[60000];

  g_test_summary ("A function that takes the process over has the connection to itself, in both directions");
  for (guint i = 0; i < G_N_ELEMENTS (data); i++)
    data[i] = i * 7 / 3;

  for (guint i = 0; i < G_N_ELEMENTS (scripts); i++)
    {
      g_autoptr(AfrpcProcess) process = new_process (scripts[i]);
      g_autoptr(GSocketConnection) connection = run (process, "run_echo");
      GOutputStream *output = g_io_stream_get_output_stream (G_IO_STREAM (connection));
      g_autoptr(AfrpcExit) exit = NULL;
      char byte;

      assert_reads (connection, "('a',)", 7);
      for (gsize size = 1; size < sizeof data; size *= 3)
        {
          g_assert_true (g_output_stream_write_all (output, data, size, NULL, NULL, NULL));
          assert_reads (connection, data, size);
        }

      /* What is on the way counts, and nothing else comes after it. */
      g_assert_true (g_output_stream_write_all (output, data, sizeof data, NULL, NULL, NULL));
      g_assert_true (g_socket_shutdown (g_socket_connection_get_socket (connection), FALSE, TRUE, NULL));
      assert_reads (connection, data, sizeof data);
      g_assert_cmpint (g_input_stream_read (g_io_stream_get_input_stream (G_IO_STREAM (connection)), &byte, 1, NULL,
                                            NULL), ==, 0);
      exit = test_wait_exit (process);
      g_assert_true (afrpc_exit_is_success (exit));
    }
  test_assert_no_children ();
}

static void
test_command_run_left (void)
{
  g_autoptr(AfrpcProcess) process = new_process (scripts[0]);
  g_autoptr(GSocketConnection) connection = run (process, "run_leave");
  g_autoptr(AfrpcExit) exit = NULL;
  char text[8];

  g_test_summary ("The end of a function is the end of its connection, whoever else has its socket");
  assert_reads (connection, "bye", 3);
  g_assert_cmpint (g_input_stream_read (g_io_stream_get_input_stream (G_IO_STREAM (connection)), text, sizeof text, NULL,
                                        NULL), ==, 0);
  exit = test_wait_exit (process);
  g_assert_true (afrpc_exit_is_success (exit));
}

static void
test_command_run_broken_off (void)
{
  g_test_summary ("The function sees the end when its program closes, or dies");
  for (guint i = 0; i < G_N_ELEMENTS (scripts); i++)
    {
      g_autoptr(AfrpcProcess) process = new_process (scripts[i]);
      g_autoptr(GSocketConnection) connection = run (process, "run_echo");
      g_autoptr(AfrpcExit) exit = NULL;

      g_assert_true (g_io_stream_close (G_IO_STREAM (connection), NULL, NULL));
      exit = test_wait_exit (process);
      g_assert_true (afrpc_exit_is_known (exit));
    }
  test_assert_no_children ();
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/command/order", test_command_order);
  g_test_add_func ("/command/properties", test_command_properties);
  g_test_add_func ("/command/large", test_command_large);
  g_test_add_func ("/command/cancel", test_command_cancel);
  g_test_add_func ("/command/death", test_command_death);
  g_test_add_func ("/command/death/writing", test_command_death_writing);
  g_test_add_func ("/command/death/before-command", test_command_death_before_command);
  g_test_add_func ("/command/death/idle", test_command_death_idle);
  g_test_add_func ("/command/broken", test_command_broken);
  g_test_add_func ("/command/send-fd", test_command_send_fd);
  g_test_add_func ("/command/fork", test_command_fork);
  g_test_add_func ("/command/printf", test_command_printf);
  g_test_add_func ("/command/failures", test_command_failures);
  g_test_add_func ("/command/killed", test_command_killed);
  g_test_add_func ("/command/run", test_command_run);
  g_test_add_func ("/command/run/left", test_command_run_left);
  g_test_add_func ("/command/run/broken-off", test_command_run_broken_off);

  return g_test_run ();
}
