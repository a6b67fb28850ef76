/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-decoder.h"

#include "afrpc-json-basic.h"
#include "afrpc-json-place.h"

/* Units of work. */
#define TOKEN_COST 256
#define RELEASE_COST (512 << 10) /* of a piece of memory that is given back */
#define END_COST 8          /* to write down where a value ends */
#define ENDS_MAX 16384      /* at once */
#define LETTER_COST 16      /* of a path or a signature that is looked at */
#define TEXT_COST 8         /* of a byte of the text: of an escape it takes as much, otherwise less */

static const AfrpcLayout *
get_layout (AfrpcJsonDecoder *self,
            guint             type)
{
  return afrpc_json_decoder_get_layout (self, type);
}

/* Where that is which is in the first @n_frames frames. */
GString *
afrpc_json_decoder_get_pointer (AfrpcJsonDecoder *self,
                                guint             n_frames)
{
  GString *pointer = g_string_new (NULL);

  for (guint i = 0; i < n_frames; i++)
    {
      const AfrpcJsonFrame *frame = &self->frames[i];

      if (frame->kind == AFRPC_JSON_OBJECT && frame->name != NULL)
        afrpc_json_pointer_add_raw (pointer, frame->name);
      else if (frame->kind == AFRPC_JSON_WRAPPED && frame->stage == AFRPC_JSON_WRAPPING_TYPE)
        g_string_append (pointer, "/type");
      else if (frame->kind == AFRPC_JSON_WRAPPED && frame->stage == AFRPC_JSON_WRAPPING_CLOSING)
        g_string_append (pointer, "/data");
      else if (frame->kind != AFRPC_JSON_GUESSED && frame->kind != AFRPC_JSON_WRAPPED)
        afrpc_json_pointer_add_index (pointer, frame->index);
    }

  return pointer;
}

gboolean
afrpc_json_decoder_refuse (AfrpcJsonDecoder  *self,
                           guint              n_frames,
                           AfrpcError         code,
                           const char        *message,
                           GError           **error)
{
  g_autoptr(GString) pointer = afrpc_json_decoder_get_pointer (self, n_frames);

  afrpc_json_pointer_set_error (pointer->str, code, message, error);
  return FALSE;
}

gboolean
afrpc_json_decoder_refuse_depth (AfrpcJsonDecoder  *self,
                                 GError           **error)
{
  return afrpc_json_decoder_refuse (self, self->n_frames, AFRPC_ERROR_TOO_LARGE, "too many values in each other",
                                    error);
}

gboolean
afrpc_json_decoder_refuse_memory (AfrpcJsonDecoder  *self,
                                  GError           **error)
{
  return afrpc_json_decoder_refuse (self, 0, AFRPC_ERROR_TOO_LARGE, "there is no memory for what is in it", error);
}

/* What is at hand is no such value. */
static gboolean
refuse_value (AfrpcJsonDecoder  *self,
              const char        *message,
              GError           **error)
{
  return afrpc_json_decoder_refuse (self, self->n_frames, AFRPC_ERROR_INVALID_DATA, message, error);
}

/* Values */

void
afrpc_json_decoder_push_frame (AfrpcJsonDecoder   *self,
                               AfrpcJsonFrameKind  kind)
{
  self->frames[self->n_frames++] = (AfrpcJsonFrame) {
    .kind = kind,
    .type = self->type,
    .depth = self->depth,
    .member = self->type + 1,
    .end = self->type + get_layout (self, self->type)->length - 1,
    .container = afrpc_value_writer_open (&self->writer),
  };
}

/* Behind the bracket that a container begins with. */
static gboolean
open_container (AfrpcJsonDecoder   *self,
                AfrpcJsonFrameKind  kind)
{
  afrpc_json_decoder_push_frame (self, kind);
  self->at++;
  self->state = AFRPC_JSON_FIRST;
  return TRUE;
}

void
afrpc_json_decoder_end_value (AfrpcJsonDecoder *self)
{
  for (; self->n_frames > 0; self->n_frames--)
    {
      AfrpcJsonFrame *frame = afrpc_json_decoder_get_frame (self);

      if (frame->kind == AFRPC_JSON_WRAPPED)
        {
          self->state = AFRPC_JSON_WRAPPING;
          return;
        }
      if (frame->kind != AFRPC_JSON_GUESSED)
        {
          self->state = AFRPC_JSON_NEXT;
          return;
        }
      afrpc_json_wrapping_write_type (self, frame->type);
    }

  self->state = AFRPC_JSON_END;
}

static AfrpcJsonSlice
take_word (AfrpcJsonDecoder *self)
{
  const char *start = self->at;

  self->at = afrpc_json_skip_word (start, self->end);
  return (AfrpcJsonSlice) { start, self->at - start };
}

/* Of sizes that the compiler knows. */
static void
put_scalar (AfrpcJsonDecoder      *self,
            const AfrpcJsonScalar *scalar,
            gsize                  size)
{
  switch (size)
    {
    case 8:
      afrpc_value_writer_put (&self->writer, scalar->bytes, 8);
      break;
    case 4:
      afrpc_value_writer_put (&self->writer, scalar->bytes, 4);
      break;
    case 2:
      afrpc_value_writer_put (&self->writer, scalar->bytes, 2);
      break;
    default:
      afrpc_value_writer_put (&self->writer, scalar->bytes, 1);
      break;
    }
}

/* A number, a literal, or a string that says one. */
static gboolean
read_scalar (AfrpcJsonDecoder   *self,
             const AfrpcLayout  *layout,
             GError            **error)
{
  char string[AFRPC_JSON_SCALAR_SIZE_MAX];
  AfrpcJsonSlice word = { string, 0 };
  AfrpcJsonScalar scalar;
  const gboolean is_string = *self->at == '"';
  const char *message;

  if (is_string)
    {
      self->at++;
      if (!afrpc_json_take_short (&self->at, string, sizeof string, &word.length))
        word.length = 0;
    }
  else if (*self->at != '[' && *self->at != '{')
    word = take_word (self);

  message = afrpc_json_read_scalar (word, is_string, layout->code, &scalar);
  if (message != NULL)
    return refuse_value (self, message, error);

  put_scalar (self, &scalar, layout->fixed_size);
  afrpc_json_decoder_end_value (self);
  return TRUE;
}

static gboolean
begin_string (AfrpcJsonDecoder  *self,
              char               code,
              GError           **error)
{
  if (*self->at != '"')
    return refuse_value (self, code == 'y' ? "expected bytes, a string of base64" : "expected a string", error);

  self->at++;
  afrpc_json_string_init (&self->string, &self->writer, code);
  self->state = AFRPC_JSON_STRING;
  return TRUE;
}

static gboolean
begin_maybe (AfrpcJsonDecoder  *self,
             GError           **error)
{
  if (*self->at == '[')
    return open_container (self, AFRPC_JSON_JUST);
  if (*self->at != 'n')
    return refuse_value (self, "expected null or an array of 1", error);

  take_word (self);
  afrpc_json_decoder_end_value (self);
  return TRUE;
}

static gboolean
begin_array (AfrpcJsonDecoder  *self,
             GError           **error)
{
  const AfrpcLayout *element = get_layout (self, self->type + 1);
  const gboolean has_names = element->code == '{' && afrpc_json_is_name_type (element[1].code);

  if (element->code == 'y')
    return begin_string (self, 'y', error);
  if (*self->at == '[')
    return open_container (self, AFRPC_JSON_LIST);
  if (!has_names)
    return refuse_value (self, "expected an array", error);
  if (*self->at == '{')
    return open_container (self, AFRPC_JSON_OBJECT);

  return refuse_value (self, "expected an object", error);
}

/* What is not as long as the tuple is. */
gboolean
afrpc_json_decoder_refuse_length (AfrpcJsonDecoder  *self,
                                  guint              n_frames,
                                  guint              tuple,
                                  GError           **error)
{
  const guint end = tuple + get_layout (self, tuple)->length - 1;
  g_autofree char *message = NULL;
  guint n = 0;

  for (guint member = tuple + 1; member < end; n++)
    member += get_layout (self, member)->length;
  message = g_strdup_printf ("expected an array of %u", n);

  return afrpc_json_decoder_refuse (self, n_frames, AFRPC_ERROR_INVALID_DATA, message, error);
}

gboolean
afrpc_json_decoder_begin_value (AfrpcJsonDecoder  *self,
                                GError           **error)
{
  const AfrpcLayout *layout = get_layout (self, self->type);

  if (self->depth >= AFRPC_JSON_DEPTH_MAX)
    return afrpc_json_decoder_refuse_depth (self, error);

  switch (layout->code)
    {
    case 'v':
      if ((self->flags & AFRPC_JSON_TYPED) == 0)
        return afrpc_json_guess_begin (self, error);
      afrpc_json_wrapping_begin (self);
      return TRUE;
    case 'm':
      return begin_maybe (self, error);
    case 'a':
      return begin_array (self, error);
    case '(':
    case '{':
      return *self->at == '[' ? open_container (self, AFRPC_JSON_TUPLE)
                              : afrpc_json_decoder_refuse_length (self, self->n_frames, self->type, error);
    case 's':
    case 'o':
    case 'g':
      return begin_string (self, layout->code, error);
    default:
      return read_scalar (self, layout, error);
    }
}

/* The machine */

static gboolean
go_on_string (AfrpcJsonDecoder  *self,
              const char        *limit,
              GError           **error)
{
  const char *message;
  const int step = afrpc_json_string_step (&self->string, &self->at, limit, &message);

  if (step < 0)
    return refuse_value (self, message, error);
  if (step == 0)
    return TRUE;

  if (self->state == AFRPC_JSON_KEY)
    self->state = AFRPC_JSON_COLON;
  else
    afrpc_json_decoder_end_value (self);
  return TRUE;
}

/* With a token at hand. */
static gboolean
go_on_token (AfrpcJsonDecoder  *self,
             GError           **error)
{
  switch (self->state)
    {
    case AFRPC_JSON_VALUE:
      return afrpc_json_decoder_begin_value (self, error);
    case AFRPC_JSON_FIRST:
    case AFRPC_JSON_NEXT:
      return afrpc_json_container_go_on (self, error);
    case AFRPC_JSON_NAME:
      return afrpc_json_container_begin_name (self);
    case AFRPC_JSON_COLON:
      return afrpc_json_container_begin_member (self, error);
    default:
      return afrpc_json_wrapping_step (self, error);
    }
}

/* Does a little more, with the text up to @limit, or not much beyond. */
static gboolean
go_on (AfrpcJsonDecoder  *self,
       const char        *limit,
       gssize            *budget,
       GError           **error)
{
  switch (self->state)
    {
    case AFRPC_JSON_STRING:
    case AFRPC_JSON_KEY:
      *budget -= self->string.is_whole ? AFRPC_JSON_STRING_PIECE * LETTER_COST : 0;
      return go_on_string (self, limit, error);

    case AFRPC_JSON_NAMES:
      return afrpc_json_container_look_at_names (self, budget, error);

    case AFRPC_JSON_CLOSE:
      *budget -= ENDS_MAX * END_COST;
      afrpc_json_container_go_on_closing (self, ENDS_MAX);
      return TRUE;

    case AFRPC_JSON_SKIP:
      return afrpc_json_wrapping_skip (self, limit, error);

    default:
      if (!afrpc_json_is_space (*self->at))
        return go_on_token (self, error);

      self->at = afrpc_json_skip_space (self->at, limit);
      return TRUE;
    }
}

/* Now that the text is known to be JSON. */
static gboolean
begin (AfrpcJsonDecoder  *self,
       GError           **error)
{
  self->at = self->text;
  self->end = self->text + self->size;
  self->n_frames = 0;
  self->type = self->depth = 0;
  self->skip_left = AFRPC_JSON_SKIP_MIN + AFRPC_JSON_SKIP_TIMES_MAX * self->size;
  afrpc_value_writer_init (&self->writer, self->size);
  if ((self->flags & AFRPC_JSON_TYPED) != 0)
    {
      afrpc_json_wrapping_begin (self);
      return TRUE;
    }

  self->state = AFRPC_JSON_VALUE;
  if (!afrpc_value_writer_push_type (&self->writer, self->expected, strlen (self->expected), &self->type))
    return afrpc_json_decoder_refuse (self, 0, AFRPC_ERROR_TOO_LARGE, "the type string is too long", error);
  afrpc_json_guess_init (self);
  return TRUE;
}

static int
run (AfrpcJsonDecoder  *self,
     gssize             budget,
     GVariant         **value,
     GError           **error)
{
  if (self->state == AFRPC_JSON_SCAN)
    {
      const int step = afrpc_json_scan_step (&self->scan, &budget, error);

      if (step <= 0)
        return step;
      if (!begin (self, error))
        return -1;
    }

  while (self->state != AFRPC_JSON_END)
    {
      const char *before = self->at;

      if (budget < 0)
        return 0;
      if (!go_on (self, before + MIN (self->end - before, AFRPC_JSON_STRING_PIECE), &budget, error))
        return -1;
      if (self->writer.has_failed)
        break;
      budget -= TOKEN_COST + TEXT_COST * MAX (self->at - before, 0);
    }

  while (self->state == AFRPC_JSON_END && afrpc_value_writer_release (&self->writer))
    {
      budget -= RELEASE_COST;
      if (budget < 0)
        return 0;
    }

  *value = afrpc_value_writer_end (&self->writer, 0);
  return *value != NULL || afrpc_json_decoder_refuse_memory (self, error) ? 1 : -1;
}

void
afrpc_json_decoder_init (AfrpcJsonDecoder   *self,
                         const char         *text,
                         gsize               length,
                         const GVariantType *expected)
{
  self->flags = expected != NULL ? AFRPC_JSON_PLAIN : AFRPC_JSON_TYPED;
  self->text = text;
  self->size = length;
  self->expected[0] = '\0';
  /* What is longer is refused later, and so is what is not there at all. */
  if (expected != NULL && g_variant_type_get_string_length (expected) < sizeof self->expected)
    g_strlcpy (self->expected, g_variant_type_peek_string (expected), g_variant_type_get_string_length (expected) + 1);
  self->state = AFRPC_JSON_SCAN;
  self->names.slots = NULL;
  self->writer = (AfrpcValueWriter) { NULL };
  afrpc_json_scan_init (&self->scan, text, length);
}

void
afrpc_json_decoder_clear (AfrpcJsonDecoder *self)
{
  afrpc_json_names_clear (&self->names);
  afrpc_value_writer_clear (&self->writer);
}

AfrpcJsonDecoder *
afrpc_json_decoder_new (const char         *text,
                        gsize               length,
                        const GVariantType *expected)
{
  AfrpcJsonDecoder *self = g_new (AfrpcJsonDecoder, 1);

  afrpc_json_decoder_init (self, text, length, expected);
  return self;
}

void
afrpc_json_decoder_free (AfrpcJsonDecoder *self)
{
  afrpc_json_decoder_clear (self);
  g_free (self);
}

int
afrpc_json_decoder_step (AfrpcJsonDecoder  *self,
                         gssize             budget,
                         GVariant         **value,
                         GError           **error)
{
  int step;

  if (self->size > AFRPC_JSON_SIZE_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "JSON: %" G_GSIZE_FORMAT " bytes are over the limit of %" G_GSIZE_FORMAT, self->size,
                   AFRPC_JSON_SIZE_MAX);
      return -1;
    }

  g_return_val_if_fail (self->state != AFRPC_JSON_OVER, -1);

  step = run (self, budget, value, error);
  if (step != 0)
    self->state = AFRPC_JSON_OVER;
  return step;
}

GVariant *
afrpc_json_decode (const char          *text,
                   gssize               length,
                   const GVariantType  *expected,
                   GError             **error)
{
  AfrpcJsonDecoder self;
  GVariant *value = NULL;

  g_return_val_if_fail (text != NULL, NULL);
  g_return_val_if_fail (expected == NULL || g_variant_type_is_definite (expected), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  afrpc_json_decoder_init (&self, text, length >= 0 ? (gsize) length : strlen (text), expected);
  afrpc_json_decoder_step (&self, G_MAXSSIZE / 2, &value, error);
  afrpc_json_decoder_clear (&self);

  return value;
}
