/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Options as they travel, "a{sv}", written one after the other: nobody gives the same one twice. (GVariantDict has a
 * table of them, which costs several times as much.) */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* @value: a floating one is taken */
static inline void
afrpc_options_add (GVariantBuilder *self,
                   const char      *name,
                   GVariant        *value)
{
  g_variant_builder_add_value (self, g_variant_new_dict_entry (g_variant_new_string (name), g_variant_new_variant (value)));
}

/* @others: (nullable): what they begin with */
static inline void
afrpc_options_begin (GVariantBuilder *self,
                     GVariant        *others)
{
  g_variant_builder_init (self, G_VARIANT_TYPE_VARDICT);
  for (gsize i = 0; others != NULL && i < g_variant_n_children (others); i++)
    {
      g_autoptr(GVariant) option = g_variant_get_child_value (others, i);

      g_variant_builder_add_value (self, option);
    }
}

/* Returns: (transfer full) */
static inline GVariant *
afrpc_options_end (GVariantBuilder *self)
{
  return g_variant_ref_sink (g_variant_builder_end (self));
}

G_END_DECLS
