/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls with an affinity key: they wait for the worker that has had those before. */
#include "pool-case.h"

#include <glib/gstdio.h>
#include <time.h>

static AfrpcCall *
start_with_key (Case       *test,
                GVariant   *args,
                const char *key)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_call_options_set_affinity (options, key);

  return afrpc_caller_start (caller_of (test), args, options);
}

static void
check_refused (AfrpcCall  *call, /* (transfer full) */
               const char *message)
{
  g_autoptr(GError) error = wait_error (call);

  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  g_assert_cmpstr (error->message, ==, message);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  g_object_unref (call);
}

static void
check_value (AfrpcCall *call) /* (transfer full) */
{
  g_variant_unref (wait_value (call));
  g_object_unref (call);
}

static void
room_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  guint *n = data;

  g_assert_true (afrpc_pool_wait_for_room_finish (AFRPC_POOL (source), result, NULL));
  (*n)++;
}

/* A map has all its results, in whatever order. */
static void
check_mapped (Case *test)
{
  g_autoptr(GVariant) input = g_variant_ref_sink (test_act ("return", NULL));
  GVariant *inputs[] = { input, input, input, input };
  g_autoptr(AfrpcMap) map = NULL;

  map = afrpc_pool_map_variant (test->pool, g_variant_new_array (NULL, inputs, G_N_ELEMENTS (inputs)), NULL, NULL, 0);
  for (guint i = 0; i < G_N_ELEMENTS (inputs); i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(AfrpcCall) call = afrpc_map_next_sync (map, NULL, &error);

      g_assert_no_error (error);
      g_assert_nonnull (call);
    }
}

static void
test_pool_affinity_full (void)
{
  Case test;
  Meeting meeting;
  AfrpcCall *calls[4];
  guint n_rooms = 0;

  g_test_summary ("Calls that wait for the worker of their key are limited as all are, and keep none from others that have nothing to "
                  "do");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, "load", 1, "max-calls-queued", 3, NULL);
  wait_idle (&test, 2);
  calls[0] = start_with_key (&test, meet (&meeting), "key");
  wait_begun (&test, 1);
  for (guint i = 1; i < G_N_ELEMENTS (calls); i++)
    calls[i] = start_with_key (&test, test_act ("return", test_zeros (1000)), "key");
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), ==, 3);
  check_refused (start_with_key (&test, test_act ("return", NULL), "key"), "'act': 3 calls with 3039 bytes wait for a worker");
  afrpc_pool_wait_for_room_async (test.pool, NULL, room_cb, &n_rooms);
  iterate_until_count (&n_rooms, 1);

  /* Who need not wait is not refused. */
  check_value (start_act (&test, "return", NULL));
  check_value (start_with_key (&test, test_act ("return", NULL), "other"));
  check_mapped (&test);

  afrpc_pool_set_max_calls_queued (test.pool, 100);
  afrpc_pool_set_max_bytes_queued (test.pool, 3039 + 500);
  check_refused (start_with_key (&test, test_act ("return", test_zeros (1000)), "key"),
                 "'act': 3 calls with 3039 bytes wait for a worker");
  check_value (start_act (&test, "return", NULL));

  meeting_let_go (&meeting);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    check_value (calls[i]);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_affinity_remembered (void)
{
  const guint n_others = 1000;
  Case test;
  Meeting meetings[2];
  AfrpcCall *running[2];
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) tied = NULL;
  guint n_settled = 0, own;

  g_test_summary ("A key of which no call is under way leads to its worker, after calls with many other keys, too");
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, "load", 1, NULL);
  wait_idle (&test, 2);
  first = start_with_key (&test, test_act ("return", NULL), "key");
  g_variant_unref (wait_value (first));
  for (guint i = 0; i < n_others; i++)
    {
      g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
      g_autofree char *key = g_strdup_printf ("%u", i);

      afrpc_call_options_set_affinity (options, key);
      afrpc_caller_call_full (caller_of (&test), test_act ("return", NULL), options, NULL, count_value_cb, &n_settled);
    }
  iterate_until_count (&n_settled, n_others);

  /* Its worker has something else to do, and the other one has not. */
  for (guint i = 0; i < 2; i++)
    {
      meeting_init (&meetings[i]);
      running[i] = afrpc_caller_start (caller_of (&test), meet (&meetings[i]), NULL);
    }
  wait_begun (&test, 2);
  own = pid_of (running[0]) == pid_of (first) ? 0 : 1;
  g_assert_cmpint (pid_of (running[own]), ==, pid_of (first));
  meeting_let_go (&meetings[1 - own]);
  g_variant_unref (wait_value (running[1 - own]));
  wait_idle (&test, 1);
  tied = start_with_key (&test, test_act ("return", NULL), "key");
  check_value (start_act (&test, "return", NULL));
  g_assert_false (afrpc_call_is_settled (tied));
  meeting_let_go (&meetings[own]);
  g_variant_unref (wait_value (tied));
  g_assert_cmpint (pid_of (tied), ==, pid_of (first));
  g_variant_unref (wait_value (running[own]));
  for (guint i = 0; i < 2; i++)
    {
      g_object_unref (running[i]);
      meeting_end (&meetings[i]);
    }
  g_clear_object (&first);
  g_clear_object (&tied);
  case_end (&test);
}

/* Waits for a call, of which it is seen that it has another worker than @before. */
static void
check_moved (AfrpcCall *call, /* (transfer full) */
             AfrpcCall *before)
{
  g_variant_unref (wait_value (call));
  g_assert_cmpint (pid_of (call), !=, pid_of (before));
  g_object_unref (call);
}

static void
test_pool_affinity_replaced (void)
{
  Case test;
  Meeting meeting, other;
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) second = NULL;
  AfrpcCall *waiting[2];

  g_test_summary ("A worker that is replaced is waited for by those calls only of whose key it has others");
  meeting_init (&meeting);
  meeting_init (&other);
  case_init (&test, "act", "max-workers", 1, "load", 3, "max-calls-queued", 2, NULL);
  first = start_with_key (&test, test_act ("return", NULL), "key");
  g_variant_unref (wait_value (first));
  running = start_with_key (&test, meet (&meeting), "other");
  wait_begun (&test, 1);
  /* What has no key might go to another one. */
  second = start_with_key (&test, meet (&other), "third");
  g_assert_cmpint (pid_of (running), ==, pid_of (first));
  g_assert_cmpint (pid_of (second), ==, pid_of (first));

  afrpc_pool_refresh (test.pool, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (waiting); i++)
    waiting[i] = start_with_key (&test, test_act ("return", NULL), "other");
  check_refused (start_with_key (&test, test_act ("return", NULL), "other"), "'act': 2 calls with 24 bytes wait for a worker");
  afrpc_pool_set_max_calls_queued (test.pool, 3);
  check_moved (start_with_key (&test, test_act ("return", NULL), "key"), first);
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), ==, 2);

  /* It goes on with one of another key. */
  meeting_let_go (&meeting);
  for (guint i = 0; i < G_N_ELEMENTS (waiting); i++)
    check_moved (waiting[i], first);
  g_variant_unref (wait_value (running));
  g_assert_false (afrpc_call_is_settled (second));
  meeting_let_go (&other);
  g_variant_unref (wait_value (second));
  g_clear_object (&first);
  g_clear_object (&running);
  g_clear_object (&second);
  case_end (&test);
  meeting_end (&meeting);
  meeting_end (&other);
}

static void
test_pool_affinity_blocking (void)
{
  Case test;
  Meeting meeting, other;
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) second = NULL;
  g_autoptr(AfrpcCall) blocking = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("The same is true of who blocks, whom nobody tells of the outcomes of others");
  meeting_init (&meeting);
  meeting_init (&other);
  case_init (&test, "act", "max-workers", 1, "load", 2, NULL);
  first = start_with_key (&test, meet (&meeting), "key");
  wait_begun (&test, 1);
  second = afrpc_caller_start (caller_of (&test), meet (&other), NULL);
  afrpc_pool_refresh (test.pool, NULL);
  blocking = start_with_key (&test, test_act ("return", NULL), "key");
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), ==, 1);
  meeting_let_go (&meeting);
  g_variant_unref (afrpc_call_wait_sync (blocking, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (pid_of (blocking), !=, pid_of (first));
  g_assert_false (afrpc_call_is_settled (second));
  meeting_let_go (&other);
  g_variant_unref (wait_value (first));
  g_variant_unref (wait_value (second));
  g_clear_object (&first);
  g_clear_object (&second);
  g_clear_object (&blocking);
  case_end (&test);
  meeting_end (&meeting);
  meeting_end (&other);
}

/* Of an async pool with one worker, which is full. */
typedef struct
{
  Case test;
  AfrpcCall *given_up; /* (owned): its worker runs it for so long, whatever has become of it */
  AfrpcCall *other;    /* (owned): without a key, until it is cancelled */
} GivenUp;

static void
given_up_init (GivenUp    *self,
               const char *key,
               guint       ms,
               guint       load)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  case_take (&self->test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async",
                                        "backend", AFRPC_BACKEND_ASYNC, "max-workers", 1, "idle-workers", 1, "load", load,
                                        NULL));
  wait_idle (&self->test, 1);
  afrpc_call_options_set_affinity (options, key);
  self->given_up = afrpc_caller_start (caller_of (&self->test), test_act ("later", g_variant_new_uint32 (ms)), options);
  self->other = afrpc_caller_start (caller_of (&self->test), test_act ("wait-cancelled", NULL), NULL);
  wait_begun (&self->test, 1);
}

static void
given_up_clear (GivenUp *self)
{
  g_autoptr(GError) error = NULL;

  g_assert_false (afrpc_call_is_settled (self->other));
  afrpc_caller_kill (caller_of (&self->test));
  error = wait_error (self->other);
  g_clear_object (&self->given_up);
  g_clear_object (&self->other);
  test_iterate_until (&self->test.destroyed);
  g_ptr_array_set_size (self->test.errors, 0);
  case_end (&self->test);
}

static void
give_up (GivenUp *self)
{
  g_autoptr(GError) error = NULL;

  afrpc_call_cancel (self->given_up);
  error = wait_error (self->given_up);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
test_pool_affinity_given_up (void)
{
  GivenUp own = { 0 };
  AfrpcCall *behind;

  g_test_summary ("Who waits for a worker that gets no more, and runs one of the key that was given up, does so until it has stopped");
  given_up_init (&own, "key", 100, 2);
  behind = start_with_key (&own.test, test_act ("return", NULL), "key");
  give_up (&own);
  afrpc_pool_refresh (own.test.pool, NULL);
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (own.test.pool), ==, 1);
  check_value (behind);
  given_up_clear (&own);
}

static void
test_pool_affinity_given_up_other (void)
{
  GivenUp other = { 0 };
  AfrpcCall *first, *behind;

  g_test_summary ("One of another key that was given up is waited for by nobody");
  given_up_init (&other, "other key", 1000 * 1000, 3);
  first = start_with_key (&other.test, test_act ("later", g_variant_new_uint32 (100)), "key");
  behind = start_with_key (&other.test, test_act ("return", NULL), "key");
  give_up (&other);
  afrpc_pool_refresh (other.test.pool, NULL);
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (other.test.pool), ==, 1);
  check_value (behind);
  g_assert_true (afrpc_call_is_settled (first));
  check_value (first);
  given_up_clear (&other);
}

static void
test_pool_affinity_held (void)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCallOptions) repeatable = idempotent_options (), urgent = afrpc_call_options_new ();
  g_autofree char *folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "died", NULL);
  AfrpcCall *victim, *earlier;
  g_autoptr(GError) error = NULL;
  Case test;

  g_test_summary ("A call that is repeated waits for an earlier one of its key; those of other keys in that worker do not wait for it");
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async", "backend", AFRPC_BACKEND_ASYNC,
                                  "max-workers", 1, "idle-workers", 1, "load", 1, NULL));
  wait_idle (&test, 1);
  afrpc_call_options_set_affinity (repeatable, "key");
  afrpc_call_options_set_affinity (urgent, "key");
  afrpc_call_options_set_priority (urgent, -1);
  victim = afrpc_caller_start (caller_of (&test), test_act ("die-once", g_variant_new_string (path)), repeatable);
  earlier = afrpc_caller_start (caller_of (&test), test_act ("wait-cancelled", NULL), urgent);
  wait_begun (&test, 1);
  g_object_set (test.pool, "load", 4, NULL);
  check_value (start_with_key (&test, test_act ("return", NULL), "other key"));
  check_value (start_with_key (&test, test_act ("return", NULL), "other key"));
  check_value (start_act (&test, "return", NULL));
  g_assert_false (afrpc_call_is_settled (victim));
  afrpc_call_cancel (earlier);
  error = wait_error (earlier);
  check_value (victim);
  g_object_unref (earlier);
  g_unlink (path);
  g_rmdir (folder);
  case_end (&test);
}

#define N_MANY 100000u

/* Returns: what the thread has computed: microseconds */
static gint64
read_cpu (void)
{
  struct timespec now;

  g_assert_cmpint (clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now), ==, 0);

  return (gint64) now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void
killed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, NULL);

  g_assert_null (value);
  (*(guint *) data)++;
}

static void
test_pool_affinity_many (void)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(GError) error = NULL;
  guint n = 0;
  Case test;
  Meeting meeting;
  gint64 begun, made, moved;

  g_test_summary ("However many wait for a worker, they do not hold up who has that replaced");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 1, "max-calls-queued", N_MANY, NULL);
  check_value (start_with_key (&test, test_act ("return", NULL), "key"));
  running = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  afrpc_call_options_set_affinity (options, "key");
  begun = read_cpu ();
  for (guint i = 0; i < N_MANY; i++)
    afrpc_caller_call_full (caller_of (&test), test_act ("return", NULL), options, NULL, killed_cb, &n);
  made = read_cpu ();
  afrpc_pool_refresh (test.pool, NULL);
  moved = read_cpu ();
  g_test_message ("made %" G_GINT64_FORMAT " us, moved %" G_GINT64_FORMAT " us", made - begun, moved - made);
  g_assert_cmpint (50 * (moved - made), <, made - begun);
  afrpc_caller_kill (caller_of (&test));
  iterate_until_count (&n, N_MANY);
  error = wait_error (running);
  g_clear_object (&running);
  meeting_let_go (&meeting);
  test_iterate_until (&test.destroyed);
  g_ptr_array_set_size (test.errors, 0);
  case_end (&test);
  meeting_end (&meeting);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-affinity/full", test_pool_affinity_full);
  g_test_add_func ("/pool-affinity/remembered", test_pool_affinity_remembered);
  g_test_add_func ("/pool-affinity/replaced", test_pool_affinity_replaced);
  g_test_add_func ("/pool-affinity/blocking", test_pool_affinity_blocking);
  g_test_add_func ("/pool-affinity/given-up", test_pool_affinity_given_up);
  g_test_add_func ("/pool-affinity/given-up-other", test_pool_affinity_given_up_other);
  g_test_add_func ("/pool-affinity/held", test_pool_affinity_held);
  g_test_add_func ("/pool-affinity/many", test_pool_affinity_many);

  return g_test_run ();
}
