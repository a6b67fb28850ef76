/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-fit.h"

#include <math.h>
#include <string.h>

#include "afrpc-error.h"

#define SHOWN_MAX 100 /* bytes of a value in a message */
#define EXACT_MAX 0x1p53 /* beyond it a double may have been another integer */

/* An integer of any type, or what is none: two of these are the same number if both fields are. */
typedef struct
{
  gboolean is_negative;
  guint64 magnitude;
} Integer;

static GVariant *fit (GVariant           *value,
                      const GVariantType *type,
                      GVariant          **culprit);

/* What is in the way: the innermost is told. */
static GVariant *
refuse (GVariant  *value,
        GVariant **culprit)
{
  if (*culprit == NULL)
    *culprit = g_variant_ref (value);

  return NULL;
}

static gboolean
set_signed (Integer *integer,
            gint64   number)
{
  integer->is_negative = number < 0;
  integer->magnitude = number < 0 ? - (guint64) number : (guint64) number;

  return TRUE;
}

static gboolean
set_unsigned (Integer *integer,
              guint64  number)
{
  integer->is_negative = FALSE;
  integer->magnitude = number;

  return TRUE;
}

/* FALSE: it is none. The zero that is below zero would become the other one. */
static gboolean
read_integer (GVariant *value,
              Integer  *integer)
{
  double number;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BYTE:
      return set_unsigned (integer, g_variant_get_byte (value));
    case G_VARIANT_CLASS_INT16:
      return set_signed (integer, g_variant_get_int16 (value));
    case G_VARIANT_CLASS_UINT16:
      return set_unsigned (integer, g_variant_get_uint16 (value));
    case G_VARIANT_CLASS_INT32:
      return set_signed (integer, g_variant_get_int32 (value));
    case G_VARIANT_CLASS_UINT32:
      return set_unsigned (integer, g_variant_get_uint32 (value));
    case G_VARIANT_CLASS_INT64:
      return set_signed (integer, g_variant_get_int64 (value));
    case G_VARIANT_CLASS_UINT64:
      return set_unsigned (integer, g_variant_get_uint64 (value));
    case G_VARIANT_CLASS_DOUBLE:
      number = g_variant_get_double (value);
      if (number != floor (number) || fabs (number) > EXACT_MAX || (number == 0 && signbit (number)))
        return FALSE;
      integer->is_negative = number < 0;
      integer->magnitude = fabs (number);
      return TRUE;
    default:
      return FALSE;
    }
}

static gboolean
is_within (const Integer *integer,
           guint64        lowest,  /* without its sign */
           guint64        highest)
{
  return integer->magnitude <= (integer->is_negative ? lowest : highest);
}

static GVariant *
fit_integer (GVariant           *value,
             const GVariantType *type,
             GVariant          **culprit)
{
  Integer integer;
  gint64 number;

  if (!read_integer (value, &integer))
    return refuse (value, culprit);

  number = integer.is_negative ? (gint64) - integer.magnitude : (gint64) integer.magnitude;
  switch (*g_variant_type_peek_string (type))
    {
    case 'y':
      return is_within (&integer, 0, G_MAXUINT8) ? g_variant_new_byte (number) : refuse (value, culprit);
    case 'n':
      return is_within (&integer, - (gint64) G_MININT16, G_MAXINT16) ? g_variant_new_int16 (number) : refuse (value, culprit);
    case 'q':
      return is_within (&integer, 0, G_MAXUINT16) ? g_variant_new_uint16 (number) : refuse (value, culprit);
    case 'i':
      return is_within (&integer, - (gint64) G_MININT32, G_MAXINT32) ? g_variant_new_int32 (number) : refuse (value, culprit);
    case 'u':
      return is_within (&integer, 0, G_MAXUINT32) ? g_variant_new_uint32 (number) : refuse (value, culprit);
    case 'h':
      return is_within (&integer, 0, G_MAXINT32) ? g_variant_new_handle (number) : refuse (value, culprit);
    case 'x':
      return is_within (&integer, - (guint64) G_MININT64, G_MAXINT64) ? g_variant_new_int64 (number) : refuse (value, culprit);
    default:
      return is_within (&integer, 0, G_MAXUINT64) ? g_variant_new_uint64 (integer.magnitude) : refuse (value, culprit);
    }
}

static GVariant *
fit_double (GVariant  *value,
            GVariant **culprit)
{
  Integer integer;
  double number;

  if (!read_integer (value, &integer))
    return refuse (value, culprit);

  /* Rounded up to 2^64, it would not convert back. */
  number = integer.magnitude;
  if (number >= 0x1p64 || (guint64) number != integer.magnitude)
    return refuse (value, culprit);

  return g_variant_new_double (integer.is_negative ? -number : number);
}

static GVariant *
fit_string (GVariant           *value,
            const GVariantType *type,
            GVariant          **culprit)
{
  const char *string;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return refuse (value, culprit);

  string = g_variant_get_string (value, NULL);
  if (g_variant_type_equal (type, G_VARIANT_TYPE_OBJECT_PATH) && g_variant_is_object_path (string))
    return g_variant_new_object_path (string);
  if (g_variant_type_equal (type, G_VARIANT_TYPE_SIGNATURE) && g_variant_is_signature (string))
    return g_variant_new_signature (string);
  return refuse (value, culprit);
}

static GVariant *
fit_maybe (GVariant           *value,
           const GVariantType *type,
           GVariant          **culprit)
{
  const GVariantType *element = g_variant_type_element (type);
  g_autoptr(GVariant) inner = NULL;
  g_autoptr(GVariant) child = NULL;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_MAYBE))
    {
      child = fit (value, element, culprit);
      return child != NULL ? g_variant_new_maybe (element, child) : NULL;
    }

  inner = g_variant_get_maybe (value);
  if (inner == NULL)
    return g_variant_new_maybe (element, NULL);
  child = fit (inner, element, culprit);

  return child != NULL ? g_variant_new_maybe (element, child) : NULL;
}

/* An array of @element, or members of a tuple or an entry, from @member on. */
static GVariant *
fit_children (GVariant           *value,
              const GVariantType *type,
              const GVariantType *element, /* (nullable) */
              const GVariantType *member,  /* (nullable) */
              GVariant          **culprit)
{
  GVariantBuilder builder;
  GVariantIter iter;

  g_variant_builder_init (&builder, type);
  g_variant_iter_init (&iter, value);
  for (;;)
    {
      g_autoptr(GVariant) child = g_variant_iter_next_value (&iter);
      g_autoptr(GVariant) fitted = NULL;

      if (child == NULL)
        return g_variant_builder_end (&builder);

      fitted = fit (child, element != NULL ? element : member, culprit);
      if (fitted == NULL)
        {
          g_variant_builder_clear (&builder);
          return NULL;
        }
      g_variant_builder_add_value (&builder, fitted);
      if (member != NULL)
        member = g_variant_type_next (member);
    }
}

/* Dictionaries from dictionaries alone. Other arrays from tuples, too, and the other way round: many languages have
 * one kind of list. */
static GVariant *
fit_container (GVariant           *value,
               const GVariantType *type,
               GVariant          **culprit)
{
  const gboolean is_list = g_variant_is_of_type (value, G_VARIANT_TYPE_TUPLE) ||
                           (g_variant_is_of_type (value, G_VARIANT_TYPE_ARRAY) &&
                            !g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY));
  const gboolean is_entry = g_variant_is_of_type (value, G_VARIANT_TYPE_DICT_ENTRY);

  if (g_variant_type_is_dict_entry (type) && is_entry)
    return fit_children (value, type, NULL, g_variant_type_key (type), culprit);
  if (g_variant_type_is_tuple (type) && (is_list || is_entry) &&
      g_variant_n_children (value) == g_variant_type_n_items (type))
    return fit_children (value, type, NULL, g_variant_type_first (type), culprit);
  if (g_variant_type_is_subtype_of (type, G_VARIANT_TYPE_DICTIONARY) &&
      g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY))
    return fit_children (value, type, g_variant_type_element (type), NULL, culprit);
  if (g_variant_type_is_array (type) && !g_variant_type_is_subtype_of (type, G_VARIANT_TYPE_DICTIONARY) && is_list)
    return fit_children (value, type, g_variant_type_element (type), NULL, culprit);

  return refuse (value, culprit);
}

/* Returns: (transfer full) (nullable) */
static GVariant *
fit (GVariant           *value,
     const GVariantType *type,
     GVariant          **culprit)
{
  GVariant *fitted;

  if (g_variant_is_of_type (value, type))
    return g_variant_ref (value);
  if (g_variant_type_equal (type, G_VARIANT_TYPE_VARIANT))
    return g_variant_ref_sink (g_variant_new_variant (value));
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT))
    {
      g_autoptr(GVariant) inner = g_variant_get_variant (value);

      return fit (inner, type, culprit);
    }

  switch (*g_variant_type_peek_string (type))
    {
    case 'y': case 'n': case 'q': case 'i': case 'u': case 'x': case 't': case 'h':
      fitted = fit_integer (value, type, culprit);
      break;
    case 'd':
      fitted = fit_double (value, culprit);
      break;
    case 'o': case 'g':
      fitted = fit_string (value, type, culprit);
      break;
    case 'm':
      fitted = fit_maybe (value, type, culprit);
      break;
    case 'a': case '(': case '{':
      fitted = fit_container (value, type, culprit);
      break;
    default:
      fitted = refuse (value, culprit);
    }

  return fitted != NULL ? g_variant_ref_sink (fitted) : NULL;
}

/* Where a value says more than its type does, in a few words. */
static char *
show (GVariant *value)
{
  if (g_variant_is_container (value) || g_variant_get_size (value) > SHOWN_MAX)
    return NULL;

  return g_variant_print (value, FALSE);
}

/* Whether what made the value may have had a double where it wanted an integer. */
static gboolean
is_inexact (GVariant *value)
{
  double number;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
    return FALSE;
  number = g_variant_get_double (value);

  return isfinite (number) && fabs (number) > EXACT_MAX;
}

/* Returns: (transfer full): @value of that type, or NULL with AFRPC_ERROR_INVALID_ARGUMENTS, whose message wants a subject
 * @type: a definite one, or the value has to be of it already */
GVariant *
afrpc_fit (GVariant            *value,
           const GVariantType  *type,
           GError             **error)
{
  g_autoptr(GVariant) culprit = NULL;
  g_autofree char *type_text = g_variant_type_dup_string (type);
  g_autofree char *shown = NULL;
  GVariant *fitted = NULL;

  if (g_variant_type_is_definite (type) || g_variant_is_of_type (value, type))
    fitted = fit (value, type, &culprit);
  if (fitted != NULL)
    return fitted;

  shown = culprit != NULL ? show (culprit) : NULL;
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS, "takes %s, not %s%s%s%s%s", type_text,
               g_variant_get_type_string (value), shown != NULL ? ": " : "", shown != NULL ? shown : "",
               shown != NULL ? " does not fit" : "",
               culprit != NULL && is_inexact (culprit) ?
                 ": beyond 2^53 a double may be another integer; in JSON, write a string of digits" : "");
  return NULL;
}
