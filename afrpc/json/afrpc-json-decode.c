/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json.h"

#include <string.h>

#include "afrpc-json-basic.h"
#include "afrpc-json-private.h"
#include "afrpc-json-reader.h"
#include "afrpc-json-scan.h"
#include "wire/afrpc-value-writer.h"

/* From text to the bytes of a GVariant, in one walk over the text after it was found to be JSON.
 * json-glib's parser (1.6.6) is not used: it takes 25 times the size of the text in memory, and 200
 * times where values are short, recurses without a limit, has hash tables that a peer can make slow,
 * and reads far more than JSON, some of it as something else. */

/* Where "data" comes before "type" it is passed over first. So much text, and this many times the whole
 * besides: without a limit, documents that do so at each level would take longer by their depth. */
#define SKIP_MIN (1u << 20) /* bytes */
#define SKIP_TIMES_MAX 16u

typedef struct
{
  AfrpcJsonReader reader;
  AfrpcValueWriter writer;
  AfrpcJsonFlags flags;
  gsize skip_left;      /* bytes */
} Decoder;

static gboolean decode_value (Decoder               *self,
                              guint                  type,
                              guint                  depth,
                              const AfrpcJsonPlace  *place,
                              GError               **error);

static gboolean
refuse (const AfrpcJsonPlace  *place,
        AfrpcError             code,
        const char            *message,
        GError               **error)
{
  afrpc_json_place_set_error (place, code, message, error);
  return FALSE;
}

static gboolean
refuse_data (const AfrpcJsonPlace  *place,
             const char            *message,
             GError               **error)
{
  return refuse (place, AFRPC_ERROR_INVALID_DATA, message, error);
}

static inline const AfrpcLayout *
get_layout (Decoder *self,
            guint    type)
{
  return afrpc_value_writer_get_layout (&self->writer, type);
}

/* A value that something encloses. */
static gboolean
decode_child (Decoder                    *self,
              const AfrpcValueContainer  *container,
              guint                       type,
              gboolean                    is_last,
              guint                       depth,
              const AfrpcJsonPlace       *place,
              GError                    **error)
{
  afrpc_value_writer_align (&self->writer, type);
  if (!decode_value (self, type, depth, place, error))
    return FALSE;
  if (!is_last && get_layout (self, type)->fixed_size == 0)
    afrpc_value_writer_note_end (&self->writer, container);
  return TRUE;
}

static gboolean
decode_maybe (Decoder               *self,
              guint                  type,
              guint                  depth,
              const AfrpcJsonPlace  *place,
              GError               **error)
{
  static const char message[] = "expected null or an array of 1";
  AfrpcJsonReader *reader = &self->reader;

  if (afrpc_json_reader_peek (reader) == 'n')
    {
      afrpc_json_reader_take_word (reader);
      return TRUE;
    }
  if (!afrpc_json_reader_accept (reader, '[') || afrpc_json_reader_peek (reader) == ']')
    return refuse_data (place, message, error);
  if (!decode_value (self, type + 1, depth + 1, AFRPC_JSON_ELEMENT (place, 0), error))
    return FALSE;
  if (!afrpc_json_reader_accept (reader, ']'))
    return refuse_data (place, message, error);
  if (get_layout (self, type + 1)->fixed_size == 0)
    *afrpc_value_writer_add (&self->writer, 1) = '\0';
  return TRUE;
}

static gboolean
decode_list (Decoder               *self,
             guint                  type,
             guint                  depth,
             const AfrpcJsonPlace  *place,
             GError               **error)
{
  const AfrpcValueContainer container = afrpc_value_writer_open (&self->writer);
  AfrpcJsonReader *reader = &self->reader;

  afrpc_json_reader_accept (reader, '[');
  for (gsize i = 0; !afrpc_json_reader_accept (reader, ']'); i++)
    {
      if (!decode_child (self, &container, type + 1, FALSE, depth + 1, AFRPC_JSON_ELEMENT (place, i), error))
        return FALSE;
      afrpc_json_reader_accept (reader, ',');
    }
  afrpc_value_writer_close (&self->writer, &container, type);
  return TRUE;
}

/* FALSE with an error if a key, which begins at one of the places @keys in what was written, is there
 * twice. */
static gboolean
check_names (Decoder               *self,
             GArray                *keys,
             const AfrpcJsonPlace  *place,
             GError               **error)
{
  g_autoptr(GPtrArray) names = g_ptr_array_sized_new (keys->len);
  g_autoptr(GString) pointer = NULL;
  const char *duplicate;

  for (guint i = 0; i < keys->len; i++)
    g_ptr_array_add (names, self->writer.data + g_array_index (keys, gsize, i));
  duplicate = afrpc_json_find_duplicate (names);
  if (duplicate == NULL)
    return TRUE;

  pointer = afrpc_json_place_get_pointer (place);
  afrpc_json_pointer_add_name (pointer, duplicate, strlen (duplicate));
  afrpc_json_pointer_set_error (pointer->str, AFRPC_ERROR_INVALID_DATA, "the name occurs twice", error);
  return FALSE;
}

/* A member as an entry of the dictionary whose type that is. */
static gboolean
decode_member (Decoder               *self,
               guint                  dictionary,
               guint                  depth,
               const AfrpcJsonPlace  *place,
               GError               **error)
{
  const guint entry = dictionary + 1;
  const guint key = entry + 1;
  const guint value = key + 1;
  const AfrpcValueContainer container = afrpc_value_writer_open (&self->writer);
  AfrpcJsonReader again = self->reader;
  const AfrpcJsonSlice name = afrpc_json_reader_take_raw (&again);
  const AfrpcJsonPlace *member = AFRPC_JSON_MEMBER (place, name);

  if (!afrpc_json_decode_string (&self->reader, &self->writer, get_layout (self, key)->code, member, error))
    return FALSE;
  afrpc_value_writer_note_end (&self->writer, &container);
  afrpc_json_reader_accept (&self->reader, ':');
  if (!decode_child (self, &container, value, TRUE, depth + 1, member, error))
    return FALSE;
  afrpc_value_writer_close (&self->writer, &container, entry);
  return TRUE;
}

static gboolean
decode_members (Decoder               *self,
                guint                  type,
                guint                  depth,
                const AfrpcJsonPlace  *place,
                GError               **error)
{
  const AfrpcValueContainer container = afrpc_value_writer_open (&self->writer);
  g_autoptr(GArray) keys = g_array_new (FALSE, FALSE, sizeof (gsize));

  afrpc_json_reader_accept (&self->reader, '{');
  while (!afrpc_json_reader_accept (&self->reader, '}'))
    {
      afrpc_value_writer_align (&self->writer, type + 1);
      g_array_append_val (keys, self->writer.size);
      if (!decode_member (self, type, depth + 1, place, error))
        return FALSE;
      afrpc_value_writer_note_end (&self->writer, &container);
      afrpc_json_reader_accept (&self->reader, ',');
    }
  if (!check_names (self, keys, place, error))
    return FALSE;
  afrpc_value_writer_close (&self->writer, &container, type);
  return TRUE;
}

static gboolean
has_names (Decoder *self,
           guint    type)
{
  return get_layout (self, type + 1)->code == '{' && afrpc_json_is_name_type (get_layout (self, type + 2)->code);
}

static gboolean
decode_array (Decoder               *self,
              guint                  type,
              guint                  depth,
              const AfrpcJsonPlace  *place,
              GError               **error)
{
  const char c = afrpc_json_reader_peek (&self->reader);

  if (get_layout (self, type + 1)->code == 'y')
    return afrpc_json_decode_bytes (&self->reader, &self->writer, place, error);
  if (c == '[')
    return decode_list (self, type, depth, place, error);
  if (!has_names (self, type))
    return refuse_data (place, "expected an array", error);
  if (c == '{')
    return decode_members (self, type, depth, place, error);
  return refuse_data (place, "expected an object", error);
}

static gboolean
refuse_length (gsize                  n,
               const AfrpcJsonPlace  *place,
               GError               **error)
{
  g_autofree char *message = g_strdup_printf ("expected an array of %" G_GSIZE_FORMAT, n);

  return refuse_data (place, message, error);
}

/* A tuple or a dictionary entry. */
static gboolean
decode_tuple (Decoder               *self,
              guint                  type,
              guint                  depth,
              const AfrpcJsonPlace  *place,
              GError               **error)
{
  const AfrpcValueContainer container = afrpc_value_writer_open (&self->writer);
  const guint end = type + get_layout (self, type)->length - 1;
  AfrpcJsonReader *reader = &self->reader;
  gboolean fits = afrpc_json_reader_accept (reader, '[');
  guint member = type + 1;
  gsize n = 0;

  for (; fits && member < end; n++)
    {
      const guint next = member + get_layout (self, member)->length;

      if (afrpc_json_reader_peek (reader) == ']')
        break;
      if (!decode_child (self, &container, member, next == end, depth + 1, AFRPC_JSON_ELEMENT (place, n), error))
        return FALSE;
      afrpc_json_reader_accept (reader, ',');
      member = next;
    }
  if (!fits || member < end || !afrpc_json_reader_accept (reader, ']'))
    {
      for (; member < end; n++)
        member += get_layout (self, member)->length;
      return refuse_length (n, place, error);
    }
  afrpc_value_writer_close (&self->writer, &container, type);
  return TRUE;
}

/* {"type":…,"data":…}, in any order, taken apart. */
typedef struct
{
  const char *type; /* where in the text those are */
  const char *data;
  const char *end;  /* (nullable): what follows, if that is known */
} Wrapping;

static gboolean
refuse_wrapping (const AfrpcJsonPlace  *place,
                 GError               **error)
{
  return refuse_data (place, "expected an object with the members \"type\" and \"data\"", error);
}

/* FALSE if that is no member of that name, which has been taken then. */
static gboolean
take_name (Decoder    *self,
           const char *name)
{
  AfrpcJsonSlice string;

  if (afrpc_json_reader_peek (&self->reader) != '"')
    return FALSE;
  string = afrpc_json_reader_take_string (&self->reader);
  afrpc_json_reader_accept (&self->reader, ':');
  return afrpc_json_slice_is (string, name, strlen (name));
}

static gboolean
skip_data (Decoder               *self,
           const AfrpcJsonPlace  *place,
           GError               **error)
{
  const char *start = self->reader.at;
  gsize size;

  afrpc_json_reader_skip (&self->reader);
  size = self->reader.at - start;
  if (size > self->skip_left)
    return refuse (place, AFRPC_ERROR_TOO_LARGE, "too much \"data\" before its \"type\"", error);
  self->skip_left -= size;
  return TRUE;
}

static gboolean
find_members (Decoder               *self,
              Wrapping              *wrapping,
              const AfrpcJsonPlace  *place,
              GError               **error)
{
  AfrpcJsonReader *reader = &self->reader;
  const char *first;
  gboolean type_first;

  wrapping->end = NULL;
  if (!afrpc_json_reader_accept (reader, '{'))
    return refuse_wrapping (place, error);
  first = reader->at;
  type_first = take_name (self, "type");
  if (type_first)
    {
      wrapping->type = reader->at;
      afrpc_json_reader_skip (reader);
      if (!afrpc_json_reader_accept (reader, ',') || !take_name (self, "data"))
        return refuse_wrapping (place, error);
      wrapping->data = reader->at;
      return TRUE;
    }

  reader->at = first;
  if (!take_name (self, "data"))
    return refuse_wrapping (place, error);
  wrapping->data = reader->at;
  if (!skip_data (self, place, error))
    return FALSE;
  if (!afrpc_json_reader_accept (reader, ',') || !take_name (self, "type"))
    return refuse_wrapping (place, error);
  wrapping->type = reader->at;
  afrpc_json_reader_skip (reader);
  wrapping->end = reader->at;
  return TRUE;
}

/* Adds the type that is at hand to the table. */
static gboolean
take_type (Decoder               *self,
           guint                 *type,
           guint                 *depth,
           const AfrpcJsonPlace  *place,
           GError               **error)
{
  AfrpcJsonSlice slice = { "", 0 };

  if (afrpc_json_reader_peek (&self->reader) == '"')
    slice = afrpc_json_reader_take_string (&self->reader);
  if (slice.length > AFRPC_JSON_TYPE_SIZE_MAX)
    return refuse (place, AFRPC_ERROR_TOO_LARGE, "the type string is too long", error);

  if (!afrpc_value_writer_push_type (&self->writer, slice.start, slice.length, type))
    return refuse_data (place, "not the type string of a value", error);

  *depth = get_layout (self, *type)->levels;
  return TRUE;
}

/* Whether the object ends where it should. */
static gboolean
end_wrapping (Decoder               *self,
              const Wrapping        *wrapping,
              const AfrpcJsonPlace  *place,
              GError               **error)
{
  if (wrapping->end != NULL)
    self->reader.at = wrapping->end;

  return afrpc_json_reader_accept (&self->reader, '}') || refuse_wrapping (place, error);
}

/* Typed JSON: opens it; the type is the last of the table then, and the data at hand. */
static gboolean
unwrap (Decoder               *self,
        Wrapping              *wrapping,
        guint                 *type,
        guint                 *depth,
        const AfrpcJsonPlace  *place,
        GError               **error)
{
  if (!find_members (self, wrapping, place, error))
    return FALSE;
  /* Before anything is said of what is in it. */
  if (wrapping->end != NULL && afrpc_json_reader_peek (&self->reader) != '}')
    return refuse_wrapping (place, error);
  self->reader.at = wrapping->type;
  if (!take_type (self, type, depth, AFRPC_JSON_NAMED (place, "type"), error))
    return FALSE;
  self->reader.at = wrapping->data;
  return TRUE;
}

/* What plain JSON in a `v` is taken for. */
static guint
guess_type (Decoder *self,
            guint   *depth)
{
  guint index;

  char number[2] = "";
  const char *type = number;

  switch (afrpc_json_reader_peek (&self->reader))
    {
    case 'n':
      type = "mv";
      break;
    case '{':
      type = "a{sv}";
      break;
    case '[':
      type = "av";
      break;
    case 't':
    case 'f':
      type = "b";
      break;
    case '"':
      type = "s";
      break;
    default:
      number[0] = afrpc_json_guess_number (self->reader);
    }
  afrpc_value_writer_push_type (&self->writer, type, strlen (type), &index);
  *depth = get_layout (self, index)->levels;
  return index;
}

/* Behind the value in a `v`. */
static void
write_type (Decoder *self,
            guint    type)
{
  const guint length = get_layout (self, type)->length;
  guint8 *at = afrpc_value_writer_add (&self->writer, length + 1);

  *at++ = '\0';
  for (guint i = 0; i < length; i++)
    at[i] = get_layout (self, type + i)->code;
}

static gboolean
decode_variant (Decoder               *self,
                guint                  depth,
                const AfrpcJsonPlace  *place,
                GError               **error)
{
  const gboolean is_typed = (self->flags & AFRPC_JSON_TYPED) != 0;
  const AfrpcJsonPlace *inside = is_typed ? AFRPC_JSON_NAMED (place, "data") : place;
  Wrapping wrapping;
  guint type, type_depth;

  if (!is_typed)
    type = guess_type (self, &type_depth);
  else if (!unwrap (self, &wrapping, &type, &type_depth, place, error))
    return FALSE;

  if (depth + type_depth >= AFRPC_JSON_DEPTH_MAX)
    return refuse (place, AFRPC_ERROR_TOO_LARGE, "too many values in each other", error);
  if (!decode_value (self, type, depth + 1, inside, error))
    return FALSE;
  write_type (self, type);
  afrpc_value_writer_pop_type (&self->writer, type);
  return !is_typed || end_wrapping (self, &wrapping, place, error);
}

static gboolean
decode_value (Decoder               *self,
              guint                  type,
              guint                  depth,
              const AfrpcJsonPlace  *place,
              GError               **error)
{
  const char code = get_layout (self, type)->code;

  switch (code)
    {
    case 'v':
      return decode_variant (self, depth, place, error);
    case 'm':
      return decode_maybe (self, type, depth, place, error);
    case 'a':
      return decode_array (self, type, depth, place, error);
    case '(':
    case '{':
      return decode_tuple (self, type, depth, place, error);
    default:
      return afrpc_json_decode_basic (&self->reader, &self->writer, code, place, error);
    }
}

static GVariant *
decode (Decoder             *self,
        const GVariantType  *expected,
        GError             **error)
{
  static const AfrpcJsonPlace top = { NULL };
  Wrapping wrapping;
  guint type, depth;

  if (expected != NULL)
    {
      if (!afrpc_value_writer_push_type (&self->writer, g_variant_type_peek_string (expected),
                                         g_variant_type_get_string_length (expected), &type))
        {
          refuse (&top, AFRPC_ERROR_TOO_LARGE, "the type string is too long", error);
          return NULL;
        }
      return decode_value (self, type, 0, &top, error) ? afrpc_value_writer_end (&self->writer, type) : NULL;
    }

  if (!unwrap (self, &wrapping, &type, &depth, &top, error)
      || !decode_value (self, type, 0, AFRPC_JSON_NAMED (&top, "data"), error)
      || !end_wrapping (self, &wrapping, &top, error))
    return NULL;
  return afrpc_value_writer_end (&self->writer, type);
}

GVariant *
afrpc_json_decode (const char          *text,
                   gssize               length,
                   const GVariantType  *expected,
                   GError             **error)
{
  Decoder self;
  gsize size;
  GVariant *value;

  g_return_val_if_fail (text != NULL, NULL);
  g_return_val_if_fail (expected == NULL || g_variant_type_is_definite (expected), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  size = length >= 0 ? (gsize) length : strlen (text);
  if (size > AFRPC_JSON_SIZE_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "JSON: %" G_GSIZE_FORMAT " bytes are over the limit of %" G_GSIZE_FORMAT, size, AFRPC_JSON_SIZE_MAX);
      return NULL;
    }
  if (!afrpc_json_scan (text, size, error))
    return NULL;

  self.flags = expected != NULL ? AFRPC_JSON_PLAIN : AFRPC_JSON_TYPED;
  self.skip_left = SKIP_MIN + SKIP_TIMES_MAX * size;
  afrpc_json_reader_init (&self.reader, text, size);
  afrpc_value_writer_init (&self.writer, size);
  value = decode (&self, expected, error);
  afrpc_value_writer_clear (&self.writer);
  afrpc_json_reader_clear (&self.reader);
  return value;
}
