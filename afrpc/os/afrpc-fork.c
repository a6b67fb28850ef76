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
#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-child.h"
#include "os/afrpc-low-fd.h"

/* The number of threads. A process with one may ask for a thread group of its own, which it has, and no other may: see
 * unshare(2). Who is refused looks at a folder, which has a link for each of its folders, and two more; that takes 30
 * times as long. */
static guint
count_threads (void)
{
  struct stat st;

  if (unshare (CLONE_THREAD) == 0)
    return 1;

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

/* Sandboxes refuse what they do not know. */
static gboolean
is_refused (int error)
{
  return error == ENOSYS || error == EPERM || error == EINVAL;
}

/* The old system call: the order of its arguments depends on the machine. */
static int
clone_old (guint64  flags,
           int     *pidfd,
           gint64   tid_place)
{
#if defined(__x86_64__)
  return syscall (SYS_clone, flags, 0, pidfd, tid_place, 0);
#elif defined(__aarch64__)
  return syscall (SYS_clone, flags, 0, pidfd, 0, tid_place);
#else
  errno = ENOSYS;
  return -1;
#endif
}

/* fork() with a pidfd; @flags: CLONE_PARENT for a sibling. Handlers of pthread_atfork() are not called; in a process
 * with one thread they have nothing to do. In containers clone3() is often refused, since a filter cannot look at its
 * arguments, and clone() is not. */
static int
clone_process (guint64  flags,
               int     *pidfd)
{
  gint64 tid_place = 0;
  struct clone_args args;
  int pid;

  /* Where the C library keeps the thread's number, which the kernel can set for it. */
  if (prctl (PR_GET_TID_ADDRESS, &tid_place, 0, 0, 0) == 0 && tid_place != 0)
    flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;

  memset (&args, 0, sizeof args);
  args.flags = flags | CLONE_PIDFD;
  args.pidfd = (guintptr) pidfd;
  args.child_tid = tid_place;
  args.exit_signal = (flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD;
  pid = syscall (SYS_clone3, &args, sizeof args);
  if (pid < 0 && is_refused (errno))
    pid = clone_old (flags | CLONE_PIDFD | SIGCHLD, pidfd, tid_place);
  if (pid > 0)
    *pidfd = afrpc_low_fd_lift (*pidfd);

  return pid;
}

/* fork(), and a pidfd: -1 if there is none to be had. */
int
afrpc_fork_child (int *pidfd)
{
  int pid;

  *pidfd = -1;
  pid = clone_process (0, pidfd);
  if (pid >= 0 || !is_refused (errno))
    return pid;

  pid = fork ();
  if (pid > 0)
    *pidfd = afrpc_low_fd_lift (syscall (SYS_pidfd_open, pid, 0));

  return pid;
}

/* Whether a child has ended, and can be reaped. */
gboolean
afrpc_fork_has_ended (int pid)
{
  const int peeked = afrpc_child_peek (pid, -1);

  return peeked < 0 ? errno == ECHILD : peeked > 0;
}

static gboolean
set_fork_error (GError **error)
{
  int saved_errno = errno;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "cannot fork: %s", g_strerror (saved_errno));

  return FALSE;
}

/* FALSE with an error. */
static gboolean
end_unwatched (int      pid,
               GError **error)
{
  set_fork_error (error);
  kill (pid, SIGKILL);
  while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
    ;

  return FALSE;
}

/* Opens the pidfd of a child, or ends it. */
gboolean
afrpc_fork_watch (int       pid,
                  int      *pidfd,
                  GError  **error)
{
  *pidfd = afrpc_low_fd_lift (syscall (SYS_pidfd_open, pid, 0));

  return *pidfd >= 0 || end_unwatched (pid, error);
}

/* Returns the new process' pid and pidfd, 0 in that process, -1 for an error. It is a sibling, a child of
 * @parent_pid, if this process is one and the kernel permits it. */
int
afrpc_fork (int        parent_pid,
            gboolean  *is_sibling,
            int       *pidfd,
            GError   **error)
{
  int pid = -1;

  errno = ENOSYS;
  *is_sibling = getppid () == parent_pid;
  if (*is_sibling)
    pid = clone_process (CLONE_PARENT, pidfd);
  if (pid >= 0)
    return pid;

  *is_sibling = FALSE;
  if (is_refused (errno))
    pid = afrpc_fork_child (pidfd);
  if (pid < 0)
    set_fork_error (error);
  if (pid > 0 && *pidfd < 0 && !end_unwatched (pid, error))
    return -1;

  return pid;
}
