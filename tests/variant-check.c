/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "variant-check.h"

#include <string.h>

gboolean
variant_is_normal (GVariant *value)
{
  g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes (value);
  g_autoptr(GVariant) foreign = g_variant_new_from_bytes (g_variant_get_type (value), bytes, FALSE);

  return g_variant_is_normal_form (g_variant_ref_sink (foreign));
}

gboolean
variant_is_trusted (GVariant *value)
{
  const gsize size = g_variant_get_size (value);
  guint8 *data = (guint8 *) g_variant_get_data (value);
  g_autofree guint8 *saved = g_memdup2 (data, size);
  gboolean is_trusted;

  memset (data, 0xff, size);
  is_trusted = g_variant_is_normal_form (value);
  memcpy (data, saved, size);

  return is_trusted;
}

gboolean
variant_data_is_normal (const char    *type,
                        gconstpointer  data,
                        gsize          size)
{
  /* GLib before 2.88.1 looks at a byte behind a malformed tuple. */
  guint8 *copy = g_malloc0 (size + 1);
  g_autoptr(GVariant) value = NULL;

  if (size > 0)
    memcpy (copy, data, size);
  value = g_variant_new_from_data ((const GVariantType *) type, copy, size, FALSE, g_free, copy);

  return g_variant_is_normal_form (g_variant_ref_sink (value));
}

gboolean
variant_has_long_type (GVariant *value)
{
  const char *type = g_variant_get_type_string (value);
  gsize n;

  if (strchr (type, 'v') == NULL || strlen (type) > 255)
    return strlen (type) > 255;

  n = g_variant_is_container (value) ? g_variant_n_children (value) : 0;
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr(GVariant) child = g_variant_get_child_value (value, i);

      if (variant_has_long_type (child))
        return TRUE;
    }

  return FALSE;
}

GVariant *
variant_nest (char      kind,
              GVariant *value)
{
  switch (kind)
    {
    case 'v':
      return g_variant_new_variant (value);
    case 'a':
      return g_variant_new_array (NULL, &value, 1);
    case 'm':
      return g_variant_new_maybe (NULL, value);
    case '{':
      return g_variant_new_dict_entry (g_variant_new_string ("k"), value);
    default:
      return g_variant_new_tuple (&value, 1);
    }
}

char *
variant_make_deep_text (const char *opening,
                        guint       n,
                        const char *inside,
                        const char *closing)
{
  GString *string = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    g_string_append (string, opening);
  g_string_append (string, inside);
  for (guint i = 0; i < n; i++)
    g_string_append (string, closing);

  return g_string_free (string, FALSE);
}

void
variant_assert_same (GVariant *a,
                     GVariant *b)
{
  g_assert_cmpstr (g_variant_get_type_string (a), ==, g_variant_get_type_string (b));
  g_assert_cmpmem (g_variant_get_data (a), g_variant_get_size (a), g_variant_get_data (b), g_variant_get_size (b));
}
