/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Options from a foreign process: what GLib takes for normal is read as GLib reads it, and written again with another one
 * as GLib writes it; whatever else it is, nothing is read beyond its end.
 *
 * Input: the bytes of an "a{sv}". */
#include "config.h"

#include "fuzz-main.h"

#include <string.h>

#include "options-check.h"
#include "variant-check.h"

static void
check_read (GVariant *dict)
{
  AfrpcOptions options;

  g_assert_true (afrpc_options_init (&options, dict));
  g_assert_cmpuint (options.n, ==, g_variant_n_children (dict));
  for (gsize i = 0; i < options.n; i++)
    {
      g_autoptr(GVariant) value = NULL;
      const char *name;

      g_variant_get_child (dict, i, "{&sv}", &name, NULL);
      /* The first of that name, if there are more. */
      value = g_variant_lookup_value (dict, name, NULL);
      options_check_value (&options, name, value);
    }
}

static void
check_written (GVariant *dict)
{
  GVariantBuilder builder;
  AfrpcOptionsWriter writer;
  GVariantIter iter;
  GVariant *option;
  g_autoptr(GVariant) expected = NULL;
  g_autoptr(GVariant) written = NULL;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_iter_init (&iter, dict);
  while ((option = g_variant_iter_next_value (&iter)) != NULL)
    {
      g_variant_builder_add_value (&builder, option);
      g_variant_unref (option);
    }
  g_variant_builder_add (&builder, "{sv}", "one more", g_variant_new_uint32 (7));
  expected = g_variant_ref_sink (g_variant_builder_end (&builder));

  afrpc_options_begin (&writer, dict);
  afrpc_options_add_uint32 (&writer, "one more", 7);
  written = afrpc_options_end (&writer);
  variant_assert_same (written, expected);
}

static void
look (GVariant *dict)
{
  static const char *const names[] = { "", "version", "host", "async", "byte", "nice", "max-message-size", "function", "cwd" };
  AfrpcOptions options;

  g_assert_true (afrpc_options_init (&options, dict));
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      const char *text;
      gboolean boolean;
      guint8 byte;
      gint32 i32;
      guint32 u32;
      guint64 u64;

      if (afrpc_options_get_boolean (&options, names[i], &boolean))
        g_assert_true (boolean == FALSE || boolean == TRUE);
      afrpc_options_get_byte (&options, names[i], &byte);
      afrpc_options_get_int32 (&options, names[i], &i32);
      afrpc_options_get_uint32 (&options, names[i], &u32);
      afrpc_options_get_uint64 (&options, names[i], &u64);
      text = afrpc_options_get_string (&options, names[i]);
      g_assert_true (text == NULL || strlen (text) < g_variant_get_size (dict));
      text = afrpc_options_get_path (&options, names[i]);
      g_assert_true (text == NULL || strlen (text) < g_variant_get_size (dict));
    }
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        size_t        size)
{
  /* To the byte, for the sanitizer to see a step too far. */
  guint8 *copy = g_memdup2 (data, size);
  g_autoptr(GVariant) dict =
    g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE_VARDICT, copy, size, FALSE, g_free, copy));

  look (dict);
  if (variant_data_is_normal ("a{sv}", data, size))
    {
      check_read (dict);
      check_written (dict);
    }

  return 0;
}
