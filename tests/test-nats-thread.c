/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The end of a process, and of threads of links. */
#include "nats/afrpc-nats-thread.h"

#include <stdlib.h>

static gint n_cleared_up; /* atomic */

/* As OpenSSL does, after the thread. */
static void
clear_up (gpointer data)
{
  g_usleep (20 * 1000);
  g_atomic_int_inc (&n_cleared_up);
}

static gpointer
link_thread (gpointer data)
{
  static GPrivate private = G_PRIVATE_INIT (clear_up);

  g_private_set (&private, data);
  /* The process is about to end by then. */
  g_usleep (20 * 1000);
  afrpc_nats_thread_end (data);

  return NULL;
}

static void
check (void)
{
  g_assert_cmpint (g_atomic_int_get (&n_cleared_up), ==, 1);
}

static gpointer
other_thread (gpointer data)
{
  g_usleep (G_MAXULONG);

  return NULL;
}

static void
test_nats_thread_exit (void)
{
  static AfrpcNatsThread thread;

  g_test_summary ("A process does not end while a thread does that was asked to end");
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }

  /* What is registered first comes last. */
  atexit (check);
  afrpc_nats_thread_watch ();
  g_thread_unref (g_thread_new ("link", link_thread, &thread));
  afrpc_nats_thread_leave (&thread);
}

static void
test_nats_thread_others (void)
{
  static AfrpcNatsThread thread;

  g_test_summary ("It does not wait for those that go on");
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 10 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }

  afrpc_nats_thread_watch ();
  g_thread_unref (g_thread_new ("link", other_thread, &thread));
}

static void
test_nats_thread_many (void)
{
  AfrpcNatsThread threads[50] = { 0 };

  g_test_summary ("Those that have ended are waited for, whether they were asked to end or not");
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      g_thread_unref (g_thread_new ("link", link_thread, &threads[i]));
      if (i % 2 == 0)
        afrpc_nats_thread_leave (&threads[i]);
    }
  while (g_atomic_int_get (&n_cleared_up) < (int) G_N_ELEMENTS (threads))
    afrpc_nats_threads_join ();
  /* Too late */
  afrpc_nats_thread_leave (&threads[1]);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/nats-thread/exit", test_nats_thread_exit);
  g_test_add_func ("/nats-thread/others", test_nats_thread_others);
  g_test_add_func ("/nats-thread/many", test_nats_thread_many);

  return g_test_run ();
}
