/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-group.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/afrpc-child.h"
#include "os/afrpc-lifeline.h"

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1u << 2) /* since Linux 6.9 */
#endif

#define CHILD_STACK_SIZE (16u << 10) /* bytes */

/* Nothing of a sanitizer's. */
#define CHILD_CODE __attribute__ ((no_sanitize ("address", "thread", "undefined")))

static int leader; /* this process, if it was asked to lead a group */
static int parent; /* whose child it was then */

/* In the worker: from now on it leads a group, with all that it starts. */
gboolean
afrpc_group_lead (void)
{
  static gboolean is_noted; /* also in what is forked later */

  if (setpgid (0, 0) != 0 && getpgrp () != getpid ())
    return FALSE;

  leader = getpid ();
  parent = getppid ();
  if (!is_noted)
    atexit (afrpc_group_end);
  is_noted = TRUE;

  return TRUE;
}

/* Whether this process leads a group because it was asked to. */
gboolean
afrpc_group_is_ours (void)
{
  return leader != 0 && leader == getpid ();
}

/* In a template: who is forked from it begins in its group, which is not ended with it then. */
void
afrpc_group_disown (void)
{
  /* What a template writes to is copied for each process that is forked from it. */
  if (leader != 0)
    leader = 0;
}

/* It shares the memory: see afrpc-spawn.c. */
static CHILD_CODE int
make_group (void *data)
{
  syscall (SYS_setpgid, 0, 0);
  syscall (SYS_exit_group, EXIT_SUCCESS);
  /* A filter may know only one of them. */
  syscall (SYS_exit, EXIT_SUCCESS);
  __builtin_unreachable ();
}

/* Who leads a group can only join another one of its session: here, that of a child which is gone as soon as it has made
 * it, and counts until it is reaped. There is no signal at its end, so that nobody else reaps it, nor hears of it. */
static gboolean
leave (void)
{
  sigset_t all, before;
  gboolean has_left = FALSE;
  int pid;
  char *stack = mmap (NULL, CHILD_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

  if (stack == MAP_FAILED)
    return FALSE;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  pid = clone (make_group, stack + CHILD_STACK_SIZE, CLONE_VM | CLONE_VFORK, NULL);
  if (pid > 0)
    {
      has_left = setpgid (0, pid) == 0;
      while (waitpid (pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
    }
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  munmap (stack, CHILD_STACK_SIZE);

  return has_left;
}

/* In the worker, which is about to exit, and leaves the group to do so: the others end. If its program lives, that would
 * see to it; if not, nobody else does. */
void
afrpc_group_end (void)
{
  if (!afrpc_group_is_ours ())
    return;

  leader = 0;
  /* Where there may be no child, the parent's group, unless a parent that has died has been replaced by one of another
   * session, which nobody can join. */
  if (leave () || setpgid (0, getpgid (getppid ())) == 0)
    {
      kill (-getpid (), SIGKILL);
      afrpc_lifeline_leave_group ();
    }
  else if (getppid () != parent || parent == 1)
    kill (0, SIGKILL);
}

/* In the program: signals all of the group that @pid leads, by a pidfd, which is always good. Kernels before 6.9 know no
 * such thing, and sandboxes may refuse it: then by number, which is good as long as the leader is not reaped, for it is
 * not given to another group before. If another thread of the program reaps it in the very moment in between, and the number
 * is given away again, that one's group gets the signal. FALSE: there is no such group, or nobody can tell whose it is. */
gboolean
afrpc_group_signal (int      pid,
                    int      pidfd,
                    gboolean is_child,
                    int      signum)
{
  if (pidfd >= 0)
    {
      if (syscall (SYS_pidfd_send_signal, pidfd, signum, NULL, PIDFD_SIGNAL_PROCESS_GROUP) == 0)
        return TRUE;
      if (errno == ESRCH)
        return FALSE;
    }

  return is_child && pid > 0 && afrpc_child_peek (pid, pidfd) >= 0 && kill (-pid, signum) == 0;
}
