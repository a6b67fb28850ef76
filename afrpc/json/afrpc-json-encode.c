/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "afrpc-json-names.h"
#include "afrpc-json-private.h"
#include "wire/afrpc-layout.h"

/* This writes the text itself. json-glib's generator (1.6.6) leaves U+001F as it is and makes
 * "1e+22.0" of 1e22, neither of which is JSON; it gives 0.1 seventeen digits; and its tree needs a
 * node for each number and a hash table for each object, which a peer can make slow. */

static void write_value (GString        *out,
                         GVariant       *value,
                         AfrpcJsonFlags  flags);

static void
write_escaped (GString *out,
               guchar   c)
{
  static const char short_escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";

  for (const char *pair = short_escapes; *pair != '\0'; pair += 2)
    if (c == (guchar) pair[0])
      {
        g_string_append_c (out, '\\');
        g_string_append_c (out, pair[1]);
        return;
      }
  g_string_append_printf (out, "\\u%04x", c);
}

void
afrpc_json_write_string (GString    *out,
                         const char *string)
{
  const char *run = string; /* what goes as it is */

  g_string_append_c (out, '"');
  for (const char *at = string;; at++)
    {
      guchar c = *at;

      if (c >= 0x20 && c != 0x7f && c != '"' && c != '\\')
        continue;
      g_string_append_len (out, run, at - run);
      if (c == '\0')
        break;
      write_escaped (out, c);
      run = at + 1;
    }
  g_string_append_c (out, '"');
}

static void
write_integer (GString  *out,
               guint64   magnitude,
               gboolean  is_negative)
{
  gboolean is_quoted = magnitude > AFRPC_JSON_EXACT_MAX;
  char digits[24];
  char *first = digits + sizeof digits;

  if (is_quoted)
    *--first = '"';
  do
    *--first = '0' + magnitude % 10;
  while ((magnitude /= 10) > 0);
  if (is_negative)
    *--first = '-';
  if (is_quoted)
    *--first = '"';
  g_string_append_len (out, first, digits + sizeof digits - first);
}

static void
write_signed (GString *out,
              gint64   number)
{
  write_integer (out, number < 0 ? -(guint64) number : (guint64) number, number < 0);
}

static void
write_not_a_number (GString        *out,
                    guint64         bits,
                    AfrpcJsonFlags  flags)
{
  if (bits == AFRPC_JSON_NAN_BITS || (flags & AFRPC_JSON_TYPED) == 0)
    g_string_append (out, "\"NaN\"");
  else
    g_string_append_printf (out, "\"" AFRPC_JSON_NAN_PREFIX "%016" G_GINT64_MODIFIER "x)\"", bits);
}

static void
write_finite (GString *out,
              double   number)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];
  char format[sizeof "%.17g"];

  /* Fifteen digits give back each decimal that has no more of them; only near zero, where doubles
   * are sparse, fewer can be exact. Seventeen are always exact. */
  for (int precision = fabs (number) < DBL_MIN ? 1 : 15; precision <= 17; precision++)
    {
      g_snprintf (format, sizeof format, "%%.%dg", precision);
      g_ascii_formatd (digits, sizeof digits, format, number);
      if (g_ascii_strtod (digits, NULL) == number)
        break;
    }
  g_string_append (out, digits);
  if (strpbrk (digits, ".e") == NULL)
    g_string_append (out, ".0"); /* else it would be an integer in a plain `v` */
}

void
afrpc_json_write_double (GString               *out,
                         const AfrpcJsonScalar *scalar,
                         AfrpcJsonFlags         flags)
{
  if (isnan (scalar->d))
    write_not_a_number (out, scalar->t, flags);
  else if (isinf (scalar->d))
    g_string_append (out, scalar->d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
  else
    write_finite (out, scalar->d);
}

static void
write_scalar (GString               *out,
              char                   type,
              const AfrpcJsonScalar *scalar,
              AfrpcJsonFlags         flags)
{
  switch (type)
    {
    case 'b':
      g_string_append (out, scalar->y != 0 ? "true" : "false");
      break;
    case 'y':
      write_integer (out, scalar->y, FALSE);
      break;
    case 'n':
      write_signed (out, scalar->n);
      break;
    case 'q':
      write_integer (out, scalar->q, FALSE);
      break;
    case 'i':
    case 'h':
      write_signed (out, scalar->i);
      break;
    case 'u':
      write_integer (out, scalar->u, FALSE);
      break;
    case 'x':
      write_signed (out, scalar->x);
      break;
    case 't':
      write_integer (out, scalar->t, FALSE);
      break;
    case 'd':
      afrpc_json_write_double (out, scalar, flags);
      break;
    default:
      g_assert_not_reached ();
    }
}

static void
write_bytes (GString  *out,
             GVariant *value)
{
  gsize length;
  const guint8 *bytes = g_variant_get_fixed_array (value, &length, 1);
  g_autofree char *base64 = g_base64_encode (bytes, length);

  g_string_append_c (out, '"');
  g_string_append (out, base64);
  g_string_append_c (out, '"');
}

/* Straight from memory: a GVariant for each number would cost more than the rest. */
static void
write_scalars (GString        *out,
               GVariant       *value,
               gsize           size,
               AfrpcJsonFlags  flags)
{
  char type = g_variant_get_type_string (value)[1];
  gsize length;
  const guint8 *at = g_variant_get_fixed_array (value, &length, size);

  g_string_append_c (out, '[');
  for (gsize i = 0; i < length; i++, at += size)
    {
      AfrpcJsonScalar scalar;

      if (i > 0)
        g_string_append_c (out, ',');
      memcpy (&scalar, at, size);
      write_scalar (out, type, &scalar, flags);
    }
  g_string_append_c (out, ']');
}

static void
write_children (GString        *out,
                GVariant       *value,
                AfrpcJsonFlags  flags)
{
  GVariantIter iter;
  GVariant *child;
  const char *comma = "";

  g_string_append_c (out, '[');
  g_variant_iter_init (&iter, value);
  while ((child = g_variant_iter_next_value (&iter)) != NULL)
    {
      g_string_append (out, comma);
      write_value (out, child, flags);
      g_variant_unref (child);
      comma = ",";
    }
  g_string_append_c (out, ']');
}

/* The name lives as long as the value that is being encoded: see afrpc_json_encode(). */
static const char *
get_name (GVariant *entry)
{
  g_autoptr(GVariant) key = g_variant_get_child_value (entry, 0);

  return g_variant_get_string (key, NULL);
}

static gboolean
has_names (const GVariantType *array)
{
  const char *element = g_variant_type_peek_string (array) + 1;

  return element[0] == '{' && afrpc_json_is_name_type (element[1]);
}

static const char *
get_one_of (gconstpointer names,
            gsize         i)
{
  return ((const GPtrArray *) names)->pdata[i];
}

static gboolean
names_are_unique (GVariant *dictionary)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new ();
  GVariantIter iter;
  GVariant *entry;

  g_variant_iter_init (&iter, dictionary);
  while ((entry = g_variant_iter_next_value (&iter)) != NULL)
    {
      g_ptr_array_add (names, (char *) get_name (entry));
      g_variant_unref (entry);
    }
  return afrpc_json_names_are_unique (names->len, get_one_of, names);
}

static void
write_object (GString        *out,
              GVariant       *dictionary,
              AfrpcJsonFlags  flags)
{
  GVariantIter iter;
  GVariant *entry;
  const char *comma = "";

  g_string_append_c (out, '{');
  g_variant_iter_init (&iter, dictionary);
  while ((entry = g_variant_iter_next_value (&iter)) != NULL)
    {
      g_autoptr(GVariant) value = g_variant_get_child_value (entry, 1);

      g_string_append (out, comma);
      afrpc_json_write_string (out, get_name (entry));
      g_string_append_c (out, ':');
      write_value (out, value, flags);
      g_variant_unref (entry);
      comma = ",";
    }
  g_string_append_c (out, '}');
}

static void
write_array (GString        *out,
             GVariant       *value,
             AfrpcJsonFlags  flags)
{
  const GVariantType *type = g_variant_get_type (value);
  const GVariantType *element = g_variant_type_element (type);
  gsize size = afrpc_layout_number_size (*g_variant_type_peek_string (element));

  if (g_variant_type_equal (type, G_VARIANT_TYPE_BYTESTRING))
    write_bytes (out, value);
  else if (size > 0)
    write_scalars (out, value, size, flags);
  else if (has_names (type) && names_are_unique (value))
    write_object (out, value, flags);
  else
    write_children (out, value, flags);
}

static void
write_maybe (GString        *out,
             GVariant       *value,
             AfrpcJsonFlags  flags)
{
  if (g_variant_n_children (value) == 0)
    g_string_append (out, "null");
  else
    write_children (out, value, flags);
}

static void
write_typed (GString  *out,
             GVariant *value)
{
  g_string_append (out, "{\"type\":");
  afrpc_json_write_string (out, g_variant_get_type_string (value));
  g_string_append (out, ",\"data\":");
  write_value (out, value, AFRPC_JSON_TYPED);
  g_string_append_c (out, '}');
}

static void
write_variant (GString        *out,
               GVariant       *value,
               AfrpcJsonFlags  flags)
{
  g_autoptr(GVariant) child = g_variant_get_variant (value);

  if ((flags & AFRPC_JSON_TYPED) != 0)
    write_typed (out, child);
  else
    write_value (out, child, flags);
}

/* The recursion ends: a GVariant in one block gives nothing out below AFRPC_JSON_DEPTH_MAX. */
static void
write_value (GString        *out,
             GVariant       *value,
             AfrpcJsonFlags  flags)
{
  const GVariantType *type = g_variant_get_type (value);
  AfrpcJsonScalar scalar;

  switch (*g_variant_type_peek_string (type))
    {
    case 's':
    case 'o':
    case 'g':
      afrpc_json_write_string (out, g_variant_get_string (value, NULL));
      break;
    case 'v':
      write_variant (out, value, flags);
      break;
    case 'm':
      write_maybe (out, value, flags);
      break;
    case 'a':
      write_array (out, value, flags);
      break;
    case '(':
    case '{':
      write_children (out, value, flags);
      break;
    default:
      g_variant_store (value, &scalar);
      write_scalar (out, *g_variant_type_peek_string (type), &scalar, flags);
    }
}

char *
afrpc_json_encode (GVariant       *value,
                   AfrpcJsonFlags  flags)
{
  GString *out;

  g_return_val_if_fail (value != NULL, NULL);

  /* From here on all children are slices of one block: names stay valid, and depth has an end. */
  (void) g_variant_get_data (value);

  out = g_string_new (NULL);
  if ((flags & AFRPC_JSON_TYPED) != 0)
    write_typed (out, value);
  else
    write_value (out, value, flags);
  return g_string_free (out, FALSE);
}
