/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has values in it, in JSON as in GVariant: arrays, objects. */
#include "config.h"

#include "afrpc-json-decoder.h"

#include "afrpc-json-place.h"

/* What the last frame is of is none. */
static gboolean
refuse_container (AfrpcJsonDecoder  *self,
                  const char        *message,
                  GError           **error)
{
  return afrpc_json_decoder_refuse (self, self->n_frames - 1, AFRPC_ERROR_INVALID_DATA, message, error);
}

static gboolean
begin_child (AfrpcJsonDecoder  *self,
             AfrpcJsonFrame    *frame,
             guint              type,
             GError           **error)
{
  if (frame->kind != AFRPC_JSON_JUST)
    afrpc_value_writer_align (&self->writer, type);
  self->type = type;
  /* An entry is one, too. */
  self->depth = frame->depth + (frame->kind == AFRPC_JSON_OBJECT ? 2 : 1);
  self->state = AFRPC_JSON_VALUE;
  return afrpc_json_is_space (*self->at) || afrpc_json_decoder_begin_value (self, error);
}

static void
end_container (AfrpcJsonDecoder *self)
{
  self->n_frames--;
  afrpc_json_decoder_end_value (self);
}

/* Writes down where values in it end. */
static gboolean
close_container (AfrpcJsonDecoder *self,
                 AfrpcJsonFrame   *frame)
{
  self->state = AFRPC_JSON_CLOSE;
  if (afrpc_value_writer_begin_close (&self->writer, &frame->container, frame->type))
    end_container (self);
  return TRUE;
}

/* The same, of @n more. */
void
afrpc_json_container_go_on_closing (AfrpcJsonDecoder *self,
                                    gsize             n)
{
  if (afrpc_value_writer_continue (&self->writer, n))
    end_container (self);
}

static gboolean
go_on_list (AfrpcJsonDecoder  *self,
            AfrpcJsonFrame    *frame,
            GError           **error)
{
  if (self->state == AFRPC_JSON_NEXT)
    {
      if (afrpc_json_decoder_get_layout (self, frame->member)->fixed_size == 0)
        afrpc_value_writer_note_end (&self->writer, &frame->container);
      frame->index++;
    }
  if (afrpc_json_decoder_accept (self, ']'))
    return close_container (self, frame);

  afrpc_json_decoder_accept (self, ',');
  return begin_child (self, frame, frame->member, error);
}

static gboolean
go_on_tuple (AfrpcJsonDecoder  *self,
             AfrpcJsonFrame    *frame,
             GError           **error)
{
  if (self->state == AFRPC_JSON_NEXT)
    {
      const AfrpcLayout *member = afrpc_json_decoder_get_layout (self, frame->member);

      frame->member += member->length;
      if (frame->member < frame->end && member->fixed_size == 0)
        afrpc_value_writer_note_end (&self->writer, &frame->container);
      frame->index++;
    }
  if (frame->member < frame->end ? *self->at == ']' : *self->at != ']')
    return afrpc_json_decoder_refuse_length (self, self->n_frames - 1, frame->type, error);

  self->at += *self->at == ',' || *self->at == ']';
  return frame->member < frame->end ? begin_child (self, frame, frame->member, error) : close_container (self, frame);
}

static gboolean
go_on_just (AfrpcJsonDecoder  *self,
            AfrpcJsonFrame    *frame,
            GError           **error)
{
  const gboolean is_first = self->state == AFRPC_JSON_FIRST;

  if (is_first ? *self->at == ']' : *self->at != ']')
    return refuse_container (self, "expected null or an array of 1", error);
  if (is_first)
    return begin_child (self, frame, frame->member, error);

  self->at++;
  if (afrpc_json_decoder_get_layout (self, frame->member)->fixed_size == 0)
    afrpc_value_writer_put (&self->writer, "", 1);
  end_container (self);
  return TRUE;
}

/* Objects: each member is an entry, whose type follows that of the dictionary. */

static const char *
get_key (gconstpointer data,
         gsize         i)
{
  const AfrpcJsonDecoder *self = data;
  const AfrpcJsonFrame *frame = &self->frames[self->n_frames - 1];
  const AfrpcLayout *entry = afrpc_json_decoder_get_layout (self, frame->type + 1);
  const gsize end = i > 0 ? self->writer.ends[frame->container.first_end + i - 1] : 0;

  return (const char *) self->writer.data + frame->container.start + afrpc_layout_align (end, entry->alignment);
}

static gboolean
go_on_object (AfrpcJsonDecoder *self,
              AfrpcJsonFrame   *frame)
{
  if (self->state == AFRPC_JSON_NEXT)
    {
      afrpc_value_writer_close (&self->writer, &frame->entry, frame->type + 1);
      afrpc_value_writer_note_end (&self->writer, &frame->container);
      frame->index++;
    }
  self->state = AFRPC_JSON_NAME;
  if (afrpc_json_decoder_accept (self, '}'))
    {
      self->state = AFRPC_JSON_NAMES;
      afrpc_json_names_init (&self->names, frame->index, get_key, self);
    }
  else
    afrpc_json_decoder_accept (self, ',');
  return TRUE;
}

gboolean
afrpc_json_container_begin_name (AfrpcJsonDecoder *self)
{
  AfrpcJsonFrame *frame = afrpc_json_decoder_get_frame (self);

  afrpc_value_writer_align (&self->writer, frame->type + 1);
  frame->entry = afrpc_value_writer_open (&self->writer);
  frame->name = ++self->at;
  afrpc_json_string_init (&self->string, &self->writer, afrpc_json_decoder_get_layout (self, frame->type + 2)->code);
  self->state = AFRPC_JSON_KEY;
  return TRUE;
}

gboolean
afrpc_json_container_begin_member (AfrpcJsonDecoder  *self,
                                   GError           **error)
{
  AfrpcJsonFrame *frame = afrpc_json_decoder_get_frame (self);

  self->at++;
  afrpc_value_writer_note_end (&self->writer, &frame->entry);
  return begin_child (self, frame, frame->type + 3, error);
}

gboolean
afrpc_json_container_look_at_names (AfrpcJsonDecoder  *self,
                                    gssize            *budget,
                                    GError           **error)
{
  AfrpcJsonFrame *frame = afrpc_json_decoder_get_frame (self);
  const int step = afrpc_json_names_step (&self->names, budget);
  g_autoptr(GString) pointer = NULL;
  const char *name;

  if (step == 0)
    return TRUE;
  if (step > 0)
    {
      afrpc_json_names_clear (&self->names);
      return close_container (self, frame);
    }
  if (self->names.slots == NULL)
    return afrpc_json_decoder_refuse_memory (self, error);

  name = get_key (self, self->names.i);
  pointer = afrpc_json_decoder_get_pointer (self, self->n_frames - 1);
  afrpc_json_pointer_add_name (pointer, name, strlen (name));
  afrpc_json_pointer_set_error (pointer->str, AFRPC_ERROR_INVALID_DATA, "the name occurs twice", error);
  return FALSE;
}

/* Behind an opening bracket, or a value. */
gboolean
afrpc_json_container_go_on (AfrpcJsonDecoder  *self,
                            GError           **error)
{
  AfrpcJsonFrame *frame = afrpc_json_decoder_get_frame (self);

  switch ((AfrpcJsonFrameKind) frame->kind)
    {
    case AFRPC_JSON_LIST:
      return go_on_list (self, frame, error);
    case AFRPC_JSON_OBJECT:
      return go_on_object (self, frame);
    case AFRPC_JSON_TUPLE:
      return go_on_tuple (self, frame, error);
    case AFRPC_JSON_JUST:
      return go_on_just (self, frame, error);
    case AFRPC_JSON_GUESSED:
    case AFRPC_JSON_WRAPPED:
    default:
      g_assert_not_reached ();
    }
}
