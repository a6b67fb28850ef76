/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-stream.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "afrpc-error.h"

#define OUT_SIZE_KEPT (256u << 10) /* bytes: a larger buffer is given back once it is empty */
#define IOV_MAX_USED 16

typedef struct
{
  struct iovec iov[IOV_MAX_USED];
  guint n;
  const int *fds;
  guint n_fds;
} Batch;

static void
batch_add (Batch        *batch,
           const guint8 *data,
           gsize         size)
{
  if (size == 0)
    return;

  batch->iov[batch->n].iov_base = (void *) data;
  batch->iov[batch->n].iov_len = size;
  batch->n++;
}

/* Collects what can go out in one system call, up to @limit in the buffer: up to the next descriptor, which has to
 * travel with the first byte of its frame. */
static void
gather (AfrpcStream *self,
        gsize        limit,
        Batch       *batch)
{
  gsize at = self->out_head;

  batch->n = 0;
  batch->n_fds = 0;

  for (guint i = self->attachments_head; i < self->attachments_end; i++)
    {
      const AfrpcAttachment *attachment = &self->attachments[i];
      gsize offset = attachment->position - self->out_base;

      if (offset > limit)
        break;
      if (batch->n + 3 > IOV_MAX_USED)
        return;

      batch_add (batch, self->out + at, offset - at);
      at = offset;

      if (attachment->n_fds > 0)
        {
          if (batch->n > 0 || batch->n_fds > 0)
            return;
          batch->fds = attachment->fds;
          batch->n_fds = attachment->n_fds;
        }
      if (attachment->bytes != NULL)
        {
          gsize size;
          const guint8 *data = g_bytes_get_data (attachment->bytes, &size);

          batch_add (batch, data + attachment->done, size - attachment->done);
        }
    }

  batch_add (batch, self->out + at, limit - at);
}

/* The first one that is not written has been, or was dropped. */
void
afrpc_stream_pop_attachment (AfrpcStream *self)
{
  AfrpcAttachment *attachment = &self->attachments[self->attachments_head++];

  if (self->kept_from != G_MAXUINT64 && self->n_unkept == 0)
    {
      if (attachment->bytes != NULL)
        self->attached_kept += g_bytes_get_size (attachment->bytes);
      return;
    }

  if (self->n_unkept > 0)
    self->n_unkept--;
  afrpc_attachment_clear (attachment);
  self->attachments_kept = self->attachments_head;
  if (self->attachments_kept == self->attachments_end)
    self->attachments_kept = self->attachments_head = self->attachments_end = 0;
}

/* Forgets @n bytes that were written, and the attachments that went with them: a descriptor went
 * if the byte at its position did. */
static void
advance (AfrpcStream *self,
         gsize        n)
{
  while (self->attachments_head < self->attachments_end)
    {
      AfrpcAttachment *attachment = &self->attachments[self->attachments_head];
      gsize before = attachment->position - self->out_base - self->out_head;

      if (before > n || (before == n && attachment->n_fds > 0))
        break;

      if (attachment->bytes != NULL)
        {
          gsize size = g_bytes_get_size (attachment->bytes) - attachment->done;
          gsize taken = MIN (size, n - before);

          self->out_head += before;
          n -= before + taken;
          attachment->done += taken;
          self->attached_size -= taken;
          if (taken < size)
            return;
        }

      afrpc_stream_pop_attachment (self);
    }

  self->out_head += n;
}

/* Writing to a pipe that nobody reads is a signal, whose default is death, and what a program does about that is
 * its own affair: here it is an error. The signal would come to this thread. */
static gssize
write_to_pipe (int                 fd,
               const struct iovec *iov,
               guint               n)
{
  const struct timespec now = { 0, 0 };
  sigset_t sigpipe, pending, before;
  gssize written;
  int saved_errno;

  sigemptyset (&sigpipe);
  sigaddset (&sigpipe, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &sigpipe, &before);
  sigpending (&pending);

  written = writev (fd, iov, n);
  saved_errno = errno;

  /* One that was there before stays. */
  if (written < 0 && saved_errno == EPIPE && sigismember (&pending, SIGPIPE) == 0)
    while (sigtimedwait (&sigpipe, NULL, &now) < 0 && errno == EINTR)
      ;
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  errno = saved_errno;

  return written;
}

static gssize
send_batch (AfrpcStream *self,
            Batch       *batch)
{
  union
  {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (AFRPC_FRAME_FDS_MAX * sizeof (int))];
  } control;
  struct msghdr message = { .msg_iov = batch->iov, .msg_iovlen = batch->n };

  if (!self->is_socket)
    return write_to_pipe (self->out_fd, batch->iov, batch->n);
  /* An eighth cheaper than sendmsg() for what is sent most. */
  if (batch->n == 1 && batch->n_fds == 0)
    return send (self->out_fd, batch->iov[0].iov_base, batch->iov[0].iov_len, MSG_NOSIGNAL);

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

  return sendmsg (self->out_fd, &message, MSG_NOSIGNAL);
}

/* Nothing is left to be written. */
void
afrpc_stream_end_flush (AfrpcStream *self)
{
  /* What is kept, is kept in its place. */
  if (self->kept_from < afrpc_stream_get_position (self))
    return;

  self->out_base += self->out_tail;
  self->out_head = self->out_tail = 0;
  if (self->dropped_size > 0)
    {
      afrpc_stream_clear_attachments (self);
      self->dropped_size = 0;
    }
  self->dropped_from = G_MAXUINT64;
  if (self->out_size > OUT_SIZE_KEPT)
    {
      g_clear_pointer (&self->out, g_free);
      self->out_size = 0;
    }
}

/* Writes until everything is out (DONE), the other side does not take more now (AGAIN), or it does
 * not read any more (EOF). A stream that is crowded has to be flushed again after a while: what polls as
 * writable does not take descriptors then, see ETOOMANYREFS in unix(7). */
AfrpcStreamStep
afrpc_stream_flush (AfrpcStream  *self,
                    GError      **error)
{
  self->crowded = FALSE;

  while (afrpc_stream_get_queued (self) > 0)
    {
      Batch batch;
      gssize n;

      gather (self, self->dropped_from == G_MAXUINT64 ? self->out_tail : afrpc_stream_pass_dropped (self), &batch);
      n = send_batch (self, &batch);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETOOMANYREFS))
        {
          self->crowded = errno == ETOOMANYREFS;
          return AFRPC_STREAM_AGAIN;
        }
      if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
        return AFRPC_STREAM_EOF;
      if (n < 0)
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "write: %s", g_strerror (errno));
          return AFRPC_STREAM_ERROR;
        }

      advance (self, n);
    }

  afrpc_stream_end_flush (self);

  return AFRPC_STREAM_DONE;
}
