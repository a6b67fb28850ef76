/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools whose main context goes, or is not run. */
#include "pool-case.h"

#include <string.h>

static gboolean
tick_cb (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

/* Nobody tells of their end. What a command runs may go on, as with a proxy. */
static void
wait_left_children (void)
{
  guint tick;

  if (is_command ())
    return;

  tick = g_timeout_add (10, tick_cb, NULL);

  wait_no_children ();
  g_source_remove (tick);
}

static void
test_pool_context_all (gconstpointer data)
{
  GMainContext *context = g_main_context_new ();
  g_autoptr(AfrpcCallOptions) options = data != NULL ? idempotent_options () : NULL;
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  Case test;

  g_test_summary ("All calls settle with the main context: those that run, those that wait in a worker, and in the queue");
  g_main_context_push_thread_default (context);
  case_init (&test, "act", "max-workers", 3, "load", 2, "start-delay-ms", 0, NULL);
  for (guint i = 0; i < 9; i++)
    g_ptr_array_add (calls, start_act (&test, "until-cancelled", options));
  while (test.n_events < 3)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  for (guint i = 0; i < calls->len; i++)
    {
      g_autoptr(GError) error = NULL;

      g_assert_true (afrpc_call_is_settled (calls->pdata[i]));
      g_assert_null (afrpc_call_wait_sync (calls->pdata[i], NULL, &error));
      g_assert_true (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED) ||
                     g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED));
      g_assert_nonnull (strstr (error->message, "main context"));
    }
  g_clear_pointer (&calls, g_ptr_array_unref);
  g_assert_finalize_object (test.pool);
  g_ptr_array_unref (test.errors);
  wait_left_children ();
}

static void
told_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Outcome *outcome = data;

  outcome->value = test_call_finish (source, result, NULL, &outcome->error);
  outcome->done = TRUE;
}

static void
room_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Outcome *outcome = data;

  g_assert_false (afrpc_pool_wait_for_room_finish (AFRPC_POOL (source), result, &outcome->error));
  outcome->done = TRUE;
}

static void
assert_gone (GError *error)
{
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_assert_nonnull (strstr (error->message, "main context"));
}

static void
test_pool_context_before (void)
{
  GMainContext *context = g_main_context_new ();
  g_autoptr(GVariant) value = NULL;
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GError) error = NULL, error_of_map = NULL, error_of_all = NULL;
  g_auto(Outcome) told = { 0 };
  g_auto(Outcome) room = { 0 };
  Case test;

  g_test_summary ("What is called for when the main context has gone fails at once, as that");
  g_main_context_push_thread_default (context);
  case_init (&test, "act", "max-workers", 1, NULL);
  value = afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), NULL, &error);
  g_assert_no_error (error);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);

  g_assert_null (afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), NULL, &error));
  assert_gone (error);
  afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, told_cb, &told);
  test_iterate_until (&told.done);
  assert_gone (told.error);
  map = afrpc_pool_map_variant (test.pool, g_variant_new_parsed ("[1, 2]"), NULL, NULL, 0);
  g_assert_null (afrpc_map_next_sync (map, NULL, &error_of_map));
  assert_gone (error_of_map);
  afrpc_pool_wait_for_room_async (test.pool, NULL, room_cb, &room);
  test_iterate_until (&room.done);
  assert_gone (room.error);
  g_assert_false (afrpc_pool_call_all_sync (test.pool, test_act ("return", NULL), NULL, NULL, &error_of_all));
  assert_gone (error_of_all);
  g_assert_true (afrpc_caller_close_sync (caller_of (&test), NULL, NULL));
  g_clear_object (&map);
  g_assert_finalize_object (test.pool);
  g_ptr_array_unref (test.errors);
  wait_left_children ();
}

static void
test_pool_context_under_way (void)
{
  g_autoptr(AfrpcCall) given = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  GMainContext *context = g_main_context_new ();
  Case test;

  g_test_summary ("A context that goes, with calls under way and waiting, takes the pool with it");
  g_main_context_push_thread_default (context);
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  given = start_act (&test, "until-cancelled", NULL);
  waiting = start_act (&test, "return", NULL);
  while (test.n_events == 0)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  g_assert_true (afrpc_call_is_settled (given));
  g_assert_true (afrpc_call_is_settled (waiting));
  g_clear_object (&given);
  g_clear_object (&waiting);
  g_assert_finalize_object (test.pool);
  g_ptr_array_unref (test.errors);
}

static void
test_pool_context_answered (void)
{
  g_autoptr(AfrpcCall) answered = NULL;
  g_autoptr(AfrpcCall) waited = NULL;
  g_autoptr(AfrpcCall) under_way = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(GError) error = NULL;
  GMainContext *context = g_main_context_new ();
  Case test;

  g_test_summary ("What has arrived when a context goes is there for who waits for it; what has not been given is not started");
  g_main_context_push_thread_default (context);
  case_init (&test, "act", "max-workers", 1, "load", 3, NULL);
  answered = start_act (&test, "return", NULL);
  waited = start_act (&test, "return", NULL);
  under_way = start_act (&test, "until-cancelled", NULL);
  waiting = start_act (&test, "return", NULL);
  g_variant_unref (afrpc_call_wait_sync (waited, NULL, NULL));
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  g_variant_unref (afrpc_call_wait_sync (answered, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_call_get_started (answered), ==, AFRPC_STARTED_YES);
  g_assert_null (afrpc_call_wait_sync (under_way, NULL, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_null (afrpc_call_wait_sync (waiting, NULL, &error));
  g_assert_nonnull (error);
  g_assert_cmpint (afrpc_call_get_started (waiting), ==, is_command () ? afrpc_call_get_started (waiting) : AFRPC_STARTED_NO);
  g_clear_object (&answered);
  g_clear_object (&waited);
  g_clear_object (&under_way);
  g_clear_object (&waiting);
  g_assert_finalize_object (test.pool);
  g_ptr_array_unref (test.errors);
}

static void
test_pool_context_closed (gconstpointer is_killed)
{
  g_autoptr(GVariant) value = NULL;
  GMainContext *context = g_main_context_new ();
  Case test;

  g_test_summary ("A pool that has ended, which nobody is told any more, is not kept for that");
  g_main_context_push_thread_default (context);
  case_init (&test, "act", "max-workers", 1, NULL);
  value = afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), NULL, NULL);
  g_assert_nonnull (value);
  if (is_killed != NULL)
    afrpc_caller_kill (caller_of (&test));
  else
    afrpc_caller_close (caller_of (&test));
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  g_assert_finalize_object (test.pool);
  g_ptr_array_unref (test.errors);
}

static void
test_pool_context_not_run (void)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  GMainContext *context = g_main_context_new ();
  g_auto(Outcome) told = { 0 };
  Case test;

  g_test_summary ("What failed at once is told when a main loop runs, also if the first one does so after a call that blocks");
  g_main_context_push_thread_default (context);
  case_init (&test, "act", "max-workers", 1, NULL);
  g_cancellable_cancel (cancellable);
  afrpc_caller_call (caller_of (&test), test_act ("return", NULL), cancellable, outcome_cb, &told);
  value = afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), NULL, &error);
  g_assert_no_error (error);
  while (!told.done)
    g_main_context_iteration (context, TRUE);
  g_assert_error (told.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (afrpc_caller_close_sync (caller_of (&test), NULL, NULL));
  while (g_main_context_iteration (context, FALSE))
    ;
  g_assert_finalize_object (test.pool);
  g_ptr_array_unref (test.errors);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
}

/* Somebody whose end comes while the context goes, and uses what lived in it. */
typedef struct
{
  AfrpcCaller *pool;
  AfrpcCaller *proxy;
  AfrpcProcess *process; /* of the proxy */
  AfrpcMap *map;
  AfrpcCall *arrived;    /* its result has, and was not told */
  AfrpcCall *calls[3];   /* under way, of each; and one that no worker has */
  gboolean kills;
  guint n_asked;
  guint n_begun;
  guint n_told;
} Late;

static void
late_told_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      data)
{
  Late *late = data;

  late->n_told++;
}

/* What is begun now is told from the context that this thread has besides. */
static void
begin_late (Late *late)
{
  AfrpcCaller *callers[] = { late->pool, late->proxy };

  for (guint i = 0; i < G_N_ELEMENTS (late->calls); i++)
    afrpc_call_wait (late->calls[i], NULL, late_told_cb, late);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      afrpc_caller_close_async (callers[i], NULL, late_told_cb, late);
      afrpc_caller_call (callers[i], test_act ("return", NULL), NULL, late_told_cb, late);
    }
  afrpc_process_wait_async (late->process, NULL, late_told_cb, late);
  afrpc_pool_call_all_async (AFRPC_POOL (late->pool), test_act ("return", NULL), NULL, NULL, late_told_cb, late);
  afrpc_pool_wait_for_room_async (AFRPC_POOL (late->pool), NULL, late_told_cb, late);
  afrpc_map_next_async (late->map, NULL, late_told_cb, late);
  late->n_begun += 11;
}

static void
ask (Late *late)
{
  AfrpcCaller *callers[] = { late->pool, late->proxy };
  g_autoptr(GError) error = NULL;

  if (late->kills)
    afrpc_caller_kill (late->pool);
  afrpc_pool_set_load (AFRPC_POOL (late->pool), 3 + late->n_asked);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      g_assert_null (afrpc_caller_call_sync (callers[i], test_act ("return", NULL), NULL, &error));
      g_assert_nonnull (error);
      g_clear_error (&error);
    }
  for (guint i = 0; i < G_N_ELEMENTS (late->calls); i++)
    {
      g_assert_null (afrpc_call_wait_sync (late->calls[i], NULL, &error));
      g_assert_nonnull (error);
      g_assert_null (strstr (error->message, "forked"));
      g_clear_error (&error);
    }
  g_variant_unref (afrpc_call_wait_sync (late->arrived, NULL, NULL));
  begin_late (late);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    g_assert_true (afrpc_caller_close_sync (callers[i], NULL, NULL));
  g_assert_null (afrpc_process_wait_sync (late->process, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_null (afrpc_map_next_sync (late->map, NULL, &error));
  g_assert_nonnull (error);
  late->n_asked++;
}

static void
source_gone_cb (gpointer data)
{
  ask (data);
}

static void
call_gone_cb (gpointer  data,
              GObject  *call)
{
  ask (data);
}

static void
add_late_source (Late         *late,
                 GMainContext *context,
                 int           priority)
{
  g_autoptr(GSource) source = g_timeout_source_new_seconds (1000);

  g_source_set_priority (source, priority);
  g_source_set_callback (source, tick_cb, late, source_gone_cb);
  g_source_attach (source, context);
}

static void
test_pool_context_late (gconstpointer kills)
{
  GMainContext *context = g_main_context_new ();
  AfrpcCall *left;
  Late late = { .kills = kills != NULL };
  Case other, test, third;

  g_test_summary ("What goes with the main context may use pools and proxies of it, for which it has gone");
  g_main_context_push_thread_default (context);
  add_late_source (&late, context, G_PRIORITY_HIGH);
  add_late_source (&late, context, G_PRIORITY_LOW);
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  case_init (&other, "act", "max-workers", 1, "load", 1, "call-timeout-ms", 600000, NULL);
  late.process = test_process_new ();
  afrpc_process_require (late.process, g_getenv ("AFRPC_TEST_WORKER"));
  late.proxy = AFRPC_CALLER (afrpc_proxy_new (late.process, "act"));
  g_signal_connect (late.proxy, "event", G_CALLBACK (test_ignore_cb), NULL);
  g_signal_connect (late.proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  late.pool = caller_of (&test);
  late.calls[0] = start_act (&test, "until-cancelled", NULL);
  late.calls[1] = afrpc_caller_start (late.proxy, test_act ("until-cancelled", NULL), NULL);
  late.calls[2] = start_act (&test, "return", NULL);
  late.map = afrpc_pool_map_variant (test.pool, g_variant_new_parsed ("[1, 2]"), NULL, NULL, 0);
  for (guint i = 0; i < 3; i++)
    g_object_unref (start_act (&other, i == 0 ? "until-cancelled" : "return", NULL));
  left = start_act (&test, "return", NULL);
  g_object_weak_ref (G_OBJECT (left), call_gone_cb, &late);
  g_object_unref (left);
  add_late_source (&late, context, G_PRIORITY_DEFAULT);
  while (test.n_events == 0 || other.n_events == 0)
    g_main_context_iteration (context, TRUE);
  case_init (&third, "act", "max-workers", 1, "load", 2, NULL);
  late.arrived = start_act (&third, "return", NULL);
  g_variant_unref (afrpc_caller_call_sync (caller_of (&third), test_act ("return", NULL), NULL, NULL));
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  begin_late (&late);
  while (late.n_told < late.n_begun)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (late.n_told, ==, late.n_begun);
  g_assert_cmpuint (late.n_asked, ==, 4);

  for (guint i = 0; i < G_N_ELEMENTS (late.calls); i++)
    g_object_unref (late.calls[i]);
  g_object_unref (late.arrived);
  g_object_unref (late.map);
  g_assert_finalize_object (late.proxy);
  g_assert_finalize_object (late.process);
  g_assert_finalize_object (test.pool);
  g_assert_finalize_object (other.pool);
  g_assert_finalize_object (third.pool);
  g_ptr_array_unref (third.errors);
  g_ptr_array_unref (test.errors);
  g_ptr_array_unref (other.errors);
  wait_left_children ();
}

typedef struct
{
  AfrpcCaller *pool;
  guint n_within;
} Within;

static void
args_gone_cb (gpointer data)
{
  Within *within = data;
  g_autoptr(GError) error = NULL;

  if (within->n_within++ >= 3)
    return;

  g_assert_null (afrpc_caller_call_sync (within->pool, test_act ("return", NULL), NULL, &error));
  g_assert_nonnull (error);
}

/* What a worker is to have that cannot be started, and gives back. */
static GVariant *
args_of (Within *within)
{
  static const guint64 word = 0;

  return g_variant_new_from_data (G_VARIANT_TYPE_UINT64, &word, sizeof word, TRUE, args_gone_cb, within);
}

static void
test_pool_context_within (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  Within within = { 0 };

  g_test_summary ("What calls had may make others that block when it is let go of, also by who blocks for the same pool");
  afrpc_process_require (process, "/nonexistent/module.so");
  within.pool = AFRPC_CALLER (afrpc_pool_new (process, "act"));
  g_signal_connect (within.pool, "error", G_CALLBACK (test_ignore_cb), NULL);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(AfrpcCall) first = afrpc_caller_start (within.pool, args_of (&within), NULL);
      g_autoptr(AfrpcCall) second = afrpc_caller_start (within.pool, args_of (&within), NULL);
      g_autoptr(GError) error = NULL;

      g_assert_null (afrpc_call_wait_sync (second, NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE);
    }
  g_assert_true (afrpc_caller_close_sync (within.pool, NULL, NULL));
  while (within.n_within < 6)
    g_main_context_iteration (NULL, TRUE);
  g_object_unref (within.pool);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/pool-context/all/once", NULL, test_pool_context_all);
  g_test_add_data_func ("/pool-context/all/idempotent", "", test_pool_context_all);
  g_test_add_func ("/pool-context/before", test_pool_context_before);
  g_test_add_func ("/pool-context/under-way", test_pool_context_under_way);
  g_test_add_func ("/pool-context/answered", test_pool_context_answered);
  g_test_add_data_func ("/pool-context/closed", NULL, test_pool_context_closed);
  g_test_add_data_func ("/pool-context/killed", "", test_pool_context_closed);
  g_test_add_data_func ("/pool-context/late/used", NULL, test_pool_context_late);
  g_test_add_data_func ("/pool-context/late/killed", "", test_pool_context_late);
  g_test_add_func ("/pool-context/within", test_pool_context_within);
  g_test_add_func ("/pool-context/not-run", test_pool_context_not_run);

  return g_test_run ();
}
