/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What test-value-cost.py has valgrind count: cancelling calls that wait, in different orders, and telling of it;
 * answering calls that could be cancelled; and waiting for calls that have arrived while the thread was blocked. */
#include "test-util.h"

#include <signal.h>

#define FEW 5000
#define MANY 20000

typedef struct
{
  AfrpcCall **calls;
  guint n;
  guint n_told;
} Work;

typedef guint (*Order) (guint i,
                        guint n);

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

static guint
oldest_first (guint i,
              guint n)
{
  return i;
}

static guint
newest_first (guint i,
              guint n)
{
  return n - 1 - i;
}

/* A prime that divides neither number of calls. */
static guint
scattered (guint i,
           guint n)
{
  return i * G_GUINT64_CONSTANT (7919) % n;
}

static void
told_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Work *work = data;

  work->n_told++;
}

static void
cancel_all (Work *work)
{
  for (guint i = 0; i < work->n; i++)
    afrpc_call_cancel (work->calls[i]);
}

static void
tell_all (Work *work)
{
  while (work->n_told < work->n)
    g_main_context_iteration (NULL, TRUE);
}

static void
measure (const char *name,
         Order       order,
         guint       n)
{
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  AfrpcCaller *caller = AFRPC_CALLER (proxy);
  g_autofree AfrpcCall **made = g_new (AfrpcCall *, n);
  g_autofree AfrpcCall **calls = g_new (AfrpcCall *, n);
  Work work = { calls, n, 0 };
  gboolean is_destroyed = FALSE;
  guint n_events = 0;

  g_signal_connect_swapped (proxy, "event", G_CALLBACK (test_count_cb), &n_events);
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (test_count_cb), &is_destroyed);
  afrpc_caller_call (caller, test_act ("say", g_variant_new ("(sv)", "hang", g_variant_new_uint32 (0))), NULL, NULL, NULL);
  while (n_events == 0)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < n; i++)
    made[i] = g_object_ref (afrpc_caller_start_with_callback (caller, test_act ("return", NULL), NULL, NULL, told_cb, &work));
  for (guint i = 0; i < n; i++)
    calls[i] = made[order (i, n)];

  g_print ("cancel\t%s\t%u\n", name, n);
  measured (cancel_all, &work);
  g_print ("tell\t%s\t%u\n", name, n);
  measured (tell_all, &work);

  for (guint i = 0; i < n; i++)
    g_object_unref (made[i]);
  afrpc_caller_kill (caller);
  test_iterate_until (&is_destroyed);
}

static void
measure_answers (guint n)
{
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  AfrpcCaller *caller = AFRPC_CALLER (proxy);
  g_autoptr(GPtrArray) cancellables = g_ptr_array_new_with_free_func (g_object_unref);
  Work work = { NULL, n, 0 };
  gboolean is_destroyed = FALSE;

  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (test_count_cb), &is_destroyed);
  for (guint i = 0; i < n; i++)
    {
      g_ptr_array_add (cancellables, g_cancellable_new ());
      afrpc_caller_call (caller, test_act ("return", NULL), cancellables->pdata[i], told_cb, &work);
    }

  g_print ("answer\tcancellables\t%u\n", n);
  measured (tell_all, &work);

  afrpc_caller_kill (caller);
  test_iterate_until (&is_destroyed);
}

static void
wait_for_all (Work *work)
{
  for (guint i = 0; i < work->n; i++)
    g_variant_unref (afrpc_call_wait_sync (work->calls[i], NULL, NULL));
}

static void
measure_waits (const char *name,
               Order       order,
               guint       n)
{
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  AfrpcCaller *caller = AFRPC_CALLER (proxy);
  g_autofree AfrpcCall **calls = g_new (AfrpcCall *, n);
  Work work = { calls, n, 0 };

  for (guint i = 0; i < n; i++)
    calls[order (i, n)] = afrpc_caller_start (caller, test_act ("return", NULL), NULL);
  g_variant_unref (afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, NULL));

  g_print ("wait\t%s\t%u\n", name, n);
  measured (wait_for_all, &work);

  for (guint i = 0; i < n; i++)
    g_object_unref (calls[i]);
  g_assert_true (afrpc_caller_close_sync (caller, NULL, NULL));
}

int
main (void)
{
  const struct
  {
    const char *name;
    Order order;
  } orders[] = {
    { "oldest first", oldest_first }, { "newest first", newest_first }, { "scattered", scattered },
  };

  /* What is looked for once is not counted. */
  for (guint i = 0; i < G_N_ELEMENTS (orders); i++)
    {
      measure (orders[i].name, orders[i].order, FEW);
      measure (orders[i].name, orders[i].order, MANY);
    }
  for (guint i = 0; i < G_N_ELEMENTS (orders); i++)
    {
      measure_waits (orders[i].name, orders[i].order, FEW);
      measure_waits (orders[i].name, orders[i].order, MANY);
    }
  measure_answers (FEW);
  measure_answers (MANY);

  return 0;
}
