/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-lifeline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "os/afrpc-file-id.h"
#include "os/afrpc-fork-lock.h"
#include "os/afrpc-low-fd.h"
#include "os/afrpc-reopen.h"

#define FD_MIN 10 /* copies lie above what programs expect to find at fixed numbers */

typedef struct
{
  int fd;
  int pid; /* whose it is: one that was forked later has none; 0: nobody's */
  gboolean is_group;
  AfrpcFileId file;
  int own_fd; /* of a leader of a group: see hang_leader (); -1: none */
  AfrpcFileId own_file;
} Hung;

static Hung hung; /* in the worker, where that is needed later */

/* In the parent: one pipe for all workers, for as long as the program runs. Whom it signals belongs to the open file: each
 * worker gets one of its own, which costs less here than in a new process, whose own folder in /proc would have to be made.
 * Returns: the reading end, opened anew, the caller's; or -1 if there is none to be had. */
int
afrpc_lifeline_dup (void)
{
  static AfrpcForkLock lock;
  static int ends[2] = { -1, -1 }; /* guarded by lock */
  static int owner;
  int fd;

  afrpc_fork_lock_lock (&lock);
  /* A program that was forked has to have its own, or its workers would hang on its parent. */
  if (ends[0] < 0 || owner != getpid ())
    {
      if (ends[0] >= 0)
        {
          close (ends[0]);
          close (ends[1]);
        }
      if (pipe2 (ends, O_CLOEXEC) != 0 || afrpc_low_fd_lift_pair (ends) != 0)
        ends[0] = ends[1] = -1;
      owner = getpid ();
    }
  fd = ends[0] >= 0 ? afrpc_reopen (ends[0], O_RDONLY | O_NONBLOCK) : -1;
  afrpc_fork_lock_unlock (&lock);

  if (fd >= 0 && fd < FD_MIN)
    {
      const int low = fd;

      fd = fcntl (low, F_DUPFD_CLOEXEC, FD_MIN);
      close (low);
    }

  return fd;
}

/* Whether there is none for want of what may be there again, and not since there cannot be any here. */
gboolean
afrpc_lifeline_is_for_want (int error)
{
  return error == EMFILE || error == ENFILE || error == ENOMEM;
}

static gboolean
hang (int fd,
      int owner, /* a group: negative */
      int signal)
{
  struct pollfd poller = { fd, POLLIN, 0 };

  if (fcntl (fd, F_SETOWN, owner) != 0 || fcntl (fd, F_SETSIG, signal) != 0 ||
      fcntl (fd, F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC) != 0)
    return FALSE;

  /* The parent may have died before. */
  if (poll (&poller, 1, 0) == 1 && (poller.revents & POLLHUP) != 0)
    kill (owner < 0 ? 0 : owner, signal);

  return TRUE;
}

/* A leader may move to another group. It is hung on an open file of its own as well, if there is one to be had.
 * Returns: that, or -1 */
static int
hang_leader (int fd,
             int signal)
{
  const int own_fd = afrpc_reopen (fd, O_RDONLY | O_NONBLOCK);

  if (own_fd >= 0 && !hang (own_fd, getpid (), signal))
    {
      close (own_fd);
      return -1;
    }

  return own_fd;
}

/* In the worker: hangs this process, or all of the group that it leads, on @fd (transfer full), an open file that is no
 * other process'. @signal: what they get in the end; @changes: whether it is to be another one later. FALSE: it cannot be
 * done. */
gboolean
afrpc_lifeline_arm (int      fd,
                    int      signal,
                    gboolean is_group,
                    gboolean changes)
{
  const int low_fd = fcntl (fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  int own_fd = -1;

  /* It stays on the lower of both numbers: modules find theirs as if there were none. */
  if (low_fd >= 0 && low_fd < fd)
    {
      close (fd);
      fd = low_fd;
    }
  else if (low_fd >= 0)
    close (low_fd);

  if (!hang (fd, is_group ? -getpid () : getpid (), signal))
    {
      close (fd);
      return FALSE;
    }

  if (is_group)
    own_fd = hang_leader (fd, signal);
  /* What is not written is shared with the process that this one was forked from. */
  if (is_group || changes)
    {
      hung = (Hung) { fd, getpid (), is_group, afrpc_file_id_get (fd), own_fd, { 0 } };
      if (own_fd >= 0)
        hung.own_file = afrpc_file_id_get (own_fd);
    }

  return TRUE;
}

/* This process gets @signal from now on, and its group gets none. */
void
afrpc_lifeline_change (int signal)
{
  if (hung.pid != getpid () || !afrpc_file_id_is (&hung.file, hung.fd))
    return;

  hung.is_group = FALSE;
  hang (hung.fd, getpid (), signal);
  if (hung.own_fd >= 0 && afrpc_file_id_is (&hung.own_file, hung.own_fd))
    close (hung.own_fd);
  hung.own_fd = -1;
}

/* This process has left the group that it led, with which it would have got SIGKILL. */
void
afrpc_lifeline_leave_group (void)
{
  if (hung.is_group)
    afrpc_lifeline_change (SIGKILL);
}
