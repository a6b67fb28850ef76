/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "random-variant.h"
#include "value-oracle.h"
#include "variant-check.h"

/* Types, and values in each other. */

#define N_ROUNDS (g_test_thorough () ? 1000000u : 30000u)

/* All strings of these characters that are no longer. */
static void
check_all_types (const char *characters,
                 gsize       length)
{
  const gsize n = strlen (characters);
  g_autofree char *type = g_malloc0 (length + 1);
  g_autofree gsize *digits = g_new0 (gsize, length + 1);
  gsize i = 0;

  while (i < length)
    {
      for (i = 0; i < length && digits[i] == n; i++)
        digits[i] = 1;
      if (i < length)
        digits[i]++;
      for (gsize j = 0; j < length; j++)
        type[j] = digits[j] > 0 ? characters[digits[j] - 1] : '\0';
      oracle_check_type (type);
    }
}

static void
test_value_deep_all_types (void)
{
  g_test_summary ("What is a type is what GLib says is one, of a value and of 255 characters at most");
  check_all_types ("bsvam(){}r", 5);
  check_all_types ("sa(){}", 7);
  for (guint c = 1; c < 256; c++)
    {
      const char texts[][5] = { { c }, { 'a', c }, { '(', c, ')' }, { 'a', '{', c, 's', '}' }, { 's', c } };

      for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
        oracle_check_type (texts[i]);
    }

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_autofree char *type = random_variant_type (rand);

      oracle_check_type (type);
      type[g_rand_int_range (rand, 0, strlen (type))] = "sa(){}mv"[g_rand_int_range (rand, 0, 8)];
      oracle_check_type (type);
    }
}

static const struct
{
  const char *opening;
  const char *closing;
} deep_types[] = {
  { "a", "" }, { "m", "" }, { "am", "" }, { "(", ")" }, { "{s", "}" }, { "a{s", "}" }, { "(y", "n)" },
};

static void
test_value_deep_types (void)
{
  static const char *const insides[] = { "s", "()", "(())", "v", "y" };

  g_test_summary ("Types are as deep, and as long, as GLib and the limit allow");
  for (guint i = 0; i < G_N_ELEMENTS (deep_types); i++)
    for (guint j = 0; j < G_N_ELEMENTS (insides); j++)
      for (guint n = 0; n < 140; n++)
        {
          g_autofree char *type = variant_make_deep_text (deep_types[i].opening, n, insides[j], deep_types[i].closing);

          oracle_check_type (type);
        }
}

/* Puts @value into @n containers; each takes the next kind from @kinds. NULL if there is no type of such a value. */
static GVariant *
nest (const char *kinds,
      guint       n,
      GVariant   *value)
{
  for (guint i = 0; i < n; i++)
    {
      if (!oracle_is_type (g_variant_get_type_string (value)))
        {
          g_variant_unref (g_variant_ref_sink (value));
          return NULL;
        }
      value = variant_nest (kinds[i % strlen (kinds)], value);
    }

  return g_variant_ref_sink (value);
}

static void
test_value_deep_values (void)
{
  static const char *const kinds[] = { "a", "m", "(", "v", "va", "vm", "v(", "v{", "v{a", "am(v", "vaaaaaaaa", "vm(a",
                                       "m{", "vmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm" };
  static const char *const leaves[] = { "true", "()", "@as []", "'x'", "['x']", "[byte 1]", "@mi 1", "<1>",
                                        "(1, byte 2)", "@a() [()]", "(true, 'x')" };
  guint n_normal = 0, n_bad = 0;

  g_test_summary ("Values in each other are as deep as GLib takes them, whatever they are");
  for (guint k = 0; k < G_N_ELEMENTS (kinds); k++)
    for (guint l = 0; l < G_N_ELEMENTS (leaves); l++)
      for (guint n = 110; n < 134; n++)
        {
          g_autoptr(GVariant) value = nest (kinds[k], n, g_variant_new_parsed (leaves[l]));

          if (value == NULL || !oracle_is_type (g_variant_get_type_string (value)))
            continue;
          if (oracle_check_value (value))
            n_normal++;
          else
            n_bad++;
        }
  g_assert_cmpuint (n_normal, >, 1000);
  g_assert_cmpuint (n_bad, >, 500);
}

/* A tuple of a type that is long, with another such tuple in a `v` at the place that @pattern tells. */
static GVariant *
make_nested (guint n,
             guint pattern)
{
  GVariant *value = g_variant_new_string ("in the middle");

  for (guint i = 0; i < n; i++)
    {
      GVariant *parts[6];

      for (guint j = 0; j < G_N_ELEMENTS (parts); j++)
        parts[j] = j == (i + pattern) % G_N_ELEMENTS (parts) ? g_variant_new_variant (value)
                   : j % 2 == 0                              ? g_variant_new_string ("text")
                                                             : g_variant_new_parsed ("[(1, 'x'), (%u, 'y')]", i);
      value = g_variant_new_tuple (parts, G_N_ELEMENTS (parts));
    }

  return g_variant_ref_sink (value);
}

static void
test_value_deep_types_in_values (void)
{
  g_test_summary ("What is in a tuple is known again behind a `v` with many types in it");
  for (guint n = 0; n < 70; n++)
    for (guint pattern = 0; pattern < 6; pattern++)
      {
        g_autoptr(GVariant) value = make_nested (n, pattern);
        const gsize size = g_variant_get_size (value);
        g_autofree guint8 *data = g_memdup2 (g_variant_get_data (value), size);
        OracleType type;

        oracle_type_init (&type, g_variant_get_type_string (value));
        oracle_check (&type, data, size);
        for (guint i = 0; i < 5; i++)
          {
            const gsize at = g_test_rand_int_range (0, size);

            data[at] ^= 1;
            oracle_check (&type, data, size);
            data[at] ^= 1;
          }
      }
}

/* Each with a type of its own, at the same depth: nothing of them is kept. */
static void
test_value_deep_many_types (void)
{
  static const char *const texts[] = { "<@as ['a']>", "(<@as ['a']>, <@as []>, 'x')", "{'a', <(<@as []>, 'x')>}" };

  g_test_summary ("Types in as many `v` as one likes take no memory");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr(GVariant) element = g_variant_ref_sink (g_variant_new_parsed (texts[i]));
      g_autofree GVariant **elements = g_new (GVariant *, 40000);
      g_autoptr(GVariant) value = NULL;

      for (guint j = 0; j < 40000; j++)
        elements[j] = element;
      value = g_variant_ref_sink (g_variant_new_array (NULL, elements, 40000));
      g_assert_true (oracle_check_value (value));
    }
}

/* Puts @value into a `v`, over and over. */
static GVariant *
box (GVariant *value,
     guint     n)
{
  for (; n > 0; n--)
    value = g_variant_new_variant (value);

  return value;
}

static void
test_value_deep_empty (void)
{
  static const char *const insides[] = { "i", "()", "s", "v", "(())", "ay", "as", "a()" };

  g_test_summary ("Types in each other, with nothing or zeros for values, are as deep as GLib takes them");
  for (guint i = 0; i < G_N_ELEMENTS (deep_types); i++)
    for (guint j = 0; j < G_N_ELEMENTS (insides); j++)
      for (guint n = 1; n < 130; n += n < 120 ? 13 : 1)
        for (guint boxes = 0; boxes < 132; boxes++)
          {
            g_autofree char *string =
              variant_make_deep_text (deep_types[i].opening, n, insides[j], deep_types[i].closing);
            g_autoptr(GBytes) zeros = NULL;
            g_autoptr(GVariant) value = NULL;
            AfrpcLayout layout[AFRPC_LAYOUT_TYPE_MAX];

            /* Where nothing changes, one is as good as all. */
            if ((boxes > 2 && boxes < 122 && ABS ((int) (boxes + n) - 126) > 4) ||
                !afrpc_layout_init (layout, string, strlen (string)))
              continue;
            zeros = g_bytes_new_take (g_malloc0 (layout->fixed_size + 1), layout->fixed_size);
            value = box (g_variant_new_from_bytes ((const GVariantType *) string, zeros, FALSE), boxes);
            g_variant_ref_sink (value);
            oracle_check_value (value);
          }
}

static void
test_value_deep_long_type (void)
{
  g_test_summary ("A type in a `v` has 255 characters at most, which GLib does not ask for");
  for (guint n = 250; n < 260; n++)
    {
      g_autofree char *numbers = g_strnfill (n - 2, 'y');
      g_autofree char *type_string = g_strdup_printf ("(%s)", numbers);
      g_autoptr(GBytes) zeros = g_bytes_new_take (g_malloc0 (n - 2), n - 2);
      g_autoptr(GVariant) value =
        g_variant_ref_sink (box (g_variant_new_from_bytes ((const GVariantType *) type_string, zeros, TRUE), 1));
      OracleType type;

      oracle_type_init (&type, "v");
      g_assert_true (variant_is_normal (value));
      g_assert_cmpint (variant_has_long_type (value), ==, n > 255);
      g_assert_cmpint (oracle_is_normal (&type, g_variant_get_data (value), g_variant_get_size (value)), ==, n <= 255);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/value-deep/all-types", test_value_deep_all_types);
  g_test_add_func ("/value-deep/types", test_value_deep_types);
  g_test_add_func ("/value-deep/values", test_value_deep_values);
  g_test_add_func ("/value-deep/types-in-values", test_value_deep_types_in_values);
  g_test_add_func ("/value-deep/many-types", test_value_deep_many_types);
  g_test_add_func ("/value-deep/empty", test_value_deep_empty);
  g_test_add_func ("/value-deep/long-type", test_value_deep_long_type);

  return g_test_run ();
}
