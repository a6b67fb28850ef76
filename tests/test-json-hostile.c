/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>
#include <sys/resource.h>

#include "afrpc/afrpc-error.h"
#include "afrpc/json/afrpc-json.h"
#include "own-process.h"
#include "variant-check.h"

/* What the JSON decoder refuses: why, and where it says that the fault is. */

static GVariant *
decode (const char  *text,
        gsize        length,
        const char  *expected,
        GError     **error)
{
  /* Without a NUL, and to the byte, for the sanitizer to see a step too far. */
  g_autofree char *exact = g_memdup2 (text, length);
  const GVariantType *type = expected != NULL ? G_VARIANT_TYPE (expected) : NULL;

  return afrpc_json_decode (exact != NULL ? exact : "", length, type, error);
}

/* @start is how the message starts after "JSON". */
static void
check_refused (const char *text,
               gsize       length,
               const char *expected,
               AfrpcError  code,
               const char *start)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = decode (text, length, expected, &error);
  g_autofree char *whole_start = g_strconcat ("JSON", start, NULL);

  if (value != NULL)
    {
      g_autofree char *printed = g_variant_print (value, TRUE);

      g_test_fail_printf ("%s was taken for %s", text, printed);
      return;
    }
  if (!g_error_matches (error, AFRPC_ERROR, code)
      || !g_str_has_prefix (error->message, whole_start))
    g_test_fail_printf ("%s: code %d, %s", text, error->code, error->message);
}

static void
check_accepted (const char *text,
                const char *expected)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = decode (text, strlen (text), expected, &error);

  if (value == NULL)
    g_test_fail_printf ("%s: %s", text, error->message);
  else
    g_assert_true (variant_is_normal (value));
}

/* Plain JSON of type `v`, so that only what is wrong with the JSON itself counts. */
static const struct
{
  const char *text;
  const char *start;
} not_json[] = {
  { "", ": the text ends too early (byte 0)" },
  { " \n", ": the text ends too early (byte 2)" },
  { "[1", " at /0: the text ends too early (byte 2)" },
  { "[1,", " at /1: the text ends too early (byte 3)" },
  { "{\"a\":", " at /a: the text ends too early (byte 5)" },
  { "{\"a\"", " at /a: expected a colon (byte 4)" },
  { "{\"a\" 1}", " at /a: expected a colon (byte 5)" },
  { "{\"a\":1 \"b\":2}", " at /a: expected a comma or } (byte 7)" },
  { "{\"a\":1]", " at /a: expected a comma or } (byte 6)" },
  { "{a:1}", ": expected the name of a member (byte 1)" },
  { "{1:1}", ": expected the name of a member (byte 1)" },
  { "{\"a\":1,}", ": expected the name of a member (byte 7)" },
  { "{,}", ": expected the name of a member (byte 1)" },
  { "[1 2]", " at /0: expected a comma or ] (byte 3)" },
  { "[1}", " at /0: expected a comma or ] (byte 2)" },
  { "[1:2]", " at /0: expected a comma or ] (byte 2)" },
  { "[1,]", " at /1: expected a value (byte 3)" },
  { "[,1]", " at /0: expected a value (byte 1)" },
  { "]", ": expected a value (byte 0)" },
  { "1 2", ": something follows the value (byte 2)" },
  { "[] []", ": something follows the value (byte 3)" },
  { "[]x", ": something follows the value (byte 2)" },
  { "[1]]", ": something follows the value (byte 3)" },
  { "null,", ": something follows the value (byte 4)" },
  { "\357\273\2771", ": expected a value (byte 0)" },
  { "/*c*/1", ": expected a value (byte 0)" },
  { "[//c\n1]", " at /0: expected a value (byte 1)" },
  { "#c\n1", ": expected a value (byte 0)" },
  { "var x = 1;", ": expected a value (byte 0)" },
  { "\f1", ": expected a value (byte 0)" },
  { "'a'", ": expected a value (byte 0)" },
  { "[NaN]", " at /0: expected a value (byte 1)" },
  { "[tru]", " at /0: expected a value (byte 1)" },
  { "nul", ": expected a value (byte 0)" },
  { "[True]", " at /0: expected a value (byte 1)" },
  { "[truefalse]", " at /0: expected a comma or ] (byte 5)" },
  { "[01]", " at /0: expected a comma or ] (byte 2)" },
  { "[-01]", " at /0: expected a comma or ] (byte 3)" },
  { "[0x10]", " at /0: expected a comma or ] (byte 2)" },
  { "[$10]", " at /0: expected a value (byte 1)" },
  { "[+1]", " at /0: expected a value (byte 1)" },
  { "[.5]", " at /0: expected a value (byte 1)" },
  { "[1.]", " at /0: expected a digit (byte 3)" },
  { "[1.e5]", " at /0: expected a digit (byte 3)" },
  { "[-]", " at /0: expected a digit (byte 2)" },
  { "[- 1]", " at /0: expected a digit (byte 2)" },
  { "[1e]", " at /0: expected a digit (byte 3)" },
  { "[1e+]", " at /0: expected a digit (byte 4)" },
  { "-", ": expected a digit (byte 1)" },
  { "[1_000]", " at /0: expected a comma or ] (byte 2)" },
  { "[\"", " at /0: the text ends in a string (byte 2)" },
  { "[\"a\\", " at /0: the text ends in a string (byte 4)" },
  { "\"\t\"", ": a control character in a string (byte 1)" },
  { "\"\037\"", ": a control character in a string (byte 1)" },
  { "\"\\x41\"", ": unknown escape in a string (byte 2)" },
  { "\"\\101\"", ": unknown escape in a string (byte 2)" },
  { "\"\\\n\"", ": unknown escape in a string (byte 2)" },
  { "\"\\u\"", ": expected four hexadecimal digits after \\u (byte 3)" },
  { "\"\\u12\"", ": expected four hexadecimal digits after \\u (byte 3)" },
  { "\"\\u00g0\"", ": expected four hexadecimal digits after \\u (byte 3)" },
  { "[0,\"a\\u0000b\"]", " at /1: a string cannot hold \\u0000 (byte 11)" },
  { "{\"\\u0000\":1}", ": a string cannot hold \\u0000 (byte 8)" },
  { "[\"\\ud800\"]", " at /0: half of a surrogate pair (byte 8)" },
  { "[\"\\ud800\\u0041\"]", " at /0: half of a surrogate pair (byte 14)" },
  { "[\"\\ud800\\ud800\"]", " at /0: half of a surrogate pair (byte 14)" },
  { "[\"\\ud800\\ude0\"]", " at /0: half of a surrogate pair (byte 10)" },
  { "[\"\\ud800\\n\"]", " at /0: half of a surrogate pair (byte 8)" },
  { "[\"\\udc00\"]", " at /0: half of a surrogate pair (byte 8)" },
  { "[\"\\udfff\\ud800\"]", " at /0: half of a surrogate pair (byte 8)" },
  { "[0,\"a\377\"]", " at /1: a NUL, or not UTF-8 (byte 5)" },
  { "{\"\300\200\":1}", ": a NUL, or not UTF-8 (byte 2)" },
  { "[\"\355\240\200\"]", " at /0: a NUL, or not UTF-8 (byte 2)" },
  { "[\"\364\220\200\200\"]", " at /0: a NUL, or not UTF-8 (byte 2)" },
  { "[\"\360\237\230", " at /0: a NUL, or not UTF-8 (byte 2)" },
  { "[]\200", ": a NUL, or not UTF-8 (byte 2)" },
};

static void
test_json_hostile_syntax (void)
{
  g_test_summary ("What is not JSON to the letter is refused, with its place");
  for (guint i = 0; i < G_N_ELEMENTS (not_json); i++)
    check_refused (not_json[i].text, strlen (not_json[i].text), "v", AFRPC_ERROR_INVALID_DATA,
                   not_json[i].start);

  check_refused ("[1]\0", 4, "v", AFRPC_ERROR_INVALID_DATA, ": a NUL, or not UTF-8 (byte 3)");
  check_refused ("[\"\\\0\"]", 6, "v", AFRPC_ERROR_INVALID_DATA, " at /0: a NUL, or not UTF-8 (byte 3)");
  check_refused ("[\"\0\"]", 5, "v", AFRPC_ERROR_INVALID_DATA,
                 " at /0: a NUL, or not UTF-8 (byte 2)");
}

static void
test_json_hostile_cut (void)
{
  static const char text[] = "{\"type\":\"(sa{sd}bms)\",\"data\":[\"\\ud83d\\ude00\","
                             "{\"\303\251\":-1.5e+3,\"b\":\"NaN\"},true,[\"a\"]]}";

  g_test_summary ("A document that ends early is refused, wherever it ends");
  check_accepted (text, NULL);
  for (gsize length = 0; length < strlen (text); length++)
    check_refused (text, length, NULL, AFRPC_ERROR_INVALID_DATA, "");
}

static const struct
{
  const char *type; /* (nullable): typed JSON */
  const char *text;
  const char *start;
} invalid[] = {
  { NULL, "1", ": expected an object with" },
  { NULL, "[]", ": expected an object with" },
  { NULL, "{}", ": expected an object with" },
  { NULL, "{\"type\":\"i\"}", ": expected an object with" },
  { NULL, "{\"type\":\"i\",\"type\":\"i\"}", ": expected an object with" },
  { NULL, "{\"type\":\"i\",\"data\":1,\"data\":1}", ": expected an object with" },
  { NULL, "{\"type\":\"i\",\"data\":1,\"more\":1}", ": expected an object with" },
  { NULL, "{\"type\":1,\"data\":1}", " at /type: not the type string" },
  { NULL, "{\"type\":null,\"data\":1}", " at /type: not the type string" },
  { NULL, "{\"type\":[\"i\"],\"data\":1}", " at /type: not the type string" },
  { NULL, "{\"type\":\"\",\"data\":1}", " at /type: not the type string" },
  { NULL, "{\"type\":\"ii\",\"data\":1}", " at /type: not the type string" },
  { NULL, "{\"type\":\"(i\",\"data\":[1]}", " at /type: not the type string" },
  { NULL, "{\"type\":\"*\",\"data\":1}", " at /type: not the type string" },
  { NULL, "{\"type\":\"a?\",\"data\":[]}", " at /type: not the type string" },
  { NULL, "{\"type\":\"r\",\"data\":[]}", " at /type: not the type string" },
  { NULL, "{\"type\":\"a{vs}\",\"data\":[]}", " at /type: not the type string" },
  { NULL, "{\"type\":\"q\",\"data\":-1}", " at /data: expected an integer from 0 to 65535" },
  { NULL, "{\"type\":\"(sv)\",\"data\":[\"x\",7]}", " at /data/1: expected an object with" },
  { NULL, "{\"type\":\"(sv)\",\"data\":[\"x\",{\"type\":\"e\",\"data\":7}]}",
    " at /data/1/type: not the type string" },
  { NULL, "{\"type\":\"(sv)\",\"data\":[\"x\",{\"type\":\"y\",\"data\":256}]}",
    " at /data/1/data: expected an integer from 0 to 255" },
  { NULL, "{\"type\":\"a{sv}\",\"data\":{\"a/~\":{\"type\":\"as\",\"data\":[\"\",1]}}}",
    " at /data/a~1~0/data/1: expected a string" },
  { "b", "1", ": expected true or false" },
  { "b", "\"true\"", ": expected true or false" },
  { "b", "null", ": expected true or false" },
  { "y", "256", ": expected an integer" },
  { "y", "-1", ": expected an integer" },
  { "y", "true", ": expected an integer" },
  { "y", "\"\"", ": expected an integer" },
  { "y", "\" 1\"", ": expected an integer" },
  { "y", "\"+1\"", ": expected an integer" },
  { "y", "\"0x1\"", ": expected an integer" },
  { "y", "\"1.0\"", ": expected an integer" },
  { "y", "\"--1\"", ": expected an integer" },
  { "y", "\"-+1\"", ": expected an integer" },
  { "y", "\"1x\"", ": expected an integer" },
  { "y", "[1]", ": expected an integer" },
  { "y", "{}", ": expected an integer" },
  { "y", "null", ": expected an integer" },
  { "n", "32768", ": expected an integer" },
  { "n", "-32769", ": expected an integer" },
  { "q", "65536", ": expected an integer" },
  { "i", "2147483648", ": expected an integer" },
  { "i", "-2147483649", ": expected an integer" },
  { "i", "1.5", ": expected an integer" },
  { "i", "1e-1", ": expected an integer" },
  { "i", "1e10", ": expected an integer" },
  { "i", "1e400", ": expected an integer" },
  { "u", "4294967296", ": expected an integer" },
  { "h", "2147483648", ": expected a handle" },
  { "h", "-2147483649", ": expected a handle" },
  { "x", "9223372036854775808", ": expected an integer" },
  { "x", "-9223372036854775809", ": expected an integer" },
  { "x", "\"9223372036854775808\"", ": expected an integer" },
  { "x", "\"-9223372036854775809\"", ": expected an integer" },
  { "x", "9007199254740994.0", ": expected an integer" },
  { "x", "9007199254740993.0", ": expected an integer" },
  { "x", "9007199254740992.5", ": expected an integer" },
  { "x", "9007199254740991.4", ": expected an integer" },
  { "x", "1.0000000000000000001", ": expected an integer" },
  { "x", "-1.0000000000000000000000000000000000001", ": expected an integer" },
  { "x", "90071992547409930e-1", ": expected an integer" },
  { "x", "1e-99999999999999999999", ": expected an integer" },
  { "x", "1e99999999999999999999", ": expected an integer" },
  { "x", "184467440737095516160e-1", ": expected an integer" },
  { "x", "100000000000000000001.0", ": expected an integer" },
  { "t", "18446744073709551616", ": expected an integer" },
  { "t", "\"18446744073709551616\"", ": expected an integer" },
  { "t", "\"-1\"", ": expected an integer" },
  { "t", "100000000000000000000000000000", ": expected an integer" },
  { "d", "1e400", ": the number is too large" },
  { "d", "-1e309", ": the number is too large" },
  { "d", "\"1\"", ": expected a number" },
  { "d", "\"nan\"", ": expected a number" },
  { "d", "\"inf\"", ": expected a number" },
  { "d", "\"NaN(0x7ff0000000000000)\"", ": expected a number" },
  { "d", "\"NaN(0x7ff000000000001)\"", ": expected a number" },
  { "d", "\"NaN(0x7ff00000000000001)\"", ": expected a number" },
  { "d", "\"NaN(0x-ff8000000000001)\"", ": expected a number" },
  { "d", "\"NaN(0x7ff8000000000001\"", ": expected a number" },
  { "d", "\"NaN(0x7ff80000000000010\"", ": expected a number" },
  { "d", "\"NaN(0x7ff8000000000001)x\"", ": expected a number" },
  { "d", "\"NaN(0x\"", ": expected a number" },
  { "d", "true", ": expected a number" },
  { "s", "1", ": expected a string" },
  { "s", "null", ": expected a string" },
  { "o", "\"\"", ": not an object path" },
  { "o", "\"a\"", ": not an object path" },
  { "o", "\"/a/\"", ": not an object path" },
  { "g", "\"(\"", ": not a signature" },
  { "g", "\"ms\"", ": not a signature" },
  { "ms", "[]", ": expected null or an array of 1" },
  { "ms", "[\"a\",\"b\"]", ": expected null or an array of 1" },
  { "ms", "\"a\"", ": expected null or an array of 1" },
  { "ms", "[null]", " at /0: expected a string" },
  { "ai", "{}", ": expected an array" },
  { "ai", "\"AQ==\"", ": expected an array" },
  { "ai", "[1,2,\"a\"]", " at /2: expected an integer" },
  { "as", "null", ": expected an array" },
  { "as", "[\"a\",1]", " at /1: expected a string" },
  { "ay", "[1,2]", ": expected bytes" },
  { "ay", "\"A\"", ": not base64" },
  { "ay", "\"AQ=\"", ": not base64" },
  { "ay", "\"AQ\"", ": not base64" },
  { "ay", "\"AQ==\\n\"", ": not base64" },
  { "ay", "\"AQ==AQ==\"", ": not base64" },
  { "ay", "\"A===\"", ": not base64" },
  { "ay", "\"====\"", ": not base64" },
  { "ay", "\"AQ-_\"", ": not base64" },
  { "ay", "\"AR==\"", ": not base64" },
  { "ay", "\"AAH=\"", ": not base64" },
  { "ay", "\"AQI\303\251\"", ": not base64" },
  { "()", "[1]", ": expected an array of 0" },
  { "()", "null", ": expected an array of 0" },
  { "(si)", "[\"a\"]", ": expected an array of 2" },
  { "(si)", "[\"a\",1,2]", ": expected an array of 2" },
  { "(si)", "{\"a\":1}", ": expected an array of 2" },
  { "(si)", "[\"a\",\"b\"]", " at /1: expected an integer" },
  { "{si}", "[\"a\"]", ": expected an array of 2" },
  { "{si}", "{\"a\":1}", ": expected an array of 2" },
  { "a{si}", "{\"a\":1,\"b\":2,\"a\":3}", " at /a: the name occurs twice" },
  { "a{si}", "{\"a\":1,\"\\u0061\":1}", " at /a: the name occurs twice" },
  { "a{si}", "[[\"a\",1],[\"b\"]]", " at /1: expected an array of 2" },
  { "a{si}", "{\"a\":1,\"b\":\"c\"}", " at /b: expected an integer" },
  { "a{si}", "null", ": expected an object" },
  { "a{ou}", "{\"a\":1}", " at /a: not an object path" },
  { "a{gu}", "{\"m\":1}", " at /m: not a signature" },
  { "a{us}", "{\"1\":\"a\"}", ": expected an array" },
  { "a{us}", "[[1,\"a\"],[-1,\"a\"]]", " at /1/0: expected an integer" },
  { "v", "[0,{\"a\":1,\"a\":1}]", " at /1/a: the name occurs twice" },
  { "v", "{\"a\":[0,1e999]}", " at /a/1: the number is too large" },
  { "a{si}", "{\"\\u001b[2J\\u007f\\u202e\":true}",
    " at /\357\277\275[2J\357\277\275\357\277\275: " },
};

static void
test_json_hostile_data (void)
{
  g_test_summary ("JSON that is no value of its type is refused, with its place");
  for (guint i = 0; i < G_N_ELEMENTS (invalid); i++)
    check_refused (invalid[i].text, strlen (invalid[i].text), invalid[i].type,
                   AFRPC_ERROR_INVALID_DATA, invalid[i].start);
}

static void
test_json_hostile_long_name (void)
{
  g_autofree char *name = g_strnfill (100000, 'a');
  g_autofree char *text = g_strdup_printf ("{\"%s\":true}", name);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = decode (text, strlen (text), "a{si}", &error);

  g_test_summary ("A message shows only the start of a long name");
  g_assert_null (value);
  g_assert_cmpuint (strlen (error->message), <, 200);
  g_assert_nonnull (strstr (error->message, "aaa...: expected"));
}

static void
test_json_hostile_size (void)
{
  static const char text[64] = "";
  g_autoptr(GError) error = NULL;

  g_test_summary ("Text of 2 GiB is read, and no longer one");
  /* It does not come to reading more than the NUL, which is none of JSON. */
  g_assert_null (afrpc_json_decode (text, AFRPC_JSON_SIZE_MAX, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
  g_clear_error (&error);

  g_assert_null (afrpc_json_decode (text, AFRPC_JSON_SIZE_MAX + 1, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
}

/* Of the process so far, bytes. */
static gsize
get_memory_peak (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (gsize) usage.ru_maxrss * 1024;
}

/* What watches this process keeps what is freed for a while. */
static guint
get_memory_times_max (void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 100;
#else
  return own_process_is_under_valgrind () ? 100 : 18;
#endif
}

/* An array of so many elements, each written like that, of the type @type. */
static void
check_sparse (const char *element,
              gsize       n,
              const char *type)
{
  const gsize length = strlen (element) + 1, size = n * length + 1;
  g_autofree char *text = g_malloc (size);
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) array = NULL;
  g_autoptr(GError) error = NULL;
  gsize before;

  for (gsize i = 0; i < n; i++)
    {
      text[i * length] = i == 0 ? '[' : ',';
      memcpy (text + i * length + 1, element, length - 1);
    }
  text[size - 1] = ']';

  before = get_memory_peak ();
  value = afrpc_json_decode (text, size, G_VARIANT_TYPE (type), &error);
  g_assert_no_error (error);
  array = *type == 'v' ? g_variant_get_variant (value) : g_variant_ref (value);
  g_assert_cmpuint (g_variant_n_children (array), ==, n);
  g_assert_cmpuint (g_variant_get_size (value), <=, 10 * size);
  g_test_message ("%s: %.1f times the text", type, (double) (get_memory_peak () - before) / size);
  g_assert_cmpuint (get_memory_peak () - before, <, get_memory_times_max () * size);
}

static void
test_json_hostile_sparse (void)
{
  g_test_summary ("Text of short values takes memory in proportion to its size, and so do the values");
  /* An object for each value would take 200 times as much. */
  check_sparse ("{}", 2000000, "aa{sv}");
  /* Numbers of 8 bytes, each with its type: nothing takes more. */
  check_sparse ("1", 2000000, "v");
}

/* @n variants in each other, each with its "data" first; the innermost has @inside. */
static char *
make_data_first (guint       n,
                 const char *inside)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    g_string_append (text, "{\"data\":");
  g_string_append (text, inside);
  g_string_append (text, ",\"type\":\"s\"}");
  for (guint i = 1; i < n; i++)
    g_string_append (text, ",\"type\":\"v\"}");
  return g_string_free (text, FALSE);
}

static void
test_json_hostile_order (void)
{
  g_autofree char *long_string = g_strnfill (1000000, 'a');
  g_autofree char *inside = g_strdup_printf ("\"%s\"", long_string);
  g_autofree char *small = make_data_first (100, "\"a\"");
  g_autofree char *large = make_data_first (17, inside);
  g_autofree char *too_large = make_data_first (18, inside);

  g_test_summary ("\"data\" may come before \"type\", but not so often that it takes much longer");
  check_accepted (small, NULL);
  /* 16 times the text, and 1 MiB. */
  check_accepted (large, NULL);
  check_refused (too_large, strlen (too_large), NULL, AFRPC_ERROR_TOO_LARGE, " at /data/data/");
}

static void
test_json_hostile_type_size (void)
{
  g_autoptr(GString) text = g_string_new ("{\"type\":\"(");

  g_test_summary ("A type string has 255 bytes at most");
  for (guint i = 0; i < AFRPC_JSON_TYPE_SIZE_MAX - 2; i++)
    g_string_append_c (text, 'y');
  g_string_append (text, ")\",\"data\":[0");
  for (guint i = 1; i < AFRPC_JSON_TYPE_SIZE_MAX - 2; i++)
    g_string_append (text, ",0");
  g_string_append (text, "]}");
  check_accepted (text->str, NULL);

  g_string_insert_c (text, strlen ("{\"type\":\"("), 'y');
  g_string_insert (text, text->len - 2, ",0");
  check_refused (text->str, text->len, NULL, AFRPC_ERROR_TOO_LARGE, " at /type: the type string");
}

/* Puts @value into @n containers; each takes the next kind from @kinds. */
static GVariant *
nest (const char *kinds,
      guint       n,
      GVariant   *value)
{
  for (guint i = 0; i < n; i++)
    value = variant_nest (kinds[i % strlen (kinds)], value);
  return g_variant_ref_sink (value);
}

static void
test_json_hostile_depth (void)
{
  /* With a `v` for every kind: types alone end at 128, so that GLib would not make them deeper. */
  static const char *const kinds[] = { "v", "va", "vm", "v(", "v{", "v{a", "vaaaaaaaa", "vm(a" };
  static const char *const leaves[] = { "true", "()", "@as []", "@a{sv} {}", "[byte 1]", "@mi 1" };
  guint n_normal = 0;

  g_test_summary ("Values as deep as GVariant lets them be come back");
  for (guint k = 0; k < G_N_ELEMENTS (kinds); k++)
    for (guint l = 0; l < G_N_ELEMENTS (leaves); l++)
      for (guint n = 120; n < 132; n++)
        {
          g_autoptr(GVariant) value = nest (kinds[k], n, g_variant_new_parsed (leaves[l]));
          g_autofree char *text = afrpc_json_encode (value, AFRPC_JSON_TYPED);
          g_autoptr(GError) error = NULL;
          g_autoptr(GVariant) back = decode (text, strlen (text), NULL, &error);

          if (!variant_is_normal (value))
            continue;
          n_normal++;
          g_assert_no_error (error);
          g_assert_true (g_variant_equal (back, value));
        }
  g_assert_cmpuint (n_normal, >, 0);
}

static void
check_deepest (const char *opening,
               const char *inside,
               const char *closing,
               const char *expected,
               guint       deepest)
{
  g_autofree char *within = variant_make_deep_text (opening, deepest, inside, closing);
  g_autofree char *over = variant_make_deep_text (opening, deepest + 1, inside, closing);
  g_autofree char *far_over = variant_make_deep_text (opening, 1000000, inside, closing);

  check_accepted (within, expected);
  check_refused (over, strlen (over), expected, AFRPC_ERROR_TOO_LARGE, "");
  check_refused (far_over, strlen (far_over), expected, AFRPC_ERROR_TOO_LARGE, "");
}

static void
test_json_hostile_deep_text (void)
{
  g_autofree char *type = variant_make_deep_text ("a", 128, "i", "");
  g_autofree char *within = variant_make_deep_text ("[", 128, "", "]");
  g_autofree char *over = variant_make_deep_text ("[", 128, "1", "]");
  g_autofree char *far_over = variant_make_deep_text ("[", 130, "1", "]");

  g_test_summary ("Each limit of depth holds to the level, with text that no encoder would write");
  /* Typed: the outermost {"type":"v"} is no level of its own. */
  check_deepest ("{\"type\":\"v\",\"data\":", "{\"type\":\"i\",\"data\":1}", "}", NULL, 127);
  check_deepest ("{\"type\":\"v\",\"data\":", "{\"type\":\"()\",\"data\":[]}", "}", NULL, 127);
  check_deepest ("{\"type\":\"v\",\"data\":", "{\"type\":\"as\",\"data\":[]}", "}", NULL, 126);
  /* Plain: a guess is a `v` and what is in it, so [ is two levels and { is three. */
  check_deepest ("[", "1", "]", "v", 63);
  check_deepest ("{\"\":", "1", "}", "v", 42);

  /* Only types are left, which may be deeper by one than values. */
  check_accepted (within, type);
  check_refused (over, strlen (over), type, AFRPC_ERROR_TOO_LARGE, " at /0/0/");
  check_refused (far_over, strlen (far_over), type, AFRPC_ERROR_TOO_LARGE, " at /0/0/");
}

static void
test_json_hostile_deep_value (void)
{
  g_autoptr(GVariant) value = nest ("v", 5000, g_variant_new_boolean (TRUE));
  g_autofree char *text = NULL;

  g_test_summary ("A value that is too deep to be normal is cut off, as GLib does");
  text = afrpc_json_encode (value, AFRPC_JSON_TYPED);
  g_assert_false (variant_is_normal (value));
  g_assert_nonnull (strstr (text, "{\"type\":\"()\",\"data\":[]}"));
  check_refused (text, strlen (text), NULL, AFRPC_ERROR_TOO_LARGE, " at /data/data/");
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/json-hostile/syntax", test_json_hostile_syntax);
  g_test_add_func ("/json-hostile/cut", test_json_hostile_cut);
  g_test_add_func ("/json-hostile/data", test_json_hostile_data);
  g_test_add_func ("/json-hostile/long-name", test_json_hostile_long_name);
  g_test_add_func ("/json-hostile/size", test_json_hostile_size);
  g_test_add_func ("/json-hostile/sparse", test_json_hostile_sparse);
  g_test_add_func ("/json-hostile/order", test_json_hostile_order);
  g_test_add_func ("/json-hostile/type-size", test_json_hostile_type_size);
  g_test_add_func ("/json-hostile/depth", test_json_hostile_depth);
  g_test_add_func ("/json-hostile/deep-text", test_json_hostile_deep_text);
  g_test_add_func ("/json-hostile/deep-value", test_json_hostile_deep_value);

  return g_test_run ();
}
