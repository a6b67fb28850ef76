/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The end of the program itself, in whatever way its workers were started. */
#include "test-util.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker that computes is ended with its parent, which here is a child of this test. */
static void
test_orphan_busy (void)
{
  int fds[2];
  char buffer[64];
  GString *output;
  gssize n;
  int parent;

  g_test_summary ("A worker that computes is ended when its parent is killed");
  if (g_test_subprocess ())
    {
      AfrpcProxy *proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
      g_auto(Watched) watched = { 0 };

      watch_init (&watched, proxy);
      watch_events (&watched);
      afrpc_caller_call (AFRPC_CALLER (proxy), test_act ("spin", NULL), NULL, NULL, NULL);
      while (watched.n_events == 0)
        g_main_context_iteration (NULL, TRUE);
      g_print ("computing\n");
      kill (getpid (), SIGKILL);
      return;
    }

  g_assert_true (g_unix_open_pipe (fds, 0, NULL));
  parent = fork ();
  if (parent == 0)
    {
      dup2 (fds[1], 1);
      close (fds[0]);
      close (fds[1]);
      execl ("/proc/self/exe", "test-orphan", "-p", "/orphan/busy", "--GTestSubprocess", NULL);
      _exit (127);
    }
  close (fds[1]);
  waitpid (parent, NULL, 0);

  /* The end comes when everybody who has the writing end is gone: the worker inherited it. */
  output = g_string_new (NULL);
  while ((n = read (fds[0], buffer, sizeof buffer)) > 0)
    g_string_append_len (output, buffer, n);
  close (fds[0]);
  g_assert_nonnull (strstr (output->str, "computing"));
  g_string_free (output, TRUE);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/orphan/busy", test_orphan_busy);

  return g_test_run ();
}
