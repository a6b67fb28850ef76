/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools whose workers die, or never come to life: what becomes of calls, and of the pool. */
#include "pool-case.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
test_pool_death_moves (void)
{
  Case test;
  AfrpcCall *calls[8];
  g_autoptr(AfrpcCall) killer = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Calls that a dead worker had not begun go to another one, and nobody notices; the one it ran fails");
  case_init (&test, "act", "max-workers", 1, "load", 100, NULL);
  killer = afrpc_caller_start (caller_of (&test), act_u ("exit", 3), NULL);
  for (guint i = 0; i < 8; i++)
    calls[i] = start_act (&test, "return", NULL);
  error = wait_error (killer);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_cmpint (afrpc_call_get_started (killer), ==, AFRPC_STARTED_YES);
  if (!is_command ())
    g_assert_cmpint (afrpc_exit_get_status (afrpc_call_get_exit (killer)), ==, 3);
  for (guint i = 0; i < 8; i++)
    {
      /* Over a command it is not known what was begun. */
      if (is_command ())
        {
          while (!afrpc_call_is_settled (calls[i]))
            g_main_context_iteration (NULL, TRUE);
        }
      else
        {
          g_variant_unref (wait_value (calls[i]));
          g_assert_cmpint (pid_of (calls[i]), !=, pid_of (killer));
        }
      g_object_unref (calls[i]);
    }
  while (test.errors->len == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (g_error_matches (g_ptr_array_index (test.errors, 0), AFRPC_ERROR, AFRPC_ERROR_DIED));
  g_clear_object (&killer);
  case_end (&test);
}

static void
test_pool_death_blocking (void)
{
  Case test;

  g_test_summary ("A worker that has begun a call has served, also for who only blocks: the pool goes on");
  case_init (&test, "act", "max-workers", 2, NULL);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr(GError) error = NULL;

      g_assert_null (afrpc_caller_call_sync (caller_of (&test), act_u ("exit", 3), NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
    }
  g_assert_null (afrpc_pool_get_failure (test.pool));
  case_end (&test);
}

static void
test_pool_death_repeats (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();
  g_autoptr(AfrpcCall) poison = NULL;
  g_autoptr(AfrpcCall) once = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) other = NULL;

  g_test_summary ("A call that may be repeated is, until it has ended so many workers, and says how many");
  case_init (&test, "act", "max-workers", 1, "max-repeats", 2, NULL);
  afrpc_call_options_set_label (options, "number 7");
  poison = afrpc_caller_start (caller_of (&test), act_u ("exit", 3), options);
  error = wait_error (poison);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_true (g_str_has_prefix (error->message, "number 7: the call has ended 3 workers: "));
  g_assert_cmpint (afrpc_call_get_started (poison), ==, is_command () ? afrpc_call_get_started (poison) : AFRPC_STARTED_YES);
  while (test.errors->len < 3)
    g_main_context_iteration (NULL, TRUE);

  g_object_set (test.pool, "max-repeats", 0, NULL);
  once = afrpc_caller_start (caller_of (&test), act_u ("exit", 3), options);
  other = wait_error (once);
  g_assert_true (g_str_has_prefix (other->message, "number 7: "));
  g_assert_null (strstr (other->message, "workers"));
  while (test.errors->len < 4)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (test.errors->len, ==, 4);
  g_clear_object (&poison);
  g_clear_object (&once);
  case_end (&test);
}

static void
test_pool_death_alone (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();
  g_autoptr(AfrpcCall) bystander = NULL;
  g_autoptr(AfrpcCall) poison = NULL;
  g_autoptr(AfrpcCall) late = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("What a worker has died of, or with, runs alone the next time: one that is innocent survives");
  case_init (&test, "act_async", "max-workers", 1, "load", 8, NULL);
  g_clear_object (&test.pool);
  {
    g_autoptr(AfrpcProcess) template = template_new ();

    test.pool = g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async", "backend", AFRPC_BACKEND_ASYNC,
                              "max-workers", 1, "load", 8, "max-repeats", 1, NULL);
    g_signal_connect_swapped (test.pool, "destroyed", G_CALLBACK (g_ptr_array_add), test.errors);
  }
  bystander = afrpc_caller_start (caller_of (&test), act_u ("later", 5), options);
  poison = afrpc_caller_start (caller_of (&test), act_u ("exit", 3), options);
  error = wait_error (poison);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_variant_unref (wait_value (bystander));
  late = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (late));
  afrpc_caller_close (caller_of (&test));
  while (test.errors->len == 0)
    g_main_context_iteration (NULL, TRUE);
  g_ptr_array_steal_index (test.errors, 0);
  g_clear_object (&bystander);
  g_clear_object (&poison);
  g_clear_object (&late);
  g_clear_object (&test.pool);
  g_ptr_array_unref (test.errors);
}

typedef struct
{
  Case *test;
  AfrpcCallOptions *options;
  AfrpcCall *late; /* (nullable) */
} OnDeath;

static void
call_on_death_cb (AfrpcCaller *caller,
                  GError      *error,
                  OnDeath     *on_death)
{
  on_death->late = start_act (on_death->test, "return", on_death->options);
}

static void
test_pool_death_order_of_late (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) given = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcCall *others[2];
  OnDeath on_death = { &test, options, NULL };

  g_test_summary ("A call that is made when a worker has just died does not overtake one that waited for it, of the same key");
  if (is_command ())
    {
      g_test_skip ("it is not known there what was begun");
      return;
    }
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, "load", 2, NULL);
  wait_idle (&test, 2);
  afrpc_call_options_set_affinity (options, "k");

  /* It is given up, and runs on: so the oldest call that is owed was not begun. */
  running = start_act (&test, "spin", options);
  wait_begun (&test, 1);
  given = start_act (&test, "return", options);
  waiting = start_act (&test, "return", options);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    others[i] = start_act (&test, "until-cancelled", NULL);
  wait_begun (&test, 2);
  afrpc_call_cancel (running);
  error = wait_error (running);
  g_signal_connect (test.pool, "error", G_CALLBACK (call_on_death_cb), &on_death);
  kill (pid_of (running), SIGKILL);
  while (on_death.late == NULL)
    g_main_context_iteration (NULL, TRUE);
  while (!afrpc_call_is_settled (given) || !afrpc_call_is_settled (waiting))
    {
      g_assert_false (afrpc_call_is_settled (on_death.late));
      g_main_context_iteration (NULL, TRUE);
    }
  /* It may be behind one of them by now. */
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      afrpc_call_cancel (others[i]);
      g_object_unref (others[i]);
    }
  while (!afrpc_call_is_settled (on_death.late))
    g_main_context_iteration (NULL, TRUE);
  g_clear_object (&on_death.late);
  g_clear_object (&running);
  g_clear_object (&given);
  g_clear_object (&waiting);
  case_end (&test);
}

static void
test_pool_death_order (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(GString) order = g_string_new (NULL);
  AfrpcCall *calls[6];

  g_test_summary ("Calls with the same key keep their order over a death");
  if (is_command ())
    {
      g_test_skip ("it is not known there what was begun");
      return;
    }
  case_init (&test, "act", "max-workers", 3, "idle-workers", 3, "load", 3, NULL);
  wait_idle (&test, 3);
  afrpc_call_options_set_affinity (options, "key");
  for (guint i = 0; i < 6; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), i == 0 ? act_u ("exit", 1) : test_act ("event", g_variant_new_uint32 (i)),
                                   options);
  for (guint i = 0; i < 6; i++)
    {
      while (!afrpc_call_is_settled (calls[i]))
        g_main_context_iteration (NULL, TRUE);
      for (guint j = i + 1; j < 6; j++)
        g_assert_true (i == 0 || !afrpc_call_is_settled (calls[j]) || pid_of (calls[j]) == pid_of (calls[i]));
    }
  g_assert_cmpuint (test.n_events, ==, 5);
  for (guint i = 0; i < 6; i++)
    g_object_unref (calls[i]);
  case_end (&test);
}

/* Fails for ever: calls that wait, and those that come, get the reason. */
static void
check_failed (Case        *test,
              GQuark       domain,
              int          code)
{
  g_autoptr(AfrpcCall) first = start_act (test, "return", NULL);
  g_autoptr(AfrpcCall) second = start_act (test, "return", NULL);
  g_autoptr(AfrpcCall) late = NULL;
  g_autoptr(GError) error = wait_error (first);
  g_autoptr(GError) other = wait_error (second);
  g_autoptr(GError) again = NULL;

  g_assert_error (error, domain, code);
  g_assert_error (other, domain, code);
  g_assert_cmpint (afrpc_call_get_started (first), ==, AFRPC_STARTED_NO);
  g_assert_true (afrpc_pool_is_closed (test->pool));
  g_assert_true (g_error_matches (afrpc_pool_get_failure (test->pool), domain, code));
  late = start_act (test, "return", NULL);
  again = wait_error (late);
  g_assert_error (again, domain, code);
}

static void
test_pool_death_init (void)
{
  Case test;
  g_autoptr(AfrpcProcess) template = template_new ();

  g_test_summary ("An init that always fails is tried so often, and then is the error of all calls");
  case_init (&test, "act", NULL);
  g_clear_object (&test.pool);
  test.pool = g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "init", "init_error",
                            "max-failures", 3, "max-workers", 2, NULL);
  check_failed (&test, AFRPC_ERROR, AFRPC_ERROR_INIT);
  g_assert_true (afrpc_caller_close_sync (caller_of (&test), NULL, NULL));
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_finalize_object (test.pool);
  g_ptr_array_unref (test.errors);
}

static void
test_pool_death_back_off (gconstpointer data)
{
  const guint max_workers = GPOINTER_TO_UINT (data);
  Case test;
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcPoolStats) stats = NULL;
  const gint64 begin = g_get_monotonic_time ();

  g_test_summary ("After each failure the next worker is started later than after that before, however many fail together");
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "init", "init_error",
                                  "max-failures", 5, "max-workers", max_workers, "idle-workers", max_workers, NULL));
  call = start_act (&test, "return", NULL);
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INIT);
  /* Half of 50, 100, 200 and 400 ms at least. */
  g_assert_cmpint (g_get_monotonic_time () - begin, >=, (25 + 50 + 100 + 200) * 1000);
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_started (stats), >=, 5);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_started (stats), <=, 5 * max_workers);
  g_clear_object (&call);
  case_end (&test);
}

static void
kill_all (Case *test)
{
  GListModel *workers = afrpc_pool_get_workers (test->pool);

  for (guint i = 0; i < g_list_model_get_n_items (workers); i++)
    {
      g_autoptr(AfrpcPoolWorker) worker = g_list_model_get_item (workers, i);

      afrpc_process_kill (afrpc_pool_worker_get_process (worker), SIGKILL);
    }
}

/* Workers that wait in their init until the test kills them, or lets them go on. */
static void
overlap_init (Case         *test,
              Meeting      *meeting,
              AfrpcProcess *template,
              guint         max_failures)
{
  meeting_init (meeting);
  g_setenv ("AFRPC_TEST_MEETING", meeting->path, TRUE);
  case_take (test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "init", "init_meet",
                                 "max-failures", max_failures, "max-workers", 2, NULL));
}

static void
overlap_end (Case    *test,
             Meeting *meeting)
{
  if (meeting->fd >= 0)
    meeting_let_go (meeting);
  g_ptr_array_set_size (test->errors, 0);
  case_end (test);
  g_unsetenv ("AFRPC_TEST_MEETING");
  meeting_end (meeting);
}

static guint
count_started (Case *test)
{
  g_autoptr(AfrpcPoolStats) stats = afrpc_pool_get_stats (test->pool);

  return afrpc_pool_stats_get_n_workers_started (stats);
}

static guint
count_listed (GListModel *workers)
{
  guint n = 0;

  for (guint i = 0; i < g_list_model_get_n_items (workers); i++)
    {
      g_autoptr(AfrpcPoolWorker) worker = g_list_model_get_item (workers, i);

      /* Those that have ended stay until that was told. */
      if (afrpc_pool_worker_get_state (worker) != AFRPC_POOL_WORKER_STATE_STARTING ||
          afrpc_process_get_pid (afrpc_pool_worker_get_process (worker)) <= 0)
        return 0;
      n++;
    }

  return n;
}

/* Returns: the one that is the @index'th of @n that there are, all of which start, and have a process by now */
static AfrpcProcess *
wait_worker (Case *test,
             guint n,
             guint index)
{
  GListModel *workers = afrpc_pool_get_workers (test->pool);

  g_autoptr(AfrpcPoolWorker) worker = NULL;

  while (count_listed (workers) != n)
    g_main_context_iteration (NULL, TRUE);
  worker = g_list_model_get_item (workers, index);

  return afrpc_pool_worker_get_process (worker);
}

/* Goes on for longer than the next worker would be waited with. */
static void
wait_back_off (void)
{
  guint n = 0;

  g_timeout_add_once (500, (GSourceOnceFunc) test_count_cb, &n);
  iterate_until_count (&n, 1);
}

/* @data: (nullable): the youngest is killed, while the oldest still starts, and not the other way round */
static void
test_pool_death_overlap (gconstpointer data)
{
  const guint max_failures = 3, n_before = data != NULL ? max_failures : 2 * max_failures - 1;
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Workers that never come to be fail the pool after so many failures, also if there is always another that starts");
  overlap_init (&test, &meeting, template, max_failures);
  g_object_set (test.pool, "idle-workers", 2, NULL);
  call = start_act (&test, "return", NULL);
  for (guint i = 0; i < n_before; i++)
    {
      AfrpcProcess *process = wait_worker (&test, 2, data != NULL);
      const gint64 begin = g_get_monotonic_time ();

      g_assert_cmpuint (count_started (&test), ==, i + 2);
      afrpc_process_kill (process, SIGKILL);
      while (count_started (&test) < i + 3 && i + 1 < n_before)
        g_main_context_iteration (NULL, TRUE);
      /* Half of 50 ms at least, also after those that do not count. */
      if (i + 1 < n_before)
        g_assert_cmpint (g_get_monotonic_time () - begin, >=, 25 * 1000);
    }
  wait_worker (&test, 1, 0);
  wait_back_off ();
  g_assert_cmpuint (count_started (&test), ==, n_before + 1);
  g_assert_no_error (afrpc_pool_get_failure (test.pool));
  afrpc_process_kill (wait_worker (&test, 1, 0), SIGKILL);
  error = wait_error (call);
  g_assert_nonnull (afrpc_pool_get_failure (test.pool));
  g_assert_cmpuint (count_started (&test), <=, 2 * max_failures);
  g_clear_object (&call);
  overlap_end (&test, &meeting);
}

static void
test_pool_death_overlap_ready (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("One that comes to be after so many failures has the pool go on, with others beside it");
  overlap_init (&test, &meeting, template, 1);
  g_object_set (test.pool, "idle-workers", 2, NULL);
  afrpc_process_kill (wait_worker (&test, 2, 0), SIGKILL);
  wait_worker (&test, 1, 0);
  meeting_let_go (&meeting);
  wait_idle (&test, 2);
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  g_assert_no_error (afrpc_pool_get_failure (test.pool));
  g_assert_cmpuint (count_started (&test), ==, 3);
  g_clear_object (&call);
  overlap_end (&test, &meeting);
}

static void
test_pool_death_overlap_templates (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcProcess) first = template_new ();
  g_autoptr(AfrpcProcess) second = template_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("So it is with several templates: the pool has failed once all have, though one of them is tried meanwhile");
  overlap_init (&test, &meeting, first, 1);
  afrpc_pool_add_template (test.pool, second, 0, 0, 0);
  g_object_set (test.pool, "idle-workers", 2, NULL);
  call = start_act (&test, "return", NULL);
  g_assert_cmpuint (afrpc_pool_get_n_template_workers (test.pool, first), ==, 1);
  g_assert_cmpuint (afrpc_pool_get_n_template_workers (test.pool, second), ==, 1);
  afrpc_process_kill (wait_worker (&test, 2, 0), SIGKILL);
  while (count_started (&test) < 3)
    g_main_context_iteration (NULL, TRUE);
  g_assert_nonnull (afrpc_pool_get_template_failure (test.pool, first));
  afrpc_process_kill (wait_worker (&test, 2, 0), SIGKILL);
  wait_worker (&test, 1, 0);
  wait_back_off ();
  g_assert_cmpuint (count_started (&test), ==, 3);
  g_assert_no_error (afrpc_pool_get_failure (test.pool));
  afrpc_process_kill (wait_worker (&test, 1, 0), SIGKILL);
  error = wait_error (call);
  g_assert_nonnull (afrpc_pool_get_failure (test.pool));
  g_clear_object (&call);
  overlap_end (&test, &meeting);
}

static void
test_pool_death_together (void)
{
  enum { N = 8 };
  Case test;
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("Workers that end together, before they have served, are one failure; the next are another one in a row");
  case_init (&test, "act", "max-workers", N, "idle-workers", N, "max-failures", 2, NULL);
  for (guint i = 0; i < 3; i++)
    {
      wait_idle (&test, N);
      if (i == 1)
        {
          call = start_act (&test, "return", NULL);
          g_variant_unref (wait_value (call));
          /* It has served: it is of no account. */
          wait_idle (&test, N);
        }
      g_ptr_array_set_size (test.errors, 0);
      kill_all (&test);
      while (test.errors->len < N)
        {
          g_main_context_iteration (NULL, TRUE);
          /* Those that come meanwhile, if this takes long, are of the last time. */
          if (i == 2)
            kill_all (&test);
        }
      if (i < 2)
        g_assert_no_error (afrpc_pool_get_failure (test.pool));
    }
  while (afrpc_pool_get_failure (test.pool) == NULL)
    {
      kill_all (&test);
      g_main_context_iteration (NULL, TRUE);
    }
  g_clear_object (&call);
  g_ptr_array_set_size (test.errors, 0);
  case_end (&test);
}

static void
refresh_cb (Case *test)
{
  afrpc_pool_set_idle_workers (test->pool, 0);
  afrpc_pool_refresh (test->pool, NULL);
}

static void
test_pool_death_before_refresh (void)
{
  Case test;
  g_autoptr(AfrpcProcess) template = template_new ();
  guint n_ended = 0;

  g_test_summary ("A worker that is told to have failed before the pool begins anew is no failure of what is new");
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "init", "init_error",
                                  "max-failures", 1, "idle-workers", 1, NULL));
  g_signal_connect_swapped (test.pool, "error", G_CALLBACK (refresh_cb), &test);
  g_signal_connect_swapped (test.pool, "worker-ended", G_CALLBACK (test_count_cb), &n_ended);
  iterate_until_count (&n_ended, 1);
  test_iterate_until_idle ();
  g_assert_no_error (afrpc_pool_get_failure (test.pool));
  case_end (&test);
}

static void
test_pool_death_other_function (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A call of another function than the pool's fails with words about that one");
  case_init (&test, "echo", "max-repeats", 1, NULL);
  afrpc_call_options_set_function (options, "act");
  call = afrpc_caller_start (caller_of (&test), test_act ("exit", g_variant_new_uint32 (3)), options);
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_true (g_str_has_prefix (error->message, "the call has ended 2 workers: '"));
  g_assert_nonnull (strstr (error->message, "' running 'act' of '"));
  g_clear_object (&call);
  case_end (&test);
}

static void
test_pool_death_failure (void)
{
  Case test;
  g_autoptr(GError) failure = NULL;
  g_autoptr(GError) none = NULL;
  guint n_failed = 0, n_closed = 0;

  g_test_summary ("What it has failed with is a property, which notifies, also when the pool begins anew");
  case_init (&test, "no_such_function", NULL);
  g_signal_connect_swapped (test.pool, "notify::failure", G_CALLBACK (test_count_cb), &n_failed);
  g_signal_connect_swapped (test.pool, "notify::closed", G_CALLBACK (test_count_cb), &n_closed);
  g_object_get (test.pool, "failure", &none, NULL);
  g_assert_no_error (none);
  check_failed (&test, AFRPC_ERROR, AFRPC_ERROR_FUNCTION);
  iterate_until_count (&n_failed, 1);
  g_assert_cmpuint (n_closed, ==, 1);
  g_object_get (test.pool, "failure", &failure, NULL);
  g_assert_error (failure, AFRPC_ERROR, AFRPC_ERROR_FUNCTION);
  afrpc_pool_refresh (test.pool, NULL);
  g_object_get (test.pool, "failure", &none, NULL);
  g_assert_no_error (none);
  g_assert_cmpuint (n_failed, ==, 1);
  iterate_until_count (&n_failed, 2);
  g_assert_cmpuint (n_closed, ==, 2);
  case_end (&test);
}

static void
test_pool_death_hopeless (void)
{
  Case test;
  g_autoptr(AfrpcProcess) no_module = template_new ();
  g_autoptr(AfrpcProcess) used = template_new ();
  g_autoptr(AfrpcProxy) user = afrpc_proxy_new (used, "act");

  g_test_summary ("What will not change is not tried again");
  case_init (&test, "no_such_function", "max-failures", G_MAXUINT, NULL);
  check_failed (&test, AFRPC_ERROR, AFRPC_ERROR_FUNCTION);
  case_end (&test);

  afrpc_process_require (no_module, "/no/such/module.so");
  case_init_with (&test, no_module, "act", "max-failures", G_MAXUINT, "idle-workers", 1, NULL);
  check_failed (&test, AFRPC_ERROR, AFRPC_ERROR_MODULE);
  case_end (&test);

  case_init_with (&test, used, "act", "max-failures", G_MAXUINT, NULL);
  check_failed (&test, AFRPC_ERROR, AFRPC_ERROR_IN_USE);
  case_end (&test);
}

static void
test_pool_death_idle (void)
{
  Case test;
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) second = NULL;
  AfrpcProcess *process;

  g_test_summary ("A worker that is killed while it has nothing to do is replaced");
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, NULL);
  first = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (first));
  process = afrpc_call_get_process (first);
  afrpc_process_kill (process, SIGKILL);
  while (test.errors->len == 0)
    g_main_context_iteration (NULL, TRUE);
  wait_idle (&test, 1);
  second = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (second));
  g_assert_cmpint (pid_of (second), !=, pid_of (first));
  g_assert_cmpuint (test.errors->len, ==, 1);
  g_clear_object (&first);
  g_clear_object (&second);
  case_end (&test);
}

static void
test_pool_death_bound (void)
{
  const guint n_calls = 20, max_repeats = 1, max_workers = 2;
  Case test;
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr(AfrpcPoolStats) stats = NULL;

  g_test_summary ("Workers that die of each call are no more than these, and how often they are repeated");
  case_init (&test, "act", "max-workers", max_workers, "idle-workers", max_workers, "max-repeats", max_repeats,
             "start-delay-ms", 0, NULL);
  for (guint i = 0; i < n_calls; i++)
    g_ptr_array_add (calls, afrpc_caller_start (caller_of (&test), act_u ("exit", 3), options));
  for (guint i = 0; i < n_calls; i++)
    {
      g_autoptr(GError) error = wait_error (calls->pdata[i]);

      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
    }
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_repeats (stats), ==, is_command () ? afrpc_pool_stats_get_n_repeats (stats) :
                                                                               n_calls * max_repeats);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_started (stats), <=, n_calls * (1 + max_repeats) + max_workers);
  g_ptr_array_set_size (calls, 0);
  wait_idle (&test, max_workers);
  g_ptr_array_set_size (test.errors, 0);
  case_end (&test);
}

static void
kill_one (Case *test)
{
  g_autoptr(AfrpcPoolWorker) worker = g_list_model_get_item (afrpc_pool_get_workers (test->pool), 0);
  const guint n = test->errors->len;

  afrpc_process_kill (afrpc_pool_worker_get_process (worker), SIGKILL);
  while (test->errors->len == n)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_pool_death_after_service (void)
{
  Case test;
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("That one has served says nothing of the next: if those die while they are idle, they count");
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, "max-failures", 3, NULL);
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  for (guint i = 0; i < 4; i++)
    {
      wait_idle (&test, 1);
      g_assert_null (afrpc_pool_get_failure (test.pool));
      kill_one (&test);
    }
  g_assert_nonnull (afrpc_pool_get_failure (test.pool));
  g_clear_object (&call);
  g_ptr_array_set_size (test.errors, 0);
  case_end (&test);
}

static void
test_pool_death_template (void)
{
  Case test;
  g_autoptr(AfrpcExit) exit = NULL;
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) second = NULL;
  g_autoptr(AfrpcCall) third = NULL;
  g_autoptr(AfrpcCall) death = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) other = NULL;
  g_autoptr(GVariant) value = NULL;
  AfrpcProcess *template;

  g_test_summary ("A template that dies is made anew, as it was prepared, and workers are forked from it again");
  if (is_command ())
    {
      g_test_skip ("a command is run for each worker");
      return;
    }
  template = template_new ();
  afrpc_process_setenv (template, "AFRPC_TEST_SEEN", "here", TRUE);
  case_init_with (&test, template, "act", "max-workers", 1, NULL);
  g_object_unref (template);
  first = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (first));
  afrpc_process_kill (afrpc_pool_get_process (test.pool), SIGKILL);
  exit = test_wait_exit (afrpc_pool_get_process (test.pool));
  death = afrpc_caller_start (caller_of (&test), act_u ("exit", 1), NULL);
  error = wait_error (death);
  second = afrpc_caller_start (caller_of (&test), test_act ("getenv", g_variant_new_string ("AFRPC_TEST_SEEN")), NULL);
  value = wait_value (second);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "here");
  g_clear_object (&death);
  death = afrpc_caller_start (caller_of (&test), act_u ("exit", 1), NULL);
  other = wait_error (death);
  third = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (third));
  g_assert_cmpint (afrpc_process_get_start (afrpc_call_get_process (third)), ==, AFRPC_START_FORK);
  g_clear_object (&first);
  g_clear_object (&second);
  g_clear_object (&third);
  g_clear_object (&death);
  case_end (&test);
}

static void
test_pool_death_retire (void)
{
  Case test;
  g_autoptr(AfrpcCall) retiring = NULL;
  AfrpcCall *calls[4];

  g_test_summary ("A worker that retires finishes what it has, and another one gets the rest; no failure is counted");
  case_init (&test, "act", "max-workers", 1, "load", 2, "max-failures", 1, NULL);
  retiring = start_act (&test, "retire", NULL);
  for (guint i = 0; i < 4; i++)
    calls[i] = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (retiring));
  for (guint i = 0; i < 4; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      if (i == 3)
        g_assert_cmpint (pid_of (calls[i]), !=, pid_of (retiring));
      g_object_unref (calls[i]);
    }
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_clear_object (&retiring);
  case_end (&test);
}

typedef struct
{
  Case *test;
  guint n;
} Followed;

/* Who is told makes another call. */
static void
follow_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  Followed *followed = user_data;

  afrpc_caller_call (caller_of (followed->test), test_act ("return", NULL), NULL, count_value_cb, &followed->n);
  count_value_cb (source, result, &followed->n);
}

static void
test_pool_death_retire_meanwhile (void)
{
  static const char *const acts[] = { "return", "retire", "return", "return" };
  Case test;
  Followed followed = { &test, 0 };
  Meeting first, last;

  g_test_summary ("A worker turns out to have retired while others of its calls are told, and who is told makes another call");
  meeting_init (&first);
  meeting_init (&last);
  case_init (&test, "act", "max-workers", 1, "load", 16, NULL);
  afrpc_caller_call (caller_of (&test), meet (&first), NULL, count_value_cb, &followed.n);
  for (guint i = 0; i < G_N_ELEMENTS (acts); i++)
    afrpc_caller_call (caller_of (&test), test_act (acts[i], NULL), NULL, i == 0 ? count_value_cb : follow_cb,
                       i == 0 ? (gpointer) &followed.n : &followed);
  afrpc_caller_call (caller_of (&test), test_act ("touch", g_variant_new_string (last.path)), NULL, follow_cb, &followed);
  wait_begun (&test, 1);
  while (afrpc_pool_get_n_calls_queued (test.pool) > 0)
    g_main_context_iteration (NULL, FALSE);
  /* Nothing is read before the worker has come to the last of them, which waits for who reads. */
  close (last.fd);
  meeting_let_go (&first);
  last.fd = g_open (last.path, O_RDONLY | O_CLOEXEC, 0);
  g_assert_cmpint (last.fd, >=, 0);
  meeting_let_go (&last);
  iterate_until_count (&followed.n, 2 + 2 * G_N_ELEMENTS (acts));
  g_assert_cmpuint (test.errors->len, ==, 0);
  case_end (&test);
  meeting_end (&first);
  meeting_end (&last);
}

static void
test_pool_death_retire_at_once (gconstpointer backend)
{
  const gboolean is_async = GPOINTER_TO_UINT (backend) == AFRPC_BACKEND_ASYNC;
  g_autoptr(AfrpcProcess) template = template_new ();
  AfrpcCall *calls[5];
  Case test;

  g_test_summary ("A worker whose init function retires gets one call");
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", is_async ? "act_async" : "act",
                                  "backend", GPOINTER_TO_UINT (backend), "init", "init_retire", "max-workers", 2,
                                  "load", 3, "max-failures", 1, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    calls[i] = start_act (&test, "return", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_variant_unref (wait_value (calls[i]));
      for (guint j = 0; is_async && j < i; j++)
        g_assert_cmpint (pid_of (calls[i]), !=, pid_of (calls[j]));
    }
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    g_object_unref (calls[i]);
  g_assert_cmpuint (test.errors->len, ==, 0);
  case_end (&test);
}

static void
kill_pool_cb (AfrpcPool       *pool,
              AfrpcPoolWorker *worker,
              AfrpcExit       *reason)
{
  afrpc_caller_kill (AFRPC_CALLER (pool));
}

static void
cancel_call_cb (AfrpcPool       *pool,
                AfrpcPoolWorker *worker,
                AfrpcExit       *reason,
                AfrpcCall       *call)
{
  afrpc_call_cancel (call);
}

static void
test_pool_death_not_repeated (gconstpointer data)
{
  const gboolean is_cancelled = data != NULL;
  Case test;
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A call that was begun, and is given up while it waits to be repeated, is not said not to have started");
  case_init (&test, "act", "max-workers", 1, NULL);
  call = afrpc_caller_start (caller_of (&test), act_u ("exit", 3), options);
  g_signal_connect (test.pool, "worker-ended", is_cancelled ? G_CALLBACK (cancel_call_cb) : G_CALLBACK (kill_pool_cb), call);
  error = wait_error (call);
  if (is_cancelled)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  else
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_cmpint (afrpc_call_get_started (call), !=, AFRPC_STARTED_NO);
  g_signal_handlers_disconnect_by_data (test.pool, call);
  g_clear_object (&call);
  case_end (&test);
}

static void
test_pool_death_refresh (void)
{
  Case test;
  g_autoptr(AfrpcProcess) next = template_new ();
  g_autoptr(AfrpcProcess) broken = test_bare_process_new ();
  AfrpcCall *calls[20];
  guint n_old = 0;
  int pid;

  g_test_summary ("Refreshing replaces workers without losing calls, and heals a pool that has failed");
  case_init (&test, "act", "max-workers", 1, "load", 2, NULL);
  calls[0] = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (calls[0]));
  pid = pid_of (calls[0]);
  for (guint i = 1; i < 20; i++)
    calls[i] = start_act (&test, "return", NULL);
  afrpc_pool_refresh (test.pool, next);
  g_assert_true (afrpc_pool_get_process (test.pool) == next);
  for (guint i = 0; i < 20; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      n_old += pid_of (calls[i]) == pid;
      g_object_unref (calls[i]);
    }
  g_assert_cmpuint (n_old, ==, 3);

  afrpc_process_require (broken, "/no/such/module.so");
  afrpc_pool_refresh (test.pool, broken);
  check_failed (&test, AFRPC_ERROR, AFRPC_ERROR_MODULE);
  g_clear_object (&next);
  next = template_new ();
  afrpc_pool_refresh (test.pool, next);
  g_assert_false (afrpc_pool_is_closed (test.pool));
  calls[0] = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (calls[0]));
  g_object_unref (calls[0]);
  case_end (&test);
}

static void
test_pool_death_refresh_hopeless (gconstpointer data)
{
  const gboolean is_at_work = data != NULL;
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcProcess) broken = test_bare_process_new ();
  g_autoptr(AfrpcPoolStats) stats = NULL;
  g_autoptr(AfrpcCall) first = NULL;
  AfrpcCall *later[5];

  g_test_summary ("A module that is missing is tried once after a refresh, whatever the workers before it do meanwhile");
  case_init (&test, "act", "max-workers", 1, "load", 1, "max-failures", 3, NULL);
  meeting_init (&meeting);
  first = afrpc_caller_start (caller_of (&test), is_at_work ? meet (&meeting) : test_act ("return", NULL), NULL);
  if (is_at_work)
    wait_begun (&test, 1);
  else
    g_variant_unref (wait_value (first));
  afrpc_process_require (broken, "/no/such/module.so");
  afrpc_pool_refresh (test.pool, broken);
  for (guint i = 0; i < G_N_ELEMENTS (later); i++)
    later[i] = start_act (&test, "return", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (later); i++)
    {
      g_autoptr(GError) error = wait_error (later[i]);

      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE);
      g_object_unref (later[i]);
    }
  meeting_let_go (&meeting);
  if (is_at_work)
    g_variant_unref (wait_value (first));
  g_assert_error (afrpc_pool_get_failure (test.pool), AFRPC_ERROR, AFRPC_ERROR_MODULE);
  g_assert_error (afrpc_pool_get_template_failure (test.pool, broken), AFRPC_ERROR, AFRPC_ERROR_MODULE);
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_started (stats), ==, 2);
  g_assert_cmpuint (test.errors->len, ==, 1);
  meeting_end (&meeting);
  g_clear_object (&first);
  case_end (&test);
}

static void
test_pool_death_max_calls (void)
{
  Case test;
  g_autoptr(GHashTable) pids = g_hash_table_new (NULL, NULL);
  AfrpcCall *calls[40];

  g_test_summary ("A worker is replaced after so many calls, and none is lost");
  case_init (&test, "act", "max-workers", 1, "load", 2, "max-calls", 4, "max-failures", 1, NULL);
  for (guint i = 0; i < 40; i++)
    calls[i] = start_act (&test, "return", NULL);
  for (guint i = 0; i < 40; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_hash_table_add (pids, GINT_TO_POINTER (pid_of (calls[i])));
      g_object_unref (calls[i]);
    }
  g_assert_cmpuint (g_hash_table_size (pids), ==, 10);
  g_assert_cmpuint (test.errors->len, ==, 0);
  case_end (&test);
}

static void
test_pool_death_max_calls_moved (void)
{
  Case test;
  Meeting first, second;
  g_autoptr(AfrpcCall) lasting = NULL;
  g_autoptr(AfrpcCall) moved = NULL;
  g_autoptr(AfrpcCall) next = NULL;
  AfrpcCall *last[2];

  g_test_summary ("What another one has done because it waited behind something long does not count");
  if (is_command ())
    {
      g_test_skip ("what a command has got is not taken back");
      return;
    }
  meeting_init (&first);
  meeting_init (&second);
  case_init (&test, "act", "max-workers", 2, "load", 2, "start-delay-ms", 0, "max-calls", 2, NULL);
  lasting = afrpc_caller_start (caller_of (&test), meet (&first), NULL);
  wait_begun (&test, 1);
  moved = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (moved));
  g_assert_cmpint (pid_of (moved), !=, pid_of (lasting));
  meeting_let_go (&first);
  g_variant_unref (wait_value (lasting));
  /* Each has had one, and gets one more. */
  for (guint i = 0; i < 2; i++)
    last[i] = afrpc_caller_start (caller_of (&test), meet (&second), NULL);
  wait_begun (&test, 3);
  next = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (next));
  meeting_let_go (&second);
  for (guint i = 0; i < 2; i++)
    {
      g_variant_unref (wait_value (last[i]));
      g_assert_true (pid_of (last[i]) == pid_of (lasting) || pid_of (last[i]) == pid_of (moved));
      g_assert_cmpint (pid_of (next), !=, pid_of (last[i]));
    }
  g_assert_cmpint (pid_of (last[0]), !=, pid_of (last[1]));
  for (guint i = 0; i < 2; i++)
    g_object_unref (last[i]);
  g_clear_object (&lasting);
  g_clear_object (&moved);
  g_clear_object (&next);
  case_end (&test);
  meeting_end (&first);
  meeting_end (&second);
}

static void
test_pool_death_max_calls_changed (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcCall) lasting = NULL;
  g_autoptr(AfrpcCall) second = NULL;
  g_autoptr(AfrpcCall) next = NULL;

  g_test_summary ("A limit that is gone before a worker has made what it was given goes for that worker, too");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 2, "max-calls", 2, NULL);
  lasting = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  second = start_act (&test, "return", NULL);
  wait_begun (&test, 1);
  afrpc_pool_set_max_calls (test.pool, 0);
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (lasting));
  g_variant_unref (wait_value (second));
  next = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (next));
  g_assert_cmpint (pid_of (next), ==, pid_of (lasting));
  g_clear_object (&lasting);
  g_clear_object (&second);
  g_clear_object (&next);
  case_end (&test);
  meeting_end (&meeting);
}

#define RENEWED_MAX 2u
#define RENEWED_CALLS 400u

typedef struct
{
  Case test;
  guint n_settled;
  guint n_checked; /* with calls that waited */
} Renewed;

/* While calls wait nobody is idle, and as many workers as there may be have calls, or start: so what waits for one that takes
 * the place of another waits for its start, and for nothing else. Those that end may be as many again. */
static void
check_renewed (Renewed *self)
{
  AfrpcPool *pool = self->test.pool;
  g_autoptr(AfrpcPoolStats) stats = afrpc_pool_get_stats (pool);
  const guint64 n_there = afrpc_pool_stats_get_n_workers_started (stats) - afrpc_pool_stats_get_n_workers_ended (stats) -
                          afrpc_pool_stats_get_n_workers_died (stats);

  if (afrpc_pool_get_n_calls_queued (pool) == 0)
    return;

  self->n_checked++;
  g_assert_cmpuint (afrpc_pool_get_n_idle_workers (pool), ==, 0);
  g_assert_true (afrpc_pool_get_n_workers (pool) == RENEWED_MAX || n_there >= 2 * RENEWED_MAX);
}

static void
renewed_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, NULL);
  Renewed *self = data;

  g_assert_nonnull (value);
  self->n_settled++;
  check_renewed (self);
  if (self->n_settled % 100 != 50)
    return;

  afrpc_pool_refresh (self->test.pool, NULL);
  check_renewed (self);
}

static void
test_pool_death_renewed_at_once (void)
{
  Renewed self = { 0 };
  g_autoptr(AfrpcPoolStats) stats = NULL;

  g_test_summary ("Whoever is renewed is replaced at that moment, also if further workers are started late: no call waits "
                  "for more than a start");
  case_init (&self.test, "act", "max-workers", RENEWED_MAX, "load", 1, "idle-workers", RENEWED_MAX, "max-calls", 20,
             "start-delay-ms", 3600 * 1000, NULL);
  wait_idle (&self.test, RENEWED_MAX);
  afrpc_pool_set_idle_workers (self.test.pool, 0);
  for (guint i = 0; i < RENEWED_CALLS; i++)
    afrpc_caller_call (caller_of (&self.test), test_act ("return", NULL), NULL, renewed_cb, &self);
  check_renewed (&self);
  iterate_until_count (&self.n_settled, RENEWED_CALLS);
  stats = afrpc_pool_get_stats (self.test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_renewed (stats), >=, RENEWED_CALLS / 20);
  g_assert_cmpuint (self.n_checked, >, RENEWED_CALLS / 2);
  case_end (&self.test);
}

static void
test_pool_death_renewed_bound (void)
{
  enum { N = 20, MAX_WORKERS = 2 };
  Case test;
  AfrpcCall *calls[N];
  guint n_most = 0, n_open = N;

  g_test_summary ("However fast workers are renewed, there are no more than twice as many as there may be");
  case_init (&test, "act", "max-workers", MAX_WORKERS, "max-calls", 1, NULL);
  for (guint i = 0; i < N; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), act_u ("wait", 10), NULL);
  while (n_open > 0)
    {
      guint n = 0;

      g_main_context_iteration (NULL, TRUE);
      for (guint i = 0; i < g_list_model_get_n_items (afrpc_pool_get_workers (test.pool)); i++)
        {
          g_autoptr(AfrpcPoolWorker) worker = g_list_model_get_item (afrpc_pool_get_workers (test.pool), i);

          n += afrpc_pool_worker_get_state (worker) < AFRPC_POOL_WORKER_STATE_ENDED;
        }
      n_most = MAX (n_most, n);
      n_open = 0;
      for (guint i = 0; i < N; i++)
        n_open += !afrpc_call_is_settled (calls[i]);
    }
  g_assert_cmpuint (n_most, <=, 2 * MAX_WORKERS);
  for (guint i = 0; i < N; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  case_end (&test);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-death/moves", test_pool_death_moves);
  g_test_add_func ("/pool-death/repeats", test_pool_death_repeats);
  g_test_add_func ("/pool-death/alone", test_pool_death_alone);
  g_test_add_func ("/pool-death/order", test_pool_death_order);
  g_test_add_func ("/pool-death/order-of-late", test_pool_death_order_of_late);
  g_test_add_func ("/pool-death/init", test_pool_death_init);
  g_test_add_data_func ("/pool-death/back-off", GUINT_TO_POINTER (1), test_pool_death_back_off);
  g_test_add_data_func ("/pool-death/back-off-of-many", GUINT_TO_POINTER (8), test_pool_death_back_off);
  g_test_add_data_func ("/pool-death/overlap/oldest", NULL, test_pool_death_overlap);
  g_test_add_data_func ("/pool-death/overlap/youngest", "", test_pool_death_overlap);
  g_test_add_func ("/pool-death/overlap/ready", test_pool_death_overlap_ready);
  g_test_add_func ("/pool-death/overlap/templates", test_pool_death_overlap_templates);
  g_test_add_func ("/pool-death/together", test_pool_death_together);
  g_test_add_func ("/pool-death/before-refresh", test_pool_death_before_refresh);
  g_test_add_func ("/pool-death/other-function", test_pool_death_other_function);
  g_test_add_func ("/pool-death/failure", test_pool_death_failure);
  g_test_add_func ("/pool-death/hopeless", test_pool_death_hopeless);
  g_test_add_func ("/pool-death/idle", test_pool_death_idle);
  g_test_add_func ("/pool-death/bound", test_pool_death_bound);
  g_test_add_func ("/pool-death/after-service", test_pool_death_after_service);
  g_test_add_func ("/pool-death/template", test_pool_death_template);
  g_test_add_func ("/pool-death/retire", test_pool_death_retire);
  g_test_add_data_func ("/pool-death/not-repeated/killed", NULL, test_pool_death_not_repeated);
  g_test_add_data_func ("/pool-death/not-repeated/cancelled", "", test_pool_death_not_repeated);
  g_test_add_func ("/pool-death/retire-meanwhile", test_pool_death_retire_meanwhile);
  g_test_add_data_func ("/pool-death/retire-at-once/sync", GUINT_TO_POINTER (AFRPC_BACKEND_SYNC),
                        test_pool_death_retire_at_once);
  g_test_add_data_func ("/pool-death/retire-at-once/async", GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC),
                        test_pool_death_retire_at_once);
  g_test_add_func ("/pool-death/blocking", test_pool_death_blocking);
  g_test_add_func ("/pool-death/refresh", test_pool_death_refresh);
  g_test_add_data_func ("/pool-death/refresh-hopeless", NULL, test_pool_death_refresh_hopeless);
  g_test_add_data_func ("/pool-death/refresh-hopeless-at-work", "at work", test_pool_death_refresh_hopeless);
  g_test_add_func ("/pool-death/renewed-at-once", test_pool_death_renewed_at_once);
  g_test_add_func ("/pool-death/renewed-bound", test_pool_death_renewed_bound);
  g_test_add_func ("/pool-death/max-calls", test_pool_death_max_calls);
  g_test_add_func ("/pool-death/max-calls-moved", test_pool_death_max_calls_moved);
  g_test_add_func ("/pool-death/max-calls-changed", test_pool_death_max_calls_changed);

  return g_test_run ();
}
