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
#define N_ROUNDS (g_test_thorough () ? 500000 : 5000)

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

static const char *const trusted_texts[] = {
  "'text'", "['text', 'more']", "('text', 1)", "{'text': <1>}", "[<'text'>]", "@ms 'text'", "[('text', 2.5)]",
  "[(true, 'text')]", "[objectpath '/text']", "(int64 1, ['text'])",
};

static void
test_value_trusted (void)
{
  g_test_summary ("GLib knows that what comes out is normal, and does not look again");
  for (guint i = 0; i < G_N_ELEMENTS (trusted_texts); i++)
    for (guint way = 0; way < 4; way++)
      {
        g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed (trusted_texts[i]));
        g_autoptr(GVariant) sent = way % 2 == 0 ? g_variant_ref (value) : g_variant_byteswap (value);
        g_autoptr(GBytes) payload = g_bytes_new (g_variant_get_data (sent), g_variant_get_size (sent));
        const AfrpcFrameHeader header = {
          .flags = way % 2 == 0 ? AFRPC_FRAME_FLAGS_NATIVE : FOREIGN,
          .type_length = strlen (g_variant_get_type_string (value)),
          .size = g_bytes_get_size (payload),
        };
        AfrpcValueType type = { 0 };
        g_autoptr(GVariant) back = afrpc_value_parse (&type, &header, g_variant_get_type_string (value),
                                                      g_bytes_get_data (payload, NULL), way < 2 ? payload : NULL, NULL);

        variant_assert_same (back, value);
        g_assert_true (variant_is_trusted (back));
        if (g_variant_is_container (back))
          {
            g_autoptr(GVariant) child = g_variant_get_child_value (back, 0);

            g_assert_true (variant_is_trusted (child));
          }
      }
}

/* An array of so many tuples. */
static GVariant *
make_rows (guint n)
{
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a(isv)"));

  for (guint i = 0; i < n; i++)
    g_variant_builder_add (&builder, "(isv)", i, "some text that is not so short", g_variant_new_int64 (i));

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/* Returns how many steps that took. */
static guint
parse_in_steps (GVariant  *value,
                guint      flags,
                gssize     budget,
                GVariant **back,
                GError   **error)
{
  const char *type_string = g_variant_get_type_string (value);
  g_autoptr(GBytes) payload = g_bytes_new (g_variant_get_data (value), g_variant_get_size (value));
  AfrpcFrameHeader header = { .flags = flags, .type_length = strlen (type_string), .size = g_bytes_get_size (payload) };
  AfrpcValueType type = { 0 };
  AfrpcValueParser parser;
  guint n = 1;
  int step = afrpc_value_parser_begin (&parser, &type, &header, type_string, g_bytes_get_data (payload, NULL), payload,
                                       back, error);

  /* Others are received meanwhile. */
  g_clear_pointer (&payload, g_bytes_unref);
  memset (&type, 0xff, sizeof type);
  memset (&header, 0xff, sizeof header);
  for (; step == 0; n++)
    step = afrpc_value_parser_step (&parser, budget, back, error);
  g_assert_cmpint (step, ==, *back != NULL ? 1 : -1);

  return n;
}

static void
test_value_parser (void)
{
  g_autoptr(GVariant) value = make_rows (100000);
  g_autoptr(GVariant) swapped = g_variant_byteswap (value);

  g_test_summary ("A large value is looked at in steps, each of which is as large as its budget");
  for (guint i = 0; i < 4; i++)
    {
      const gssize budget = i < 2 ? AFRPC_VALUE_CHECK_SLICE : AFRPC_VALUE_CHECK_SLICE / 16;
      g_autoptr(GVariant) back = NULL;
      g_autoptr(GError) error = NULL;
      guint n = i % 2 == 0 ? parse_in_steps (value, AFRPC_FRAME_FLAGS_NATIVE, budget, &back, &error)
                           : parse_in_steps (swapped, FOREIGN, budget, &back, &error);

      g_assert_no_error (error);
      variant_assert_same (back, value);
      g_assert_true (variant_is_trusted (back));
      g_test_message ("%u steps", n);
      /* It has text of 3 MB, and some 400,000 values. */
      g_assert_cmpuint (n, >, 10 * AFRPC_VALUE_CHECK_SLICE / budget);
      g_assert_cmpuint (n, <, 50 * AFRPC_VALUE_CHECK_SLICE / budget);
    }
}

static void
test_value_parser_small (void)
{
  g_autoptr(GVariant) value = make_rows (1000);
  g_autoptr(GVariant) back = NULL;
  const guint64 bytes[] = { 1, 2, 3 };
  g_autoptr(GVariant) numbers = g_variant_ref_sink (g_variant_new_fixed_array (G_VARIANT_TYPE_UINT64, bytes, 3, 8));

  g_test_summary ("A small value takes one step");
  g_assert_cmpuint (parse_in_steps (value, AFRPC_FRAME_FLAGS_NATIVE, 0, &back, NULL), ==, 1);
  g_clear_pointer (&back, g_variant_unref);
  g_assert_cmpuint (parse_in_steps (numbers, AFRPC_FRAME_FLAGS_NATIVE, 0, &back, NULL), ==, 1);
}

static void
test_value_parser_malformed (void)
{
  g_autoptr(GVariant) value = make_rows (100000);
  guint8 *data = (guint8 *) g_variant_get_data (value);
  g_autoptr(GVariant) back = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A value that is malformed at its end is refused when that is reached");
  /* The type in a `v`. */
  data[g_variant_get_size (value) / 100 * 85] = 0xff;
  g_assert_cmpuint (parse_in_steps (value, AFRPC_FRAME_FLAGS_NATIVE, AFRPC_VALUE_CHECK_SLICE, &back, &error), >, 5);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
  g_assert_null (back);
}

static void
test_value_parser_clear (void)
{
  g_autoptr(GVariant) value = make_rows (100000);
  g_autoptr(GBytes) payload = g_variant_get_data_as_bytes (value);
  const AfrpcFrameHeader header = {
    .flags = AFRPC_FRAME_FLAGS_NATIVE, .type_length = 6, .size = g_bytes_get_size (payload),
  };
  AfrpcValueType type = { 0 };
  AfrpcValueParser parser;
  GVariant *back = NULL;

  g_test_summary ("It can be given up in between");
  g_assert_cmpint (afrpc_value_parser_begin (&parser, &type, &header, "a(isv)", g_bytes_get_data (payload, NULL),
                                             payload, &back, NULL), ==, 0);
  afrpc_value_parser_clear (&parser);
  afrpc_value_parser_clear (&parser);
}

static void
test_value_long_types (void)
{
  g_test_summary ("A type in a `v` that is longer than 255 characters is refused, however long");
  for (gsize length = 4; length < 1 << 22; length *= 4)
    {
      g_autofree char *numbers = g_strnfill (length, 'y');
      g_autofree char *payload = g_strconcat ("-a(", numbers, ")", NULL);
      const gsize size = strlen (payload);

      /* An empty array. */
      payload[0] = '\0';
      g_assert_true (variant_data_is_normal ("v", payload, size));
      g_assert_cmpint (is_refused ("v", 1, payload, size), ==, length > 255 - 3);
    }
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

static void
check_message (GQuark      domain,
               int         code,
               const char *message,
               const char *expected)
{
  const GError error = { domain, code, (char *) message };
  g_autofree char *told = afrpc_error_dup_message (&error);

  g_assert_cmpstr (told, ==, expected);
}

static void
test_value_error_message (void)
{
  static const char exception[] = "python-exception -11: KeyError: 5\n\nTraceback\n\n{\n\n{\"class\":[\"builtins\",\"KeyError\"]}";
  GQuark domain;

  g_test_summary ("What people read of an exception in Python has no details for programs in it");
  check_message (AFRPC_ERROR, AFRPC_ERROR_REMOTE, exception, "python-exception -11: KeyError: 5\n\nTraceback\n\n{");
  check_message (AFRPC_ERROR, AFRPC_ERROR_REMOTE, "python-exception -1: a", "python-exception -1: a");
  check_message (AFRPC_ERROR, AFRPC_ERROR_REMOTE, "python-exception 1: a\n\n{}", "python-exception 1: a\n\n{}");
  check_message (AFRPC_ERROR, AFRPC_ERROR_REMOTE, "perl-exception -1: a\n\n{}", "perl-exception -1: a\n\n{}");
  check_message (AFRPC_ERROR, AFRPC_ERROR_FAILED, exception, exception);
  check_message (G_IO_ERROR, AFRPC_ERROR_REMOTE, exception, exception);
  check_message (0, -1, "a\n\n{}", "a\n\n{}");

  /* Who has registered the domain. */
  domain = g_quark_from_static_string ("python-exception");
  check_message (domain, -1, "a\n\n{}", "a");
  check_message (domain, 1, "a\n\n{}", "a\n\n{}");
  check_message (AFRPC_ERROR, AFRPC_ERROR_REMOTE, "python-exception -1: a\n\n{}", "python-exception -1: a");
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/value/error-message", test_value_error_message);
  g_test_add_func ("/value/types", test_value_types);
  g_test_add_func ("/value/random", test_value_random);
  g_test_add_func ("/value/damaged", test_value_damaged);
  g_test_add_func ("/value/malformed", test_value_malformed);
  g_test_add_func ("/value/invalid-types", test_value_invalid_types);
  g_test_add_func ("/value/depth", test_value_depth);
  g_test_add_func ("/value/type-cache", test_value_type_cache);
  g_test_add_func ("/value/zero-copy", test_value_zero_copy);
  g_test_add_func ("/value/trusted", test_value_trusted);
  g_test_add_func ("/value/parser", test_value_parser);
  g_test_add_func ("/value/parser-small", test_value_parser_small);
  g_test_add_func ("/value/parser-malformed", test_value_parser_malformed);
  g_test_add_func ("/value/parser-clear", test_value_parser_clear);
  g_test_add_func ("/value/long-types", test_value_long_types);
  g_test_add_func ("/value/pack-error", test_value_pack_error);
  g_test_add_func ("/value/unpack-error", test_value_unpack_error);

  return g_test_run ();
}
