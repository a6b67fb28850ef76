/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-frame.h"

#include <string.h>

#include "afrpc-error.h"

/* Writes AFRPC_FRAME_HEADER_SIZE bytes. */
void
afrpc_frame_encode (const AfrpcFrameHeader *header,
                    guint8                 *bytes)
{
  const guint16 n_fds = GUINT16_TO_LE (header->n_fds);
  const guint16 function = GUINT16_TO_LE (header->function);
  const guint64 serial = GUINT64_TO_LE (header->serial);
  const guint64 size = GUINT64_TO_LE (header->size);

  memset (bytes, 0, 8);
  bytes[0] = header->kind;
  bytes[1] = header->flags;
  memcpy (bytes + 2, &n_fds, sizeof n_fds);
  bytes[4] = header->type_length;
  memcpy (bytes + 6, &function, sizeof function);
  memcpy (bytes + 8, &serial, sizeof serial);
  memcpy (bytes + 16, &size, sizeof size);
}

/* Reads AFRPC_FRAME_HEADER_SIZE bytes that were written here. */
void
afrpc_frame_read (AfrpcFrameHeader *header,
                  const guint8     *bytes)
{
  guint16 n_fds, function;
  guint64 serial, size;

  memcpy (&n_fds, bytes + 2, sizeof n_fds);
  memcpy (&function, bytes + 6, sizeof function);
  memcpy (&serial, bytes + 8, sizeof serial);
  memcpy (&size, bytes + 16, sizeof size);

  header->kind = bytes[0];
  header->flags = bytes[1];
  header->n_fds = GUINT16_FROM_LE (n_fds);
  header->type_length = bytes[4];
  header->function = GUINT16_FROM_LE (function);
  header->serial = GUINT64_FROM_LE (serial);
  header->size = GUINT64_FROM_LE (size);
}

/* Reads AFRPC_FRAME_HEADER_SIZE bytes and refuses whatever no afrpc writes, so that nobody
 * allocates or waits for what a liar announces. */
gboolean
afrpc_frame_decode (AfrpcFrameHeader  *header,
                    const guint8      *bytes,
                    guint64            size_max,
                    GError           **error)
{
  afrpc_frame_read (header, bytes);

  if (header->kind == 0 || header->kind > AFRPC_FRAME_LAST)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "frame of unknown kind %u", header->kind);
      return FALSE;
    }
  if ((header->flags & ~AFRPC_FRAME_FLAGS_KNOWN) != 0 || bytes[5] != 0 ||
      (header->function != 0 && header->kind != AFRPC_FRAME_CALL))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "frame with unknown flags");
      return FALSE;
    }
  if (header->n_fds > AFRPC_FRAME_FDS_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL,
                   "frame with %u file descriptors, more than %u",
                   header->n_fds, AFRPC_FRAME_FDS_MAX);
      return FALSE;
    }
  if (header->size > size_max)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL,
                   "frame of %" G_GUINT64_FORMAT " bytes, more than %" G_GUINT64_FORMAT,
                   header->size, size_max);
      return FALSE;
    }

  return TRUE;
}

/* Writes AFRPC_FRAME_GOODBYE_SIZE bytes: header, le32 status, signal, whether there is a core, zeros. */
void
afrpc_goodbye_encode (const AfrpcGoodbye *goodbye,
                      guint64             serial,
                      guint8             *bytes)
{
  const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_GOODBYE, .serial = serial, .size = 8 };
  const guint32 status = GUINT32_TO_LE ((guint32) goodbye->status);

  memset (bytes, 0, AFRPC_FRAME_GOODBYE_SIZE);
  afrpc_frame_encode (&header, bytes);
  bytes += AFRPC_FRAME_HEADER_SIZE;
  memcpy (bytes, &status, sizeof status);
  bytes[4] = goodbye->signum;
  bytes[5] = goodbye->core ? 1 : 0;
}

/* Reads AFRPC_FRAME_GOODBYE_SIZE bytes, whatever they are; FALSE if they are not the goodbye of that serial. */
gboolean
afrpc_goodbye_decode (AfrpcGoodbye *goodbye,
                      guint64       serial,
                      const guint8 *bytes)
{
  guint8 expected[AFRPC_FRAME_GOODBYE_SIZE];
  const guint8 *payload = bytes + AFRPC_FRAME_HEADER_SIZE;
  AfrpcGoodbye found;
  guint32 status;

  memcpy (&status, payload, sizeof status);
  found.status = (gint32) GUINT32_FROM_LE (status);
  found.signum = payload[4];
  found.core = payload[5] != 0;
  afrpc_goodbye_encode (&found, serial, expected);
  if (memcmp (bytes, expected, sizeof expected) != 0)
    return FALSE;

  *goodbye = found;
  return TRUE;
}

/* Whether the last of @size bytes may be the beginning of the goodbye of that serial. */
gboolean
afrpc_goodbye_is_begun (guint64       serial,
                        const guint8 *bytes,
                        gsize         size)
{
  const AfrpcGoodbye any = { 0 };
  guint8 expected[AFRPC_FRAME_GOODBYE_SIZE];

  afrpc_goodbye_encode (&any, serial, expected);
  for (gsize n = MIN (size, AFRPC_FRAME_GOODBYE_SIZE - 1); n > 0; n--)
    if (memcmp (bytes + size - n, expected, MIN (n, AFRPC_FRAME_HEADER_SIZE)) == 0)
      return TRUE;

  return FALSE;
}
