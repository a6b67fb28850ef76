/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools whose workers have to be ended: because of calls that do not stop, their age, and what memory they take. */
#include "pool-case.h"

#include "failing-open.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEVER_MS (3600u * 1000)

static void
wait_errors (Case  *test,
             guint  n)
{
  while (test->errors->len < n)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (test->errors->len, ==, n);
}

/* The pool says that it has ended a worker, and why. */
static void
check_stopped (Case  *test,
               guint  n)
{
  const GError *error;

  wait_errors (test, n);
  error = g_ptr_array_index (test->errors, n - 1);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_true (g_str_has_prefix (error->message, "a call did not stop when it was given up: "));
}

static void
check_timed_out (AfrpcCall *call)
{
  g_autoptr(GError) error = wait_error (call);

  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_YES);
}

static AfrpcCallOptions *
timed_options (void)
{
  AfrpcCallOptions *options = idempotent_options ();

  afrpc_call_options_set_execution_timeout_ms (options, 1);

  return options;
}

static void
test_pool_limits_execution (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = timed_options ();
  g_autoptr(AfrpcCall) runaway = NULL;
  g_autoptr(AfrpcExit) exit = NULL;
  AfrpcCall *calls[6];

  g_test_summary ("A worker whose call runs for too long, and does not stop, is ended; its other calls move, nothing is "
                  "repeated, and no failure is counted");
  case_init (&test, "act", "max-workers", 1, "load", 4, "max-failures", 1, "cancel-grace-ms", 1, NULL);
  runaway = start_act (&test, "spin", options);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    calls[i] = start_act (&test, "return", NULL);
  check_timed_out (runaway);
  exit = test_wait_exit (afrpc_call_get_process (runaway));
  if (!is_command ())
    g_assert_cmpint (afrpc_exit_get_signal (exit), ==, SIGKILL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      while (!afrpc_call_is_settled (calls[i]))
        g_main_context_iteration (NULL, TRUE);
      /* Over a command it is not known what was begun. */
      if (!is_command ())
        {
          g_variant_unref (wait_value (calls[i]));
          g_assert_cmpint (pid_of (calls[i]), !=, pid_of (runaway));
        }
      g_object_unref (calls[i]);
    }
  check_stopped (&test, 1);
  g_assert_cmpuint (test.n_events, ==, 1);
  g_clear_object (&runaway);
  case_end (&test);
}

static void
test_pool_limits_group (void)
{
  Case test;
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCallOptions) options = timed_options ();
  g_autoptr(AfrpcCall) starter = NULL;
  g_autoptr(AfrpcCall) runaway = NULL;
  g_autoptr(GVariant) child = NULL;

  g_test_summary ("With a worker that is ended because of a call, all of the process group ends that it leads");
  afrpc_process_set_process_group (template, TRUE);
  case_init_with (&test, template, "act", "max-workers", 1, "cancel-grace-ms", 1, NULL);
  starter = start_act (&test, "start", NULL);
  child = wait_value (starter);
  runaway = start_act (&test, "spin", options);
  check_timed_out (runaway);
  g_assert_cmpint (pid_of (runaway), ==, pid_of (starter));
  check_stopped (&test, 1);
  test_wait_gone (g_variant_get_int32 (child));
  g_clear_object (&starter);
  g_clear_object (&runaway);
  case_end (&test);
}

static void
test_pool_limits_cancelled (void)
{
  Case test;
  g_autoptr(AfrpcCall) runaway = NULL;
  g_autoptr(AfrpcCall) next = NULL;
  g_autoptr(GError) error = NULL;
  guint n_notified = 0;

  g_test_summary ("One that is cancelled and does not stop settles at once; the grace may be given later");
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  g_assert_cmpuint (afrpc_pool_get_cancel_grace_ms (test.pool), ==, 5000);
  g_signal_connect_swapped (test.pool, "notify::cancel-grace-ms", G_CALLBACK (test_count_cb), &n_notified);
  afrpc_pool_set_cancel_grace_ms (test.pool, 0);
  afrpc_pool_set_cancel_grace_ms (test.pool, 0);
  g_assert_cmpuint (n_notified, ==, 1);
  runaway = start_act (&test, "spin", NULL);
  wait_begun (&test, 1);
  afrpc_call_cancel (runaway);
  error = wait_error (runaway);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (kill (pid_of (runaway), 0), ==, 0);
  next = start_act (&test, "return", NULL);
  afrpc_pool_set_cancel_grace_ms (test.pool, 1);
  g_variant_unref (wait_value (next));
  g_assert_cmpint (pid_of (next), !=, pid_of (runaway));
  check_stopped (&test, 1);
  g_clear_object (&runaway);
  g_clear_object (&next);
  case_end (&test);
}

static void
test_pool_limits_longest (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = timed_options ();
  g_autoptr(AfrpcCall) runaway = NULL;
  guint n_notified = 0;
  int pid;

  g_test_summary ("The longest grace is one, and what is longer is that");
  case_init (&test, "act", "max-workers", 1, NULL);
  g_signal_connect_swapped (test.pool, "notify::cancel-grace-ms", G_CALLBACK (test_count_cb), &n_notified);
  afrpc_pool_set_cancel_grace_ms (test.pool, G_MAXUINT);
  g_assert_cmpuint (afrpc_pool_get_cancel_grace_ms (test.pool), ==, G_MAXUINT - 1);
  afrpc_pool_set_cancel_grace_ms (test.pool, G_MAXUINT);
  g_object_set (test.pool, "cancel-grace-ms", G_MAXUINT - 1, NULL);
  g_assert_cmpuint (n_notified, ==, 1);
  runaway = start_act (&test, "spin", options);
  check_timed_out (runaway);
  pid = pid_of (runaway);
  /* Others wait longer than it takes until a runaway is looked at. */
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(AfrpcCallOptions) short_of_time = afrpc_call_options_new ();
      g_autoptr(AfrpcCall) next = NULL;
      g_autoptr(GError) error = NULL;

      afrpc_call_options_set_timeout_ms (short_of_time, 20);
      next = start_act (&test, "return", short_of_time);
      error = wait_error (next);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
    }
  if (!is_command ())
    g_assert_cmpint (kill (pid, 0), ==, 0);
  g_assert_cmpuint (test.errors->len, ==, 0);
  afrpc_pool_set_cancel_grace_ms (test.pool, 1);
  check_stopped (&test, 1);
  g_clear_object (&runaway);
  case_end (&test);
}

static void
test_pool_limits_stops (void)
{
  Case test;
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) next = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A worker that stops a call that is given up goes on");
  case_init (&test, "act", "max-workers", 1, "cancel-grace-ms", NEVER_MS, NULL);
  first = start_act (&test, "until-cancelled", NULL);
  wait_begun (&test, 1);
  afrpc_call_cancel (first);
  error = wait_error (first);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  next = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (next));
  g_assert_cmpint (pid_of (next), ==, pid_of (first));
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_clear_object (&first);
  g_clear_object (&next);
  case_end (&test);
}

static void
test_pool_limits_no_grace (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcCallOptions) options = timed_options ();
  g_autoptr(AfrpcCall) runaway = NULL;
  g_autoptr(AfrpcCall) after = NULL;
  AfrpcCall *calls[3], *more[20];

  g_test_summary ("Without a grace a call runs on; what waits behind it goes to others, and its worker is used again");
  if (is_command ())
    {
      g_test_skip ("what a command has got is not taken back");
      return;
    }
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 4, "start-delay-ms", 0, "cancel-grace-ms", 0, NULL);
  runaway = afrpc_caller_start (caller_of (&test), meet (&meeting), options);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    calls[i] = start_act (&test, "return", NULL);
  check_timed_out (runaway);
  g_object_set (test.pool, "max-workers", 2, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_assert_cmpint (pid_of (calls[i]), !=, pid_of (runaway));
      g_object_unref (calls[i]);
    }
  /* It gets nothing more, whatever others have to do. */
  afrpc_pool_set_load (test.pool, 32);
  for (guint i = 0; i < G_N_ELEMENTS (more); i++)
    more[i] = start_act (&test, "return", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (more); i++)
    {
      g_variant_unref (wait_value (more[i]));
      g_object_unref (more[i]);
    }
  meeting_let_go (&meeting);
  wait_idle (&test, 2);
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_assert_cmpint (kill (pid_of (runaway), 0), ==, 0);
  after = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (after));
  g_clear_object (&runaway);
  g_clear_object (&after);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_limits_beside_runaway (void)
{
  Case test;
  Meeting given_up, meeting;
  g_autoptr(AfrpcCall) runaway = NULL;
  g_autoptr(AfrpcCall) lasting = NULL;
  g_autoptr(AfrpcCall) behind = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("What waits behind something long goes to others, also while another worker runs what was given up");
  if (is_command ())
    {
      g_test_skip ("what a command has got is not taken back");
      return;
    }
  meeting_init (&given_up);
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 3, "load", 2, "start-delay-ms", 0, "cancel-grace-ms", 0, NULL);
  runaway = afrpc_caller_start (caller_of (&test), meet (&given_up), NULL);
  wait_begun (&test, 1);
  afrpc_call_cancel (runaway);
  error = wait_error (runaway);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  lasting = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 2);
  behind = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (behind));
  g_assert_cmpint (pid_of (behind), !=, pid_of (runaway));
  g_assert_false (afrpc_call_is_settled (lasting));
  meeting_let_go (&given_up);
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (lasting));
  g_assert_cmpint (pid_of (behind), !=, pid_of (lasting));
  g_clear_object (&runaway);
  g_clear_object (&lasting);
  g_clear_object (&behind);
  case_end (&test);
  meeting_end (&given_up);
  meeting_end (&meeting);
}

/* Where a worker's memory says what it has begun. */
static gboolean
skips_takes (void)
{
  const int fd = is_command () ? -1 : memfd_create ("afrpc-test", MFD_CLOEXEC);

  if (fd >= 0)
    {
      close (fd);
      return FALSE;
    }

  g_test_skip ("what a worker has got is not taken back");

  return TRUE;
}

static AfrpcCallOptions *
short_options (void)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  afrpc_call_options_set_timeout_ms (options, 20);

  return options;
}

/* Stops one of the workers. Returns: its pid */
static int
freeze (Case *test)
{
  g_autoptr(AfrpcCall) call = start_act (test, "return", NULL);

  g_variant_unref (wait_value (call));
  g_assert_cmpint (kill (pid_of (call), SIGSTOP), ==, 0);

  return pid_of (call);
}

static void
test_pool_limits_still (void)
{
  Case test;
  AfrpcCall *calls[5];
  int pid;

  g_test_summary ("What a worker does not begin that is stopped, idle, goes to one that is idle; it gets nothing more until it goes on");
  if (skips_takes ())
    return;
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, "load", 2, NULL);
  wait_idle (&test, 2);
  pid = freeze (&test);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    calls[i] = start_act (&test, "return", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_assert_cmpint (pid_of (calls[i]), !=, pid);
      g_object_unref (calls[i]);
    }
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_assert_cmpint (kill (pid, SIGCONT), ==, 0);
  wait_idle (&test, 2);
  case_end (&test);
}

static void
test_pool_limits_still_key (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = short_options ();
  g_autoptr(AfrpcCallOptions) key = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) given_up = NULL;
  g_autoptr(AfrpcCall) kept = NULL;
  g_autoptr(GError) error = NULL;
  const GError *told;
  int pid;

  g_test_summary ("A worker that is stopped, idle, is ended once a call was given up that it has not begun; others begin what it has");
  if (skips_takes ())
    return;
  case_init (&test, "act", "max-workers", 1, "load", 2, "cancel-grace-ms", 1, NULL);
  pid = freeze (&test);
  afrpc_call_options_set_affinity (key, "key");
  kept = start_act (&test, "return", key);
  given_up = start_act (&test, "return", options);
  error = wait_error (given_up);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (afrpc_call_get_started (given_up), ==, AFRPC_STARTED_NO);
  g_variant_unref (wait_value (kept));
  g_assert_cmpint (pid_of (kept), !=, pid);
  wait_errors (&test, 1);
  told = g_ptr_array_index (test.errors, 0);
  g_assert_error (told, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_true (g_str_has_prefix (told->message, "a worker did not begin its calls: "));
  g_clear_object (&given_up);
  g_clear_object (&kept);
  case_end (&test);
}

static void
test_pool_limits_still_busy (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcCall) lasting = NULL;

  g_test_summary ("A worker that runs something long is not ended because of what is given up behind that");
  if (skips_takes ())
    return;
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 4, "cancel-grace-ms", 1, NULL);
  lasting = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  /* Each of them waits longer than the grace, and than it takes until somebody looks. */
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(AfrpcCallOptions) options = short_options ();
      g_autoptr(AfrpcCall) behind = start_act (&test, "return", options);
      g_autoptr(GError) error = wait_error (behind);

      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
    }
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (lasting));
  wait_idle (&test, 1);
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_clear_object (&lasting);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_limits_async (void)
{
  Case test;
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCallOptions) options = timed_options ();
  g_autoptr(AfrpcCallOptions) again = idempotent_options ();
  g_autoptr(AfrpcCall) repeated = NULL;
  g_autoptr(AfrpcCall) once = NULL;
  g_autoptr(AfrpcCall) runaway = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) cancelled = NULL;
  int pid;

  g_test_summary ("What an async worker has begun besides fails if it is ended, or is repeated if it may be");
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async",
                                  "backend", AFRPC_BACKEND_ASYNC, "max-workers", 1, "load", 8, "max-repeats", 1, NULL));
  g_assert_cmpuint (afrpc_pool_get_cancel_grace_ms (test.pool), ==, 0);
  repeated = afrpc_caller_start (caller_of (&test), act_u ("later", NEVER_MS), again);
  once = afrpc_caller_start (caller_of (&test), act_u ("later", NEVER_MS), NULL);
  runaway = afrpc_caller_start (caller_of (&test), act_u ("later", NEVER_MS), options);
  check_timed_out (runaway);
  pid = pid_of (runaway);
  afrpc_pool_set_cancel_grace_ms (test.pool, 1);
  error = wait_error (once);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_true (g_str_has_prefix (error->message, "another call did not stop when it was given up: "));
  g_assert_cmpint (afrpc_exit_get_signal (afrpc_call_get_exit (once)), ==, SIGKILL);
  check_stopped (&test, 1);
  while (pid_of (repeated) == pid)
    g_main_context_iteration (NULL, TRUE);
  g_assert_false (afrpc_call_is_settled (repeated));
  afrpc_call_cancel (repeated);
  cancelled = wait_error (repeated);
  g_assert_error (cancelled, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  afrpc_caller_kill (caller_of (&test));
  g_clear_object (&repeated);
  g_clear_object (&once);
  g_clear_object (&runaway);
  case_end (&test);
}

static void
test_pool_limits_no_repeats (void)
{
  Case test;
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCallOptions) options = timed_options ();
  g_autoptr(AfrpcCallOptions) again = idempotent_options ();
  g_autoptr(AfrpcCall) other = NULL;
  g_autoptr(AfrpcCall) runaway = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Where nothing is repeated, what an ended worker had begun is not");
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async",
                                  "backend", AFRPC_BACKEND_ASYNC, "max-workers", 1, "load", 8, "max-repeats", 0,
                                  "cancel-grace-ms", 1, NULL));
  other = afrpc_caller_start (caller_of (&test), act_u ("later", NEVER_MS), again);
  runaway = afrpc_caller_start (caller_of (&test), act_u ("later", NEVER_MS), options);
  check_timed_out (runaway);
  error = wait_error (other);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_clear_object (&other);
  g_clear_object (&runaway);
  case_end (&test);
}

static void
test_pool_limits_dropped (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = timed_options ();
  g_autoptr(AfrpcCall) runaway = NULL;

  g_test_summary ("A worker that does not stop is ended, also if its pool is gone");
  case_init (&test, "act", "max-workers", 1, "cancel-grace-ms", 200, NULL);
  runaway = start_act (&test, "spin", options);
  check_timed_out (runaway);
  g_clear_object (&runaway);
  g_assert_finalize_object (test.pool);
  wait_no_children ();
  g_ptr_array_unref (test.errors);
}

static void
test_pool_limits_blocking (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = timed_options ();
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Who blocks gets a worker in the place of one that does not stop");
  case_init (&test, "act", "max-workers", 1, "load", 1, "cancel-grace-ms", 1, NULL);
  value = afrpc_caller_call_full_sync (caller_of (&test), test_act ("spin", NULL), options, NULL, NULL, &error);
  g_assert_null (value);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_clear_error (&error);
  value = afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (value);
  g_assert_true (afrpc_caller_close_sync (caller_of (&test), NULL, &error));
  g_assert_no_error (error);
  check_stopped (&test, 1);
  case_end (&test);
}

static void
test_pool_limits_age (void)
{
  Case test;
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) next = NULL;
  g_autoptr(AfrpcExit) exit = NULL;
  guint n_notified = 0;

  g_test_summary ("A worker that is too old is replaced, also if it has nothing to do");
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, "max-failures", 1, NULL);
  first = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (first));
  g_signal_connect_swapped (test.pool, "notify::max-age-s", G_CALLBACK (test_count_cb), &n_notified);
  afrpc_pool_set_max_age_s (test.pool, 1);
  afrpc_pool_set_max_age_s (test.pool, 1);
  g_assert_cmpuint (n_notified, ==, 1);
  exit = test_wait_exit (afrpc_call_get_process (first));
  g_assert_true (afrpc_exit_is_success (exit));
  afrpc_pool_set_max_age_s (test.pool, 0);
  wait_idle (&test, 1);
  next = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (next));
  g_assert_cmpint (pid_of (next), !=, pid_of (first));
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_clear_object (&first);
  g_clear_object (&next);
  case_end (&test);
}

static void
test_pool_limits_age_busy (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) next = NULL;

  g_test_summary ("One that is too old finishes what it has; what waits goes to the one in its place");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 1, "max-age-s", 1, NULL);
  first = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  next = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (next));
  g_assert_cmpint (pid_of (next), !=, pid_of (first));
  g_assert_false (afrpc_call_is_settled (first));
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (first));
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_clear_object (&first);
  g_clear_object (&next);
  case_end (&test);
  meeting_end (&meeting);
}

static void
grow (Case  *test,
      guint  n,
      int   *pid)
{
  g_autoptr(AfrpcCall) call = afrpc_caller_start (caller_of (test), act_u ("grow", n), NULL);

  g_variant_unref (wait_value (call));
  *pid = pid_of (call);
}

/* Whether that worker may get calls. */
static gboolean
is_live (AfrpcPool *pool,
         int        pid)
{
  GListModel *workers = afrpc_pool_get_workers (pool);

  for (guint i = 0; i < g_list_model_get_n_items (workers); i++)
    {
      g_autoptr(AfrpcPoolWorker) worker = g_list_model_get_item (workers, i);

      if (afrpc_process_get_pid (afrpc_pool_worker_get_process (worker)) == pid)
        return afrpc_pool_worker_get_state (worker) <= AFRPC_POOL_WORKER_STATE_BUSY;
    }

  return FALSE;
}

/* However soon another one takes its place. */
static void
wait_retired (AfrpcPool *pool,
              int        pid)
{
  while (is_live (pool, pid))
    g_main_context_iteration (NULL, TRUE);
}

static void
test_pool_limits_memory (void)
{
  Case test;
  g_autoptr(AfrpcCall) next = NULL;
  guint n_notified = 0;
  int pids[2];

  g_test_summary ("A worker that has taken too much memory since it was ready is replaced");
  if (is_command ())
    {
      g_test_skip ("it is the command's own");
      return;
    }
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, "max-memory-growth", G_GUINT64_CONSTANT (16) << 20, NULL);
  g_signal_connect_swapped (test.pool, "notify::max-memory-growth", G_CALLBACK (test_count_cb), &n_notified);
  for (guint i = 0; i < 3; i++)
    {
      wait_idle (&test, 1);
      grow (&test, 1u << 20, &pids[0]);
      grow (&test, 32u << 20, &pids[1]);
      g_assert_cmpint (pids[0], ==, pids[1]);
      wait_retired (test.pool, pids[1]);
    }
  wait_idle (&test, 1);
  next = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (next));
  g_assert_cmpint (pid_of (next), !=, pids[1]);
  afrpc_pool_set_max_memory_growth (test.pool, 0);
  afrpc_pool_set_max_memory_growth (test.pool, 0);
  g_assert_cmpuint (n_notified, ==, 1);
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_clear_object (&next);
  case_end (&test);
}

/* Has the next random numbers be such that the limit of whoever gets one of them is almost an eighth lower. */
static void
choose_low_limit (guint64 limit)
{
  guint n = 0;

  for (guint32 seed = 0; n < 4; seed++)
    {
      g_random_set_seed (seed);
      for (n = 0; n < 4 && g_random_int () % (limit / 8 + 1) > limit / 8 * 7 / 8;)
        n++;
      g_random_set_seed (seed);
    }
}

static void
test_pool_limits_memory_jitter (void)
{
  const guint64 limit = G_GUINT64_CONSTANT (64) << 20;
  Case test;
  int pid;

  g_test_summary ("Some are replaced with a little less memory than others");
  if (is_command ())
    {
      g_test_skip ("it is the command's own");
      return;
    }
  choose_low_limit (limit);
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, "max-memory-growth", limit, NULL);
  wait_idle (&test, 1);
  grow (&test, limit / 16 * 15, &pid);
  wait_retired (test.pool, pid);
  wait_idle (&test, 1);
  case_end (&test);
}

static void
test_pool_limits_calls_jitter (void)
{
  const guint limit = 80;
  Case test;
  guint n_first = 0;
  int first = 0;

  g_test_summary ("Some are replaced after a few calls less than others");
  choose_low_limit (limit);
  case_init (&test, "act", "max-workers", 1, "load", 1, "max-calls", limit, NULL);
  for (guint i = 0; i < limit; i++)
    {
      g_autoptr(AfrpcCall) call = start_act (&test, "return", NULL);

      g_variant_unref (wait_value (call));
      if (first == 0)
        first = pid_of (call);
      n_first += pid_of (call) == first;
    }
  g_assert_cmpuint (n_first, <, limit);
  g_assert_cmpuint (n_first, >=, limit - limit / 8);
  case_end (&test);
}

static void
test_pool_limits_memory_blocking (void)
{
  Case test;
  g_autoptr(GError) error = NULL;
  int pid, first = 0;

  g_test_summary ("The same for who only blocks, with a limit that was set later");
  if (is_command ())
    {
      g_test_skip ("it is the command's own");
      return;
    }
  case_init (&test, "act", "max-workers", 1, NULL);
  g_variant_unref (afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), NULL, &error));
  g_assert_no_error (error);
  afrpc_pool_set_max_memory_growth (test.pool, G_GUINT64_CONSTANT (1) << 20);
  /* Little at a time, since as many calls are made as there is time for until it is looked at twice. */
  do
    {
      g_autoptr(AfrpcCall) call = afrpc_caller_start (caller_of (&test), act_u ("grow", 4096), NULL);

      g_variant_unref (afrpc_call_wait_sync (call, NULL, &error));
      g_assert_no_error (error);
      pid = pid_of (call);
      if (first == 0)
        first = pid;
    }
  while (pid == first);
  g_assert_cmpuint (test.errors->len, ==, 0);
  case_end (&test);
}

static void
test_pool_limits_memory_pace (void)
{
  const guint slow_ms = 80;
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("Memory that it takes long to read is read for no more than a twentieth of the time, also if calls come late");
  if (is_command ())
    {
      g_test_skip ("it is the command's own");
      return;
    }
  meeting_init (&meeting);
  failing_open_begin ("smaps_rollup", 0);
  failing_open_slow_down (slow_ms);
  /* Less than what is shared: otherwise there is nothing to look at. */
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, "max-memory-growth", G_GUINT64_CONSTANT (1) << 20, NULL);
  wait_idle (&test, 1);
  g_assert_cmpuint (failing_open_get_n_opened (), ==, 1);
  call = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  /* One because of the call, and another one because it still runs. */
  while (failing_open_get_n_opened () < 3)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (failing_open_get_least_gap_us (), >=, 20 * slow_ms * 1000);
  failing_open_slow_down (0);
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (call));
  g_clear_object (&call);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_limits_memory_failing (void)
{
  Case test;
  g_autoptr(AfrpcPoolWorker) worker = NULL;
  g_autoptr(GError) error = NULL;
  guint n_opened;
  int pid;

  g_test_summary ("A worker whose memory cannot be read at the moment is not waited for, and is asked again in its time");
  if (is_command ())
    {
      g_test_skip ("it is the command's own");
      return;
    }
  /* Not for ever, so that whoever asks at once, again and again, comes to an end. */
  failing_open_begin ("smaps_rollup", 100);
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, "max-memory-growth", G_GUINT64_CONSTANT (16) << 20, NULL);
  wait_idle (&test, 1);
  g_assert_cmpuint (failing_open_get_n_failed (), ==, 1);
  worker = g_list_model_get_item (afrpc_pool_get_workers (test.pool), 0);
  g_assert_cmpint (afrpc_pool_worker_get_memory (worker, &error), ==, -1);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, g_strerror (EMFILE)));
  failing_open_end ();
  /* It begins with what it has the next time. */
  n_opened = failing_open_get_n_opened ();
  grow (&test, 1, &pid);
  while (failing_open_get_n_opened () == n_opened)
    g_main_context_iteration (NULL, TRUE);
  grow (&test, 32u << 20, &pid);
  while (afrpc_pool_worker_get_state (worker) <= AFRPC_POOL_WORKER_STATE_BUSY)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (failing_open_get_n_opened (), >=, n_opened + 2);
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_clear_object (&worker);
  case_end (&test);
}

/* Nobody looks into what may not be looked into. */
static void
drop_capabilities (void)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[2] = { 0 };

  g_assert_cmpint (syscall (SYS_capset, &header, data), ==, 0);
}

static void
test_pool_limits_memory_unreadable (void)
{
  g_test_summary ("Where the kernel does not say how much memory a worker has, nobody is replaced, and nothing else is different");
  if (is_command ())
    {
      g_test_skip ("it is the command's own");
      return;
    }
  if (g_test_subprocess ())
    {
      AfrpcProcess *template = template_new ();
      Case test;
      int pids[2];

      drop_capabilities ();
      case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "init", "init_private",
                                      "max-workers", 1, "max-memory-growth", G_GUINT64_CONSTANT (1), NULL));
      grow (&test, 32u << 20, &pids[0]);
      for (gint64 end = g_get_monotonic_time () + 3 * G_USEC_PER_SEC / 2; g_get_monotonic_time () < end;)
        grow (&test, 1, &pids[1]);
      g_assert_cmpint (pids[0], ==, pids[1]);
      case_end (&test);
      g_object_unref (template);
      /* Who looks for leaks at the end may not, without these. */
      _exit (EXIT_SUCCESS);
    }

  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
}

/* Puts a file into what is looked into for that of the process. */
static void
put (const char *directory,
     const char *name,
     const char *text)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autoptr(GError) error = NULL;

  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

static void
remove_from (const char *directory,
             const char *name)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);

  g_assert_no_errno (g_remove (path));
}

static void
test_pool_limits_quota (void)
{
  g_autofree char *directory = g_dir_make_tmp ("afrpc-quota-XXXXXX", NULL);
  g_autofree char *mounts = g_strdup_printf ("30 25 0:26 / %s rw - cgroup2 cgroup2 rw\n", directory);
  const char *const names[] = { "cgroup", "mountinfo", "cpu.max" };
  const char *const texts[] = { "0::/\n", mounts, "50000 100000\n" };
  Case test;

  g_test_summary ("By default there are no more workers than the quota of the program's control group lets have a processor");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    put (directory, names[i], texts[i]);
  failing_open_redirect ("/proc/self/", directory);
  case_init (&test, "act", NULL);
  g_assert_cmpuint (afrpc_pool_get_max_workers (test.pool), ==, 1);
  failing_open_redirect (NULL, NULL);
  case_end (&test);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    remove_from (directory, names[i]);
  g_assert_no_errno (g_rmdir (directory));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-limits/execution", test_pool_limits_execution);
  g_test_add_func ("/pool-limits/group", test_pool_limits_group);
  g_test_add_func ("/pool-limits/cancelled", test_pool_limits_cancelled);
  g_test_add_func ("/pool-limits/longest", test_pool_limits_longest);
  g_test_add_func ("/pool-limits/stops", test_pool_limits_stops);
  g_test_add_func ("/pool-limits/no-grace", test_pool_limits_no_grace);
  g_test_add_func ("/pool-limits/beside-runaway", test_pool_limits_beside_runaway);
  g_test_add_func ("/pool-limits/still", test_pool_limits_still);
  g_test_add_func ("/pool-limits/still-key", test_pool_limits_still_key);
  g_test_add_func ("/pool-limits/still-busy", test_pool_limits_still_busy);
  g_test_add_func ("/pool-limits/async", test_pool_limits_async);
  g_test_add_func ("/pool-limits/no-repeats", test_pool_limits_no_repeats);
  g_test_add_func ("/pool-limits/dropped", test_pool_limits_dropped);
  g_test_add_func ("/pool-limits/blocking", test_pool_limits_blocking);
  g_test_add_func ("/pool-limits/age", test_pool_limits_age);
  g_test_add_func ("/pool-limits/age-busy", test_pool_limits_age_busy);
  /* First, because a thread of another one may be about to look still. */
  g_test_add_func ("/pool-limits/memory-pace", test_pool_limits_memory_pace);
  g_test_add_func ("/pool-limits/memory-failing", test_pool_limits_memory_failing);
  g_test_add_func ("/pool-limits/memory", test_pool_limits_memory);
  g_test_add_func ("/pool-limits/memory-jitter", test_pool_limits_memory_jitter);
  g_test_add_func ("/pool-limits/memory-blocking", test_pool_limits_memory_blocking);
  g_test_add_func ("/pool-limits/calls-jitter", test_pool_limits_calls_jitter);
  g_test_add_func ("/pool-limits/memory-unreadable", test_pool_limits_memory_unreadable);
  g_test_add_func ("/pool-limits/quota", test_pool_limits_quota);

  return g_test_run ();
}
