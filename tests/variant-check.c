/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "variant-check.h"

gboolean
variant_is_normal (GVariant *value)
{
  g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes (value);
  g_autoptr(GVariant) foreign = g_variant_new_from_bytes (g_variant_get_type (value), bytes, FALSE);

  return g_variant_is_normal_form (g_variant_ref_sink (foreign));
}

void
variant_assert_same (GVariant *a,
                     GVariant *b)
{
  g_assert_cmpstr (g_variant_get_type_string (a), ==, g_variant_get_type_string (b));
  g_assert_cmpmem (g_variant_get_data (a), g_variant_get_size (a), g_variant_get_data (b), g_variant_get_size (b));
}
