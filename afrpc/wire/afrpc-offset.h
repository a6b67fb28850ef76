/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Offsets: the places where values in a container end, behind these values, little-endian on every machine. The
 * GVariant specification, section 2.3.6. Places are relative to where the container starts. */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

/* How many bytes each has in a container of @size bytes. */
static inline guint
afrpc_offset_get_size (gsize size)
{
  if (size <= G_MAXUINT8)
    return size > 0;

  return size <= G_MAXUINT16 ? 2 : size <= G_MAXUINT32 ? 4 : 8;
}

/* How many bytes each of @n takes behind @size bytes: what the whole can be told by, including them. */
static inline guint
afrpc_offset_choose_size (gsize size,
                          gsize n)
{
  if (size + n <= G_MAXUINT8)
    return 1;
  if (size + 2 * n <= G_MAXUINT16)
    return 2;

  return size + 4 * n <= G_MAXUINT32 ? 4 : 8;
}

/* @size: of the offset, 0 in an empty tuple, where GLib reads 0 as well */
static inline gsize
afrpc_offset_read (const guint8 *start,
                   gsize         place,
                   guint         size)
{
  guint64 word = 0;

  /* At once, if there is something in front of it that can be read with it. */
  if (G_LIKELY (place + size >= sizeof word))
    {
      memcpy (&word, start + place + size - sizeof word, sizeof word);
      return GUINT64_FROM_LE (word) >> (64 - 8 * size);
    }

  for (guint i = 0; i < size; i++)
    word |= (guint64) start[place + i] << 8 * i;
  return word;
}

/* Whether offsets of @offsets bytes behind @size bytes would do with half as many. */
static inline gboolean
afrpc_offset_could_be_smaller (gsize size,
                               gsize offsets,
                               guint offset_size)
{
  return offset_size > 1 && afrpc_offset_get_size (size + offsets / 2) < offset_size;
}

/* Whether the bytes in between, less than 8 or none, are zero. */
static inline gboolean
afrpc_offset_is_padding (const guint8 *start,
                         gsize         begin,
                         gsize         end)
{
  guint64 word;

  if (begin == end)
    return TRUE;

  if (end >= sizeof word)
    {
      memcpy (&word, start + end - sizeof word, sizeof word);
      return GUINT64_FROM_LE (word) >> (64 - 8 * (end - begin)) == 0;
    }

  for (; begin < end; begin++)
    if (start[begin] != 0)
      return FALSE;
  return TRUE;
}

G_END_DECLS
