/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-value.h"

#include <gio/gio.h>
#include <string.h>

#include "afrpc-error.h"
#include "link/afrpc-error-domains.h"
#include "random-variant.h"
#include "variant-check.h"

#define FOREIGN (AFRPC_FRAME_FLAGS_NATIVE ^ AFRPC_FRAME_FLAG_BIG_ENDIAN)
#define N_ROUNDS (g_test_thorough () ? 500000 : 20000)

/* Parses copies that end exactly where they end, for the sanitizer to see a step too far. */
static GVariant *
parse (AfrpcValueType  *type,
       guint            flags,
       const char      *type_string,
       gsize            type_length,
       gconstpointer    payload,
       gsize            size,
       GError         **error)
{
  const AfrpcFrameHeader header = {
    .kind = AFRPC_FRAME_CALL,
    .flags = flags,
    .type_length = type_length,
    .size = size,
  };
  g_autofree char *type_copy = g_malloc (MAX (type_length, 1));
  g_autofree guint8 *copy = g_memdup2 (payload, size);
  GVariant *value;

  memcpy (type_copy, type_string, type_length);
  value = afrpc_value_parse (type, &header, type_copy, copy, NULL, error);

  /* The value must not live in what it was read from. */
  if (copy != NULL)
    memset (copy, 0xaa, size);

  return value;
}

static gboolean
is_refused (const char    *type_string,
            gsize          type_length,
            gconstpointer  payload,
            gsize          size)
{
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(GError) error = NULL;
      AfrpcValueType type = { 0 };
      g_autoptr(GVariant) value =
        parse (&type, i == 0 ? AFRPC_FRAME_FLAGS_NATIVE : FOREIGN, type_string, type_length,
               payload, size, &error);

      if (value != NULL)
        {
          g_assert_no_error (error);
          return FALSE;
        }
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
    }

  return TRUE;
}

static void
assert_normal (GVariant *value)
{
  g_assert_true (variant_is_normal (value));
  g_assert_false (g_variant_is_floating (value));
}

/* In this machine's byte order, and in the other. */
static void
check_round_trip (AfrpcValueType *type,
                  GVariant       *value)
{
  const char *type_string = g_variant_get_type_string (value);
  g_autoptr(GVariant) swapped = g_variant_byteswap (value);
  g_autoptr(GVariant) back = NULL;
  g_autoptr(GVariant) back_swapped = NULL;
  g_autoptr(GError) error = NULL;

  back = parse (type, AFRPC_FRAME_FLAGS_NATIVE, type_string, strlen (type_string),
                g_variant_get_data (value), g_variant_get_size (value), &error);
  g_assert_no_error (error);
  variant_assert_same (value, back);
  assert_normal (back);
  g_assert_cmpstr (type->string, ==, type_string);
  g_assert_cmpuint (type->length, ==, strlen (type_string));

  back_swapped = parse (type, FOREIGN, type_string, strlen (type_string),
                        g_variant_get_data (swapped), g_variant_get_size (swapped), &error);
  g_assert_no_error (error);
  variant_assert_same (value, back_swapped);
  assert_normal (back_swapped);
}

static void
test_value_types (void)
{
  const char *const texts[] = {
    "true", "false", "byte 0xff", "int16 -2", "uint16 513", "-3", "uint32 67305985", "int64 -4",
    "uint64 72623859790382856", "handle 5", "0.1", "'text'", "''", "'\303\266'",
    "objectpath '/a/b'",
    "signature 'a{sv}'", "<'boxed'>", "<<<int64 1>>>", "@ay []", "b'bytes'", "@as []",
    "['a', 'b', '']",
    "@ai [1, 2, 3]", "@mi nothing", "@mi 1", "@ms 'x'", "@mmb just nothing", "()", "('a',)",
    "(byte 1, int64 2, 'x')",
    "{'a': <1>, 'b': <[{'c': <2.5>}]>}", "{1, 'entry'}", "@a{sv} {}", "@a() [(), ()]",
    "[(byte 1, 'a'), (byte 2, 'b')]",
  };
  AfrpcValueType type = { 0 };

  g_test_summary ("Values of all types come back, in either byte order");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed (texts[i]));

      check_round_trip (&type, value);
    }
}

static void
test_value_random (void)
{
  AfrpcValueType type = { 0 };

  g_test_summary ("Values of random types come back, in either byte order");
  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_DEFAULT);

      check_round_trip (&type, value);
    }
}

static void
test_value_damaged (void)
{
  AfrpcValueType type = { 0 };
  guint n_refused = 0;

  g_test_summary ("Damaged values are refused, or other values in normal form");
  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_DEFAULT);
      g_autoptr(GVariant) back = NULL;
      g_autoptr(GError) error = NULL;
      const char *type_string = g_variant_get_type_string (value);
      gsize size = g_variant_get_size (value);
      g_autofree guint8 *data = g_memdup2 (g_variant_get_data (value), size);

      for (guint n = g_rand_int_range (rand, 1, 3); n > 0 && size > 0; n--)
        data[g_rand_int_range (rand, 0, size)] = g_rand_int (rand);
      if (size > 0 && g_rand_boolean (rand))
        size -= g_rand_int_range (rand, 0, MIN (size, 9));

      back = parse (&type, g_rand_boolean (rand) ? FOREIGN : AFRPC_FRAME_FLAGS_NATIVE,
                    type_string, strlen (type_string), data, size, &error);
      g_assert_cmpint (back != NULL, ==, error == NULL);
      if (back != NULL)
        assert_normal (back);
      else
        n_refused++;
    }
  g_assert_cmpuint (n_refused, >, N_ROUNDS / 10);
}

#define BYTES(text) text, sizeof text - 1

/* Two strings, with offsets of two bytes each though one would do. */
static void
test_value_large_offsets (void)
{
  guint8 payload[257] = { 0 };
  AfrpcValueType type = { 0 };
  g_autoptr(GVariant) parsed = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("There is one way to write a value");
  payload[253] = 100;
  payload[255] = 253;
  parsed = parse (&type, AFRPC_FRAME_FLAGS_NATIVE, "aay", 3, payload, sizeof payload, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
  g_assert_null (parsed);
}

/* Strings of random sizes, none of them larger than @size_max. */
static GVariant *
random_bytes_array (guint size_max)
{
  const guint n = g_test_rand_int_range (0, 8);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_BYTESTRING_ARRAY);
  for (guint i = 0; i < n; i++)
    {
      const guint size = g_test_rand_int_range (0, size_max);
      g_autofree char *bytes = g_strnfill (size, 'x');

      g_variant_builder_add_value (&builder, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, size, 1));
    }

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

static void
test_value_bytes_array (void)
{
  static const guint sizes[] = { 1, 3, 40, 300, 20000 };
  guint n_bad = 0;

  g_test_summary ("Arrays of byte strings are checked in a way of their own, which comes to the same result");
  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr(GVariant) value = random_bytes_array (sizes[i % G_N_ELEMENTS (sizes)]);
      gsize size = g_variant_get_size (value);
      g_autofree guint8 *copy = g_malloc0 (size + 3);
      AfrpcValueType type = { 0 };
      g_autoptr(GVariant) parsed = NULL;
      g_autoptr(GVariant) theirs = NULL;
      g_autoptr(GError) error = NULL;

      g_variant_store (value, copy);
      if (i % 2 == 1)
        {
          /* Mostly among the offsets, which are at the end. */
          const gsize from_end = g_test_rand_int_range (1, 13);
          const gsize place = size > from_end ? size - from_end : 0;

          copy[place] += g_test_rand_int_range (-2, 3);
          size += i % 3 == 0 ? g_test_rand_int_range (0, 4) : 0;
        }
      theirs = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING_ARRAY, copy, size, FALSE, NULL,
                                                            NULL));
      parsed = parse (&type, AFRPC_FRAME_FLAGS_NATIVE, "aay", 3, copy, size, &error);
      g_assert_cmpint (parsed != NULL, ==, g_variant_is_normal_form (theirs));
      if (parsed == NULL)
        n_bad++;
      else
        g_assert_true (g_variant_equal (parsed, theirs));
    }
  g_assert_cmpuint (n_bad, >, N_ROUNDS / 20);
  g_assert_cmpuint (n_bad, <, N_ROUNDS / 2);
}

/* The same in a tuple. */
static void
test_value_large_tuple_offset (void)
{
  guint8 payload[256] = { 0 };
  AfrpcValueType type = { 0 };
  g_autoptr(GVariant) parsed = NULL;
  g_autoptr(GVariant) theirs = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("There is one way to write a tuple");
  payload[254] = 100;
  theirs = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE ("(ayay)"), payload, sizeof payload, FALSE, NULL,
                                                        NULL));
  g_assert_false (g_variant_is_normal_form (theirs));
  parsed = parse (&type, AFRPC_FRAME_FLAGS_NATIVE, "(ayay)", 6, payload, sizeof payload, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
  g_assert_null (parsed);
}

/* Of a type that is checked in a way of its own, or, now and then, almost. */
static char *
random_tuple_type (void)
{
  static const char *const members[] = { "s", "ay", "aay", "b", "y", "q", "i", "x", "d", "s", "ay", "v", "aq", "au", "ad",
                                         "ax", "ab" };
  GString *type = g_string_new ("(");
  const guint n = g_test_rand_int_range (0, 6);

  for (guint i = 0; i < n; i++)
    g_string_append (type, members[g_test_rand_int_range (0, G_N_ELEMENTS (members))]);

  return g_string_free (g_string_append_c (type, ')'), FALSE);
}

/* Of as many numbers as these bytes make. */
static GVariant *
random_array (char  letter,
              char *bytes,
              guint size)
{
  const char type[] = { letter, '\0' };
  const guint element_size = letter == 'q' ? 2 : letter == 'u' ? 4 : letter == 'd' || letter == 'x' ? 8 : 1;

  if (letter == 'b')
    memset (bytes, TRUE, size);

  return g_variant_new_fixed_array (G_VARIANT_TYPE (type), bytes, size / element_size, element_size);
}

static GVariant *
random_member (const char *type,
               guint       size_max)
{
  const guint size = g_test_rand_int_range (0, size_max);
  g_autofree char *text = g_strnfill (size, 'x');

  if (type[0] == 's')
    return g_variant_new_string (text);
  if (g_str_has_prefix (type, "aay"))
    return random_bytes_array (size_max);
  if (type[0] == 'a')
    return random_array (type[1], text, size);

  switch (type[0])
    {
    case 'b':
      return g_variant_new_boolean (size % 2 == 0);

    case 'y':
      return g_variant_new_byte (size);

    case 'q':
      return g_variant_new_uint16 (size);

    case 'i':
      return g_variant_new_int32 (size);

    case 'x':
      return g_variant_new_int64 (size);

    case 'd':
      return g_variant_new_double (size);

    default:
      return g_variant_new_variant (g_variant_new_string (text));
    }
}

static GVariant *
random_tuple (const char *type,
              guint       size_max)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_TUPLE);
  for (const char *t = type + 1; *t != ')';)
    {
      g_autoptr(GVariant) member = g_variant_take_ref (random_member (t, size_max));

      g_variant_builder_add_value (&builder, member);
      t += strlen (g_variant_get_type_string (member));
    }

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

static void
test_value_fixed_array (void)
{
  static const char *const types[] = { "ay", "an", "aq", "ai", "au", "ah", "ax", "at", "ad", "ab" };
  guint64 payload[5];

  g_test_summary ("Arrays of numbers are checked by their size alone, those of truth values are not");
  memset (payload, 0xff, sizeof payload);
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    for (gsize size = 0; size <= sizeof payload; size++)
      {
        AfrpcValueType type = { 0 };
        g_autoptr(GVariant) parsed = NULL;
        g_autoptr(GVariant) theirs = NULL;

        theirs = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE (types[i]), payload, size, FALSE, NULL, NULL));
        parsed = parse (&type, AFRPC_FRAME_FLAGS_NATIVE, types[i], 2, (const guint8 *) payload, size, NULL);
        g_assert_cmpint (parsed != NULL, ==, g_variant_is_normal_form (theirs));
      }
}

static void
test_value_tuple (void)
{
  static const guint sizes[] = { 1, 3, 40, 300, 20000 };
  guint n_bad = 0;

  g_test_summary ("Tuples of strings, bytes and numbers are checked in a way of their own, with the same result");
  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autofree char *type_string = random_tuple_type ();
      g_autoptr(GVariant) value = random_tuple (type_string, sizes[i % G_N_ELEMENTS (sizes)]);
      gsize size = g_variant_get_size (value);
      g_autofree guint8 *copy = g_malloc0 (size + 16);
      AfrpcValueType type = { 0 };
      g_autoptr(GVariant) parsed = NULL;
      g_autoptr(GVariant) theirs = NULL;
      g_autoptr(GError) error = NULL;

      g_variant_store (value, copy);
      if (i % 2 == 1 && size > 0)
        {
          /* Mostly where the offsets are, and the padding. */
          const gsize from_end = g_test_rand_int_range (1, 13);
          const gsize at_begin = g_test_rand_int_range (0, MIN (size, 16));

          copy[i % 3 == 0 ? at_begin : size - MIN (from_end, size)] += g_test_rand_int_range (-2, 3);
          if (size > 3 && i % 5 == 0)
            size += g_test_rand_int_range (-3, 4);
        }
      theirs = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE (type_string), copy, size, FALSE, NULL, NULL));
      parsed = parse (&type, AFRPC_FRAME_FLAGS_NATIVE, type_string, strlen (type_string), copy, size, &error);
      g_assert_cmpint (parsed != NULL, ==, g_variant_is_normal_form (theirs));
      if (parsed == NULL)
        n_bad++;
      else
        g_assert_true (g_variant_equal (parsed, theirs));
    }
  g_assert_cmpuint (n_bad, >, N_ROUNDS / 20);
}

static void
test_value_malformed (void)
{
  static const struct
  {
    const char *type;
    const char *data;
    gsize size;
  } cases[] = {
    { "s", BYTES ("") }, { "s", BYTES ("a") }, { "s", BYTES ("a\0b\0") }, { "s", BYTES ("\0\0") },
    { "s", BYTES ("\377\0") }, { "s", BYTES ("a\303\0") }, { "s", BYTES ("\355\240\200\0") },
    { "o", BYTES ("a\0") }, { "o", BYTES ("/a/\0") }, { "g", BYTES ("(\0") },
    { "g", BYTES ("z\0") },
    { "b", BYTES ("\2") }, { "b", BYTES ("") }, { "y", BYTES ("") }, { "y", BYTES ("ab") },
    { "n", BYTES ("a") }, { "i", BYTES ("abc") }, { "i", BYTES ("abcde") },
    { "x", BYTES ("1234567") },
    { "d", BYTES ("123456789") }, { "ai", BYTES ("abcde") }, { "ab", BYTES ("\0\1\2") },
    { "as", BYTES ("a\0b\0\4\2") }, { "as", BYTES ("a\0b\0\2\11") }, { "as", BYTES ("a\0b\0\1\4") },
    { "as", BYTES ("a\0b\0\2\2\4") }, { "as", BYTES ("a") }, { "aay", BYTES ("ab\2\1") },
    { "(ss)", BYTES ("a\0b\0\1") }, { "(ss)", BYTES ("a\0b\0\5") }, { "(ss)", BYTES ("a\0b\0\0") },
    { "(ss)", BYTES ("a\0") }, { "(sss)", BYTES ("a\0b\0c\0\2\4") },
    { "(yi)", BYTES ("\1\377\0\0\5\0\0\0") },
    { "(yi)", BYTES ("\1\0\0\0\5\0\0") }, { "(iy)", BYTES ("\1\0\0\0\5\0\0\1") },
    { "(ys)", BYTES ("\1") },
    { "()", BYTES ("") }, { "()", BYTES ("\1") }, { "()", BYTES ("\0\0") },
    { "a()", BYTES ("\0\1") },
    { "mi", BYTES ("abc") }, { "ms", BYTES ("a\0") }, { "ms", BYTES ("a\0\1") },
    { "my", BYTES ("\0\0") },
    { "v", BYTES ("") }, { "v", BYTES ("a\0s") }, { "v", BYTES ("a\0\0z") },
    { "v", BYTES ("a\0\0*") },
    { "v", BYTES ("a\0\0") }, { "v", BYTES ("\0") }, { "v", BYTES ("a\0s\0") },
    { "v", BYTES ("ab\0s") },
    { "{sv}", BYTES ("a\0") }, { "a{sv}", BYTES ("a\0\0\0\0\0\0\0\1\0y\2") },
  };

  g_test_summary ("Malformed values are refused, never repaired");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_test_message ("case %u: %s", i, cases[i].type);
      g_assert_true (is_refused (cases[i].type, strlen (cases[i].type), cases[i].data,
                                 cases[i].size));
    }

  /* The way these bytes are made is right: one that is not malformed. */
  g_assert_false (is_refused ("as", 2, BYTES ("a\0b\0\2\4")));
  g_assert_false (is_refused ("(ss)", 4, BYTES ("a\0b\0\2")));
  g_assert_false (is_refused ("a{sv}", 5, BYTES ("a\0\0\0\0\0\0\0\1\0y\2\14")));
  g_assert_false (is_refused ("v", 1, BYTES ("a\0\0s")));
}

static void
test_value_invalid_types (void)
{
  static const struct
  {
    const char *type;
    gsize length;
  } types[] = {
    { BYTES ("") }, { BYTES ("z") }, { BYTES ("a") }, { BYTES ("(") }, { BYTES (")") },
    { BYTES ("(i") }, { BYTES ("ii") },
    { BYTES ("a{s}") }, { BYTES ("a{vs}") }, { BYTES ("*") }, { BYTES ("?") }, { BYTES ("r") },
    { BYTES ("a*") },
    { BYTES ("(*)") }, { BYTES ("a{?*}") }, { BYTES ("m?") }, { BYTES ("s\0") }, { BYTES ("s\0s") },
    { BYTES ("\0") },
    { BYTES ("\0s") }, { BYTES ("s ") }, { BYTES ("\377") }, { BYTES ("ay\0") },
  };
  const char zeros[16] = { 0 };

  g_test_summary ("Types that are invalid, indefinite, empty or contain a NUL are refused");
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_assert_true (is_refused (types[i].type, types[i].length, zeros, 1));
      g_assert_true (is_refused (types[i].type, types[i].length, zeros, 0));
      g_assert_true (is_refused (types[i].type, types[i].length, zeros, sizeof zeros));
    }
}

static void
test_value_depth (void)
{
  g_test_summary ("Nesting is accepted as deep as GLib allows, and refused below");
  for (guint n = 1; n < AFRPC_FRAME_TYPE_MAX; n++)
    {
      g_autofree char *arrays = g_strnfill (n, 'a');
      g_autofree char *type = g_strconcat (arrays, "s", NULL);

      g_assert_cmpint (is_refused (type, n + 1, "", 0), ==, !g_variant_type_string_is_valid (type));
    }

  for (guint n = 1; n < 300; n++)
    {
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_string ("x"));
      gboolean refused;

      for (guint i = 0; i < n; i++)
        {
          GVariant *boxed = g_variant_ref_sink (g_variant_new_variant (value));

          g_variant_unref (value);
          value = boxed;
        }
      refused = is_refused ("v", 1, g_variant_get_data (value), g_variant_get_size (value));
      /* The string is one, too. */
      g_assert_cmpint (refused, ==, n + 1 > 128);
    }
}

static void
test_value_type_cache (void)
{
  static const struct
  {
    const char *type;
    gsize length;
    gboolean valid; /* with eight zeros as payload */
  } types[] = {
    { BYTES (""), FALSE }, { BYTES ("x"), TRUE }, { BYTES ("t"), TRUE }, { BYTES ("z"), FALSE },
    { BYTES ("*"), FALSE },
    { BYTES ("ay"), TRUE }, { BYTES ("ab"), TRUE }, { BYTES ("a*"), FALSE }, { BYTES ("a"), FALSE },
    { BYTES ("x\0"), FALSE }, { BYTES ("\0"), FALSE }, { BYTES ("\0x"), FALSE },
    { BYTES ("(x)"), TRUE },
    { BYTES ("(x"), FALSE }, { BYTES ("(xz"), FALSE }, { BYTES ("(?)"), FALSE },
  };
  const guint64 zeros = 0;

  g_test_summary ("A type's validity does not depend on the types before it");
  for (guint round = 0; round < 100; round++)
    {
      AfrpcValueType type = { 0 };

      for (guint n = 0; n < 200; n++)
        {
          const guint i = g_test_rand_int_range (0, G_N_ELEMENTS (types));
          g_autoptr(GError) error = NULL;
          g_autoptr(GVariant) value =
            parse (&type, AFRPC_FRAME_FLAGS_NATIVE, types[i].type, types[i].length, &zeros,
                   sizeof zeros, &error);

          g_assert_cmpint (value != NULL, ==, types[i].valid);
          if (value != NULL)
            g_assert_cmpstr (g_variant_get_type_string (value), ==, types[i].type);
          else
            g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
        }
    }
}

static void
test_value_zero_copy (void)
{
  g_autoptr(GVariant) original =
    g_variant_ref_sink (g_variant_new_parsed ("('text', [1, 2, 3], b'bytes')"));
  g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes (original);
  const char *type_string = g_variant_get_type_string (original);
  const AfrpcFrameHeader header = {
    .kind = AFRPC_FRAME_CALL,
    .flags = AFRPC_FRAME_FLAGS_NATIVE,
    .type_length = strlen (type_string),
    .size = g_bytes_get_size (bytes),
  };
  gconstpointer data = g_bytes_get_data (bytes, NULL);
  AfrpcValueType type = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_value_parse (&type, &header, type_string, data, bytes, &error);

  g_test_summary ("A payload in memory of its own is used where it lies, and kept alive");
  g_assert_no_error (error);
  g_assert_true (g_variant_get_data (value) == data);
  g_clear_pointer (&original, g_variant_unref);
  g_clear_pointer (&bytes, g_bytes_unref);
  original = g_variant_ref_sink (g_variant_new_parsed ("('text', [1, 2, 3], b'bytes')"));
  variant_assert_same (value, original);
}

static void
check_packed (const GError *error,
              const char   *expected)
{
  g_autoptr(GVariant) value = afrpc_value_pack_error (error);
  g_autofree char *text = g_variant_print (value, FALSE);

  g_assert_cmpstr (g_variant_get_type_string (value), ==, "(sis)");
  g_assert_cmpstr (text, ==, expected);
  assert_normal (value);
}

static void
test_value_pack_error (void)
{
  const GQuark odd = g_quark_from_string ("a\377b");

  g_test_summary ("An error travels as valid UTF-8 whatever it contains");
  check_packed (&(GError) { G_IO_ERROR, G_IO_ERROR_NOT_FOUND, (char *) "text" },
                "('g-io-error-quark', 1, 'text')");
  check_packed (&(GError) { G_IO_ERROR, G_MININT, (char *) "" },
                "('g-io-error-quark', -2147483648, '')");
  check_packed (&(GError) { G_IO_ERROR, G_MAXINT, NULL }, "('g-io-error-quark', 2147483647, '')");
  check_packed (&(GError) { 0, 5, (char *) "x" }, "('', 5, 'x')");
  check_packed (&(GError) { odd, 5, (char *) "\303\266\303" },
                "('a\357\277\275b', 5, '\303\266\357\277\275')");
}

static void
check_unpacked (const char *domain,
                const char *message,
                GQuark      expected_domain,
                int         expected_code,
                const char *expected_message)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new ("(sis)", domain, 7, message));
  g_autoptr(GError) error = afrpc_error_domains_unpack (value);

  g_assert_error (error, expected_domain, expected_code);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  g_assert_cmpuint (strlen (error->message), <, 65536 + 10);
  if (expected_message != NULL)
    g_assert_cmpstr (error->message, ==, expected_message);
}

static void
test_value_unpack_error (void)
{
  g_autoptr(GVariant) other = g_variant_ref_sink (g_variant_new_string ("x"));
  g_autoptr(GError) error = afrpc_error_domains_unpack (other);
  g_autofree char *long_name = g_strnfill (254, 'n');
  g_autofree char *odd_name = g_strconcat (long_name, "\303\266", NULL);
  g_autofree char *odd_message = g_strnfill (70000, 'm');

  g_test_summary ("Codes of known domains are kept; of others, only the words are");
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
  check_unpacked ("g-io-error-quark", "text", G_IO_ERROR, 7, "text");
  check_unpacked ("afrpc-error-quark", "text", AFRPC_ERROR, 7, "text");
  check_unpacked ("test-domain", "text", AFRPC_ERROR, AFRPC_ERROR_REMOTE, "test-domain 7: text");
  g_assert_cmpuint (g_quark_try_string ("test-domain"), ==, 0);
  afrpc_error_domains_add (g_quark_from_string ("test-domain"));
  check_unpacked ("test-domain", "text", g_quark_from_string ("test-domain"), 7, "text");
  check_unpacked ("", "", AFRPC_ERROR, AFRPC_ERROR_REMOTE, NULL);

  /* Cut, but never in the middle of a character. */
  check_unpacked (odd_name, "text", AFRPC_ERROR, AFRPC_ERROR_REMOTE, NULL);
  memcpy (odd_message + 65535, "\303\266", 2);
  check_unpacked ("g-io-error-quark", odd_message, G_IO_ERROR, 7, NULL);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/value/types", test_value_types);
  g_test_add_func ("/value/random", test_value_random);
  g_test_add_func ("/value/damaged", test_value_damaged);
  g_test_add_func ("/value/bytes-array", test_value_bytes_array);
  g_test_add_func ("/value/tuple", test_value_tuple);
  g_test_add_func ("/value/large-tuple-offset", test_value_large_tuple_offset);
  g_test_add_func ("/value/fixed-array", test_value_fixed_array);
  g_test_add_func ("/value/large-offsets", test_value_large_offsets);
  g_test_add_func ("/value/malformed", test_value_malformed);
  g_test_add_func ("/value/invalid-types", test_value_invalid_types);
  g_test_add_func ("/value/depth", test_value_depth);
  g_test_add_func ("/value/type-cache", test_value_type_cache);
  g_test_add_func ("/value/zero-copy", test_value_zero_copy);
  g_test_add_func ("/value/pack-error", test_value_pack_error);
  g_test_add_func ("/value/unpack-error", test_value_unpack_error);

  return g_test_run ();
}
