/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-reopen.h"

#include <fcntl.h>
#include <string.h>

#include "os/afrpc-low-fd.h"

/* "/proc/self/fd/FD"; printf() costs a forked process as much as the rest of its start. */
static void
write_path (char *path,
            int   fd)
{
  static const char directory[] = "/proc/self/fd/";
  char digits[16];
  int n = 0;

  do
    digits[n++] = '0' + fd % 10;
  while ((fd /= 10) > 0);

  memcpy (path, directory, sizeof directory - 1);
  path += sizeof directory - 1;
  while (n > 0)
    *path++ = digits[--n];
  *path = '\0';
}

/* Unlike a duplicate it shares neither status flags nor owner with @fd, which stays the caller's.
 * Returns: it, or -1 and errno: a socket, and what belongs to another user, cannot be opened again. */
int
afrpc_reopen (int fd,
              int flags)
{
  char path[32];

  write_path (path, fd);

  return afrpc_low_fd_lift (open (path, flags | O_CLOEXEC));
}
