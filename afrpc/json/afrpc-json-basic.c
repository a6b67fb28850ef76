/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-basic.h"

#include <math.h>

static gboolean
is_number (AfrpcJsonSlice word)
{
  return word.length > 0 && (word.start[0] == '-' || g_ascii_isdigit (word.start[0]));
}

static const char *
read_boolean (AfrpcJsonSlice   word,
              gboolean         is_string,
              AfrpcJsonScalar *scalar)
{
  if (is_string || (!AFRPC_JSON_SLICE_IS (word, "true") && !AFRPC_JSON_SLICE_IS (word, "false")))
    return "expected true or false";
  scalar->y = word.start[0] == 't' ? 1 : 0;
  return NULL;
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
  gsize i = 0;

  *number = 0;
  /* So many are never too many. */
  for (; i < digits.length && i < 18 && g_ascii_isdigit (digits.start[i]); i++)
    *number = 10 * *number + (digits.start[i] - '0');
  for (; i < digits.length; i++)
    if (!g_ascii_isdigit (digits.start[i])
        || __builtin_mul_overflow (*number, 10, number)
        || __builtin_add_overflow (*number, (guint64) (digits.start[i] - '0'), number))
      return FALSE;
  return digits.length > 0;
}

/* The exponent behind a number, or 0; more than any number of digits makes up for is as good as that. FALSE: it is
 * none. */
static gboolean
read_exponent (const char *start,
               const char *end,
               gint64     *exponent)
{
  const gint64 exponent_max = G_GINT64_CONSTANT (1) << 60;
  gboolean is_negative;

  *exponent = 0;
  if (start == end)
    return TRUE;
  if (*start != 'e' && *start != 'E')
    return FALSE;
  start++;
  is_negative = start < end && *start == '-';
  if (start < end && (*start == '-' || *start == '+'))
    start++;
  if (start == end)
    return FALSE;
  for (; start < end; start++)
    {
      if (!g_ascii_isdigit (*start))
        return FALSE;
      if (*exponent < exponent_max / 10)
        *exponent = *exponent * 10 + (*start - '0');
    }
  if (is_negative)
    *exponent = -*exponent;
  return TRUE;
}

/* A number with a point or an exponent that says nothing but an integer, to the last digit; a double would not know.
 * FALSE if it says something else, or more than 64 bits. */
static gboolean
read_decimal (AfrpcJsonSlice  word,
              guint64        *number)
{
  const char *end = word.start + word.length, *c = word.start;
  gint64 n_zeros = 0; /* behind the last digit that counts */
  gint64 n_places = 0; /* behind the point */
  gint64 exponent;
  gboolean is_behind = FALSE;

  *number = 0;
  if (c == end || !g_ascii_isdigit (*c))
    return FALSE;
  for (; c < end && (g_ascii_isdigit (*c) || (*c == '.' && !is_behind)); c++)
    {
      if (*c == '.')
        {
          is_behind = TRUE;
          continue;
        }
      n_places += is_behind;
      n_zeros++;
      if (*c == '0')
        continue;
      for (; n_zeros > 0 && *number > 0; n_zeros--)
        if (__builtin_mul_overflow (*number, 10, number))
          return FALSE;
      n_zeros = 0;
      if (__builtin_add_overflow (*number, (guint64) (*c - '0'), number))
        return FALSE;
    }
  if (!read_exponent (c, end, &exponent))
    return FALSE;
  if (*number == 0)
    return TRUE;

  exponent += n_zeros - n_places;
  if (exponent < 0)
    return FALSE;
  for (; exponent > 0; exponent--)
    if (__builtin_mul_overflow (*number, 10, number))
      return FALSE;
  return TRUE;
}

/* An integer of any form, whatever its type: a sign, and 64 bits of magnitude. */
static gboolean
read_integer (AfrpcJsonSlice  word,
              gboolean        is_string,
              gboolean       *is_negative,
              guint64        *magnitude)
{
  AfrpcJsonSlice digits = word;

  *is_negative = word.length > 0 && word.start[0] == '-';
  if (*is_negative)
    digits = (AfrpcJsonSlice) { word.start + 1, word.length - 1 };
  if (read_digits (digits, magnitude))
    return TRUE;

  /* Whoever wrote it like that had a double, and beyond these not all integers are one. */
  return !is_string && is_number (word) && read_decimal (digits, magnitude) && *magnitude <= AFRPC_JSON_EXACT_MAX;
}

typedef struct
{
  guint64 below_zero; /* largest magnitudes */
  guint64 above_zero;
  const char *expected;
} IntegerType;

static const IntegerType integer_types[128] = {
  ['y'] = { 0, G_MAXUINT8, "expected an integer from 0 to 255" },
  ['n'] = { G_MAXINT16 + G_GUINT64_CONSTANT (1), G_MAXINT16, "expected an integer of 16 bits" },
  ['q'] = { 0, G_MAXUINT16, "expected an integer from 0 to 65535" },
  ['i'] = { G_MAXINT32 + G_GUINT64_CONSTANT (1), G_MAXINT32, "expected an integer of 32 bits" },
  ['u'] = { 0, G_MAXUINT32, "expected an integer from 0 to 4294967295" },
  ['h'] = { G_MAXINT32 + G_GUINT64_CONSTANT (1), G_MAXINT32, "expected a handle of 32 bits" },
  ['x'] = { G_MAXINT64 + G_GUINT64_CONSTANT (1), G_MAXINT64,
    "expected an integer of 64 bits, as a string if it is large" },
  ['t'] = { 0, G_MAXUINT64,
    "expected an integer of 64 bits, not below 0, as a string if it is large" },
};

static const char *
read_any_integer (AfrpcJsonSlice   word,
                  gboolean         is_string,
                  char             type,
                  AfrpcJsonScalar *scalar)
{
  const IntegerType *integer = &integer_types[(guchar) type];
  gboolean is_negative;
  guint64 magnitude;

  if (!read_integer (word, is_string, &is_negative, &magnitude)
      || magnitude > (is_negative ? integer->below_zero : integer->above_zero))
    return integer->expected;
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
  return NULL;
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

static const char *
read_any_double (AfrpcJsonSlice   word,
                 gboolean         is_string,
                 AfrpcJsonScalar *scalar)
{
  if (is_string && read_named_double (word, scalar))
    return NULL;
  if (is_string || !is_number (word))
    return "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
  if (!read_double (word, &scalar->d))
    return "the number is too large for a double";
  return NULL;
}

const char *
afrpc_json_read_scalar (AfrpcJsonSlice   word,
                        gboolean         is_string,
                        char             type,
                        AfrpcJsonScalar *scalar)
{
  switch (type)
    {
    case 'b':
      return read_boolean (word, is_string, scalar);
    case 'd':
      return read_any_double (word, is_string, scalar);
    default:
      return read_any_integer (word, is_string, type, scalar);
    }
}

char
afrpc_json_guess_number (AfrpcJsonSlice word)
{
  const gboolean is_negative = word.start[0] == '-';
  guint64 magnitude;

  if (!read_digits ((AfrpcJsonSlice) { word.start + is_negative, word.length - is_negative }, &magnitude)
      || (is_negative && magnitude == 0))
    return 'd';
  return magnitude <= G_MAXINT64 + (is_negative ? G_GUINT64_CONSTANT (1) : 0) ? 'x' : 'd';
}
