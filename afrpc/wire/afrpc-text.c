/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-text.h"

#include <string.h>

#define ONES G_GUINT64_CONSTANT (0x0101010101010101)
#define HIGH G_GUINT64_CONSTANT (0x8080808080808080)

/* Bytes that the longest character has. */
#define CHARACTER_SIZE_MAX 4

static inline guint64
load (const guint8 *at)
{
  guint64 word;

  memcpy (&word, at, sizeof word);
  return word;
}

/* Has high bits if one of the bytes is not 1 to 127; which one, it does not tell. */
static inline guint64
find_other (guint64 word)
{
  return (word - ONES) | word;
}

/* Skips bytes from 1 to 127, as many words of them as there are. */
static inline const guint8 *
skip_ascii (const guint8 *at,
            const guint8 *end)
{
  while (end - at >= 32 && ((find_other (load (at)) | find_other (load (at + 8)) | find_other (load (at + 16)) |
                             find_other (load (at + 24))) & HIGH) == 0)
    at += 32;
  while (end - at >= 8 && (find_other (load (at)) & HIGH) == 0)
    at += 8;

  return at;
}

static inline gboolean
continues (guint8 byte)
{
  return (byte & 0xc0) == 0x80;
}

/* How many bytes the character has that is not one byte: 0 if there is none. RFC 3629, section 4. */
static inline gsize
get_character_size (const guint8 *at,
                    gsize         left)
{
  const guint8 first = at[0];

  if (first < 0xe0)
    return left >= 2 && first >= 0xc2 && continues (at[1]) ? 2 : 0;

  if (first < 0xf0)
    return left >= 3 && continues (at[1]) && continues (at[2]) && (first != 0xe0 || at[1] >= 0xa0) &&
           (first != 0xed || at[1] < 0xa0) ? 3 : 0;

  return left >= 4 && first < 0xf5 && continues (at[1]) && continues (at[2]) && continues (at[3]) &&
         (first != 0xf0 || at[1] >= 0x90) && (first != 0xf4 || at[1] < 0x90) ? 4 : 0;
}

/* Skips the most common characters of two and three bytes, while there are four that can be looked at. */
static inline const guint8 *
skip_common (const guint8 *at,
             const guint8 *end)
{
  while (end - at >= 4)
    {
      guint32 word;

      memcpy (&word, at, sizeof word);
      word = GUINT32_FROM_LE (word);
      /* The second bits: below 0x800, and surrogates. */
      if ((word & 0xc0c0f0) == 0x8080e0 && (word & 0x200f) != 0 && (word & 0x200f) != 0x200d)
        at += 3;
      else if ((word & 0xc0e0) == 0x80c0 && (word & 0x1e) != 0)
        at += 2;
      else
        break;
    }

  return at;
}

const guint8 *
afrpc_text_skip_wide (const guint8 *at,
                      const guint8 *end)
{
  at = skip_common (at, end);
  while (at < end && *at >= 0x80)
    {
      const gsize size = get_character_size (at, end - at);

      if (size == 0)
        break;
      at += size;
    }

  return at;
}

const guint8 *
afrpc_text_skip_utf8 (const guint8 *at,
                      const guint8 *end)
{
  const guint8 *start = at;

  for (;;)
    {
      at = skip_ascii (at, end);
      /* What overlaps with what is in front has been looked at, and is no part of a longer character. */
      if (end - at < 8 && end - start >= 8 && (find_other (load (end - 8)) & HIGH) == 0)
        return end;
      while (at < end && (guint8) (*at - 1) < 127)
        at++;
      if (at == end || *at == 0)
        return at;

      /* A text that is not ASCII seldom has only one such character in a row. */
      at = afrpc_text_skip_wide (at, end);
      if (at < end && *at >= 0x80)
        return at;
    }
}

/* The signature */

/* What something is in, from the outside to the inside. */
enum
{
  IN_ARRAY,
  IN_TUPLE,
  IN_ENTRY_KEY,   /* the key comes next */
  IN_ENTRY_VALUE,
  IN_ENTRY_END,   /* only the bracket is missing */
};

/* A type has ended. */
static void
complete (AfrpcText *self)
{
  while (self->n_open > 0 && self->open[self->n_open - 1] == IN_ARRAY)
    self->n_open--;
  if (self->n_open > 0 && self->open[self->n_open - 1] == IN_ENTRY_VALUE)
    self->open[self->n_open - 1] = IN_ENTRY_END;
}

static gboolean
open (AfrpcText *self,
      guint8     what)
{
  /* In the deepest there can be a tuple, but then nothing is in that. */
  if (self->n_open >= AFRPC_LAYOUT_DEPTH_MAX + (what == IN_TUPLE))
    return FALSE;

  self->open[self->n_open++] = what;
  return TRUE;
}

/* The types of D-Bus, one after the other, in which there is no maybe. FALSE if @code cannot come next. */
static gboolean
read_type (AfrpcText *self,
           guint8     code)
{
  const int inside = self->n_open > 0 ? self->open[self->n_open - 1] : -1;
  const gboolean is_basic = code == 'v' || code == 's' || code == 'o' || code == 'g' || code == 'b' ||
                            afrpc_layout_number_size (code) > 0;

  if ((inside == IN_TUPLE && code == ')') || (inside == IN_ENTRY_END && code == '}'))
    {
      self->n_open--;
      complete (self);
      return TRUE;
    }
  if (inside == IN_ENTRY_END || self->n_open > AFRPC_LAYOUT_DEPTH_MAX)
    return FALSE;
  if (inside == IN_ENTRY_KEY)
    {
      self->open[self->n_open - 1] = IN_ENTRY_VALUE;
      return is_basic && code != 'v';
    }
  if (is_basic)
    {
      complete (self);
      return TRUE;
    }

  return (code == 'a' && open (self, IN_ARRAY)) || (code == '(' && open (self, IN_TUPLE)) ||
         (code == '{' && open (self, IN_ENTRY_KEY));
}

static const guint8 *
skip_signature (AfrpcText    *self,
                const guint8 *end)
{
  const guint8 *at = self->at;

  while (at < end && read_type (self, *at))
    at++;

  return at;
}

/* The object path */

static const guint8 *
skip_path (AfrpcText    *self,
           const guint8 *end)
{
  const guint8 *at = self->at;

  if (at == self->start && *at++ != '/')
    return self->at;
  while (at < end && (g_ascii_isalnum (*at) || *at == '_' || (*at == '/' && at[-1] != '/')))
    at++;

  return at;
}

/* Whether what has been read can end. */
static gboolean
is_whole (AfrpcText *self)
{
  if (self->code == 'o')
    return self->end - self->start == 1 || (self->end > self->start && self->end[-1] != '/');

  return self->n_open == 0;
}

/* @size: of the text and the NUL at its end, at least 1; whether it is there has been seen */
void
afrpc_text_init (AfrpcText    *self,
                 char          code,
                 const guint8 *data,
                 gsize         size)
{
  self->start = self->at = data;
  self->end = data + size - 1;
  self->code = code;
  self->n_open = 0;
}

/* Looks at up to @size bytes more, at least those of one character. Returns 1 if all is as it should be, 0 if
 * there is more to look at, -1 if it is no such text. */
int
afrpc_text_step (AfrpcText *self,
                 gsize      size)
{
  const guint8 *end = self->at + MIN ((gsize) (self->end - self->at), MAX (size, CHARACTER_SIZE_MAX));
  const guint8 *at = self->at;

  if (at < end)
    {
      if (self->code == 's')
        at = afrpc_text_skip_utf8 (at, end);
      else if (self->code == 'o')
        at = skip_path (self, end);
      else
        at = skip_signature (self, end);

      /* A character may go beyond the piece, but not beyond all of it. */
      if (at < end && (self->code != 's' || end == self->end || end - at >= CHARACTER_SIZE_MAX))
        return -1;
      self->at = at;
    }
  if (self->at < self->end)
    return 0;

  return is_whole (self) ? 1 : -1;
}

gboolean
afrpc_text_is_valid (char          code,
                     const guint8 *data,
                     gsize         size)
{
  AfrpcText text;

  if (size == 0 || data[size - 1] != '\0')
    return FALSE;

  afrpc_text_init (&text, code, data, size);
  return afrpc_text_step (&text, size) > 0;
}
