/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What can be seen of a pool while it works: how many workers and calls there are, and who is told of that when. */
#include "pool-case.h"

#include <string.h>

static const char *const counts[] = {
  "n-workers", "n-idle-workers", "n-starting-workers", "n-calls-queued", "n-calls-assigned", "n-calls-pending",
};

/* What was told of the numbers of a pool. */
typedef struct
{
  AfrpcPool *pool;                   /* (nullable): to act on when told */
  guint n[G_N_ELEMENTS (counts)];    /* how often, in this turn */
  guint last[G_N_ELEMENTS (counts)]; /* the number then */
  guint total;
} Told;

/* What is told runs main loops, each with turns of its own, before it comes to us. */
static gboolean
is_nested (void)
{
  return g_getenv ("AFRPC_TEST_NESTING") != NULL;
}

static guint
get_count (AfrpcPool  *pool,
           const char *name)
{
  guint n;

  g_object_get (pool, name, &n, NULL);

  return n;
}

static void
told_cb (AfrpcPool  *pool,
         GParamSpec *pspec,
         Told       *told)
{
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    if (g_str_equal (pspec->name, counts[i]))
      {
        const guint n = get_count (pool, counts[i]);

        g_assert_true (n != told->last[i] || is_nested ());
        told->last[i] = n;
        told->n[i]++;
        told->total++;
      }
}

/* One turn, in which each is told at most once. */
static void
turn (Told *told)
{
  memset (told->n, 0, sizeof told->n);
  g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    g_assert_true (told->n[i] <= 1 || is_nested ());
}

static void
test_pool_seen_counts (void)
{
  Case test;
  Meeting meeting;
  Told told = { 0 };
  AfrpcCall *calls[4];

  g_test_summary ("Each number is true at once, and told in the next turn, once for all that has changed");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 2, NULL);
  g_signal_connect (test.pool, "notify", G_CALLBACK (told_cb), &told);
  for (guint i = 0; i < 4; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), i == 0 ? meet (&meeting) : test_act ("return", NULL), NULL);
  g_assert_cmpuint (get_count (test.pool, "n-starting-workers"), ==, 1);
  g_assert_cmpuint (get_count (test.pool, "n-workers"), ==, 1);
  g_assert_cmpuint (get_count (test.pool, "n-calls-queued"), ==, 4);
  g_assert_cmpuint (get_count (test.pool, "n-calls-assigned"), ==, 0);
  g_assert_cmpuint (get_count (test.pool, "n-calls-pending"), ==, 4);
  g_assert_cmpuint (told.total, ==, 0);
  while (test.n_events == 0)
    turn (&told);
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), ==, 2);
  g_assert_cmpuint (afrpc_pool_get_n_calls_assigned (test.pool), ==, 2);
  g_assert_cmpuint (afrpc_pool_get_n_calls_pending (test.pool), ==, 4);
  g_assert_cmpuint (afrpc_pool_get_n_starting_workers (test.pool), ==, 0);
  g_assert_cmpuint (afrpc_pool_get_n_idle_workers (test.pool), ==, 0);
  meeting_let_go (&meeting);
  while (told.last[5] > 0 || told.last[1] == 0)
    turn (&told);
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    g_assert_cmpuint (told.last[i], ==, get_count (test.pool, counts[i]));
  for (guint i = 0; i < 4; i++)
    {
      g_assert_true (afrpc_call_is_settled (calls[i]));
      g_object_unref (calls[i]);
    }
  case_end (&test);
  /* The last worker's end was told before that of the pool. */
  g_assert_cmpuint (told.last[0], ==, 0);
  meeting_end (&meeting);
}

static void
test_pool_seen_many (void)
{
  Case test;
  Told told = { 0 };
  guint n = 0, n_turns = 0;

  g_test_summary ("However much happens in a turn, each number is told at most once then");
  case_init (&test, "echo", "max-workers", 3, "start-delay-ms", 0, NULL);
  g_signal_connect (test.pool, "notify", G_CALLBACK (told_cb), &told);
  for (guint i = 0; i < 2000; i++)
    afrpc_caller_call (caller_of (&test), g_variant_new ("(u)", i), NULL, count_outcome_cb, &n);
  for (; n < 2000 || told.last[5] > 0; n_turns++)
    turn (&told);
  g_assert_true (told.total <= n_turns * G_N_ELEMENTS (counts) || is_nested ());
  case_end (&test);
}

static void
test_pool_seen_blocked (void)
{
  Case test;
  Told told = { 0 };
  guint total;

  g_test_summary ("Nothing is told while the thread is blocked; whoever listens late is told of what follows");
  case_init (&test, "echo", "max-workers", 1, NULL);
  g_variant_unref (afrpc_caller_call_sync (caller_of (&test), g_variant_new ("(u)", 1), NULL, NULL));
  while (g_main_context_iteration (NULL, FALSE))
    ;
  told.last[0] = told.last[1] = 1;
  g_signal_connect (test.pool, "notify", G_CALLBACK (told_cb), &told);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (told.total, ==, 0);
  for (guint i = 0; i < 10; i++)
    g_variant_unref (afrpc_caller_call_sync (caller_of (&test), g_variant_new ("(u)", i), NULL, NULL));
  g_assert_cmpuint (told.total, ==, 0);
  afrpc_caller_close (caller_of (&test));
  while (told.last[0] > 0)
    turn (&told);
  total = told.total;
  case_end (&test);
  g_assert_cmpuint (told.total, ==, total);
}

/* Runs a main loop until another number has been told there. */
static void
nest_cb (AfrpcPool  *pool,
         GParamSpec *pspec,
         guint      *depth)
{
  if (*depth > 0)
    return;

  ++*depth;
  while (afrpc_pool_get_n_calls_pending (pool) > 0)
    g_main_context_iteration (NULL, TRUE);
  --*depth;
}

static void
kill_cb (AfrpcPool  *pool,
         GParamSpec *pspec,
         gpointer    data)
{
  afrpc_caller_kill (AFRPC_CALLER (pool));
}

static void
drop_cb (AfrpcPool  *pool,
         GParamSpec *pspec,
         AfrpcPool **dropped)
{
  g_clear_object (dropped);
}

static void
test_pool_seen_reentrant (void)
{
  Case test;
  guint n = 0, depth = 0;
  AfrpcPool *dropped;
  gpointer gone;

  g_test_summary ("Who is told may run a main loop, kill the pool, and drop it");
  case_init (&test, "act", "max-workers", 2, NULL);
  g_signal_connect (test.pool, "notify::n-workers", G_CALLBACK (nest_cb), &depth);
  for (guint i = 0; i < 20; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_outcome_cb, &n);
  iterate_until_count (&n, 20);
  case_end (&test);

  n = 0;
  case_init (&test, "act", "max-workers", 2, NULL);
  g_signal_connect (test.pool, "notify::n-idle-workers", G_CALLBACK (kill_cb), NULL);
  for (guint i = 0; i < 20; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_outcome_cb, &n);
  iterate_until_count (&n, 20);
  case_end (&test);

  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, NULL);
  gone = dropped = test.pool;
  g_object_add_weak_pointer (G_OBJECT (dropped), &gone);
  g_signal_connect (dropped, "notify::n-idle-workers", G_CALLBACK (drop_cb), &dropped);
  while (gone != NULL)
    g_main_context_iteration (NULL, TRUE);
  wait_no_children ();
  g_ptr_array_unref (test.errors);
}

static guint64
count_outcomes (AfrpcPool        *pool,
                AfrpcCallOutcome  outcome)
{
  g_autoptr(AfrpcPoolStats) stats = afrpc_pool_get_stats (pool);

  g_assert_cmpuint (afrpc_pool_stats_get_n_calls (stats), ==,
                    afrpc_pool_stats_get_n_finished (stats) + afrpc_pool_get_n_calls_pending (pool));
  g_assert_cmpuint (afrpc_pool_stats_get_n_failed (stats), ==,
                    afrpc_pool_stats_get_n_finished (stats) -
                      afrpc_pool_stats_get_n_outcomes (stats, AFRPC_CALL_OUTCOME_SUCCESS));

  return afrpc_pool_stats_get_n_outcomes (stats, outcome);
}

/* Makes a call, and sees it counted as that, and as nothing else. */
static void
check_outcome (Case             *test,
               GVariant         *args,
               AfrpcCallOptions *options,
               AfrpcCallOutcome  outcome)
{
  guint64 before[AFRPC_CALL_OUTCOME_OTHER + 1];
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (before); i++)
    before[i] = count_outcomes (test->pool, i);
  afrpc_caller_call_full (caller_of (test), args, options, NULL, count_outcome_cb, &n);
  iterate_until_count (&n, 1);
  for (guint i = 0; i < G_N_ELEMENTS (before); i++)
    g_assert_cmpuint (count_outcomes (test->pool, i), ==, before[i] + (i == outcome));
}

static void
test_pool_seen_outcomes (void)
{
  g_autoptr(AfrpcCallOptions) limited = afrpc_call_options_new ();
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  Case test;
  guint n = 0;

  g_test_summary ("Each call is counted once, as what has become of it");
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  afrpc_call_options_set_timeout_ms (limited, 5);
  check_outcome (&test, test_act ("return", NULL), NULL, AFRPC_CALL_OUTCOME_SUCCESS);
  check_outcome (&test, test_act ("file-error", NULL), NULL, AFRPC_CALL_OUTCOME_REMOTE_ERROR);
  check_outcome (&test, test_act ("unknown-error", NULL), NULL, AFRPC_CALL_OUTCOME_REMOTE_ERROR);
  check_outcome (&test, test_act ("exit", g_variant_new_uint32 (3)), NULL, AFRPC_CALL_OUTCOME_DIED);
  check_outcome (&test, test_act ("until-cancelled", NULL), limited, AFRPC_CALL_OUTCOME_TIMED_OUT);

  afrpc_caller_call (caller_of (&test), test_act ("return", NULL), cancellable, count_outcome_cb, &n);
  g_cancellable_cancel (cancellable);
  iterate_until_count (&n, 1);
  g_assert_cmpuint (count_outcomes (test.pool, AFRPC_CALL_OUTCOME_CANCELLED), ==, 1);

  wait_idle (&test, 1);
  n = 0;
  afrpc_pool_set_max_calls_queued (test.pool, 1);
  for (guint i = 0; i < 3; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_outcome_cb, &n);
  iterate_until_count (&n, 3);
  g_assert_cmpuint (count_outcomes (test.pool, AFRPC_CALL_OUTCOME_BUSY), ==, 1);

  afrpc_caller_close (caller_of (&test));
  check_outcome (&test, test_act ("return", NULL), NULL, AFRPC_CALL_OUTCOME_NOT_STARTED);
  case_end (&test);
}

static void
test_pool_seen_workers_counted (void)
{
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();
  g_autoptr(AfrpcPoolStats) first = NULL;
  g_autoptr(AfrpcPoolStats) then = NULL;
  g_autoptr(AfrpcPoolStats) difference = NULL;
  Case test;
  guint n = 0;

  g_test_summary ("Deaths, repeats and moves are counted; workers that were started have ended or died at the end");
  case_init (&test, "act", "max-workers", 1, "load", 100, "max-repeats", 2, NULL);
  afrpc_caller_call (caller_of (&test), test_act ("exit", g_variant_new_uint32 (3)), NULL, count_outcome_cb, &n);
  for (guint i = 0; i < 8; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_outcome_cb, &n);
  iterate_until_count (&n, 9);
  first = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_died (first), ==, 1);
  if (!is_command ())
    {
      g_assert_cmpuint (afrpc_pool_stats_get_n_workers_started (first), ==, 2);
      g_assert_cmpuint (afrpc_pool_stats_get_n_moves (first), ==, 8);
    }
  g_assert_cmpuint (afrpc_pool_stats_get_n_repeats (first), ==, 0);

  n = 0;
  afrpc_caller_call_full (caller_of (&test), test_act ("exit", g_variant_new_uint32 (3)), options, NULL, count_outcome_cb, &n);
  iterate_until_count (&n, 1);
  afrpc_pool_refresh (test.pool, NULL);
  check_outcome (&test, test_act ("return", NULL), NULL, AFRPC_CALL_OUTCOME_SUCCESS);
  afrpc_pool_refresh (test.pool, NULL);
  afrpc_caller_close (caller_of (&test));
  test_iterate_until (&test.destroyed);
  then = afrpc_pool_get_stats (test.pool);
  difference = afrpc_pool_stats_subtract (then, first);
  g_assert_cmpuint (afrpc_pool_stats_get_n_calls (difference), ==, 2);
  g_assert_cmpuint (afrpc_pool_stats_get_n_repeats (difference), ==, 2);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_died (difference), ==, 3);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_renewed (difference), >=, 1);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_ended (difference), >=, 1);
  g_assert_cmpuint (afrpc_pool_stats_get_n_workers_started (then), ==,
                    afrpc_pool_stats_get_n_workers_ended (then) + afrpc_pool_stats_get_n_workers_died (then));
  g_assert_cmpint (afrpc_pool_stats_get_duration (difference) + afrpc_pool_stats_get_duration (first), ==,
                   afrpc_pool_stats_get_duration (then));
  case_end (&test);
}

/* Lets time pass for what is under way; nothing is waited for. */
static void
pass_time (void)
{
  const gint64 until = g_get_monotonic_time () + 3000;

  while (g_get_monotonic_time () < until)
    ;
}

static void
test_pool_seen_times (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcPoolStats) stats = NULL;
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  gint64 made, begun, called, let_go, done;
  guint64 sum = 0;
  gsize n_buckets;
  const guint64 *buckets;

  g_test_summary ("The time in the queue ends when a worker is given the call, and then that at the worker begins");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 1, "idle-workers", 1, NULL);
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpint (afrpc_pool_stats_get_quantile (stats, AFRPC_POOL_TIME_QUEUED, 0.5), ==, -1);
  wait_idle (&test, 1);
  made = g_get_monotonic_time ();
  running = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  begun = g_get_monotonic_time ();
  waiting = start_act (&test, "return", NULL);
  called = g_get_monotonic_time ();
  pass_time ();
  let_go = g_get_monotonic_time ();
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (running));
  g_variant_unref (wait_value (waiting));
  done = g_get_monotonic_time ();

  g_clear_pointer (&stats, afrpc_pool_stats_unref);
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_times (stats, AFRPC_POOL_TIME_QUEUED), ==, 2);
  g_assert_cmpuint (afrpc_pool_stats_get_n_times (stats, AFRPC_POOL_TIME_ASSIGNED), ==, 2);
  g_assert_cmpint (afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_QUEUED), >=, let_go - called);
  g_assert_cmpint (afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_QUEUED), <=, done - begun);
  g_assert_cmpint (afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_ASSIGNED), >=, let_go - begun);
  g_assert_cmpint (afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_ASSIGNED), <=,
                   (done - made) + (done - let_go));
  /* One had not to wait at all. */
  g_assert_cmpint (afrpc_pool_stats_get_quantile (stats, AFRPC_POOL_TIME_QUEUED, 0), ==, 0);
  g_assert_cmpint (afrpc_pool_stats_get_quantile (stats, AFRPC_POOL_TIME_QUEUED, 0.5), ==, 0);
  /* So it was the other's, all of it. */
  g_assert_cmpint (afrpc_pool_stats_get_quantile (stats, AFRPC_POOL_TIME_QUEUED, 1), ==,
                   afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_QUEUED));
  for (double fraction = 0.125; fraction < 1; fraction += 0.125)
    g_assert_cmpint (afrpc_pool_stats_get_quantile (stats, AFRPC_POOL_TIME_ASSIGNED, fraction), <=,
                     afrpc_pool_stats_get_quantile (stats, AFRPC_POOL_TIME_ASSIGNED, fraction + 0.125));
  g_assert_cmpint (afrpc_pool_stats_get_quantile (stats, AFRPC_POOL_TIME_ASSIGNED, 1), >=,
                   afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_ASSIGNED) / 2);
  g_assert_cmpint (afrpc_pool_stats_get_quantile (stats, AFRPC_POOL_TIME_ASSIGNED, 1), <=,
                   afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_ASSIGNED));

  buckets = afrpc_pool_stats_get_histogram (stats, AFRPC_POOL_TIME_QUEUED, &n_buckets);
  for (gsize i = 0; i < n_buckets; i++)
    sum += buckets[i];
  g_assert_cmpuint (buckets[0], ==, 1);
  g_assert_cmpuint (sum, ==, 2);
  g_clear_object (&running);
  g_clear_object (&waiting);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_seen_times_execution (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(AfrpcPoolStats) stats = NULL;
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(AfrpcCall) cancelled = NULL;
  g_autoptr(GError) error = NULL;
  gint64 made, given, let_go, done;

  g_test_summary ("What waits at a worker behind another call is not executed meanwhile, and never if it is cancelled");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 3, "idle-workers", 1, NULL);
  wait_idle (&test, 1);
  made = g_get_monotonic_time ();
  running = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  waiting = start_act (&test, "return", NULL);
  cancelled = start_act (&test, "return", NULL);
  wait_begun (&test, 1);
  given = g_get_monotonic_time ();
  pass_time ();
  let_go = g_get_monotonic_time ();
  afrpc_call_cancel (cancelled);
  error = wait_error (cancelled);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (running));
  g_variant_unref (wait_value (waiting));
  done = g_get_monotonic_time ();
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_times (stats, AFRPC_POOL_TIME_ASSIGNED), ==, 3);
  g_assert_cmpint (afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_ASSIGNED), >=, 3 * (let_go - given));
  g_assert_cmpuint (afrpc_pool_stats_get_n_times (stats, AFRPC_POOL_TIME_EXECUTION), ==, 2);
  g_assert_cmpint (afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_EXECUTION), >=, let_go - given);
  g_assert_cmpint (afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_EXECUTION), <=, done - made);
  g_clear_object (&running);
  g_clear_object (&waiting);
  g_clear_object (&cancelled);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_seen_times_async (void)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcPoolStats) stats = NULL;
  AfrpcCall *calls[8];
  Case test;

  g_test_summary ("An async worker executes all that it has");
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async", "backend",
                                  AFRPC_BACKEND_ASYNC, "max-workers", 1, "load", 8, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    calls[i] = afrpc_caller_start (caller_of (&test), act_u ("later", 5), NULL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  stats = afrpc_pool_get_stats (test.pool);
  g_assert_cmpuint (afrpc_pool_stats_get_n_times (stats, AFRPC_POOL_TIME_EXECUTION), ==, G_N_ELEMENTS (calls));
  g_assert_cmpint (afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_EXECUTION), ==,
                   afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_ASSIGNED));
  case_end (&test);
}

static void
test_pool_seen_times_blocking (void)
{
  Case test;
  g_autoptr(AfrpcPoolStats) before = NULL;
  g_autoptr(AfrpcPoolStats) after = NULL;
  g_autoptr(AfrpcPoolStats) stats = NULL;
  gint64 begun, done;

  g_test_summary ("Blocking calls are measured as others are, without a main loop");
  case_init (&test, "echo", "max-workers", 1, NULL);
  g_variant_unref (afrpc_caller_call_sync (caller_of (&test), g_variant_new ("(u)", 1), NULL, NULL));
  pass_time ();
  before = afrpc_pool_get_stats (test.pool);
  begun = g_get_monotonic_time ();
  for (guint i = 0; i < 10; i++)
    g_variant_unref (afrpc_caller_call_sync (caller_of (&test), g_variant_new ("(u)", i), NULL, NULL));
  done = g_get_monotonic_time ();
  after = afrpc_pool_get_stats (test.pool);
  stats = afrpc_pool_stats_subtract (after, before);
  g_assert_cmpuint (afrpc_pool_stats_get_n_times (stats, AFRPC_POOL_TIME_ASSIGNED), ==, 10);
  g_assert_cmpint (afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_ASSIGNED), >, 0);
  g_assert_cmpint (afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_ASSIGNED) +
                     afrpc_pool_stats_get_total_time (stats, AFRPC_POOL_TIME_QUEUED), <=, done - begun);
  case_end (&test);
}

typedef struct
{
  AfrpcCall *call;
  AfrpcStarted started;
  gboolean done;
} Asked;

static gboolean
ask_cb (gpointer data)
{
  Asked *asked = data;

  asked->started = afrpc_call_get_started (asked->call);
  asked->done = TRUE;

  return G_SOURCE_REMOVE;
}

/* From the main context, where it is known. */
static AfrpcStarted
ask_started (AfrpcCall *call)
{
  Asked asked = { .call = call };

  g_idle_add (ask_cb, &asked);
  test_iterate_until (&asked.done);

  return asked.started;
}

static void
test_pool_seen_started (void)
{
  AfrpcCall *running, *waiting;
  Meeting meeting;
  Case test;

  g_test_summary ("Of a call that runs it can be seen that it does, and of one that waits that nobody knows");
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  meeting_init (&meeting);
  running = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  waiting = start_act (&test, "return", NULL);
  g_assert_cmpint (afrpc_call_get_started (running), ==, AFRPC_STARTED_UNKNOWN);
  wait_begun (&test, 1);
  if (!is_command ())
    g_assert_cmpint (ask_started (running), ==, AFRPC_STARTED_YES);
  g_assert_cmpint (ask_started (waiting), ==, AFRPC_STARTED_UNKNOWN);
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (running));
  g_variant_unref (wait_value (waiting));
  g_object_unref (running);
  g_object_unref (waiting);
  meeting_end (&meeting);
  case_end (&test);
}

static void
test_pool_seen_started_cancelled (void)
{
  g_autoptr(GError) error = NULL;
  AfrpcCall *running, *waiting;
  Meeting meeting;
  Case test;

  g_test_summary ("Whoever cancels a call may ask at once, while no main loop runs");
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  meeting_init (&meeting);
  running = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  waiting = start_act (&test, "return", NULL);
  wait_begun (&test, 1);
  if (!is_command ())
    g_assert_cmpint (afrpc_call_get_started (running), ==, AFRPC_STARTED_YES);
  afrpc_call_cancel (waiting);
  g_assert_cmpint (afrpc_call_get_started (waiting), ==, AFRPC_STARTED_NO);
  afrpc_call_cancel (running);
  if (!is_command ())
    g_assert_cmpint (afrpc_call_get_started (running), ==, AFRPC_STARTED_YES);
  meeting_let_go (&meeting);
  error = wait_error (waiting);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  error = wait_error (running);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_object_unref (running);
  g_object_unref (waiting);
  meeting_end (&meeting);
  case_end (&test);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-seen/counts", test_pool_seen_counts);
  g_test_add_func ("/pool-seen/many", test_pool_seen_many);
  g_test_add_func ("/pool-seen/blocked", test_pool_seen_blocked);
  g_test_add_func ("/pool-seen/reentrant", test_pool_seen_reentrant);
  g_test_add_func ("/pool-seen/outcomes", test_pool_seen_outcomes);
  g_test_add_func ("/pool-seen/workers-counted", test_pool_seen_workers_counted);
  g_test_add_func ("/pool-seen/times", test_pool_seen_times);
  g_test_add_func ("/pool-seen/times-execution", test_pool_seen_times_execution);
  g_test_add_func ("/pool-seen/times-async", test_pool_seen_times_async);
  g_test_add_func ("/pool-seen/started", test_pool_seen_started);
  g_test_add_func ("/pool-seen/started-cancelled", test_pool_seen_started_cancelled);
  g_test_add_func ("/pool-seen/times-blocking", test_pool_seen_times_blocking);

  return g_test_run ();
}
