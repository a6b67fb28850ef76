/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What can be seen of a pool while it works: how many workers and calls there are, and who is told of that when. */
#include "pool-case.h"

#include <signal.h>
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

        g_assert_cmpuint (n, !=, told->last[i]);
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
    g_assert_cmpuint (told->n[i], <=, 1);
}

static void
count_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      n)
{
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, NULL);

  ++*(guint *) n;
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
    afrpc_caller_call (caller_of (&test), g_variant_new ("(u)", i), NULL, count_cb, &n);
  for (; n < 2000 || told.last[5] > 0; n_turns++)
    turn (&told);
  g_assert_cmpuint (told.total, <=, n_turns * G_N_ELEMENTS (counts));
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
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_cb, &n);
  iterate_until_count (&n, 20);
  case_end (&test);

  n = 0;
  case_init (&test, "act", "max-workers", 2, NULL);
  g_signal_connect (test.pool, "notify::n-idle-workers", G_CALLBACK (kill_cb), NULL);
  for (guint i = 0; i < 20; i++)
    afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_cb, &n);
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

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-seen/counts", test_pool_seen_counts);
  g_test_add_func ("/pool-seen/many", test_pool_seen_many);
  g_test_add_func ("/pool-seen/blocked", test_pool_seen_blocked);
  g_test_add_func ("/pool-seen/reentrant", test_pool_seen_reentrant);

  return g_test_run ();
}
