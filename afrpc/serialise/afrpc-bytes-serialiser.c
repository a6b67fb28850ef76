/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "afrpc-error.h"
#include "afrpc-serialiser-values.h"
#include "serialise/afrpc-bytes-reader.h"
#include "serialise/afrpc-serialiser-private.h"
#include "serialise/afrpc-unpacking.h"

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

  if (!afrpc_bytes_is_supported (type))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER,
                   "a value of type %s cannot be sent as 'bytes': only strings, `ay`, arrays of one of them, and tuples",
                   type);
      return NULL;
    }
  /* A GByteArray counts in 32 bits. A length takes more than what GVariant has in its place only if that is
   * one byte. */
  if (size > G_MAXUINT / 4)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "%" G_GSIZE_FORMAT " bytes cannot be sent as 'bytes'", size);
      return NULL;
    }

  out = g_byte_array_sized_new (type_size + size + LENGTH_SIZE_MAX);
  g_byte_array_append (out, (const guint8 *) type, type_size);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) || g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
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

static GVariant *
afrpc_bytes_serialiser_deserialise (AfrpcSerialiser  *self,
                                    GBytes           *bytes,
                                    GError          **error)
{
  g_auto(AfrpcBytesReader) reader;
  GVariant *value = NULL;
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  afrpc_bytes_reader_init (&reader, data, size);
  afrpc_bytes_reader_step (&reader, G_MAXSSIZE / 2, &value, error);

  return value;
}

static gpointer
afrpc_bytes_serialiser_begin (AfrpcSerialiser *self,
                              const guint8    *data,
                              gsize            size)
{
  AfrpcBytesReader *reader = g_new (AfrpcBytesReader, 1);

  afrpc_bytes_reader_init (reader, data, size);

  return reader;
}

static int
afrpc_bytes_serialiser_step (gpointer    reading,
                             gssize      budget,
                             GVariant  **value,
                             GError    **error)
{
  return afrpc_bytes_reader_step (reading, budget, value, error);
}

static void
afrpc_bytes_serialiser_end (gpointer reading)
{
  afrpc_bytes_reader_clear (reading);
  g_free (reading);
}

static const AfrpcSerialiserSlices slices = {
  afrpc_bytes_serialiser_begin,
  afrpc_bytes_serialiser_step,
  afrpc_bytes_serialiser_end,
};

static void
afrpc_bytes_serialiser_serialiser_init (AfrpcSerialiserInterface *iface)
{
  iface->dup_name = afrpc_bytes_serialiser_dup_name;
  iface->serialise = afrpc_bytes_serialiser_serialise;
  iface->deserialise = afrpc_bytes_serialiser_deserialise;
  iface->slices = &slices;
}
