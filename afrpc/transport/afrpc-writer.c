/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Queueing frames: what is small in the buffer, what is large, and descriptors, by reference. */
#include "config.h"

#include "transport/afrpc-writer.h"

#include <string.h>
#include <unistd.h>

#define SIZE_MIN 1024u /* bytes */
#define ATTACHMENTS_MIN 4u

void
afrpc_attachment_clear (AfrpcAttachment *self)
{
  g_clear_pointer (&self->bytes, g_bytes_unref);
  for (guint i = 0; i < self->n_fds; i++)
    close (self->fds[i]);
  g_clear_pointer (&self->fds, g_free);
  self->n_fds = 0;
}

/* Forgets what is queued by reference. */
void
afrpc_writer_clear_attachments (AfrpcWriter *self)
{
  for (guint i = self->attachments_kept; i < self->attachments_end; i++)
    afrpc_attachment_clear (&self->attachments[i]);
  /* To write here for nothing costs a forked process a page. */
  if (self->attachments_end > 0)
    self->attachments_kept = self->attachments_head = self->attachments_end = 0;
}

/* A stream in which nothing is queued, in the buffers that @self has. */
static void
begin (AfrpcWriter *self)
{
  *self = (AfrpcWriter) {
    .guard_size = self->guard_size,
    .flush_max = self->flush_max,
    .data = self->data,
    .allocated = self->allocated,
    .attachments = self->attachments,
    .attachments_allocated = self->attachments_allocated,
    .dropped_from = G_MAXUINT64,
    .kept_from = G_MAXUINT64,
  };
}

void
afrpc_writer_init (AfrpcWriter *self,
                   gsize        flush_max)
{
  memset (self, 0, sizeof *self);
  self->flush_max = flush_max;
  begin (self);
}

/* Forgets what is queued, for another stream. */
void
afrpc_writer_restart (AfrpcWriter *self)
{
  afrpc_writer_clear_attachments (self);
  begin (self);
}

void
afrpc_writer_clear (AfrpcWriter *self)
{
  afrpc_writer_clear_attachments (self);
  g_clear_pointer (&self->data, g_free);
  g_clear_pointer (&self->attachments, g_free);
}

/* Sends, at @position, @bytes (transfer full) (nullable), or @fds (transfer full) (nullable). */
void
afrpc_writer_attach (AfrpcWriter *self,
                     guint64      position,
                     GBytes      *bytes,
                     int         *fds,
                     guint        n_fds)
{
  if (self->attachments_end == self->attachments_allocated && self->attachments_kept > self->attachments_allocated / 2)
    {
      const guint by = self->attachments_kept;

      memmove (self->attachments, self->attachments + by, (self->attachments_end - by) * sizeof *self->attachments);
      self->attachments_kept = 0;
      self->attachments_head -= by;
      self->attachments_end -= by;
    }
  if (self->attachments_end == self->attachments_allocated)
    {
      self->attachments_allocated = MAX (ATTACHMENTS_MIN, 2 * self->attachments_allocated);
      self->attachments = g_renew (AfrpcAttachment, self->attachments, self->attachments_allocated);
    }

  self->attachments[self->attachments_end++] = (AfrpcAttachment) {
    .position = position, .bytes = bytes, .fds = fds, .n_fds = n_fds,
  };
  if (bytes != NULL)
    self->attached_size += g_bytes_get_size (bytes);
}

static void
attach_fds (AfrpcWriter *self,
            const int   *fds,
            guint        n_fds)
{
  afrpc_writer_attach (self, afrpc_writer_get_position (self), NULL, g_memdup2 (fds, n_fds * sizeof (int)), n_fds);
}

/* Makes room in the buffer for @size bytes more, for which there is none. */
static G_NO_INLINE void
make_room (AfrpcWriter *self,
           gsize        size)
{
  const gsize front = MIN (self->head, self->kept_from - self->base);
  const gsize used = self->tail - front;

  /* Frames are written at multiples of 8, so keep the remainder when moving to the front. Moving
   * is worth it only when at least as much is gained. */
  if (front > used)
    {
      gsize by = front & ~(gsize) 7;

      memmove (self->data, self->data + by, self->tail - by);
      self->base += by;
      self->head -= by;
      self->tail -= by;
    }

  if (self->allocated - self->tail < size)
    {
      self->allocated = MAX (SIZE_MIN, MAX (2 * self->allocated, self->tail + size));
      self->data = g_realloc (self->data, self->allocated);
    }
}

/* Sees to it that there is room in the buffer for @size bytes more. */
void
afrpc_writer_reserve (AfrpcWriter *self,
                      gsize        size)
{
  if (G_UNLIKELY (self->allocated - self->tail < size))
    make_room (self, size);
}

/* Queues a frame; returns where its payload of header->size bytes is to be written, at once. */
guint8 *
afrpc_writer_put (AfrpcWriter            *self,
                  const AfrpcFrameHeader *header,
                  const char             *type)
{
  gsize type_size = afrpc_frame_pad (header->type_length);
  gsize size = AFRPC_FRAME_HEADER_SIZE + type_size + afrpc_frame_pad (header->size) + self->guard_size;
  guint8 *start;

  afrpc_writer_reserve (self, size);
  start = self->data + self->tail;
  self->tail += size;

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
  if (self->guard_size > 0)
    memset (start + afrpc_frame_pad (header->size), AFRPC_FRAME_GUARD_BYTE, self->guard_size);

  return start;
}

/* Queues the header and type of a frame whose payload is sent from where it lies. */
static void
put_bytes (AfrpcWriter      *self,
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

  afrpc_writer_reserve (self, size);
  start = self->data + self->tail;
  self->tail += size;

  afrpc_frame_encode (header, start);
  memset (start + AFRPC_FRAME_HEADER_SIZE, 0, size - AFRPC_FRAME_HEADER_SIZE);
  memcpy (start + AFRPC_FRAME_HEADER_SIZE, type, header->type_length);

  afrpc_writer_attach (self, afrpc_writer_get_position (self), bytes, NULL, 0);
  if (padding + self->guard_size > 0)
    afrpc_writer_attach (self, afrpc_writer_get_position (self),
                         g_bytes_new_static (zeros_and_guard + 8 - padding, padding + self->guard_size), NULL, 0);
}

/* Queues a frame with a payload whose type string and number of descriptors are within the limits. */
void
afrpc_writer_put_payload (AfrpcWriter        *self,
                          AfrpcFrameKind      kind,
                          guint64             serial,
                          const AfrpcPayload *payload)
{
  AfrpcFrameHeader header = {
    .kind = kind,
    .flags = AFRPC_FRAME_FLAGS_NATIVE | payload->flags,
    .n_fds = payload->n_fds,
    .type_length = payload->type_length,
    .function = payload->function,
    .serial = serial,
    .size = payload->size,
  };

  g_assert (payload->type_length <= AFRPC_FRAME_TYPE_MAX);
  g_assert (payload->n_fds <= AFRPC_FRAME_FDS_MAX);

  if (payload->n_fds > 0)
    attach_fds (self, payload->fds, payload->n_fds);
  if (header.size >= AFRPC_LARGE_PAYLOAD_MIN)
    put_bytes (self, &header, payload->type, g_variant_get_data_as_bytes (payload->value));
  else
    {
      guint8 *start = afrpc_writer_put (self, &header, payload->type);

      if (header.size > 0)
        g_variant_store (payload->value, start);
    }
}

/* Queues a frame with @value (nullable) as payload. */
void
afrpc_writer_put_value (AfrpcWriter    *self,
                        AfrpcFrameKind  kind,
                        guint64         serial,
                        GVariant       *value)
{
  const AfrpcPayload payload = afrpc_payload (value);

  afrpc_writer_put_payload (self, kind, serial, &payload);
}

/* Queues a frame that has been received whole, with as many descriptors as it had, which become the stream's. */
void
afrpc_writer_put_frame (AfrpcWriter      *self,
                        const AfrpcFrame *frame,
                        const int        *fds)
{
  AfrpcFrameHeader header = frame->header;

  if (frame->payload == NULL)
    header.size = 0; /* whoever gets it finds that it is not a value */
  if (header.n_fds > 0)
    attach_fds (self, fds, header.n_fds);
  if (frame->bytes != NULL)
    put_bytes (self, &header, frame->type, g_bytes_ref (frame->bytes));
  else
    {
      guint8 *start = afrpc_writer_put (self, &header, frame->type);

      if (header.size > 0)
        memcpy (start, frame->payload, header.size);
    }
}

/* As afrpc_writer_put_value(), with descriptors that become the stream's. */
void
afrpc_writer_put_fds (AfrpcWriter    *self,
                      AfrpcFrameKind  kind,
                      GVariant       *value,
                      const int      *fds,
                      guint           n_fds)
{
  AfrpcPayload payload = afrpc_payload (value);

  payload.fds = fds;
  payload.n_fds = n_fds;
  afrpc_writer_put_payload (self, kind, 0, &payload);
}

void
afrpc_writer_put_fd (AfrpcWriter    *self,
                     AfrpcFrameKind  kind,
                     GVariant       *value,
                     int             fd)
{
  afrpc_writer_put_fds (self, kind, value, &fd, 1);
}

