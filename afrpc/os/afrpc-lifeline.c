/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-lifeline.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "os/afrpc-reopen.h"

#define FD_MIN 10 /* copies lie above what programs expect to find at fixed numbers */

/* In the parent: one pipe for all workers, for as long as the program runs. Whom it signals belongs to the open file: each
 * worker gets one of its own, which costs less here than in a new process, whose own folder in /proc would have to be made.
 * Returns: the reading end, opened anew, the caller's; or -1 if there is none to be had. */
int
afrpc_lifeline_dup (void)
{
  static GMutex lock;
  static int ends[2] = { -1, -1 }; /* guarded by lock */
  static int owner;
  int fd;

  g_mutex_lock (&lock);
  /* A program that was forked has to have its own, or its workers would hang on its parent. */
  if (ends[0] < 0 || owner != getpid ())
    {
      if (ends[0] >= 0)
        {
          close (ends[0]);
          close (ends[1]);
        }
      if (pipe2 (ends, O_CLOEXEC) != 0)
        ends[0] = ends[1] = -1;
      owner = getpid ();
    }
  fd = ends[0] >= 0 ? afrpc_reopen (ends[0], O_RDONLY | O_NONBLOCK) : -1;
  g_mutex_unlock (&lock);

  if (fd >= 0 && fd < FD_MIN)
    {
      const int low = fd;

      fd = fcntl (low, F_DUPFD_CLOEXEC, FD_MIN);
      close (low);
    }

  return fd;
}

/* In the worker: hangs this process, or all of the group that it leads, on @fd (transfer full), an open file that is no other
 * process'. @signal: what they get in the end. FALSE: it cannot be done. */
gboolean
afrpc_lifeline_arm (int      fd,
                    int      signal,
                    gboolean is_group)
{
  struct pollfd poller = { fcntl (fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), POLLIN, 0 };

  /* It stays on the lower of both numbers: modules find theirs as if there were none. */
  if (poller.fd < 0 || poller.fd > fd)
    {
      if (poller.fd >= 0)
        close (poller.fd);
      poller.fd = fd;
    }
  else
    close (fd);

  if (fcntl (poller.fd, F_SETOWN, is_group ? -getpid () : getpid ()) != 0 ||
      fcntl (poller.fd, F_SETSIG, signal) != 0 || fcntl (poller.fd, F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC) != 0)
    {
      close (poller.fd);
      return FALSE;
    }

  /* The parent may have died before. */
  if (poll (&poller, 1, 0) == 1 && (poller.revents & POLLHUP) != 0)
    kill (is_group ? 0 : getpid (), signal);

  return TRUE;
}
