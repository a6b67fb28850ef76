/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program that is its own worker: one file, no module beside it. It counts the primes below a number in
 * several processes.
 *
 * usage: self [N] */
#include <afrpc/afrpc.h>

#include <stdlib.h>

#define N_WORKERS 4

typedef struct
{
  GMainLoop *loop;
  guint64 n_primes;
  guint n_working;
} Count;

static GVariant *
count_primes (AfrpcWorker  *worker,
              GVariant     *args,
              GError      **error)
{
  guint64 from, to, n_primes = 0;

  g_variant_get (args, "(tt)", &from, &to);
  for (guint64 i = MAX (from, 2); i < to; i++)
    {
      guint64 divisor = 2;

      while (divisor * divisor <= i && i % divisor != 0)
        divisor++;
      if (divisor * divisor > i)
        n_primes++;
    }

  return g_variant_new_uint64 (n_primes);
}

static void
counted_cb (GObject      *proxy,
            GAsyncResult *result,
            gpointer      data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (proxy), result, &error);
  Count *count = data;

  if (value != NULL)
    count->n_primes += g_variant_get_uint64 (value);
  else
    g_printerr ("%s\n", error->message);
}

static void
destroyed_cb (AfrpcProxy *proxy,
              Count      *count)
{
  if (--count->n_working == 0)
    g_main_loop_quit (count->loop);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr(GMainLoop) loop = NULL;
  Count count = { NULL, 0, N_WORKERS };
  guint64 n;

  /* First of all: workers are forked from the program as it is here. */
  afrpc_register_function ("count-primes", AFRPC_FUNCTION_SYNC, G_CALLBACK (count_primes), "(tt)");
  afrpc_init_early (&argc, &argv);

  n = argc > 1 ? g_ascii_strtoull (argv[1], NULL, 10) : 100000;
  count.loop = loop = g_main_loop_new (NULL, FALSE);
  for (guint i = 0; i < N_WORKERS; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_new_self ();
      g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "count-primes");

      g_signal_connect (proxy, "destroyed", G_CALLBACK (destroyed_cb), &count);
      afrpc_caller_call (AFRPC_CALLER (proxy), g_variant_new ("(tt)", n * i / N_WORKERS, n * (i + 1) / N_WORKERS), NULL, counted_cb,
                        &count);
      afrpc_caller_close (AFRPC_CALLER (proxy));
    }
  g_main_loop_run (loop);
  g_print ("%" G_GUINT64_FORMAT " primes below %" G_GUINT64_FORMAT "\n", count.n_primes, n);

  return 0;
}
