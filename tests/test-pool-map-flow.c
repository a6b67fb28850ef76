/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps: how many inputs are pulled, and when; who gets them, and what goes on beside that. */
#include "map-case.h"

static void
test_map_lazy (void)
{
  Case test;
  Numbers numbers = { 1000000, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;
  guint n = 0;

  g_test_summary ("No more is pulled than fits into a window, however long results are not taken");
  case_init (&test, "echo", "max-workers", 2, "start-delay-ms", 0, NULL);
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  while (n < 100000)
    {
      g_autoptr(GPtrArray) calls = take_many (map, 1000);

      for (guint i = 0; i < calls->len; i++)
        g_assert_cmpuint (number_of (calls->pdata[i]), ==, n++);
      g_assert_cmpuint (numbers.n_pulled - n, <=, 4096);
    }
  while (afrpc_pool_get_n_calls_queued (test.pool) > 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (numbers.n_pulled - n, <=, 4096);
  g_assert_cmpuint (numbers.n_destroyed, ==, 0);
  g_clear_object (&map);
  g_assert_cmpuint (numbers.n_destroyed, ==, 1);
  case_end (&test);
}

/* Has the map begin, and takes nothing. */
static void
ask_and_give_up (AfrpcMap *map)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  Next next = { FALSE, NULL, NULL, NULL };

  afrpc_map_next_async (map, cancellable, next_cb, &next);
  g_cancellable_cancel (cancellable);
  test_iterate_until (&next.done);
  g_assert_error (next.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&next.error);
}

static void
wait_settled (Case *test)
{
  while (afrpc_pool_get_n_calls_pending (test->pool) > 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_map_window (void)
{
  static const struct { guint load, window; } cases[] = {
    { 1, 16 }, { 4, 16 }, { 5, 20 }, { 1023, 4092 }, { 1024, 4096 }, { 1025, 4096 }, { 65536, 4096 },
  };

  g_test_summary ("Some times as many are pulled as workers can have: 16 at least, and 4096 at most");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      Case test;
      Numbers numbers = { 100000, 0, 0, 0, NULL };
      g_autoptr(AfrpcMap) map = NULL;
      Next next = { FALSE, NULL, NULL, NULL };

      case_init (&test, "echo", "max-workers", 1, "load", cases[i].load, NULL);
      map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
      afrpc_map_next_async (map, NULL, next_cb, &next);
      g_assert_cmpuint (numbers.n_pulled, ==, cases[i].window);
      test_iterate_until (&next.done);
      g_assert_no_error (next.error);
      g_clear_object (&next.call);
      g_clear_object (&map);
      case_end (&test);
    }
}

static void
test_map_untaken (void)
{
  const guint size = 8u << 20, n_window = 16, n_limit = 8; /* so many results have 64 MiB */
  Case test;
  g_autoptr(AfrpcProcess) template = template_new ();
  Numbers numbers = { .n = 1000, .size = size };
  g_autoptr(AfrpcMap) map = NULL;

  g_test_summary ("No more is pulled while 64 MiB of results were not taken");
  /* The window of async workers does not grow. */
  case_take (&test, AFRPC_POOL (g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async", "backend",
                                              AFRPC_BACKEND_ASYNC, "max-workers", 1, "load", 1, NULL)));
  map = afrpc_pool_map (test.pool, next_bytes, &numbers, destroyed_cb, NULL, NULL, AFRPC_MAP_ORDERED);
  ask_and_give_up (map);
  wait_settled (&test);
  g_assert_cmpuint (numbers.n_pulled, ==, n_window);
  for (guint n_left = n_window - 1; n_left >= n_limit; n_left--)
    {
      g_object_unref (take (map));
      g_assert_cmpuint (numbers.n_pulled, ==, n_window);
    }
  g_object_unref (take (map));
  g_assert_cmpuint (numbers.n_pulled, ==, 2 * n_window - n_limit + 1);
  g_clear_object (&map);
  case_end (&test);
}

static void
test_map_chunks (void)
{
  Case test;
  Numbers numbers = { .n = 50000 };
  g_autoptr(AfrpcMap) map = NULL;
  guint n = 0, n_most = 0;

  g_test_summary ("Small calls are given many at once, and 256 at most");
  case_init (&test, "echo", "max-workers", 1, "load", 1, NULL);
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  while (n < numbers.n)
    {
      g_autoptr(GPtrArray) calls = take_many (map, 1000);

      n += calls->len;
      n_most = MAX (n_most, afrpc_pool_get_n_calls_assigned (test.pool));
    }
  g_test_message ("%u at most", n_most);
  g_assert_cmpuint (n_most, <=, 256);
  /* How many are small enough depends on the machine. */
  g_assert_cmpuint (n_most, >=, 2);
  g_clear_object (&map);
  case_end (&test);
}

static void
test_map_room (void)
{
  Case test;
  Numbers numbers = { 500, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GPtrArray) others = g_ptr_array_new_with_free_func (g_object_unref);

  g_test_summary ("A map waits for room in the queue, leaves some to others, and never fails for want of it");
  case_init (&test, "echo", "max-workers", 2, "max-calls-queued", 8, "load", 1, NULL);
  /* There is no room at all, and only others make some. */
  for (guint i = 0; i < 8; i++)
    g_ptr_array_add (others, afrpc_caller_start (caller_of (&test), g_variant_new ("(u)", i), NULL));
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 500; i++)
    {
      g_autoptr(AfrpcCall) call = take (map);

      g_assert_cmpuint (number_of (call), ==, i);
      if (i > 10)
        g_ptr_array_add (others, afrpc_caller_start (caller_of (&test), g_variant_new ("(u)", i), NULL));
      if (i > 10 && i % 2 == 0)
        g_variant_unref (wait_value (others->pdata[others->len - 1]));
    }
  g_assert_null (take (map));
  for (guint i = 0; i < others->len; i++)
    g_variant_unref (wait_value (others->pdata[i]));
  g_clear_object (&map);
  g_clear_pointer (&others, g_ptr_array_unref);
  case_end (&test);
}

static void
test_map_behind (void)
{
  Case test;
  Meeting meeting;
  GVariantBuilder builder;
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);

  g_test_summary ("What waits in a chunk behind something long is done by others");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, NULL);
  wait_idle (&test, 2);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sv)"));
  for (guint i = 0; i < 600; i++)
    g_variant_builder_add_value (&builder, i == 300 ? meet (&meeting) : test_act ("return", g_variant_new_uint32 (i)));
  map = afrpc_pool_map_variant (test.pool, g_variant_builder_end (&builder), NULL, NULL, AFRPC_MAP_UNORDERED);
  for (guint i = 0; i < 599; i++)
    {
      g_ptr_array_add (calls, take (map));
      g_assert_cmpuint (afrpc_call_get_index (calls->pdata[i]), !=, 300);
    }
  meeting_let_go (&meeting);
  g_ptr_array_add (calls, take (map));
  g_assert_null (take (map));
  g_clear_pointer (&calls, g_ptr_array_unref);
  g_clear_object (&map);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_map_shares (void)
{
  Case test;
  GVariantBuilder builder;
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr(GHashTable) processes = g_hash_table_new (NULL, NULL);

  g_test_summary ("Calls that take long are given one by one, so that each worker has some");
  case_init (&test, "act", "max-workers", 4, "idle-workers", 4, "load", 1, NULL);
  wait_idle (&test, 4);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sv)"));
  for (guint i = 0; i < 40; i++)
    g_variant_builder_add_value (&builder, test_act ("wait", g_variant_new_uint32 (10)));
  map = afrpc_pool_map_variant (test.pool, g_variant_builder_end (&builder), NULL, NULL, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 40; i++)
    {
      g_ptr_array_add (calls, take (map));
      g_assert_cmpuint (afrpc_pool_get_n_calls_assigned (test.pool), <=, 4);
      g_hash_table_add (processes, afrpc_call_get_process (calls->pdata[i]));
    }
  g_assert_null (take (map));
  g_assert_cmpuint (g_hash_table_size (processes), ==, 4);
  g_clear_pointer (&calls, g_ptr_array_unref);
  g_clear_object (&map);
  case_end (&test);
}

/* How much of a map is under way when another call has its outcome. */
typedef struct
{
  Case *test;
  guint n_pending;
  gboolean done;
} Passed;

static void
passed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Passed *passed = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_full_finish (AFRPC_CALLER (source), result, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (value);
  passed->n_pending = afrpc_pool_get_n_calls_pending (passed->test->pool);
  passed->done = TRUE;
}

static void
test_map_turns (void)
{
  Case test;
  Numbers numbers = { G_MAXUINT, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  g_test_summary ("Another call has its turn, and its priority, before what a map has waiting, however many it gives at once");
  case_init (&test, "echo", "max-workers", 1, NULL);
  afrpc_call_options_set_priority (options, -1);
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 50; i++)
    {
      Passed passed = { &test, 0, FALSE };
      guint n_assigned, n_pending;

      /* What has been answered while nobody took is made anew as it is taken. */
      for (guint j = 0; j < 20 || afrpc_pool_get_n_calls_queued (test.pool) == 0; j++)
        g_ptr_array_unref (take_many (map, 1000));
      n_assigned = afrpc_pool_get_n_calls_assigned (test.pool);
      n_pending = afrpc_pool_get_n_calls_pending (test.pool);
      afrpc_caller_call_full (caller_of (&test), g_variant_new ("(u)", 1), options, NULL, passed_cb, &passed);
      test_iterate_until (&passed.done);
      /* Nothing is taken meanwhile, so that no more is made: what the worker had may have come before it, and nothing else. */
      g_assert_cmpuint (passed.n_pending, >=, n_pending - n_assigned);
    }
  g_clear_object (&map);
  case_end (&test);
}

static void
test_map_turns_of_equals (void)
{
  Case test;
  Numbers numbers = { G_MAXUINT, 0, 0, 0, NULL };
  g_autoptr(AfrpcMap) map = NULL;
  Flood flood;
  guint64 n_queued = 0, n_left = 0;
  guint n_taken = 0;

  g_test_summary ("Calls of the same priority take turns with what a map has waiting: neither waits for all of the others");
  case_init (&test, "echo", "max-workers", 1, NULL);
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  for (guint i = 0; i < 50; i++)
    {
      Passed passed = { &test, 0, FALSE };

      for (guint j = 0; j < 20 || afrpc_pool_get_n_calls_queued (test.pool) == 0; j++)
        g_ptr_array_unref (take_many (map, 1000));
      n_queued += afrpc_pool_get_n_calls_queued (test.pool);
      afrpc_caller_call_full (caller_of (&test), g_variant_new ("(u)", 1), NULL, NULL, passed_cb, &passed);
      test_iterate_until (&passed.done);
      n_left += passed.n_pending;
    }
  g_assert_cmpuint (n_left, >, n_queued / 4);

  flood_begin (&flood, &test, g_variant_new ("(u)", 1), 50);
  while (n_taken < 5000)
    {
      g_autoptr(GPtrArray) calls = take_many (map, 1000);

      n_taken += calls->len;
      g_assert_cmpuint (flood.n_made, <, 1000000);
    }
  flood_end (&flood);
  g_clear_object (&map);
  case_end (&test);
}

static void
test_map_turns_after_cancelled (void)
{
  Case test;
  Meeting meeting;
  Numbers numbers = { G_MAXUINT, 0, 0, 0, NULL };
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) blocker = NULL;
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcMap) map = NULL;
  Flood flood;
  guint n_cancelled = 0;

  g_test_summary ("A map does not wait for as many calls of others as maps before it had waiting when they were cancelled");
  meeting_init (&meeting);
  case_init (&test, "echo", "max-workers", 1, "load", 1, NULL);
  afrpc_call_options_set_function (options, "act");
  blocker = afrpc_caller_start (caller_of (&test), meet (&meeting), options);
  while (afrpc_pool_get_n_calls_assigned (test.pool) == 0)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < 200; i++)
    {
      Numbers others = { G_MAXUINT, 0, 0, 0, NULL };
      g_autoptr(AfrpcMap) cancelled = map_numbers (&test, &others, AFRPC_MAP_ORDERED);

      ask_and_give_up (cancelled);
      n_cancelled += others.n_pulled;
      afrpc_map_cancel (cancelled);
    }
  g_assert_cmpuint (n_cancelled, >, 1000);
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (blocker));

  flood_begin (&flood, &test, g_variant_new ("(u)", 1), 10);
  map = map_numbers (&test, &numbers, AFRPC_MAP_ORDERED);
  first = take (map);
  g_assert_cmpuint (flood.n_made, <, n_cancelled / 10);
  flood_end (&flood);
  g_clear_object (&first);
  g_clear_object (&map);
  g_clear_object (&blocker);
  case_end (&test);
  meeting_end (&meeting);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-map-flow/lazy", test_map_lazy);
  g_test_add_func ("/pool-map-flow/window", test_map_window);
  g_test_add_func ("/pool-map-flow/untaken", test_map_untaken);
  g_test_add_func ("/pool-map-flow/room", test_map_room);
  if (!is_command ())
    {
      g_test_add_func ("/pool-map-flow/chunks", test_map_chunks);
      g_test_add_func ("/pool-map-flow/behind", test_map_behind);
    }
  g_test_add_func ("/pool-map-flow/shares", test_map_shares);
  g_test_add_func ("/pool-map-flow/turns", test_map_turns);
  if (!is_command ())
    g_test_add_func ("/pool-map-flow/turns-of-equals", test_map_turns_of_equals);
  g_test_add_func ("/pool-map-flow/turns-after-cancelled", test_map_turns_after_cancelled);

  return g_test_run ();
}
