/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Several who wait for the same call, in whatever way: each is told when it is the call's turn. */
#include "test-util.h"

#include <signal.h>

typedef struct
{
  guint n_told;   /* in order, so far */
  guint expected; /* of the one that has this */
} Place;

static Place places[20000];

static void
in_order_cb (GObject      *source,
             GAsyncResult *result,
             gpointer      data)
{
  Place *place = data;

  g_assert_cmpuint (places[0].n_told++, ==, place->expected);
}

static void
test_waits_blocked (void)
{
  const guint n = G_N_ELEMENTS (places), middle = n / 2;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) waited = NULL;
  AfrpcCall *calls[2] = { NULL };

  g_test_summary ("A call that somebody has blocked for is told when it is its turn, and not before older ones");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  places[0].n_told = 0;
  for (guint i = 0; i < n; i++)
    {
      places[i].expected = i;
      if (i == middle)
        calls[0] = afrpc_caller_start_with_callback (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", i), NULL, NULL,
                                                     in_order_cb, &places[i]);
      else if (i == middle + 1)
        {
          calls[1] = afrpc_caller_start (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", i), NULL);
          afrpc_call_wait (calls[1], NULL, in_order_cb, &places[i]);
        }
      else
        afrpc_caller_call (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", i), NULL, in_order_cb, &places[i]);
    }
  g_object_ref (calls[0]);
  /* The first by what arrives, and the second, which has arrived, where it is kept. */
  value = afrpc_call_wait_sync (calls[0], NULL, NULL);
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, NULL, NULL));
  waited = afrpc_call_wait_sync (calls[1], NULL, NULL);
  g_assert_nonnull (value);
  g_assert_nonnull (waited);
  g_assert_cmpuint (places[0].n_told, ==, 0);
  while (places[0].n_told < n)
    g_main_context_iteration (NULL, TRUE);
  g_object_unref (calls[0]);
  g_object_unref (calls[1]);
}

/* Who waits for the same, and runs a main loop until all of them have been told. */
static guint n_waiting;

/* @place: when he is told */
static void
nest (gpointer place)
{
  g_assert_cmpuint (places[0].n_told++, ==, GPOINTER_TO_UINT (place));
  while (places[0].n_told < n_waiting)
    g_main_context_iteration (NULL, TRUE);
}

static void
nesting_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  nest (data);
}

static void
test_waits_nested (gconstpointer dies)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("Of many who wait for a call each may run a main loop until the others have been told");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  places[0].n_told = 0;
  n_waiting = 6;
  call = afrpc_caller_start_with_callback (AFRPC_CALLER (watched.proxy), NULL, NULL, NULL, nesting_cb,
                                           GUINT_TO_POINTER (0));
  g_object_ref (call);
  for (guint i = 1; i < n_waiting - 1; i++)
    afrpc_call_wait (call, NULL, nesting_cb, GUINT_TO_POINTER (i));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, nesting_cb, GUINT_TO_POINTER (n_waiting - 1));
  if (dies != NULL)
    afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
  while (places[0].n_told < n_waiting)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_waits_nested_end (gconstpointer dies)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "echo");

  g_test_summary ("Of many who wait for an end, the same; signals included");
  g_variant_unref (test_call (proxy, NULL, NULL));
  places[0].n_told = 0;
  n_waiting = 8;
  for (guint i = 0; i < 3; i++)
    {
      afrpc_process_wait_async (process, NULL, nesting_cb, GUINT_TO_POINTER (i));
      afrpc_caller_close_async (AFRPC_CALLER (proxy), NULL, nesting_cb, GUINT_TO_POINTER (4 + i));
    }
  g_signal_connect_swapped (process, "exited", G_CALLBACK (nest), GUINT_TO_POINTER (3));
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (nest), GUINT_TO_POINTER (7));
  if (dies != NULL)
    afrpc_process_kill (process, SIGKILL);
  while (places[0].n_told < n_waiting)
    g_main_context_iteration (NULL, TRUE);
}

static void
count_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      n)
{
  ++*(guint *) n;
}

static void
test_waits_nested_pool (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcPool) pool = afrpc_pool_new (process, "echo");
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  guint n_cancelled = 0;

  g_test_summary ("Of many who wait for the end of a pool, the same; and who has cancelled that is told once");
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (pool), NULL, NULL, NULL));
  places[0].n_told = 0;
  n_waiting = 4;
  g_signal_connect_swapped (pool, "destroyed", G_CALLBACK (nest), GUINT_TO_POINTER (3));
  for (guint i = 0; i < 3; i++)
    {
      if (i == 1)
        afrpc_caller_close_async (AFRPC_CALLER (pool), cancellable, count_cb, &n_cancelled);
      afrpc_caller_close_async (AFRPC_CALLER (pool), NULL, nesting_cb, GUINT_TO_POINTER (i));
    }
  g_cancellable_cancel (cancellable);
  while (places[0].n_told < n_waiting || n_cancelled == 0)
    g_main_context_iteration (NULL, TRUE);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (n_cancelled, ==, 1);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/waits/blocked", test_waits_blocked);
  g_test_add_data_func ("/waits/nested/result", NULL, test_waits_nested);
  g_test_add_data_func ("/waits/nested/death", "dies", test_waits_nested);
  g_test_add_data_func ("/waits/nested/end", NULL, test_waits_nested_end);
  g_test_add_data_func ("/waits/nested/end-by-death", "dies", test_waits_nested_end);
  g_test_add_func ("/waits/nested/pool", test_waits_nested_pool);

  return g_test_run ();
}
