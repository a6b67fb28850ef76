/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <glib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/afrpc-fork-lock.h"

#define N_FORKS 200u
#define N_LOCKS 3u
#define WAIT_MAX_S 20 /* of a process that was made, which nobody wakes up */

static AfrpcForkLock locks[N_LOCKS];
static gint is_over; /* atomic */

/* Has one lock or another nearly always. */
static gpointer
lock_all (gpointer thread)
{
  for (guint i = GPOINTER_TO_UINT (thread); g_atomic_int_get (&is_over) == 0; i++)
    {
      afrpc_fork_lock_lock (&locks[i % N_LOCKS]);
      afrpc_fork_lock_unlock (&locks[i % N_LOCKS]);
    }

  return NULL;
}

/* Returns: how a process ends that takes each lock once */
static int
fork_taking_all (void)
{
  const int pid = fork ();
  int status;

  g_assert_no_errno (pid);
  if (pid == 0)
    {
      alarm (WAIT_MAX_S);
      for (guint i = 0; i < N_LOCKS; i++)
        {
          afrpc_fork_lock_lock (&locks[i]);
          afrpc_fork_lock_unlock (&locks[i]);
        }
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);

  return status;
}

/* In a process of its own nobody has taken any before. */
static void
test_fork_lock_first (void)
{
  g_test_summary ("So they are if another thread takes its first one meanwhile");
  for (guint i = 0; i < N_FORKS; i++)
    {
      const int pid = fork ();
      int status;

      g_assert_no_errno (pid);
      if (pid == 0)
        {
          g_thread_unref (g_thread_new ("locks", lock_all, GUINT_TO_POINTER (i)));
          for (guint j = 0; j < i % 8; j++)
            g_thread_yield ();
          _exit (fork_taking_all () == 0 ? 0 : 1);
        }
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      g_assert_cmpint (status, ==, 0);
    }
}

static void
test_fork_lock_free (void)
{
  GThread *threads[2];

  g_test_summary ("Locks that other threads have where one forks are free in the process that is made");
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("locks", lock_all, GUINT_TO_POINTER (i));
  for (guint i = 0; i < N_FORKS; i++)
    g_assert_cmpint (fork_taking_all (), ==, 0);
  g_atomic_int_set (&is_over, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/fork-lock/first", test_fork_lock_first);
  g_test_add_func ("/fork-lock/free", test_fork_lock_free);

  return g_test_run ();
}
