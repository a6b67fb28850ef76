/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-memory-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/afrpc-low-fd.h"

gboolean
afrpc_memory_file_may_have (gsize size)
{
  struct rlimit limit;

  return size <= G_MAXSSIZE && (getrlimit (RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
                                size <= limit.rlim_cur);
}

int
afrpc_memory_file_new (const char *name,
                       gsize       size,
                       int         seals)
{
  int fd, saved_errno;

  if (!afrpc_memory_file_may_have (size))
    {
      errno = EFBIG;
      return -1;
    }

  fd = afrpc_low_fd_lift (memfd_create (name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd < 0 || (ftruncate (fd, size) == 0 && fcntl (fd, F_ADD_SEALS, seals) == 0))
    return fd;

  saved_errno = errno;
  close (fd);
  errno = saved_errno;

  return -1;
}

gboolean
afrpc_memory_file_is_possible (void)
{
  static gsize answer; /* 1: yes, 2: no */

  if (g_once_init_enter (&answer))
    {
      const int fd = afrpc_memory_file_new ("afrpc", 1, 0);
      /* There may be no descriptor left now, and one later. */
      const gboolean is_possible = fd >= 0 || errno == EMFILE || errno == ENFILE;

      if (fd >= 0)
        close (fd);
      g_once_init_leave (&answer, is_possible ? 1 : 2);
    }

  return answer == 1;
}
