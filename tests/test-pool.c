/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools: which worker gets which call, and which calls wait. */
#include "pool-case.h"

#include <glib/gstdio.h>
#include <sched.h>
#include <unistd.h>

/* Calls */

static void
test_pool_ways (void)
{
  Case test;
  g_auto(Outcome) simple = { 0 };
  g_auto(Outcome) full = { 0 };
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) blocking = NULL;
  g_autoptr(GError) error = NULL;
  guint number;

  g_test_summary ("Each way to call works on a pool as on a proxy");
  case_init (&test, "echo", NULL);
  afrpc_caller_call (caller_of (&test), g_variant_new ("(u)", 1), NULL, outcome_cb, &simple);
  afrpc_caller_call_full (caller_of (&test), g_variant_new ("(u)", 2), NULL, NULL, outcome_cb, &full);
  call = afrpc_caller_start (caller_of (&test), g_variant_new ("(u)", 3), NULL);
  blocking = afrpc_caller_call_sync (caller_of (&test), g_variant_new ("(u)", 4), NULL, &error);
  g_assert_no_error (error);
  g_variant_get (blocking, "(u)", &number);
  g_assert_cmpuint (number, ==, 4);
  test_iterate_until (&simple.done);
  test_iterate_until (&full.done);
  value = wait_value (call);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_YES);
  g_assert_true (afrpc_call_get_caller (call) == caller_of (&test));
  g_assert_nonnull (afrpc_call_get_process (call));
  g_clear_object (&call);
  case_end (&test);
}

static void
test_pool_many (void)
{
  Case test;
  guint n = 0;

  g_test_summary ("Many calls are all made, by as many workers as there may be");
  case_init (&test, "echo", "max-workers", 3, "start-delay-ms", 0, NULL);
  for (guint i = 0; i < 2000; i++)
    afrpc_caller_call (caller_of (&test), g_variant_new ("(u)", i), NULL, count_value_cb, &n);
  g_assert_cmpuint (afrpc_pool_get_n_calls_pending (test.pool), ==, 2000);
  iterate_until_count (&n, 2000);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, 3);
  case_end (&test);
}

static void
test_pool_least_loaded (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *calls[5];

  g_test_summary ("Each call goes to the worker that has least to do; none gets more than its load");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, NULL);
  wait_idle (&test, 2);
  calls[0] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  calls[1] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 2);
  g_assert_cmpint (pid_of (calls[0]), !=, pid_of (calls[1]));
  for (guint i = 2; i < 5; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL);
  g_assert_nonnull (afrpc_call_get_process (calls[2]));
  g_assert_nonnull (afrpc_call_get_process (calls[3]));
  g_assert_null (afrpc_call_get_process (calls[4]));
  g_assert_cmpint (pid_of (calls[2]), !=, pid_of (calls[3]));
  /* Who is free first may then get what waits behind the other. */
  meeting_let_go (&meeting);
  for (guint i = 0; i < 5; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  case_end (&test);
  meeting_end (&meeting);
}

static void
append_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      text)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, &error);

  g_assert_no_error (error);
  g_string_append (text, g_variant_get_string (value, NULL));
}

static void
call_with_priority (Case       *test,
                    const char *text,
                    int         priority,
                    GString    *order)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_call_options_set_priority (options, priority);
  afrpc_caller_call_full (caller_of (test), test_act ("return", g_variant_new_string (text)), options, NULL, append_cb, order);
}

static void
test_pool_priority (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(GString) order = g_string_new (NULL);
  g_autoptr(AfrpcCall) first = NULL;

  g_test_summary ("Calls that wait come by their priority, and then in the order in which they were made");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  first = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  call_with_priority (&test, "d", 0, order);
  call_with_priority (&test, "e", 0, order);
  call_with_priority (&test, "f", 7, order);
  call_with_priority (&test, "b", -5, order);
  call_with_priority (&test, "a", G_MININT, order);
  call_with_priority (&test, "c", -5, order);
  call_with_priority (&test, "g", G_MAXINT, order);
  meeting_let_go (&meeting);
  while (order->len < 7)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (order->str, ==, "abcdefg");
  g_clear_object (&first);
  case_end (&test);
  meeting_end (&meeting);
}

static AfrpcCall *
start_with_key (Case       *test,
                GVariant   *args,
                const char *key)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_call_options_set_affinity (options, key);

  return afrpc_caller_start (caller_of (test), args, options);
}

static void
test_pool_affinity (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *calls[6];
  g_autoptr(AfrpcCall) other = NULL;
  g_autoptr(AfrpcCall) death = NULL;
  g_autoptr(AfrpcCall) again = NULL;
  g_autoptr(GError) error = NULL;
  int pid;

  g_test_summary ("Calls with the same key go to the same worker, also if others have nothing to do, until it dies");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 3, "idle-workers", 3, "load", 1, NULL);
  for (guint i = 0; i < 6; i++)
    calls[i] = start_with_key (&test, i == 0 ? meet (&meeting) : test_act ("return", NULL), "key");
  wait_begun (&test, 1);
  other = start_with_key (&test, test_act ("return", NULL), "other");
  g_variant_unref (wait_value (other));
  g_assert_false (afrpc_call_is_settled (calls[1]));
  pid = pid_of (calls[0]);
  g_assert_cmpint (pid_of (other), !=, pid);
  meeting_let_go (&meeting);
  for (guint i = 0; i < 6; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_assert_cmpint (pid_of (calls[i]), ==, pid);
      g_object_unref (calls[i]);
    }

  death = start_with_key (&test, test_act ("exit", g_variant_new_uint32 (3)), "key");
  again = start_with_key (&test, test_act ("return", NULL), "key");
  error = wait_error (death);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_cmpint (pid_of (death), ==, pid);
  g_variant_unref (wait_value (again));
  g_assert_cmpint (pid_of (again), !=, pid);
  g_clear_object (&other);
  g_clear_object (&death);
  g_clear_object (&again);
  case_end (&test);
  meeting_end (&meeting);
}

static void
room_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Outcome *outcome = data;

  g_assert_false (outcome->done);
  outcome->done = TRUE;
  afrpc_pool_wait_for_room_finish (AFRPC_POOL (source), result, &outcome->error);
}

static void
test_pool_full (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *calls[3];
  g_autoptr(AfrpcCall) refused = NULL;
  g_autoptr(AfrpcCall) large = NULL;
  g_autoptr(GError) busy = NULL;
  g_autoptr(GError) too_much = NULL;
  g_auto(Outcome) room = { 0 };
  g_auto(Outcome) cancelled = { 0 };
  g_auto(Outcome) at_end = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  g_test_summary ("No more calls wait for a worker than may, by number and size; what workers have is not counted");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 1, "max-calls-queued", 2, "max-bytes-queued", (guint64) 1000, NULL);
  calls[0] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  calls[1] = afrpc_caller_start (caller_of (&test), test_act ("return", test_zeros (2000)), NULL);
  large = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL);
  too_much = wait_error (large);
  g_assert_error (too_much, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  g_object_set (test.pool, "max-bytes-queued", (guint64) 10000, NULL);
  calls[2] = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL);
  refused = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL);
  busy = wait_error (refused);
  g_assert_error (busy, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  g_assert_cmpint (afrpc_call_get_started (refused), ==, AFRPC_STARTED_NO);

  afrpc_pool_wait_for_room_async (test.pool, NULL, room_cb, &room);
  afrpc_pool_wait_for_room_async (test.pool, cancellable, room_cb, &cancelled);
  g_cancellable_cancel (cancellable);
  test_iterate_until (&cancelled.done);
  g_assert_error (cancelled.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_false (room.done);
  meeting_let_go (&meeting);
  test_iterate_until (&room.done);
  g_assert_no_error (room.error);
  for (guint i = 0; i < 3; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  afrpc_caller_close (caller_of (&test));
  afrpc_pool_wait_for_room_async (test.pool, NULL, room_cb, &at_end);
  test_iterate_until (&at_end.done);
  g_assert_error (at_end.error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_clear_object (&refused);
  g_clear_object (&large);
  case_end (&test);
  meeting_end (&meeting);
}

static AfrpcCallOptions *
waiting_options (int priority,
                 int timeout_ms)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  afrpc_call_options_set_wait_for_room (options, TRUE);
  afrpc_call_options_set_priority (options, priority);
  afrpc_call_options_set_timeout_ms (options, timeout_ms);

  return options;
}

static AfrpcCall *
start_waiting (Case     *test,
               GVariant *value,
               int       priority,
               int       timeout_ms)
{
  g_autoptr(AfrpcCallOptions) options = waiting_options (priority, timeout_ms);

  return afrpc_caller_start (caller_of (test), test_act ("return", value), options);
}

static void
assert_not_started (AfrpcCall *call,
                    GQuark     domain,
                    int        code)
{
  g_autoptr(GError) error = wait_error (call);

  g_assert_error (error, domain, code);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
}

static void
refuse_one (Case *test)
{
  g_autoptr(AfrpcCall) refused = afrpc_caller_start (caller_of (test), test_act ("return", NULL), NULL);

  assert_not_started (refused, AFRPC_ERROR, AFRPC_ERROR_BUSY);
}

static void
note_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  g_autoptr(GVariant) value = afrpc_call_wait_finish (AFRPC_CALL (source), result, NULL);

  g_ptr_array_add (data, source);
  g_assert_nonnull (value);
}

static void
test_pool_full_waiting (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(GPtrArray) order = g_ptr_array_new ();
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) queued = NULL;
  g_autoptr(AfrpcCall) large = NULL;
  g_autoptr(AfrpcCall) late = NULL;
  g_autoptr(AfrpcCall) early = NULL;
  g_autoptr(AfrpcCall) cancelled = NULL;
  g_autoptr(AfrpcCall) overdue = NULL;
  g_auto(Outcome) room = { 0 };

  g_test_summary ("A call that is to wait for room does, in its order and by its priority; it can be cancelled, and its time runs");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 1, "max-calls-queued", 1, "max-bytes-queued", (guint64) 1000, NULL);
  running = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  queued = start_act (&test, "return", NULL);
  refuse_one (&test);
  large = start_waiting (&test, test_zeros (2000), 0, 0);
  late = start_waiting (&test, NULL, 0, 0);
  early = start_waiting (&test, NULL, -1, 0);
  cancelled = start_waiting (&test, NULL, 0, 0);
  overdue = start_waiting (&test, NULL, 0, 1);
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), ==, 6);
  afrpc_call_cancel (cancelled);
  assert_not_started (cancelled, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  assert_not_started (overdue, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  refuse_one (&test);
  afrpc_call_wait (queued, NULL, note_cb, order);
  afrpc_call_wait (large, NULL, note_cb, order);
  afrpc_call_wait (late, NULL, note_cb, order);
  afrpc_call_wait (early, NULL, note_cb, order);
  afrpc_pool_wait_for_room_async (test.pool, NULL, room_cb, &room);
  meeting_let_go (&meeting);
  test_iterate_until (&room.done);
  g_assert_no_error (room.error);
  g_assert_cmpuint (order->len, >=, 3);
  while (order->len < 4)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (order->pdata[0] == early && order->pdata[1] == queued && order->pdata[2] == large && order->pdata[3] == late);
  g_variant_unref (wait_value (running));
  g_clear_object (&running);
  g_clear_object (&queued);
  g_clear_object (&large);
  g_clear_object (&late);
  g_clear_object (&early);
  g_clear_object (&cancelled);
  g_clear_object (&overdue);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_full_blocking (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcCallOptions) options = waiting_options (0, 0);
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) queued = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcCall *calls[5];

  g_test_summary ("So does one that blocks; what waits for room fails if the pool is killed, and was not started");
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    calls[i] = start_act (&test, "return", NULL);
  g_object_set (test.pool, "max-calls-queued", 1, NULL);
  g_assert_null (afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  value = afrpc_caller_call_full_sync (caller_of (&test), test_act ("return", NULL), options, NULL, NULL, NULL);
  g_assert_nonnull (value);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }

  meeting_init (&meeting);
  running = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  queued = start_act (&test, "return", NULL);
  waiting = start_waiting (&test, NULL, 0, 0);
  afrpc_caller_kill (caller_of (&test));
  assert_not_started (waiting, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  assert_not_started (queued, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  g_clear_object (&running);
  g_clear_object (&queued);
  g_clear_object (&waiting);
  g_ptr_array_set_size (test.errors, 0);
  case_end (&test);
  meeting_let_go (&meeting);
  meeting_end (&meeting);
}

static void
test_pool_cancel (void)
{
  Case test;
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) given = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(AfrpcCall) after = NULL;
  g_autoptr(GError) first = NULL;
  g_autoptr(GError) second = NULL;
  g_autoptr(GError) third = NULL;

  g_test_summary ("A call is cancelled wherever it is: running, given to a worker, in the queue");
  case_init (&test, "act", "max-workers", 1, NULL);
  running = afrpc_caller_start (caller_of (&test), test_act ("until-cancelled", NULL), NULL);
  given = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL);
  waiting = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL);
  after = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL);
  wait_begun (&test, 1);
  g_assert_nonnull (afrpc_call_get_process (given));
  g_assert_null (afrpc_call_get_process (waiting));
  afrpc_call_cancel (waiting);
  afrpc_call_cancel (given);
  afrpc_call_cancel (running);
  first = wait_error (running);
  second = wait_error (given);
  third = wait_error (waiting);
  g_assert_error (first, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_error (second, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_error (third, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (afrpc_call_get_started (running), ==, AFRPC_STARTED_YES);
  if (!is_command ())
    g_assert_cmpint (afrpc_call_get_started (given), ==, AFRPC_STARTED_NO);
  g_assert_cmpint (afrpc_call_get_started (waiting), ==, AFRPC_STARTED_NO);
  g_variant_unref (wait_value (after));
  g_clear_object (&running);
  g_clear_object (&given);
  g_clear_object (&waiting);
  g_clear_object (&after);
  case_end (&test);
}

static void
test_pool_cancel_unstarted (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *running, *calls[6];
  gboolean is_given_up[G_N_ELEMENTS (calls)];

  g_test_summary ("A call that no worker has begun can be given up so that it never is; one that runs is left alone");
  case_init (&test, "act", "max-workers", 1, "load", 4, NULL);
  meeting_init (&meeting);
  running = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    calls[i] = start_act (&test, "return", NULL);
  g_assert_false (afrpc_call_cancel_unstarted (running));
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autoptr(GError) error = NULL;
      /* Over a command nobody says what a worker has begun of what it has. */
      const gboolean may_run = is_command () && afrpc_call_get_process (calls[i]) != NULL;

      is_given_up[i] = afrpc_call_cancel_unstarted (calls[i]);
      g_assert_true (is_given_up[i] || may_run);
      if (!is_given_up[i])
        continue;
      g_assert_false (afrpc_call_cancel_unstarted (calls[i]));
      error = wait_error (calls[i]);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_cmpint (afrpc_call_get_started (calls[i]), ==, AFRPC_STARTED_NO);
    }
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (running));
  g_assert_false (afrpc_call_cancel_unstarted (running));
  g_object_unref (running);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      if (!is_given_up[i])
        g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  meeting_end (&meeting);
  case_end (&test);
}

static void
test_pool_timeout (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcCallOptions) limited = afrpc_call_options_new ();
  g_autoptr(AfrpcCallOptions) executing = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(GError) queued = NULL;
  g_autoptr(GError) too_long = NULL;
  g_autoptr(GError) slow = NULL;

  g_test_summary ("Time limits count in the queue, and those of the execution only when it runs");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  afrpc_call_options_set_timeout_ms (limited, 20);
  afrpc_call_options_set_execution_timeout_ms (executing, 1);
  first = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  running = afrpc_caller_start (caller_of (&test), test_act ("until-cancelled", NULL), executing);
  waiting = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), limited);
  queued = wait_error (waiting);
  g_assert_error (queued, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (afrpc_call_get_started (waiting), ==, AFRPC_STARTED_NO);
  g_assert_false (afrpc_call_is_settled (running));
  meeting_let_go (&meeting);
  too_long = wait_error (running);
  g_assert_error (too_long, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (afrpc_call_get_started (running), ==, AFRPC_STARTED_YES);

  g_object_set (test.pool, "call-timeout-ms", 5, NULL);
  slow = NULL;
  g_clear_object (&waiting);
  waiting = afrpc_caller_start (caller_of (&test), test_act ("until-cancelled", NULL), NULL);
  slow = wait_error (waiting);
  g_assert_error (slow, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_clear_object (&first);
  g_clear_object (&waiting);
  g_clear_object (&running);
  case_end (&test);
  meeting_end (&meeting);
}

static void
add_progress_cb (AfrpcCall *call,
                 GVariant  *progress,
                 gpointer   data)
{
  g_assert_true (AFRPC_IS_POOL (afrpc_call_get_caller (call)));
  g_string_append_printf (data, "%u ", g_variant_get_uint32 (progress));
}

static void
test_pool_options (void)
{
  Case test;
  g_autoptr(AfrpcProcess) template = test_bare_process_new ();
  g_autoptr(AfrpcCallOptions) counting = afrpc_call_options_new ();
  g_autoptr(AfrpcCallOptions) passing = afrpc_call_options_new ();
  g_autoptr(AfrpcCallOptions) missing = afrpc_call_options_new ();
  g_autoptr(GString) seen = g_string_new (NULL);
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr(GUnixFDList) out_fds = NULL;
  g_autoptr(AfrpcCall) counted = NULL;
  g_autoptr(AfrpcCall) refused = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) unknown = NULL;
  char text[8] = "";
  int fd = test_fd_with ("text");
  int got;

  g_test_summary ("Options pass through a pool: progress, another function, file descriptors there and back");
  afrpc_process_require (template, g_getenv ("AFRPC_TEST_MESSAGE_WORKER"));
  case_init_with (&test, template, "count_up", "max-workers", 2, NULL);
  afrpc_call_options_set_progress (counting, AFRPC_PROGRESS_ALL, add_progress_cb, seen, NULL);
  counted = afrpc_caller_start (caller_of (&test), g_variant_new ("(u)", 3), counting);
  g_variant_unref (wait_value (counted));
  g_assert_cmpstr (seen->str, ==, "1 2 3 ");

  afrpc_call_options_set_function (missing, "no_such_function");
  refused = afrpc_caller_start (caller_of (&test), NULL, missing);
  unknown = wait_error (refused);
  g_assert_error (unknown, AFRPC_ERROR, AFRPC_ERROR_FUNCTION);
  g_assert_null (afrpc_pool_get_failure (test.pool));

  afrpc_call_options_set_function (passing, "reverse");
  if (!is_command ())
    {
      g_assert_cmpint (g_unix_fd_list_append (fds, fd, NULL), ==, 0);
      afrpc_call_options_set_fds (passing, fds);
    }
  result = afrpc_caller_call_full_sync (caller_of (&test), NULL, passing, &out_fds, NULL, &error);
  g_assert_no_error (error);
  if (!is_command ())
    {
      got = g_unix_fd_list_get (out_fds, 0, NULL);
      g_assert_cmpint (read (got, text, sizeof text), ==, 4);
      g_assert_cmpstr (text, ==, "text");
      close (got);
    }
  close (fd);
  g_clear_object (&counted);
  g_clear_object (&refused);
  case_end (&test);
}

static void
test_pool_large (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *calls[400];

  g_test_summary ("What workers have got is not limited as what waits is: large calls do not fail for each other");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 400, "max-bytes-queued", (guint64) 100000, NULL);
  calls[0] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  for (guint i = 1; i < 400; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), test_act ("return", test_zeros (3000)), NULL);
  meeting_let_go (&meeting);
  for (guint i = 0; i < 400; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  case_end (&test);
  meeting_end (&meeting);
}

/* In a context of its own. */
static gpointer
context_thread (gpointer data)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  guint n = 0;
  Case test;

  g_main_context_push_thread_default (context);
  case_init (&test, "echo", "max-workers", 2, "start-delay-ms", 0, NULL);
  for (guint i = 0; i < 200; i++)
    afrpc_caller_call (caller_of (&test), g_variant_new ("(u)", i), NULL, count_value_cb, &n);
  while (n < 200)
    g_main_context_iteration (context, TRUE);
  afrpc_caller_close (caller_of (&test));
  while (!test.destroyed)
    g_main_context_iteration (context, TRUE);
  g_object_unref (test.pool);
  g_ptr_array_unref (test.errors);
  g_main_context_pop_thread_default (context);

  return NULL;
}

static void
test_pool_threads (void)
{
  GThread *threads[2];

  g_test_summary ("Threads have pools of their own, each in its context");
  for (guint i = 0; i < 2; i++)
    threads[i] = g_thread_new ("pool", context_thread, NULL);
  for (guint i = 0; i < 2; i++)
    g_thread_join (threads[i]);
}

static void
test_pool_taken_back (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *calls[6];
  g_autoptr(AfrpcCall) tied = NULL;
  guint n_elsewhere = 0;

  g_test_summary ("What waits behind something long is given to who is free, but for what has to stay there");
  if (is_command ())
    {
      g_test_skip ("nobody can take a call back that was written to a command");
      return;
    }
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 20, NULL);
  for (guint i = 0; i < 6; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), i == 0 ? meet (&meeting) : test_act ("event", g_variant_new_uint32 (i)), NULL);
  tied = start_with_key (&test, test_act ("return", NULL), "key");
  wait_begun (&test, 1);
  g_assert_nonnull (afrpc_call_get_process (calls[5]));
  g_object_set (test.pool, "max-workers", 2, "start-delay-ms", 1, NULL);
  for (guint i = 1; i < 6; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      n_elsewhere += pid_of (calls[i]) != pid_of (calls[0]);
    }
  g_assert_cmpuint (n_elsewhere, ==, 5);
  g_assert_false (afrpc_call_is_settled (calls[0]));
  g_assert_false (afrpc_call_is_settled (tied));
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (calls[0]));
  g_variant_unref (wait_value (tied));
  g_assert_cmpint (pid_of (tied), ==, pid_of (calls[0]));
  /* Each was begun once. */
  g_assert_cmpuint (test.n_events, ==, 6);
  for (guint i = 0; i < 6; i++)
    g_object_unref (calls[i]);
  g_clear_object (&tied);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_slow (void)
{
  Case test;
  Meeting meeting, next;
  AfrpcCall *lasting[2], *calls[6];
  Flood flood;

  g_test_summary ("Who has done something long gets two at once, so that few need be taken back; and more again after something short");
  if (is_command ())
    {
      g_test_skip ("nobody can take a call back that was written to a command");
      return;
    }
  meeting_init (&meeting);
  meeting_init (&next);
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, "load", 4, NULL);
  wait_idle (&test, 2);
  for (guint i = 0; i < G_N_ELEMENTS (lasting); i++)
    lasting[i] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    calls[i] = afrpc_caller_start (caller_of (&test), meet (&next), NULL);
  wait_begun (&test, 2);
  while (afrpc_pool_get_n_calls_queued (test.pool) < G_N_ELEMENTS (calls))
    g_main_context_iteration (NULL, TRUE);
  meeting_let_go (&meeting);
  wait_begun (&test, 4);
  g_assert_cmpuint (afrpc_pool_get_n_calls_assigned (test.pool), <=, 4);
  meeting_let_go (&next);
  flood_begin (&flood, &test, test_act ("return", NULL), 8);
  while (afrpc_pool_get_n_calls_assigned (test.pool) < 5)
    g_main_context_iteration (NULL, TRUE);
  flood_end (&flood);
  for (guint i = 0; i < G_N_ELEMENTS (lasting); i++)
    {
      g_variant_unref (wait_value (lasting[i]));
      g_object_unref (lasting[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  case_end (&test);
  meeting_end (&meeting);
  meeting_end (&next);
}

static void
test_pool_overtaken (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *calls[4];
  Flood flood;

  g_test_summary ("What waits behind something long is begun before what comes later, though nobody is ever free");
  if (is_command ())
    {
      g_test_skip ("nobody can take a call back that was written to a command");
      return;
    }
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, "load", 2, NULL);
  wait_idle (&test, 2);
  /* One of them is behind the first one. */
  for (guint i = 0; i < 4; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), i == 0 ? meet (&meeting) : test_act ("return", NULL), NULL);
  flood_begin (&flood, &test, test_act ("return", NULL), 20);
  for (guint i = 1; i < 4; i++)
    while (!afrpc_call_is_settled (calls[i]) && flood.n_made < 1000 * 1000)
      g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (flood.n_made, <, 1000 * 1000);
  g_assert_false (afrpc_call_is_settled (calls[0]));
  flood_end (&flood);
  g_assert_false (afrpc_call_is_settled (calls[0]));
  meeting_let_go (&meeting);
  for (guint i = 0; i < 4; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_waits_for_last (void)
{
  const guint n = 60000; /* longer than a moment, and than some */
  Case test;
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);

  g_test_summary ("Who blocks for the last of many calls gets it, though nobody is told of those before it meanwhile");
  case_init (&test, "act", "max-workers", 2, "load", 2, NULL);
  for (guint i = 0; i < n; i++)
    g_ptr_array_add (calls, afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL));
  for (guint i = n; i > 0; i--)
    {
      g_autoptr(GError) error = NULL;

      g_variant_unref (afrpc_call_wait_sync (calls->pdata[i - 1], NULL, &error));
      g_assert_no_error (error);
    }
  g_ptr_array_set_size (calls, 0);
  case_end (&test);
}

/* Who blocks for @n calls, all of which were made before, gets each of them. */
static void
block_for_returns (Case             *test,
                   AfrpcCallOptions *options,
                   guint             n)
{
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (calls, start_act (test, "return", options));
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(GError) error = NULL;

      g_variant_unref (afrpc_call_wait_sync (calls->pdata[i], NULL, &error));
      g_assert_no_error (error);
    }
}

static void
test_pool_starting_blocking (void)
{
  Case test;
  Meeting meeting;
  g_autofree char *elsewhere = NULL;
  g_autoptr(AfrpcProcess) template = NULL;
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  AfrpcPool *pool;

  g_test_summary ("Calls of who blocks do not wait for a worker that starts while another one is ready");
  meeting_init (&meeting);
  elsewhere = g_build_filename (meeting.folder, "elsewhere", NULL);
  g_setenv ("AFRPC_TEST_MEETING", meeting.path, TRUE);
  template = template_new ();
  pool = g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "init", "init_meet", "max-workers", 2, "load", 2,
                       "start-delay-ms", 0, "idle-workers", 1, NULL);
  case_take (&test, pool);
  /* The first one finds nobody to meet. */
  g_assert_cmpint (g_rename (meeting.path, elsewhere), ==, 0);
  wait_idle (&test, 1);
  g_assert_cmpint (g_rename (elsewhere, meeting.path), ==, 0);
  afrpc_pool_set_idle_workers (pool, 2);
  g_assert_cmpuint (afrpc_pool_get_n_starting_workers (pool), ==, 1);

  block_for_returns (&test, NULL, 20);
  afrpc_call_options_set_affinity (options, "key");
  block_for_returns (&test, options, 20);
  g_assert_cmpuint (afrpc_pool_get_n_starting_workers (pool), ==, 1);
  meeting_let_go (&meeting);
  case_end (&test);
  g_unsetenv ("AFRPC_TEST_MEETING");
  meeting_end (&meeting);
}

static void
test_pool_start_delay (void)
{
  const gint64 delay_ms = 200;
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcCallOptions) brief = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(AfrpcCall) late = NULL;
  g_autoptr(GError) error = NULL;
  gint64 begin;

  g_test_summary ("There is another worker once all have been busy for so long while calls wait, and not before");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "load", 1, "start-delay-ms", G_MAXINT, NULL);
  first = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  begin = g_get_monotonic_time ();
  waiting = start_act (&test, "return", NULL);
  afrpc_call_options_set_timeout_ms (brief, 10);
  late = start_act (&test, "return", brief);
  error = wait_error (late);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, 1);

  g_object_set (test.pool, "start-delay-ms", (guint) delay_ms, NULL);
  g_variant_unref (wait_value (waiting));
  g_assert_cmpint (g_get_monotonic_time () - begin, >=, delay_ms * 1000);
  g_assert_cmpint (pid_of (waiting), !=, pid_of (first));
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (first));
  g_clear_object (&first);
  g_clear_object (&waiting);
  g_clear_object (&late);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_stop_delay (void)
{
  const gint64 delay_ms = 200;
  Case test;
  g_autoptr(AfrpcCall) call = NULL;
  gint64 begin;

  g_test_summary ("A worker that nobody needs is kept for so long");
  case_init (&test, "act", "max-workers", 1, "stop-delay-ms", (guint) delay_ms, NULL);
  begin = g_get_monotonic_time ();
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  while (afrpc_pool_get_n_workers (test.pool) > 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (g_get_monotonic_time () - begin, >=, delay_ms * 1000);
  g_clear_object (&call);
  case_end (&test);
}

static void
test_pool_idle_workers (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *calls[3];

  g_test_summary ("So many workers are kept ready while others work, within the limit, however late others are started");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 3, "idle-workers", 1, "load", 1, "start-delay-ms", G_MAXINT, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, i + 1);
      wait_idle (&test, 1);
      calls[i] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
      wait_begun (&test, i + 1);
    }
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, 3);
  meeting_let_go (&meeting);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_default_max (void)
{
  cpu_set_t before, one;
  Case test;
  int cpu = 0;

  g_test_summary ("By default there are no more workers than processors by the program's affinity");
  if (sched_getaffinity (0, sizeof before, &before) != 0)
    {
      g_test_skip ("more processors than can be named here");
      return;
    }
  while (!CPU_ISSET (cpu, &before))
    cpu++;
  CPU_ZERO (&one);
  CPU_SET (cpu, &one);
  g_assert_no_errno (sched_setaffinity (0, sizeof one, &one));
  case_init (&test, "act", NULL);
  g_assert_cmpuint (afrpc_pool_get_max_workers (test.pool), ==, 1);
  afrpc_pool_set_max_workers (test.pool, 5);
  afrpc_pool_set_max_workers (test.pool, 0);
  g_assert_cmpuint (afrpc_pool_get_max_workers (test.pool), ==, 1);
  g_assert_no_errno (sched_setaffinity (0, sizeof before, &before));
  case_end (&test);
}

/* A warning to some versions of GLib, and a critical one to others. */
static void
count_cb (const char     *domain,
          GLogLevelFlags  level,
          const char     *message,
          gpointer        n_warnings)
{
  (*(guint *) n_warnings)++;
}

static void
test_pool_out_of_range (void)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  guint n_warnings = 0, handler;
  GLogLevelFlags fatal;
  AfrpcCall *call;
  Case test;

  g_test_summary ("A number that is out of range is as if it had not been given");
  handler = g_log_set_handler ("GLib-GObject", G_LOG_LEVEL_MASK | G_LOG_FLAG_FATAL, count_cb, &n_warnings);
  fatal = g_log_set_always_fatal (G_LOG_FATAL_MASK);
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "load", 0, "max-failures", 0,
                                  "max-calls-queued", 0, NULL));
  g_log_set_always_fatal (fatal);
  g_log_remove_handler ("GLib-GObject", handler);
  g_assert_cmpuint (n_warnings, ==, 3);
  g_assert_cmpuint (afrpc_pool_get_load (test.pool), ==, 2);
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  g_clear_object (&call);
  afrpc_pool_set_max_workers (test.pool, 0);
  g_assert_cmpuint (afrpc_pool_get_max_workers (test.pool), >, 0);
  afrpc_pool_set_max_workers (test.pool, 65536);
  afrpc_pool_set_load (test.pool, 65536);
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*max_workers*");
  afrpc_pool_set_max_workers (test.pool, 1u << 31);
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*load*");
  afrpc_pool_set_load (test.pool, 65537);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (afrpc_pool_get_max_workers (test.pool), ==, 65536);
  g_assert_cmpuint (afrpc_pool_get_load (test.pool), ==, 65536);
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  g_clear_object (&call);
  case_end (&test);
}

/* Told of room within something that the program does, it would be so in the middle of that. */
static void
check_not_within (Case     *test,
                  void (*do_it) (Case *test))
{
  g_auto(Outcome) room = { 0 };

  afrpc_pool_wait_for_room_async (test->pool, NULL, room_cb, &room);
  g_assert_false (room.done);
  do_it (test);
  g_assert_false (room.done);
  test_iterate_until (&room.done);
}

static void
raise_limit (Case *test)
{
  afrpc_pool_set_max_calls_queued (test->pool, 100);
}

static void
lower_limit (Case *test)
{
  afrpc_pool_set_max_calls_queued (test->pool, 1);
}

static void
raise_load (Case *test)
{
  afrpc_pool_set_load (test->pool, 100);
}

static void
close_pool (Case *test)
{
  afrpc_caller_close (caller_of (test));
}

static void
test_pool_room_later (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *calls[3];

  g_test_summary ("Who waits for room is told from the main loop, and not within what makes it");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 1, "max-calls-queued", 1, NULL);
  calls[0] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  calls[1] = start_act (&test, "return", NULL);
  check_not_within (&test, raise_limit);
  lower_limit (&test);
  check_not_within (&test, raise_load);
  afrpc_pool_set_load (test.pool, 1);
  calls[2] = start_act (&test, "return", NULL);
  check_not_within (&test, close_pool);
  meeting_let_go (&meeting);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  case_end (&test);
  meeting_end (&meeting);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool/ways", test_pool_ways);
  g_test_add_func ("/pool/many", test_pool_many);
  g_test_add_func ("/pool/least-loaded", test_pool_least_loaded);
  g_test_add_func ("/pool/priority", test_pool_priority);
  g_test_add_func ("/pool/affinity", test_pool_affinity);
  g_test_add_func ("/pool/full", test_pool_full);
  g_test_add_func ("/pool/room-later", test_pool_room_later);
  g_test_add_func ("/pool/full-waiting", test_pool_full_waiting);
  g_test_add_func ("/pool/full-blocking", test_pool_full_blocking);
  g_test_add_func ("/pool/cancel", test_pool_cancel);
  g_test_add_func ("/pool/cancel-unstarted", test_pool_cancel_unstarted);
  g_test_add_func ("/pool/timeout", test_pool_timeout);
  g_test_add_func ("/pool/taken-back", test_pool_taken_back);
  g_test_add_func ("/pool/starting-blocking", test_pool_starting_blocking);
  g_test_add_func ("/pool/start-delay", test_pool_start_delay);
  g_test_add_func ("/pool/stop-delay", test_pool_stop_delay);
  g_test_add_func ("/pool/slow", test_pool_slow);
  g_test_add_func ("/pool/overtaken", test_pool_overtaken);
  g_test_add_func ("/pool/waits-for-last", test_pool_waits_for_last);
  g_test_add_func ("/pool/idle-workers", test_pool_idle_workers);
  g_test_add_func ("/pool/default-max", test_pool_default_max);
  g_test_add_func ("/pool/large", test_pool_large);
  g_test_add_func ("/pool/options", test_pool_options);
  g_test_add_func ("/pool/out-of-range", test_pool_out_of_range);
  g_test_add_func ("/pool/threads", test_pool_threads);

  return g_test_run ();
}
