/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Example 2: the async backend. Three countdowns run in one worker at the same time; the one that
 * was started last is the first to finish. Everything is printed on standard output.
 * Usage: example-2 [MODULE [MILLISECONDS]] */
#include <afrpc/afrpc.h>

#include <stdlib.h>

#include "example-util.h"

#define STEP_MS 1000 /* default; of the countdowns */

static void
finished_cb (GObject      *proxy,
             GAsyncResult *result,
             gpointer      data)
{
  guint count = GPOINTER_TO_UINT (data);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (proxy), result, &error);

  if (value != NULL)
    g_print ("job %u finished\n", count);
  else
    g_print ("job %u failed: %s\n", count, error->message);
}

static void
event_cb (AfrpcProxy   *proxy,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          gpointer      data)
{
  g_print ("%s", g_variant_get_string (event, NULL));
}

static void
error_cb (AfrpcProxy *proxy,
          GError     *error,
          gpointer    data)
{
  g_print ("FATAL: %s\n", error->message);
  exit (1);
}

int
main (int    argc,
      char **argv)
{
  g_autofree char *module = example_module (argc, argv, "countdown.so");
  guint step_ms = argc > 2 ? (guint) strtoul (argv[2], NULL, 10) : STEP_MS;
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (NULL);
  g_autoptr(AfrpcProxy) proxy = NULL;

  afrpc_process_require (process, module);
  proxy = g_object_new (AFRPC_TYPE_PROXY,
                        "process", process,
                        "function", "run",
                        "backend", AFRPC_BACKEND_ASYNC,
                        NULL);
  g_signal_connect (proxy, "event", G_CALLBACK (event_cb), NULL);
  g_signal_connect (proxy, "error", G_CALLBACK (error_cb), NULL);
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (g_main_loop_quit), loop);

  for (guint count = 3; count >= 1; count--)
    afrpc_caller_call (AFRPC_CALLER (proxy), g_variant_new ("(uu)", count, step_ms), NULL, finished_cb,
                      GUINT_TO_POINTER (count));

  afrpc_caller_close (AFRPC_CALLER (proxy));
  g_main_loop_run (loop);

  return 0;
}
