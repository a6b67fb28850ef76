/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-string.h"

/* Base64: RFC 4648, section 4, and only what g_base64_encode() writes. */

#define NO_DIGIT 0xff

static inline guint8
get_digit (char c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;

  return c == '+' ? 62 : c == '/' ? 63 : NO_DIGIT;
}

static gboolean
add_base64 (AfrpcJsonString *self,
            const char      *text,
            gsize            length)
{
  guint8 *out = afrpc_value_writer_add (self->writer, length / 4 * 3 + 3);
  gsize n = 0;

  for (gsize i = 0; i < length && out != NULL; i++)
    {
      const guint8 digit = get_digit (text[i]);

      if (text[i] == '=' && self->n_pads < 2)
        {
          self->n_pads++;
          continue;
        }
      if (digit == NO_DIGIT || self->n_pads > 0)
        return FALSE;

      self->bits = self->bits << 6 | digit;
      if (++self->n_digits % 4 != 0)
        continue;
      out[n++] = self->bits >> 16;
      out[n++] = self->bits >> 8;
      out[n++] = self->bits;
    }

  if (out != NULL)
    afrpc_value_writer_shorten (self->writer, length / 4 * 3 + 3 - n);
  return TRUE;
}

/* What is left of the last digits; the bits that are too many are zero. */
static gboolean
end_base64 (AfrpcJsonString *self)
{
  const guint n = self->n_digits % 4;
  const guint8 two[] = { self->bits >> 10, self->bits >> 2 };
  const guint8 one = self->bits >> 4;

  if (n == 0)
    return self->n_pads == 0;
  if (n == 2)
    afrpc_value_writer_put (self->writer, &one, 1);
  else if (n == 3)
    afrpc_value_writer_put (self->writer, two, 2);

  return n + self->n_pads == 4 && (self->bits & (n == 2 ? 0xf : 3)) == 0;
}

/* Both */

void
afrpc_json_string_init (AfrpcJsonString  *self,
                        AfrpcValueWriter *writer,
                        char              code)
{
  self->writer = writer;
  self->code = code;
  self->is_whole = FALSE;
  self->start = writer->size;
  self->bits = 0;
  self->n_digits = 0;
  self->n_pads = 0;
}

static gboolean
add (AfrpcJsonString *self,
     const char      *text,
     gsize            length)
{
  if (self->code == 'y')
    return add_base64 (self, text, length);

  afrpc_value_writer_put (self->writer, text, length);
  return TRUE;
}

static int
end (AfrpcJsonString  *self,
     const char      **message)
{
  if (self->code == 'y')
    {
      *message = "not base64";
      return end_base64 (self) ? 1 : -1;
    }

  afrpc_value_writer_put (self->writer, "", 1);
  if (self->code == 's' || self->writer->has_failed)
    return 1;

  afrpc_text_init (&self->text, self->code, self->writer->data + self->start, self->writer->size - self->start);
  self->is_whole = TRUE;
  return 0;
}

static int
look_at_text (AfrpcJsonString  *self,
              const char      **message)
{
  *message = self->code == 'o' ? "not an object path" : "not a signature";
  return afrpc_text_step (&self->text, AFRPC_JSON_STRING_PIECE);
}

int
afrpc_json_string_step (AfrpcJsonString  *self,
                        const char      **at,
                        const char       *limit,
                        const char      **message)
{
  if (self->is_whole)
    return look_at_text (self, message);

  while (*at < limit)
    {
      const char *run = *at;
      char character[AFRPC_JSON_CHARACTER_SIZE_MAX];
      gsize size;

      *message = "not base64";
      *at = afrpc_json_skip_run (run, run + MIN (limit - run, AFRPC_JSON_STRING_PIECE));
      if (*at > run && !add (self, run, *at - run))
        return -1;
      if (*at == limit || (**at != '"' && **at != '\\'))
        continue;

      (*at)++;
      if ((*at)[-1] == '"')
        {
          const int step = end (self, message);

          return step != 0 ? step : look_at_text (self, message);
        }
      *at += afrpc_json_unescape (*at, character, &size);
      if (!add (self, character, size))
        return -1;
    }

  return 0;
}
