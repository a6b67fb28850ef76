/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a program has of callers that are written outside of the library. */
#include "own-callers.h"
#include "test-util.h"

#include <string.h>
#include <unistd.h>

static void
waited_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Outcome *outcome = data;

  g_assert_false (outcome->done);
  outcome->done = TRUE;
  outcome->value = afrpc_call_wait_finish (AFRPC_CALL (source), result, &outcome->error);
  outcome->started = afrpc_call_get_started (AFRPC_CALL (source));
}

static void
closed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Outcome *outcome = data;

  g_assert_false (outcome->done);
  outcome->done = TRUE;
  afrpc_caller_close_finish (AFRPC_CALLER (source), result, &outcome->error);
}

static void
set_flag_cb (gboolean *flag)
{
  g_assert_false (*flag);
  *flag = TRUE;
}

/* Closes it, and drops it; nobody else has it. */
static void
end (AfrpcCaller *caller)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (afrpc_caller_close_sync (caller, NULL, &error));
  g_assert_no_error (error);
  g_assert_finalize_object (caller);
}

static void
assert_text (GVariant   *value,
             const char *expected)
{
  g_autofree char *text = g_variant_print (value, FALSE);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_caller_ways (void)
{
  AfrpcCaller *caller = forwarder_new (test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  g_auto(Outcome) simple = { 0 };
  g_auto(Outcome) full = { 0 };
  g_auto(Outcome) waited = { 0 };
  g_auto(Outcome) again = { 0 };
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) blocking = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) other = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Each way to call works by a caller that hands on, and so does each way to wait");
  afrpc_caller_call (caller, g_variant_new ("(u)", 1), NULL, outcome_cb, &simple);
  afrpc_caller_call_full (caller, g_variant_new ("(u)", 2), NULL, NULL, outcome_cb, &full);
  call = afrpc_caller_start (caller, g_variant_new ("(u)", 3), NULL);
  afrpc_call_wait (call, NULL, waited_cb, &waited);
  blocking = afrpc_caller_start (caller, g_variant_new ("(u)", 4), NULL);
  value = afrpc_call_wait_sync (blocking, NULL, &error);
  g_assert_no_error (error);
  assert_text (value, "(4,)");

  test_iterate_until (&simple.done);
  test_iterate_until (&full.done);
  test_iterate_until (&waited.done);
  assert_text (simple.value, "(1,)");
  assert_text (full.value, "(2,)");
  assert_text (waited.value, "(3,)");
  g_assert_cmpint (waited.started, ==, AFRPC_STARTED_YES);
  g_assert_true (afrpc_call_get_caller (call) == caller);
  g_assert_nonnull (afrpc_call_get_process (call));

  afrpc_call_wait (call, NULL, waited_cb, &again);
  test_iterate_until (&again.done);
  assert_text (again.value, "(3,)");
  other = afrpc_caller_call_sync (caller, g_variant_new ("(u)", 5), NULL, &error);
  g_assert_no_error (error);
  assert_text (other, "(5,)");
  g_clear_object (&call);
  g_clear_object (&blocking);
  end (caller);
}

static void
test_caller_errors (void)
{
  AfrpcCaller *caller = forwarder_new (test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_auto(Outcome) refused = { 0 };
  g_auto(Outcome) failed = { 0 };
  g_auto(Outcome) died = { 0 };
  g_autoptr(AfrpcCall) call = NULL;
  gboolean is_destroyed = FALSE;

  g_test_summary ("Errors keep what is said of them, the process and how it ended, and get their label once");
  g_signal_connect_swapped (caller, "destroyed", G_CALLBACK (set_flag_cb), &is_destroyed);
  g_signal_connect (caller, "error", G_CALLBACK (test_ignore_cb), NULL);
  afrpc_call_options_set_label (options, "number 7");
  afrpc_caller_call_full (caller, g_variant_new ("(u)", 1), options, NULL, outcome_cb, &refused);
  afrpc_caller_call_full (caller, test_act ("file-error", NULL), options, NULL, outcome_cb, &failed);
  call = afrpc_caller_start (caller, test_act ("exit", g_variant_new_uint32 (3)), options);
  afrpc_call_wait (call, NULL, waited_cb, &died);
  test_iterate_until (&died.done);
  test_iterate_until (&is_destroyed);

  g_assert_error (refused.error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS);
  g_assert_cmpint (refused.started, ==, AFRPC_STARTED_NO);
  g_assert_error (failed.error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_assert_cmpstr (failed.error->message, ==, "number 7: no such thing");
  g_assert_cmpint (failed.started, ==, AFRPC_STARTED_YES);
  g_assert_error (died.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_true (g_str_has_prefix (died.error->message, "number 7: '"));
  g_assert_cmpint (died.started, ==, AFRPC_STARTED_YES);
  if (g_getenv ("AFRPC_TEST_COMMAND") == NULL)
    g_assert_cmpint (afrpc_exit_get_status (afrpc_call_get_exit (call)), ==, 3);
  g_assert_nonnull (afrpc_call_get_process (call));
  g_clear_object (&call);
  end (caller);
}

static void
add_progress_cb (AfrpcCall *call,
                 GVariant  *progress,
                 gpointer   data)
{
  g_assert_true (TEST_IS_FORWARDER (afrpc_call_get_caller (call)));
  g_string_append_printf (data, "%u ", g_variant_get_uint32 (progress));
}

static void
test_caller_options (void)
{
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(GString) seen = g_string_new (NULL);
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr(GUnixFDList) out_fds = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  const gboolean has_fds = g_getenv ("AFRPC_TEST_COMMAND") == NULL;
  AfrpcCaller *caller;
  char text[8] = "";
  int fd = test_fd_with ("text");

  g_test_summary ("Options, progress and descriptors pass through a caller that hands on");
  afrpc_process_require (process, g_getenv ("AFRPC_TEST_MESSAGE_WORKER"));
  caller = forwarder_new (afrpc_proxy_new (process, "count_up"));
  afrpc_call_options_set_progress (options, AFRPC_PROGRESS_ALL, add_progress_cb, seen, NULL);
  result = afrpc_caller_call_full_sync (caller, g_variant_new ("(u)", 3), options, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (seen->str, ==, "1 2 3 ");
  g_clear_pointer (&result, g_variant_unref);

  g_clear_object (&options);
  options = afrpc_call_options_new ();
  afrpc_call_options_set_function (options, "reverse");
  if (has_fds)
    {
      g_assert_cmpint (g_unix_fd_list_append (fds, fd, NULL), ==, 0);
      afrpc_call_options_set_fds (options, fds);
    }
  result = afrpc_caller_call_full_sync (caller, NULL, options, &out_fds, NULL, &error);
  g_assert_no_error (error);
  if (has_fds)
    {
      int got = g_unix_fd_list_get (out_fds, 0, NULL);

      g_assert_cmpint (read (got, text, sizeof text), ==, 4);
      g_assert_cmpstr (text, ==, "text");
      close (got);
    }
  close (fd);
  end (caller);
}

static gpointer
cancel_call_thread (gpointer call)
{
  afrpc_call_cancel (call);

  return NULL;
}

static void
test_caller_cancel (void)
{
  AfrpcCaller *caller = forwarder_new (test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_auto(Outcome) running = { 0 };
  g_auto(Outcome) before = { 0 };
  g_auto(Outcome) thread = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(AfrpcCall) call = NULL;
  guint n_events = 0;

  g_test_summary ("Cancelling, from whatever thread, is handed on from the main context; what was started is known");
  g_signal_connect_swapped (caller, "event", G_CALLBACK (test_count_cb), &n_events);
  afrpc_caller_call (caller, test_act ("until-cancelled", NULL), cancellable, outcome_cb, &running);
  while (n_events == 0)
    g_main_context_iteration (NULL, TRUE);
  call = afrpc_caller_start (caller, test_act ("return", NULL), NULL);
  afrpc_call_wait (call, NULL, waited_cb, &thread);
  g_thread_join (g_thread_new ("cancel", cancel_call_thread, call));
  test_iterate_until (&thread.done);
  g_assert_error (thread.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  if (g_getenv ("AFRPC_TEST_COMMAND") == NULL)
    g_assert_cmpint (thread.started, ==, AFRPC_STARTED_NO);

  g_cancellable_cancel (cancellable);
  test_iterate_until (&running.done);
  g_assert_error (running.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (running.started, ==, AFRPC_STARTED_YES);
  afrpc_caller_call (caller, test_act ("return", NULL), cancellable, outcome_cb, &before);
  test_iterate_until (&before.done);
  g_assert_error (before.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (before.started, ==, AFRPC_STARTED_NO);
  g_clear_object (&call);
  end (caller);
}

static void
test_caller_end (void)
{
  AfrpcCaller *caller = forwarder_new (test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_auto(Outcome) call = { 0 };
  g_auto(Outcome) cancelled = { 0 };
  g_auto(Outcome) closed = { 0 };
  g_auto(Outcome) again = { 0 };
  g_auto(Outcome) late = { 0 };
  g_autoptr(GError) error = NULL;
  guint n_destroyed = 0;

  g_test_summary ("A caller that says when it is destroyed can be waited for in every way, also when it is over");
  g_signal_connect_swapped (caller, "destroyed", G_CALLBACK (test_count_cb), &n_destroyed);
  afrpc_caller_call (caller, test_act ("return", NULL), NULL, outcome_cb, &call);
  g_cancellable_cancel (cancellable);
  afrpc_caller_close_async (caller, cancellable, closed_cb, &cancelled);
  afrpc_caller_close_async (caller, NULL, closed_cb, &closed);
  g_assert_false (afrpc_caller_close_sync (caller, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  test_iterate_until (&cancelled.done);
  g_assert_error (cancelled.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  test_iterate_until (&closed.done);
  g_assert_no_error (closed.error);
  g_assert_true (call.done);
  g_assert_no_error (call.error);
  while (n_destroyed == 0)
    g_main_context_iteration (NULL, TRUE);

  afrpc_caller_close_async (caller, NULL, closed_cb, &again);
  test_iterate_until (&again.done);
  g_assert_no_error (again.error);
  afrpc_caller_call (caller, test_act ("return", NULL), NULL, outcome_cb, &late);
  test_iterate_until (&late.done);
  g_assert_error (late.error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  end (caller);
  g_assert_cmpuint (n_destroyed, ==, 1);
}

#define N_NESTED 4 /* who are told of an end */

/* One of them is told when it is his turn, and runs a main loop until the others have been, too. */
static void
nest (guint *n_told,
      guint  place)
{
  g_assert_cmpuint ((*n_told)++, ==, place);
  while (*n_told < N_NESTED)
    g_main_context_iteration (NULL, TRUE);
}

static void
nested_closed_cb (GObject      *source,
                  GAsyncResult *result,
                  gpointer      n_told)
{
  nest (n_told, *(guint *) n_told);
}

static void
nested_destroyed_cb (AfrpcCaller *caller,
                     guint       *n_told)
{
  nest (n_told, N_NESTED - 1);
}

static void
test_caller_end_nested (void)
{
  AfrpcCaller *caller = forwarder_new (test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  guint n_told = 0;

  g_test_summary ("Each of those who are told of an end may run a main loop until the others have been");
  g_signal_connect (caller, "destroyed", G_CALLBACK (nested_destroyed_cb), &n_told);
  for (guint i = 0; i < N_NESTED - 1; i++)
    afrpc_caller_close_async (caller, NULL, nested_closed_cb, &n_told);
  while (n_told < N_NESTED)
    g_main_context_iteration (NULL, TRUE);
  end (caller);
}

static void
log_event_cb (AfrpcCaller *caller,
              GVariant    *event,
              gpointer     from,
              gpointer     fds,
              GString     *log)
{
  g_string_append (log, "event; ");
}

static void
log_error_cb (AfrpcCaller *caller,
              GError      *error,
              GString     *log)
{
  g_string_append (log, "error; ");
}

static void
log_destroyed_cb (AfrpcCaller *caller,
                  GString     *log)
{
  g_string_append (log, "destroyed; ");
}

static void
watch (AfrpcCaller *caller,
       GString     *log)
{
  g_signal_connect (caller, "event", G_CALLBACK (log_event_cb), log);
  g_signal_connect (caller, "error", G_CALLBACK (log_error_cb), log);
  g_signal_connect (caller, "destroyed", G_CALLBACK (log_destroyed_cb), log);
}

/* What comes at the end of a worker whose calls are handed on, and those of the caller that hands them on. */
static void
test_caller_order (void)
{
  g_autoptr(GString) log = g_string_new (NULL);
  AfrpcCaller *caller = forwarder_new (test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_auto(Outcome) first = { .log = log }, second = { .log = log }, third = { .log = log };
  gboolean is_destroyed = FALSE;

  g_test_summary ("What a caller emits comes behind the outcomes that it has given");
  watch (caller, log);
  g_signal_connect_swapped (caller, "destroyed", G_CALLBACK (set_flag_cb), &is_destroyed);
  afrpc_caller_call (caller, test_act ("return", NULL), NULL, outcome_cb, &first);
  afrpc_caller_call (caller, test_act ("abort", NULL), NULL, outcome_cb, &second);
  afrpc_caller_call (caller, test_act ("return", NULL), NULL, outcome_cb, &third);
  test_iterate_until (&is_destroyed);
  g_assert_true (first.done && second.done && third.done);
  g_assert_true (g_str_has_suffix (log->str, "(Aborted); error; destroyed; "));
  end (caller);
}

/* Who emits at once what it has. */
static void
test_caller_order_at_once (void)
{
  g_autoptr(GString) log = g_string_new (NULL);
  AfrpcCaller *caller = g_object_new (IDLER_TYPE, NULL);
  g_auto(Outcome) first = { .log = log }, second = { .log = log };
  g_autoptr(GError) error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED, "no");
  g_autoptr(GVariant) value = NULL;

  g_test_summary ("Events, errors and the end keep their order among outcomes, also in a call that blocks");
  watch (caller, log);
  afrpc_caller_emit_event (caller, g_variant_new_string ("x"), NULL, NULL);
  g_assert_cmpstr (log->str, ==, "event; ");
  afrpc_caller_call (caller, g_variant_new ("(s)", "x"), NULL, outcome_cb, &first);
  afrpc_caller_emit_event (caller, g_variant_new_string ("x"), NULL, NULL);
  afrpc_caller_call (caller, g_variant_new ("(s)", "x"), NULL, outcome_cb, &second);
  afrpc_caller_emit_error (caller, error);
  g_assert_cmpstr (log->str, ==, "event; ");
  value = afrpc_caller_call_sync (caller, g_variant_new ("(s)", "x"), NULL, NULL);
  g_assert_nonnull (value);
  g_assert_cmpstr (log->str, ==, "event; ");
  g_assert_true (afrpc_caller_close_sync (caller, NULL, NULL));
  g_assert_cmpstr (log->str, ==, "event; result ('x',); event; result ('x',); error; destroyed; ");
  g_assert_finalize_object (caller);
}

/* How a caller is ended: what is called of it, and whether at once. */
static void
close_once (AfrpcCaller *caller,
            guint        way)
{
  switch (way)
    {
    case 0:
      afrpc_caller_close (caller);
      break;

    case 1:
      afrpc_caller_close_async (caller, NULL, NULL, NULL);
      break;

    case 2:
      afrpc_caller_kill (caller);
      break;

    default:
      g_assert_true (afrpc_caller_close_sync (caller, NULL, NULL));
      break;
    }
}

static void
test_caller_closed (void)
{
  g_test_summary ("A caller that does not see to it itself begins nothing after its end, which comes once");
  for (guint way = 0; way < 4; way++)
    {
      AfrpcCaller *caller = g_object_new (IDLER_TYPE, NULL);
      g_autoptr(GString) log = g_string_new (NULL);
      g_auto(Outcome) late = { 0 };
      g_autoptr(GError) error = NULL;

      watch (caller, log);
      close_once (caller, way);
      afrpc_caller_call (caller, g_variant_new ("(s)", "late"), NULL, outcome_cb, &late);
      g_assert_null (afrpc_caller_call_sync (caller, g_variant_new ("(s)", "late"), NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
      g_assert_cmpstr (error->message, ==, "the Idler is closed");
      test_iterate_until (&late.done);
      g_assert_error (late.error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
      g_assert_cmpint (late.started, ==, AFRPC_STARTED_NO);
      for (guint again = 0; again < 4; again++)
        close_once (caller, again);
      afrpc_caller_emit_destroyed (caller);
      while (g_main_context_iteration (NULL, FALSE))
        ;
      g_assert_cmpstr (log->str, ==, "destroyed; ");
      g_assert_finalize_object (caller);
    }
}

static void
test_caller_close_cancelled (void)
{
  AfrpcCaller *caller = forwarder_new (test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GCancellable) unused = g_cancellable_new ();
  g_auto(Outcome) busy = { 0 };
  g_auto(Outcome) closed = { 0 };
  g_auto(Outcome) other = { 0 };

  g_test_summary ("Waiting for the end can be given up, and others go on waiting; nothing is kept by a cancellable");
  g_signal_connect (caller, "error", G_CALLBACK (test_ignore_cb), NULL);
  afrpc_caller_call (caller, test_act ("hang", NULL), NULL, outcome_cb, &busy);
  afrpc_caller_close_async (caller, cancellable, closed_cb, &closed);
  afrpc_caller_close_async (caller, unused, closed_cb, &other);
  /* Too late. */
  g_signal_connect_swapped (caller, "destroyed", G_CALLBACK (g_cancellable_cancel), unused);
  g_cancellable_cancel (cancellable);
  test_iterate_until (&closed.done);
  g_assert_error (closed.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_false (other.done);
  afrpc_caller_kill (caller);
  test_iterate_until (&other.done);
  g_assert_no_error (other.error);
  test_iterate_until (&busy.done);
  g_assert_finalize_object (g_steal_pointer (&unused));
  end (caller);
}

static void
test_caller_without_cancel (void)
{
  AfrpcCaller *caller = g_object_new (IDLER_TYPE, NULL);
  Idler *idler = TEST_IDLER (caller);
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  g_auto(Outcome) given_up = { 0 };
  g_auto(Outcome) failed = { 0 };
  g_auto(Outcome) other = { 0 };

  g_test_summary ("A call that nobody can tell to stop is cancelled all the same; what comes late is dropped");
  value = afrpc_caller_call_sync (caller, g_variant_new ("(s)", "at once"), NULL, &error);
  g_assert_no_error (error);
  assert_text (value, "('at once',)");

  afrpc_caller_call (caller, NULL, cancellable, outcome_cb, &given_up);
  afrpc_caller_call (caller, NULL, cancellable, outcome_cb, &failed);
  afrpc_caller_call (caller, NULL, NULL, outcome_cb, &other);
  g_assert_cmpuint (idler->calls->len, ==, 3);
  g_cancellable_cancel (cancellable);
  test_iterate_until (&given_up.done);
  test_iterate_until (&failed.done);
  g_assert_error (given_up.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (given_up.started, ==, AFRPC_STARTED_UNKNOWN);
  afrpc_call_return_value (idler->calls->pdata[0], g_variant_new_boolean (TRUE), NULL);
  afrpc_call_return_error (idler->calls->pdata[1], AFRPC_STARTED_YES, failed.error);
  g_assert_false (other.done);
  afrpc_call_return_value (idler->calls->pdata[2], g_variant_new_boolean (TRUE), NULL);
  test_iterate_until (&other.done);
  assert_text (other.value, "true");

  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*state != AFRPC_PENDING_DECIDED*");
  afrpc_call_return_error (idler->calls->pdata[2], AFRPC_STARTED_YES, failed.error);
  g_test_assert_expected_messages ();
  g_ptr_array_set_size (idler->calls, 0);
  end (caller);
}

static void
test_caller_nothing (void)
{
  AfrpcCaller *caller = g_object_new (NOBODY_TYPE, NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcCall) call = afrpc_caller_start (caller, NULL, NULL);

  g_test_summary ("A caller that implements nothing fails every call, and ends at once");
  g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  g_assert_null (afrpc_call_get_process (call));
  g_assert_null (afrpc_call_get_exit (call));
  g_clear_object (&call);
  afrpc_caller_kill (caller);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  end (caller);
}

typedef struct
{
  AfrpcCaller *caller;
  GMainContext *context;
  gboolean done;
} Contextual;

static void
context_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  Contextual *contextual = data;
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, NULL);

  g_assert_nonnull (value);
  g_assert_true (g_main_context_get_thread_default () == contextual->context);
  contextual->done = TRUE;
}

/* In a context that is only pushed while the call is made. */
static void
check_context (AfrpcCaller  *caller, /* (transfer full) */
               GMainContext *context)
{
  Contextual contextual = { caller, context, FALSE };
  gboolean is_destroyed = FALSE;

  g_signal_connect_swapped (caller, "destroyed", G_CALLBACK (set_flag_cb), &is_destroyed);
  afrpc_caller_call (caller, NULL, NULL, context_cb, &contextual);
  g_main_context_pop_thread_default (context);
  while (!contextual.done)
    g_main_context_iteration (context, TRUE);
  g_main_context_push_thread_default (context);
  afrpc_caller_close (caller);
  while (!is_destroyed)
    g_main_context_iteration (context, TRUE);
  g_object_unref (caller);
}

static void
test_caller_context (void)
{
  g_autoptr(GMainContext) context = g_main_context_new ();

  g_test_summary ("Callbacks run with the context of the call pushed, of callers of all kinds");
  g_main_context_push_thread_default (context);
  check_context (AFRPC_CALLER (test_proxy_new ("echo", AFRPC_BACKEND_SYNC)), context);
  check_context (forwarder_new (test_proxy_new ("echo", AFRPC_BACKEND_SYNC)), context);
  g_main_context_pop_thread_default (context);
}

/* Waits, in the main loop of somebody who waits. */
static gboolean
nested_cb (gpointer call)
{
  g_autoptr(GError) error = NULL;

  g_assert_false (afrpc_call_is_settled (call));
  g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
  g_assert_cmpstr (error->message, ==, "label: no such thing");

  return G_SOURCE_REMOVE;
}

static void
test_caller_nested_waits (void)
{
  AfrpcCaller *caller = forwarder_new (test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Who waits for a call in the main loop of somebody who waits for the same");
  afrpc_call_options_set_label (options, "label");
  call = afrpc_caller_start (caller, test_act ("file-error", NULL), options);
  g_idle_add_full (G_PRIORITY_HIGH, nested_cb, call, NULL);
  g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
  g_assert_cmpstr (error->message, ==, "label: no such thing");
  g_assert_finalize_object (g_steal_pointer (&call));
  end (caller);
}

static void
test_caller_waits_again (void)
{
  AfrpcCaller *caller = g_object_new (DAWDLER_TYPE, NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;
  guint id;

  g_test_summary ("A caller whose wait returns too early is asked again, and no main loop runs");
  id = g_idle_add (nested_cb, NULL);
  value = afrpc_caller_call_sync (caller, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "late");
  g_assert_cmpuint (TEST_DAWDLER (caller)->n_waits, ==, 3);
  g_assert_true (g_source_remove (id));
  g_object_unref (caller);
}

static void
ignore_progress_cb (AfrpcCall *call,
                    GVariant  *progress,
                    gpointer   data)
{
}

static void
test_caller_implementers (void)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(GError) known = afrpc_error_new_remote ("g-io-error-quark", G_IO_ERROR_BUSY, "a message");
  g_autoptr(GError) unknown = afrpc_error_new_remote ("nobodys", 7, "a \xff message");
  AfrpcProgressMode mode = AFRPC_PROGRESS_ALL;

  g_test_summary ("What callers need that are written outside: errors of other programs, and whether progress is wanted");
  g_assert_error (known, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_assert_cmpstr (known->message, ==, "a message");
  g_assert_error (unknown, AFRPC_ERROR, AFRPC_ERROR_REMOTE);
  g_assert_cmpstr (unknown->message, ==, "nobodys 7: a \357\277\275 message");

  g_assert_false (afrpc_call_options_wants_progress (options, NULL));
  afrpc_call_options_set_progress (options, AFRPC_PROGRESS_LATEST, ignore_progress_cb, NULL, NULL);
  g_assert_true (afrpc_call_options_wants_progress (options, &mode));
  g_assert_cmpint (mode, ==, AFRPC_PROGRESS_LATEST);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/caller/ways", test_caller_ways);
  g_test_add_func ("/caller/errors", test_caller_errors);
  g_test_add_func ("/caller/options", test_caller_options);
  g_test_add_func ("/caller/cancel", test_caller_cancel);
  g_test_add_func ("/caller/end", test_caller_end);
  g_test_add_func ("/caller/end/nested", test_caller_end_nested);
  g_test_add_func ("/caller/order", test_caller_order);
  g_test_add_func ("/caller/order/at-once", test_caller_order_at_once);
  g_test_add_func ("/caller/closed", test_caller_closed);
  g_test_add_func ("/caller/close-cancelled", test_caller_close_cancelled);
  g_test_add_func ("/caller/without-cancel", test_caller_without_cancel);
  g_test_add_func ("/caller/nothing", test_caller_nothing);
  g_test_add_func ("/caller/context", test_caller_context);
  g_test_add_func ("/caller/nested-waits", test_caller_nested_waits);
  g_test_add_func ("/caller/waits-again", test_caller_waits_again);
  g_test_add_func ("/caller/implementers", test_caller_implementers);

  return g_test_run ();
}
