/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-fit.h"

#include <string.h>

#include "afrpc-error.h"
#include "random-variant.h"
#include "variant-check.h"

/* What becomes a value of a type, and which. */
static const struct
{
  const char *text;
  const char *type;
  const char *expected;
} fitting[] = {
  { "5", "i", "5" },
  { "int64 5", "y", "byte 5" },
  { "int64 -32768", "n", "int16 -32768" },
  { "int64 65535", "q", "uint16 65535" },
  { "int64 -2147483648", "i", "-2147483648" },
  { "int64 4294967295", "u", "uint32 4294967295" },
  { "uint64 9223372036854775807", "x", "int64 9223372036854775807" },
  { "-9007199254740992.0", "x", "int64 -9007199254740992" },
  { "int64 9223372036854775807", "t", "uint64 9223372036854775807" },
  { "9007199254740992.0", "t", "uint64 9007199254740992" },
  { "3.0", "i", "3" },
  { "byte 3", "d", "3.0" },
  { "int64 -3", "d", "-3.0" },
  { "int64 9007199254740992", "d", "9007199254740992.0" },
  { "uint64 18446744073709549568", "d", "18446744073709549568.0" },
  { "int64 3", "h", "handle 3" },
  { "int64 1", "v", "<int64 1>" },
  { "<int64 1>", "i", "1" },
  { "<<int64 1>>", "i", "1" },
  { "'/a'", "o", "objectpath '/a'" },
  { "'a{sv}'", "g", "signature 'a{sv}'" },
  { "@mv nothing", "ms", "@ms nothing" },
  { "'x'", "ms", "@ms 'x'" },
  { "@mx 5", "mi", "@mi 5" },
  { "@mv nothing", "mas", "@mas nothing" },
  { "[<int64 1>, <2.5>]", "ad", "[1.0, 2.5]" },
  { "[int64 1, 2]", "ai", "[1, 2]" },
  { "[<int64 1>, <'x'>]", "(is)", "(1, 'x')" },
  { "(int64 1, 'x')", "av", "[<int64 1>, <'x'>]" },
  { "(int64 1, 2.0)", "ai", "[1, 2]" },
  { "@av []", "a(ss)", "@a(ss) []" },
  { "@av []", "()", "()" },
  { "[<'a'>, <'b'>]", "as", "['a', 'b']" },
  { "[<byte 1>, <int64 2>]", "ay", "[byte 1, 2]" },
  { "{'a': <int64 1>, 'b': <2.0>}", "a{si}", "{'a': 1, 'b': 2}" },
  { "{int64 1: <'x'>}", "a{is}", "{1: 'x'}" },
  { "@a{sv} {}", "a{is}", "@a{is} {}" },
  { "{'a': <{'b': <[<int64 1>]>}>}", "a{sa{sai}}", "{'a': {'b': [1]}}" },
  { "(int64 1, [<[<int64 2>, <'x'>]>], @mv nothing)", "(da(us)mb)", "(1.0, [(uint32 2, 'x')], @mb nothing)" },
};

/* What does not, with the part of the value that is in the way. */
static const struct
{
  const char *text;
  const char *type;
  const char *culprit; /* (nullable): none that a message could show */
  gboolean is_inexact; /* another integer may have been meant */
} misfits[] = {
  { "int64 256", "y", "256" },
  { "int64 -1", "y", "-1" },
  { "int64 32768", "n", "32768" },
  { "int64 -32769", "n", "-32769" },
  { "int64 65536", "q", "65536" },
  { "int64 2147483648", "i", "2147483648" },
  { "int64 -2147483649", "i", "-2147483649" },
  { "int64 4294967296", "u", "4294967296" },
  { "int64 2147483648", "h", "2147483648" },
  { "uint64 9223372036854775808", "x", "9223372036854775808" },
  { "9007199254740994.0", "x", "9007199254740994.0", TRUE },
  { "-9007199254740994.0", "x", "-9007199254740994.0", TRUE },
  { "9223372036854775808.0", "x", "9.2233720368547758e+18", TRUE },
  { "int64 -1", "t", "-1" },
  { "12345678901234567890.0", "t", "1.2345678901234567e+19", TRUE },
  { "18446744073709551616.0", "t", "1.8446744073709552e+19", TRUE },
  { "1.5", "i", "1.5" },
  { "-0.0", "i", "-0.0" },
  { "1e18", "i", "1e+18", TRUE },
  { "inf", "x", "inf" },
  { "nan", "x", "nan" },
  { "int64 9007199254740993", "d", "9007199254740993" },
  { "uint64 18446744073709551615", "d", "18446744073709551615" },
  { "'5'", "i", "'5'" },
  { "true", "i", "true" },
  { "int64 1", "b", "1" },
  { "handle 1", "i", "1" },
  { "int64 5", "s", "5" },
  { "'a'", "o", "'a'" },
  { "'('", "g", "'('" },
  { "b'abc'", "s", NULL },
  { "'abc'", "ay", "'abc'" },
  { "@mx nothing", "i", NULL },
  { "[<int64 1>, <'x'>]", "ad", "'x'" },
  { "[<int64 1>, <@mv nothing>]", "ai", NULL },
  { "[<int64 1>]", "(ii)", NULL },
  { "(int64 1, 2)", "(i)", NULL },
  { "{'a': <int64 1>}", "as", NULL },
  { "{'a': <int64 1>}", "(s)", NULL },
  { "@av []", "a{sv}", NULL },
  { "{'1': <'x'>}", "a{is}", "'1'" },
  { "{'a': <1.5>}", "a{si}", "1.5" },
};

static GVariant *
parse (const char *text)
{
  g_autoptr(GError) error = NULL;
  GVariant *value = g_variant_parse (NULL, text, NULL, NULL, &error);

  g_assert_no_error (error);

  return value;
}

static void
test_fit_fitting (void)
{
  g_test_summary ("A value becomes one of another type if nothing is lost by it");
  for (guint i = 0; i < G_N_ELEMENTS (fitting); i++)
    {
      g_autoptr(GVariant) value = parse (fitting[i].text);
      g_autoptr(GVariant) expected = parse (fitting[i].expected);
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) fitted = afrpc_fit (value, G_VARIANT_TYPE (fitting[i].type), &error);

      g_assert_no_error (error);
      g_assert_false (g_variant_is_floating (fitted));
      g_assert_cmpvariant (fitted, expected);
    }
}

static void
test_fit_misfits (void)
{
  g_test_summary ("What would be another value is refused, with both types and what is in the way");
  for (guint i = 0; i < G_N_ELEMENTS (misfits); i++)
    {
      g_autoptr(GVariant) value = parse (misfits[i].text);
      g_autofree char *words = g_strdup_printf ("takes %s, not %s%s%s%s%s", misfits[i].type, g_variant_get_type_string (value),
                                                misfits[i].culprit != NULL ? ": " : "",
                                                misfits[i].culprit != NULL ? misfits[i].culprit : "",
                                                misfits[i].culprit != NULL ? " does not fit" : "",
                                                misfits[i].is_inexact ? ": beyond 2^53 a double may be another integer; "
                                                                        "in JSON, write a string of digits" : "");
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) fitted = afrpc_fit (value, G_VARIANT_TYPE (misfits[i].type), &error);

      g_assert_null (fitted);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS);
      if (!g_str_has_suffix (error->message, words))
        g_error ("'%s' ends with '%s'", error->message, words);
    }
}

static void
test_fit_indefinite (void)
{
  g_autoptr(GVariant) value = parse ("(1, 'x')");
  g_autoptr(GVariant) same = NULL;
  g_autoptr(GVariant) other = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A type that stands for several takes values of those, as they are");
  same = afrpc_fit (value, G_VARIANT_TYPE ("(i*)"), &error);
  g_assert_no_error (error);
  g_assert_true (same == value);
  other = afrpc_fit (value, G_VARIANT_TYPE ("(x*)"), &error);
  g_assert_null (other);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS);
}

/* As languages send it that have nothing but lists of anything, dictionaries and large numbers. */
static GVariant *
loosen (GVariant *value)
{
  GVariantBuilder builder;
  GVariantIter iter;
  GVariant *child;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BYTE:
      return g_variant_new_int64 (g_variant_get_byte (value));
    case G_VARIANT_CLASS_INT16:
      return g_variant_new_int64 (g_variant_get_int16 (value));
    case G_VARIANT_CLASS_UINT16:
      return g_variant_new_int64 (g_variant_get_uint16 (value));
    case G_VARIANT_CLASS_INT32:
      return g_variant_new_int64 (g_variant_get_int32 (value));
    case G_VARIANT_CLASS_UINT32:
      return g_variant_new_int64 (g_variant_get_uint32 (value));
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      return g_variant_new_string (g_variant_get_string (value, NULL));
    case G_VARIANT_CLASS_ARRAY:
    case G_VARIANT_CLASS_TUPLE:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY))
        return value;
      g_variant_builder_init (&builder, G_VARIANT_TYPE ("av"));
      g_variant_iter_init (&iter, value);
      while ((child = g_variant_iter_next_value (&iter)) != NULL)
        {
          g_variant_builder_add (&builder, "v", loosen (child));
          g_variant_unref (child);
        }
      return g_variant_builder_end (&builder);
    default:
      return value;
    }
}

static void
test_fit_random (void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (1);

  g_test_summary ("What has lost its types finds them again");
  for (guint i = 0; i < 5000; i++)
    {
      g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_DEFAULT);
      g_autoptr(GVariant) loose = g_variant_ref_sink (loosen (value));
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) fitted = afrpc_fit (loose, g_variant_get_type (value), &error);

      g_assert_no_error (error);
      g_assert_cmpstr (g_variant_get_type_string (fitted), ==, g_variant_get_type_string (value));
      /* Variants may have come into others. */
      if (strchr (g_variant_get_type_string (value), 'v') == NULL)
        variant_assert_same (fitted, value);
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/fit/fitting", test_fit_fitting);
  g_test_add_func ("/fit/misfits", test_fit_misfits);
  g_test_add_func ("/fit/indefinite", test_fit_indefinite);
  g_test_add_func ("/fit/random", test_fit_random);

  return g_test_run ();
}
