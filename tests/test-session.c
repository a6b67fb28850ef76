/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker's side of a conversation, from a parent that speaks by hand. */
#include "config.h"

#include "raw-parent.h"

#include <sys/socket.h>
#include <unistd.h>

/* Asks a host to fork; the new process' parent is @child. */
static void
put_fork (RawParent *host,
          RawParent *child)
{
  int sockets[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
  afrpc_stream_put_fd (&host->stream, AFRPC_FRAME_FORK, NULL, sockets[1]);
  raw_adopt (child, sockets[0]);
}

static guint32
wait_forked (RawParent *host)
{
  AfrpcFrame frame;
  g_autoptr(GVariant) forked = NULL;
  gboolean is_sibling;
  guint32 pid;

  g_assert_true (raw_wait (host, AFRPC_FRAME_FORKED, &frame));
  forked = raw_parse (host, &frame);
  g_variant_get (forked, "(ub)", &pid, &is_sibling);

  return pid;
}

static guint32
wait_hello_pid (RawParent *host)
{
  AfrpcFrame frame;
  g_autoptr(GVariant) hello = NULL;
  guint32 pid = 0;

  g_assert_true (raw_wait (host, AFRPC_FRAME_HELLO, &frame));
  hello = raw_parse (host, &frame);
  g_assert_true (g_variant_lookup (hello, "pid", "u", &pid));

  return pid;
}

static void
test_session_pid (void)
{
  RawParent host, children[2], grandchild;

  g_test_summary ("Each process greets with its own pid, also one that was forked from one that was forked");
  raw_start (&host, RAW_SOCKET, NULL);
  g_assert_cmpuint (wait_hello_pid (&host), ==, host.spawned.pid);
  raw_put_hello (&host);
  for (guint i = 0; i < 2; i++)
    {
      put_fork (&host, &children[i]);
      raw_flush (&host);
      g_assert_cmpuint (wait_hello_pid (&children[i]), ==, wait_forked (&host));
    }

  raw_put_hello (&children[0]);
  put_fork (&children[0], &grandchild);
  raw_flush (&children[0]);
  g_assert_cmpuint (wait_hello_pid (&grandchild), ==, wait_forked (&children[0]));

  raw_end (&grandchild, NULL);
  raw_end (&children[0], NULL);
  raw_end (&children[1], NULL);
  g_assert_cmpint (raw_end (&host, NULL), ==, 0);
}

static void
test_session_greets_first (void)
{
  RawParent host, child;
  AfrpcFrame frame;

  g_test_summary ("Without shared memory a forked worker has greeted before it does anything else");
  g_setenv ("AFRPC_TEST_FORK", "chain", TRUE);
  raw_start (&host, RAW_SOCKET, g_getenv ("AFRPC_TEST_FORK_HOST"));
  g_unsetenv ("AFRPC_TEST_FORK");
  raw_put_hello (&host);
  put_fork (&host, &child);
  /* All that it is going to do is there already, so nothing else makes it speak; its host ends it while it looks for
   * the function. */
  raw_put_hello (&child);
  raw_put_run (&child, RAW_SOCKET, "leave", NULL);
  raw_flush (&child);
  raw_flush (&host);

  g_assert_true (raw_wait_any (&child, &frame));
  g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_HELLO);
  g_assert_false (raw_wait_any (&child, &frame));
  raw_end (&child, NULL);
  g_assert_cmpint (raw_end (&host, NULL), ==, 0);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/session/pid", test_session_pid);
  g_test_add_func ("/session/greets-first", test_session_greets_first);

  return g_test_run ();
}
