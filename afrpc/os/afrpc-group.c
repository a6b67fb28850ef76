/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-group.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1u << 2) /* since Linux 6.9 */
#endif

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

/* In the worker, which is about to exit, and leaves the group to do so: the others end. If its program lives, that would
 * see to it; if not, nobody else does. */
void
afrpc_group_end (void)
{
  if (!afrpc_group_is_ours ())
    return;

  leader = 0;
  /* A parent that has died has been replaced, maybe by one of another session, which nobody can join. */
  if (setpgid (0, getpgid (getppid ())) == 0)
    kill (-getpid (), SIGKILL);
  else if (getppid () != parent || parent == 1)
    kill (0, SIGKILL);
}

/* In the program: signals all of the group that @pid leads. A number is good as long as its leader is not reaped, by this
 * program, for it is not given to another group before; a pidfd always is. FALSE: there is no such group, or nobody can tell
 * whose it is. */
gboolean
afrpc_group_signal (int      pid,
                    int      pidfd,
                    gboolean is_child,
                    int      signum)
{
  if (pidfd >= 0 && syscall (SYS_pidfd_send_signal, pidfd, signum, NULL, PIDFD_SIGNAL_PROCESS_GROUP) == 0)
    return TRUE;

  return is_child && pid > 0 && kill (-pid, signum) == 0;
}
