/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker that crashes, and a program that knows what to do: the call that it was running is given up, those behind
 * it were not started, and are made again in a new worker. */
#include <afrpc/afrpc.h>

#include <signal.h>

typedef struct
{
  GMainLoop *loop;
  AfrpcProxy *proxy;
  guint n_waiting; /* calls without an outcome */
} Divider;

typedef struct
{
  Divider *divider;
  gint32 a, b;
} Division;

static void divide (Divider *divider, gint32 a, gint32 b);

static GVariant *
divide_in_worker (AfrpcWorker  *worker,
                  GVariant     *args,
                  GError      **error)
{
  gint32 a, b;

  g_variant_get (args, "(ii)", &a, &b);
  if (b == 0)
    raise (SIGFPE); /* as dividing does on many machines */

  return g_variant_new_int32 (a / b);
}

static void
ignore_error_cb (AfrpcProxy *proxy,
                 GError     *error,
                 gpointer    data)
{
}

static void
start (Divider *divider)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_self ();

  g_clear_object (&divider->proxy);
  divider->proxy = afrpc_proxy_new (process, "divide");
  /* Its calls say why they failed: there is no need to hear it once more. */
  g_signal_connect (divider->proxy, "error", G_CALLBACK (ignore_error_cb), NULL);
}

static void
divided_cb (GObject      *proxy,
            GAsyncResult *result,
            gpointer      data)
{
  g_autofree Division *division = data;
  Divider *divider = division->divider;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_proxy_call_finish (AFRPC_PROXY (proxy), result, &error);

  divider->n_waiting--;
  if (value != NULL)
    g_print ("%d / %d = %d\n", division->a, division->b, g_variant_get_int32 (value));
  else if (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED))
    {
      if (AFRPC_PROXY (proxy) == divider->proxy)
        start (divider);
      divide (divider, division->a, division->b);
    }
  else
    g_print ("%d / %d killed the worker\n", division->a, division->b);

  if (divider->n_waiting == 0)
    g_main_loop_quit (divider->loop);
}

static void
divide (Divider *divider,
        gint32   a,
        gint32   b)
{
  Division *division = g_new (Division, 1);

  *division = (Division) { divider, a, b };
  divider->n_waiting++;
  afrpc_proxy_call (divider->proxy, g_variant_new ("(ii)", a, b), NULL, divided_cb, division);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr(GMainLoop) loop = NULL;
  Divider divider = { 0 };

  afrpc_register_function ("divide", AFRPC_FUNCTION_SYNC, G_CALLBACK (divide_in_worker), "(ii)");
  afrpc_init_early (&argc, &argv);

  divider.loop = loop = g_main_loop_new (NULL, FALSE);
  start (&divider);
  divide (&divider, 10, 5);
  divide (&divider, 10, 0);
  divide (&divider, 10, 3);
  divide (&divider, 10, 2);
  g_main_loop_run (loop);
  g_clear_object (&divider.proxy);

  return 0;
}
