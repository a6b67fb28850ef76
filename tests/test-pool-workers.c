/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The workers of a pool as the program sees them: the list, what each is doing, and how it ends. */
#include "pool-case.h"

#include <string.h>

#define N_MANY 40u
#define MANY_A_TURN 16u

/* A copy of the list that is kept by what that tells of itself; what it tells has to be right. */
typedef struct
{
  GListModel *model; /* (owned) */
  GPtrArray *items;  /* (element-type AfrpcPoolWorker) (owned) */
  guint n_changes;
  guint depth;
} Mirror;

static void
mirror_cb (GListModel *model,
           guint       position,
           guint       n_removed,
           guint       n_added,
           Mirror     *mirror)
{
  g_assert_cmpuint (position + n_removed, <=, mirror->items->len);
  g_assert_cmpuint (n_removed + n_added, >, 0);
  for (guint i = 0; i < n_removed; i++)
    g_assert_cmpint (afrpc_pool_worker_get_state (mirror->items->pdata[position + i]), >=,
                     AFRPC_POOL_WORKER_STATE_ENDING);
  if (n_removed > 0)
    g_ptr_array_remove_range (mirror->items, position, n_removed);
  for (guint i = 0; i < n_added; i++)
    g_ptr_array_insert (mirror->items, position + i, g_list_model_get_item (model, position + i));
  mirror->n_changes++;
  g_assert_cmpuint (g_list_model_get_n_items (model), ==, mirror->items->len);
  for (guint i = 0; i < mirror->items->len; i++)
    {
      g_autoptr(AfrpcPoolWorker) worker = g_list_model_get_item (model, i);

      g_assert_true (worker == mirror->items->pdata[i]);
      for (guint j = 0; j < i; j++)
        g_assert_true (worker != mirror->items->pdata[j]);
    }
}

static void
mirror_init (Mirror *mirror,
             Case   *test)
{
  *mirror = (Mirror) { g_object_ref (afrpc_pool_get_workers (test->pool)), g_ptr_array_new_with_free_func (g_object_unref) };
  g_signal_connect (mirror->model, "items-changed", G_CALLBACK (mirror_cb), mirror);
  for (guint i = 0; i < g_list_model_get_n_items (mirror->model); i++)
    g_ptr_array_add (mirror->items, g_list_model_get_item (mirror->model, i));
}

static void
mirror_clear (Mirror *mirror)
{
  g_signal_handlers_disconnect_by_data (mirror->model, mirror);
  g_object_unref (mirror->model);
  g_ptr_array_unref (mirror->items);
}

static void
wait_items (Mirror *mirror,
            guint   n)
{
  while (mirror->items->len != n)
    g_main_context_iteration (NULL, TRUE);
}

static void
told_cb (AfrpcPoolWorker *worker,
         GParamSpec      *pspec,
         GString         *text)
{
  GEnumClass *states = g_type_class_ref (AFRPC_TYPE_POOL_WORKER_STATE);

  if (g_str_equal (pspec->name, "state"))
    g_string_append_printf (text, "%s ", g_enum_get_value (states, afrpc_pool_worker_get_state (worker))->value_nick);
  else
    g_string_append_printf (text, "%s ", pspec->name);
  g_type_class_unref (states);
}

static void
test_pool_workers_list (void)
{
  Case test;
  Mirror mirror;
  Meeting meeting;
  AfrpcPoolWorker *worker;
  g_autoptr(AfrpcPoolWorker) kept = NULL;
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) second = NULL;
  g_autoptr(GString) text = g_string_new (NULL);
  g_autoptr(GError) error = NULL;
  gint64 before, since;

  g_test_summary ("Workers come and go in the list; each says what it is doing, and is told of");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 2, NULL);
  mirror_init (&mirror, &test);
  g_assert_true (g_list_model_get_item_type (mirror.model) == AFRPC_TYPE_POOL_WORKER);
  g_assert_true (afrpc_pool_get_workers (test.pool) == mirror.model);
  g_assert_cmpuint (mirror.items->len, ==, 0);
  before = g_get_monotonic_time ();
  first = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  second = start_act (&test, "return", NULL);
  g_assert_cmpuint (g_list_model_get_n_items (mirror.model), ==, 0);
  wait_items (&mirror, 1);
  kept = g_object_ref (worker = mirror.items->pdata[0]);
  g_assert_cmpint (afrpc_pool_worker_get_state (worker), ==, AFRPC_POOL_WORKER_STATE_STARTING);
  g_assert_null (afrpc_pool_worker_get_current_call (worker));
  g_signal_connect (worker, "notify", G_CALLBACK (told_cb), text);
  wait_begun (&test, 1);
  g_assert_cmpint (afrpc_pool_worker_get_state (worker), ==, AFRPC_POOL_WORKER_STATE_BUSY);
  g_assert_true (afrpc_pool_worker_get_current_call (worker) == first);
  g_assert_true (afrpc_pool_worker_get_process (worker) == afrpc_call_get_process (first));
  g_assert_cmpint (afrpc_pool_worker_get_pid (worker), ==, pid_of (first));
  g_assert_cmpuint (afrpc_pool_worker_get_n_calls (worker), ==, 2);
  since = afrpc_pool_worker_get_current_since (worker);
  g_assert_cmpint (since, >=, before);
  g_assert_cmpint (since, <=, g_get_monotonic_time ());
  g_assert_cmpint (afrpc_pool_worker_get_memory (worker, &error), >, 0);
  g_assert_no_error (error);
  g_assert_null (afrpc_pool_worker_get_exit (worker));
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (first));
  g_variant_unref (wait_value (second));
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpint (afrpc_pool_worker_get_state (worker), ==, AFRPC_POOL_WORKER_STATE_IDLE);
  g_assert_null (afrpc_pool_worker_get_current_call (worker));
  g_assert_cmpint (afrpc_pool_worker_get_current_since (worker), ==, 0);
  g_clear_object (&first);
  g_clear_object (&second);
  case_end (&test);
  g_assert_cmpuint (mirror.items->len, ==, 0);
  g_assert_cmpint (afrpc_pool_worker_get_state (kept), ==, AFRPC_POOL_WORKER_STATE_ENDED);
  g_assert_cmpuint (afrpc_pool_worker_get_n_calls (kept), ==, 2);
  g_assert_nonnull (afrpc_pool_worker_get_exit (kept));
  g_assert_cmpint (afrpc_pool_worker_get_memory (kept, &error), ==, -1);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  afrpc_pool_worker_kill (kept);
  afrpc_pool_worker_retire (kept);
  g_assert_nonnull (strstr (text->str, "pid "));
  g_assert_nonnull (strstr (text->str, "busy current-call current-since n-calls "));
  g_assert_nonnull (strstr (text->str, "idle current-call current-since "));
  g_assert_true (g_str_has_suffix (text->str, "ended "));
  g_signal_handlers_disconnect_by_data (kept, text);
  mirror_clear (&mirror);
  meeting_end (&meeting);
}

/* Whoever is told that a worker is ending waits until it has, and not a turn longer. */
static void
wait_ended_cb (AfrpcPoolWorker *worker,
               GParamSpec      *pspec,
               GString         *text)
{
  told_cb (worker, pspec, text);
  if (g_str_has_suffix (text->str, "ending "))
    while (afrpc_pool_worker_get_state (worker) != AFRPC_POOL_WORKER_STATE_ENDED)
      g_main_context_iteration (NULL, TRUE);
}

static void
test_pool_workers_meanwhile (void)
{
  Case test;
  Mirror mirror;
  g_autoptr(AfrpcPoolWorker) worker = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GString) text = g_string_new (NULL);

  g_test_summary ("The end of a worker is told before it leaves the list, also if it ends while something else is told of it");
  case_init (&test, "act", "max-workers", 1, NULL);
  mirror_init (&mirror, &test);
  call = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (call));
  g_clear_object (&call);
  wait_items (&mirror, 1);
  worker = g_object_ref (mirror.items->pdata[0]);
  g_signal_connect (worker, "notify::state", G_CALLBACK (wait_ended_cb), text);
  afrpc_pool_worker_retire (worker);
  wait_items (&mirror, 0);
  g_assert_true (g_str_has_suffix (text->str, "ended "));
  g_signal_handlers_disconnect_by_data (worker, text);
  mirror_clear (&mirror);
  case_end (&test);
}

static void
test_pool_workers_kill (void)
{
  Case test;
  Mirror mirror;
  Meeting meeting;
  AfrpcCall *calls[4];
  g_autoptr(GError) error = NULL;
  int pid;

  g_test_summary ("Who is killed fails the call that it runs, and gives the others back; it is no failure of the pool");
  if (is_command ())
    {
      g_test_skip ("it is not known there what was begun");
      return;
    }
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 4, "max-failures", 1, NULL);
  mirror_init (&mirror, &test);
  for (guint i = 0; i < 4; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), i == 0 ? meet (&meeting) : test_act ("return", NULL), NULL);
  wait_begun (&test, 1);
  pid = pid_of (calls[0]);
  afrpc_pool_worker_kill (mirror.items->pdata[0]);
  g_assert_cmpint (afrpc_pool_worker_get_state (mirror.items->pdata[0]), ==, AFRPC_POOL_WORKER_STATE_RETIRING);
  error = wait_error (calls[0]);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  for (guint i = 1; i < 4; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_assert_cmpint (pid_of (calls[i]), !=, pid);
    }
  for (guint i = 0; i < 4; i++)
    g_object_unref (calls[i]);

  /* One that is idle, and has served nobody. */
  afrpc_pool_refresh (test.pool, NULL);
  afrpc_pool_set_idle_workers (test.pool, 1);
  wait_idle (&test, 1);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  afrpc_pool_worker_kill (mirror.items->pdata[mirror.items->len - 1]);
  wait_idle (&test, 1);
  g_assert_null (afrpc_pool_get_failure (test.pool));
  meeting_let_go (&meeting);
  case_end (&test);
  mirror_clear (&mirror);
  meeting_end (&meeting);
}

static void
test_pool_workers_retire (void)
{
  Case test;
  Mirror mirror;
  AfrpcCall *calls[4];
  int pid;

  g_test_summary ("Who is to retire finishes what it has, and somebody else gets the rest");
  case_init (&test, "act", "max-workers", 1, "load", 2, "max-failures", 1, NULL);
  mirror_init (&mirror, &test);
  calls[0] = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (calls[0]));
  pid = pid_of (calls[0]);
  for (guint i = 1; i < 4; i++)
    calls[i] = start_act (&test, "return", NULL);
  afrpc_pool_worker_retire (mirror.items->pdata[0]);
  for (guint i = 1; i < 4; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_assert_cmpint (pid_of (calls[i]) == pid, ==, i < 3);
    }
  for (guint i = 0; i < 4; i++)
    g_object_unref (calls[i]);
  g_assert_cmpuint (test.errors->len, ==, 0);
  case_end (&test);
  mirror_clear (&mirror);
}

/* What came, in its order. */
typedef struct
{
  AfrpcPool *pool;
  GHashTable *pids;  /* of those that have ended */
  guint n_settled;
  guint n_ended;
  gboolean destroyed;
} Order;

static void
settled_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  Order *order = data;
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, NULL);
  AfrpcProcess *process = afrpc_call_get_process (AFRPC_CALL (result));

  order->n_settled++;
  /* One that was not begun may have been given back by a worker that has ended, and have had no other. */
  if (process != NULL && afrpc_call_get_started (AFRPC_CALL (result)) == AFRPC_STARTED_YES)
    g_assert_false (g_hash_table_contains (order->pids, GINT_TO_POINTER (afrpc_process_get_pid (process))));
}

static void
ended_cb (AfrpcPool       *pool,
          AfrpcPoolWorker *worker,
          AfrpcExit       *exit,
          Order           *order)
{
  g_assert_false (order->destroyed);
  g_assert_cmpint (afrpc_pool_worker_get_state (worker), ==, AFRPC_POOL_WORKER_STATE_ENDED);
  g_assert_cmpint (afrpc_pool_worker_get_pid (worker), ==, afrpc_exit_get_pid (exit));
  g_assert_true (g_hash_table_add (order->pids, GINT_TO_POINTER (afrpc_exit_get_pid (exit))));
  order->n_ended++;
}

static void
order_destroyed_cb (AfrpcPool *pool,
                    Order     *order)
{
  order->destroyed = TRUE;
}

/* In each of these, the end of the pool has to wait for the handlers that are left. */
static void
nest_cb (AfrpcPool       *pool,
         AfrpcPoolWorker *worker,
         AfrpcExit       *exit,
         gpointer         data)
{
  for (guint i = 0; i < 50; i++)
    g_main_context_iteration (NULL, FALSE);
}

static void
test_pool_workers_retire_and_cancel (void)
{
  Case test;
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) behind = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcPoolWorker) worker = NULL;

  g_test_summary ("A worker that gets no more hears of calls that are given up, and goes on with the others that it has");
  case_init (&test, "act", "max-workers", 1, "load", 2, "cancel-grace-ms", 0, NULL);
  running = start_act (&test, "until-cancelled", NULL);
  wait_begun (&test, 1);
  behind = start_act (&test, "return", NULL);
  worker = g_list_model_get_item (afrpc_pool_get_workers (test.pool), 0);
  afrpc_pool_worker_retire (worker);
  g_assert_cmpint (afrpc_pool_worker_get_state (worker), ==, AFRPC_POOL_WORKER_STATE_RETIRING);
  afrpc_call_cancel (running);
  error = wait_error (running);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_variant_unref (wait_value (behind));
  while (afrpc_pool_worker_get_exit (worker) == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (afrpc_exit_is_success (afrpc_pool_worker_get_exit (worker)));
  g_assert_cmpuint (test.errors->len, ==, 0);
  g_clear_object (&running);
  g_clear_object (&behind);
  case_end (&test);
}

static void
test_pool_workers_lowered (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *calls[3];
  g_autoptr(AfrpcCall) second = NULL;
  g_autoptr(AfrpcCall) late = NULL;
  g_autoptr(AfrpcPoolStats) stats = NULL;

  g_test_summary ("Where fewer workers may be than there are, those with least to do get nothing more, though calls wait");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 3, "load", 1, "start-delay-ms", 0, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      calls[i] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
      wait_begun (&test, i + 1);
    }
  g_object_set (test.pool, "load", 2, "cancel-grace-ms", 0, NULL);
  second = start_act (&test, "return", NULL);
  g_object_set (test.pool, "load", 1, NULL);
  late = start_act (&test, "return", NULL);
  g_assert_nonnull (afrpc_call_get_process (second));
  g_assert_null (afrpc_call_get_process (late));

  g_object_set (test.pool, "max-workers", 1, "load", 2, NULL);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, 1);
  g_assert_null (afrpc_call_get_process (late));
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_moves (stats), ==, 0);
  g_clear_pointer (&stats, afrpc_pool_stats_unref);
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (late));
  g_variant_unref (wait_value (second));
  g_assert_cmpint (pid_of (late), ==, pid_of (second));
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_started (stats), ==, 3);
  g_clear_object (&second);
  g_clear_object (&late);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_workers_ended (gconstpointer kills)
{
  Case test;
  Order order = { .pids = g_hash_table_new (NULL, NULL) };
  g_autoptr(AfrpcPoolStats) stats = NULL;

  g_test_summary ("The end of each worker is told once, after what its calls got, and before the end of the pool");
  case_init (&test, "act", "max-workers", 2, "start-delay-ms", 0, "load", 3, NULL);
  g_signal_connect (test.pool, "worker-ended", G_CALLBACK (nest_cb), NULL);
  g_signal_connect (test.pool, "worker-ended", G_CALLBACK (ended_cb), &order);
  g_signal_connect (test.pool, "destroyed", G_CALLBACK (order_destroyed_cb), &order);
  for (guint i = 0; i < 40; i++)
    afrpc_caller_call (caller_of (&test),
                       i % 8 == 4 ? test_act ("exit", g_variant_new_uint32 (3)) :
                       GPOINTER_TO_UINT (kills) && i == 20 ? test_act ("until-cancelled", NULL) : test_act ("return", NULL),
                       NULL, settled_cb, &order);
  while (order.n_settled < 20)
    g_main_context_iteration (NULL, TRUE);
  if (GPOINTER_TO_UINT (kills))
    afrpc_caller_kill (caller_of (&test));
  else
    afrpc_caller_close (caller_of (&test));
  test_iterate_until (&order.destroyed);
  g_assert_cmpuint (order.n_settled, ==, 40);
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (order.n_ended, <=, afrpc_pool_stats_get_n_workers_started (stats));
  if (!GPOINTER_TO_UINT (kills))
    g_assert_cmpuint (order.n_ended, ==, afrpc_pool_stats_get_n_workers_started (stats));
  case_end (&test);
  g_hash_table_unref (order.pids);
}

static void
act_cb (GListModel *model,
        guint       position,
        guint       n_removed,
        guint       n_added,
        Case       *test)
{
  if (n_added > 0)
    afrpc_caller_kill (caller_of (test));
}

static void
nest_list_cb (GListModel *model,
              guint       position,
              guint       n_removed,
              guint       n_added,
              guint      *depth)
{
  if (*depth >= 3)
    return;

  ++*depth;
  for (guint i = 0; i < 50; i++)
    g_main_context_iteration (NULL, FALSE);
  --*depth;
}

static void
drop_cb (GListModel *model,
         guint       position,
         guint       n_removed,
         guint       n_added,
         AfrpcPool **pool)
{
  g_clear_object (pool);
}

static void
test_pool_workers_reentrant (void)
{
  Case test;
  Mirror mirror;
  gpointer gone;
  guint n = 0, depth = 0;

  g_test_summary ("Who is told of the list may kill the pool, run a main loop, and drop everything");
  case_init (&test, "act", "max-workers", 3, "start-delay-ms", 0, NULL);
  mirror_init (&mirror, &test);
  g_signal_connect (mirror.model, "items-changed", G_CALLBACK (act_cb), &test);
  for (guint i = 0; i < 10; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_outcome_cb, &n);
  iterate_until_count (&n, 10);
  case_end (&test);
  g_assert_cmpuint (mirror.items->len, ==, 0);
  mirror_clear (&mirror);

  n = 0;
  case_init (&test, "act", "max-workers", 3, "start-delay-ms", 0, "max-calls", 2, NULL);
  mirror_init (&mirror, &test);
  g_signal_connect (mirror.model, "items-changed", G_CALLBACK (nest_list_cb), &depth);
  for (guint i = 0; i < 60; i++)
    afrpc_caller_call (caller_of (&test), test_act (i % 20 == 10 ? "abort" : "return", NULL), NULL, count_outcome_cb, &n);
  iterate_until_count (&n, 60);
  case_end (&test);
  g_assert_cmpuint (mirror.items->len, ==, 0);
  mirror_clear (&mirror);

  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, NULL);
  mirror_init (&mirror, &test);
  g_assert_cmpuint (mirror.items->len, ==, 2);
  gone = test.pool;
  g_object_add_weak_pointer (G_OBJECT (test.pool), &gone);
  wait_idle (&test, 2);
  g_signal_connect (mirror.model, "items-changed", G_CALLBACK (drop_cb), &test.pool);
  afrpc_pool_worker_kill (mirror.items->pdata[0]);
  while (gone != NULL)
    g_main_context_iteration (NULL, TRUE);
  /* The list outlives the pool, and ends empty. */
  wait_items (&mirror, 0);
  wait_no_children ();
  mirror_clear (&mirror);
  g_ptr_array_unref (test.errors);
}

static void
test_pool_workers_of_nobody (void)
{
  g_autoptr(AfrpcPoolWorker) worker = g_object_new (AFRPC_TYPE_POOL_WORKER, NULL);
  g_autoptr(GError) error = NULL;

  g_test_summary ("One that no pool has made has nothing, and says so");
  g_assert_null (afrpc_pool_worker_get_process (worker));
  g_assert_cmpint (afrpc_pool_worker_get_pid (worker), ==, 0);
  g_assert_null (afrpc_pool_worker_get_current_call (worker));
  g_assert_null (afrpc_pool_worker_get_exit (worker));
  g_assert_cmpint (afrpc_pool_worker_get_memory (worker, &error), ==, -1);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  afrpc_pool_worker_retire (worker);
  afrpc_pool_worker_kill (worker);
}

static void
has_no_call_cb (AfrpcPool       *pool,
                AfrpcPoolWorker *worker,
                AfrpcExit       *exit,
                guint           *n)
{
  g_assert_null (afrpc_pool_worker_get_current_call (worker));
  (*n)++;
}

static void
taken_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      done)
{
  g_autoptr(AfrpcCall) call = afrpc_map_next_finish (AFRPC_MAP (source), result, NULL);

  g_assert_nonnull (call);
  *(gboolean *) done = TRUE;
}

static void
test_pool_workers_ended_map (void)
{
  g_autoptr(GVariant) input = g_variant_ref_sink (test_act ("exit", g_variant_new_int32 (3)));
  g_autoptr(AfrpcMap) map = NULL;
  gboolean done = FALSE;
  guint n = 0;
  Case test;

  g_test_summary ("One that has ended has no call of a map either when that is told");
  case_init (&test, "act", "max-workers", 1, "load", 1, "max-failures", 100, NULL);
  g_signal_connect (test.pool, "worker-ended", G_CALLBACK (has_no_call_cb), &n);
  map = afrpc_pool_map_variant (test.pool, g_variant_new_array (NULL, &input, 1), NULL, NULL, 0);
  afrpc_map_next_async (map, NULL, taken_cb, &done);
  iterate_until_count (&n, 1);
  test_iterate_until (&done);
  g_clear_object (&map);
  g_ptr_array_set_size (test.errors, 0);
  case_end (&test);
}

static void
iterate_until_ready (Case  *test,
                     guint  n)
{
  guint n_before = afrpc_pool_get_n_starting_workers (test->pool);

  g_assert_cmpuint (n_before, <=, MANY_A_TURN);
  while (afrpc_pool_get_n_idle_workers (test->pool) < n)
    {
      guint n_starting;

      g_main_context_iteration (NULL, TRUE);
      n_starting = afrpc_pool_get_n_starting_workers (test->pool);
      g_assert_cmpuint (n_starting, <=, n_before + MANY_A_TURN);
      n_before = n_starting;
    }
}

static void
test_pool_workers_many (void)
{
  Case test;

  g_test_summary ("Many that are to be started, or replaced, are so in several turns of the main loop, as are none of a few");
  case_init (&test, "act", "max-workers", N_MANY, "idle-workers", N_MANY, NULL);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, MANY_A_TURN);
  iterate_until_ready (&test, N_MANY);
  afrpc_pool_refresh (test.pool, NULL);
  g_assert_cmpuint (afrpc_pool_get_n_starting_workers (test.pool), ==, MANY_A_TURN);
  iterate_until_ready (&test, N_MANY);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, N_MANY);
  case_end (&test);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-workers/list", test_pool_workers_list);
  g_test_add_func ("/pool-workers/meanwhile", test_pool_workers_meanwhile);
  g_test_add_func ("/pool-workers/kill", test_pool_workers_kill);
  g_test_add_func ("/pool-workers/retire", test_pool_workers_retire);
  g_test_add_func ("/pool-workers/retire-and-cancel", test_pool_workers_retire_and_cancel);
  g_test_add_func ("/pool-workers/lowered", test_pool_workers_lowered);
  g_test_add_data_func ("/pool-workers/ended/closed", GUINT_TO_POINTER (FALSE), test_pool_workers_ended);
  g_test_add_data_func ("/pool-workers/ended/killed", GUINT_TO_POINTER (TRUE), test_pool_workers_ended);
  g_test_add_func ("/pool-workers/of-nobody", test_pool_workers_of_nobody);
  g_test_add_func ("/pool-workers/reentrant", test_pool_workers_reentrant);
  g_test_add_func ("/pool-workers/ended-map", test_pool_workers_ended_map);
  g_test_add_func ("/pool-workers/many", test_pool_workers_many);

  return g_test_run ();
}
