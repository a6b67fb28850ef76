/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-reader.h"

#include "afrpc-json-private.h"

static void
skip_space (AfrpcJsonReader *self)
{
  while (self->at < self->end && strchr (" \n\t\r", *self->at) != NULL)
    self->at++;
}

void
afrpc_json_reader_init (AfrpcJsonReader *self,
                        const char      *text,
                        gsize            length)
{
  self->at = text;
  self->end = text + length;
  self->scratch = NULL;
  skip_space (self);
}

void
afrpc_json_reader_clear (AfrpcJsonReader *self)
{
  if (self->scratch != NULL)
    g_string_free (self->scratch, TRUE);
  self->scratch = NULL;
}

gboolean
afrpc_json_reader_accept (AfrpcJsonReader *self,
                          char             c)
{
  if (afrpc_json_reader_peek (self) != c)
    return FALSE;

  self->at++;
  skip_space (self);
  return TRUE;
}

AfrpcJsonSlice
afrpc_json_reader_take_raw (AfrpcJsonReader *self)
{
  const char *start = self->at + 1;
  const char *quote = start;

  for (;;)
    {
      const char *from = quote;
      gsize n_backslashes = 0;

      quote = memchr (from, '"', self->end - from);
      while (n_backslashes < (gsize) (quote - start) && quote[-1 - (gssize) n_backslashes] == '\\')
        n_backslashes++;
      if (n_backslashes % 2 == 0)
        break;
      quote++;
    }

  self->at = quote + 1;
  skip_space (self);
  return (AfrpcJsonSlice) { start, quote - start };
}

AfrpcJsonSlice
afrpc_json_reader_take_string (AfrpcJsonReader *self)
{
  AfrpcJsonSlice raw = afrpc_json_reader_take_raw (self);

  if (memchr (raw.start, '\\', raw.length) == NULL)
    return raw;

  if (self->scratch == NULL)
    self->scratch = g_string_sized_new (raw.length);
  g_string_truncate (self->scratch, 0);
  afrpc_json_unescape (self->scratch, raw.start, raw.length);
  return (AfrpcJsonSlice) { self->scratch->str, self->scratch->len };
}

AfrpcJsonSlice
afrpc_json_reader_take_word (AfrpcJsonReader *self)
{
  const char *start = self->at;
  AfrpcJsonSlice word;

  while (self->at < self->end && (g_ascii_isalnum (*self->at) || strchr ("+-.", *self->at) != NULL))
    self->at++;
  word = (AfrpcJsonSlice) { start, self->at - start };
  skip_space (self);
  return word;
}

void
afrpc_json_reader_skip (AfrpcJsonReader *self)
{
  gsize depth = 0;

  do
    switch (*self->at)
      {
      case '"':
        afrpc_json_reader_take_raw (self);
        break;
      case '[':
      case '{':
        depth++;
        self->at++;
        break;
      case ']':
      case '}':
        depth--;
        self->at++;
        break;
      case ',':
      case ':':
      case ' ':
      case '\n':
      case '\t':
      case '\r':
        self->at++;
        break;
      default:
        afrpc_json_reader_take_word (self);
      }
  while (depth > 0);
  skip_space (self);
}
