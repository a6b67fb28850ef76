/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "afrpc-error.h"
#include "afrpc-serialised.h"
#include "serialise/afrpc-serialiser-private.h"
#include "wire/afrpc-frame.h"
#include "wire/afrpc-value-writer.h"

/* "bytes": strings of octets, and of characters, and nothing else.
 *
 *   the type string, and a NUL: ay, s, aay, as, or a tuple of any number of ay and s
 *   for each string its length in bytes, and the bytes: no NUL ends them
 *
 * A length is a BER compressed integer: seven bits a byte, the high ones first, all bytes but the last with
 * their eighth bit set. So what follows the NUL is what Perl's pack "(w/a*)*" makes. */

/* Bytes of a length: what 64 bits need. */
#define LENGTH_SIZE_MAX 10u

struct _AfrpcBytesSerialiser
{
  GObject parent_instance;
};

static void afrpc_bytes_serialiser_serialiser_init (AfrpcSerialiserInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcBytesSerialiser, afrpc_bytes_serialiser, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_SERIALISER, afrpc_bytes_serialiser_serialiser_init))

static void
afrpc_bytes_serialiser_class_init (AfrpcBytesSerialiserClass *klass)
{
}

static void
afrpc_bytes_serialiser_init (AfrpcBytesSerialiser *self)
{
}

static char *
afrpc_bytes_serialiser_dup_name (AfrpcSerialiser *self)
{
  return g_strdup (AFRPC_SERIALISER_BYTES);
}

/* How many characters of @type are `s` or `ay`: 0 if it begins with something else. */
static guint
get_string_type (const char *type)
{
  if (type[0] == 's')
    return 1;
  return type[0] == 'a' && type[1] == 'y' ? 2 : 0;
}

static gboolean
is_supported (const char *type)
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

/* To bytes */

static void
add_string (GByteArray *out,
            GVariant   *string)
{
  guint8 digits[LENGTH_SIZE_MAX];
  guint8 *first = digits + sizeof digits;
  gsize length = g_variant_get_size (string);

  /* Without the NUL. */
  if (g_variant_is_of_type (string, G_VARIANT_TYPE_STRING))
    length--;

  *--first = length & 0x7f;
  for (gsize rest = length >> 7; rest > 0; rest >>= 7)
    *--first = (rest & 0x7f) | 0x80;
  g_byte_array_append (out, first, digits + sizeof digits - first);
  if (length > 0)
    g_byte_array_append (out, g_variant_get_data (string), length);
}

static GBytes *
afrpc_bytes_serialiser_serialise (AfrpcSerialiser  *self,
                                  GVariant         *value,
                                  GError          **error)
{
  const char *type = g_variant_get_type_string (value);
  const gsize type_size = strlen (type) + 1;
  const gsize size = g_variant_get_size (value);
  GByteArray *out;

  if (!is_supported (type))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER,
                   "a value of type %s cannot be sent as “bytes”: only strings, `ay`, arrays of one of them, and tuples",
                   type);
      return NULL;
    }
  /* A GByteArray counts in 32 bits. A length takes more than what GVariant has in its place only if that is
   * one byte. */
  if (size > G_MAXUINT / 4)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "%" G_GSIZE_FORMAT " bytes cannot be sent as “bytes”", size);
      return NULL;
    }

  out = g_byte_array_sized_new (type_size + size + LENGTH_SIZE_MAX);
  g_byte_array_append (out, (const guint8 *) type, type_size);
  if (get_string_type (type) > 0)
    add_string (out, value);
  else
    for (gsize i = 0, n = g_variant_n_children (value); i < n; i++)
      {
        g_autoptr(GVariant) child = g_variant_get_child_value (value, i);

        add_string (out, child);
      }

  return g_byte_array_free_to_bytes (out);
}

/* From bytes */

typedef struct
{
  const guint8 *at;
  const guint8 *end;
  AfrpcValueWriter writer;
} Reader;

static gboolean
refuse (const char  *message,
        GError     **error)
{
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "malformed “bytes”: %s", message);
  return FALSE;
}

static gboolean
read_length (Reader  *self,
             gsize   *length,
             GError **error)
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
      *length = number;
      return TRUE;
    }
  return refuse ("a length that goes beyond the end", error);
}

/* The next string, as a value of the type @type, `s` or `ay`. */
static gboolean
read_string (Reader  *self,
             guint    type,
             GError **error)
{
  const gboolean is_text = afrpc_value_writer_get_layout (&self->writer, type)->code == 's';
  guint8 *copy;
  gsize length;

  if (!read_length (self, &length, error))
    return FALSE;
  if (is_text && !g_utf8_validate_len ((const char *) self->at, length, NULL))
    return refuse ("a string with a NUL, or not in UTF-8", error);

  copy = afrpc_value_writer_add (&self->writer, length + is_text);
  if (copy == NULL)
    return refuse ("there is no memory for it", error);
  if (length > 0)
    memcpy (copy, self->at, length);
  if (is_text)
    copy[length] = '\0';
  self->at += length;

  return TRUE;
}

static gboolean
read_array (Reader  *self,
            guint    type,
            GError **error)
{
  const AfrpcValueContainer container = afrpc_value_writer_open (&self->writer);

  while (self->at < self->end)
    {
      if (!read_string (self, type + 1, error))
        return FALSE;
      afrpc_value_writer_note_end (&self->writer, &container);
    }
  afrpc_value_writer_close (&self->writer, &container, type);
  return TRUE;
}

static gboolean
read_tuple (Reader  *self,
            guint    type,
            GError **error)
{
  const AfrpcValueContainer container = afrpc_value_writer_open (&self->writer);
  const guint end = type + afrpc_value_writer_get_layout (&self->writer, type)->length - 1;

  for (guint member = type + 1; member < end;)
    {
      if (!read_string (self, member, error))
        return FALSE;
      member += afrpc_value_writer_get_layout (&self->writer, member)->length;
      if (member < end)
        afrpc_value_writer_note_end (&self->writer, &container);
    }
  afrpc_value_writer_close (&self->writer, &container, type);
  return TRUE;
}

static gboolean
read_value (Reader      *self,
            const char  *type,
            guint       *number,
            GError     **error)
{
  gboolean ok;

  if (!afrpc_value_writer_push_type (&self->writer, type, strlen (type), number))
    return refuse ("no type that could be sent so", error);
  if (*type == '(')
    ok = read_tuple (self, *number, error);
  else if (get_string_type (type) > 0)
    ok = read_string (self, *number, error);
  else
    ok = read_array (self, *number, error);

  return ok && (self->at == self->end || refuse ("something follows the value", error));
}

static GVariant *
afrpc_bytes_serialiser_deserialise (AfrpcSerialiser  *self,
                                    GBytes           *bytes,
                                    GError          **error)
{
  gsize size;
  const char *type = g_bytes_get_data (bytes, &size);
  const char *nul = size > 0 ? memchr (type, '\0', MIN (size, AFRPC_FRAME_TYPE_MAX + 1)) : NULL;
  GVariant *value = NULL;
  guint number;
  Reader reader;

  if (nul == NULL || !is_supported (type))
    {
      refuse ("no type that could be sent so", error);
      return NULL;
    }

  reader.at = (const guint8 *) nul + 1;
  reader.end = (const guint8 *) type + size;
  afrpc_value_writer_init (&reader.writer, size);
  if (read_value (&reader, type, &number, error))
    value = afrpc_value_writer_end (&reader.writer, number);
  afrpc_value_writer_clear (&reader.writer);

  return value;
}

static void
afrpc_bytes_serialiser_serialiser_init (AfrpcSerialiserInterface *iface)
{
  iface->dup_name = afrpc_bytes_serialiser_dup_name;
  iface->serialise = afrpc_bytes_serialiser_serialise;
  iface->deserialise = afrpc_bytes_serialiser_deserialise;
}
