/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers that have nothing to do any more, and do not end. */
#include "pool-case.h"

#include <signal.h>

static void
count_killed_cb (AfrpcPool       *pool,
                 AfrpcPoolWorker *worker,
                 AfrpcExit       *exit,
                 guint           *n)
{
  if (!is_command ())
    g_assert_cmpint (afrpc_exit_get_signal (exit), ==, SIGKILL);
  (*n)++;
}

/* Workers do not end after their last call. */
static void
begin (Case  *test,
       guint  max_calls,
       guint  grace_ms,
       guint *n_killed)
{
  g_autoptr(AfrpcProcess) template = template_new ();

  case_take (test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "done", "done_hang", "max-workers", 1,
                                 "load", 1, "max-calls", max_calls, "end-grace-ms", grace_ms, NULL));
  g_signal_connect (test->pool, "worker-ended", G_CALLBACK (count_killed_cb), n_killed);
}

/* So many have said why they were ended. */
static void
check_errors (Case  *test,
              guint  n)
{
  g_assert_cmpuint (test->errors->len, ==, n);
  for (guint i = 0; i < n; i++)
    {
      const GError *error = test->errors->pdata[i];

      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      g_assert_nonnull (strstr (error->message, "'act'"));
      g_assert_true (g_str_has_suffix (error->message, " had answered everything, did not end within 1 ms, and was killed"));
    }
}

static void
test_pool_ending_renewed (void)
{
  Case test;
  guint n_killed = 0;
  g_autoptr(AfrpcPoolStats) stats = NULL;
  AfrpcCall *calls[5];

  g_test_summary ("Calls do not wait for ever for the place of a worker that is replaced and does not end");
  begin (&test, 1, 0, &n_killed);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    calls[i] = start_act (&test, "return", NULL);
  /* These are two at once: one is replaced while it ends. */
  for (guint i = 0; i < 2; i++)
    g_variant_unref (wait_value (calls[i]));
  g_assert_cmpuint (n_killed, ==, 0);
  afrpc_pool_set_end_grace_ms (test.pool, 1);
  g_assert_cmpuint (afrpc_pool_get_end_grace_ms (test.pool), ==, 1);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  afrpc_caller_close (caller_of (&test));
  test_iterate_until (&test.destroyed);
  g_assert_cmpuint (n_killed, ==, G_N_ELEMENTS (calls));
  check_errors (&test, G_N_ELEMENTS (calls));
  g_assert_null (afrpc_pool_get_failure (test.pool));
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_died (stats), ==, G_N_ELEMENTS (calls));
  case_end (&test);
}

static void
test_pool_ending_closed (void)
{
  Case test;
  guint n_killed = 0;
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("Nor does a pool that is closed");
  begin (&test, 0, 1, &n_killed);
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  g_clear_object (&call);
  afrpc_caller_close (caller_of (&test));
  test_iterate_until (&test.destroyed);
  g_assert_cmpuint (n_killed, ==, 1);
  check_errors (&test, 1);
  case_end (&test);
}

static void
test_pool_ending_never_ready (gconstpointer is_configured)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcPoolWorker) worker = NULL;
  const GError *error;
  Case test;
  guint n_killed = 0;

  g_test_summary ("Of one that is not ready by then it is said once, and as that");
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "init", "init_hang",
                                  "max-workers", 1, "idle-workers", 1, "end-grace-ms", 200, NULL));
  g_signal_connect (test.pool, "worker-ended", G_CALLBACK (count_killed_cb), &n_killed);
  /* There has to be a process to be killed, which takes its time on a busy machine. */
  worker = g_list_model_get_item (afrpc_pool_get_workers (test.pool), 0);
  while (afrpc_pool_worker_get_pid (worker) == 0)
    g_main_context_iteration (NULL, TRUE);
  g_clear_object (&worker);
  if (is_configured != NULL)
    afrpc_pool_call_all_async (test.pool, test_act ("return", NULL), NULL, NULL, NULL, NULL);
  afrpc_caller_close (caller_of (&test));
  test_iterate_until (&test.destroyed);
  g_assert_cmpuint (n_killed, ==, 1);
  g_assert_cmpuint (test.errors->len, ==, 1);
  error = test.errors->pdata[0];
  g_assert_true (g_str_has_prefix (error->message, "it was to end, and had not within 200 ms: "));
  g_ptr_array_set_size (test.errors, 0);
  case_end (&test);
}

static void
test_pool_ending_blocking (void)
{
  Case test;
  guint n_killed = 0;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Nor does who blocks");
  begin (&test, 1, 1, &n_killed);
  for (guint i = 0; i < 4; i++)
    {
      g_variant_unref (afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), NULL, &error));
      g_assert_no_error (error);
    }
  g_assert_true (afrpc_caller_close_sync (caller_of (&test), NULL, &error));
  g_assert_no_error (error);
  test_iterate_until (&test.destroyed);
  g_assert_cmpuint (n_killed, ==, 4);
  check_errors (&test, 4);
  case_end (&test);
}

static void
test_pool_ending_killed (void)
{
  Case test;
  guint n_killed = 0;
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("A pool that is killed does not wait, and says nothing of workers that were to end anyhow");
  begin (&test, 0, 0, &n_killed);
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  g_clear_object (&call);
  afrpc_caller_close (caller_of (&test));
  afrpc_pool_set_end_grace_ms (test.pool, G_MAXUINT);
  afrpc_caller_kill (caller_of (&test));
  test_iterate_until (&test.destroyed);
  g_assert_cmpuint (n_killed, ==, 1);
  g_assert_cmpuint (test.errors->len, ==, 0);
  case_end (&test);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-ending/renewed", test_pool_ending_renewed);
  g_test_add_func ("/pool-ending/closed", test_pool_ending_closed);
  g_test_add_data_func ("/pool-ending/never-ready", NULL, test_pool_ending_never_ready);
  g_test_add_data_func ("/pool-ending/never-configured", "configured", test_pool_ending_never_ready);
  g_test_add_func ("/pool-ending/blocking", test_pool_ending_blocking);
  g_test_add_func ("/pool-ending/killed", test_pool_ending_killed);

  return g_test_run ();
}
