/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "narrow-socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

gsize narrow_socket_room = G_MAXSIZE;
gsize narrow_socket_offered_max;
guint narrow_socket_n_calls;

static ssize_t
take (ssize_t n)
{
  if (n > 0 && narrow_socket_room != G_MAXSIZE)
    narrow_socket_room -= n;

  return n;
}

ssize_t
sendmsg (int                  fd,
         const struct msghdr *message,
         int                  flags)
{
  struct msghdr less = *message;
  struct iovec iov[message->msg_iovlen];
  gsize left = narrow_socket_room, offered = 0;

  less.msg_iov = iov;
  less.msg_iovlen = 0;
  for (gsize i = 0; i < message->msg_iovlen; i++)
    {
      offered += message->msg_iov[i].iov_len;
      if (left == 0)
        continue;
      iov[i] = message->msg_iov[i];
      iov[i].iov_len = MIN (iov[i].iov_len, left);
      left -= iov[i].iov_len;
      less.msg_iovlen = i + 1;
    }

  narrow_socket_n_calls++;
  narrow_socket_offered_max = MAX (narrow_socket_offered_max, offered);
  if (narrow_socket_room == 0)
    {
      errno = EAGAIN;
      return -1;
    }

  return take (syscall (SYS_sendmsg, fd, &less, flags));
}

ssize_t
send (int         fd,
      const void *data,
      size_t      size,
      int         flags)
{
  struct iovec iov = { (void *) data, size };
  const struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

  return sendmsg (fd, &message, flags);
}
