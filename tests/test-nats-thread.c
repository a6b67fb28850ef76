/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The end of a process, and of threads of links. */
#include "nats/afrpc-nats-thread.h"

#include <stdlib.h>
#include <unistd.h>

#define N_YIELDS 1000u /* whoever did not wait for who takes so long would have ended long before */

static gint n_cleared_up; /* atomic */
static gint is_ending;    /* atomic: the process */

/* As OpenSSL does, after the thread. */
static void
clear_up (gpointer data)
{
  for (guint i = 0; i < N_YIELDS; i++)
    g_thread_yield ();
  g_atomic_int_inc (&n_cleared_up);
}

static gpointer
link_thread (gpointer data)
{
  static GPrivate private = G_PRIVATE_INIT (clear_up);

  g_private_set (&private, data);
  while (!g_atomic_int_get (&is_ending))
    g_thread_yield ();
  afrpc_nats_thread_end (data);

  return NULL;
}

static void
end (void)
{
  g_atomic_int_set (&is_ending, TRUE);
}

static void
check (void)
{
  g_assert_cmpint (g_atomic_int_get (&n_cleared_up), ==, 1);
}

static gpointer
endless_thread (gpointer data)
{
  for (;;)
    pause ();

  return NULL;
}

static void
start (GThreadFunc      func,
       AfrpcNatsThread *thread)
{
  g_thread_unref (g_thread_new ("link", func, thread));
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
  atexit (end);
  start (link_thread, &thread);
  afrpc_nats_thread_leave (&thread);
}

/* @data: whether it was asked to end */
static void
test_nats_thread_endless (gconstpointer data)
{
  static AfrpcNatsThread thread;

  g_test_summary ("It does not wait for those that go on, and not for ever for one that was asked to end");
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }

  afrpc_nats_thread_watch ();
  start (endless_thread, &thread);
  if (GPOINTER_TO_INT (data))
    afrpc_nats_thread_leave (&thread);
}

static void
test_nats_thread_many (void)
{
  AfrpcNatsThread threads[50] = { 0 };

  g_test_summary ("Those that have ended are waited for, whether they were asked to end or not");
  end ();
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      start (link_thread, &threads[i]);
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
  g_test_add_data_func ("/nats-thread/goes-on", GINT_TO_POINTER (FALSE), test_nats_thread_endless);
  g_test_add_data_func ("/nats-thread/stuck", GINT_TO_POINTER (TRUE), test_nats_thread_endless);
  g_test_add_func ("/nats-thread/many", test_nats_thread_many);

  return g_test_run ();
}
