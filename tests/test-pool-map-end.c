/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps: their ends, those of their workers and pools; and inputs that are asked for by whoever does something else. */
#include "map-case.h"

static void
test_map_death (gconstpointer data)
{
  const gboolean blocks = data != NULL;
  Case test;
  Numbers numbers = { 2000, 0, 0, 700, NULL };
  g_autoptr(AfrpcMap) map = NULL;

  g_test_summary ("When a worker dies, what it was running fails, and what it had not begun is done by others, in its turn");
  case_init (&test, "act", "max-workers", 2, "start-delay-ms", 0, NULL);
  map = afrpc_pool_map (test.pool, next_act, &numbers, destroyed_cb, NULL, NULL, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 2000; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(AfrpcCall) call = blocks ? afrpc_map_next_sync (map, NULL, &error) : take (map);

      g_assert_no_error (error);
      g_assert_cmpuint (afrpc_call_get_index (call), ==, i);
      if (i != 699)
        {
          g_assert_cmpuint (number_of (call), ==, i);
          continue;
        }
      g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_YES);
      g_assert_cmpint (afrpc_exit_get_status (afrpc_call_get_exit (call)), ==, 0xbb);
    }
  if (!blocks)
    g_assert_null (take (map));
  g_clear_object (&map);
  case_end (&test);
}

static void
test_map_cancel (gconstpointer data)
{
  const gboolean by_cancellable = data != NULL;
  Case test;
  Meeting meeting;
  GVariantBuilder builder;
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;
  guint n_cancelled = 0;
  AfrpcCall *call;

  g_test_summary ("What is under way is given up, what was not pulled never is, and the end says so");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, NULL);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sv)"));
  g_variant_builder_add_value (&builder, test_act ("return", g_variant_new_uint32 (0)));
  for (guint i = 0; i < 100; i++)
    g_variant_builder_add_value (&builder, meet (&meeting));
  map = afrpc_pool_map_variant (test.pool, g_variant_builder_end (&builder), NULL, cancellable, AFRPC_MAP_ORDERED);
  call = take (map);
  g_assert_cmpuint (number_of (call), ==, 0);
  g_clear_object (&call);
  if (by_cancellable)
    g_cancellable_cancel (cancellable);
  else
    afrpc_map_cancel (map);
  while ((call = take_or_error (map, &error)) != NULL)
    {
      g_autoptr(GError) own = wait_error (call);

      g_assert_error (own, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_object_unref (call);
      n_cancelled++;
    }
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (n_cancelled, >=, 1);
  g_assert_cmpuint (n_cancelled, <, 100);
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), ==, 0);
  g_clear_object (&map);
  meeting_let_go (&meeting);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_map_drop (gconstpointer data)
{
  const gboolean elsewhere = data != NULL;
  Case test;
  Numbers numbers = { 100000, 0, 0, 0, NULL };
  AfrpcMap *map;
  g_autoptr(AfrpcCall) call = NULL;
  guint n;

  g_test_summary ("Dropping a map, on whatever thread, gives up what is under way; the pool goes on");
  case_init (&test, "echo", "max-workers", 2, NULL);
  map = map_numbers (&test, &numbers, data != NULL ? AFRPC_MAP_UNORDERED : AFRPC_MAP_ORDERED);
  g_object_unref (take (map));
  if (elsewhere)
    g_thread_join (g_thread_new ("drop", drop_thread, map));
  else
    g_object_unref (map);
  while (numbers.n_destroyed == 0 || afrpc_pool_get_n_calls_queued (test.pool) > 0)
    g_main_context_iteration (NULL, TRUE);
  n = numbers.n_pulled;
  g_assert_cmpuint (n, <=, 4096 + 1); /* as many as may be untaken, and the one that was taken */
  call = afrpc_caller_start (caller_of (&test), g_variant_new ("(u)", 7), NULL);
  g_assert_cmpuint (number_of (call), ==, 7);
  g_assert_cmpuint (numbers.n_pulled, ==, n);
  g_clear_object (&call);
  case_end (&test);
}

static void
test_map_unused (void)
{
  Case test;
  Numbers numbers = { 10, 0, 0, 0, NULL };

  g_test_summary ("A map of which nothing is asked does nothing");
  case_init (&test, "echo", NULL);
  g_object_unref (map_numbers (&test, &numbers, AFRPC_MAP_ORDERED));
  g_assert_cmpuint (numbers.n_pulled, ==, 0);
  g_assert_cmpuint (numbers.n_destroyed, ==, 1);
  case_end (&test);
}

static void
test_map_closed (void)
{
  Case test;
  Numbers numbers = { 1000, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Once the pool is closed, what is under way is finished, no more is pulled, and the end says so");
  case_init (&test, "echo", "max-workers", 1, NULL);
  numbers.closed = test.pool;
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 500; i++)
    {
      g_autoptr(AfrpcCall) call = take (map);

      g_assert_cmpuint (number_of (call), ==, i);
    }
  {
    g_autoptr(AfrpcCall) late = take (map);
    g_autoptr(GError) too_late = wait_error (late);

    g_assert_error (too_late, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  }
  error = take_end (map);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_assert_cmpuint (numbers.n_pulled, ==, 501);
  g_clear_object (&map);
  case_end (&test);
}

static void
test_map_failed (void)
{
  Case test;
  Numbers numbers = { 1000000, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcCall *call;
  guint n = 0;

  g_test_summary ("Once the pool has failed, calls fail with that, and so does the end");
  case_init (&test, "no-such-function", NULL);
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  while ((call = take_or_error (map, &error)) != NULL)
    {
      g_object_unref (call);
      n++;
    }
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION);
  g_assert_cmpuint (n, >=, 1);
  g_assert_cmpuint (n, <=, 4096 + 1); /* as many as may be untaken, and the one that was taken */
  g_clear_object (&map);
  case_end (&test);
}

static void
test_map_killed (gconstpointer data)
{
  Case test;
  Numbers numbers = { 1000000, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcCall *call;

  g_test_summary ("When the pool is killed, every call settles, and the end comes");
  case_init (&test, "echo", "max-workers", 2, NULL);
  map = map_numbers (&test, &numbers, GPOINTER_TO_INT (data));
  for (guint i = 0; i < 100; i++)
    g_object_unref (take (map));
  afrpc_caller_kill (caller_of (&test));
  while ((call = take_or_error (map, &error)) != NULL)
    g_object_unref (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_clear_object (&map);
  case_end (&test);
}

/* Inputs of one map are results of another. */
static GVariant *
next_of_map (gpointer map)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcCall) call = afrpc_map_next_sync (map, NULL, &error);

  g_assert_no_error (error);

  return call != NULL ? afrpc_call_wait_sync (call, NULL, &error) : NULL;
}

static void
test_map_nested (gconstpointer data)
{
  const gboolean blocks = data != NULL;
  Case test;
  Numbers numbers = { 500, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) inner = NULL;
  g_autoptr(AfrpcMap) map = NULL;

  g_test_summary ("What makes inputs may take results of another map of the same pool");
  case_init (&test, "echo", "max-workers", 2, NULL);
  inner = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  map = afrpc_pool_map (test.pool, next_of_map, inner, NULL, NULL, NULL, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 500; i++)
    {
      g_autoptr(AfrpcCall) call = blocks ? afrpc_map_next_sync (map, NULL, NULL) : take (map);

      g_assert_cmpuint (number_of (call), ==, i);
    }
  g_assert_null (take (map));
  g_clear_object (&map);
  g_clear_object (&inner);
  case_end (&test);
}

static void
test_map_renewed (void)
{
  Case test;
  Numbers numbers = { 3000, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GHashTable) pids = g_hash_table_new (NULL, NULL);

  g_test_summary ("Workers that are renewed after so many calls get no more than these");
  case_init (&test, "echo", "max-workers", 1, "max-calls", 300, NULL);
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 3000; i++)
    {
      g_autoptr(AfrpcCall) call = take (map);
      gpointer pid = GINT_TO_POINTER (pid_of (call));
      guint n = GPOINTER_TO_UINT (g_hash_table_lookup (pids, pid)) + 1;

      g_assert_cmpuint (number_of (call), ==, i);
      g_hash_table_replace (pids, pid, GUINT_TO_POINTER (n));
      if (!is_command ())
        g_assert_cmpuint (n, <=, 300);
    }
  g_clear_object (&map);
  case_end (&test);
}

/* What a function that makes inputs does, but for that. */
typedef struct
{
  AfrpcPool *pool;
  AfrpcMap *map;
  guint n_pulled;
  guint n_nested;
  gboolean is_inside;
  gboolean is_destroyed;
  gboolean cancels;
  gboolean waits;
} Meddler;

static GVariant *
next_meddling (gpointer data)
{
  Meddler *self = data;
  g_autoptr(GVariant) value = NULL;

  if (self->n_pulled == 2000)
    return NULL;
  if (self->cancels && self->n_pulled == 5)
    {
      afrpc_map_cancel (self->map);
      g_assert_false (self->is_destroyed);
    }
  if (self->waits)
    {
      g_autoptr(GError) error = NULL;

      g_assert_null (afrpc_map_next_sync (self->map, NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
      self->n_nested++;
      return NULL;
    }
  if (!self->is_inside && self->n_pulled % 5 == 0)
    {
      self->is_inside = TRUE;
      value = afrpc_caller_call_sync (AFRPC_CALLER (self->pool), g_variant_new ("(u)", 7), NULL, NULL);
      self->is_inside = FALSE;
      self->n_nested++;
    }

  return g_variant_new ("(u)", self->n_pulled++);
}

static void
meddler_destroyed_cb (gpointer data)
{
  ((Meddler *) data)->is_destroyed = TRUE;
}

static void
test_map_meddling (gconstpointer data)
{
  const char *what = data;
  Case test;
  Meddler meddler = { .cancels = g_str_equal (what, "cancel"), .waits = g_str_equal (what, "wait") };
  g_autoptr(GError) error = NULL;
  AfrpcCall *call;

  g_test_summary ("A function that makes inputs may call the pool, give up its map, and is told if it waits for itself");
  case_init (&test, "echo", "max-workers", 1, "load", 1, "max-calls-queued", 3, NULL);
  meddler.pool = test.pool;
  meddler.map = afrpc_pool_map (test.pool, next_meddling, &meddler, meddler_destroyed_cb, NULL, NULL, AFRPC_MAP_ORDERED);
  /* Blocking calls make room in the queue, for which the map waits. */
  while ((call = afrpc_map_next_sync (meddler.map, NULL, &error)) != NULL)
    {
      g_object_unref (call);
      if (!meddler.cancels)
        g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (test.pool), g_variant_new ("(u)", 8), NULL, NULL));
    }
  if (meddler.cancels)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  else
    g_assert_no_error (error);
  g_assert_cmpuint (meddler.n_nested, >, 0);
  g_assert_true (meddler.is_destroyed);
  g_object_unref (meddler.map);
  case_end (&test);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  if (!is_command ())
    {
      g_test_add_data_func ("/pool-map-end/death", NULL, test_map_death);
      g_test_add_data_func ("/pool-map-end/death-sync", "", test_map_death);
      g_test_add_func ("/pool-map-end/unused", test_map_unused);
    }
  g_test_add_data_func ("/pool-map-end/cancel", NULL, test_map_cancel);
  g_test_add_data_func ("/pool-map-end/cancellable", "", test_map_cancel);
  g_test_add_data_func ("/pool-map-end/drop", NULL, test_map_drop);
  g_test_add_data_func ("/pool-map-end/drop-elsewhere", "", test_map_drop);
  g_test_add_func ("/pool-map-end/closed", test_map_closed);
  g_test_add_func ("/pool-map-end/failed", test_map_failed);
  g_test_add_data_func ("/pool-map-end/killed", NULL, test_map_killed);
  g_test_add_data_func ("/pool-map-end/killed-unordered", GINT_TO_POINTER (AFRPC_MAP_UNORDERED), test_map_killed);
  g_test_add_data_func ("/pool-map-end/nested", NULL, test_map_nested);
  g_test_add_data_func ("/pool-map-end/nested-sync", "", test_map_nested);
  g_test_add_func ("/pool-map-end/renewed", test_map_renewed);
  g_test_add_data_func ("/pool-map-end/meddling/call", "call", test_map_meddling);
  g_test_add_data_func ("/pool-map-end/meddling/cancel", "cancel", test_map_meddling);
  g_test_add_data_func ("/pool-map-end/meddling/wait", "wait", test_map_meddling);

  return g_test_run ();
}
