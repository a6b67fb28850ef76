/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is around a value in typed JSON: {"type":…,"data":…}, with its members in either order. */
#include "config.h"

#include "afrpc-json-decoder.h"

#define NAME_SIZE 4 /* of both names, bytes */

static gboolean
refuse (AfrpcJsonDecoder  *self,
        GError           **error)
{
  return afrpc_json_decoder_refuse (self, self->n_frames - 1, AFRPC_ERROR_INVALID_DATA,
                                    "expected an object with the members \"type\" and \"data\"", error);
}

/* A `v`, or the whole, is next. */
void
afrpc_json_wrapping_begin (AfrpcJsonDecoder *self)
{
  self->frames[self->n_frames++] = (AfrpcJsonFrame) { .kind = AFRPC_JSON_WRAPPED, .depth = self->depth };
  self->state = AFRPC_JSON_WRAPPING;
}

/* Behind the value in a `v`. */
void
afrpc_json_wrapping_write_type (AfrpcJsonDecoder *self,
                                guint             type)
{
  const AfrpcLayout *layout = afrpc_json_decoder_get_layout (self, type);
  char string[AFRPC_LAYOUT_TYPE_MAX + 1] = "";

  for (guint i = 0; i < layout->length; i++)
    string[i + 1] = layout[i].code;
  afrpc_value_writer_put (&self->writer, string, layout->length + 1);
}

/* The name of the first member, or the other of the second. */
static gboolean
take_name (AfrpcJsonDecoder  *self,
           AfrpcJsonFrame    *frame,
           GError           **error)
{
  char name[NAME_SIZE];
  gsize length;
  gboolean is_type, is_data;

  if (!afrpc_json_decoder_accept (self, '"') || !afrpc_json_take_short (&self->at, name, sizeof name, &length))
    return refuse (self, error);

  is_type = length == NAME_SIZE && memcmp (name, "type", NAME_SIZE) == 0;
  is_data = length == NAME_SIZE && memcmp (name, "data", NAME_SIZE) == 0;
  if (frame->stage == AFRPC_JSON_WRAPPING_FIRST_NAME)
    frame->is_data_first = is_data;
  else if (frame->is_data_first ? !is_type : !is_data)
    return refuse (self, error);

  return is_type || is_data || refuse (self, error);
}

/* Adds the type that is at hand to the table. */
static gboolean
take_type (AfrpcJsonDecoder  *self,
           AfrpcJsonFrame    *frame,
           GError           **error)
{
  char string[AFRPC_JSON_TYPE_SIZE_MAX];
  gsize length = 0;

  if (afrpc_json_decoder_accept (self, '"') && !afrpc_json_take_short (&self->at, string, sizeof string, &length))
    return afrpc_json_decoder_refuse (self, self->n_frames, AFRPC_ERROR_TOO_LARGE, "the type string is too long",
                                      error);
  if (!afrpc_value_writer_push_type (&self->writer, string, length, &frame->type))
    return afrpc_json_decoder_refuse (self, self->n_frames, AFRPC_ERROR_INVALID_DATA,
                                      "not the type string of a value", error);

  return TRUE;
}

/* The value itself is next. */
static gboolean
begin_data (AfrpcJsonDecoder  *self,
            AfrpcJsonFrame    *frame,
            GError           **error)
{
  const gboolean is_top = self->n_frames == 1;
  const guint levels = afrpc_json_decoder_get_layout (self, frame->type)->levels;

  if (!is_top && frame->depth + levels >= AFRPC_JSON_DEPTH_MAX)
    return afrpc_json_decoder_refuse (self, self->n_frames - 1, AFRPC_ERROR_TOO_LARGE, "too many values in each other",
                                      error);

  frame->stage = AFRPC_JSON_WRAPPING_CLOSING;
  self->type = frame->type;
  self->depth = is_top ? 0 : frame->depth + 1;
  self->state = AFRPC_JSON_VALUE;
  return TRUE;
}

static gboolean
end_wrapping (AfrpcJsonDecoder  *self,
              AfrpcJsonFrame    *frame,
              GError           **error)
{
  if (frame->is_data_first)
    self->at = frame->closing;
  if (!afrpc_json_decoder_accept (self, '}'))
    return refuse (self, error);

  self->n_frames--;
  if (self->n_frames > 0)
    {
      afrpc_json_wrapping_write_type (self, frame->type);
      afrpc_value_writer_pop_type (&self->writer, frame->type);
    }
  afrpc_json_decoder_end_value (self);
  return TRUE;
}

/* Behind the type, which came last: looks at the bracket, before anything is said of what is in it. */
static gboolean
go_back (AfrpcJsonDecoder  *self,
         AfrpcJsonFrame    *frame,
         GError           **error)
{
  frame->closing = self->at;
  if (*self->at != '}')
    return refuse (self, error);

  self->at = frame->data;
  return begin_data (self, frame, error);
}

/* One token. */
gboolean
afrpc_json_wrapping_step (AfrpcJsonDecoder  *self,
                          GError           **error)
{
  AfrpcJsonFrame *frame = afrpc_json_decoder_get_frame (self);

  switch ((AfrpcJsonWrappingStage) frame->stage)
    {
    case AFRPC_JSON_WRAPPING_OPENING:
      if (!afrpc_json_decoder_accept (self, '{'))
        return refuse (self, error);
      break;

    case AFRPC_JSON_WRAPPING_FIRST_NAME:
    case AFRPC_JSON_WRAPPING_SECOND_NAME:
      if (!take_name (self, frame, error))
        return FALSE;
      break;

    case AFRPC_JSON_WRAPPING_FIRST_COLON:
      self->at++;
      frame->stage = frame->is_data_first ? AFRPC_JSON_WRAPPING_DATA : AFRPC_JSON_WRAPPING_TYPE;
      return TRUE;

    case AFRPC_JSON_WRAPPING_SECOND_COLON:
      self->at++;
      frame->stage = frame->is_data_first ? AFRPC_JSON_WRAPPING_TYPE : AFRPC_JSON_WRAPPING_DATA;
      return TRUE;

    case AFRPC_JSON_WRAPPING_TYPE:
      if (!take_type (self, frame, error))
        return FALSE;
      frame->stage = frame->is_data_first ? AFRPC_JSON_WRAPPING_GOING_BACK : AFRPC_JSON_WRAPPING_COMMA;
      return TRUE;

    case AFRPC_JSON_WRAPPING_GOING_BACK:
      return go_back (self, frame, error);

    case AFRPC_JSON_WRAPPING_COMMA:
      if (!afrpc_json_decoder_accept (self, ','))
        return refuse (self, error);
      break;

    case AFRPC_JSON_WRAPPING_DATA:
      if (!frame->is_data_first)
        return begin_data (self, frame, error);
      frame->data = self->at;
      frame->stage = AFRPC_JSON_WRAPPING_COMMA;
      self->skip_depth = 0;
      self->skips_string = FALSE;
      self->state = AFRPC_JSON_SKIP;
      return TRUE;

    case AFRPC_JSON_WRAPPING_CLOSING:
    default:
      return end_wrapping (self, frame, error);
    }

  frame->stage++;
  return TRUE;
}

/* Goes on passing over a value, a token or a piece of a string. Returns whether that was the end of it. */
static gboolean
skip_token (AfrpcJsonDecoder *self,
            const char       *limit)
{
  if (self->skips_string)
    {
      self->at = afrpc_json_skip_run (self->at, limit);
      if (self->at < limit)
        {
          self->skips_string = *self->at == '\\';
          self->at += self->skips_string ? 2 : 1;
        }
      return !self->skips_string && self->at[-1] == '"' && self->skip_depth == 0;
    }

  switch (*self->at)
    {
    case '"':
      self->skips_string = TRUE;
      break;
    case '[':
    case '{':
      self->skip_depth++;
      break;
    case ']':
    case '}':
      self->skip_depth--;
      self->at++;
      return self->skip_depth == 0;
    case ',':
    case ':':
    case ' ':
    case '\n':
    case '\t':
    case '\r':
      break;
    default:
      self->at = afrpc_json_skip_word (self->at, self->end);
      return self->skip_depth == 0;
    }

  self->at++;
  return FALSE;
}

gboolean
afrpc_json_wrapping_skip (AfrpcJsonDecoder  *self,
                          const char        *limit,
                          GError           **error)
{
  const char *before = self->at;
  gboolean is_over = FALSE;

  while (!is_over && self->at < limit)
    is_over = skip_token (self, limit);
  if ((gsize) (self->at - before) > self->skip_left)
    return afrpc_json_decoder_refuse (self, self->n_frames - 1, AFRPC_ERROR_TOO_LARGE,
                                      "too much \"data\" before its \"type\"", error);

  self->skip_left -= self->at - before;
  if (is_over)
    self->state = AFRPC_JSON_WRAPPING;
  return TRUE;
}
