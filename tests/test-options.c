/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-options.h"

#include <string.h>

#include "options-check.h"
#include "random-variant.h"

/* As GLib writes them. */
typedef struct
{
  GVariantBuilder builder;
  AfrpcOptionsWriter writer;
} Both;

static void
begin (Both     *both,
       GVariant *others)
{
  g_variant_builder_init (&both->builder, G_VARIANT_TYPE_VARDICT);
  for (gsize i = 0; others != NULL && i < g_variant_n_children (others); i++)
    {
      g_autoptr(GVariant) option = g_variant_get_child_value (others, i);

      g_variant_builder_add_value (&both->builder, option);
    }
  afrpc_options_begin (&both->writer, others);
}

/* Returns: (transfer full) */
static GVariant *
end (Both *both)
{
  g_autoptr(GVariant) expected = g_variant_ref_sink (g_variant_builder_end (&both->builder));
  GVariant *written = afrpc_options_end (&both->writer);

  g_assert_false (g_variant_is_floating (written));
  g_assert_cmpstr (g_variant_get_type_string (written), ==, "a{sv}");
  g_assert_cmpmem (g_variant_get_data (written), g_variant_get_size (written),
                   g_variant_get_data (expected), g_variant_get_size (expected));

  return written;
}

static void
add (Both       *both,
     const char *name,
     GVariant   *value)
{
  g_variant_builder_add (&both->builder, "{sv}", name, value);
  switch (*g_variant_get_type_string (value))
    {
    case 'b':
      afrpc_options_add_boolean (&both->writer, name, g_variant_get_boolean (value));
      break;

    case 'y':
      afrpc_options_add_byte (&both->writer, name, g_variant_get_byte (value));
      break;

    case 'i':
      afrpc_options_add_int32 (&both->writer, name, g_variant_get_int32 (value));
      break;

    case 'u':
      afrpc_options_add_uint32 (&both->writer, name, g_variant_get_uint32 (value));
      break;

    case 't':
      afrpc_options_add_uint64 (&both->writer, name, g_variant_get_uint64 (value));
      break;

    case 's':
      afrpc_options_add_string (&both->writer, name, g_variant_get_string (value, NULL));
      break;

    default:
      afrpc_options_add (&both->writer, name, value);
      break;
    }
}

static void
check_all (GVariant *dict)
{
  AfrpcOptions options;
  guint32 u;

  g_assert_true (afrpc_options_init (&options, dict));
  g_assert_cmpuint (options.n, ==, g_variant_n_children (dict));
  for (gsize i = 0; i < options.n; i++)
    {
      g_autoptr(GVariant) value = NULL;
      g_autofree char *longer = NULL;
      const char *name;

      g_variant_get_child (dict, i, "{&sv}", &name, &value);
      options_check_value (&options, name, value);
      longer = g_strconcat (name, "-", NULL);
      g_assert_null (afrpc_options_get_string (&options, longer));
      g_assert_null (afrpc_options_dup_value (&options, name, "(nothing)"));
    }
  g_assert_false (afrpc_options_get_uint32 (&options, "", &u));
}

static GVariant *
random_value (GRand *rand)
{
  static const char *const types[] = { "b", "y", "i", "u", "t", "s", "ay" };
  const guint i = g_rand_int_range (rand, 0, G_N_ELEMENTS (types) + 1);
  guint64 number = (guint64) g_rand_int (rand) << 32 | g_rand_int (rand);

  if (i == G_N_ELEMENTS (types))
    return random_variant (rand, RANDOM_VARIANT_NO_ODD_NAN);
  switch (*types[i])
    {
    case 'b':
      return g_variant_new_boolean (number & 1);

    case 'y':
      return g_variant_new_byte (number);

    case 'i':
      return g_variant_new_int32 (number);

    case 'u':
      return g_variant_new_uint32 (number);

    case 't':
      return g_variant_new_uint64 (number);

    case 's':
      {
        g_autofree char *text = g_strnfill (g_rand_int_range (rand, 0, 300), 'a' + number % 26);

        return g_variant_new_string (text);
      }

    default:
      {
        g_autofree char *text = g_strnfill (number % 20, '/');

        return g_variant_new_bytestring (text);
      }
    }
}

static GVariant *
random_options (GRand *rand,
                guint  n)
{
  g_autoptr(GVariant) others = NULL;
  Both both;

  for (guint half = 0; half < 2; half++)
    {
      g_autoptr(GVariant) before = g_steal_pointer (&others);

      begin (&both, before);
      for (guint i = 0; i < n / 2 + half * (n % 2); i++)
        {
          g_autofree char *fill = g_strnfill (g_rand_int_range (rand, 0, 20), 'x');
          g_autofree char *name = g_strdup_printf ("%u%u%s", half, i, fill);
          g_autoptr(GVariant) value = g_variant_take_ref (random_value (rand));

          add (&both, name, value);
        }
      others = end (&both);
    }

  return g_steal_pointer (&others);
}

static void
test_options_random (void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());

  g_test_summary ("Options are written as GLib writes them, byte for byte, and read as what they are");

  for (guint round = 0; round < 300; round++)
    {
      g_autoptr(GVariant) dict = random_options (rand, g_rand_int_range (rand, 0, 12));

      check_all (dict);
    }
}

static void
test_options_sizes (void)
{
  g_test_summary ("The offsets behind options, and behind what is in one, are as large as they have to be");

  for (gsize size = 0; size < 70000; size += size < 300 || (size > 65400 && size < 65600) ? 1 : 500)
    {
      g_autofree char *text = g_strnfill (size, 's');
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_string (text));
      g_autoptr(GVariant) dict = NULL;
      Both both;

      begin (&both, NULL);
      add (&both, "one", value);
      add (&both, "two", value);
      dict = end (&both);
      check_all (dict);
    }
}

static void
test_options_others (void)
{
  g_autoptr(GVariant) number = g_variant_ref_sink (g_variant_new_uint32 (7));
  g_autoptr(GVariant) dict = NULL;
  AfrpcOptionsWriter writer;
  AfrpcOptions options;
  guint32 u;
  guint8 byte;

  g_test_summary ("What is no dictionary of options has none");

  g_assert_false (afrpc_options_init (&options, number));
  g_assert_false (afrpc_options_get_uint32 (&options, "", &u));
  g_assert_null (afrpc_options_get_string (&options, "version"));
  g_assert_null (afrpc_options_dup_value (&options, "version", "u"));

  /* Nor is an array without an element that element. */
  afrpc_options_begin (&writer, NULL);
  afrpc_options_add (&writer, "stdio", g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, NULL, 0, TRUE, NULL, NULL));
  dict = afrpc_options_end (&writer);
  g_assert_true (afrpc_options_init (&options, dict));
  g_assert_false (afrpc_options_get_byte (&options, "stdio", &byte));
}

static void
look (GVariant *dict)
{
  AfrpcOptions options;
  gboolean boolean;
  guint64 t;

  g_assert_true (afrpc_options_init (&options, dict));
  afrpc_options_get_boolean (&options, "async", &boolean);
  afrpc_options_get_uint64 (&options, "max-message-size", &t);
  afrpc_options_get_string (&options, "function");
  afrpc_options_get_path (&options, "cwd");
}

static void
test_options_damaged (void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
  g_autoptr(GVariant) dict = NULL;
  AfrpcOptionsWriter writer;
  gsize size;

  g_test_summary ("Bytes that are no options are not read beyond their end");

  afrpc_options_begin (&writer, NULL);
  afrpc_options_add_boolean (&writer, "async", TRUE);
  afrpc_options_add_uint64 (&writer, "max-message-size", 1 << 20);
  afrpc_options_add_string (&writer, "function", "echo");
  afrpc_options_add (&writer, "cwd", g_variant_new_bytestring ("/"));
  dict = afrpc_options_end (&writer);
  size = g_variant_get_size (dict);

  for (guint round = 0; round < 20000; round++)
    {
      const gsize n = round % 2 == 0 ? size : (gsize) g_rand_int_range (rand, 1, size);
      guint8 *damaged = g_malloc (n);
      g_autoptr(GVariant) other = NULL;

      memcpy (damaged, g_variant_get_data (dict), n);
      for (guint i = 0; i < 1 + round % 3; i++)
        damaged[g_rand_int_range (rand, 0, n)] = g_rand_int (rand);
      other = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE_VARDICT, damaged, n, TRUE, g_free, damaged));
      look (other);
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/options/random", test_options_random);
  g_test_add_func ("/options/sizes", test_options_sizes);
  g_test_add_func ("/options/others", test_options_others);
  g_test_add_func ("/options/damaged", test_options_damaged);

  return g_test_run ();
}
