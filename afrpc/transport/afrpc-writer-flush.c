/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-writer.h"

#include <errno.h>

#include "afrpc-error.h"

#define SIZE_KEPT 8192u /* bytes: a larger buffer is given back once it is empty */

static void
batch_add (AfrpcWriterBatch *batch,
           const guint8     *data,
           gsize             size)
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
gather (AfrpcWriter      *self,
        gsize             limit,
        AfrpcWriterBatch *batch)
{
  gsize at = self->head;

  batch->n = 0;
  batch->n_fds = 0;
  batch->end = limit;

  for (guint i = self->attachments_head; i < self->attachments_end; i++)
    {
      const AfrpcAttachment *attachment = &self->attachments[i];
      gsize offset = attachment->position - self->base;

      if (offset > limit)
        break;
      batch->end = at;
      if (batch->n + 3 > AFRPC_WRITER_IOV_MAX)
        return;

      batch_add (batch, self->data + at, offset - at);
      batch->end = at = offset;

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

  batch_add (batch, self->data + at, limit - at);
  batch->end = limit;
}

/* The first one that is not written has been, or was dropped. */
void
afrpc_writer_pop_attachment (AfrpcWriter *self)
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
advance (AfrpcWriter *self,
         gsize        n)
{
  while (self->attachments_head < self->attachments_end)
    {
      AfrpcAttachment *attachment = &self->attachments[self->attachments_head];
      gsize before = attachment->position - self->base - self->head;

      if (before > n || (before == n && attachment->n_fds > 0))
        break;

      if (attachment->bytes != NULL)
        {
          gsize size = g_bytes_get_size (attachment->bytes) - attachment->done;
          gsize taken = MIN (size, n - before);

          self->head += before;
          n -= before + taken;
          attachment->done += taken;
          self->attached_size -= taken;
          if (taken < size)
            return;
        }

      afrpc_writer_pop_attachment (self);
    }

  self->head += n;
}

/* Nothing is left to be written. */
void
afrpc_writer_end_flush (AfrpcWriter *self)
{
  /* What is kept, is kept in its place. */
  if (self->kept_from < afrpc_writer_get_position (self))
    return;

  self->base += self->tail;
  self->head = self->tail = 0;
  if (self->dropped_size > 0)
    {
      afrpc_writer_clear_attachments (self);
      self->dropped_size = 0;
    }
  self->dropped_from = G_MAXUINT64;
  if (self->allocated > SIZE_KEPT)
    {
      g_clear_pointer (&self->data, g_free);
      self->allocated = 0;
    }
}

/* What is to be sent next. FALSE: nothing. */
gboolean
afrpc_writer_gather (AfrpcWriter      *self,
                     AfrpcWriterBatch *batch)
{
  if (afrpc_writer_get_queued (self) == 0)
    return FALSE;

  if (G_LIKELY (self->dropped_from == G_MAXUINT64 && self->attachments_head == self->attachments_end))
    {
      batch->iov[0] = (struct iovec) { self->data + self->head, self->tail - self->head };
      batch->n = 1;
      batch->n_fds = 0;
      batch->end = self->tail;
    }
  else
    gather (self, self->dropped_from == G_MAXUINT64 ? self->tail : afrpc_writer_pass_dropped (self), batch);

  return TRUE;
}

void
afrpc_writer_begin_flush (AfrpcWriter *self)
{
  self->crowded = FALSE;
  self->flush_left = self->flush_max;
}

/* Leaves @max bytes of it, at most. */
void
afrpc_writer_cut (AfrpcWriterBatch *batch,
                  gsize             max)
{
  for (guint i = 0; i < batch->n; i++)
    {
      batch->iov[i].iov_len = MIN (batch->iov[i].iov_len, max);
      max -= batch->iov[i].iov_len;
      if (max == 0)
        batch->n = i + 1;
    }
}

/* What became of it: @n bytes are gone, or -1 and errno. DONE: to be gone on with; the others are for the owner. */
AfrpcStep
afrpc_writer_sent (AfrpcWriter  *self,
                   gssize        n,
                   GError      **error)
{
  if (n >= 0)
    {
      advance (self, n);
      self->flush_left -= MIN (self->flush_left, (gsize) n);
      return self->flush_left > 0 || afrpc_writer_get_queued (self) == 0 ? AFRPC_STEP_DONE : AFRPC_STEP_AGAIN;
    }
  if (errno == EINTR)
    return AFRPC_STEP_DONE;
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM)
    {
      /* What polls as writable does not take descriptors then, see unix(7), or anything while the kernel has no memory. */
      self->crowded = errno != EAGAIN && errno != EWOULDBLOCK;
      return AFRPC_STEP_AGAIN;
    }
  if (errno == EPIPE || errno == ECONNRESET)
    return AFRPC_STEP_EOF;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "write: %s", g_strerror (errno));
  return AFRPC_STEP_ERROR;
}

/* Has a stream of bytes taken from, by @send to @fd: as AfrpcTransportFuncs.flush. */
AfrpcStep
afrpc_writer_flush (AfrpcWriter          *self,
                    int                   fd,
                    AfrpcWriterSendFunc   send,
                    GError              **error)
{
  AfrpcWriterBatch batch;

  afrpc_writer_begin_flush (self);
  self->is_midway = TRUE;
  while (afrpc_writer_gather (self, &batch))
    {
      AfrpcStep step;

      afrpc_writer_cut (&batch, self->flush_left);
      step = afrpc_writer_sent (self, send (fd, &batch), error);
      if (step != AFRPC_STEP_DONE)
        return step;
    }

  self->is_midway = FALSE;
  afrpc_writer_end_flush (self);

  return AFRPC_STEP_DONE;
}
