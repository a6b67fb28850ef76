/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-chunks.h"

#include <afrpc/afrpc.h>
#include <string.h>

#define CHUNK_HEADER_SIZE 16u
#define ALLOCATED_FIRST (256u << 10) /* bytes: what somebody says that will come is not had before it has come */

void
afrpc_nats_chunks_clear (AfrpcNatsChunks *self)
{
  g_clear_pointer (&self->data, g_free);
  memset (self, 0, sizeof *self);
}

static guint64
get_64 (const guint8 *from)
{
  guint64 value;

  memcpy (&value, from, sizeof value);

  return GUINT64_FROM_LE (value);
}

static void
make_room (AfrpcNatsChunks *self,
           gsize            size)
{
  if (self->size + size <= self->allocated)
    return;

  self->allocated = MIN (self->total, MAX (MAX (self->allocated * 2, ALLOCATED_FIRST), self->size + size));
  self->data = g_realloc (self->data, self->allocated);
}

/* Returns: 1: @message (transfer full) has come; 0: there is more to come; -1: this is not what had to come, and what had
 * come before is dropped. */
int
afrpc_nats_chunks_take (AfrpcNatsChunks       *self,
                        const AfrpcNatsFrame  *frame,
                        guint64                size_max,
                        GBytes               **message,
                        GError               **error)
{
  const guint8 *body = (const guint8 *) g_bytes_get_data (frame->bytes, NULL) + frame->offset;
  guint64 total, offset;
  gsize size;

  if (frame->size <= CHUNK_HEADER_SIZE)
    {
      afrpc_nats_chunks_clear (self);
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a part of a message that has nothing of it");
      return -1;
    }
  total = get_64 (body);
  offset = get_64 (body + 8);
  size = frame->size - CHUNK_HEADER_SIZE;
  if (offset == 0)
    {
      afrpc_nats_chunks_clear (self);
      self->transfer = frame->id;
      self->total = total;
    }
  if (total > size_max)
    {
      afrpc_nats_chunks_clear (self);
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "a message of %" G_GUINT64_FORMAT " bytes, more than %" G_GUINT64_FORMAT,
                   total, size_max);
      return -1;
    }
  if (frame->id != self->transfer || total != self->total || offset != self->size || size > total - offset)
    {
      afrpc_nats_chunks_clear (self);
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a part of a message that does not follow the one before");
      return -1;
    }

  make_room (self, size);
  memcpy (self->data + self->size, body + CHUNK_HEADER_SIZE, size);
  self->size += size;
  if (self->size < self->total)
    return 0;

  *message = g_bytes_new_take (g_steal_pointer (&self->data), self->total);
  afrpc_nats_chunks_clear (self);

  return 1;
}

/* Gives @message to @func, in parts of at most @payload_max bytes if it is larger. */
void
afrpc_nats_chunks_split (GBytes            *message,
                         guint64            sender,
                         guint64            transfer,
                         gsize              payload_max,
                         AfrpcNatsPartFunc  func,
                         gpointer           data)
{
  const gsize piece = MAX (payload_max, AFRPC_NATS_PAYLOAD_MIN) - 2 * AFRPC_NATS_HEADER_SIZE - CHUNK_HEADER_SIZE;
  gsize total;
  const guint8 *bytes = g_bytes_get_data (message, &total);

  if (total <= payload_max)
    {
      func (message, data);
      return;
    }

  for (gsize offset = 0; offset < total; offset += piece)
    {
      GByteArray *part = afrpc_nats_message_new (sender);
      g_autoptr(GBytes) part_bytes = NULL;

      afrpc_nats_message_add_chunk (part, transfer, total, offset, bytes + offset, MIN (piece, total - offset));
      part_bytes = g_byte_array_free_to_bytes (part);
      func (part_bytes, data);
    }
}
