/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-bridge.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/afrpc-fork.h"
#include "os/afrpc-low-fd.h"

#define BUFFER_SIZE (64u << 10)

typedef union
{
  struct cmsghdr align;
  char bytes[CMSG_SPACE (2 * sizeof (int))];
} Control;

/* In the worker: has the supervisor copy from @in_fd to @socket_fd, and back to what it has. */
gboolean
afrpc_bridge_ask (int control_fd,
                  int in_fd,
                  int socket_fd)
{
  const int fds[2] = { in_fd, socket_fd };
  char byte = 0;
  struct iovec iov = { &byte, 1 };
  Control control = { { 0 } };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes };
  struct cmsghdr *cmsg = CMSG_FIRSTHDR (&message);

  cmsg->cmsg_level = SOL_SOCKET;
  cmsg->cmsg_type = SCM_RIGHTS;
  cmsg->cmsg_len = CMSG_LEN (sizeof fds);
  memcpy (CMSG_DATA (cmsg), fds, sizeof fds);

  return sendmsg (control_fd, &message, MSG_NOSIGNAL) == 1;
}

/* In the supervisor: FALSE if the worker said nothing, and is not going to. */
gboolean
afrpc_bridge_hear (int  control_fd,
                   int *in_fd,
                   int *socket_fd)
{
  int fds[2];
  char byte;
  struct iovec iov = { &byte, 1 };
  Control control;
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes };
  struct cmsghdr *cmsg;
  gssize n;

  do
    n = recvmsg (control_fd, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  cmsg = n == 1 ? CMSG_FIRSTHDR (&message) : NULL;
  if (cmsg == NULL || cmsg->cmsg_type != SCM_RIGHTS || cmsg->cmsg_len != CMSG_LEN (sizeof fds))
    return FALSE;

  memcpy (fds, CMSG_DATA (cmsg), sizeof fds);
  if (afrpc_low_fd_lift_pair (fds) != 0)
    return FALSE;

  *in_fd = fds[0];
  *socket_fd = fds[1];

  return TRUE;
}

/* One direction. */
typedef struct
{
  int from;     /* -1: nothing more comes */
  int to;       /* -1: nothing more is wanted */
  gsize start;  /* what is in between: bytes[start..end) */
  gsize end;
  char bytes[BUFFER_SIZE];
} Flow;

static gboolean
has_data (const Flow *flow)
{
  return flow->start < flow->end;
}

static void
fill (Flow *flow)
{
  gssize n = read (flow->from, flow->bytes, sizeof flow->bytes);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;

  flow->start = 0;
  flow->end = MAX (n, 0);
  if (n <= 0)
    flow->from = -1;
}

/* Writes what can be written without waiting. FALSE: nobody reads it. */
static gboolean
drain (Flow *flow)
{
  const gsize size = flow->end - flow->start;
  gssize n = send (flow->to, flow->bytes + flow->start, size, MSG_DONTWAIT | MSG_NOSIGNAL);

  /* Whether a pipe blocks is not ours to decide; one that polls as writable takes this much. */
  if (n < 0 && errno == ENOTSOCK)
    n = write (flow->to, flow->bytes + flow->start, MIN (size, PIPE_BUF));
  if (n < 0)
    return errno == EAGAIN || errno == EINTR;

  flow->start += n;
  return TRUE;
}

/* Lets the reader see the end. */
static void
finish (Flow *flow)
{
  if (shutdown (flow->to, SHUT_WR) != 0)
    close (flow->to);
  flow->to = -1;
}

/* Copies until the worker, @pid, has ended, and what it wrote was read: TRUE; or nobody reads that any more: FALSE. The
 * descriptors are closed. */
gboolean
afrpc_bridge_copy (int in_fd,
                   int socket_fd,
                   int out_fd,
                   int pid,
                   int pidfd)
{
  static Flow in, out;
  gboolean has_ended = FALSE, is_read = TRUE;

  in.from = in_fd;
  in.to = out.from = socket_fd;
  out.to = out_fd;

  for (;;)
    {
      struct pollfd pollers[] = {
        { has_data (&in) ? -1 : in.from, POLLIN, 0 },
        { has_data (&in) ? in.to : -1, POLLOUT, 0 },
        { has_data (&out) ? -1 : out.from, POLLIN, 0 },
        { out.to, has_data (&out) ? POLLOUT : 0, 0 },
        { has_ended ? -1 : pidfd, POLLIN, 0 },
      };
      const gboolean asks = pidfd < 0 && !has_ended;
      /* Others may have the socket of a worker that has ended: what is in it by then counts. */
      const gboolean is_over = has_ended && !has_data (&out);
      int n = poll (pollers, G_N_ELEMENTS (pollers), is_over ? 0 : asks ? AFRPC_FORK_ASK_MS : -1);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 || (n == 0 && is_over))
        break;
      if (asks && afrpc_fork_has_ended (pid))
        pollers[4].revents = POLLIN;

      if (pollers[0].revents != 0)
        fill (&in);
      if (pollers[1].revents != 0 && !drain (&in))
        {
          /* Whoever writes to the worker shall notice. */
          close (in_fd);
          in.from = in.to = -1;
          in.start = in.end = 0;
        }
      if (in.from < 0 && in.to >= 0 && !has_data (&in))
        {
          shutdown (in.to, SHUT_WR);
          in.to = -1;
        }

      if (pollers[2].revents != 0)
        fill (&out);
      if ((pollers[3].revents & POLLOUT) != 0 ? !drain (&out) : pollers[3].revents != 0)
        {
          is_read = FALSE;
          break;
        }
      if (out.from < 0 && out.to >= 0 && !has_data (&out))
        finish (&out);

      if (pollers[4].revents != 0)
        {
          has_ended = TRUE;
          in.from = in.to = -1;
          in.start = in.end = 0;
        }
    }

  close (socket_fd);

  return is_read;
}
