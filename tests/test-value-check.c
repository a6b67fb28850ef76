/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "random-variant.h"
#include "value-oracle.h"
#include "variant-check.h"
#include "wire/afrpc-value.h"

/* Values of all types, whole and damaged. */

#define N_ROUNDS (g_test_thorough () ? 1000000u : 30000u)

/* All values of so many of these bytes, at most. */
static guint
check_all_values (const char   *string,
                  const guint8 *bytes,
                  gsize         n_bytes,
                  gsize         size)
{
  guint8 data[8] = { 0 };
  gsize digits[8] = { 0 };
  guint n_normal = 0;
  OracleType type;

  oracle_type_init (&type, string);
  for (gsize n = 0; n <= size; n++)
    {
      gsize i = 0;

      memset (digits, 0, sizeof digits);
      while (i < n || n == 0)
        {
          for (gsize j = 0; j < n; j++)
            data[j] = bytes[digits[j]];
          n_normal += oracle_check (&type, data, n);
          for (i = 0; i < n && ++digits[i] == n_bytes; i++)
            digits[i] = 0;
          if (n == 0)
            break;
        }
    }

  return n_normal;
}

static void
test_value_check_small (void)
{
  static const char *const types[] = {
    "b", "y", "n", "s", "o", "g", "v", "()", "(y)", "(b)", "(s)", "(ss)", "(ys)", "(sy)", "(sss)", "(yny)", "(b())",
    "ab", "ay", "an", "a()", "as", "ag", "av", "a(s)", "a(y)", "a(bb)", "a(bn)", "aas", "aan", "amy", "ams", "aay",
    "mb", "ms", "mms", "mmb", "m()", "m(s)", "mv", "{sy}", "a{sy}", "a{ys}", "a{sv}", "(ayay)", "(asay)", "((s)s)",
    "(ayn)", "(nay)", "(ay(n)ay)", "vv", "(v)", "(vy)", "(yv)", "(mn)", "(mnmn)",
  };
  static const guint8 bytes[] = { 0, 1, 2, 3, 4, 's', 'y', 'v', '/', 0xc3, 0xa9 };
  guint n_normal = 0;

  g_test_summary ("Of all small values, those are normal that are so for GLib");
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (g_variant_type_string_is_valid (types[i]))
      n_normal += check_all_values (types[i], bytes, G_N_ELEMENTS (bytes), g_test_thorough () ? 5 : 4);
  g_assert_cmpuint (n_normal, >, 500);
}

/* Damage, of the kinds that somebody might try; makes it larger by 9 bytes at most. */
static gsize
damage (GRand  *rand,
        guint8 *data,
        gsize   size)
{
  static const guint8 bytes[] = { 0, 1, 2, 0xff, 0x80, 's', 'v', '(', 0xfe };
  gsize at, n;

  if (size == 0)
    return g_rand_int_range (rand, 0, 3);

  /* Mostly at the end, where offsets and types are. */
  at = g_rand_int_range (rand, 0, size);
  if (g_rand_boolean (rand))
    at = size - 1 - at % MIN (size, 12);
  n = g_rand_int_range (rand, 1, 10);
  switch (g_rand_int_range (rand, 0, 8))
    {
    case 0:
      data[at] ^= 1 << g_rand_int_range (rand, 0, 8);
      break;
    case 1:
      data[at] += g_rand_int_range (rand, -2, 3);
      break;
    case 2:
      data[at] = bytes[g_rand_int_range (rand, 0, G_N_ELEMENTS (bytes))];
      break;
    case 3:
      return at;
    case 4:
      memmove (data + at + n, data + at, size - at);
      memset (data + at, g_rand_boolean (rand) ? 0 : data[at], n);
      return size + n;
    case 5:
      n = MIN (n, size - at);
      memmove (data + at, data + at + n, size - at - n);
      return size - n;
    case 6:
      data[at] = data[g_rand_int_range (rand, 0, size)];
      break;
    default:
      n = MIN (n, size - at);
      memmove (data + g_rand_int_range (rand, 0, size - n + 1), data + at, n);
      break;
    }

  return size;
}

static void
test_value_check_damaged (void)
{
  guint n_bad = 0;

  g_test_summary ("Of values of all types, whole and damaged, those are normal that are so for GLib");
  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_DEFAULT);
      gsize size = g_variant_get_size (value);
      g_autofree guint8 *data = g_malloc0 (size + 27);
      OracleType type;

      oracle_type_init (&type, g_variant_get_type_string (value));
      g_variant_store (value, data);
      g_assert_true (oracle_check (&type, data, size));
      for (guint n = g_rand_int_range (rand, 1, 4); n > 0; n--)
        size = damage (rand, data, size);
      n_bad += !oracle_check (&type, data, size);
    }
  g_assert_cmpuint (n_bad, >, N_ROUNDS / 4);
  g_assert_cmpuint (n_bad, <, N_ROUNDS);
}

static void
test_value_check_other_type (void)
{
  g_test_summary ("So it is with bytes that are of another type than they were made for");
  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_DEFAULT);
      g_autofree char *string = random_variant_type (rand);
      OracleType type;

      oracle_type_init (&type, string);
      oracle_check (&type, g_variant_get_data (value), g_variant_get_size (value));
    }
}

/* Bytes, with @n places in them and then offsets of @offset_size of these places; the last is @size, but for
 * @wrong. */
static gsize
make_offsets (guint8  *data,
              gsize    size,
              guint    n,
              guint    offset_size,
              gboolean is_tuple,
              int      wrong)
{
  memset (data, 'x', size);
  for (guint i = 0; i < n; i++)
    {
      const gsize place = is_tuple ? size * (n - i) / (n + 1) : size * (i + 1) / n;
      const guint64 end = GUINT64_TO_LE ((guint64) place + (i == n - 1 ? wrong : 0));

      if (place > 0)
        data[place - 1] = '\0';
      memcpy (data + size + i * offset_size, &end, offset_size);
    }
  if (size > 0)
    data[size - 1] = '\0';

  return size + n * offset_size;
}

static void
test_value_check_offsets (void)
{
  static const struct
  {
    const char *type;
    guint n;
  } types[] = { { "aay", 1 }, { "aay", 3 }, { "aay", 50 }, { "as", 2 }, { "as", 30 }, { "ams", 3 },
                { "(ayay)", 1 }, { "(ss)", 1 }, { "(ssay)", 2 }, { "(ayayayayayay)", 5 }, { "{say}", 1 } };
  static const gsize sizes[] = { 10, 200, 65400 };
  guint n_normal = 0;

  g_test_summary ("Offsets are as large as they have to be, and no larger");
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    for (guint j = 0; j < G_N_ELEMENTS (sizes); j++)
      for (gsize size = sizes[j]; size < sizes[j] + 140; size += size < 1000 ? 1 : 6)
        for (guint offset_size = 1; offset_size <= 8; offset_size *= 2)
          {
            g_autofree guint8 *data = g_malloc (size + types[i].n * offset_size);
            OracleType type;

            oracle_type_init (&type, types[i].type);
            for (int wrong = -2; wrong <= 2; wrong++)
              {
                const gsize whole = make_offsets (data, size, types[i].n, offset_size, types[i].type[0] != 'a', wrong);

                n_normal += oracle_check (&type, data, whole);
              }
          }
  g_assert_cmpuint (n_normal, >, 2000);
}

/* Rows of values of fixed size: with one byte that is not as it should be, wherever that is. */
static void
test_value_check_rows (void)
{
  static const char *const types[] = { "b", "()", "(yn)", "(bb)", "(bbb)", "(yx)", "((yn)y)", "(xb)", "(yybnyy)",
                                       "(()n)" };

  g_test_summary ("In a row of values of fixed size, each has to be normal");
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    for (guint n = 1; n < 3000; n = n * 3 + 1)
      {
        g_autofree char *string = g_strconcat ("a", types[i], NULL);
        g_autofree guint8 *data = NULL;
        gsize size;
        OracleType type;

        oracle_type_init (&type, string);
        size = n * type.layout[1].fixed_size;
        data = g_malloc0 (size + 1);
        g_assert_true (oracle_check (&type, data, size));
        g_assert_false (type.layout[1].fixed_size > 1 && oracle_check (&type, data, size + 1));
        for (gsize at = 0; at < size; at += n < 100 ? 1 : 997)
          {
            data[at] = 2;
            oracle_check (&type, data, size);
            data[at] = 0;
          }
      }
}

static void
test_value_check_fixed (void)
{
  static const char *const types[] = { "y", "b", "h", "d", "()", "(hhh)", "(yx)", "(bn)", "{uy}", "((y)(i)())", "mi", "(ai)" };
  static const guint8 zeros[80];
  guint n_normal = 0;

  g_test_summary ("What has a fixed size has neither more bytes nor less");
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    for (gsize size = 0; size < sizeof zeros; size++)
      {
        const AfrpcFrameHeader header = { .type_length = strlen (types[i]), .flags = AFRPC_FRAME_FLAGS_NATIVE, .size = size };
        AfrpcValueType cache = { 0 };
        OracleType type;
        g_autoptr(GVariant) value = NULL;
        gboolean is_normal;

        oracle_type_init (&type, types[i]);
        is_normal = oracle_check (&type, zeros, size);
        value = afrpc_value_parse (&cache, &header, types[i], zeros, NULL, NULL);
        g_assert_cmpint (value != NULL, ==, is_normal);
        if (is_normal)
          g_assert_cmpuint (g_variant_get_size (value), ==, size);
        n_normal += is_normal;
      }
  g_assert_cmpuint (n_normal, >=, G_N_ELEMENTS (types));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/value-check/small", test_value_check_small);
  g_test_add_func ("/value-check/damaged", test_value_check_damaged);
  g_test_add_func ("/value-check/other-type", test_value_check_other_type);
  g_test_add_func ("/value-check/offsets", test_value_check_offsets);
  g_test_add_func ("/value-check/rows", test_value_check_rows);
  g_test_add_func ("/value-check/fixed", test_value_check_fixed);

  return g_test_run ();
}
