/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A call that tells how far it has come, and can be cancelled: the program is its own worker, adds numbers up, and
 * gives up when it has been told of so many steps.
 *
 * usage: progress [STEPS] */
#include <afrpc/afrpc.h>

#define N_STEPS 5
#define STEP G_GUINT64_CONSTANT (10000000)

typedef struct
{
  GMainLoop *loop;
  GCancellable *cancellable;
  guint n_steps;     /* that were told */
  guint n_steps_max; /* after which it is cancelled */
} Sum;

static GVariant *
add_up (AfrpcWorker  *worker,
        GVariant     *args,
        GError      **error)
{
  guint64 n, sum = 0;

  g_variant_get (args, "(t)", &n);
  for (guint64 i = 1; i <= n; i++)
    {
      sum += i % 7;
      if (i % STEP != 0)
        continue;

      afrpc_worker_progress (worker, g_variant_new ("(tt)", i, n));
      if (afrpc_worker_is_cancelled (worker))
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "given up");
          return NULL;
        }
    }

  return g_variant_new_uint64 (sum);
}

static void
progress_cb (AfrpcProxy *proxy,
             GVariant   *progress,
             gpointer    data)
{
  guint64 done, all;
  Sum *sum = data;

  g_variant_get (progress, "(tt)", &done, &all);
  g_print ("%" G_GUINT64_FORMAT " %%\n", 100 * done / all);
  if (++sum->n_steps == sum->n_steps_max)
    g_cancellable_cancel (sum->cancellable);
}

static void
added_cb (GObject      *proxy,
          GAsyncResult *result,
          gpointer      data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_proxy_call_with_progress_finish (AFRPC_PROXY (proxy), result, &error);

  if (value != NULL)
    g_print ("the sum is %" G_GUINT64_FORMAT "\n", g_variant_get_uint64 (value));
  else
    g_print ("%s\n", error->message);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr(GMainLoop) loop = NULL;
  g_autoptr(GCancellable) cancellable = NULL;
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  Sum sum = { 0 };

  afrpc_register_function ("add-up", AFRPC_FUNCTION_SYNC, G_CALLBACK (add_up), "(t)");
  afrpc_init_early (&argc, &argv);

  sum.loop = loop = g_main_loop_new (NULL, FALSE);
  sum.cancellable = cancellable = g_cancellable_new ();
  sum.n_steps_max = argc > 1 ? g_ascii_strtoull (argv[1], NULL, 10) : G_MAXUINT;
  process = afrpc_process_new_self ();
  proxy = afrpc_proxy_new (process, "add-up");
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (g_main_loop_quit), loop);
  afrpc_proxy_call_with_progress (proxy, g_variant_new ("(t)", N_STEPS * STEP), AFRPC_PROGRESS_ALL, progress_cb, &sum,
                                  NULL, cancellable, added_cb, NULL);
  afrpc_proxy_close (proxy);
  g_main_loop_run (loop);

  return 0;
}
