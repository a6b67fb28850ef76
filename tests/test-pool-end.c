/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools that end, in each way; and those that block the thread. */
#include "pool-case.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
count_error_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      n)
{
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, NULL);

  g_assert_null (value);
  ++*(guint *) n;
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
test_pool_end_close (void)
{
  Case test;
  guint n = 0;
  g_autoptr(AfrpcCall) late = NULL;
  g_autoptr(GError) error = NULL;
  g_auto(Outcome) closed = { 0 };
  g_auto(Outcome) again = { 0 };

  g_test_summary ("Closing finishes every call, those that wait too; further ones fail");
  case_init (&test, "act", "max-workers", 2, NULL);
  for (guint i = 0; i < 20; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_value_cb, &n);
  afrpc_caller_close_async (caller_of (&test), NULL, closed_cb, &closed);
  g_assert_true (afrpc_pool_is_closed (test.pool));
  late = start_act (&test, "return", NULL);
  error = wait_error (late);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  test_iterate_until (&closed.done);
  g_assert_no_error (closed.error);
  g_assert_cmpuint (n, ==, 20);
  afrpc_caller_close_async (caller_of (&test), NULL, closed_cb, &again);
  test_iterate_until (&again.done);
  g_clear_object (&late);
  case_end (&test);
  wait_no_children ();
}

static void
test_pool_end_drop (void)
{
  Case test;
  guint n = 0;
  gpointer gone;

  g_test_summary ("A pool that is dropped finishes every call, and then its workers end");
  case_init (&test, "act", "max-workers", 2, NULL);
  gone = test.pool;
  g_object_add_weak_pointer (G_OBJECT (test.pool), &gone);
  for (guint i = 0; i < 20; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_value_cb, &n);
  g_object_unref (test.pool);
  iterate_until_count (&n, 20);
  while (gone != NULL)
    g_main_context_iteration (NULL, TRUE);
  wait_no_children ();
  g_ptr_array_unref (test.errors);
}

static void
test_pool_end_dropped_closed (void)
{
  Case test;
  guint n = 0;
  gpointer gone;

  g_test_summary ("One that is closed and dropped is there until it is destroyed, once");
  case_init (&test, "act", "max-workers", 2, NULL);
  gone = test.pool;
  g_object_add_weak_pointer (G_OBJECT (test.pool), &gone);
  for (guint i = 0; i < 5; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_value_cb, &n);
  afrpc_caller_close_and_unref (test.pool);
  test_iterate_until (&test.destroyed);
  g_assert_cmpuint (n, ==, 5);
  while (gone != NULL)
    g_main_context_iteration (NULL, FALSE);
  wait_no_children ();
  g_ptr_array_unref (test.errors);
}

static void
test_pool_end_thread (void)
{
  Case test;
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("The last reference may be dropped on any thread");
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, NULL);
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  g_clear_object (&call);
  g_thread_join (g_thread_new ("drop", drop_thread, test.pool));
  wait_no_children ();
  g_ptr_array_unref (test.errors);
}

static void
test_pool_end_kill (void)
{
  Case test;
  guint n = 0;

  g_test_summary ("Killing ends workers at once: all calls fail");
  case_init (&test, "act", "max-workers", 2, "load", 1, "start-delay-ms", 0, NULL);
  for (guint i = 0; i < 10; i++)
    afrpc_caller_call (caller_of (&test), test_act ("until-cancelled", NULL), NULL, count_error_cb, &n);
  while (test.n_events < 1)
    g_main_context_iteration (NULL, TRUE);
  afrpc_caller_kill (caller_of (&test));
  test_iterate_until (&test.destroyed);
  g_assert_cmpuint (n, ==, 10);
  afrpc_caller_kill (caller_of (&test));
  case_end (&test);
  wait_no_children ();
}

/* What is told of a pool, in its order: a letter each. */
static void
note (GString *told,
      char     what)
{
  g_string_append_c (told, what);
}

static void
told_outcome_cb (GObject      *source,
                 GAsyncResult *result,
                 gpointer      told)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, &error);

  g_assert_null (value);
  g_assert_true (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_DIED) ||
                 g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED));
  note (told, 'o');
}

static void
told_error_cb (AfrpcCaller *caller,
               GError      *error,
               GString     *told)
{
  note (told, 'e');
}

static void
told_destroyed_cb (AfrpcCaller *caller,
                   GString     *told)
{
  note (told, 'd');
}

static void
test_pool_end_kill_order (void)
{
  Case test;
  g_autoptr(GString) told = g_string_new (NULL);
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();

  g_test_summary ("A pool that is killed tells of every call first, then why its workers have ended, and then that it has");
  case_init (&test, "act", "max-workers", 3, "load", 1, "start-delay-ms", 0, NULL);
  g_signal_connect (test.pool, "error", G_CALLBACK (told_error_cb), told);
  g_signal_connect (test.pool, "destroyed", G_CALLBACK (told_destroyed_cb), told);
  for (guint i = 0; i < 3; i++)
    {
      afrpc_caller_call (caller_of (&test), test_act ("until-cancelled", NULL), NULL, told_outcome_cb, told);
      wait_begun (&test, i + 1);
    }
  afrpc_pool_set_load (test.pool, 2);
  for (guint i = 0; i < 5; i++)
    afrpc_caller_call_full (caller_of (&test), test_act ("return", NULL), i == 0 ? options : NULL, NULL, told_outcome_cb, told);
  afrpc_caller_kill (caller_of (&test));
  test_iterate_until (&test.destroyed);
  g_assert_cmpstr (told->str, ==, "ooooooooeeed");
  case_end (&test);
}

static void
test_pool_end_sync (void)
{
  Case test;
  guint n = 0;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;

  g_test_summary ("Everything is finished without a main loop, with calls that wait and a worker that dies");
  case_init (&test, "act", "max-workers", 2, "load", 4, "start-delay-ms", 0, NULL);
  for (guint i = 0; i < 20; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_value_cb, &n);
  value = afrpc_caller_call_sync (caller_of (&test), test_act ("exit", g_variant_new_uint32 (3)), NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_clear_error (&error);
  for (guint i = 0; i < 20; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_value_cb, &n);
  g_assert_true (afrpc_caller_close_sync (caller_of (&test), NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, 0);
  test_iterate_until (&test.destroyed);
  g_assert_cmpuint (n, ==, 40);
  case_end (&test);
}

/* Nobody ever runs the main loop. */
static void
test_pool_end_template (void)
{
  AfrpcProcess *template = template_new ();
  g_autoptr(AfrpcPool) pool = NULL;
  g_autoptr(GError) error = NULL;
  siginfo_t info;
  int pid;

  g_test_summary ("What workers were forked from ends with the pool, also without a main loop, if nobody else holds it");
  if (is_command ())
    {
      g_test_skip ("nothing is forked from a command");
      return;
    }
  pool = g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "max-workers", 1, NULL);
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (pool), test_act ("return", NULL), NULL, &error));
  pid = afrpc_process_get_pid (template);
  g_object_unref (template);
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, &error));
  g_assert_no_error (error);
  g_assert_null (afrpc_pool_get_process (pool));
  afrpc_pool_refresh (pool, NULL);
  alarm (60);
  g_assert_true (waitid (P_PID, pid, &info, WEXITED | WNOWAIT) == 0 || errno == ECHILD);
  alarm (0);
  wait_no_children ();
}

/* Who calls once more when he is told that it is over. */
typedef struct
{
  Case *test;
  guint n;
  gboolean was_destroyed; /* when that was told */
} Late;

static void
late_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Late *late = data;
  g_autoptr(GError) error = NULL;

  g_assert_null (test_call_finish (source, result, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  late->n++;
  late->was_destroyed = late->test->destroyed;
}

static void
call_once_more_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      data)
{
  Late *late = data;

  g_assert_true (afrpc_caller_close_finish (AFRPC_CALLER (source), result, NULL));
  g_assert_false (late->test->destroyed);
  afrpc_caller_call (AFRPC_CALLER (source), test_act ("return", NULL), NULL, late_cb, late);
}

static void
test_pool_end_late_call (void)
{
  Case test;
  Late late = { &test, 0, FALSE };
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("A call that is made by who is told that the pool is closed fails before nothing comes any more");
  case_init (&test, "act", "max-workers", 1, NULL);
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  g_clear_object (&call);
  afrpc_caller_close_async (caller_of (&test), NULL, call_once_more_cb, &late);
  test_iterate_until (&test.destroyed);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (late.n, ==, 1);
  g_assert_false (late.was_destroyed);
  case_end (&test);
}

static void
test_pool_end_blocking (void)
{
  Case test;
  Meeting meeting;
  guint n = 0;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();
  g_autoptr(GError) error = NULL;

  g_test_summary ("Blocking calls go where there is room, in their turn, also past a death");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "load", 1, "start-delay-ms", 0, NULL);
  afrpc_caller_call (caller_of (&test), meet (&meeting), NULL, count_value_cb, &n);
  while (test.n_events == 0)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < 50; i++)
    {
      g_autoptr(GVariant) value = afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), NULL, &error);

      g_assert_no_error (error);
      g_assert_nonnull (value);
    }
  g_assert_null (afrpc_caller_call_full_sync (caller_of (&test), test_act ("exit", g_variant_new_uint32 (3)), options, NULL,
                                              NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_nonnull (strstr (error->message, "3 workers"));
  g_clear_error (&error);
  waiting = start_act (&test, "return", NULL);
  g_variant_unref (afrpc_call_wait_sync (waiting, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, 0);
  meeting_let_go (&meeting);
  iterate_until_count (&n, 1);
  g_clear_object (&waiting);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_end_blocking_failed (void)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  AfrpcPool *pool = g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "init", "init_error",
                                  "max-failures", 2, "max-workers", 2, NULL);
  g_autoptr(GError) error = NULL;

  g_test_summary ("A blocking call hears that workers cannot be started, and so does the main loop afterwards");
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (pool), NULL, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INIT);
  g_assert_true (afrpc_pool_is_closed (pool));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, NULL));
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_finalize_object (pool);
}

static void
test_pool_end_blocking_cancelled (void)
{
  Case test;
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) other = NULL;
  GThread *thread;

  g_test_summary ("A call that blocks, and waits for a worker, is cancelled by another thread; and so is a close");
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  running = start_act (&test, "until-cancelled", NULL);
  wait_begun (&test, 1);
  thread = g_thread_new ("cancel", cancel_thread, cancellable);
  g_assert_null (afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_thread_join (thread);
  g_clear_error (&error);
  g_assert_false (afrpc_caller_close_sync (caller_of (&test), cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  /* A command is told nothing after its input has ended. */
  if (is_command ())
    afrpc_caller_kill (caller_of (&test));
  else
    afrpc_call_cancel (running);
  other = wait_error (running);
  g_clear_object (&running);
  case_end (&test);
}

static gboolean
stop_cb (gpointer test)
{
  ((Case *) test)->n_events++;

  return G_SOURCE_CONTINUE;
}

static void
test_pool_end_idle (void)
{
  Case test;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) again = NULL;
  guint id;

  g_test_summary ("Workers that nobody needs end, but for those that are kept");
  case_init (&test, "act", "max-workers", 3, "idle-workers", 3, "stop-delay-ms", 10, NULL);
  wait_idle (&test, 3);
  g_object_set (test.pool, "idle-workers", 1, NULL);
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  id = g_timeout_add (1, stop_cb, &test);
  while (afrpc_pool_get_n_workers (test.pool) > 1)
    g_main_context_iteration (NULL, TRUE);
  for (guint before = test.n_events; test.n_events < before + 50;)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, 1);
  g_object_set (test.pool, "idle-workers", 0, NULL);
  again = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (again));
  while (afrpc_pool_get_n_workers (test.pool) > 0)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (id);
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_clear_object (&call);
  g_clear_object (&again);
  case_end (&test);
}

static void
test_pool_end_unused (void)
{
  Case test;
  AfrpcPool *pool;

  g_test_summary ("A pool that nobody uses has no workers; one without what it needs fails every call");
  case_init (&test, "act", NULL);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, 0);
  g_assert_cmpuint (afrpc_pool_get_max_workers (test.pool), >=, 1);
  case_end (&test);

  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*needs a process*");
  pool = g_object_new (AFRPC_TYPE_POOL, "function", "act", NULL);
  g_test_assert_expected_messages ();
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (pool), NULL, NULL, NULL));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, NULL));
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_finalize_object (pool);
}

static gpointer
use_thread (gpointer pool)
{
  g_autoptr(AfrpcCall) call = afrpc_caller_start (pool, NULL, NULL);
  g_autoptr(GError) error = NULL;

  g_assert_true (afrpc_call_is_settled (call));
  g_assert_null (afrpc_call_wait_sync (call, NULL, &error));

  return NULL;
}

static void
test_pool_end_wrong_thread (void)
{
  Case test;

  g_test_summary ("A use on another thread, while this one runs the context, is refused");
  case_init (&test, "act", NULL);
  g_assert_true (g_main_context_acquire (NULL));
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "a call: another thread*");
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "waiting for a call: another thread*");
  g_thread_join (g_thread_new ("use", use_thread, test.pool));
  g_test_assert_expected_messages ();
  g_main_context_release (NULL);
  case_end (&test);
}

#define WRONG_PIECES 24u

/* Each is refused, and changes nothing. */
static gpointer
change_thread (gpointer data)
{
  Case *test = data;
  AfrpcPool *pool = test->pool;
  AfrpcProcess *process = afrpc_pool_get_process (pool);
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcPool) other = NULL;

  afrpc_pool_set_max_workers (pool, 7);
  afrpc_pool_set_idle_workers (pool, 7);
  afrpc_pool_set_load (pool, 7);
  afrpc_pool_set_start_delay_ms (pool, 7);
  afrpc_pool_set_stop_delay_ms (pool, 7);
  afrpc_pool_set_max_repeats (pool, 7);
  afrpc_pool_set_max_failures (pool, 7);
  afrpc_pool_set_max_calls (pool, 7);
  afrpc_pool_set_max_age_s (pool, 7);
  afrpc_pool_set_max_memory_growth (pool, 7);
  afrpc_pool_set_cancel_grace_ms (pool, 7);
  afrpc_pool_set_end_grace_ms (pool, 7);
  afrpc_pool_set_call_timeout_ms (pool, 7);
  afrpc_pool_set_max_calls_queued (pool, 7);
  afrpc_pool_set_max_bytes_queued (pool, 7);
  afrpc_pool_refresh (pool, NULL);
  afrpc_pool_add_template (pool, process, 7, 7, 7);
  g_assert_false (afrpc_pool_remove_template (pool, process));
  g_assert_cmpuint (afrpc_pool_get_n_template_workers (pool, process), ==, 0);
  g_assert_null (afrpc_pool_get_template_failure (pool, process));
  g_assert_null (afrpc_pool_get_workers (pool));
  map = afrpc_pool_map_variant (pool, g_variant_new_parsed ("[1, 2]"), NULL, NULL, 0);
  g_assert_null (afrpc_map_next_sync (map, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  other = afrpc_pool_new (process, "act");
  g_assert_true (g_error_matches (afrpc_pool_get_failure (other), AFRPC_ERROR, AFRPC_ERROR_FAILED));

  return NULL;
}

static gpointer
see_worker_thread (gpointer worker)
{
  g_assert_null (afrpc_pool_worker_get_current_call (worker));
  g_assert_cmpint (afrpc_pool_worker_get_current_since (worker), ==, 0);
  afrpc_pool_worker_retire (worker);
  afrpc_pool_worker_kill (worker);

  return NULL;
}

static void
expect_wrong (guint n)
{
  for (guint i = 0; i < n; i++)
    g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*: another thread*");
}

/* Returns: all that can be changed of it */
static char *
describe_settings (AfrpcPool *pool)
{
  g_autoptr(GString) text = g_string_new (NULL);
  g_autofree GParamSpec **specs = NULL;
  guint n;

  specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (pool), &n);
  for (guint i = 0; i < n; i++)
    {
      g_auto(GValue) value = G_VALUE_INIT;
      g_autofree char *contents = NULL;

      if ((specs[i]->flags & (G_PARAM_WRITABLE | G_PARAM_CONSTRUCT_ONLY)) != G_PARAM_WRITABLE)
        continue;
      g_value_init (&value, specs[i]->value_type);
      g_object_get_property (G_OBJECT (pool), specs[i]->name, &value);
      contents = g_strdup_value_contents (&value);
      g_string_append_printf (text, "%s %s\n", specs[i]->name, contents);
    }

  return g_string_free (g_steal_pointer (&text), FALSE);
}

static void
test_pool_end_wrong_thread_all (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcPoolWorker) worker = NULL;
  g_autoptr(GError) cancelled = NULL;
  g_autofree char *before = NULL, *after = NULL;
  Case test;

  g_test_summary ("So is a change of anything, a map, another pool, and a look at what may go meanwhile");
  case_init (&test, "act", "max-workers", 1, NULL);
  call = start_act (&test, "until-cancelled", NULL);
  wait_begun (&test, 1);
  worker = g_list_model_get_item (afrpc_pool_get_workers (test.pool), 0);
  before = describe_settings (test.pool);
  g_assert_true (g_main_context_acquire (NULL));
  expect_wrong (WRONG_PIECES);
  g_thread_join (g_thread_new ("change", change_thread, &test));
  g_test_assert_expected_messages ();
  expect_wrong (4);
  g_thread_join (g_thread_new ("see", see_worker_thread, worker));
  g_test_assert_expected_messages ();
  g_main_context_release (NULL);
  after = describe_settings (test.pool);
  g_assert_cmpstr (before, ==, after);
  g_assert_true (afrpc_pool_worker_get_current_call (worker) == call);
  afrpc_call_cancel (call);
  cancelled = wait_error (call);
  g_clear_object (&call);
  g_clear_object (&worker);
  /* Of the map, what is the pool's is left here. */
  while (g_main_context_iteration (NULL, FALSE))
    ;
  case_end (&test);
}

#define N_MANY 100000u

static guint
count_queued (Case *test)
{
  return afrpc_pool_get_n_calls_queued (test->pool);
}

/* Makes very many calls, which wait. */
static void
queue_many (Case             *test,
            AfrpcCallOptions *options, /* (nullable) */
            guint            *n_failed)
{
  for (guint i = 0; i < N_MANY; i++)
    afrpc_caller_call_full (caller_of (test), test_act ("until-cancelled", NULL), options, NULL, count_error_cb, n_failed);
}

/* Sees how many wait whenever the main loop goes round, whoever runs it. */
typedef struct
{
  GSource source;
  Case *test;
  guint n_before;
  guint most; /* that have stopped to do so in one iteration */
} Meter;

static gboolean
meter_prepare (GSource *source,
               int     *timeout)
{
  Meter *self = (Meter *) source;
  const guint n = count_queued (self->test);

  self->most = MAX (self->most, self->n_before - MIN (n, self->n_before));
  self->n_before = n;

  return FALSE;
}

/* Runs the main loop until nobody waits any more. Returns: how many have stopped to do so in one iteration at most */
static guint
drain (Case *test)
{
  static GSourceFuncs funcs = { meter_prepare, NULL, NULL, NULL };
  g_autoptr(GSource) source = g_source_new (&funcs, sizeof (Meter));
  Meter *meter = (Meter *) source;

  meter->test = test;
  meter->n_before = count_queued (test);
  g_source_attach (source, NULL);
  while (count_queued (test) > 0)
    g_main_context_iteration (NULL, TRUE);
  g_main_context_iteration (NULL, FALSE);
  g_source_destroy (source);
  g_test_message ("at most %u in one iteration", meter->most);

  return meter->most;
}

/* Waits for the end of all, of which each is told by then. */
static void
end_many (Case        *test,
          const guint *n)
{
  test_iterate_until (&test->destroyed);
  g_assert_cmpuint (*n, ==, N_MANY);
  case_end (test);
  wait_no_children ();
}

static void
test_pool_end_many_killed (void)
{
  Case test;
  guint n = 0;

  g_test_summary ("Very many calls that wait fail a slice at a time when the pool is killed, and all before it is destroyed");
  case_init (&test, "act", "max-workers", 1, "load", 1, "start-delay-ms", 0, NULL);
  queue_many (&test, NULL, &n);
  while (test.n_events < 1)
    g_main_context_iteration (NULL, TRUE);
  afrpc_caller_kill (caller_of (&test));
  g_assert_cmpuint (count_queued (&test), >, N_MANY / 4);
  g_assert_cmpuint (drain (&test), <, N_MANY / 2);
  end_many (&test, &n);
}

static void
test_pool_end_many_killed_blocking (void)
{
  Case test;
  guint n = 0;

  g_test_summary ("Who blocks until the end of such a pool comes to it");
  case_init (&test, "act", "max-workers", 1, "load", 1, "start-delay-ms", 0, NULL);
  queue_many (&test, NULL, &n);
  afrpc_caller_kill (caller_of (&test));
  g_assert_true (afrpc_caller_close_sync (caller_of (&test), NULL, NULL));
  g_assert_cmpuint (count_queued (&test), ==, 0);
  g_assert_cmpuint (n, ==, 0);
  end_many (&test, &n);
}

static void
test_pool_end_many_failed (void)
{
  Case test;
  guint n = 0;

  g_test_summary ("The same if no more workers can be started; what comes after that fails as well");
  case_init (&test, "no_such_function", "max-workers", 1, "max-failures", 1, "start-delay-ms", 0, NULL);
  queue_many (&test, NULL, &n);
  g_assert_cmpuint (drain (&test), <, N_MANY / 2);
  iterate_until_count (&n, N_MANY);
  g_assert_nonnull (afrpc_pool_get_failure (test.pool));
  queue_many (&test, NULL, &n);
  g_assert_cmpuint (count_queued (&test), ==, 0);
  iterate_until_count (&n, 2 * N_MANY);
  g_assert_cmpuint (n, ==, 2 * N_MANY);
  g_ptr_array_set_size (test.errors, 0);
  case_end (&test);
}

/* The first of those that have failed: others still wait, unless there was much else to do before it was told. */
static void
revive_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, NULL);
  Case *test = data;

  g_assert_null (value);
  g_assert_nonnull (afrpc_pool_get_failure (test->pool));
  if (count_queued (test) == 0)
    g_test_message ("nobody waits any more");
  afrpc_pool_refresh (test->pool, NULL);
  g_assert_null (afrpc_pool_get_failure (test->pool));
  g_assert_cmpuint (count_queued (test), ==, 0);
}

static void
test_pool_end_many_revived (void)
{
  Case test;
  guint n = 0;

  g_test_summary ("Those that waited when it failed have failed, even if there are to be workers again before they were told");
  case_init (&test, "no_such_function", "max-workers", 1, "max-failures", 1, "start-delay-ms", 0, NULL);
  afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, revive_cb, &test);
  queue_many (&test, NULL, &n);
  iterate_until_count (&n, N_MANY);
  g_ptr_array_set_size (test.errors, 0);
  case_end (&test);
}

static void
test_pool_end_many_expired (void)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  Case test;
  guint n = 0;

  g_test_summary ("The same if their time is over");
  afrpc_call_options_set_timeout_ms (options, 1);
  case_init (&test, "act", "max-workers", 1, "load", 1, "start-delay-ms", 0, NULL);
  queue_many (&test, options, &n);
  g_assert_cmpuint (drain (&test), <, N_MANY / 2);
  iterate_until_count (&n, N_MANY);
  afrpc_caller_kill (caller_of (&test));
  end_many (&test, &n);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-end/close", test_pool_end_close);
  g_test_add_func ("/pool-end/drop", test_pool_end_drop);
  g_test_add_func ("/pool-end/dropped-closed", test_pool_end_dropped_closed);
  g_test_add_func ("/pool-end/thread", test_pool_end_thread);
  g_test_add_func ("/pool-end/kill", test_pool_end_kill);
  g_test_add_func ("/pool-end/kill-order", test_pool_end_kill_order);
  g_test_add_func ("/pool-end/many-killed", test_pool_end_many_killed);
  g_test_add_func ("/pool-end/many-killed-blocking", test_pool_end_many_killed_blocking);
  g_test_add_func ("/pool-end/many-failed", test_pool_end_many_failed);
  g_test_add_func ("/pool-end/many-revived", test_pool_end_many_revived);
  g_test_add_func ("/pool-end/many-expired", test_pool_end_many_expired);
  g_test_add_func ("/pool-end/sync", test_pool_end_sync);
  g_test_add_func ("/pool-end/template", test_pool_end_template);
  g_test_add_func ("/pool-end/late-call", test_pool_end_late_call);
  g_test_add_func ("/pool-end/blocking", test_pool_end_blocking);
  g_test_add_func ("/pool-end/blocking-failed", test_pool_end_blocking_failed);
  g_test_add_func ("/pool-end/blocking-cancelled", test_pool_end_blocking_cancelled);
  g_test_add_func ("/pool-end/idle", test_pool_end_idle);
  g_test_add_func ("/pool-end/unused", test_pool_end_unused);
  g_test_add_func ("/pool-end/wrong-thread", test_pool_end_wrong_thread);
  g_test_add_func ("/pool-end/wrong-thread-all", test_pool_end_wrong_thread_all);

  return g_test_run ();
}
