/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Taking back what is queued. A frame that is dropped stays in the buffer as one of no kind, until the writing comes to
 * it or most of the buffer is such frames: so each costs the same, however many there are and in whatever order they
 * go. What it has by reference goes at once. */
#include "config.h"

#include "transport/afrpc-writer.h"

#include <string.h>

/* How far the writing looks ahead for a frame that was dropped: what is written at once if there are any. */
#define LOOK_AHEAD_SIZE 65536u /* bytes */

/* With fewer bytes of dropped frames, it is not worth it to move the others. */
#define SPARSE_SIZE_MIN 65536u /* bytes */

static AfrpcFrameHeader
get_header (const AfrpcWriter *self,
            gsize              at)
{
  AfrpcFrameHeader header;

  afrpc_frame_read (&header, self->data + at);

  return header;
}

static gboolean
is_empty (const AfrpcAttachment *attachment)
{
  return attachment->bytes == NULL && attachment->n_fds == 0;
}

static void
empty (AfrpcWriter     *self,
       AfrpcAttachment *attachment)
{
  if (attachment->bytes != NULL)
    self->attached_size -= g_bytes_get_size (attachment->bytes);
  afrpc_attachment_clear (attachment);
}

/* The first attachment that is at @position or behind it. */
static guint
find_attachment (const AfrpcWriter *self,
                 guint64            position)
{
  guint low = self->attachments_head, high = self->attachments_end;

  while (low < high)
    {
      const guint middle = low + (high - low) / 2;

      if (self->attachments[middle].position < position)
        low = middle + 1;
      else
        high = middle;
    }

  return low;
}

/* Descriptors are at the beginning of their frame, a large payload at its end, which is where the next one begins. */
static gboolean
belongs (const AfrpcAttachment *attachment,
         guint64                start,
         guint64                end)
{
  return attachment->n_fds > 0 ? attachment->position == start
                               : attachment->bytes != NULL && attachment->position == end;
}

/* Takes back the frame that was queued at @position, by afrpc_writer_put_payload() or one like it. FALSE: it is being
 * written, or has been. */
gboolean
afrpc_writer_drop (AfrpcWriter *self,
                   guint64      position)
{
  const gsize at = position - self->base;
  AfrpcFrameHeader header;
  guint64 end;
  gsize size;

  g_assert (self->kept_from == G_MAXUINT64 || position >= self->kept_from);
  if (afrpc_writer_has_written (self, position))
    return FALSE;

  header = get_header (self, at);
  size = afrpc_writer_frame_size (self, &header);
  end = position + size;
  if (header.n_fds > 0 || header.size >= AFRPC_LARGE_PAYLOAD_MIN)
    for (guint i = find_attachment (self, position);
         i < self->attachments_end && self->attachments[i].position <= end; i++)
      if (belongs (&self->attachments[i], position, end))
        empty (self, &self->attachments[i]);

  self->data[at] = 0;
  self->dropped_size += size;
  self->dropped_from = MIN (self->dropped_from, position);
  if (afrpc_writer_get_queued (self) == 0)
    afrpc_writer_end_flush (self);

  return TRUE;
}

/* Whether something that was queued before @position is still to be written. */
static gboolean
is_behind_payload (AfrpcWriter *self,
                   guint64      position)
{
  while (self->attachments_head < self->attachments_end)
    {
      const AfrpcAttachment *attachment = &self->attachments[self->attachments_head];

      if (attachment->position > position)
        return FALSE;
      if (!is_empty (attachment))
        return TRUE;
      afrpc_writer_pop_attachment (self);
    }

  return FALSE;
}

/* Passes the dropped frames at the head of the queue. Returns up to where in the buffer there are none: so much can be
 * written. */
gsize
afrpc_writer_pass_dropped (AfrpcWriter *self)
{
  for (;;)
    {
      const gsize at = self->dropped_from - self->base;
      AfrpcFrameHeader header;
      gsize size;

      if (at == self->tail)
        {
          self->dropped_from = G_MAXUINT64;
          return at;
        }
      if (at - self->head >= LOOK_AHEAD_SIZE)
        return at;

      header = get_header (self, at);
      size = afrpc_writer_frame_size (self, &header);
      if (header.kind == 0)
        {
          if (at > self->head || is_behind_payload (self, self->dropped_from))
            return at;
          self->head += size;
          self->dropped_size -= size;
        }
      self->dropped_from += size;
    }
}

/* Whether most of what is in the buffer, and by much, was dropped. */
gboolean
afrpc_writer_is_sparse (const AfrpcWriter *self)
{
  return self->dropped_size > SPARSE_SIZE_MIN &&
         self->dropped_size > (self->tail - self->head) / 2;
}

/* Moves the attachments that belong to a frame with it, and forgets those that were dropped. */
static void
move_attachments (AfrpcWriter *self,
                  guint       *from,
                  guint       *to,
                  guint64      end,
                  gsize        by)
{
  for (; *from < self->attachments_end; (*from)++)
    {
      AfrpcAttachment *attachment = &self->attachments[*from];

      if (attachment->position > end || (attachment->position == end && attachment->n_fds > 0))
        return;
      if (is_empty (attachment))
        continue;
      self->attachments[*to] = *attachment;
      self->attachments[(*to)++].position -= by;
    }
}

/* Gives back the room of frames that were dropped. @moved is told where those are now that lay behind them. */
void
afrpc_writer_compact (AfrpcWriter          *self,
                      AfrpcWriterMovedFunc  moved,
                      gpointer              data)
{
  guint from, to;
  gsize target, size;

  if (self->dropped_from == G_MAXUINT64)
    return;

  target = self->dropped_from - self->base;
  from = to = find_attachment (self, self->dropped_from);
  for (gsize at = target; at < self->tail; at += size)
    {
      const AfrpcFrameHeader header = get_header (self, at);

      size = afrpc_writer_frame_size (self, &header);
      move_attachments (self, &from, &to, self->base + at + size, at - target);
      if (header.kind == 0)
        continue;

      memmove (self->data + target, self->data + at, size);
      moved (&header, self->base + target, data);
      target += size;
    }

  self->attachments_end = to;
  self->tail = target;
  self->dropped_size = 0;
  self->dropped_from = G_MAXUINT64;
}

/* Keeps what is queued from now on, also once it is written. */
void
afrpc_writer_keep (AfrpcWriter *self)
{
  g_assert (self->kept_from == G_MAXUINT64);
  self->kept_from = afrpc_writer_get_position (self);
  self->n_unkept = self->attachments_end - self->attachments_head;
}

/* Returns: bytes that are written, and kept */
gsize
afrpc_writer_get_kept (const AfrpcWriter *self)
{
  const guint64 written = self->base + self->head;

  return (written > self->kept_from ? written - self->kept_from : 0) + self->attached_kept;
}

/* Keeps nothing any more. */
void
afrpc_writer_forget_kept (AfrpcWriter *self)
{
  for (guint i = self->attachments_kept; i < self->attachments_head; i++)
    afrpc_attachment_clear (&self->attachments[i]);
  self->attachments_kept = self->attachments_head;
  if (self->attachments_kept == self->attachments_end)
    self->attachments_kept = self->attachments_head = self->attachments_end = 0;
  self->attached_kept = 0;
  self->n_unkept = 0;
  self->kept_from = G_MAXUINT64;
  if (afrpc_writer_get_queued (self) == 0)
    afrpc_writer_end_flush (self);
}

/* Queues what @other has been keeping, written or not, and of which @moved says that it is wanted; @other is of no use
 * any more, but to be cleared. */
void
afrpc_writer_put_rest (AfrpcWriter          *self,
                       AfrpcWriter          *other,
                       AfrpcWriterMovedFunc  moved,
                       gpointer              data)
{
  guint i = other->attachments_kept + other->n_unkept;
  gsize size;

  if (other->kept_from == G_MAXUINT64)
    return;

  for (gsize at = other->kept_from - other->base; at < other->tail; at += size)
    {
      const AfrpcFrameHeader header = get_header (other, at);
      const guint64 start = other->base + at, position = afrpc_writer_get_position (self);
      gboolean is_wanted;

      size = afrpc_writer_frame_size (other, &header);
      is_wanted = header.kind != 0 && moved (&header, position, data);
      if (is_wanted)
        {
          afrpc_writer_reserve (self, size);
          memcpy (self->data + self->tail, other->data + at, size);
          self->tail += size;
        }

      for (; i < other->attachments_end && other->attachments[i].position <= start + size; i++)
        {
          AfrpcAttachment *attachment = &other->attachments[i];

          if (!is_empty (attachment) && !belongs (attachment, start, start + size))
            break;
          if (!is_wanted || is_empty (attachment))
            continue;
          afrpc_writer_attach (self, attachment->n_fds > 0 ? position : position + size,
                               g_steal_pointer (&attachment->bytes), g_steal_pointer (&attachment->fds),
                               attachment->n_fds);
          attachment->n_fds = 0;
        }
    }
}
