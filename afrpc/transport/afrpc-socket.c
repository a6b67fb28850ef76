/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "afrpc-error.h"
#include "os/afrpc-low-fd.h"

#define FDS_SIZE CMSG_SPACE (AFRPC_FRAME_FDS_MAX * sizeof (int))
#define SENDER_SIZE CMSG_SPACE (sizeof (struct ucred))

typedef union
{
  struct cmsghdr align;
  char bytes[FDS_SIZE + SENDER_SIZE];
} Control;

/* Takes the descriptors that came with @n bytes. */
static gboolean
collect_fds (AfrpcReader    *reader,
             struct msghdr  *message,
             gsize           n,
             GError        **error)
{
  gboolean lost = (message->msg_flags & MSG_CTRUNC) != 0;
  const guint n_before = reader->fds->len;

  for (struct cmsghdr *cmsg = CMSG_FIRSTHDR (message); cmsg != NULL; cmsg = CMSG_NXTHDR (message, cmsg))
    {
      if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
        g_array_append_vals (reader->fds, CMSG_DATA (cmsg), (cmsg->cmsg_len - CMSG_LEN (0)) / sizeof (int));
    }
  if (reader->fds->len == n_before && !lost)
    return TRUE;
  for (guint i = n_before; i < reader->fds->len; i++)
    {
      int *fd = &g_array_index (reader->fds, int, i);

      *fd = afrpc_low_fd_lift (*fd);
      lost |= *fd < 0;
    }

  return afrpc_reader_add_fds (reader, reader->fds->len - n_before, lost, n, error);
}

/* Has the kernel say which process the next bytes that are sent to this end are from, until it has said so once: what
 * was sent before does not bear it. See SO_PASSCRED in unix(7). Nobody can lie about it but who may trace any process. */
void
afrpc_socket_ask_sender (AfrpcTransport *self)
{
  const int on = 1;

  self->sender_pid = 0;
  self->asks_sender = setsockopt (self->in_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0;
}

static void
collect_sender (AfrpcTransport *self,
                struct msghdr  *message)
{
  const int off = 0;

  for (struct cmsghdr *cmsg = CMSG_FIRSTHDR (message); cmsg != NULL; cmsg = CMSG_NXTHDR (message, cmsg))
    if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_CREDENTIALS)
      self->sender_pid = ((const struct ucred *) CMSG_DATA (cmsg))->pid;
  if (self->sender_pid == 0)
    return;

  self->asks_sender = FALSE;
  setsockopt (self->in_fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof off);
}

/* Receives into @iov, which the reader has given. */
AfrpcStep
afrpc_socket_receive (AfrpcTransport  *self,
                      struct iovec    *iov,
                      guint            n_iov,
                      gsize           *n_received,
                      GError         **error)
{
  Control control;
  struct msghdr message;
  gssize n;

  memset (&message, 0, sizeof message);
  message.msg_iov = iov;
  message.msg_iovlen = n_iov;
  do
    {
      message.msg_control = control.bytes;
      message.msg_controllen = G_LIKELY (!self->asks_sender) ? FDS_SIZE : FDS_SIZE + SENDER_SIZE;
      n = recvmsg (self->in_fd, &message, MSG_CMSG_CLOEXEC);
    }
  while (n < 0 && errno == EINTR);

  if (n > 0)
    {
      if (G_UNLIKELY (self->asks_sender))
        collect_sender (self, &message);
      if (!collect_fds (&self->reader, &message, n, error))
        return AFRPC_STEP_ERROR;
      afrpc_reader_add (&self->reader, n);
      *n_received = n;
      return AFRPC_STEP_DONE;
    }
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !self->peer_ended)
    return AFRPC_STEP_AGAIN;
  if (n < 0 && errno != ECONNRESET && errno != EAGAIN && errno != EWOULDBLOCK)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "read: %s", g_strerror (errno));
      return AFRPC_STEP_ERROR;
    }

  self->is_complete = TRUE;
  return AFRPC_STEP_EOF;
}

static AfrpcStep
read_socket (AfrpcTransport  *self,
             GError         **error)
{
  struct iovec iov[2];
  const guint n_iov = afrpc_reader_get_room (&self->reader, iov);
  gsize n;

  return G_LIKELY (n_iov > 0) ? afrpc_socket_receive (self, iov, n_iov, &n, error) : AFRPC_STEP_DONE;
}

/* Returns: how many bytes, or -1 and errno */
gssize
afrpc_socket_send (int               fd,
                   AfrpcWriterBatch *batch)
{
  Control control;
  struct msghdr message;

  /* An eighth cheaper than sendmsg() for what is sent most. */
  if (batch->n == 1 && batch->n_fds == 0)
    return send (fd, batch->iov[0].iov_base, batch->iov[0].iov_len, MSG_NOSIGNAL);

  message = (struct msghdr) { .msg_iov = batch->iov, .msg_iovlen = batch->n };
  if (batch->n_fds > 0)
    {
      const gsize size = batch->n_fds * sizeof (int);
      struct cmsghdr *cmsg;

      memset (&control, 0, CMSG_SPACE (size));
      message.msg_control = control.bytes;
      message.msg_controllen = CMSG_SPACE (size);
      cmsg = CMSG_FIRSTHDR (&message);
      cmsg->cmsg_level = SOL_SOCKET;
      cmsg->cmsg_type = SCM_RIGHTS;
      cmsg->cmsg_len = CMSG_LEN (size);
      memcpy (CMSG_DATA (cmsg), batch->fds, size);
    }

  return sendmsg (fd, &message, MSG_NOSIGNAL);
}

static AfrpcStep
flush_socket (AfrpcTransport  *self,
              GError         **error)
{
  return afrpc_writer_flush (&self->writer, self->out_fd, afrpc_socket_send, error);
}

static void
end_sending (AfrpcTransport *self)
{
  shutdown (self->out_fd, SHUT_WR);
}

static void
set_nonblocking (AfrpcTransport *self)
{
  fcntl (self->in_fd, F_SETFL, fcntl (self->in_fd, F_GETFL) | O_NONBLOCK);
}

const AfrpcTransportFuncs afrpc_socket_funcs = {
  .name = "socket",
  .is_local = TRUE,
  .read = read_socket,
  .flush = flush_socket,
  .end_sending = end_sending,
  .set_nonblocking = set_nonblocking,
};
