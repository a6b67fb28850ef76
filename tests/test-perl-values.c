/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values in Perl: what becomes of those of a program, and what a program gets. */
#include "perl-util.h"

#include <math.h>
#include <string.h>

#include "random-variant.h"

static void
test_perl_values (void)
{
  const char *const pairs[][2] = {
    { "('echo', 'x', b'oct', 1, -5, uint64 18446744073709551615, byte 0x07)", "(x, oct\\00, 1, -5, 18446744073709551615, 7)" },
    { "('echo',)", "()" },
    { "('echo', 2.5, 1e300, 'ä', objectpath '/a', signature 'as')", "(2.5, 1e+300, \\c3\\a4, /a, as)" },
    { "('echo', true, false, handle 3, <'v'>, @ms 'just', [byte 1, 0])", "(1, , 3, v, just, \\01\\00)" },
    { "('echo', @ms nothing, 'x')", "<undef, x>" },
    { "('echo', [1, 2], ['a'], (1, 'x'), @as [])", "<[1, 2], [a], [1, x], []>" },
    { "('echo', {'a': <1>, 'b': <[b'x']>}, {1: true}, @a{sv} {})", "<{'a', 1, 'b', [x\\00]}, {'1', 1}, {}>" },
    { "('echo', [<{'k': <[@mi nothing]>}>])", "<[{'k', [undef]}]>" },
    { "('what', true, false, @mi nothing, (1,), {'a': 1}, <<5>>)", "('1', '', undef, ARRAY, HASH, '5')" },
    { "('context',)", "(list)" },
    { "('object',)", "(text of it)" },
    { "('regex',)", "((?^i:a.c))" },
    { "('match',)", "(text)" },
    { "('number',)", "(0)" },
    { "('tied',)", "<fetched it, [fetched 0, fetched 1], {'key', fetched key}>" },
    { "('utf8-key',)", "<{'é', 1}>" },
    { "('upgraded',)", "(\\e9)" },
    { "('zeros', 3)", "(\\00\\00\\00)" },
    { "('depth', 20000)", "(20000)" },
    { "('die-inside',)", "(survived inner\\0a)" },
    { "('name',)", "(a name of its own)" },
    { "('system',)", "(said\\0a768)" },
    { "('perl',)", "(this is Perl)" },
    { "'context'", "(list)" },
  };

  g_test_summary ("Values of all types arrive in Perl and come back as their types say");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };

      watch_jobs (&watched, backends[b]);
      for (guint i = 0; i < G_N_ELEMENTS (pairs); i++)
        check_call (watched.proxy, pairs[i][0], pairs[i][1]);
      g_assert_cmpstr (watched.log->str, ==, "event (text); event (5); ");
    }
}

/* What comes back of a value, as the documentation has it. */

static GVariant *
bytes (const char *octets,
       gsize       length)
{
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, octets, length, 1);
}

static GVariant *
number_bytes (GVariant *value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  g_autofree char *printed = NULL;
  double number;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
    {
      printed = g_variant_is_of_type (value, G_VARIANT_TYPE_BYTE) ? g_strdup_printf ("%u", g_variant_get_byte (value))
                                                                  : g_variant_print (value, FALSE);
      return bytes (printed, strlen (printed));
    }

  number = g_variant_get_double (value);
  if (isnan (number))
    return bytes ("NaN", 3);
  if (isinf (number))
    return number > 0 ? bytes ("Inf", 3) : bytes ("-Inf", 4);
  g_ascii_formatd (text, sizeof text, "%.15g", number == 0 ? 0.0 : number);
  return bytes (text, strlen (text));
}

static GVariant *expect (GVariant *value);

static GVariant *
expect_array (GVariant *value)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("av"));
  for (gsize i = 0; i < g_variant_n_children (value); i++)
    {
      g_autoptr(GVariant) child = g_variant_get_child_value (value, i);

      g_variant_builder_add (&builder, "v", expect (child));
    }

  return g_variant_builder_end (&builder);
}

/* Of equal keys the last one counts. */
static GVariant *
expect_hash (GVariant *value)
{
  g_autoptr(GHashTable) hash = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_variant_unref);
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer key, member;

  for (gsize i = 0; i < g_variant_n_children (value); i++)
    {
      g_autoptr(GVariant) entry = g_variant_get_child_value (value, i);
      g_autoptr(GVariant) key_value = g_variant_get_child_value (entry, 0);
      g_autoptr(GVariant) member_value = g_variant_get_child_value (entry, 1);
      g_autoptr(GVariant) octets = g_variant_ref_sink (expect (key_value));
      const gsize length = g_variant_get_size (octets);

      g_hash_table_insert (hash, g_strndup (length > 0 ? g_variant_get_data (octets) : "", length),
                           g_variant_ref_sink (expect (member_value)));
    }

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_hash_table_iter_init (&iter, hash);
  while (g_hash_table_iter_next (&iter, &key, &member))
    g_variant_builder_add (&builder, "{sv}", key, member);

  return g_variant_builder_end (&builder);
}

static GVariant *
expect (GVariant *value)
{
  g_autoptr(GVariant) inner = NULL;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      return g_variant_get_boolean (value) ? bytes ("1", 1) : bytes ("", 0);

    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      return bytes (g_variant_get_string (value, NULL), g_variant_get_size (value) - 1);

    case G_VARIANT_CLASS_VARIANT:
      inner = g_variant_get_variant (value);
      return expect (inner);

    case G_VARIANT_CLASS_MAYBE:
      inner = g_variant_get_maybe (value);
      return inner != NULL ? expect (inner) : g_variant_new_maybe (G_VARIANT_TYPE_VARIANT, NULL);

    case G_VARIANT_CLASS_ARRAY:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
        return bytes (g_variant_get_data (value), g_variant_get_size (value));
      return g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY) ? expect_hash (value) : expect_array (value);

    case G_VARIANT_CLASS_TUPLE:
    case G_VARIANT_CLASS_DICT_ENTRY:
      return expect_array (value);

    default:
      return number_bytes (value);
    }
}

/* The list that a function returns of its arguments. */
static GVariant *
expect_list (GVariant *args)
{
  GVariantBuilder tuple, strings;
  gboolean are_strings = TRUE;
  const gsize n = g_variant_n_children (args);

  g_variant_builder_init (&tuple, n <= 50 ? G_VARIANT_TYPE_TUPLE : G_VARIANT_TYPE ("av"));
  g_variant_builder_init (&strings, G_VARIANT_TYPE_BYTESTRING_ARRAY);
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr(GVariant) arg = g_variant_get_child_value (args, i);
      g_autoptr(GVariant) value = g_variant_ref_sink (expect (arg));

      g_variant_builder_add_value (&tuple, n <= 50 ? value : g_variant_new_variant (value));
      are_strings = are_strings && g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING);
      if (are_strings)
        g_variant_builder_add_value (&strings, value);
    }
  if (!are_strings)
    {
      g_variant_builder_clear (&strings);
      return g_variant_builder_end (&tuple);
    }

  g_variant_builder_clear (&tuple);
  return g_variant_builder_end (&strings);
}

static void
watch_echo (Watched *watched)
{
  g_autoptr(AfrpcProcess) process = new_process (NULL);

  afrpc_process_eval (process, "sub echo { @_ }", NULL);
  watch_function (watched, process, "echo", AFRPC_BACKEND_SYNC, NULL);
}

/* Hashes have no order: what has none in it is the same to the byte. */
static void
check_echo (AfrpcProxy *proxy,
            GVariant   *args)
{
  g_autoptr(GVariant) kept = g_variant_ref_sink (args);
  g_autoptr(GVariant) expected = g_variant_ref_sink (expect_list (kept));
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, kept, &error);
  g_autofree char *text = NULL;
  g_autofree char *expected_text = show (expected);

  g_assert_no_error (error);
  text = show (result);
  g_assert_cmpstr (text, ==, expected_text);
  g_assert_cmpstr (g_variant_get_type_string (result), ==, g_variant_get_type_string (expected));
  if (strchr (text, '{') == NULL)
    g_assert_cmpmem (g_variant_get_data (result), g_variant_get_size (result), g_variant_get_data (expected),
                     g_variant_get_size (expected));
}

static void
test_perl_random (void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Values of random types come back as the documentation says");
  watch_echo (&watched);
  for (guint i = 0; i < 1000; i++)
    {
      GVariant *values[60];
      const int n = i % 100 == 0 ? 45 + (int) i / 100 : g_rand_int_range (rand, 0, 4);

      for (int j = 0; j < n; j++)
        {
          g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_DEFAULT);

          values[j] = n > 1 ? g_variant_ref_sink (g_variant_new_variant (value)) : g_steal_pointer (&value);
        }
      check_echo (watched.proxy, g_variant_new_tuple (values, n));
      for (int j = 0; j < n; j++)
        g_variant_unref (values[j]);
    }
}

/* Places in a value take more bytes where it is larger. */
static void
test_perl_offsets (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Arrays and tuples of any size are read and written in the format that GVariant has");
  watch_echo (&watched);
  for (guint i = 0; i < 2; i++)
    for (guint length = i == 0 ? 200 : 65480; length < (i == 0 ? 260 : 65540); length++)
      {
        g_autofree char *text = g_strnfill (length, 'x');
        const char *const strings[] = { "", text, "y", NULL };

        check_echo (watched.proxy, g_variant_new ("(^asv)", strings, g_variant_new_strv (strings, -1)));
        check_echo (watched.proxy, g_variant_new ("(a{sv}msd(sus))", NULL, text, 1.5, "a", 7, text));
        check_echo (watched.proxy, g_variant_new_parsed ("([({%s: 5}, byte 1)], @a(sas) [(%s, ['a', %s])])", text, text, text));
      }
}

static void
test_perl_sizes (void)
{
  static const guint sizes[] = { 0, 1, 2, 126, 127, 250, 251, 252, 253, 254, 255, 256, 65528, 65530, 65531, 65532, 65533, 70000 };
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Lists of strings are the same as GVariant would make of them");
  watch_jobs (&watched, AFRPC_BACKEND_SYNC);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint n = 1; n <= 4; n++)
      {
        g_autofree char *bytes = g_strnfill (sizes[i], 'x');
        GVariantBuilder builder;
        g_autoptr(GVariant) list = NULL;
        g_autoptr(GVariant) result = NULL;
        g_autoptr(GError) error = NULL;

        /* That many strings, but for the first empty. */
        g_variant_builder_init (&builder, G_VARIANT_TYPE_BYTESTRING_ARRAY);
        for (guint j = 0; j < n; j++)
          g_variant_builder_add_value (&builder, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, j == 0 ? sizes[i] : 0,
                                                                            1));
        list = g_variant_ref_sink (g_variant_builder_end (&builder));
        result = test_call (watched.proxy, g_variant_new ("(s@aay)", "flat", list), &error);
        g_assert_no_error (error);
        g_assert_cmpmem (g_variant_get_data (result), g_variant_get_size (result), g_variant_get_data (list),
                         g_variant_get_size (list));
        g_assert_true (g_variant_equal (result, list));
      }
}

static void
test_perl_huge (void)
{
  const guint32 size = 20 << 20;

  g_test_summary ("Strings of many megabytes go and come");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = NULL;
      g_autoptr(GVariant) string = NULL;

      watch_jobs (&watched, backends[b]);
      result = test_call (watched.proxy, g_variant_new ("(su)", "zeros", size), &error);
      g_assert_no_error (error);
      string = g_variant_get_child_value (result, 0);
      g_assert_cmpuint (g_variant_n_children (string), ==, size);
      g_clear_pointer (&result, g_variant_unref);
      result = test_call (watched.proxy, g_variant_new ("(s@ay)", "length", string), &error);
      g_assert_no_error (error);
      g_clear_pointer (&string, g_variant_unref);
      string = g_variant_get_child_value (result, 0);
      {
        g_autofree char *text = show (string);

        g_assert_cmpstr (text, ==, "20971520");
      }
    }
}

static void
watch_numbers (Watched    *watched,
               const char *arrays)
{
  g_autoptr(AfrpcProcess) process = new_process ("Numbers");

  afrpc_process_send_arg (process, g_variant_new_string (arrays));
  watch_function (watched, process, "Numbers::run", AFRPC_BACKEND_SYNC, &(PerlOptions) { .init = "Numbers::init" });
}

static void
check_printed (AfrpcProxy *proxy,
               const char *args,
               const char *expected)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, g_variant_new_parsed (args), &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  text = g_variant_print (result, TRUE);
  g_assert_cmpstr (text, ==, expected);
}

static void
test_perl_packed (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Arrays of numbers come and go as one string, if a worker wants that");
  watch_numbers (&watched, "packed");
  check_printed (watched.proxy, "('double', 'n', [int16 1, -2])", "([byte 0x32], [int16 2, -4])");
  check_printed (watched.proxy, "('double', 'q', [uint16 1, 300])", "([byte 0x32], [uint16 2, 600])");
  check_printed (watched.proxy, "('double', 'i', [1, -70000, 3])", "([byte 0x33], [2, -140000, 6])");
  check_printed (watched.proxy, "('double', 'u', [uint32 1])", "([byte 0x31], [uint32 2])");
  check_printed (watched.proxy, "('double', 'x', [int64 1, -4294967296])", "([byte 0x32], [int64 2, -8589934592])");
  check_printed (watched.proxy, "('double', 't', @at [])", "([byte 0x30], @at [])");
  check_printed (watched.proxy, "('double', 'd', [0.25, -3])", "([byte 0x32], [0.5, -6.0])");
  check_call (watched.proxy, "('is', [1.5], [true], b'x', [1], ['a'], [(1, 2)])", "(scalar, ARRAY, scalar, scalar, ARRAY, ARRAY)");
  check_printed (watched.proxy, "('bytes',)", "[[byte 0x61, 0x62, 0x63]]");
  check_printed (watched.proxy, "('nested',)", "([<{'a': <[1.5]>}>, <@an []>],)");
  check_error (watched.proxy, "('type',)", AFRPC_ERROR_REMOTE, "no arrays of type 's'");
  check_error (watched.proxy, "('size',)", AFRPC_ERROR_REMOTE, "no array of type 'd'");
  check_error (watched.proxy, "('forged', [<'d'>, <'1234567'>])", AFRPC_ERROR_FAILED, "not made by Afrpc::array");
  check_error (watched.proxy, "('forged', [<'b'>, <'1'>])", AFRPC_ERROR_FAILED, "not made by Afrpc::array");
  check_error (watched.proxy, "('forged', [<'i'>, <'1234'>, <2>])", AFRPC_ERROR_FAILED, "not made by Afrpc::array");
  check_error (watched.proxy, "('forged', [<'i'>, <'1234'>, <1>, <1>, <1>, <1>, <1>])", AFRPC_ERROR_FAILED, "not made by");
  check_error (watched.proxy, "('forged', @av [])", AFRPC_ERROR_FAILED, "not made by Afrpc::array");
  check_printed (watched.proxy, "('forged', [<'y'>, <'1234'>, <2>, <2>])", "([[byte 0x31, 0x32], [0x33, 0x34]],)");
}

static void
test_perl_pdl (void)
{
  g_auto(Watched) watched = { 0 };

  if (skip_without ("PDL::LiteF"))
    return;

  g_test_summary ("Arrays of numbers come as piddles, if a worker wants that, and piddles go as arrays");
  watch_numbers (&watched, "PDL");
  check_printed (watched.proxy, "('pdl', 2, [0.25, -1])", "([0.5, -2.0],)");
  check_printed (watched.proxy, "('pdl', 2, [int16 1, -2])", "([int16 2, -4],)");
  check_call (watched.proxy, "('pdl-type', [uint64 1, 2, 3])", "(ulonglong, 3)");
  check_call (watched.proxy, "('pdl-type', @ai [])", "(long, 0)");
  check_printed (watched.proxy, "('matrix',)", "([[0, 1], [2, 3], [4, 5]],)");
  check_printed (watched.proxy, "('cube',)", "([[[int16 0, 1]], [[2, 3]]],)");
  check_printed (watched.proxy, "('slice',)", "([1.0, 3.0],)");
  check_printed (watched.proxy, "('float',)", "([1.5, 2.5],)");
  check_call (watched.proxy, "('number',)", "(7)");
  check_printed (watched.proxy, "('empty',)", "(@ad [],)");
  check_error (watched.proxy, "('complex',)", AFRPC_ERROR_REMOTE, "a piddle of type cdouble cannot be sent");
  check_call (watched.proxy, "('is', [true], b'x')", "(ARRAY, scalar)");
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/perl/values", test_perl_values);
  g_test_add_func ("/perl/random", test_perl_random);
  g_test_add_func ("/perl/offsets", test_perl_offsets);
  g_test_add_func ("/perl/sizes", test_perl_sizes);
  g_test_add_func ("/perl/huge", test_perl_huge);
  g_test_add_func ("/perl/packed", test_perl_packed);
  g_test_add_func ("/perl/pdl", test_perl_pdl);

  return g_test_run ();
}
