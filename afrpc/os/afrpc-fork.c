/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-fork.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "afrpc-error.h"

/* The number of threads: a folder has a link for each of its folders, and two more. */
static guint
count_threads (void)
{
  struct stat st;

  return stat ("/proc/self/task", &st) == 0 ? st.st_nlink - 2 : 0;
}

/* A process with threads cannot be forked: locks that they hold would never be released in the child. */
gboolean
afrpc_fork_is_possible (GError **error)
{
  const guint n_threads = count_threads ();

  if (n_threads != 1)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   "a process with %u threads cannot be forked", n_threads);
      return FALSE;
    }
  return TRUE;
}

/* fork(), but for a sibling. Handlers of pthread_atfork() are not called; in a process with one thread they have
 * nothing to do. */
static int
fork_sibling (int *pidfd)
{
  gint64 tid_place = 0;
  struct clone_args args;

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

  return syscall (SYS_clone3, &args, sizeof args);
}

static gboolean
set_fork_error (GError **error)
{
  int saved_errno = errno;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "cannot fork: %s", g_strerror (saved_errno));

  return FALSE;
}

/* Opens the pidfd of a child, or ends it. */
gboolean
afrpc_fork_watch (int       pid,
                  int      *pidfd,
                  GError  **error)
{
  *pidfd = syscall (SYS_pidfd_open, pid, 0);
  if (*pidfd >= 0)
    return TRUE;

  set_fork_error (error);
  kill (pid, SIGKILL);
  while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
    ;

  return FALSE;
}

/* Returns the new process' pid and pidfd, 0 in that process, -1 for an error. It is a sibling, a child of
 * @parent_pid, if this process is one and the kernel permits it: not in a sandbox that refuses clone3(), and not
 * with AFRPC_FORK=plain in the environment. */
int
afrpc_fork (int        parent_pid,
            gboolean  *is_sibling,
            int       *pidfd,
            GError   **error)
{
  const char *way = getenv ("AFRPC_FORK");
  int pid = -1;

  *is_sibling = getppid () == parent_pid && (way == NULL || strcmp (way, "plain") != 0);
  if (*is_sibling)
    {
      pid = fork_sibling (pidfd);
      if (pid < 0 && errno != ENOSYS && errno != EPERM && errno != EINVAL)
        {
          set_fork_error (error);
          return -1;
        }
      *is_sibling = pid >= 0;
    }
  if (*is_sibling)
    return pid;

  pid = fork ();
  if (pid < 0)
    set_fork_error (error);
  else if (pid > 0 && !afrpc_fork_watch (pid, pidfd, error))
    return -1;

  return pid;
}
