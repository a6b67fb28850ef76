/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serialise/afrpc-bytes-reader.h"

#include <string.h>

#include "afrpc-error.h"
#include "wire/afrpc-text.h"

/* Bytes of a length: what 64 bits need. */
#define LENGTH_SIZE_MAX 10u

/* Bytes that are read at once. */
#define PIECE 16384

#define STRING_COST 128
#define ENDS_MAX 16384 /* that are written down at once */
#define END_COST 8

static int
refuse (const char  *message,
        GError     **error)
{
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "malformed 'bytes': %s", message);
  return -1;
}

/* How many characters of @type are `s` or `ay`: 0 if it begins with something else. */
static guint
get_string_type (const char *type)
{
  if (type[0] == 's')
    return 1;
  return type[0] == 'a' && type[1] == 'y' ? 2 : 0;
}

gboolean
afrpc_bytes_is_supported (const char *type)
{
  guint n = get_string_type (type);

  if (n > 0)
    return type[n] == '\0';
  if (*type == 'a')
    {
      n = get_string_type (type + 1);
      return n > 0 && type[1 + n] == '\0';
    }
  if (*type != '(')
    return FALSE;

  for (type++; (n = get_string_type (type)) > 0; type += n)
    ;
  return strcmp (type, ")") == 0;
}

/* @data: (nullable): NULL if @size is 0 */
void
afrpc_bytes_reader_init (AfrpcBytesReader *self,
                         const guint8     *data,
                         gsize             size)
{
  self->at = data != NULL ? data : (const guint8 *) "";
  self->end = self->at + size;
  self->has_begun = self->is_in_string = self->is_closing = FALSE;
  self->writer = (AfrpcValueWriter) { NULL };
}

void
afrpc_bytes_reader_clear (AfrpcBytesReader *self)
{
  afrpc_value_writer_clear (&self->writer);
}

/* The type in front. */
static gboolean
begin (AfrpcBytesReader  *self,
       GError           **error)
{
  const char *type = (const char *) self->at;
  const gsize size = self->end - self->at;
  const char *nul = size > 0 ? memchr (type, '\0', MIN (size, AFRPC_LAYOUT_TYPE_MAX + 1)) : NULL;
  const AfrpcLayout *layout;

  afrpc_value_writer_init (&self->writer, size);
  if (nul == NULL || !afrpc_bytes_is_supported (type) ||
      !afrpc_value_writer_push_type (&self->writer, type, nul - type, &self->type))
    {
      refuse ("no type that could be sent so", error);
      return FALSE;
    }

  self->at = (const guint8 *) nul + 1;
  self->has_begun = TRUE;
  self->container = afrpc_value_writer_open (&self->writer);
  layout = afrpc_value_writer_get_layout (&self->writer, self->type);
  self->types_end = layout->code == '(' ? self->type + layout->length - 1 : 0;
  self->is_array = layout->code == 'a' && layout[1].code != 'y';
  self->type += self->types_end > 0 || self->is_array;
  return TRUE;
}

static int
begin_string (AfrpcBytesReader  *self,
              GError           **error)
{
  guint64 number = 0;

  for (guint i = 0; i < LENGTH_SIZE_MAX && self->at < self->end; i++)
    {
      const guint8 byte = *self->at++;

      if (i == 0 && byte == 0x80)
        return refuse ("a length with a zero in front", error);
      if (number > G_MAXUINT64 >> 7)
        break;
      number = number << 7 | (byte & 0x7f);
      if ((byte & 0x80) != 0)
        continue;
      if (number > (gsize) (self->end - self->at))
        break;

      self->left = number;
      self->is_in_string = TRUE;
      return 0;
    }

  return refuse ("a length that goes beyond the end", error);
}

/* A string has been read. */
static void
end_string (AfrpcBytesReader *self)
{
  const AfrpcLayout *layout = afrpc_value_writer_get_layout (&self->writer, self->type);

  if (layout->code == 's')
    afrpc_value_writer_put (&self->writer, "", 1);
  if (!self->is_array)
    self->type += layout->length;
  if (self->is_array || self->type < self->types_end)
    afrpc_value_writer_note_end (&self->writer, &self->container);
  self->is_in_string = FALSE;
}

/* A piece more of it. */
static int
continue_string (AfrpcBytesReader  *self,
                 GError           **error)
{
  gsize n = MIN (self->left, PIECE);

  if (afrpc_value_writer_get_layout (&self->writer, self->type)->code == 's')
    {
      const guint8 *valid = afrpc_text_skip_utf8 (self->at, self->at + n);
      const gsize rest = self->at + n - valid;

      /* What goes beyond the piece comes with the next. */
      if (rest > 0 && (n == self->left || rest >= 4))
        return refuse ("a string with a NUL, or not in UTF-8", error);
      n -= rest;
    }

  if (n > 0)
    afrpc_value_writer_put (&self->writer, self->at, n);
  self->at += n;
  self->left -= n;
  if (self->left == 0)
    end_string (self);
  return 0;
}

/* Whether all is there that the type asks for. */
static gboolean
is_whole (const AfrpcBytesReader *self)
{
  return self->is_array ? self->at == self->end : self->type >= MAX (self->types_end, 1);
}

/* A string, a piece of it, or what comes after all of them. Returns 1 at the end. */
static int
go_on (AfrpcBytesReader  *self,
       gssize            *budget,
       GError           **error)
{
  const guint8 *before = self->at;
  int step;

  if (self->is_closing)
    {
      *budget -= ENDS_MAX * END_COST;
      return afrpc_value_writer_continue (&self->writer, ENDS_MAX) ? 1 : 0;
    }

  if (!self->is_in_string && is_whole (self))
    {
      if (self->at < self->end)
        return refuse ("something follows the value", error);
      if (self->types_end == 0 && !self->is_array)
        return 1;
      self->is_closing = TRUE;
      return afrpc_value_writer_begin_close (&self->writer, &self->container, 0) ? 1 : 0;
    }

  step = self->is_in_string ? 0 : begin_string (self, error);
  if (step == 0)
    step = continue_string (self, error);
  *budget -= STRING_COST + 2 * (self->at - before);
  return step;
}

int
afrpc_bytes_reader_step (AfrpcBytesReader  *self,
                         gssize             budget,
                         GVariant         **value,
                         GError           **error)
{
  int step = 0;

  if (!self->has_begun && !begin (self, error))
    return -1;

  while (step == 0 && !self->writer.has_failed)
    {
      if (budget < 0)
        return 0;
      step = go_on (self, &budget, error);
    }
  if (step < 0)
    return -1;

  *value = afrpc_value_writer_end (&self->writer, 0);
  if (*value != NULL)
    return 1;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "there is no memory for what is in 'bytes'");
  return -1;
}
