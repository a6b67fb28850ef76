/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Arrays of so many elements, of many types, to Python and back. Usage: python-linear N. What the conversions take is
 * to be counted by who runs it: they, and nothing else, are in work(). */
#include "config.h"

#include <stdlib.h>

#include "afrpc/python/afrpc-python-codec.h"
#include "python-oracle.h"

static const char *const elements[] = {
  "true", "byte 5", "int16 -5", "5", "uint64 5", "handle 0", "1.5", "'text of some length'", "objectpath '/a/b'",
  "signature 'a{sv}'", "<5>", "<1.5>", "<'text'>", "<<true>>", "<('a', 5)>", "<['a', 'b']>", "<{'a': <5>}>",
  "<@mv nothing>", "@mv nothing", "@ms 'text'", "()", "('a', 5)", "(5, byte 5)", "(byte 5, true)", "('a', ('b', <5>))",
  "b'octets'", "@ay []", "['a', '']", "[5, 6]", "[<5>, <'text'>]", "[{'a': <5>}]", "{'a': <5>, 'b': <'text'>}",
  "{5: 6}", "{'a': 'b'}", "[()]",
};

/* Not inlined, so that it has a name when it runs. */
G_NO_INLINE void work (GVariant *value);

void
work (GVariant *value)
{
  PyObject *object = afrpc_python_unpack (value, NULL);
  g_autoptr(GVariant) packed = afrpc_python_pack (object, NULL);
  g_autoptr(GVariant) typed = afrpc_python_pack_as (g_variant_get_type_string (value), object, FALSE, NULL);

  g_assert_nonnull (packed);
  g_assert_nonnull (typed);
  Py_DECREF (object);
}

/* The bytes of an array of so many, as they come from somebody else. */
static GVariant *
make_array (const char *text,
            guint       n)
{
  g_autoptr(GVariant) element = g_variant_parse (NULL, text, NULL, NULL, NULL);
  g_autoptr(GPtrArray) all = g_ptr_array_sized_new (n);
  g_autoptr(GVariant) array = NULL;
  g_autoptr(GBytes) bytes = NULL;

  g_assert_nonnull (element);
  for (guint i = 0; i < n; i++)
    g_ptr_array_add (all, element);
  array = g_variant_ref_sink (g_variant_new_array (NULL, (GVariant **) all->pdata, n));
  bytes = g_variant_get_data_as_bytes (array);

  return g_variant_ref_sink (g_variant_new_from_bytes (g_variant_get_type (array), bytes, FALSE));
}

/* A dictionary, whose keys are all different. */
static GVariant *
make_dict (guint n)
{
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);

  for (guint i = 0; i < n; i++)
    {
      char key[16];

      g_snprintf (key, sizeof key, "%u", i);
      g_variant_builder_add (&builder, "{sv}", key, g_variant_new_int64 (i));
    }

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/* Tuples in each other that begin where nothing needs to be aligned, and are moved there. */
static GVariant *
make_nested (guint n)
{
  GVariant *value = g_variant_new_string ("");

  while (n-- > 0)
    {
      GVariant *members[] = { g_variant_new_string ("a"), value };

      value = g_variant_new_tuple (members, 2);
    }

  return g_variant_ref_sink (value);
}

int
main (int    argc,
      char **argv)
{
  const guint n = argc > 1 ? atoi (argv[1]) : 0;
  g_autoptr(GVariant) dict = NULL;
  g_autoptr(GVariant) nested = make_nested (40);

  if (n == 0)
    return 1;

  python_oracle_start ();
  /* No collection of what is no garbage: that of Python has a cost of its own. */
  PyGC_Disable ();
  for (guint i = 0; i < G_N_ELEMENTS (elements); i++)
    {
      g_autoptr(GVariant) value = make_array (elements[i], n);

      work (value);
    }
  dict = make_dict (n);
  work (dict);
  for (guint i = 0; i < n / 40; i++)
    work (nested);

  return 0;
}
