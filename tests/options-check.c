/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "options-check.h"

void
options_check_value (const AfrpcOptions *options,
                     const char         *name,
                     GVariant           *value)
{
  const char *type = g_variant_get_type_string (value);
  g_autoptr(GVariant) found = afrpc_options_dup_value (options, name, type);
  gboolean boolean, is_there;
  guint8 byte;
  gint32 i;
  guint32 u;
  guint64 t;

  g_assert_nonnull (found);
  g_assert_true (g_variant_equal (found, value));

  is_there = afrpc_options_get_boolean (options, name, &boolean);
  g_assert_cmpint (is_there, ==, g_str_equal (type, "b"));
  if (is_there)
    g_assert_cmpint (boolean, ==, g_variant_get_boolean (value));
  is_there = afrpc_options_get_byte (options, name, &byte);
  g_assert_cmpint (is_there, ==, g_str_equal (type, "y"));
  if (is_there)
    g_assert_cmpuint (byte, ==, g_variant_get_byte (value));
  is_there = afrpc_options_get_int32 (options, name, &i);
  g_assert_cmpint (is_there, ==, g_str_equal (type, "i"));
  if (is_there)
    g_assert_cmpint (i, ==, g_variant_get_int32 (value));
  is_there = afrpc_options_get_uint32 (options, name, &u);
  g_assert_cmpint (is_there, ==, g_str_equal (type, "u"));
  if (is_there)
    g_assert_cmpuint (u, ==, g_variant_get_uint32 (value));
  is_there = afrpc_options_get_uint64 (options, name, &t);
  g_assert_cmpint (is_there, ==, g_str_equal (type, "t"));
  if (is_there)
    g_assert_cmpuint (t, ==, g_variant_get_uint64 (value));
  if (g_str_equal (type, "s"))
    g_assert_cmpstr (afrpc_options_get_string (options, name), ==, g_variant_get_string (value, NULL));
  else
    g_assert_null (afrpc_options_get_string (options, name));
  /* Bytes are a path only if they end with a zero. */
  if (g_str_equal (type, "ay") && g_variant_get_size (value) > 0 &&
      ((const char *) g_variant_get_data (value))[g_variant_get_size (value) - 1] == '\0')
    g_assert_cmpstr (afrpc_options_get_path (options, name), ==, g_variant_get_bytestring (value));
  else
    g_assert_null (afrpc_options_get_path (options, name));
}
