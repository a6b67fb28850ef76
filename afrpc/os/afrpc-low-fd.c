/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-low-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FIXED_MAX 9 /* that programs, and their authors, expect something at */

static int
dup_above (int fd,
           int number)
{
  const int copy = fcntl (fd, F_DUPFD_CLOEXEC, number + 1);

  /* What fcntl(2) says if the limit is below the number. */
  if (copy < 0 && errno == EINVAL)
    errno = EMFILE;

  return copy;
}

int
afrpc_low_fd_dup (int fd)
{
  return dup_above (fd, FIXED_MAX);
}

int
afrpc_low_fd_lift (int fd)
{
  int lifted, saved_errno;

  if (G_LIKELY (fd < 0 || fd > STDERR_FILENO))
    return fd;

  lifted = dup_above (fd, STDERR_FILENO);
  saved_errno = errno;
  close (fd);
  errno = saved_errno;

  return lifted;
}

int
afrpc_low_fd_lift_pair (int fds[2])
{
  for (guint i = 0; i < 2; i++)
    {
      fds[i] = afrpc_low_fd_lift (fds[i]);
      if (fds[i] < 0)
        {
          const int saved_errno = errno;

          close (fds[!i]);
          fds[!i] = -1;
          errno = saved_errno;
          return -1;
        }
    }

  return 0;
}

gboolean
afrpc_low_fd_is_stream (int fd)
{
  const int flags = fcntl (fd, F_GETFD);

  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

void
afrpc_low_fd_fill (void)
{
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    {
      int null;

      if (afrpc_low_fd_is_stream (fd))
        continue;

      null = open ("/dev/null", O_RDWR);
      if (null >= 0 && null != fd)
        {
          dup2 (null, fd);
          close (null);
        }
    }
}
