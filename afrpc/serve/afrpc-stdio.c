/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-stdio.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FD_MIN 10 /* copies lie above what programs expect to find at fixed numbers */

/* A conversation needs both to be pipes or sockets: nothing that a terminal or /dev/null could be. */
static gboolean
is_connected (int fd)
{
  struct stat st;

  return fstat (fd, &st) == 0 && (S_ISSOCK (st.st_mode) || S_ISFIFO (st.st_mode));
}

/* Moves standard input and output away, if somebody may be there to talk to. What code in the worker reads
 * is then empty, and what it prints goes to standard error: neither damages the conversation. */
gboolean
afrpc_stdio_take (int *in_fd,
                  int *out_fd)
{
  int null;

  if (!is_connected (STDIN_FILENO) || !is_connected (STDOUT_FILENO))
    return FALSE;

  null = open ("/dev/null", O_RDWR | O_CLOEXEC);
  if (null == STDERR_FILENO)
    null = fcntl (null, F_DUPFD, STDERR_FILENO + 1); /* without a standard error this becomes it */
  *in_fd = fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, FD_MIN);
  *out_fd = fcntl (STDOUT_FILENO, F_DUPFD_CLOEXEC, FD_MIN);
  if (null < 0 || *in_fd < 0 || *out_fd < 0 || dup2 (null, STDIN_FILENO) < 0 ||
      dup2 (STDERR_FILENO, STDOUT_FILENO) < 0)
    return FALSE;
  close (null);

  return TRUE;
}
