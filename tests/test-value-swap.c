/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "random-variant.h"
#include "value-oracle.h"
#include "variant-check.h"

#define N_ROUNDS (g_test_thorough () ? 1000000u : 30000u)

static void
check_swap (GVariant *value,
            gssize    budget)
{
  g_autoptr(GVariant) expected = g_variant_byteswap (value);
  const gsize size = g_variant_get_size (value);
  g_autofree guint8 *data = g_malloc (MAX (size, 1)); /* from GLib 2.80 on nothing is stored to NULL */
  AfrpcValueCheck check;
  OracleType type;
  int step;

  oracle_type_init (&type, g_variant_get_type_string (value));
  g_variant_store (value, data);
  afrpc_value_check_init (&check, type.layout, data, size, TRUE);
  while ((step = afrpc_value_check_step (&check, budget)) == 0)
    ;
  afrpc_value_check_clear (&check);
  g_assert_cmpint (step, ==, 1);
  g_assert_cmpmem (data, size, g_variant_get_data (expected), g_variant_get_size (expected));
}

static void
test_value_swap (void)
{
  static const char *const types[] = { "ax", "ai", "an", "ad", "a(yx)", "a(nyi)", "a(bt)", "aan", "a(sx)", "a{iv}",
                                       "av", "a(y(nn)(ix)d)", "a(dd)", "a(nnnn)", "amx", "a((y)(n))" };

  g_test_summary ("The byte order of all numbers changes, and nothing else does");
  for (guint i = 0; i < N_ROUNDS / 4; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_DEFAULT);

      check_swap (value, i % 2 == 0 ? G_MAXSSIZE : 0);
    }
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    for (guint n = 0; n < 3000; n = n * 2 + 1)
      {
        g_autoptr(GRand) rand = g_rand_new_with_seed (n);
        g_autoptr(GVariant) value = random_variant_array (rand, types[i], n);

        check_swap (value, n % 3 == 0 ? G_MAXSSIZE : 1);
      }
}

static void
test_value_swap_deep (void)
{
  GVariantBuilder builder;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) element = g_variant_ref_sink (g_variant_new_int32 (1));

  g_test_summary ("What is in more containers than have a place at once is not begun again");
  for (guint depth = 0; depth < 2 * AFRPC_VALUE_CHECK_FRAMES; depth++)
    {
      GVariant *const children[] = { g_variant_new_variant (element), g_variant_new_variant (g_variant_new_int64 (2)) };
      g_autoptr(GVariant) inner = g_steal_pointer (&element);

      element = g_variant_ref_sink (depth % 2 == 0 ? g_variant_new_array (NULL, children, 2)
                                                   : g_variant_new_tuple (children, 2));
    }
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aav"));
  for (guint i = 0; i < 8; i++)
    g_variant_builder_add_parsed (&builder, "[%v, <(1, 'two', 3)>, <[4, 5]>]", element);
  value = g_variant_ref_sink (g_variant_builder_end (&builder));

  for (gssize budget = 0; budget < 100000; budget += 250)
    check_swap (value, budget);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/value-swap/all", test_value_swap);
  g_test_add_func ("/value-swap/deep", test_value_swap_deep);

  return g_test_run ();
}
