/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A call that tells how far it has come, and takes notice when nobody wants it any more. The program is its own
 * worker. */
#include <afrpc/afrpc.h>

#define LIMIT 100000u
#define N_STEPS 4

static gboolean
is_prime (guint32 number)
{
  for (guint32 divisor = 2; divisor * divisor <= number; divisor++)
    if (number % divisor == 0)
      return FALSE;

  return number >= 2;
}

static GVariant *
count_primes (AfrpcWorker  *worker,
              GVariant     *args,
              GError      **error)
{
  guint32 limit, n_primes = 0;

  g_variant_get (args, "(u)", &limit);
  for (guint32 i = 1; i <= limit; i++)
    {
      if (i < limit && is_prime (i))
        n_primes++;
      if (i % (limit / N_STEPS) != 0)
        continue;

      afrpc_worker_progress (worker, g_variant_new ("(uu)", i, limit));
      if (afrpc_worker_is_cancelled (worker))
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "given up");
          return NULL;
        }
    }

  return g_variant_new_uint32 (n_primes);
}

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   data)
{
  guint32 done, all;

  g_variant_get (progress, "(uu)", &done, &all);
  g_print ("%u %%\n", 100 * done / all);
}

static void
counted_cb (GObject      *proxy,
            GAsyncResult *result,
            gpointer      data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_full_finish (AFRPC_CALLER (proxy), result, NULL, &error);

  if (value != NULL)
    g_print ("%u primes below %u\n", g_variant_get_uint32 (value), LIMIT);
  else
    g_printerr ("%s\n", error->message);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr(GMainLoop) loop = NULL;
  g_autoptr(GCancellable) cancellable = NULL;
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_register_function ("count-primes", AFRPC_FUNCTION_SYNC, G_CALLBACK (count_primes), "(u)");
  afrpc_init_early (&argc, &argv);

  loop = g_main_loop_new (NULL, FALSE);
  cancellable = g_cancellable_new ();
  process = afrpc_process_new_self ();
  proxy = afrpc_proxy_new (process, "count-primes");
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (g_main_loop_quit), loop);
  afrpc_call_options_set_progress (options, AFRPC_PROGRESS_ALL, progress_cb, NULL, NULL);
  afrpc_caller_call_full (AFRPC_CALLER (proxy), g_variant_new ("(u)", LIMIT), options, cancellable, counted_cb, NULL);
  afrpc_caller_close (AFRPC_CALLER (proxy));
  g_main_loop_run (loop);

  return 0;
}
