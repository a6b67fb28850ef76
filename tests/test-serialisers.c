/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* afrpc's own serialisers, and how others are registered: without workers. */
#include <afrpc/afrpc.h>

#include <string.h>

#include "odd-serialiser.h"
#include "random-variant.h"
#include "variant-check.h"

static void
test_serialisers_registry (void)
{
  static const char *const own[] = { "variant", "bytes", "json" };
  g_autoptr(OddSerialiser) one = odd_serialiser_new (ODD_NAME, "one");
  g_autoptr(OddSerialiser) other = odd_serialiser_new (ODD_NAME, "other");
  g_autoptr(OddSerialiser) nameless = odd_serialiser_new (NULL, "one");
  g_autoptr(OddSerialiser) empty = odd_serialiser_new ("", "one");
  g_autoptr(OddSerialiser) false_json = odd_serialiser_new ("json", "one");
  g_autoptr(OddSerialiser) false_plain = odd_serialiser_new ("json-plain", "one");
  g_autofree char *longest_name = g_strnfill (255, 'n');
  g_autofree char *too_long_name = g_strnfill (256, 'n');
  g_autoptr(OddSerialiser) longest = odd_serialiser_new (longest_name, "one");
  g_autoptr(OddSerialiser) too_long = odd_serialiser_new (too_long_name, "one");
  OddSerialiser *refused[] = { nameless, empty, false_json, false_plain, too_long };
  g_autoptr(AfrpcJsonSerialiser) plain = afrpc_json_serialiser_new (G_VARIANT_TYPE ("s"));
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcSerialiser) found = NULL;

  g_test_summary ("Serialisers are found by their names; those of afrpc are nobody else's");
  for (guint i = 0; i < G_N_ELEMENTS (own); i++)
    {
      g_autoptr(AfrpcSerialiser) first = afrpc_serialiser_lookup (own[i]);
      g_autoptr(AfrpcSerialiser) again = afrpc_serialiser_lookup (own[i]);

      g_assert_cmpstr (afrpc_serialiser_get_name (first), ==, own[i]);
      g_assert_true (first == again);
    }
  g_assert_null (afrpc_serialiser_lookup (ODD_NAME));
  g_assert_null (afrpc_serialiser_lookup ("json-plain"));
  g_assert_null (afrpc_serialiser_lookup (""));

  g_assert_true (afrpc_serialiser_register (AFRPC_SERIALISER (one), &error));
  g_assert_no_error (error);
  found = afrpc_serialiser_lookup (ODD_NAME);
  g_assert_true (found == AFRPC_SERIALISER (one));
  g_clear_object (&found);
  g_assert_true (afrpc_serialiser_register (AFRPC_SERIALISER (other), NULL));
  found = afrpc_serialiser_lookup (ODD_NAME);
  g_assert_true (found == AFRPC_SERIALISER (other));
  g_assert_finalize_object (g_steal_pointer (&one));
  g_assert_true (afrpc_serialiser_register (AFRPC_SERIALISER (plain), NULL));
  g_assert_true (afrpc_serialiser_register (AFRPC_SERIALISER (longest), NULL));

  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_assert_false (afrpc_serialiser_register (AFRPC_SERIALISER (refused[i]), &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER);
      g_clear_error (&error);
    }
  g_assert_null (afrpc_serialiser_get_name (AFRPC_SERIALISER (nameless)));
}

/* Returns what it has made, which is to live as long as all threads: the thread sanitizer cannot see that GLib's
 * counts of references order what happens. */
static gpointer
register_thread (gpointer data)
{
  GPtrArray *made = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < 1000; i++)
    {
      OddSerialiser *odd = odd_serialiser_new (data, "thread");
      g_autoptr(AfrpcSerialiser) found = NULL;
      g_autoptr(AfrpcSerialiser) json = afrpc_serialiser_lookup ("json");

      g_ptr_array_add (made, odd);
      g_assert_true (afrpc_serialiser_register (AFRPC_SERIALISER (odd), NULL));
      found = afrpc_serialiser_lookup (data);
      g_assert_cmpstr (afrpc_serialiser_get_name (found), ==, data);
      g_assert_cmpstr (afrpc_serialiser_get_name (json), ==, "json");
    }

  return made;
}

static void
test_serialisers_threads (void)
{
  GThread *threads[4];
  GPtrArray *made[4];

  g_test_summary ("Threads may register and look up at once");
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new (NULL, register_thread, (gpointer) (i % 2 == 0 ? "even" : "uneven"));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    made[i] = g_thread_join (threads[i]);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_ptr_array_unref (made[i]);
}

static void
test_serialisers_random (gconstpointer name)
{
  g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (name);

  g_test_summary ("100000 random values come back exactly");
  for (guint i = 0; i < 100000; i++)
    {
      guint32 seed = g_test_rand_int ();
      g_autoptr(GRand) rand = g_rand_new_with_seed (seed);
      g_autoptr(GVariant) value = random_serialisable (rand, name);
      g_autoptr(GError) error = NULL;
      g_autoptr(GBytes) bytes = afrpc_serialiser_serialise (serialiser, value, &error);
      g_autoptr(GVariant) back = bytes != NULL ? afrpc_serialiser_deserialise (serialiser, bytes, &error) : NULL;

      if (error != NULL)
        {
          g_autofree char *text = g_variant_print (value, TRUE);

          g_test_fail_printf ("seed %u: %s\n%s", seed, error->message, text);
          return;
        }
      variant_assert_same (value, back);
      g_assert_true (variant_is_normal (back));
    }
}

static void
test_serialisers_damaged (gconstpointer name)
{
  g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (name);
  guint n_refused = 0;

  g_test_summary ("Damaged bytes are refused, or another value in normal form");
  for (guint i = 0; i < 20000; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_autoptr(GVariant) value = random_serialisable (rand, name);
      g_autoptr(GBytes) bytes = afrpc_serialiser_serialise (serialiser, value, NULL);
      gsize size = g_bytes_get_size (bytes);
      g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (bytes, NULL), size);
      gsize end_at = size;
      g_autoptr(GBytes) damaged = NULL;
      g_autoptr(GVariant) back = NULL;
      g_autoptr(GError) error = NULL;

      if (size > 0 && i % 2 == 0)
        copy[g_rand_int_range (rand, 0, size)] ^= 1 << g_rand_int_range (rand, 0, 8);
      else
        end_at = g_rand_int_range (rand, 0, size + 1);
      damaged = g_bytes_new (copy, end_at);
      back = afrpc_serialiser_deserialise (serialiser, damaged, &error);
      g_assert_true ((back != NULL) != (error != NULL));
      if (error != NULL)
        {
          n_refused++;
          g_assert_cmpint (error->domain, ==, AFRPC_ERROR);
        }
      else
        g_assert_true (variant_is_normal (back));
    }
  g_assert_cmpuint (n_refused, >, 1000);
}

static const struct
{
  const char *value;
  const char *bytes;
  gsize size;
} byte_formats[] = {
  { "'abc'", "s\0\003abc", 6 },
  { "b'abc'", "ay\0\004abc\0", 8 },
  { "@ay []", "ay\0\0", 4 },
  { "@aay []", "aay\0", 4 },
  { "[b'', b'a']", "aay\0\001\0\002a\0", 9 },
  { "['', 'a']", "as\0\0\001a", 6 },
  { "()", "()\0", 3 },
  { "('a', b'', '')", "(says)\0\001a\001\0\0", 12 },
};

static void
test_serialisers_bytes_format (void)
{
  g_autoptr(AfrpcSerialiser) bytes = afrpc_serialiser_lookup ("bytes");
  g_autofree char *long_text = g_strnfill (300, 'a');
  g_autoptr(GVariant) long_value = g_variant_ref_sink (g_variant_new_string (long_text));
  g_autoptr(GBytes) long_bytes = afrpc_serialiser_serialise (bytes, long_value, NULL);

  g_test_summary ("The format of 'bytes' is what is documented, to the byte");
  for (guint i = 0; i < G_N_ELEMENTS (byte_formats); i++)
    {
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed (byte_formats[i].value));
      g_autoptr(GBytes) made = afrpc_serialiser_serialise (bytes, value, NULL);

      g_assert_cmpmem (g_bytes_get_data (made, NULL), g_bytes_get_size (made), byte_formats[i].bytes,
                       byte_formats[i].size);
    }
  /* 300 is 2 * 128 + 44. */
  g_assert_cmpmem (g_bytes_get_data (long_bytes, NULL), 5, "s\0\202\054a", 5);
}

static void
test_serialisers_many (void)
{
  static const char *const names[] = { "variant", "bytes", "json" };

  g_test_summary ("Arrays come back however many elements they have");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    for (gsize n = 1; n < 200000; n = n * 3 + 1)
      {
        g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (names[i]);
        g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_STRING_ARRAY);
        g_autoptr(GVariant) value = NULL;
        g_autoptr(GVariant) back = NULL;
        g_autoptr(GBytes) bytes = NULL;
        g_autoptr(GError) error = NULL;

        for (gsize j = 0; j < n; j++)
          g_variant_builder_add (&builder, "s", j % 3 == 0 ? "" : "text");
        value = g_variant_ref_sink (g_variant_builder_end (&builder));
        bytes = afrpc_serialiser_serialise (serialiser, value, &error);
        g_assert_no_error (error);
        back = afrpc_serialiser_deserialise (serialiser, bytes, &error);
        g_assert_no_error (error);
        variant_assert_same (back, value);
      }
}

static void
test_serialisers_bytes_refuses (void)
{
  static const char *const values[] = { "1", "('a', 1)", "[['a']]", "('a', ['b'])", "<'a'>", "@ms 'a'", "{'a': 'b'}",
                                        "objectpath '/'", "(('a',),)" };
  static const struct { const char *bytes; gsize size; } malformed[] = {
    { "", 0 },           { "s", 1 },          { "s\0", 2 },           { "s\0\002a", 4 },   { "s\0\001ab", 5 },
    { "i\0\001a", 4 },   { "(s\0\001a", 5 },  { "ss\0\001a\001a", 7 }, { "s\0\001\377", 4 }, { "s\0\001\0", 4 },
    { "s\0\200\001a", 5 }, { "s\0\201", 3 },  { "aay\0\001", 5 },     { "(ss)\0\001a", 7 }, { "()\0\001a", 5 },
    { "s\0\377\377\377\377\377\377\377\377\377\177a", 13 },           { "ay\0\377\377\377\377\377\377\377\377\377\377\377\177", 15 },
    { "aaay\0", 5 },
  };
  g_autoptr(AfrpcSerialiser) bytes = afrpc_serialiser_lookup ("bytes");
  g_autofree char *no_nul = g_strnfill (1000, 's');
  g_autoptr(GBytes) long_type = g_bytes_new (no_nul, 1000);
  g_autoptr(GError) error = NULL;

  g_test_summary ("'bytes' takes nothing but strings, and says so; malformed bytes are refused");
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed (values[i]));

      g_assert_null (afrpc_serialiser_serialise (bytes, value, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER);
      g_assert_nonnull (strstr (error->message, g_variant_get_type_string (value)));
      g_clear_error (&error);
    }
  for (guint i = 0; i < G_N_ELEMENTS (malformed); i++)
    {
      /* To the byte, for the sanitizer to see a step too far. */
      g_autoptr(GBytes) data = g_bytes_new (malformed[i].bytes, malformed[i].size);

      if (afrpc_serialiser_deserialise (bytes, data, &error) != NULL)
        g_error ("malformed %u was accepted", i);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      g_clear_error (&error);
    }
  g_assert_null (afrpc_serialiser_deserialise (bytes, long_type, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
}

/* A tuple whose type string has so many characters. */
static GVariant *
new_wide (guint length)
{
  g_autoptr(GPtrArray) members = g_ptr_array_new ();

  while (members->len < length - 2)
    g_ptr_array_add (members, g_variant_new_boolean (TRUE));

  return g_variant_ref_sink (g_variant_new_tuple ((GVariant **) members->pdata, members->len));
}

/* So many values in each other. */
static GVariant *
new_deep (guint depth)
{
  GVariant *value = g_variant_new_boolean (TRUE);

  for (guint i = 1; i < depth; i++)
    value = g_variant_new_variant (value);

  return g_variant_ref_sink (value);
}

static void
check_comes_back (AfrpcSerialiser *serialiser,
                  GVariant        *value)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = afrpc_serialiser_serialise (serialiser, value, &error);
  g_autoptr(GVariant) back = NULL;

  g_assert_no_error (error);
  back = afrpc_serialiser_deserialise (serialiser, bytes, &error);
  g_assert_no_error (error);
  variant_assert_same (value, back);
}

static void
test_serialisers_limits (void)
{
  static const char *const names[] = { "variant", "json" };
  g_autoptr(GVariant) widest = new_wide (255);
  g_autoptr(GVariant) wide = new_wide (256);
  g_autoptr(GVariant) deepest = new_deep (128);
  g_autoptr(GVariant) deep = new_deep (129);
  g_autoptr(GVariant) malformed = g_variant_ref_sink (
    g_variant_new_from_data (G_VARIANT_TYPE_STRING, "\377", 1, FALSE, NULL, NULL));

  g_test_summary ("A value that no worker would take is refused by its serialiser");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (names[i]);
      g_autoptr(GError) error = NULL;

      check_comes_back (serialiser, widest);
      g_assert_null (afrpc_serialiser_serialise (serialiser, wide, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
      g_clear_error (&error);
      g_assert_null (afrpc_serialiser_serialise (serialiser, malformed, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      g_clear_error (&error);
      if (strcmp (names[i], "json") == 0)
        {
          check_comes_back (serialiser, deepest);
          g_assert_null (afrpc_serialiser_serialise (serialiser, deep, &error));
          g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
        }
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/serialisers/registry", test_serialisers_registry);
  g_test_add_func ("/serialisers/threads", test_serialisers_threads);
  g_test_add_data_func ("/serialisers/random/variant", "variant", test_serialisers_random);
  g_test_add_data_func ("/serialisers/random/bytes", "bytes", test_serialisers_random);
  g_test_add_data_func ("/serialisers/random/json", "json", test_serialisers_random);
  g_test_add_data_func ("/serialisers/damaged/variant", "variant", test_serialisers_damaged);
  g_test_add_data_func ("/serialisers/damaged/bytes", "bytes", test_serialisers_damaged);
  g_test_add_data_func ("/serialisers/damaged/json", "json", test_serialisers_damaged);
  g_test_add_func ("/serialisers/bytes/format", test_serialisers_bytes_format);
  g_test_add_func ("/serialisers/bytes/refuses", test_serialisers_bytes_refuses);
  g_test_add_func ("/serialisers/many", test_serialisers_many);
  g_test_add_func ("/serialisers/limits", test_serialisers_limits);

  return g_test_run ();
}
