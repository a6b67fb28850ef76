/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-frame.h"

#include <afrpc/afrpc.h>
#include <string.h>

#define FLAG_BIG_ENDIAN 1u
#define OWN_FLAGS (G_BYTE_ORDER == G_BIG_ENDIAN ? FLAG_BIG_ENDIAN : 0u)
#define CHUNK_HEADER_SIZE 16u

static const guint8 magic[] = { 'A', 'f', 'N', AFRPC_NATS_VERSION };

static void
put_16 (guint8  *to,
        guint16  value)
{
  value = GUINT16_TO_LE (value);
  memcpy (to, &value, sizeof value);
}

static void
put_32 (guint8  *to,
        guint32  value)
{
  value = GUINT32_TO_LE (value);
  memcpy (to, &value, sizeof value);
}

static void
put_64 (guint8  *to,
        guint64  value)
{
  value = GUINT64_TO_LE (value);
  memcpy (to, &value, sizeof value);
}

static guint16
get_16 (const guint8 *from)
{
  guint16 value;

  memcpy (&value, from, sizeof value);

  return GUINT16_FROM_LE (value);
}

static guint32
get_32 (const guint8 *from)
{
  guint32 value;

  memcpy (&value, from, sizeof value);

  return GUINT32_FROM_LE (value);
}

static guint64
get_64 (const guint8 *from)
{
  guint64 value;

  memcpy (&value, from, sizeof value);

  return GUINT64_FROM_LE (value);
}

/* Reading */

/* FALSE: it is no message of ours, or not one that this version reads. */
gboolean
afrpc_nats_reader_init (AfrpcNatsReader  *self,
                        GBytes           *bytes,
                        GError          **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  memset (self, 0, sizeof *self);
  if (size < AFRPC_NATS_HEADER_SIZE || memcmp (data, magic, sizeof magic - 1) != 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a message of %" G_GSIZE_FORMAT " bytes that is none of afrpc's", size);
      return FALSE;
    }
  if (data[3] != AFRPC_NATS_VERSION)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_VERSION, "a message of version %u of the protocol; this is version %u", data[3],
                   AFRPC_NATS_VERSION);
      return FALSE;
    }

  self->bytes = g_bytes_ref (bytes);
  self->offset = AFRPC_NATS_HEADER_SIZE;
  self->sender = get_64 (data + 8);
  self->is_swapped = (data[4] & FLAG_BIG_ENDIAN) != OWN_FLAGS;

  return TRUE;
}

/* FALSE: it is too short. */
gboolean
afrpc_nats_reader_peek_sender (GBytes  *bytes,
                               guint64 *sender)
{
  if (g_bytes_get_size (bytes) < AFRPC_NATS_HEADER_SIZE)
    return FALSE;

  *sender = get_64 ((const guint8 *) g_bytes_get_data (bytes, NULL) + 8);

  return TRUE;
}

void
afrpc_nats_reader_clear (AfrpcNatsReader *self)
{
  g_clear_pointer (&self->bytes, g_bytes_unref);
}

/* What a message has is worked off in one turn of a main loop. */
static gboolean
check_more (const AfrpcNatsReader  *self,
            guint                   type,
            GError                **error)
{
  if (self->n_frames >= (self->is_whole ? 1 : AFRPC_NATS_FRAMES_MAX))
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a message%s has more than %u frame%s", self->is_whole ? " in parts" : "",
                 self->n_frames, self->is_whole ? "" : "s");
  else if (type == AFRPC_NATS_BEAT && self->has_beat)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a message has more than one beat");
  else
    return TRUE;

  return FALSE;
}

/* Returns: 1: there is a frame; 0: there is none any more; -1: what follows is not one. */
int
afrpc_nats_reader_next (AfrpcNatsReader  *self,
                        AfrpcNatsFrame   *frame,
                        GError          **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (self->bytes, &size);
  gsize body;

  if (self->offset >= size)
    return 0;

  if (size - self->offset < AFRPC_NATS_HEADER_SIZE)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a frame is cut off");
      return -1;
    }
  data += self->offset;
  body = get_32 (data);
  if (body > size - self->offset - AFRPC_NATS_HEADER_SIZE)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a frame says that it has %" G_GSIZE_FORMAT " bytes, and does not", body);
      return -1;
    }

  frame->type = get_16 (data + 4);
  if (!check_more (self, frame->type, error))
    return -1;
  self->has_beat |= frame->type == AFRPC_NATS_BEAT;
  frame->flags = get_16 (data + 6);
  frame->id = get_64 (data + 8);
  frame->bytes = self->bytes;
  frame->offset = self->offset + AFRPC_NATS_HEADER_SIZE;
  frame->size = body;
  frame->place = self->n_frames++;
  /* The last may be without what fills it up. */
  self->offset = MIN (size, frame->offset + ((body + 7) & ~(gsize) 7));

  return 1;
}

static GVariant *
get_checked (const AfrpcNatsReader *self,
             const AfrpcNatsFrame  *frame,
             const char            *type)
{
  GVariant *value = frame->place < self->values->len ? self->values->pdata[frame->place] : NULL;

  return value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE (type)) ? g_variant_ref (value) : NULL;
}

/* Returns: (transfer full) (nullable): the body, which has been checked */
GVariant *
afrpc_nats_reader_value (const AfrpcNatsReader  *self,
                         const AfrpcNatsFrame   *frame,
                         const char             *type,
                         GError                **error)
{
  g_autoptr(GBytes) body = NULL;
  GVariant *value;

  if (self->values != NULL)
    {
      value = get_checked (self, frame, type);
      if (value == NULL)
        g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "a value is malformed");
      return value;
    }

  body = g_bytes_new_from_bytes (frame->bytes, frame->offset, frame->size);
  value = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), body, FALSE));
  if (!g_variant_is_normal_form (value))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "a value is malformed");
      g_variant_unref (value);
      return NULL;
    }
  if (G_UNLIKELY (self->is_swapped))
    {
      GVariant *swapped = g_variant_byteswap (value);

      g_variant_unref (value);
      value = swapped;
    }

  return value;
}

static const char *
get_type (guint frame_type)
{
  switch (frame_type)
    {
    case AFRPC_NATS_CALL:
      return "(a{sv}v)";
    case AFRPC_NATS_PROGRESS:
    case AFRPC_NATS_RESULT:
    case AFRPC_NATS_EVENT:
      return "v";
    case AFRPC_NATS_ERROR:
      return "(isis)";
    case AFRPC_NATS_BEAT:
      return "at";
    case AFRPC_NATS_DEMAND:
      return "(sutt)";
    case AFRPC_NATS_GRANT:
      return "(ssuut)";
    case AFRPC_NATS_REFUSED:
      return "s";
    case AFRPC_NATS_RECEIVED:
      return "t";
    default:
      return NULL;
    }
}

static void
clear_value (gpointer data)
{
  if (data != NULL)
    g_variant_unref (data);
}

/* Checks all bodies of a message: of a large one that takes long, which no main loop is to be held by.
 * Returns: (transfer full) (element-type GVariant): for each frame, NULL if it has none, or a malformed one */
GPtrArray *
afrpc_nats_reader_check (GBytes   *bytes,
                         gboolean  is_whole) /* it came in parts */
{
  GPtrArray *values = g_ptr_array_new_with_free_func (clear_value);
  g_auto(AfrpcNatsReader) reader = { 0 };
  AfrpcNatsFrame frame;

  if (!afrpc_nats_reader_init (&reader, bytes, NULL))
    return values;
  reader.is_whole = is_whole;
  while (afrpc_nats_reader_next (&reader, &frame, NULL) > 0)
    {
      const char *type = get_type (frame.type);

      g_ptr_array_add (values, type != NULL ? afrpc_nats_reader_value (&reader, &frame, type, NULL) : NULL);
    }

  return values;
}

/* Writing */

/* Returns: (transfer full): a message without frames */
GByteArray *
afrpc_nats_message_new (guint64 sender)
{
  GByteArray *message = g_byte_array_sized_new (256);
  guint8 header[AFRPC_NATS_HEADER_SIZE] = { 0 };

  memcpy (header, magic, sizeof magic);
  header[4] = OWN_FLAGS;
  put_64 (header + 8, sender);
  g_byte_array_append (message, header, sizeof header);

  return message;
}

/* Returns: where the body goes */
static guint8 *
add (GByteArray         *message,
     AfrpcNatsFrameType  type,
     guint               flags,
     guint64             id,
     gsize               size)
{
  const gsize padding = -message->len & 7;
  guint8 *frame;

  g_assert (size <= G_MAXUINT32 - message->len - 64);

  g_byte_array_set_size (message, message->len + padding + AFRPC_NATS_HEADER_SIZE + size);
  frame = message->data + message->len - size - AFRPC_NATS_HEADER_SIZE;
  memset (frame - padding, 0, padding);
  put_32 (frame, size);
  put_16 (frame + 4, type);
  put_16 (frame + 6, flags);
  put_64 (frame + 8, id);

  return frame + AFRPC_NATS_HEADER_SIZE;
}

/* @body: (nullable): a floating reference is consumed */
void
afrpc_nats_message_add (GByteArray         *message,
                        AfrpcNatsFrameType  type,
                        guint               flags,
                        guint64             id,
                        GVariant           *body)
{
  g_autoptr(GVariant) sunk = body != NULL ? g_variant_ref_sink (body) : NULL;
  guint8 *to = add (message, type, flags, id, sunk != NULL ? g_variant_get_size (sunk) : 0);

  if (sunk != NULL)
    g_variant_store (sunk, to);
}

void
afrpc_nats_message_add_chunk (GByteArray   *message,
                              guint64       transfer,
                              gsize         total,
                              gsize         offset,
                              const guint8 *data,
                              gsize         size)
{
  guint8 *to = add (message, AFRPC_NATS_CHUNK, 0, transfer, CHUNK_HEADER_SIZE + size);

  put_64 (to, total);
  put_64 (to + 8, offset);
  memcpy (to + CHUNK_HEADER_SIZE, data, size);
}
