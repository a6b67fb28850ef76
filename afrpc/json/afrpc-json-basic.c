/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-basic.h"

#include <math.h>
#include <string.h>

#include "afrpc-json-private.h"
#include "wire/afrpc-layout.h"

static gboolean
fail (const AfrpcJsonPlace  *place,
      const char            *message,
      GError               **error)
{
  afrpc_json_place_set_error (place, AFRPC_ERROR_INVALID_DATA, message, error);
  return FALSE;
}

/* What a number, a string, or a literal says; nothing of an array or an object. */
static AfrpcJsonSlice
take_scalar (AfrpcJsonReader *reader,
             gboolean        *is_string)
{
  const char c = afrpc_json_reader_peek (reader);

  *is_string = c == '"';
  if (c == '[' || c == '{')
    return (AfrpcJsonSlice) { "", 0 };
  return *is_string ? afrpc_json_reader_take_string (reader) : afrpc_json_reader_take_word (reader);
}

static gboolean
is_number (AfrpcJsonSlice word)
{
  return word.length > 0 && (word.start[0] == '-' || g_ascii_isdigit (word.start[0]));
}

static gboolean
decode_boolean (AfrpcJsonReader       *reader,
                AfrpcJsonScalar       *scalar,
                const AfrpcJsonPlace  *place,
                GError               **error)
{
  gboolean is_string;
  AfrpcJsonSlice word = take_scalar (reader, &is_string);

  if (is_string || (!AFRPC_JSON_SLICE_IS (word, "true") && !AFRPC_JSON_SLICE_IS (word, "false")))
    return fail (place, "expected true or false", error);
  scalar->y = word.start[0] == 't' ? 1 : 0;
  return TRUE;
}

/* FALSE if that is too much for a double. */
static gboolean
read_double (AfrpcJsonSlice  word,
             double         *number)
{
  char buffer[64];
  g_autofree char *longer = NULL;
  char *string = buffer;

  if (word.length >= sizeof buffer)
    string = longer = g_malloc (word.length + 1);
  memcpy (string, word.start, word.length);
  string[word.length] = '\0';
  *number = g_ascii_strtod (string, NULL);
  return isfinite (*number);
}

/* FALSE if it is no number of 64 bits without a sign. */
static gboolean
read_digits (AfrpcJsonSlice  digits,
             guint64        *number)
{
  *number = 0;
  for (gsize i = 0; i < digits.length; i++)
    if (!g_ascii_isdigit (digits.start[i])
        || __builtin_mul_overflow (*number, 10, number)
        || __builtin_add_overflow (*number, (guint64) (digits.start[i] - '0'), number))
      return FALSE;
  return digits.length > 0;
}

/* An integer of any form, whatever its type: a sign, and 64 bits of magnitude. */
static gboolean
read_integer (AfrpcJsonSlice  word,
              gboolean        is_string,
              gboolean       *is_negative,
              guint64        *magnitude)
{
  AfrpcJsonSlice digits = word;
  double number;

  *is_negative = word.length > 0 && word.start[0] == '-';
  if (*is_negative)
    digits = (AfrpcJsonSlice) { word.start + 1, word.length - 1 };
  if (read_digits (digits, magnitude))
    return TRUE;

  if (is_string || !is_number (word) || !read_double (word, &number)
      || fabs (number) > (double) AFRPC_JSON_EXACT_MAX || number != trunc (number))
    return FALSE;
  *magnitude = (guint64) fabs (number);
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
decode_integer (AfrpcJsonReader       *reader,
                char                   type,
                AfrpcJsonScalar       *scalar,
                const AfrpcJsonPlace  *place,
                GError               **error)
{
  const IntegerType *integer = integer_types;
  gboolean is_string, is_negative;
  guint64 magnitude;
  AfrpcJsonSlice word = take_scalar (reader, &is_string);

  while (integer->type != type)
    integer++;
  if (!read_integer (word, is_string, &is_negative, &magnitude)
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
read_named_double (AfrpcJsonSlice   name,
                   AfrpcJsonScalar *scalar)
{
  const gsize prefix_length = strlen (AFRPC_JSON_NAN_PREFIX);

  if (AFRPC_JSON_SLICE_IS (name, "Infinity"))
    scalar->d = INFINITY;
  else if (AFRPC_JSON_SLICE_IS (name, "-Infinity"))
    scalar->d = -INFINITY;
  else if (AFRPC_JSON_SLICE_IS (name, "NaN"))
    scalar->t = AFRPC_JSON_NAN_BITS;
  else if (name.length == prefix_length + 17 && name.start[prefix_length + 16] == ')'
           && memcmp (name.start, AFRPC_JSON_NAN_PREFIX, prefix_length) == 0)
    {
      g_autofree char *bits = g_strndup (name.start + prefix_length, 16);

      return g_ascii_string_to_unsigned (bits, 16, 0, G_MAXUINT64, &scalar->t, NULL)
             && isnan (scalar->d);
    }
  else
    return FALSE;
  return TRUE;
}

static gboolean
decode_double (AfrpcJsonReader       *reader,
               AfrpcJsonScalar       *scalar,
               const AfrpcJsonPlace  *place,
               GError               **error)
{
  gboolean is_string;
  AfrpcJsonSlice word = take_scalar (reader, &is_string);

  if (is_string && read_named_double (word, scalar))
    return TRUE;
  if (is_string || !is_number (word))
    return fail (place, "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"", error);
  if (!read_double (word, &scalar->d))
    return fail (place, "the number is too large for a double", error);
  return TRUE;
}

static gboolean
decode_scalar (AfrpcJsonReader       *reader,
               char                   type,
               AfrpcJsonScalar       *scalar,
               const AfrpcJsonPlace  *place,
               GError               **error)
{
  switch (type)
    {
    case 'b':
      return decode_boolean (reader, scalar, place, error);
    case 'd':
      return decode_double (reader, scalar, place, error);
    default:
      return decode_integer (reader, type, scalar, place, error);
    }
}

gboolean
afrpc_json_decode_basic (AfrpcJsonReader       *reader,
                         AfrpcValueWriter      *writer,
                         char                   type,
                         const AfrpcJsonPlace  *place,
                         GError               **error)
{
  const gsize size = afrpc_layout_number_size (type);
  AfrpcJsonScalar scalar;

  if (size > 0)
    {
      if (!decode_scalar (reader, type, &scalar, place, error))
        return FALSE;
      memcpy (afrpc_value_writer_add (writer, size), scalar.bytes, size);
      return TRUE;
    }
  if (afrpc_json_reader_peek (reader) != '"')
    return fail (place, "expected a string", error);
  return afrpc_json_decode_string (reader, writer, type, place, error);
}

gboolean
afrpc_json_decode_string (AfrpcJsonReader       *reader,
                          AfrpcValueWriter      *writer,
                          char                   type,
                          const AfrpcJsonPlace  *place,
                          GError               **error)
{
  const AfrpcJsonSlice string = afrpc_json_reader_take_string (reader);
  char *copy = (char *) afrpc_value_writer_add (writer, string.length + 1);

  memcpy (copy, string.start, string.length);
  copy[string.length] = '\0';
  if (type == 'o' && !g_variant_is_object_path (copy))
    return fail (place, "not an object path", error);
  if (type == 'g' && !g_variant_is_signature (copy))
    return fail (place, "not a signature", error);
  return TRUE;
}

/* g_base64_decode_step() skips what it does not know; here only what g_base64_encode() writes passes. */
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

gboolean
afrpc_json_decode_bytes (AfrpcJsonReader       *reader,
                         AfrpcValueWriter      *writer,
                         const AfrpcJsonPlace  *place,
                         GError               **error)
{
  AfrpcJsonSlice base64;
  gsize room, size;
  int state = 0;
  guint save = 0;

  if (afrpc_json_reader_peek (reader) != '"')
    return fail (place, "expected bytes, a string of base64", error);
  base64 = afrpc_json_reader_take_string (reader);
  if (!base64_is_valid (base64.start, base64.length))
    return fail (place, "not base64", error);

  room = base64.length / 4 * 3 + 3; /* as g_base64_decode_step() wants it */
  size = g_base64_decode_step (base64.start, base64.length, afrpc_value_writer_add (writer, room), &state, &save);
  afrpc_value_writer_shorten (writer, room - size);
  return TRUE;
}

char
afrpc_json_guess_number (AfrpcJsonReader reader)
{
  const AfrpcJsonSlice word = afrpc_json_reader_take_word (&reader);
  const gboolean is_negative = word.start[0] == '-';
  guint64 magnitude;

  if (!read_digits ((AfrpcJsonSlice) { word.start + is_negative, word.length - is_negative }, &magnitude)
      || (is_negative && magnitude == 0))
    return 'd';
  return magnitude <= G_MAXINT64 + (is_negative ? G_GUINT64_CONSTANT (1) : 0) ? 'x' : 'd';
}
