/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "spawn/afrpc-fork.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "afrpc-error.h"

/* The number of threads: a folder has a link for each of its folders, and two more. */
static guint
count_threads (void)
{
  struct stat st;

  return stat ("/proc/self/task", &st) == 0 ? st.st_nlink - 2 : 0;
}

/* A process with threads cannot be forked: locks that they hold would never be released in the child.
 * @parent_pid: whose child the new process is going to be */
gboolean
afrpc_fork_is_possible (int      parent_pid,
                        GError **error)
{
  const guint n_threads = count_threads ();

  if (n_threads != 1)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   "a process with %u threads cannot be forked", n_threads);
      return FALSE;
    }
  if (getppid () != parent_pid)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   "a process that is not a child of the program cannot be forked");
      return FALSE;
    }

  return TRUE;
}

/* fork(), but for a sibling: returns its pid and pidfd, 0 in the new process, -1 for an error. Handlers
 * of pthread_atfork() are not called; in a process with one thread they have nothing to do. */
int
afrpc_fork (int     *pidfd,
            GError **error)
{
  gint64 tid_place = 0;
  struct clone_args args;
  int pid;

  /* Where the C library keeps the thread's number, which the kernel can set for it. */
  if (prctl (PR_GET_TID_ADDRESS, &tid_place, 0, 0, 0) != 0)
    tid_place = 0;

  memset (&args, 0, sizeof args);
  args.flags = CLONE_PARENT | CLONE_PIDFD;
  args.pidfd = (guintptr) pidfd;
  if (tid_place != 0)
    {
      args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
      args.child_tid = tid_place;
    }

  pid = syscall (SYS_clone3, &args, sizeof args);
  if (pid < 0)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "cannot fork: %s", g_strerror (errno));

  return pid;
}
