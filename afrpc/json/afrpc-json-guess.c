/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A `v` in plain JSON, which says nothing of its type: what the data looks like decides. */
#include "config.h"

#include "afrpc-json-decoder.h"

#include "afrpc-json-basic.h"

/* Bytes of a string that is written at once. */
#define SHORT_MAX 64

/* The types, one after the other in the table. */
static const char *const types[] = { "mv", "a{sv}", "av", "b", "s", "x", "d" };

/* Their numbers there, from the first on. */
enum
{
  GUESS_NOTHING = 0,
  GUESS_OBJECT = 2,
  GUESS_LIST = 7,
  GUESS_TRUTH = 9,
  GUESS_STRING = 10,
  GUESS_INTEGER = 11,
  GUESS_DOUBLE = 12,
};

/* Behind a value in a `v`: the NUL, and the type. */
#define PUT_TYPE(self, type) afrpc_value_writer_put (&(self)->writer, "\0" type, sizeof type)

void
afrpc_json_guess_init (AfrpcJsonDecoder *self)
{
  guint index;

  self->guesses = self->writer.n_layouts;
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    afrpc_value_writer_push_type (&self->writer, types[i], strlen (types[i]), &index);
}

static guint
guess (AfrpcJsonDecoder *self)
{
  const char *at = self->at;

  switch (*at)
    {
    case 'n':
      return GUESS_NOTHING;
    case '{':
      return GUESS_OBJECT;
    case '[':
      return GUESS_LIST;
    case 't':
    case 'f':
      return GUESS_TRUTH;
    case '"':
      return GUESS_STRING;
    default:
      return afrpc_json_guess_number ((AfrpcJsonSlice) { at, afrpc_json_skip_word (at, self->end) - at }) == 'x'
               ? GUESS_INTEGER
               : GUESS_DOUBLE;
    }
}

static gboolean
put_integer (AfrpcJsonDecoder *self)
{
  struct
  {
    gint64 number;
    char type[2];
  } value = { 0, { '\0', 'x' } };
  const char *at = self->at;
  const gboolean is_negative = *at == '-';

  /* As many digits as there is room for, whatever they are; the minus of -0 would be lost. */
  for (at += is_negative; at < self->end && at - self->at < 18 && g_ascii_isdigit (*at); at++)
    value.number = 10 * value.number + (*at - '0');
  if (at < self->end && *at > ' ' && *at != ',' && *at != ']' && *at != '}')
    return FALSE;
  if (is_negative && value.number == 0)
    return FALSE;

  if (is_negative)
    value.number = -value.number;
  afrpc_value_writer_put (&self->writer, &value, sizeof value.number + sizeof value.type);
  self->at = at;
  return TRUE;
}

static gboolean
put_string (AfrpcJsonDecoder *self)
{
  const char *start = self->at + 1;
  const char *end = afrpc_json_skip_run (start, start + MIN (self->end - start, SHORT_MAX));

  if (end == self->end || *end != '"')
    return FALSE;

  afrpc_value_writer_put (&self->writer, start, end - start);
  afrpc_value_writer_put (&self->writer, "\0\0s", 3);
  self->at = end + 1;
  return TRUE;
}

/* Writes values that are small. FALSE if it is another, of which nothing has been written. */
static gboolean
put_small (AfrpcJsonDecoder *self)
{
  switch (*self->at)
    {
    case 'n':
      PUT_TYPE (self, "mv");
      self->at += 4;
      return TRUE;

    case 't':
    case 'f':
      afrpc_value_writer_put (&self->writer, *self->at == 't' ? "\1\0b" : "\0\0b", 3);
      self->at += *self->at == 't' ? 4 : 5;
      return TRUE;

    case '[':
      if (self->at[1] != ']')
        return FALSE;
      PUT_TYPE (self, "av");
      self->at += 2;
      return TRUE;

    case '{':
      if (self->at[1] != '}')
        return FALSE;
      PUT_TYPE (self, "a{sv}");
      self->at += 2;
      return TRUE;

    case '"':
      return put_string (self);

    default:
      return put_integer (self);
    }
}

/* The same token is the value in it. */
gboolean
afrpc_json_guess_begin (AfrpcJsonDecoder  *self,
                        GError           **error)
{
  const guint levels_max = AFRPC_JSON_DEPTH_MAX - self->depth - 1; /* of what is in it */

  /* No guess has more than three levels. */
  if (levels_max >= 3 && put_small (self))
    {
      afrpc_json_decoder_end_value (self);
      return TRUE;
    }

  self->type = self->guesses + guess (self);
  if (afrpc_json_decoder_get_layout (self, self->type)->levels > levels_max)
    return afrpc_json_decoder_refuse_depth (self, error);

  afrpc_json_decoder_push_frame (self, AFRPC_JSON_GUESSED);
  self->depth++;
  return afrpc_json_decoder_begin_value (self, error);
}
