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

#define OUT_SIZE_MIN 8192u /* bytes */
#define OUT_SIZE_KEPT (256u << 10) /* bytes: a larger buffer is given back once it is empty */
#define IOV_MAX_USED 16

/* What is sent by reference: a large payload, or descriptors. */
typedef struct
{
  guint64 position; /* in the stream of queued bytes, before this attachment's own */
  GBytes *bytes;    /* (nullable): sent at the position */
  gsize done;       /* bytes of it that are written */
  int *fds;         /* sent with the byte at the position */
  guint n_fds;
} Attachment;

static void
attachment_free (Attachment *self)
{
  g_clear_pointer (&self->bytes, g_bytes_unref);
  for (guint i = 0; i < self->n_fds; i++)
    close (self->fds[i]);
  g_free (self->fds);
  g_free (self);
}

/* Forgets what is queued by reference. */
void
afrpc_stream_clear_attachments (AfrpcStream *self)
{
  /* To do nothing costs a forked process two pages. */
  if (self->attachments.length > 0)
    g_queue_clear_full (&self->attachments, (GDestroyNotify) attachment_free);
}

static void
reserve (AfrpcStream *self,
         gsize        size)
{
  gsize used = self->out_tail - self->out_head;

  if (self->out_size - self->out_tail >= size)
    return;

  /* Frames are written at multiples of 8, so keep the remainder when moving to the front. Moving
   * is worth it only when at least as much is gained. */
  if (self->out_head > used)
    {
      gsize by = self->out_head & ~(gsize) 7;

      memmove (self->out, self->out + by, self->out_tail - by);
      self->out_base += by;
      self->out_head -= by;
      self->out_tail -= by;
    }

  if (self->out_size - self->out_tail < size)
    {
      self->out_size = MAX (OUT_SIZE_MIN, MAX (2 * self->out_size, self->out_tail + size));
      self->out = g_realloc (self->out, self->out_size);
    }
}

/* Queues a frame; returns where its payload of header->size bytes is to be written, at once. */
guint8 *
afrpc_stream_put (AfrpcStream            *self,
                  const AfrpcFrameHeader *header,
                  const char             *type)
{
  gsize type_size = afrpc_frame_pad (header->type_length);
  gsize size = AFRPC_FRAME_HEADER_SIZE + type_size + afrpc_frame_pad (header->size) + self->out_guard;
  guint8 *start;

  reserve (self, size);
  start = self->out + self->out_tail;
  self->out_tail += size;

  afrpc_frame_encode (header, start);
  start += AFRPC_FRAME_HEADER_SIZE;
  if (type_size > 0)
    {
      memset (start + type_size - 8, 0, 8);
      memcpy (start, type, header->type_length);
      start += type_size;
    }
  if (header->size > 0)
    memset (start + afrpc_frame_pad (header->size) - 8, 0, 8);
  if (self->out_guard > 0)
    memset (start + afrpc_frame_pad (header->size), AFRPC_FRAME_GUARD_BYTE, self->out_guard);

  return start;
}

static void
attach (AfrpcStream *self,
        guint64      position,
        GBytes      *bytes, /* (transfer full) (nullable) */
        const int   *fds,   /* (transfer full) (nullable) */
        guint        n_fds)
{
  Attachment *attachment = g_new0 (Attachment, 1);

  attachment->position = position;
  attachment->bytes = bytes;
  attachment->fds = n_fds > 0 ? g_memdup2 (fds, n_fds * sizeof (int)) : NULL;
  attachment->n_fds = n_fds;
  if (bytes != NULL)
    self->attached_size += g_bytes_get_size (bytes);
  g_queue_push_tail (&self->attachments, attachment);
}

/* Queues the header and type of a frame whose payload is sent from where it lies. */
static void
put_bytes (AfrpcStream      *self,
           AfrpcFrameHeader *header,
           const char       *type,
           GBytes           *bytes) /* (transfer full) */
{
  static const guint8 zeros_and_guard[8 + AFRPC_FRAME_GUARD_SIZE] = {
    [8 ... 7 + AFRPC_FRAME_GUARD_SIZE] = AFRPC_FRAME_GUARD_BYTE,
  };
  gsize padding = afrpc_frame_pad (header->size) - header->size;
  gsize size = AFRPC_FRAME_HEADER_SIZE + afrpc_frame_pad (header->type_length);
  guint8 *start;

  reserve (self, size);
  start = self->out + self->out_tail;
  self->out_tail += size;

  afrpc_frame_encode (header, start);
  memset (start + AFRPC_FRAME_HEADER_SIZE, 0, size - AFRPC_FRAME_HEADER_SIZE);
  memcpy (start + AFRPC_FRAME_HEADER_SIZE, type, header->type_length);

  attach (self, self->out_base + self->out_tail, bytes, NULL, 0);
  if (padding + self->out_guard > 0)
    attach (self, self->out_base + self->out_tail,
            g_bytes_new_static (zeros_and_guard + 8 - padding, padding + self->out_guard), NULL, 0);
}

/* Queues a frame with a payload whose type string and number of descriptors are within the limits. */
void
afrpc_stream_put_payload (AfrpcStream        *self,
                          AfrpcFrameKind      kind,
                          guint64             serial,
                          const AfrpcPayload *payload)
{
  AfrpcFrameHeader header = {
    .kind = kind,
    .flags = AFRPC_FRAME_FLAGS_NATIVE | payload->flags,
    .n_fds = payload->n_fds,
    .type_length = payload->type_length,
    .serial = serial,
    .size = payload->size,
  };

  g_assert (payload->type_length <= AFRPC_FRAME_TYPE_MAX);
  g_assert (payload->n_fds <= AFRPC_FRAME_FDS_MAX);

  if (payload->n_fds > 0)
    attach (self, self->out_base + self->out_tail, NULL, payload->fds, payload->n_fds);
  if (header.size >= AFRPC_STREAM_BODY_MIN)
    put_bytes (self, &header, payload->type, g_variant_get_data_as_bytes (payload->value));
  else
    {
      guint8 *start = afrpc_stream_put (self, &header, payload->type);

      if (header.size > 0)
        g_variant_store (payload->value, start);
    }
}

/* Queues a frame with @value (nullable) as payload. */
void
afrpc_stream_put_value (AfrpcStream    *self,
                        AfrpcFrameKind  kind,
                        guint64         serial,
                        GVariant       *value)
{
  const AfrpcPayload payload = afrpc_payload (value);

  afrpc_stream_put_payload (self, kind, serial, &payload);
}

/* Queues a frame that has been received whole, with as many descriptors as it had, which become the stream's. */
void
afrpc_stream_put_frame (AfrpcStream      *self,
                        const AfrpcFrame *frame,
                        const int        *fds)
{
  AfrpcFrameHeader header = frame->header;

  if (frame->payload == NULL)
    header.size = 0; /* whoever gets it finds that it is not a value */
  if (header.n_fds > 0)
    attach (self, self->out_base + self->out_tail, NULL, fds, header.n_fds);
  if (frame->bytes != NULL)
    put_bytes (self, &header, frame->type, g_bytes_ref (frame->bytes));
  else
    {
      guint8 *start = afrpc_stream_put (self, &header, frame->type);

      if (header.size > 0)
        memcpy (start, frame->payload, header.size);
    }
}

/* As afrpc_stream_put_value(), with descriptors that become the stream's. */
void
afrpc_stream_put_fds (AfrpcStream    *self,
                      AfrpcFrameKind  kind,
                      GVariant       *value,
                      const int      *fds,
                      guint           n_fds)
{
  AfrpcPayload payload = afrpc_payload (value);

  payload.fds = fds;
  payload.n_fds = n_fds;
  afrpc_stream_put_payload (self, kind, 0, &payload);
}

void
afrpc_stream_put_fd (AfrpcStream    *self,
                     AfrpcFrameKind  kind,
                     GVariant       *value,
                     int             fd)
{
  afrpc_stream_put_fds (self, kind, value, &fd, 1);
}

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

/* Collects what can go out in one system call: up to the next descriptor, which has to travel with
 * the first byte of its frame. */
static void
gather (AfrpcStream *self,
        Batch       *batch)
{
  gsize at = self->out_head;

  batch->n = 0;
  batch->n_fds = 0;

  for (GList *l = self->attachments.head; l != NULL; l = l->next)
    {
      Attachment *attachment = l->data;
      gsize offset = attachment->position - self->out_base;

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

  batch_add (batch, self->out + at, self->out_tail - at);
}

/* Forgets @n bytes that were written, and the attachments that went with them: a descriptor went
 * if the byte at its position did. */
static void
advance (AfrpcStream *self,
         gsize        n)
{
  Attachment *attachment;

  while ((attachment = g_queue_peek_head (&self->attachments)) != NULL)
    {
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

      attachment_free (g_queue_pop_head (&self->attachments));
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

      gather (self, &batch);
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

  self->out_base += self->out_tail;
  self->out_head = self->out_tail = 0;
  if (self->out_size > OUT_SIZE_KEPT)
    {
      g_clear_pointer (&self->out, g_free);
      self->out_size = 0;
    }

  return AFRPC_STREAM_DONE;
}
