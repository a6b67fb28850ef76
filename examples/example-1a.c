/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Example 1a: example 1 with the async backend. What differs is the function, and the property that
 * says of which backend it is. Everything is printed on standard output.
 * Usage: example-1a [MODULE] */
#include <afrpc/afrpc.h>

#include <stdlib.h>

#include "example-util.h"

static void
rmdir_cb (GObject      *proxy,
          GAsyncResult *result,
          gpointer      data)
{
  g_autofree char *path = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (proxy), result, &error);
  gboolean done = FALSE;
  const char *reason;

  if (value != NULL)
    g_variant_get (value, "(b&s)", &done, &reason);
  else
    reason = error->message;

  if (!done)
    g_print ("%s: %s\n", path, reason);
}

static void
event_cb (AfrpcProxy   *proxy,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          gpointer      data)
{
  g_print ("%u requests handled\n", g_variant_get_uint32 (event));
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
  g_autofree char *module = example_module (argc, argv, "my-worker.so");
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (NULL);
  g_autoptr(AfrpcProxy) proxy = NULL;

  afrpc_process_require (process, module);
  proxy = g_object_new (AFRPC_TYPE_PROXY,
                        "process", process,
                        "function", "run_async",
                        "backend", AFRPC_BACKEND_ASYNC,
                        NULL);
  g_signal_connect (proxy, "event", G_CALLBACK (event_cb), NULL);
  g_signal_connect (proxy, "error", G_CALLBACK (error_cb), NULL);
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (g_main_loop_quit), loop);

  for (guint id = 1; id <= 6; id++)
    {
      char *path = g_strdup_printf ("/tmp/somepath/%u", id);

      afrpc_caller_call (AFRPC_CALLER (proxy), g_variant_new ("(ss)", "rmdir", path), NULL, rmdir_cb, path);
    }

  afrpc_caller_close (AFRPC_CALLER (proxy));
  g_main_loop_run (loop);

  return 0;
}
