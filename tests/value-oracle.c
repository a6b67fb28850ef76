/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "value-oracle.h"

#include <string.h>

#include "variant-check.h"

gboolean
oracle_is_type (const char *string)
{
  return strlen (string) <= 255 && g_variant_type_string_is_valid (string) &&
         g_variant_type_is_definite ((const GVariantType *) string);
}

gboolean
oracle_check_type (const char *string)
{
  const gsize length = strlen (string);
  const gboolean expected = oracle_is_type (string);
  /* To the byte, for the sanitizer to see a step too far. */
  g_autofree char *exact = g_memdup2 (string, length);
  g_autofree AfrpcLayout *layout = g_new (AfrpcLayout, length);

  if (afrpc_layout_init (layout, exact, length) != expected)
    g_error ("'%s' is said to be %s", string, expected ? "no type" : "a type");

  return expected;
}

void
oracle_type_init (OracleType *self,
                  const char *string)
{
  self->string = string;
  g_assert_true (afrpc_layout_init (self->layout, string, strlen (string)));
}

gboolean
oracle_is_normal (const OracleType *type,
                  gconstpointer     data,
                  gsize             size)
{
  g_autofree guint8 *exact = g_memdup2 (data, size);

  return afrpc_value_is_normal (type->layout, exact, size);
}

static gboolean
is_normal_in_steps (const OracleType *type,
                    gconstpointer     data,
                    gsize             size,
                    gssize            budget)
{
  g_autofree guint8 *exact = g_memdup2 (data, size);
  AfrpcValueCheck check;
  int step;

  afrpc_value_check_init (&check, type->layout, exact, size, FALSE);
  while ((step = afrpc_value_check_step (&check, budget)) == 0)
    ;
  /* What has been said once is not taken back. */
  g_assert_cmpint (afrpc_value_check_step (&check, budget), ==, step);
  afrpc_value_check_clear (&check);
  /* That is for memory which is not changed. */
  g_assert_cmpmem (exact, size, data, size);

  return step > 0;
}

static char *
print_data (const guint8 *data,
            gsize         size)
{
  GString *text = g_string_new (NULL);

  for (gsize i = 0; i < size && i < 300; i++)
    g_string_append_printf (text, "%02x ", data[i]);

  return g_string_free (text, FALSE);
}

gboolean
oracle_check (const OracleType *type,
              gconstpointer     data,
              gsize             size)
{
  const gboolean expected = variant_data_is_normal (type->string, data, size);

  if (oracle_is_normal (type, data, size) != expected || is_normal_in_steps (type, data, size, 0) != expected ||
      is_normal_in_steps (type, data, size, g_test_rand_int_range (1, 1000)) != expected)
    {
      g_autofree char *text = print_data (data, size);

      g_error ("%s of %" G_GSIZE_FORMAT " bytes is said to be %s: %s", type->string, size,
               expected ? "malformed" : "normal", text);
    }

  return expected;
}

gboolean
oracle_check_value (GVariant *value)
{
  OracleType type;

  oracle_type_init (&type, g_variant_get_type_string (value));
  return oracle_check (&type, g_variant_get_data (value), g_variant_get_size (value));
}
