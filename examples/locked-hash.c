/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints the SHA-256 of files as sha256sum does. The program opens them; what reads them is a process that may
 * open nothing. */
#include <afrpc/afrpc.h>

#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <unistd.h>

#include "example-util.h"

static int n_failed;

static void
hashed_cb (GObject      *proxy,
           GAsyncResult *result,
           gpointer      data)
{
  g_autofree char *path = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_full_finish (AFRPC_CALLER (proxy), result, NULL, &error);

  if (value != NULL)
    g_print ("%s  %s\n", g_variant_get_string (value, NULL), path);
  else
    {
      g_printerr ("%s: %s\n", path, error->message);
      n_failed++;
    }
}

static void
hash (AfrpcProxy *proxy,
      const char *path)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  if (fd < 0)
    {
      g_printerr ("%s: cannot be opened\n", path);
      n_failed++;
      return;
    }

  g_unix_fd_list_append (fds, fd, NULL); /* a copy, which goes with the list */
  close (fd);
  afrpc_call_options_set_fds (options, fds);
  afrpc_caller_call_full (AFRPC_CALLER (proxy), g_variant_new ("(h)", 0), options, NULL, hashed_cb, g_strdup (path));
}

int
main (int    argc,
      char **argv)
{
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (NULL);
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autofree char *module = example_module (0, argv, "locked-worker.so");

  afrpc_process_require (process, module);
  proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "sha256", "init", "lock", NULL);
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (g_main_loop_quit), loop);

  for (int i = 1; i < argc; i++)
    {
      hash (proxy, argv[i]);
      /* So that there are never many open files. */
      while (afrpc_proxy_get_n_calls_queued (proxy) >= 16)
        g_main_context_iteration (NULL, TRUE);
    }

  afrpc_caller_close (AFRPC_CALLER (proxy));
  g_main_loop_run (loop);

  return n_failed > 0 ? 1 : 0;
}
