/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-plain.h"

#include <string.h>

static gboolean
is_string (const guint8 *payload,
           gsize         size)
{
  return size > 0 && payload[size - 1] == '\0' &&
         g_utf8_validate_len ((const char *) payload, size - 1, NULL);
}

/* How many bytes each offset in a frame has that is of @size bytes. */
static guint
get_offset_size (gsize size)
{
  if (size > G_MAXUINT32)
    return 8;

  return size > G_MAXUINT16 ? 4 : size > G_MAXUINT8 ? 2 : 1;
}

static gsize
get_offset (const guint8 *offsets,
            guint         offset_size,
            gsize         i)
{
  guint64 offset = 0;

  memcpy (&offset, offsets + i * offset_size, offset_size);

  return GUINT64_FROM_LE (offset);
}

/* Whether a frame whose contents are of @size bytes, with @n offsets of @offset_size, would do with smaller ones. */
static gboolean
could_be_smaller (gsize size,
                  gsize n,
                  guint offset_size)
{
  return offset_size > 1 && get_offset_size (size + n * (offset_size / 2)) < offset_size;
}

/* An array of byte strings: these, one after the other, and then where each of them ends. */
static gboolean
is_bytes_array (const guint8 *payload,
                gsize         size)
{
  const guint offset_size = get_offset_size (size);
  gsize n, offsets, end = 0;

  if (size < offset_size)
    return size == 0;

  /* The last string ends where the offsets begin. */
  offsets = get_offset (payload + size - offset_size, offset_size, 0);
  if (offsets >= size || (size - offsets) % offset_size != 0)
    return FALSE;

  n = (size - offsets) / offset_size;
  if (could_be_smaller (offsets, n, offset_size))
    return FALSE;

  for (gsize i = 0; i < n; i++)
    {
      const gsize next = get_offset (payload + offsets, offset_size, i);

      if (next < end)
        return FALSE;
      end = next;
    }

  return TRUE;
}

/* Returns: the size of a number, which is its alignment, or 0 if it is none. */
gsize
afrpc_plain_number_size (char type)
{
  switch (type)
    {
    case 'b':
    case 'y':
      return 1;

    case 'n':
    case 'q':
      return 2;

    case 'i':
    case 'u':
    case 'h':
      return 4;

    case 'x':
    case 't':
    case 'd':
      return 8;

    default:
      return 0;
    }
}

/* Returns: the size of the elements of an array of numbers, which is its alignment, or 0 if it is none. Whatever
 * bytes they have, they are numbers, unless they are truth values. */
static gsize
get_element_size (const char *type)
{
  return type[0] == 'a' && type[1] != 'b' ? afrpc_plain_number_size (type[1]) : 0;
}

/* Returns: how long the type of a member is that is looked at here, or 0 if it is another. */
static gsize
get_member_length (const char *type)
{
  if (type[0] == 's' || afrpc_plain_number_size (type[0]) > 0)
    return 1;
  if (get_element_size (type) > 0)
    return 2;

  return g_str_has_prefix (type, "aay") ? 3 : 0;
}

static gboolean
is_member (const char   *type,
           gsize         length,
           const guint8 *payload,
           gsize         size)
{
  if (type[0] == 's')
    return is_string (payload, size);
  if (length == 3)
    return is_bytes_array (payload, size);
  if (length == 2)
    return size % get_element_size (type) == 0;

  return type[0] != 'b' || payload[0] <= 1;
}

/* A tuple: its members, each aligned, and then, from the end, where those of no fixed size end but the last. */
static gboolean
is_tuple (const char   *type,
          const guint8 *payload,
          gsize         size)
{
  const guint offset_size = get_offset_size (size);
  gsize offsets = size, end = 0, length;
  gboolean is_fixed = TRUE;

  /* Its alignment would count at its end, too. */
  for (const char *t = type + 1; *t != ')'; t += length)
    {
      length = get_member_length (t);
      if (length == 0)
        return FALSE;
      is_fixed = is_fixed && afrpc_plain_number_size (*t) > 0;
    }
  if (is_fixed)
    return FALSE;

  for (const char *t = type + 1; *t != ')'; t += length)
    {
      const gsize fixed_size = afrpc_plain_number_size (*t);
      const gsize alignment = fixed_size > 0 ? fixed_size : get_element_size (t);
      gsize begin = end;

      length = get_member_length (t);
      for (; alignment > 0 && begin % alignment != 0; begin++)
        if (begin >= offsets || payload[begin] != 0)
          return FALSE;

      if (fixed_size > 0)
        end = begin + fixed_size;
      else if (t[length] == ')')
        end = offsets;
      else if (offsets < offset_size)
        return FALSE;
      else
        {
          offsets -= offset_size;
          end = get_offset (payload + offsets, offset_size, 0);
        }
      if (end < begin || end > offsets || !is_member (t, length, payload + begin, end - begin))
        return FALSE;
    }

  return end == offsets && !could_be_smaller (end, (size - offsets) / offset_size, offset_size);
}

/* FALSE: they are not, or the type is not one of those that are looked at here.
 * @type: a valid type string */
gboolean
afrpc_plain_is_normal (const char   *type,
                       const guint8 *payload,
                       gsize         size)
{
  if (strcmp (type, "s") == 0)
    return is_string (payload, size);
  /* GLib looks at each. */
  if (get_element_size (type) > 0 && type[2] == '\0')
    return size % get_element_size (type) == 0;
  if (strcmp (type, "aay") == 0)
    return is_bytes_array (payload, size);

  return type[0] == '(' && is_tuple (type, payload, size);
}
