/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps: many calls of a pool, with inputs that are pulled as results are taken. */
#include "pool-case.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Numbers from 0 on. */
typedef struct
{
  guint n;           /* how many there are */
  guint n_pulled;
  guint n_destroyed;
  guint killer;      /* after so many there is one that ends its worker; 0: none */
  AfrpcPool *closed; /* (nullable): which is closed after half of them */
  guint size;        /* bytes of the result for each */
} Numbers;

static GVariant *
next_number (gpointer data)
{
  Numbers *numbers = data;

  if (numbers->n_pulled == numbers->n)
    return NULL;
  if (numbers->closed != NULL && numbers->n_pulled == numbers->n / 2)
    afrpc_caller_close (AFRPC_CALLER (numbers->closed));

  return g_variant_new ("(u)", numbers->n_pulled++);
}

static GVariant *
next_act (gpointer data)
{
  Numbers *numbers = data;

  if (numbers->n_pulled == numbers->n)
    return NULL;

  numbers->n_pulled++;

  return test_act (numbers->n_pulled == numbers->killer ? "exit" : "return", g_variant_new_uint32 (numbers->n_pulled - 1));
}

static GVariant *
next_bytes (gpointer data)
{
  Numbers *numbers = data;

  if (numbers->n_pulled == numbers->n)
    return NULL;

  numbers->n_pulled++;

  return test_act ("bytes", g_variant_new_uint32 (numbers->size));
}

static void
destroyed_cb (gpointer data)
{
  ((Numbers *) data)->n_destroyed++;
}

static AfrpcMap *
map_numbers (Case          *test,
             Numbers       *numbers,
             AfrpcMapFlags  flags)
{
  return afrpc_pool_map (test->pool, next_number, numbers, destroyed_cb, NULL, NULL, flags);
}

typedef struct
{
  gboolean done;
  AfrpcCall *call;
  GPtrArray *calls;
  GError *error;
} Next;

static void
next_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Next *next = data;

  g_assert_false (next->done);
  next->call = afrpc_map_next_finish (AFRPC_MAP (source), result, &next->error);
  next->done = TRUE;
}

static void
many_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Next *next = data;

  next->calls = afrpc_map_next_many_finish (AFRPC_MAP (source), result, &next->error);
  next->done = TRUE;
}

/* Returns: (transfer full) (nullable): NULL at the end, and with an error */
static AfrpcCall *
take_or_error (AfrpcMap  *map,
               GError   **error)
{
  Next next = { FALSE, NULL, NULL, NULL };

  afrpc_map_next_async (map, NULL, next_cb, &next);
  test_iterate_until (&next.done);
  if (next.error != NULL)
    g_propagate_error (error, next.error);

  return next.call;
}

/* Returns: (transfer full) (nullable): NULL at the end */
static AfrpcCall *
take (AfrpcMap *map)
{
  g_autoptr(GError) error = NULL;
  AfrpcCall *call = take_or_error (map, &error);

  g_assert_no_error (error);

  return call;
}

static GPtrArray *
take_many (AfrpcMap *map,
           guint     n_max)
{
  Next next = { FALSE, NULL, NULL, NULL };

  afrpc_map_next_many_async (map, n_max, NULL, many_cb, &next);
  test_iterate_until (&next.done);
  g_assert_no_error (next.error);
  g_assert_cmpuint (next.calls->len, <=, n_max);

  return next.calls;
}

static GError *
take_end (AfrpcMap *map)
{
  GError *error = NULL;

  g_assert_null (take_or_error (map, &error));

  return error;
}

static guint
number_of (AfrpcCall *call)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_call_wait_sync (call, NULL, &error);
  guint number;

  g_assert_true (afrpc_call_is_settled (call));
  g_assert_no_error (error);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32))
    return g_variant_get_uint32 (value);
  g_variant_get (value, "(u)", &number);

  return number;
}

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

      for (guint j = 0; j < 20; j++)
        g_ptr_array_unref (take_many (map, 1000));
      n_assigned = afrpc_pool_get_n_calls_assigned (test.pool);
      n_pending = afrpc_pool_get_n_calls_pending (test.pool);
      g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), >, 0);
      afrpc_caller_call_full (caller_of (&test), g_variant_new ("(u)", 1), options, NULL, passed_cb, &passed);
      test_iterate_until (&passed.done);
      /* Nothing is taken meanwhile, so that no more is made: what the worker had may have come before it, and nothing else. */
      g_assert_cmpuint (passed.n_pending, >=, n_pending - n_assigned);
    }
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
  g_assert_cmpuint (n, <, 4096);
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
  g_assert_cmpuint (n, <, 4096);
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
  g_test_add_func ("/pool-map/lazy", test_map_lazy);
  g_test_add_func ("/pool-map/window", test_map_window);
  g_test_add_func ("/pool-map/untaken", test_map_untaken);
  g_test_add_func ("/pool-map/room", test_map_room);
  g_test_add_func ("/pool-map/errors", test_map_errors);
  if (!is_command ())
    {
      g_test_add_data_func ("/pool-map/death", NULL, test_map_death);
      g_test_add_data_func ("/pool-map/death-sync", "", test_map_death);
      g_test_add_func ("/pool-map/unordered", test_map_unordered);
      g_test_add_func ("/pool-map/chunks", test_map_chunks);
      g_test_add_func ("/pool-map/behind", test_map_behind);
      g_test_add_func ("/pool-map/unused", test_map_unused);
    }
  g_test_add_func ("/pool-map/shares", test_map_shares);
  g_test_add_func ("/pool-map/turns", test_map_turns);
  g_test_add_data_func ("/pool-map/cancel", NULL, test_map_cancel);
  g_test_add_data_func ("/pool-map/cancellable", "", test_map_cancel);
  g_test_add_data_func ("/pool-map/drop", NULL, test_map_drop);
  g_test_add_data_func ("/pool-map/drop-elsewhere", "", test_map_drop);
  g_test_add_func ("/pool-map/closed", test_map_closed);
  g_test_add_func ("/pool-map/failed", test_map_failed);
  g_test_add_data_func ("/pool-map/killed", NULL, test_map_killed);
  g_test_add_data_func ("/pool-map/killed-unordered", GINT_TO_POINTER (AFRPC_MAP_UNORDERED), test_map_killed);
  g_test_add_func ("/pool-map/list", test_map_list);
  g_test_add_func ("/pool-map/waits", test_map_waits);
  g_test_add_data_func ("/pool-map/nested", NULL, test_map_nested);
  g_test_add_data_func ("/pool-map/nested-sync", "", test_map_nested);
  g_test_add_func ("/pool-map/renewed", test_map_renewed);
  g_test_add_func ("/pool-map/async", test_map_async);
  g_test_add_data_func ("/pool-map/meddling/call", "call", test_map_meddling);
  g_test_add_data_func ("/pool-map/meddling/cancel", "cancel", test_map_meddling);
  g_test_add_data_func ("/pool-map/meddling/wait", "wait", test_map_meddling);
  g_test_add_func ("/pool-map/call-awaited", test_map_call_awaited);

  return g_test_run ();
}
