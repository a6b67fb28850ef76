/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What test-value-cost.py has valgrind count: what a pool does about many calls of one worker. */
#include "pool-case.h"

#include <signal.h>

#define FEW 1000
#define MANY 4000

typedef struct
{
  Case test;
  AfrpcCall **calls;
  guint n;
  guint n_told;
} Work;

/* Not static, and not inline: valgrind knows it by name. */
int measured (void (*work) (Work *),
              Work  *data);

/* So that what is called returns to who is measured. */
static volatile guint n_measured;

G_NO_INLINE int
measured (void (*work) (Work *),
          Work  *data)
{
  work (data);

  return n_measured++;
}

static void
told_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Work *work = data;

  work->n_told++;
}

/* A pool of one worker. */
static void
init (Work         *work,
      AfrpcBackend  backend,
      guint         load,
      guint         n)
{
  g_autoptr(AfrpcProcess) template = template_new ();

  *work = (Work) { .calls = g_new0 (AfrpcCall *, n), .n = n };
  case_take (&work->test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function",
                                        backend == AFRPC_BACKEND_ASYNC ? "act_async" : "act", "backend", backend,
                                        "max-workers", 1, "load", load, NULL));
}

static void
clear (Work *work)
{
  for (guint i = 0; i < work->n; i++)
    g_clear_object (&work->calls[i]);
  g_free (work->calls);
  case_end (&work->test);
}

static void
start (Work             *work,
       guint             i,
       GVariant         *args,
       AfrpcCallOptions *options) /* (nullable) */
{
  work->calls[i] = g_object_ref (afrpc_caller_start_with_callback (caller_of (&work->test), args, options, NULL, told_cb, work));
}

static void
start_keyed (Work  *work,
             guint  i,
             guint  number)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autofree char *key = g_strdup_printf ("%u", number);

  afrpc_call_options_set_affinity (options, key);
  start (work, i, test_act ("return", NULL), options);
}

static void
tell_all (Work *work)
{
  while (work->n_told < work->n)
    g_main_context_iteration (NULL, TRUE);
}

/* The others have their outcome when the worker is ended because these have not stopped. */
static void
give_half_up (Work *work)
{
  for (guint i = 0; i < work->n; i += 2)
    afrpc_call_cancel (work->calls[i]);
  tell_all (work);
}

static void
measure_runaways (guint n)
{
  Work work;

  init (&work, AFRPC_BACKEND_ASYNC, n, n);
  afrpc_pool_set_cancel_grace_ms (work.test.pool, 1);
  for (guint i = 0; i < n; i++)
    start (&work, i, i < n - 1 ? test_act ("later", g_variant_new_uint32 (G_MAXINT)) : test_act ("run-on", NULL), NULL);
  wait_begun (&work.test, 1);

  g_print ("give up\trunning calls of an async worker\t%u\n", n);
  measured (give_half_up, &work);

  clear (&work);
}

/* All but the first were not begun, and go back, before those that wait already. */
static void
kill_worker (Work *work)
{
  kill (pid_of (work->calls[0]), SIGKILL);
  tell_all (work);
}

static void
measure_priorities (guint n)
{
  g_autoptr(AfrpcCallOptions) low = afrpc_call_options_new (), high = afrpc_call_options_new ();
  Work work;

  afrpc_call_options_set_priority (low, 1);
  afrpc_call_options_set_priority (high, -1);
  init (&work, AFRPC_BACKEND_SYNC, n - 2, n);
  start (&work, 0, test_act ("spin", NULL), NULL);
  wait_begun (&work.test, 1);
  for (guint i = 1; i < n; i++)
    start (&work, i, test_act ("return", NULL), i % 2 == 0 ? low : high);

  g_print ("go back\tcalls of two priorities\t%u\n", n);
  measured (kill_worker, &work);

  clear (&work);
}

/* One behind the other, as its only worker is busy. */
static void
call_all (Work *work)
{
  for (guint i = 1; i < work->n; i++)
    afrpc_pool_call_all_async (work->test.pool, test_act ("return", NULL), NULL, NULL, told_cb, work);
}

static void
measure_rounds (guint n)
{
  Work work;

  init (&work, AFRPC_BACKEND_SYNC, 2, n);
  start (&work, 0, test_act ("spin", NULL), NULL);
  wait_begun (&work.test, 1);

  g_print ("call all\twhile a worker is busy\t%u\n", n);
  measured (call_all, &work);

  kill_worker (&work);
  clear (&work);
}

/* Each waits for another one of its key, which the worker has. */
static void
retire_and_wait (Work *work)
{
  g_autoptr(AfrpcPoolWorker) worker = g_list_model_get_item (afrpc_pool_get_workers (work->test.pool), 0);

  afrpc_pool_worker_retire (worker);
  for (guint i = 1 + work->n / 2; i < work->n; i++)
    start_keyed (work, i, i - work->n / 2);
  tell_all (work);
}

static void
measure_keys (guint n)
{
  Work work;

  init (&work, AFRPC_BACKEND_ASYNC, n, 2 * n + 1);
  start (&work, 0, test_act ("return", NULL), NULL);
  iterate_until_count (&work.n_told, 1);
  for (guint i = 1; i <= n; i++)
    start_keyed (&work, i, i);

  g_print ("retire\ta worker that has many keys\t%u\n", n);
  measured (retire_and_wait, &work);

  clear (&work);
}

int
main (void)
{
  measure_runaways (FEW);
  measure_runaways (MANY);
  measure_priorities (4 * FEW);
  measure_priorities (4 * MANY);
  measure_rounds (FEW);
  measure_rounds (MANY);
  measure_keys (FEW / 4);
  measure_keys (FEW);

  return 0;
}
