/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc/gjs/afrpc-gjs-range.h"

/**
 * afrpc_gjs_get_range:
 * @pspec: a property
 * @minimum: (out) (nullable): the least that it can be
 * @maximum: (out) (nullable): the greatest
 *
 * Gets between what a property has to be, as texts: not each number of 64 bits is one of JavaScript.
 *
 * Returns: whether it is a number
 */
gboolean
afrpc_gjs_get_range (GParamSpec  *pspec,
                     char       **minimum,
                     char       **maximum)
{
  *minimum = *maximum = NULL;

  if (G_IS_PARAM_SPEC_INT (pspec))
    {
      *minimum = g_strdup_printf ("%d", G_PARAM_SPEC_INT (pspec)->minimum);
      *maximum = g_strdup_printf ("%d", G_PARAM_SPEC_INT (pspec)->maximum);
    }
  else if (G_IS_PARAM_SPEC_UINT (pspec))
    {
      *minimum = g_strdup_printf ("%u", G_PARAM_SPEC_UINT (pspec)->minimum);
      *maximum = g_strdup_printf ("%u", G_PARAM_SPEC_UINT (pspec)->maximum);
    }
  else if (G_IS_PARAM_SPEC_UINT64 (pspec))
    {
      *minimum = g_strdup_printf ("%" G_GUINT64_FORMAT, G_PARAM_SPEC_UINT64 (pspec)->minimum);
      *maximum = g_strdup_printf ("%" G_GUINT64_FORMAT, G_PARAM_SPEC_UINT64 (pspec)->maximum);
    }

  return *minimum != NULL;
}
