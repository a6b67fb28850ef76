/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Bytes as text, for what comes from those who know no text, such as workers in Perl. */
#include "config.h"

#include "afrpc-tool.h"

#include <string.h>

/* Returns: (transfer floating) (nullable): NULL if it is no text */
static GVariant *
read_text (GVariant *bytes)
{
  gsize size;
  const char *data = g_variant_get_fixed_array (bytes, &size, 1);

  if (size == 0)
    return g_variant_new_string ("");
  /* A C string brings its end along; it is not part of the text. */
  if (data[size - 1] == '\0')
    size--;

  return g_utf8_validate_len (data, size, NULL) ? g_variant_new_take_string (g_strndup (data, size)) : NULL;
}

/* A value, or that of an entry, which may be of any type then. */
static GVariant *
box (GVariant *value)
{
  g_autoptr(GVariant) key = NULL;
  g_autoptr(GVariant) inner = NULL;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_DICT_ENTRY))
    return g_variant_new_variant (value);

  key = g_variant_get_child_value (value, 0);
  inner = g_variant_get_child_value (value, 1);

  return g_variant_new_dict_entry (key, g_variant_new_variant (inner));
}

/* @children: (element-type GVariant): at least one; some may have become text, and others not */
static GVariant *
new_array (GPtrArray *children)
{
  gboolean are_alike = TRUE;

  for (guint i = 1; i < children->len && are_alike; i++)
    are_alike = g_variant_type_equal (g_variant_get_type (children->pdata[i]), g_variant_get_type (children->pdata[0]));
  for (guint i = 0; i < children->len && !are_alike; i++)
    {
      GVariant *child = children->pdata[i];

      children->pdata[i] = g_variant_ref_sink (box (child));
      g_variant_unref (child);
    }

  return g_variant_new_array (NULL, (GVariant **) children->pdata, children->len);
}

/* Returns: (transfer floating) */
static GVariant *
rebuild (GVariant  *value,
         GPtrArray *children) /* (element-type GVariant) */
{
  GVariant **const parts = (GVariant **) children->pdata;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_VARIANT:
      return g_variant_new_variant (parts[0]);
    case G_VARIANT_CLASS_MAYBE:
      return g_variant_new_maybe (NULL, parts[0]);
    case G_VARIANT_CLASS_DICT_ENTRY:
      return g_variant_new_dict_entry (parts[0], parts[1]);
    case G_VARIANT_CLASS_ARRAY:
      return new_array (children);
    default:
      return g_variant_new_tuple (parts, children->len);
    }
}

/* Returns: (transfer full): not floating; @value, with strings in the place of bytes that are text */
static GVariant *
replace_bytes (GVariant *value)
{
  const char *type = g_variant_get_type_string (value);
  g_autoptr(GPtrArray) children = NULL;
  GVariant *text = NULL;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    text = read_text (value);
  else if ((strstr (type, "ay") != NULL || strchr (type, 'v') != NULL) && g_variant_n_children (value) > 0)
    {
      const gsize n = g_variant_n_children (value);

      children = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
      for (gsize i = 0; i < n; i++)
        {
          g_autoptr(GVariant) child = g_variant_get_child_value (value, i);

          g_ptr_array_add (children, replace_bytes (child));
        }
      text = rebuild (value, children);
    }

  return text != NULL ? g_variant_ref_sink (text) : g_variant_ref (value);
}

/* Returns: (transfer full): not floating; @value as it is to be shown */
GVariant *
afrpc_tool_dup_shown (GVariant *value,
                      gboolean  bytes_as_text)
{
  return bytes_as_text ? replace_bytes (value) : g_variant_ref (value);
}
