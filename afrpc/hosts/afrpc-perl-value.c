/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-perl-value.h"

#include <string.h>

/* Of the 128 levels of types in each other that GVariant allows. */
#define DEPTH_MAX 120u
#define DEPTH_OF_ARRAY 2u /* `av` */
#define DEPTH_OF_HASH 3u  /* `a{sv}` */

static SV *
unpack_string (pTHX_
               GVariant *value)
{
  gsize length;
  const char *string = g_variant_get_string (value, &length);

  return newSVpvn (string, length);
}

static SV *
unpack_bytes (pTHX_
              GVariant *value)
{
  gsize length;
  const char *bytes = g_variant_get_fixed_array (value, &length, 1);

  return newSVpvn (length > 0 ? bytes : "", length);
}

static SV *
unpack_hash (pTHX_
             GVariant *value)
{
  HV *hash = newHV ();
  const gsize n = g_variant_n_children (value);

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr(GVariant) entry = g_variant_get_child_value (value, i);
      g_autoptr(GVariant) key = g_variant_get_child_value (entry, 0);
      g_autoptr(GVariant) member = g_variant_get_child_value (entry, 1);
      SV *key_sv = afrpc_perl_unpack (aTHX_ key);

      hv_store_ent (hash, key_sv, afrpc_perl_unpack (aTHX_ member), 0);
      SvREFCNT_dec (key_sv);
    }

  return newRV_noinc ((SV *) hash);
}

static SV *
unpack_array (pTHX_
              GVariant *value)
{
  AV *array = newAV ();
  const gsize n = g_variant_n_children (value);

  if (n > 0)
    av_extend (array, n - 1);
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr(GVariant) child = g_variant_get_child_value (value, i);

      av_push (array, afrpc_perl_unpack (aTHX_ child));
    }

  return newRV_noinc ((SV *) array);
}

/* Returns a new scalar. Strings are the octets of their UTF-8, as everything that comes from outside of a
 * Perl program. */
SV *
afrpc_perl_unpack (pTHX_
                   GVariant *value)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      return newSVsv (g_variant_get_boolean (value) ? &PL_sv_yes : &PL_sv_no);

    case G_VARIANT_CLASS_BYTE:
      return newSVuv (g_variant_get_byte (value));

    case G_VARIANT_CLASS_INT16:
      return newSViv (g_variant_get_int16 (value));

    case G_VARIANT_CLASS_UINT16:
      return newSVuv (g_variant_get_uint16 (value));

    case G_VARIANT_CLASS_INT32:
      return newSViv (g_variant_get_int32 (value));

    case G_VARIANT_CLASS_UINT32:
      return newSVuv (g_variant_get_uint32 (value));

    case G_VARIANT_CLASS_INT64:
      return newSViv (g_variant_get_int64 (value));

    case G_VARIANT_CLASS_UINT64:
      return newSVuv (g_variant_get_uint64 (value));

    case G_VARIANT_CLASS_HANDLE:
      return newSViv (g_variant_get_handle (value));

    case G_VARIANT_CLASS_DOUBLE:
      return newSVnv (g_variant_get_double (value));

    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      return unpack_string (aTHX_ value);

    case G_VARIANT_CLASS_VARIANT:
      {
        g_autoptr(GVariant) inner = g_variant_get_variant (value);

        return afrpc_perl_unpack (aTHX_ inner);
      }

    case G_VARIANT_CLASS_MAYBE:
      {
        g_autoptr(GVariant) inner = g_variant_get_maybe (value);

        return inner != NULL ? afrpc_perl_unpack (aTHX_ inner) : newSV (0);
      }

    case G_VARIANT_CLASS_ARRAY:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
        return unpack_bytes (aTHX_ value);
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY))
        return unpack_hash (aTHX_ value);
      return unpack_array (aTHX_ value);

    default: /* tuples, and entries of dictionaries on their own */
      return unpack_array (aTHX_ value);
    }
}

/* Puts the members of a tuple on Perl's stack, or anything else as a single argument. */
void
afrpc_perl_push (pTHX_
                 GVariant *args)
{
  dSP;

  if (g_variant_is_of_type (args, G_VARIANT_TYPE_TUPLE))
    {
      const gsize n = g_variant_n_children (args);

      EXTEND (SP, (SSize_t) n);
      for (gsize i = 0; i < n; i++)
        {
          g_autoptr(GVariant) child = g_variant_get_child_value (args, i);

          PUSHs (sv_2mortal (afrpc_perl_unpack (aTHX_ child)));
        }
    }
  else
    XPUSHs (sv_2mortal (afrpc_perl_unpack (aTHX_ args)));

  PUTBACK;
}

static GVariant *pack (pTHX_ SV *sv, guint depth, GError **error);

/* The octets of a string, which live as long as @sv and Perl's temporary values. */
static const char *
get_octets (pTHX_
            SV       *sv,
            STRLEN   *length,
            GError  **error)
{
  /* A number that is looked at as a string would remember that. */
  if (!SvPOK (sv))
    sv = sv_2mortal (newSVsv (sv));
  if (!SvPOK (sv))
    sv_2pv_flags (sv, length, 0);
  if (SvUTF8 (sv))
    {
      sv = sv_2mortal (newSVsv (sv));
      if (!sv_utf8_downgrade (sv, TRUE))
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "wide character in a string: encode it first");
          return NULL;
        }
    }

  return SvPV_nomg (sv, *length);
}

static GVariant *
pack_string (pTHX_
             SV      *sv,
             GError **error)
{
  STRLEN length;
  const char *octets = get_octets (aTHX_ sv, &length, error);

  return octets != NULL ? g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, octets, length, 1) : NULL;
}

static GVariant *
pack_array (pTHX_
            AV       *array,
            guint     depth,
            GError  **error)
{
  GVariantBuilder builder;
  const SSize_t n = av_len (array) + 1;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("av"));
  for (SSize_t i = 0; i < n; i++)
    {
      SV **member = av_fetch (array, i, FALSE);
      GVariant *value = pack (aTHX_ member != NULL ? *member : &PL_sv_undef, depth, error);

      if (value == NULL)
        {
          g_variant_builder_clear (&builder);
          return NULL;
        }
      g_variant_builder_add_value (&builder, g_variant_new_variant (value));
    }

  return g_variant_builder_end (&builder);
}

/* Returns: (nullable): a copy of the key, which has to be text: the octets of UTF-8. */
static char *
copy_key (pTHX_
          HE      *entry,
          GError **error)
{
  STRLEN length;
  const char *octets = get_octets (aTHX_ HeSVKEY_force (entry), &length, error);

  if (octets == NULL)
    return NULL;
  if (!g_utf8_validate_len (octets, length, NULL))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "a hash's key is not UTF-8: encode it first");
      return NULL;
    }

  return g_strndup (octets, length);
}

static GVariant *
pack_hash (pTHX_
           HV       *hash,
           guint     depth,
           GError  **error)
{
  GVariantBuilder builder;
  HE *entry;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  hv_iterinit (hash);
  while ((entry = hv_iternext (hash)) != NULL)
    {
      g_autofree char *key = copy_key (aTHX_ entry, error);
      GVariant *value = key != NULL ? pack (aTHX_ HeVAL (entry), depth, error) : NULL;

      if (value == NULL)
        {
          g_variant_builder_clear (&builder);
          return NULL;
        }
      g_variant_builder_add (&builder, "{sv}", key, value);
    }

  return g_variant_builder_end (&builder);
}

/* What stands for an object is its string, if it has one. */
static GVariant *
pack_object (pTHX_
             SV      *sv,
             GError **error)
{
  SV *text;

  if (!SvAMAGIC (sv) && SvTYPE (SvRV (sv)) != SVt_REGEXP)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "an object of class %s cannot be sent",
                   sv_reftype (SvRV (sv), TRUE));
      return NULL;
    }

  text = afrpc_perl_text (sv);
  if (text == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "an object of class %s cannot be made a string",
                   sv_reftype (SvRV (sv), TRUE));
      return NULL;
    }

  return pack_string (aTHX_ sv_2mortal (text), error);
}

static gboolean
is_tied (pTHX_
         SV *sv)
{
  return SvRMAGICAL (sv) && mg_find (sv, PERL_MAGIC_tied) != NULL;
}

/* Returns: (nullable): a temporary value */
static SV *
copy_plain (pTHX_
            SV      *sv,
            GError **error)
{
  SV *copy = afrpc_perl_plain (sv);

  if (copy == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "a tied variable cannot be read");
      return NULL;
    }

  return sv_2mortal (copy);
}

static GVariant *
pack_reference (pTHX_
                SV       *sv,
                guint     depth,
                GError  **error)
{
  SV *target = SvRV (sv);
  gboolean is_array;

  if (SvOBJECT (target))
    return pack_object (aTHX_ sv, error);
  is_array = SvTYPE (target) == SVt_PVAV;
  if (!is_array && SvTYPE (target) != SVt_PVHV)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "a reference to %s cannot be sent",
                   sv_reftype (target, FALSE));
      return NULL;
    }
  depth += is_array ? DEPTH_OF_ARRAY : DEPTH_OF_HASH;
  if (depth > DEPTH_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "too many arrays and hashes in each other");
      return NULL;
    }
  if (is_tied (aTHX_ target))
    {
      sv = copy_plain (aTHX_ sv, error);
      if (sv == NULL)
        return NULL;
      target = SvRV (sv);
    }

  return is_array ? pack_array (aTHX_ (AV *) target, depth, error) : pack_hash (aTHX_ (HV *) target, depth, error);
}

/* Returns a floating value, or NULL with @error set. Runs Perl code only by afrpc_perl_call(), so that nothing
 * jumps out of it. */
static GVariant *
pack (pTHX_
      SV       *sv,
      guint     depth,
      GError  **error)
{
  if (SvGMAGICAL (sv))
    {
      sv = copy_plain (aTHX_ sv, error);
      if (sv == NULL)
        return NULL;
    }

  if (SvROK (sv))
    return pack_reference (aTHX_ sv, depth, error);
  if (!SvOK (sv))
    return g_variant_new_maybe (G_VARIANT_TYPE_VARIANT, NULL);

  return pack_string (aTHX_ sv, error);
}

/* How many bytes each of the offsets has that say, behind the strings, where they end: as few as will do. */
static guint
get_offset_size (gsize strings_size,
                 gsize n)
{
  guint size = 1;

  while (size < 8 && strings_size + n * size > (G_GUINT64_CONSTANT (1) << 8 * size) - 1)
    size *= 2;

  return size;
}

/* The usual case at a third of the cost: all values are strings that can be taken as they are. Makes what
 * GVariant would make of them. Returns: (nullable): a floating value, or NULL if it is another case */
static GVariant *
pack_strings (pTHX_
              SSize_t first,
              SSize_t n)
{
  gsize strings_size = 0, size, end = 0;
  guint offset_size;
  guint8 *data;

  for (SSize_t i = 0; i < n; i++)
    {
      SV *sv = PL_stack_base[first + i];

      if (!SvPOK (sv) || SvROK (sv) || SvUTF8 (sv) || SvGMAGICAL (sv))
        return NULL;
      strings_size += SvCUR (sv);
    }

  offset_size = get_offset_size (strings_size, n);
  size = strings_size + n * offset_size;
  data = g_malloc (size);
  for (SSize_t i = 0; i < n; i++)
    {
      SV *sv = PL_stack_base[first + i];
      guint64 offset;

      memcpy (data + end, SvPVX (sv), SvCUR (sv));
      end += SvCUR (sv);
      offset = GUINT64_TO_LE ((guint64) end);
      memcpy (data + strings_size + i * offset_size, &offset, offset_size);
    }

  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING_ARRAY, data, size, TRUE, g_free, data);
}

/* A list of values that lie on Perl's stack: `aay` if all are strings, else a tuple. */
GVariant *
afrpc_perl_pack_list (pTHX_
                      SSize_t    first,
                      SSize_t    n,
                      GError   **error)
{
  g_autofree GVariant **values = NULL;
  GVariant *strings = pack_strings (aTHX_ first, n);
  gboolean all_strings = TRUE;

  if (strings != NULL)
    return strings;

  values = g_new (GVariant *, n);
  for (SSize_t i = 0; i < n; i++)
    {
      /* The stack may move. */
      values[i] = pack (aTHX_ PL_stack_base[first + i], 0, error);
      if (values[i] == NULL)
        {
          while (i-- > 0)
            g_variant_unref (g_variant_ref_sink (values[i]));
          return NULL;
        }
      all_strings = all_strings && g_variant_is_of_type (values[i], G_VARIANT_TYPE_BYTESTRING);
    }

  if (all_strings)
    return g_variant_new_array (G_VARIANT_TYPE_BYTESTRING, values, n);

  return g_variant_new_tuple (values, n);
}

/* A message for people: text, whatever it is made of, without its newline. */
char *
afrpc_perl_message (pTHX_
                    SV *sv)
{
  STRLEN length;
  const char *octets = SvPV_nomg (sv, length);

  if (!SvUTF8 (sv) && !g_utf8_validate_len (octets, length, NULL) && memchr (octets, '\0', length) == NULL)
    {
      sv = sv_2mortal (newSVpvn (octets, length));
      sv_utf8_upgrade (sv);
      octets = SvPV_nomg (sv, length);
    }
  if (length > 0 && octets[length - 1] == '\n')
    length--;

  return g_utf8_make_valid (octets, length);
}
