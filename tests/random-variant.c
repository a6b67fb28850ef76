/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "random-variant.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* How deep types nest in each other, and again in each `v`. */
#define DEPTH_MAX 4
#define TYPE_SIZE_MAX 255

typedef struct
{
  GRand *rand; /* borrowed */
  RandomVariantFlags flags;
} Source;

static GVariant *random_value (Source             *source,
                               const GVariantType *type,
                               guint               depth);

static guint
below (Source *source,
       guint   limit)
{
  return g_rand_int_range (source->rand, 0, limit);
}

static guint64
random_bits (Source *source)
{
  guint64 high = g_rand_int (source->rand);

  return high << 32 | g_rand_int (source->rand);
}

static void
add_basic_type (Source  *source,
                GString *type)
{
  static const char basic[] = "bynqiuxthdsog";

  g_string_append_c (type, basic[below (source, strlen (basic))]);
}

static void
add_type (Source  *source,
          GString *type,
          guint    depth)
{
  /* Outside, mostly something that has others in it. */
  guint kind = depth == 0 ? 4 + below (source, 8) : depth < DEPTH_MAX ? below (source, 12) : 0;

  switch (kind)
    {
    case 0 ... 4:
      add_basic_type (source, type);
      break;
    case 5:
      g_string_append_c (type, 'v');
      break;
    case 6 ... 7:
      g_string_append_c (type, 'a');
      add_type (source, type, depth + 1);
      break;
    case 8:
      g_string_append_c (type, 'm');
      add_type (source, type, depth + 1);
      break;
    case 9 ... 10:
      g_string_append (type, below (source, 4) > 0 ? "a{" : "{");
      add_basic_type (source, type);
      add_type (source, type, depth + 1);
      g_string_append_c (type, '}');
      break;
    default:
      g_string_append_c (type, '(');
      for (guint n = below (source, 4); n > 0; n--)
        add_type (source, type, depth + 1);
      g_string_append_c (type, ')');
    }
}

static char *
random_type (Source *source,
             guint   depth)
{
  for (;;)
    {
      g_autoptr(GString) type = g_string_new (NULL);

      add_type (source, type, depth);
      if (type->len <= TYPE_SIZE_MAX)
        return g_string_free (g_steal_pointer (&type), FALSE);
    }
}

/* As an integer of any type: what is too much is cut off. */
static guint64
random_integer (Source *source)
{
  static const guint64 corners[] = {
    0, 1, -1, G_MAXINT8, G_MAXUINT8, G_MAXINT16, G_MININT16, G_MAXUINT16, G_MAXINT32, G_MININT32,
    G_MAXUINT32, G_MAXINT64, (guint64) G_MININT64, G_MAXUINT64, 1ull << 53, (1ull << 53) - 1,
    (1ull << 53) + 1, -(1ull << 53), -(1ull << 53) - 1, -(1ull << 53) + 1, 1ull << 63,
  };

  if (below (source, 2) == 0)
    return corners[below (source, G_N_ELEMENTS (corners))];
  return random_bits (source) >> below (source, 64);
}

static GVariant *
random_double (Source *source)
{
  static const double corners[] = {
    0.0, -0.0, 0.1, -0.3, 1.0, 1e22, 1e17, 1e21, -1e100, 5e-324, DBL_MIN, DBL_MAX, -DBL_MAX, 1e-5,
    INFINITY, -INFINITY, 9007199254740993.0, 0.1 + 0.2, 1e15, 123456789.0, 2.2250738585072009e-308,
  };
  static const guint64 nan_bits[] = { 0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001 };
  union { double d; guint64 t; } number;
  g_autoptr(GBytes) bytes = NULL;

  switch (below (source, 6))
    {
    case 0 ... 1:
      number.d = corners[below (source, G_N_ELEMENTS (corners))];
      break;
    case 2:
      number.d = (gint32) g_rand_int (source->rand) / 100.0;
      break;
    case 3:
      number.t = nan_bits[below (source, G_N_ELEMENTS (nan_bits))];
      break;
    default:
      number.t = random_bits (source);
    }
  if (isnan (number.d) && (source->flags & RANDOM_VARIANT_NO_ODD_NAN) != 0)
    number.t = nan_bits[0];

  bytes = g_bytes_new (&number, sizeof number);
  return g_variant_new_from_bytes (G_VARIANT_TYPE_DOUBLE, bytes, TRUE);
}

static gunichar
random_character (Source *source)
{
  static const gunichar corners[] = {
    1, 8, 9, 10, 12, 13, 0x1f, ' ', '"', '\\', '/', 0x7f, 0x80, 0x9f, 0x2028, 0x2029, 0xd7ff,
    0xe000, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x1f600, 0x10ffff,
  };
  gunichar c;

  switch (below (source, 4))
    {
    case 0:
      return corners[below (source, G_N_ELEMENTS (corners))];
    case 1:
      c = g_rand_int_range (source->rand, 1, 0x110000);
      return c >= 0xd800 && c <= 0xdfff ? 'x' : c;
    default:
      return g_rand_int_range (source->rand, 1, 0x80);
    }
}

static GVariant *
random_string (Source *source)
{
  g_autoptr(GString) string = g_string_new (NULL);

  for (guint n = below (source, 8); n > 0; n--)
    g_string_append_unichar (string, random_character (source));
  return g_variant_new_string (string->str);
}

static GVariant *
random_object_path (Source *source)
{
  g_autoptr(GString) path = g_string_new (NULL);

  for (guint n = below (source, 4); n > 0; n--)
    g_string_append_printf (path, "/%c_%u", 'A' + below (source, 26), below (source, 1000));
  return g_variant_new_object_path (path->len > 0 ? path->str : "/");
}

static GVariant *
random_signature (Source *source)
{
  g_autoptr(GString) signature = g_string_new (NULL);

  for (guint n = below (source, 3); n > 0; n--)
    add_type (source, signature, 2);
  /* Those of D-Bus: with a maybe it is none. */
  return g_variant_new_signature (g_variant_is_signature (signature->str) ? signature->str : "av");
}

static void
add_elements (Source             *source,
              GVariantBuilder    *builder,
              const GVariantType *type,
              guint               n,
              guint               depth)
{
  g_autoptr(GVariant) previous = NULL;

  for (; n > 0; n--)
    {
      /* An element twice is an entry twice, so that dictionaries have a key twice. */
      if (previous == NULL || below (source, 8) > 0)
        {
          g_clear_pointer (&previous, g_variant_unref);
          previous = g_variant_ref_sink (random_value (source, type, depth + 1));
        }
      g_variant_builder_add_value (builder, previous);
    }
}

static GVariant *
random_container (Source             *source,
                  const GVariantType *type,
                  guint               depth)
{
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (type);
  const GVariantType *item;

  switch (*g_variant_type_peek_string (type))
    {
    case 'a':
      add_elements (source, &builder, g_variant_type_element (type), below (source, 5), depth);
      break;
    case 'm':
      add_elements (source, &builder, g_variant_type_element (type), below (source, 2), depth);
      break;
    default:
      for (item = g_variant_type_first (type); item != NULL; item = g_variant_type_next (item))
        add_elements (source, &builder, item, 1, depth);
    }
  return g_variant_builder_end (&builder);
}

static GVariant *
random_boxed (Source *source,
              guint   depth)
{
  g_autofree char *type = random_type (source, MIN (depth, DEPTH_MAX));

  return g_variant_new_variant (random_value (source, G_VARIANT_TYPE (type), depth + 1));
}

static GVariant *
random_value (Source             *source,
              const GVariantType *type,
              guint               depth)
{
  guint64 integer = random_integer (source);

  switch (*g_variant_type_peek_string (type))
    {
    case 'b':
      return g_variant_new_boolean (integer & 1);
    case 'y':
      return g_variant_new_byte (integer);
    case 'n':
      return g_variant_new_int16 (integer);
    case 'q':
      return g_variant_new_uint16 (integer);
    case 'i':
      return g_variant_new_int32 (integer);
    case 'u':
      return g_variant_new_uint32 (integer);
    case 'h':
      return g_variant_new_handle (integer);
    case 'x':
      return g_variant_new_int64 (integer);
    case 't':
      return g_variant_new_uint64 (integer);
    case 'd':
      return random_double (source);
    case 's':
      return random_string (source);
    case 'o':
      return random_object_path (source);
    case 'g':
      return random_signature (source);
    case 'v':
      return random_boxed (source, depth);
    default:
      return random_container (source, type, depth);
    }
}

GVariant *
random_variant (GRand              *rand,
                RandomVariantFlags  flags)
{
  Source source = { .rand = rand, .flags = flags };
  g_autofree char *type = random_type (&source, 0);

  return g_variant_ref_sink (random_value (&source, G_VARIANT_TYPE (type), 0));
}

char *
random_variant_type (GRand *rand)
{
  Source source = { .rand = rand };

  return random_type (&source, 0);
}

GVariant *
random_variant_array (GRand      *rand,
                      const char *type,
                      guint       length)
{
  Source source = { .rand = rand };
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE (type));

  add_elements (&source, &builder, g_variant_type_element (G_VARIANT_TYPE (type)), length, 0);
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

GVariant *
random_strings (GRand *rand)
{
  static const char *const elements[] = { "s", "ay" };
  g_autoptr(GString) type = g_string_new (NULL);
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("aay"));
  guint n = g_rand_int_range (rand, 0, 6);
  GVariant *members[6];

  for (guint i = 0; i < n; i++)
    {
      gsize length = g_rand_int_range (rand, 0, g_rand_boolean (rand) ? 8 : 300);
      g_autofree char *octets = g_malloc (length + 1);

      for (gsize j = 0; j <= length; j++)
        octets[j] = j < length ? g_rand_int_range (rand, 0, 256) : '\0';
      if (g_rand_boolean (rand))
        {
          g_autofree char *text = g_utf8_make_valid (octets, strlen (octets));

          members[i] = g_variant_new_string (text);
        }
      else
        members[i] = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, octets, length, 1);
    }
  switch (n > 0 ? g_rand_int_range (rand, 0, 3) : 0)
    {
    case 0:
      return g_variant_ref_sink (g_variant_new_tuple (members, n));
    case 1:
      for (guint i = 1; i < n; i++)
        g_variant_unref (g_variant_ref_sink (members[i]));
      return g_variant_ref_sink (members[0]);
    default:
      g_string_printf (type, "a%s", elements[g_variant_is_of_type (members[0], G_VARIANT_TYPE_STRING) ? 0 : 1]);
      for (guint i = 1; i < n; i++)
        g_variant_unref (g_variant_ref_sink (members[i]));
      g_variant_ref_sink (members[0]);
      g_variant_builder_clear (&builder);
      g_variant_builder_init (&builder, G_VARIANT_TYPE (type->str));
      for (guint i = g_rand_int_range (rand, 0, 4); i > 0; i--)
        g_variant_builder_add_value (&builder, members[0]);
      g_variant_unref (members[0]);
      return g_variant_ref_sink (g_variant_builder_end (&builder));
    }
}

GVariant *
random_serialisable (GRand      *rand,
                     const char *name)
{
  return strcmp (name, "bytes") == 0 ? random_strings (rand) : random_variant (rand, RANDOM_VARIANT_DEFAULT);
}
