/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-connect.h"

#include <fcntl.h>

#include "serve/afrpc-stdio.h"
#include "os/afrpc-reexec.h"
#include "os/afrpc-supervisor.h"
#include "transport/afrpc-pipes.h"
#include "transport/afrpc-socket.h"

#define SOCKET_ENV "AFRPC_SOCKET" /* set by whoever starts a host */

/* Returns: the socket that the process was started with, or -1 */
static int
take_socket (void)
{
  const char *number = g_getenv (SOCKET_ENV);
  guint64 fd;

  if (number == NULL || !g_ascii_string_to_unsigned (number, 10, 0, G_MAXINT, &fd, NULL) ||
      fcntl (fd, F_SETFD, FD_CLOEXEC) != 0)
    return -1;

  g_unsetenv (SOCKET_ENV);

  return fd;
}

/* A worker at the other end of a command. The descriptors become the session's. */
static void
connect_command (AfrpcSession          *self,
                 const AfrpcSupervised *supervised)
{
  afrpc_session_connect (self, &afrpc_pipes_funcs, supervised->in_fd, supervised->out_fd);
  self->lifeline_fd = supervised->lifeline_fd;
  self->control_fd = supervised->control_fd;
  self->goodbye_serial = supervised->goodbye_serial;
}

/* Connects with the socket that the process was started with; or with standard input and output, by way of a process
 * that waits for this one. @status: the exit status of a process that was supervised */
AfrpcConnectResult
afrpc_connect (AfrpcSession *self,
               int          *status)
{
  const int fd = take_socket ();
  AfrpcSupervised supervised;

  if (fd >= 0)
    {
      afrpc_session_connect (self, &afrpc_socket_funcs, fd, fd);
      return AFRPC_CONNECTED;
    }

  if (!afrpc_reexec_take (&supervised))
    {
      if (!afrpc_stdio_take (&supervised.in_fd, &supervised.out_fd))
        return AFRPC_CONNECT_NOBODY;
      /* Before anything is loaded: the one that waits costs next to nothing. */
      if (afrpc_supervise (&supervised, status))
        return AFRPC_CONNECT_SUPERVISED;
    }

  connect_command (self, &supervised);
  return AFRPC_CONNECTED;
}
