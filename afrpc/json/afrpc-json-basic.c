/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-basic.h"

#include <math.h>
#include <string.h>

#include "afrpc-json-private.h"

static gboolean
fail (const AfrpcJsonPlace  *place,
      const char            *message,
      GError               **error)
{
  afrpc_json_place_set_error (place, AFRPC_ERROR_INVALID_DATA, message, error);
  return FALSE;
}

static GVariant *
refuse (const AfrpcJsonPlace  *place,
        const char            *message,
        GError               **error)
{
  afrpc_json_place_set_error (place, AFRPC_ERROR_INVALID_DATA, message, error);
  return NULL;
}

static gboolean
node_is (JsonNode *node,
         GType     type)
{
  return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type;
}

static gboolean
decode_boolean (JsonNode              *node,
                AfrpcJsonScalar       *scalar,
                const AfrpcJsonPlace  *place,
                GError               **error)
{
  if (!node_is (node, G_TYPE_BOOLEAN))
    return fail (place, "expected true or false", error);
  scalar->y = json_node_get_boolean (node) ? 1 : 0;
  return TRUE;
}

/* An integer of any form, whatever its type: a sign, and 64 bits of magnitude. */
static gboolean
read_integer (JsonNode *node,
              gboolean *is_negative,
              guint64  *magnitude)
{
  gint64 number;

  if (node_is (node, G_TYPE_STRING))
    {
      const char *digits = json_node_get_string (node);

      *is_negative = *digits == '-';
      if (*is_negative)
        digits++;
      return g_ascii_string_to_unsigned (digits, 10, 0, G_MAXUINT64, magnitude, NULL);
    }
  if (node_is (node, G_TYPE_DOUBLE))
    {
      double real = json_node_get_double (node);

      if (!(fabs (real) <= (double) AFRPC_JSON_EXACT_MAX) || real != trunc (real))
        return FALSE;
      number = (gint64) real;
    }
  else if (node_is (node, G_TYPE_INT64))
    number = json_node_get_int (node);
  else
    return FALSE;

  *is_negative = number < 0;
  *magnitude = number < 0 ? -(guint64) number : (guint64) number;
  return TRUE;
}

typedef struct
{
  char type;
  guint64 below_zero; /* largest magnitudes */
  guint64 above_zero;
  const char *expected;
} IntegerType;

static const IntegerType integer_types[] = {
  { 'y', 0, G_MAXUINT8, "expected an integer from 0 to 255" },
  { 'n', G_MAXINT16 + G_GUINT64_CONSTANT (1), G_MAXINT16, "expected an integer of 16 bits" },
  { 'q', 0, G_MAXUINT16, "expected an integer from 0 to 65535" },
  { 'i', G_MAXINT32 + G_GUINT64_CONSTANT (1), G_MAXINT32, "expected an integer of 32 bits" },
  { 'u', 0, G_MAXUINT32, "expected an integer from 0 to 4294967295" },
  { 'h', G_MAXINT32 + G_GUINT64_CONSTANT (1), G_MAXINT32, "expected a handle of 32 bits" },
  { 'x', G_MAXINT64 + G_GUINT64_CONSTANT (1), G_MAXINT64,
    "expected an integer of 64 bits, as a string if it is large" },
  { 't', 0, G_MAXUINT64,
    "expected an integer of 64 bits, not below 0, as a string if it is large" },
};

static gboolean
decode_integer (JsonNode              *node,
                char                   type,
                AfrpcJsonScalar       *scalar,
                const AfrpcJsonPlace  *place,
                GError               **error)
{
  const IntegerType *integer = integer_types;
  gboolean is_negative;
  guint64 magnitude;

  while (integer->type != type)
    integer++;
  if (!read_integer (node, &is_negative, &magnitude)
      || magnitude > (is_negative ? integer->below_zero : integer->above_zero))
    return fail (place, integer->expected, error);
  if (is_negative)
    magnitude = -magnitude;

  switch (type)
    {
    case 'y':
      scalar->y = magnitude;
      break;
    case 'n':
    case 'q':
      scalar->q = magnitude;
      break;
    case 'i':
    case 'u':
    case 'h':
      scalar->u = magnitude;
      break;
    default:
      scalar->t = magnitude;
    }
  return TRUE;
}

static gboolean
read_named_double (const char      *name,
                   AfrpcJsonScalar *scalar)
{
  gsize prefix_length = strlen (AFRPC_JSON_NAN_PREFIX);

  if (strcmp (name, "Infinity") == 0)
    scalar->d = INFINITY;
  else if (strcmp (name, "-Infinity") == 0)
    scalar->d = -INFINITY;
  else if (strcmp (name, "NaN") == 0)
    scalar->t = AFRPC_JSON_NAN_BITS;
  else if (strncmp (name, AFRPC_JSON_NAN_PREFIX, prefix_length) == 0
           && strlen (name) == prefix_length + 17 && name[prefix_length + 16] == ')')
    {
      g_autofree char *bits = g_strndup (name + prefix_length, 16);

      return g_ascii_string_to_unsigned (bits, 16, 0, G_MAXUINT64, &scalar->t, NULL)
             && isnan (scalar->d);
    }
  else
    return FALSE;
  return TRUE;
}

static gboolean
decode_double (JsonNode              *node,
               AfrpcJsonScalar       *scalar,
               const AfrpcJsonPlace  *place,
               GError               **error)
{
  if (node_is (node, G_TYPE_STRING) && read_named_double (json_node_get_string (node), scalar))
    return TRUE;
  if (node_is (node, G_TYPE_INT64))
    scalar->d = json_node_get_int (node);
  else if (node_is (node, G_TYPE_DOUBLE))
    scalar->d = json_node_get_double (node);
  else
    return fail (place, "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"", error);

  if (!isfinite (scalar->d))
    return fail (place, "the number is too large for a double", error);
  return TRUE;
}

static gboolean
decode_scalar (JsonNode              *node,
               char                   type,
               AfrpcJsonScalar       *scalar,
               const AfrpcJsonPlace  *place,
               GError               **error)
{
  switch (type)
    {
    case 'b':
      return decode_boolean (node, scalar, place, error);
    case 'd':
      return decode_double (node, scalar, place, error);
    default:
      return decode_integer (node, type, scalar, place, error);
    }
}

static GVariant *
take_memory (const GVariantType *type,
             gpointer            data,
             gsize               size)
{
  g_autoptr(GBytes) bytes = g_bytes_new_take (data, size);

  return g_variant_new_from_bytes (type, bytes, TRUE);
}

GVariant *
afrpc_json_decode_basic (JsonNode              *node,
                         const GVariantType    *type,
                         const AfrpcJsonPlace  *place,
                         GError               **error)
{
  gsize size = afrpc_json_scalar_size (type);
  AfrpcJsonScalar scalar;

  if (size > 0)
    {
      if (!decode_scalar (node, *g_variant_type_peek_string (type), &scalar, place, error))
        return NULL;
      return take_memory (type, g_memdup2 (scalar.bytes, size), size);
    }
  if (!node_is (node, G_TYPE_STRING))
    return refuse (place, "expected a string", error);
  return afrpc_json_decode_string (json_node_get_string (node), type, place, error);
}

GVariant *
afrpc_json_decode_string (const char            *string,
                          const GVariantType    *type,
                          const AfrpcJsonPlace  *place,
                          GError               **error)
{
  switch (*g_variant_type_peek_string (type))
    {
    case 'o':
      if (!g_variant_is_object_path (string))
        return refuse (place, "not an object path", error);
      return g_variant_new_object_path (string);
    case 'g':
      if (!g_variant_is_signature (string))
        return refuse (place, "not a signature", error);
      return g_variant_new_signature (string);
    default:
      return g_variant_new_string (string);
    }
}

/* g_base64_decode() skips what it does not know; here only what g_base64_encode() writes passes. */
static gboolean
base64_is_valid (const char *text,
                 gsize       length)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                               "0123456789+/";
  gsize n_digits = length;
  int spare_bits;

  if (length % 4 != 0)
    return FALSE;
  while (n_digits > 0 && length - n_digits < 2 && text[n_digits - 1] == '=')
    n_digits--;
  for (gsize i = 0; i < n_digits; i++)
    if (!g_ascii_isalnum (text[i]) && text[i] != '+' && text[i] != '/')
      return FALSE;
  if (n_digits == length)
    return TRUE;

  spare_bits = (length - n_digits) * 2;
  return ((strchr (digits, text[n_digits - 1]) - digits) & ((1 << spare_bits) - 1)) == 0;
}

GVariant *
afrpc_json_decode_bytes (JsonNode              *node,
                         const AfrpcJsonPlace  *place,
                         GError               **error)
{
  const char *base64;
  guchar *data;
  gsize size;

  if (!node_is (node, G_TYPE_STRING))
    return refuse (place, "expected bytes, a string of base64", error);
  base64 = json_node_get_string (node);
  if (!base64_is_valid (base64, strlen (base64)))
    return refuse (place, "not base64", error);

  data = g_base64_decode (base64, &size);
  return take_memory (G_VARIANT_TYPE_BYTESTRING, data, size);
}

GVariant *
afrpc_json_decode_fixed (JsonArray             *array,
                         const GVariantType    *type,
                         const AfrpcJsonPlace  *place,
                         GError               **error)
{
  const GVariantType *element = g_variant_type_element (type);
  char code = *g_variant_type_peek_string (element);
  gsize size = afrpc_json_scalar_size (element);
  guint length = json_array_get_length (array);
  g_autofree guint8 *data = g_malloc_n (length, size);

  for (guint i = 0; i < length; i++)
    {
      JsonNode *node = json_array_get_element (array, i);
      AfrpcJsonScalar scalar;

      if (!decode_scalar (node, code, &scalar, AFRPC_JSON_ELEMENT (place, i), error))
        return NULL;
      memcpy (data + i * size, scalar.bytes, size);
    }
  return take_memory (type, g_steal_pointer (&data), length * size);
}
