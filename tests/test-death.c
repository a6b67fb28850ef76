/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef struct
{
  const char *what;
  guint n;
  int code;          /* of the call that was running */
  const char *words; /* in its message */
} Misdeed;

/* Each with a call before, which has its result, and calls after, which were not started. */
static void
check_misdeed (const Misdeed *misdeed,
               AfrpcBackend   backend)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) before = { 0 };
  g_auto(Outcome) bad = { 0 };
  Outcome after[10] = { 0 };
  const char *function = backend == AFRPC_BACKEND_SYNC ? "act" : "act_async";
  g_autofree char *name = NULL;

  watch_init (&watched, test_proxy_new_by_socket (function, backend));
  name = g_strdup_printf ("'%s' running '%s' of '%s'", afrpc_process_get_host (afrpc_proxy_get_process (watched.proxy)),
                          function, g_getenv ("AFRPC_TEST_WORKER"));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &before);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act (misdeed->what, g_variant_new_uint32 (misdeed->n)), NULL, outcome_cb, &bad);
  for (guint i = 0; i < G_N_ELEMENTS (after); i++)
    afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &after[i]);
  test_iterate_until (&watched.destroyed);

  g_assert_true (before.done);
  if (backend == AFRPC_BACKEND_SYNC)
    g_assert_no_error (before.error);
  g_assert_error (bad.error, AFRPC_ERROR, misdeed->code);
  if (strstr (bad.error->message, misdeed->words) == NULL)
    g_error ("'%s' is not in '%s'", misdeed->words, bad.error->message);
  if (!g_str_has_prefix (bad.error->message, name))
    g_error ("'%s' does not begin with %s", bad.error->message, name);
  for (guint i = 0; i < G_N_ELEMENTS (after); i++)
    {
      /* Without shared memory nobody can tell. */
      if (g_getenv ("AFRPC_TEST_FRAMES") == NULL || after[i].error->code != misdeed->code)
        g_assert_error (after[i].error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
      outcome_clear (&after[i]);
    }
  g_assert_error (watched.error, AFRPC_ERROR, misdeed->code);
  g_assert_nonnull (watched.exit);
  if (misdeed->code == AFRPC_ERROR_PROTOCOL)
    {
      g_autofree char *why = afrpc_exit_to_string (watched.exit);

      g_assert_nonnull (strstr (why, misdeed->words));
    }
  test_assert_no_children ();
}

static void
test_death_ways (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);
  const Misdeed misdeeds[] = {
    { "exit", 0, AFRPC_ERROR_DIED, "exited with status 0" },
    { "exit", 3, AFRPC_ERROR_DIED, "exited with status 3" },
    { "die-saying", 5, AFRPC_ERROR_DIED, "the last words" },
    { "abort", 0, AFRPC_ERROR_DIED, "signal 6 (Aborted)" },
    { "signal", SIGSEGV, AFRPC_ERROR_DIED, "signal 11" },
    { "signal", SIGKILL, AFRPC_ERROR_DIED, "signal 9 (Killed)" },
    { "close-socket", 0, AFRPC_ERROR_DIED, "signal 9 (Killed) that its program sent" },
    { "fork-and-exit", 6, AFRPC_ERROR_DIED, "exited with status 6" },
    { "garbage", 0, AFRPC_ERROR_PROTOCOL, "unknown kind 0" },
    { "garbage", 0xff, AFRPC_ERROR_PROTOCOL, "unknown kind 255" },
    { "wrong-serial", 0, AFRPC_ERROR_PROTOCOL, "result of a call that was not made" },
    { "huge-frame", 0, AFRPC_ERROR_PROTOCOL, "frame of 9187201950435737471 bytes" },
  };

  g_test_summary ("However a worker dies or lies, every call is settled with the reason, started or not");
  for (guint i = 0; i < G_N_ELEMENTS (misdeeds); i++)
    check_misdeed (&misdeeds[i], backend);
}

static void
test_death_unreadable (void)
{
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Of a result that cannot be read it is said whose it is, and the worker goes on");
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("malformed", NULL), NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
  g_assert_true (g_str_has_prefix (error->message, "'c' running 'act' of '"));
  g_assert_null (result);
  g_variant_unref (test_call (proxy, test_act ("return", NULL), NULL));
}

static void
test_death_lost_socket (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);
  g_autoptr(AfrpcProxy) proxy = test_proxy_new (backend == AFRPC_BACKEND_SYNC ? "act" : "act_async", backend);
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A worker whose function has closed its connection says so as it ends");
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("lose-socket", NULL), NULL, &error);
  /* What is small and needs no socket may have arrived. */
  if (result != NULL)
    g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, ": Bad file descriptor"));
}

static void
test_death_every_byte (void)
{
  g_test_summary ("Death at every byte of a result");
  for (guint n = 0; n <= 40; n++)
    {
      const Misdeed misdeed = { "part", n, n < 40 ? AFRPC_ERROR_DIED : AFRPC_ERROR_PROTOCOL,
                                n < 40 ? "exited with status 7" : "not made" };

      check_misdeed (&misdeed, AFRPC_BACKEND_SYNC);
    }
}

static void
test_death_fds (void)
{
  const Misdeed misdeed = { "fds", 100, AFRPC_ERROR_PROTOCOL, "" };
  guint n_fds;

  g_test_summary ("File descriptors that nobody asked for are closed, and end the worker");
  check_misdeed (&misdeed, AFRPC_BACKEND_SYNC);
  /* What the program has one of is there now. */
  n_fds = test_count_fds ();
  check_misdeed (&misdeed, AFRPC_BACKEND_SYNC);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
event_kill_cb (AfrpcProxy   *proxy,
               GVariant     *event,
               AfrpcProcess *from,
               GUnixFDList  *fds,
               gpointer      data)
{
  afrpc_process_kill (afrpc_proxy_get_process (proxy), SIGKILL);
}

static void
test_death_unknown (void)
{
  g_test_summary ("Where nobody learns how a process has ended, it is not taken for another program");
  signal (SIGCHLD, SIG_IGN);
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (NULL);
      g_auto(Watched) watched = { 0 };
      g_auto(Outcome) outcome = { 0 };

      afrpc_process_require (process, TEST_WORKER);
      watch_init (&watched, afrpc_proxy_new (process, "act"));
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &outcome);
      while (afrpc_process_get_pid (process) == 0)
        g_main_context_iteration (NULL, TRUE);
      /* Most likely before it has said who it is. */
      kill (afrpc_process_get_pid (process), SIGKILL);
      outcome_wait (&outcome);
      g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
    }
  signal (SIGCHLD, SIG_DFL);
}

static void
assert_is_of (const GError *error,
              const char   *function)
{
  g_autofree char *running = g_strdup_printf ("' running '%s' of '", function);
  g_autofree char *waiting = g_strdup_printf ("the call of '%s' was not started: '", function);

  if (strstr (error->message, running) == NULL && strstr (error->message, waiting) == NULL)
    g_error ("'%s' is not about '%s'", error->message, function);
}

static void
test_death_other_function (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCallOptions) late = afrpc_call_options_new ();
  g_auto(Outcome) slow = { 0 };
  g_auto(Outcome) bad = { 0 };
  g_auto(Outcome) waiting = { 0 };
  g_auto(Outcome) refused = { 0 };

  g_test_summary ("A call of another function than the proxy's fails with words about that one");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  afrpc_call_options_set_function (options, "act");
  afrpc_call_options_set_function (late, "act");
  afrpc_call_options_set_timeout_ms (late, 20);
  afrpc_caller_call_full (AFRPC_CALLER (watched.proxy), test_act ("until-cancelled", NULL), late, NULL, outcome_cb, &slow);
  outcome_wait (&slow);
  g_assert_error (slow.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  assert_is_of (slow.error, "act");

  afrpc_caller_call_full (AFRPC_CALLER (watched.proxy), test_act ("signal", g_variant_new_uint32 (SIGKILL)), options, NULL,
                          outcome_cb, &bad);
  afrpc_caller_call_full (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), options, NULL, outcome_cb, &waiting);
  test_iterate_until (&watched.destroyed);
  g_assert_error (bad.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  assert_is_of (bad.error, "act");
  g_assert_nonnull (strstr (bad.error->message, "signal 9 (Killed)"));
  assert_is_of (waiting.error, "act");
  /* What is nobody's call is the worker's own. */
  assert_is_of (watched.error, "echo");

  afrpc_caller_call_full (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), options, NULL, outcome_cb, &refused);
  outcome_wait (&refused);
  g_assert_error (refused.error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
}

static void
test_death_stopped (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) stopped = { 0 };
  g_auto(Outcome) waiting = { 0 };

  g_test_summary ("A worker that is stopped can be killed");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_signal_connect (watched.proxy, "event", G_CALLBACK (event_kill_cb), NULL);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("event", NULL), NULL, NULL, NULL);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("stop", NULL), NULL, outcome_cb, &stopped);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &waiting);
  test_iterate_until (&watched.destroyed);
  g_assert_true (stopped.done && waiting.done);
  g_assert_cmpint (afrpc_exit_get_signal (watched.exit), ==, SIGKILL);
}

static void
test_death_idle (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("An idle worker that is killed is an error too");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  g_assert_cmpint (kill (afrpc_process_get_pid (afrpc_proxy_get_process (watched.proxy)), SIGKILL), ==, 0);
  test_iterate_until (&watched.destroyed);
  g_assert_error (watched.error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_assert_cmpstr (watched.log->str, ==, "error; exited; destroyed; ");
  g_assert_false (afrpc_exit_was_killed (watched.exit));
}

static void
test_death_kill (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) running = { 0 };
  g_auto(Outcome) waiting = { 0 };

  g_test_summary ("A proxy that is killed settles its calls");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("until-cancelled", NULL), NULL, outcome_cb, &running);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &waiting);
  while (watched.n_events < 1)
    g_main_context_iteration (NULL, TRUE);
  afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
  test_iterate_until (&watched.destroyed);
  g_assert_error (running.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_error (waiting.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  g_assert_true (afrpc_exit_was_killed (watched.exit));
}

static void
test_death_kill_unstarted (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };

  g_test_summary ("A proxy that is killed before its process was started");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  if (g_getenv ("AFRPC_TEST_TEMPLATE") != NULL)
    {
      g_test_skip ("forking has begun when a process is made");
      return;
    }
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &outcome);
  afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
  test_iterate_until (&watched.destroyed);
  g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  g_assert_cmpint (afrpc_process_get_pid (afrpc_proxy_get_process (watched.proxy)), ==, 0);
}

static void
set_true_cb (gboolean *flag)
{
  *flag = TRUE;
}

static void
test_death_kill_unheard (void)
{
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_auto(Outcome) outcome = { 0 };
  gboolean destroyed = FALSE;

  g_test_summary ("A program that kills a worker which is not ready, and that no call waits for, is not warned of that");
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (set_true_cb), &destroyed);
  afrpc_caller_call (AFRPC_CALLER (proxy), test_act ("return", NULL), cancellable, outcome_cb, &outcome);
  g_cancellable_cancel (cancellable);
  while (!outcome.done || afrpc_process_get_pid (afrpc_proxy_get_process (proxy)) == 0)
    g_main_context_iteration (NULL, TRUE);
  afrpc_caller_kill (AFRPC_CALLER (proxy));
  test_iterate_until (&destroyed);
  g_assert_error (outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* The moments of a worker's life at which it is killed: each number of main loop iterations. */
static void
test_death_any_moment (void)
{
  const guint n = g_test_slow () ? 2000 : 200;

  g_test_summary ("A worker that is killed at any moment settles every call exactly once");
  for (guint i = 0; i < n; i++)
    {
      g_auto(Watched) watched = { 0 };
      Outcome outcomes[50] = { 0 };
      int pid;

      watch_init (&watched, test_proxy_new ("count", AFRPC_BACKEND_SYNC));
      watch_events (&watched);
      for (guint j = 0; j < G_N_ELEMENTS (outcomes); j++)
        afrpc_caller_call (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", 2), NULL, outcome_cb, &outcomes[j]);
      while ((pid = afrpc_process_get_pid (afrpc_proxy_get_process (watched.proxy))) == 0)
        g_main_context_iteration (NULL, TRUE);
      for (guint j = 0; j < i % 50 && !watched.destroyed; j++)
        g_main_context_iteration (NULL, j % 2 == 0 && watched.n_events == 0);
      kill (pid, SIGKILL);
      test_iterate_until (&watched.destroyed);

      for (guint j = 0; j < G_N_ELEMENTS (outcomes); j++)
        {
          g_assert_true (outcomes[j].done);
          outcome_clear (&outcomes[j]);
        }
    }
  test_assert_no_children ();
}

static void
test_death_event_flushed (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };

  g_test_summary ("What an async worker flushed arrives although it dies right afterwards");
  watch_init (&watched, test_proxy_new ("act_async", AFRPC_BACKEND_ASYNC));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("event-flush-exit", g_variant_new_string ("last")), NULL, outcome_cb, &outcome);
  test_iterate_until (&watched.destroyed);
  g_assert_cmpstr (watched.log->str, ==, "event 'last'; error; exited; destroyed; ");
  g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
}

static void
test_death_large_event (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };

  g_test_summary ("An event over the limit is dropped by the worker with a warning; others pass");
  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "act", "max-message-size",
                                      G_GUINT64_CONSTANT (1000), NULL));
  watch_events (&watched);
  g_variant_unref (test_call (watched.proxy, test_act ("large-event", g_variant_new_uint32 (1000)), NULL));
  g_assert_cmpuint (watched.n_events, ==, 1);
  g_variant_unref (test_call (watched.proxy, test_act ("large-event", g_variant_new_uint32 (1001)), NULL));
  g_assert_cmpuint (watched.n_events, ==, 1);
  watch_end (&watched);
  g_assert_nonnull (strstr (afrpc_exit_get_stderr (watched.exit), "too large"));
}

static void
test_death_old_words (void)
{
  static const char *const ends[] = { "sent: the words", "maybe of an earlier call: the words" };

  g_test_summary ("What a worker wrote is told as the cause of its death only if it was in that call");
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    {
      g_auto(Watched) watched = { 0 };
      g_auto(Outcome) first = { 0 };
      g_auto(Outcome) second = { 0 };
      g_autoptr(GVariant) idle = NULL;

      watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
      idle = test_call (watched.proxy, test_act ("stderr", g_variant_new_string ("idle\n")), NULL);
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("stderr", g_variant_new_string ("the words\n")), NULL,
                         outcome_cb, &first);
      /* Without it the death is that of an idle worker. */
      if (i == 1)
        afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("signal", g_variant_new_uint32 (SIGKILL)), NULL,
                           outcome_cb, &second);
      outcome_wait (&first);
      g_assert_no_error (first.error);
      if (i == 0)
        afrpc_process_kill (afrpc_proxy_get_process (watched.proxy), SIGTERM);
      test_iterate_until (&watched.destroyed);
      g_assert_true (g_str_has_suffix (watched.error->message, ends[i]));
      if (i == 1)
        {
          outcome_wait (&second);
          g_assert_true (g_str_has_suffix (second.error->message, ends[i]));
        }
    }
}

#define N_OWED 30u

typedef struct
{
  Watched *watched;
  AfrpcCall *calls[N_OWED];
  guint n_told;
} Owed;

static void
late_cb (GObject      *caller,
         GAsyncResult *result,
         gpointer      data)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_caller_call_finish (AFRPC_CALLER (caller), result, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_string_append (data, "late; ");
}

/* What is done with the calls that have not been told yet. */
static void
meddle (Owed *owed)
{
  AfrpcCall *last = owed->calls[N_OWED - 1];
  g_autoptr(GError) error = NULL;

  for (guint i = 1; i < N_OWED; i++)
    g_assert_false (afrpc_call_is_settled (owed->calls[i]));
  g_assert_null (afrpc_call_wait_sync (last, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  g_assert_cmpint (afrpc_call_get_started (last), ==, AFRPC_STARTED_NO);
  g_assert_false (afrpc_call_is_settled (owed->calls[N_OWED - 2]));

  afrpc_call_cancel (owed->calls[5]);
  afrpc_caller_call (AFRPC_CALLER (owed->watched->proxy), NULL, NULL, late_cb, owed->watched->log);
  g_assert_cmpuint (afrpc_proxy_get_n_calls_queued (owed->watched->proxy), ==, 0);
  while (owed->n_told < 3)
    g_main_context_iteration (NULL, TRUE);
}

static void
owed_cb (GObject      *call,
         GAsyncResult *result,
         gpointer      data)
{
  Owed *owed = data;
  const guint i = owed->n_told++;
  g_autoptr(GError) error = NULL;

  g_assert_true (call == G_OBJECT (owed->calls[i]));
  g_assert_null (afrpc_call_wait_finish (AFRPC_CALL (call), result, &error));
  g_assert_true (g_error_matches (error, AFRPC_ERROR, i == 0 ? AFRPC_ERROR_DIED : AFRPC_ERROR_NOT_STARTED));
  g_assert_cmpint (afrpc_call_get_started (AFRPC_CALL (call)), ==, i == 0 ? AFRPC_STARTED_YES : AFRPC_STARTED_NO);
  if (i == 0)
    meddle (owed);
}

static void
test_death_owed (void)
{
  g_auto(Watched) watched = { 0 };
  Owed owed = { .watched = &watched };

  g_test_summary ("However many calls a worker owes, each gets its outcome when it is told, and not before");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  for (guint i = 0; i < N_OWED; i++)
    {
      owed.calls[i] = afrpc_caller_start (AFRPC_CALLER (watched.proxy),
                                          test_act (i == 0 ? "until-cancelled" : "return", NULL), NULL);
      if (i < N_OWED - 1)
        afrpc_call_wait (owed.calls[i], NULL, owed_cb, &owed);
    }
  while (watched.n_events < 1)
    g_main_context_iteration (NULL, TRUE);
  afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
  test_iterate_until (&watched.destroyed);

  g_assert_cmpuint (owed.n_told, ==, N_OWED - 1);
  g_assert_cmpstr (watched.log->str, ==, "event 'here'; error; late; exited; destroyed; ");
  for (guint i = 0; i < N_OWED; i++)
    g_object_unref (owed.calls[i]);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/death/ways/sync", GUINT_TO_POINTER (AFRPC_BACKEND_SYNC), test_death_ways);
  g_test_add_data_func ("/death/ways/async", GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC), test_death_ways);
  g_test_add_func ("/death/unreadable", test_death_unreadable);
  g_test_add_data_func ("/death/lost-socket/sync", GUINT_TO_POINTER (AFRPC_BACKEND_SYNC), test_death_lost_socket);
  g_test_add_data_func ("/death/lost-socket/async", GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC), test_death_lost_socket);
  g_test_add_func ("/death/every-byte", test_death_every_byte);
  g_test_add_func ("/death/fds", test_death_fds);
  g_test_add_func ("/death/other-function", test_death_other_function);
  g_test_add_func ("/death/stopped", test_death_stopped);
  g_test_add_func ("/death/unknown", test_death_unknown);
  g_test_add_func ("/death/idle", test_death_idle);
  g_test_add_func ("/death/kill", test_death_kill);
  g_test_add_func ("/death/kill/unstarted", test_death_kill_unstarted);
  g_test_add_func ("/death/kill/unheard", test_death_kill_unheard);
  g_test_add_func ("/death/any-moment", test_death_any_moment);
  g_test_add_func ("/death/event-flushed", test_death_event_flushed);
  g_test_add_func ("/death/old-words", test_death_old_words);
  g_test_add_func ("/death/large-event", test_death_large_event);
  g_test_add_func ("/death/owed", test_death_owed);

  return g_test_run ();
}
