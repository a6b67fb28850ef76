/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <locale.h>
#include <math.h>
#include <string.h>

#include "afrpc/afrpc-error.h"
#include "afrpc/json/afrpc-json.h"
#include "random-variant.h"
#include "variant-check.h"

static GVariant *
decode (const char  *text,
        const char  *expected,
        GError     **error)
{
  /* Without a NUL, and to the byte, for the sanitizer to see a step too far. */
  gsize length = strlen (text);
  g_autofree char *exact = g_memdup2 (text, length);
  const GVariantType *type = expected != NULL ? G_VARIANT_TYPE (expected) : NULL;

  return afrpc_json_decode (exact != NULL ? exact : "", length, type, error);
}

static gboolean
is_same (GVariant *a,
         GVariant *b)
{
  gsize size = g_variant_get_size (a);

  return g_variant_type_equal (g_variant_get_type (a), g_variant_get_type (b))
         && g_variant_get_size (b) == size
         && (size == 0 || memcmp (g_variant_get_data (a), g_variant_get_data (b), size) == 0);
}

static gboolean
typed_round_trip (GVariant  *value,
                  char     **text,
                  GError   **error)
{
  g_autoptr(GVariant) back = NULL;

  *text = afrpc_json_encode (value, AFRPC_JSON_TYPED);
  back = decode (*text, NULL, error);
  return back != NULL && is_same (value, back) && variant_is_normal (back);
}

/* Below a `v`, types are guessed, so only the text is the same after a second turn. */
static gboolean
plain_round_trip (GVariant  *value,
                  char     **text,
                  GError   **error)
{
  const char *type = g_variant_get_type_string (value);
  g_autoptr(GVariant) back = NULL;
  g_autofree char *again = NULL;

  *text = afrpc_json_encode (value, AFRPC_JSON_PLAIN);
  back = decode (*text, type, error);
  if (back == NULL || !variant_is_normal (back))
    return FALSE;
  again = afrpc_json_encode (back, AFRPC_JSON_PLAIN);
  return strcmp (*text, again) == 0 && (strchr (type, 'v') != NULL || is_same (value, back));
}

typedef gboolean (*RoundTrip) (GVariant  *value,
                               char     **text,
                               GError   **error);

static void
check_random (RoundTrip           round_trip,
              RandomVariantFlags  flags)
{
  guint n_cases = g_test_thorough () ? 100000 : 20000;

  for (guint i = 0; i < n_cases; i++)
    {
      guint32 seed = g_test_rand_int ();
      g_autoptr(GRand) rand = g_rand_new_with_seed (seed);
      g_autoptr(GVariant) value = random_variant (rand, flags);
      g_autofree char *text = NULL;
      g_autofree char *printed = NULL;
      g_autoptr(GError) error = NULL;

      if (round_trip (value, &text, &error))
        continue;
      printed = g_variant_print (value, TRUE);
      g_test_fail_printf ("case %u, seed %u: %s\n%s\n%s", i, seed, printed, text,
                          error != NULL ? error->message : "another value came back");
      return;
    }
}

static void
test_json_random_typed (void)
{
  g_test_summary ("Typed JSON brings back every GVariant, bit for bit");
  check_random (typed_round_trip, RANDOM_VARIANT_DEFAULT);
}

static void
test_json_random_plain (void)
{
  g_test_summary ("Plain JSON brings back every GVariant of a known type without variants");
  check_random (plain_round_trip, RANDOM_VARIANT_NO_ODD_NAN);
}

static GVariant *
parse (const char *text)
{
  g_autoptr(GError) error = NULL;
  GVariant *value = g_variant_parse (NULL, text, NULL, NULL, &error);

  g_assert_no_error (error);
  return value;
}

static char *
wrap (const char *type,
      const char *data)
{
  return g_strdup_printf ("{\"type\":\"%s\",\"data\":%s}", type, data);
}

static const struct
{
  const char *value; /* in GVariant's text format */
  const char *typed; /* data */
  const char *plain; /* (nullable): the same */
} texts[] = {
  { "('x', <uint16 7>)", "[\"x\",{\"type\":\"q\",\"data\":7}]", "[\"x\",7]" },
  { "<<@ms 'a'>>", "{\"type\":\"v\",\"data\":{\"type\":\"ms\",\"data\":[\"a\"]}}", "[\"a\"]" },
  { "(true, false)", "[true,false]", NULL },
  { "[int16 -32768, 32767]", "[-32768,32767]", NULL },
  { "(byte 0xff, handle -1)", "[255,-1]", NULL },
  { "[int64 9007199254740992, 9007199254740993]", "[9007199254740992,\"9007199254740993\"]", NULL },
  { "[int64 -9007199254740992, -9007199254740993]", "[-9007199254740992,\"-9007199254740993\"]",
    NULL },
  { "(int64 -0x8000000000000000, uint64 0xffffffffffffffff)",
    "[\"-9223372036854775808\",\"18446744073709551615\"]", NULL },
  { "[0.1, -0.0, 1.0, 1e22, 1e17, 1e-5, 0.30000000000000004]",
    "[0.1,-0.0,1.0,1e+22,1e+17,1e-05,0.30000000000000004]", NULL },
  { "[inf, -inf]", "[\"Infinity\",\"-Infinity\"]", NULL },
  { "(objectpath '/a/b', signature 'a{sv}')", "[\"/a/b\",\"a{sv}\"]", NULL },
  { "'\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f'",
    "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"", NULL },
  { "'\\u00e9\\u2028\\U0001f600'", "\"\303\251\342\200\250\360\237\230\200\"", NULL },
  { "@ms nothing", "null", NULL },
  { "@mms just nothing", "[null]", NULL },
  { "@mms 'a'", "[[\"a\"]]", NULL },
  { "@mm() just nothing", "[null]", NULL },
  { "()", "[]", NULL },
  { "[byte 0, 255, 62, 63]", "\"AP8+Pw==\"", NULL },
  { "@ay []", "\"\"", NULL },
  { "[[byte 1], @ay []]", "[\"AQ==\",\"\"]", NULL },
  { "(byte 1, [byte 1])", "[1,\"AQ==\"]", NULL },
  { "{'a': 1, '': 2}", "{\"a\":1,\"\":2}", NULL },
  { "{'a': 1, 'a': 2}", "[[\"a\",1],[\"a\",2]]", NULL },
  { "{objectpath '/': true}", "{\"/\":true}", NULL },
  { "{signature 'v': true}", "{\"v\":true}", NULL },
  { "@a{sv} {}", "{}", NULL },
  { "{uint16 7: 'a'}", "[[7,\"a\"]]", NULL },
  { "{'a', <1>}", "[\"a\",{\"type\":\"i\",\"data\":1}]", "[\"a\",1]" },
  { "{'a': <{'b': <@mi nothing>}>}",
    "{\"a\":{\"type\":\"a{sv}\",\"data\":{\"b\":{\"type\":\"mi\",\"data\":null}}}}",
    "{\"a\":{\"b\":null}}" },
};

static void
test_json_texts (void)
{
  g_test_summary ("Each type looks as the header says");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr(GVariant) value = parse (texts[i].value);
      g_autofree char *typed = NULL;
      g_autofree char *plain = NULL;
      g_autofree char *expected = NULL;

      expected = wrap (g_variant_get_type_string (value), texts[i].typed);
      g_assert_true (typed_round_trip (value, &typed, NULL));
      g_assert_cmpstr (typed, ==, expected);
      g_assert_true (plain_round_trip (value, &plain, NULL));
      g_assert_cmpstr (plain, ==, texts[i].plain != NULL ? texts[i].plain : texts[i].typed);
    }
}

static const struct
{
  guint64 bits;
  const char *typed; /* data */
  const char *plain;
} doubles[] = {
  { 0x7ff8000000000000, "\"NaN\"", "\"NaN\"" },
  { 0xfff8000000000000, "\"NaN(0xfff8000000000000)\"", "\"NaN\"" },
  { 0x7ff0000000000001, "\"NaN(0x7ff0000000000001)\"", "\"NaN\"" },
  { 0x0000000000000001, "5e-324", "5e-324" },
  { 0x8000000000000000, "-0.0", "-0.0" },
  { 0x7fefffffffffffff, "1.7976931348623157e+308", "1.7976931348623157e+308" },
};

static void
test_json_doubles (void)
{
  g_test_summary ("Every double keeps its bits in typed JSON; plain JSON has one NaN");
  for (guint i = 0; i < G_N_ELEMENTS (doubles); i++)
    {
      g_autoptr(GBytes) bytes = g_bytes_new (&doubles[i].bits, sizeof doubles[i].bits);
      g_autoptr(GVariant) value = g_variant_new_from_bytes (G_VARIANT_TYPE_DOUBLE, bytes, TRUE);
      g_autofree char *typed = NULL;
      g_autofree char *plain = NULL;
      g_autofree char *expected = wrap ("d", doubles[i].typed);

      g_variant_ref_sink (value);
      g_assert_true (typed_round_trip (value, &typed, NULL));
      g_assert_cmpstr (typed, ==, expected);
      plain = afrpc_json_encode (value, AFRPC_JSON_PLAIN);
      g_assert_cmpstr (plain, ==, doubles[i].plain);
    }
}

static const struct
{
  const char *type;
  const char *json;
  const char *value;
} accepted[] = {
  { NULL, " \t\r\n{ \"data\" : [ 1 , 2 ] , \"type\" : \"ai\" } \n", "[1, 2]" },
  { NULL, "{\"\\u0074ype\":\"v\",\"data\":{\"data\":1,\"type\":\"y\"}}", "<byte 1>" },
  { "ay", "\"AP8=\"", "[byte 0, 255]" },
  { "a{si}", "[[\"a\",1],[\"a\",2]]", "{'a': 1, 'a': 2}" },
  { "a{si}", "{\"b\":1,\"a\":2}", "{'b': 1, 'a': 2}" },
  { "ai", "[1.0,1e3,-0,-0.0,\"-7\",\"2147483647\",-2147483648]",
    "[1, 1000, 0, 0, -7, 2147483647, -2147483648]" },
  { "ax", "[10e-1,1.50e1,-0.0012e+4,9007199254740992.000,900719925474099200e-2,0.000e99999999999999999999,100e-2]",
    "[int64 1, 15, -12, 9007199254740992, 9007199254740992, 0, 1]" },
  { "ax", "[9223372036854775807,-9223372036854775808,9007199254740993]",
    "[int64 9223372036854775807, -9223372036854775808, 9007199254740993]" },
  { "at", "[\"18446744073709551615\",18446744073709551615,9223372036854775808,1e3]",
    "[uint64 18446744073709551615, 18446744073709551615, 9223372036854775808, 1000]" },
  { "aay", "[\"\\/\\/8=\",\"\\u0041P8=\"]", "[[byte 255, 255], [0, 255]]" },
  { "as", "[\"\\\\\",\"\\\"\",\"\\\\\\\"\",\"a\\\\\\\\\"]", "['\\\\', '\"', '\\\\\"', 'a\\\\\\\\']" },
  { "ad", "[1,-0,100000000000000000000,18446744073709551615,1E+2,1e-400,123456789012345678901234]",
    "[1.0, -0.0, 1e20, 18446744073709551616.0, 100.0, 0.0, 1.2345678901234568e23]" },
  { "ad", "[9223372036854775807,9223372036854775808,-9223372036854775809]",
    "[9223372036854775808.0, 9223372036854775808.0, -9223372036854775808.0]" },
  { "s", "\"\\ud83d\\uDE00\\u00e9\\/\\u2028\"", "'\\U0001f600\\u00e9/\\u2028'" },
  { "av", "[null,true,1,-1.5,\"s\",[1],{\"a\":null}]",
    "[<@mv nothing>, <true>, <int64 1>, <-1.5>, <'s'>, <[<int64 1>]>, <{'a': <@mv nothing>}>]" },
  { "av", "[9223372036854775807,9223372036854775808,1.0,-0]",
    "[<int64 9223372036854775807>, <9223372036854775808.0>, <1.0>, <-0.0>]" },
};

static void
test_json_accepted (void)
{
  g_test_summary ("What other writers write is read as the header says");
  for (guint i = 0; i < G_N_ELEMENTS (accepted); i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value = decode (accepted[i].json, accepted[i].type, &error);
      g_autoptr(GVariant) expected = parse (accepted[i].value);

      g_assert_no_error (error);
      if (!is_same (value, expected))
        g_test_fail_printf ("%s is something else", accepted[i].json);
    }
}

static void
check_characters (gunichar first,
                  gunichar last)
{
  g_autoptr(GString) characters = g_string_new (NULL);
  g_autoptr(GString) escapes = g_string_new ("\"");
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) back = NULL;
  g_autofree char *text = NULL;

  for (gunichar c = first; c <= last; c++)
    {
      if (c >= 0xd800 && c <= 0xdfff)
        continue;
      g_string_append_unichar (characters, c);
      if (c < 0x10000)
        g_string_append_printf (escapes, "\\u%04x", c);
      else
        g_string_append_printf (escapes, "\\u%04X\\u%04X", 0xd7c0 + (c >> 10),
                                0xdc00 + (c & 0x3ff));
    }
  g_string_append_c (escapes, '"');

  value = g_variant_ref_sink (g_variant_new_string (characters->str));
  g_assert_true (plain_round_trip (value, &text, NULL));
  for (const char *at = text; *at != '\0'; at++)
    g_assert_cmpint ((guchar) *at, >=, 0x20);
  back = decode (escapes->str, "s", NULL);
  g_assert_true (back != NULL && is_same (value, back));
}

static void
test_json_characters (void)
{
  g_test_summary ("Every character of Unicode comes back, written as itself or escaped");
  for (gunichar first = 1; first <= 0x10ffff; first += 0x1000)
    check_characters (first, MIN (first + 0xfff, 0x10ffff));
}

static void
test_json_locale (void)
{
  static const char *const locales[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "pt_BR.UTF-8" };
  const char *found = NULL;
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_double (-1234.5));
  g_autofree char *text = NULL;

  g_test_summary ("A locale with a decimal comma changes nothing");
  for (guint i = 0; found == NULL && i < G_N_ELEMENTS (locales); i++)
    found = setlocale (LC_ALL, locales[i]);
  if (found == NULL)
    {
      g_test_skip ("no locale with a decimal comma here");
      return;
    }
  g_assert_cmpstr (localeconv ()->decimal_point, ==, ",");
  g_assert_true (plain_round_trip (value, &text, NULL));
  g_assert_cmpstr (text, ==, "-1234.5");
  setlocale (LC_ALL, "C");
}

static void
test_json_floating (void)
{
  GVariant *value = g_variant_new_string ("a");
  g_autofree char *text = afrpc_json_encode (value, AFRPC_JSON_PLAIN);
  g_autoptr(GVariant) back = decode (text, "s", NULL);

  g_test_summary ("A floating value stays floating, a decoded one is not");
  g_assert_true (g_variant_is_floating (value));
  g_assert_false (g_variant_is_floating (back));
  g_variant_unref (g_variant_ref_sink (value));
}

/* One of 2^17 names with one g_str_hash(): that of "Ez" is that of "FY". */
static char *
make_colliding_name (guint number)
{
  char name[2 * 17 + 1] = "";

  for (guint bit = 0; bit < 17; bit++)
    memcpy (name + 2 * bit, (number & (1u << bit)) != 0 ? "Ez" : "FY", 2);
  return g_strdup (name);
}

static void
test_json_flood (void)
{
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{sb}"));
  g_autoptr(GVariant) value = NULL;
  g_autofree char *typed = NULL;
  g_autofree char *plain = NULL;

  g_test_summary ("Names made to collide in a hash table cost no more than others: this ends");
  for (guint i = 0; i < 1u << 17; i++)
    {
      g_autofree char *name = make_colliding_name (i);

      g_variant_builder_add (&builder, "{sb}", name, TRUE);
    }
  value = g_variant_ref_sink (g_variant_builder_end (&builder));
  g_assert_true (typed_round_trip (value, &typed, NULL));
  g_assert_true (plain_round_trip (value, &plain, NULL));
  g_assert_true (g_str_has_prefix (plain, "{"));
}

static void
test_json_large (void)
{
  static const char *const types[] = { "ai", "as", "aay", "amb", "a(is)", "a{us}", "a{ss}" };

  g_test_summary ("Long arrays of every kind take time in proportion: this ends");
  for (guint t = 0; t < G_N_ELEMENTS (types); t++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (t);
      g_autoptr(GVariant) value = random_variant_array (rand, types[t], 100000);
      g_autofree char *text = NULL;

      g_assert_true (typed_round_trip (value, &text, NULL));
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/json/texts", test_json_texts);
  g_test_add_func ("/json/doubles", test_json_doubles);
  g_test_add_func ("/json/accepted", test_json_accepted);
  g_test_add_func ("/json/characters", test_json_characters);
  g_test_add_func ("/json/locale", test_json_locale);
  g_test_add_func ("/json/floating", test_json_floating);
  g_test_add_func ("/json/flood", test_json_flood);
  g_test_add_func ("/json/large", test_json_large);
  g_test_add_func ("/json/random/typed", test_json_random_typed);
  g_test_add_func ("/json/random/plain", test_json_random_plain);

  return g_test_run ();
}
