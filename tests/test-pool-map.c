/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps: many calls of a pool, with inputs that are pulled as results are taken; what a map brings. */
#include "map-case.h"

static void
test_map_ordered (void)
{
  Case test;
  Numbers numbers = { 5000, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;

  g_test_summary ("Results come in the order of the inputs, each with its place, its process, and whether it was started");
  case_init (&test, "echo", "max-workers", 3, "start-delay-ms", 0, NULL);
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  g_assert_true (afrpc_map_get_pool (map) == test.pool);
  g_assert_cmpuint (numbers.n_pulled, ==, 0);
  for (guint i = 0; i < 5000; i++)
    {
      g_autoptr(AfrpcCall) call = take (map);

      g_assert_cmpuint (number_of (call), ==, i);
      g_assert_cmpuint (afrpc_call_get_index (call), ==, i);
      g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_YES);
      g_assert_nonnull (afrpc_call_get_process (call));
      g_assert_true (afrpc_call_get_caller (call) == caller_of (&test));
    }
  g_assert_null (take (map));
  g_assert_null (take (map));
  g_assert_cmpuint (numbers.n_destroyed, ==, 1);
  g_clear_object (&map);
  case_end (&test);
}

static void
test_map_unordered (void)
{
  Case test;
  Meeting meeting;
  GVariantBuilder builder;
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(AfrpcCall) last = NULL;
  gboolean seen[101] = { FALSE };

  g_test_summary ("Results come as they are there, if that is wanted: one that takes long holds none");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, NULL);
  wait_idle (&test, 2);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sv)"));
  g_variant_builder_add_value (&builder, meet (&meeting));
  for (guint i = 1; i <= 100; i++)
    g_variant_builder_add_value (&builder, test_act ("return", g_variant_new_uint32 (i)));
  map = afrpc_pool_map_variant (test.pool, g_variant_builder_end (&builder), NULL, NULL, AFRPC_MAP_UNORDERED);
  for (guint i = 1; i <= 100; i++)
    {
      g_autoptr(AfrpcCall) call = take (map);

      g_assert_cmpuint (number_of (call), ==, afrpc_call_get_index (call));
      g_assert_false (seen[number_of (call)]);
      seen[number_of (call)] = TRUE;
    }
  meeting_let_go (&meeting);
  last = take (map);
  g_assert_cmpuint (afrpc_call_get_index (last), ==, 0);
  g_assert_null (take (map));
  g_clear_object (&last);
  g_clear_object (&map);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_map_sync (void)
{
  Case test;
  Numbers numbers = { 3000, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GError) error = NULL;
  guint n = 0;

  g_test_summary ("Who blocks gets the same, one by one or many at once");
  case_init (&test, "echo", "max-workers", 2, "start-delay-ms", 0, NULL);
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  for (; n < 1000; n++)
    {
      g_autoptr(AfrpcCall) call = afrpc_map_next_sync (map, NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (number_of (call), ==, n);
    }
  for (;;)
    {
      g_autoptr(GPtrArray) calls = afrpc_map_next_many_sync (map, 100, NULL, &error);

      g_assert_no_error (error);
      if (calls->len == 0)
        break;
      g_assert_cmpuint (calls->len, <=, 100);
      for (guint i = 0; i < calls->len; i++)
        g_assert_cmpuint (number_of (calls->pdata[i]), ==, n++);
    }
  g_assert_cmpuint (n, ==, 3000);
  g_assert_null (afrpc_map_next_sync (map, NULL, &error));
  g_assert_no_error (error);
  g_clear_object (&map);
  case_end (&test);
}

/* What another map has given is called for once more. */
static GVariant *
next_of_map (gpointer data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcCall) call = afrpc_map_next_sync (data, NULL, &error);

  g_assert_no_error (error);

  return call != NULL ? g_variant_new ("(u)", number_of (call)) : NULL;
}

static void
test_map_nested (void)
{
  Case test;

  g_test_summary ("The inputs of a map may be the results of another one, and those of that, of the same pool");
  case_init (&test, "echo", "max-workers", 2, "start-delay-ms", 0, NULL);
  for (guint i = 0; i < 100; i++)
    {
      Numbers numbers = { 500, 0, 0, 0, NULL };
      g_autoptr(AfrpcMap) first = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
      g_autoptr(AfrpcMap) second = afrpc_pool_map (test.pool, next_of_map, first, NULL, NULL, NULL, AFRPC_MAP_ORDERED);
      g_autoptr(AfrpcMap) third = afrpc_pool_map (test.pool, next_of_map, second, NULL, NULL, NULL, AFRPC_MAP_ORDERED);

      for (guint n = 0; n < 500; n++)
        {
          g_autoptr(GError) error = NULL;
          g_autoptr(AfrpcCall) call = afrpc_map_next_sync (third, NULL, &error);

          g_assert_no_error (error);
          g_assert_cmpuint (number_of (call), ==, n);
        }
    }
  case_end (&test);
}

static void
test_map_errors (void)
{
  Case test;
  GVariantBuilder builder;
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();

  g_test_summary ("A call that fails ends nothing, and what it failed with is its own");
  case_init (&test, "act", "max-workers", 2, NULL);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("av"));
  for (guint i = 0; i < 100; i++)
    g_variant_builder_add (&builder, "v", test_act (i % 3 == 1 ? "file-error" : "return", g_variant_new_uint32 (i)));
  map = afrpc_pool_map_variant (test.pool, g_variant_builder_end (&builder), options, NULL, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 100; i++)
    {
      g_autoptr(AfrpcCall) call = take (map);

      if (i % 3 == 1)
        {
          g_autoptr(GError) error = wait_error (call);

          g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
          g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_YES);
        }
      else
        g_assert_cmpuint (number_of (call), ==, i);
    }
  g_assert_null (take (map));
  g_clear_object (&map);
  case_end (&test);
}

static GVariant *
make_args (GObject  *item,
           gpointer  data)
{
  ++*(guint *) data;

  return g_variant_new ("(u)", GPOINTER_TO_UINT (g_object_get_data (item, "number")));
}

static void
count_cb (gpointer data)
{
  *(guint *) data += 1000;
}

static void
test_map_list (void)
{
  Case test;
  g_autoptr(GListStore) store = g_list_store_new (G_TYPE_OBJECT);
  g_autoptr(AfrpcMap) map = NULL;
  guint n_made = 0;

  g_test_summary ("Items of a list are inputs, too");
  for (guint i = 0; i < 100; i++)
    {
      g_autoptr(GObject) item = g_object_new (G_TYPE_OBJECT, NULL);

      g_object_set_data (item, "number", GUINT_TO_POINTER (i * 2));
      g_list_store_append (store, item);
    }
  case_init (&test, "echo", NULL);
  map = afrpc_pool_map_list (test.pool, G_LIST_MODEL (store), make_args, &n_made, count_cb, NULL, NULL, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 100; i++)
    {
      g_autoptr(AfrpcCall) call = take (map);

      g_assert_cmpuint (number_of (call), ==, i * 2);
    }
  g_assert_null (take (map));
  g_assert_cmpuint (n_made, ==, 1100);
  g_clear_object (&map);
  case_end (&test);
}

static void
waited_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Outcome *outcome = data;

  outcome->value = afrpc_call_wait_finish (AFRPC_CALL (source), result, &outcome->error);
  outcome->done = TRUE;
}

static void
test_map_waits (void)
{
  Case test;
  Numbers numbers = { 3, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  Next next[5] = { { FALSE, NULL, NULL, NULL } };

  g_test_summary ("Any number may wait for the next, and get it in their order; who does not wait any longer loses nothing");
  case_init (&test, "echo", NULL);
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 5; i++)
    afrpc_map_next_async (map, i == 1 ? cancellable : NULL, next_cb, &next[i]);
  g_cancellable_cancel (cancellable);
  for (guint i = 0; i < 5; i++)
    test_iterate_until (&next[i].done);
  g_assert_error (next[1].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (number_of (next[0].call), ==, 0);
  g_assert_cmpuint (number_of (next[2].call), ==, 1);
  g_assert_cmpuint (number_of (next[3].call), ==, 2);
  g_assert_null (next[4].call);
  g_assert_no_error (next[4].error);
  g_clear_error (&next[1].error);
  {
    g_auto(Outcome) outcome = { 0 };

    afrpc_call_wait (next[2].call, NULL, waited_cb, &outcome);
    test_iterate_until (&outcome.done);
    g_assert_nonnull (outcome.value);
  }
  for (guint i = 0; i < 4; i++)
    g_clear_object (&next[i].call);
  g_clear_object (&map);
  case_end (&test);
}

static void
test_map_async (void)
{
  Case test;
  g_autoptr(AfrpcProcess) template = template_new ();
  GVariantBuilder builder;
  g_autoptr(AfrpcMap) map = NULL;

  g_test_summary ("An async worker runs no more at once than its load says");
  case_take (&test, AFRPC_POOL (g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async", "backend",
                                              AFRPC_BACKEND_ASYNC, "max-workers", 1, "load", 3, NULL)));
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sv)"));
  for (guint i = 0; i < 200; i++)
    g_variant_builder_add_value (&builder, test_act ("crowd", g_variant_new_uint32 (i % 2)));
  map = afrpc_pool_map_variant (test.pool, g_variant_builder_end (&builder), NULL, NULL, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr(AfrpcCall) call = take (map);

      g_assert_cmpuint (number_of (call), <=, 3);
    }
  g_assert_null (take (map));
  g_clear_object (&map);
  case_end (&test);
}

/* What the page on pools shows. */

typedef struct
{
  guint n;
  guint64 sum;
  GError *error;
  gboolean done;
} Sum;

static GVariant *
next_input (gpointer data)
{
  Sum *sum = data;

  return sum->n < 1000 ? test_act ("return", g_variant_new_uint32 (sum->n++)) : NULL;
}

static void
taken_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      data)
{
  Sum *sum = data;
  AfrpcMap *map = AFRPC_MAP (source);
  g_autoptr(AfrpcCall) call = afrpc_map_next_finish (map, result, &sum->error);
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;

  sum->done = call == NULL;
  if (call == NULL)
    return;

  /* It has its outcome: this does not block. */
  value = afrpc_call_wait_sync (call, NULL, &error);
  if (value != NULL)
    sum->sum += g_variant_get_uint32 (value);
  else
    g_warning ("input %" G_GUINT64_FORMAT ": %s", afrpc_call_get_index (call), error->message);
  afrpc_map_next_async (map, NULL, taken_cb, sum);
}

static void
test_map_shown (void)
{
  Sum sum = { 0 };
  Case test;
  AfrpcPool *pool;
  g_autoptr(AfrpcMap) map = NULL;

  g_test_summary ("The map that the page on pools shows");
  case_init (&test, "act", "max-workers", 2, NULL);
  pool = test.pool;
  map = afrpc_pool_map (pool, next_input, &sum, NULL, NULL, NULL, AFRPC_MAP_ORDERED);
  afrpc_map_next_async (map, NULL, taken_cb, &sum);
  test_iterate_until (&sum.done);
  g_clear_object (&map);
  g_assert_no_error (sum.error);
  g_assert_cmpuint (sum.sum, ==, 999 * 1000 / 2);
  case_end (&test);
}

static void
test_map_call_awaited (void)
{
  Case test;
  Numbers numbers = { .n = 200 };
  g_autoptr(AfrpcPoolWorker) worker = NULL;
  g_autoptr(AfrpcCall) awaited = NULL;
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcCall *call;
  guint n = 0;

  g_test_summary ("Who finds a call of a map with a worker may wait for it");
  case_init (&test, "act", "max-workers", 1, NULL);
  map = afrpc_pool_map (test.pool, next_act, &numbers, destroyed_cb, NULL, NULL, AFRPC_MAP_ORDERED);
  g_object_unref (afrpc_map_next_sync (map, NULL, &error));
  g_assert_no_error (error);
  worker = g_list_model_get_item (afrpc_pool_get_workers (test.pool), 0);
  while (awaited == NULL)
    {
      g_set_object (&awaited, afrpc_pool_worker_get_current_call (worker));
      if (awaited == NULL)
        {
          g_object_unref (afrpc_map_next_sync (map, NULL, &error));
          n++;
        }
    }
  value = afrpc_call_wait_sync (awaited, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (value);
  while ((call = afrpc_map_next_sync (map, NULL, &error)) != NULL)
    {
      g_object_unref (call);
      n++;
    }
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, numbers.n - 1);
  g_clear_object (&worker);
  g_clear_object (&awaited);
  g_clear_object (&map);
  case_end (&test);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-map/ordered", test_map_ordered);
  g_test_add_func ("/pool-map/sync", test_map_sync);
  g_test_add_func ("/pool-map/nested", test_map_nested);
  g_test_add_func ("/pool-map/errors", test_map_errors);
  if (!is_command ())
    g_test_add_func ("/pool-map/unordered", test_map_unordered);
  g_test_add_func ("/pool-map/list", test_map_list);
  g_test_add_func ("/pool-map/waits", test_map_waits);
  g_test_add_func ("/pool-map/async", test_map_async);
  g_test_add_func ("/pool-map/call-awaited", test_map_call_awaited);
  g_test_add_func ("/pool-map/shown", test_map_shown);

  return g_test_run ();
}
