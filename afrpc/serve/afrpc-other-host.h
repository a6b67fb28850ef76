/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What may be meant by a module that cannot be loaded, for hosts. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Returns: (nullable): the host of modules that are called so, unless it is @own */
static inline const char *
afrpc_find_other_host (const char *module,
                       const char *own)
{
  static const struct
  {
    const char *suffix;
    const char *host;
  } others[] = {
    { ".py", "python" }, { ".js", "gjs" }, { ".mjs", "gjs" }, { ".pm", "perl" }, { ".pl", "perl" }, { ".so", "c" },
  };
  g_autofree char *lower = g_ascii_strdown (module, -1);

  for (gsize i = 0; i < G_N_ELEMENTS (others); i++)
    if (g_str_has_suffix (lower, others[i].suffix))
      return g_str_equal (others[i].host, own) ? NULL : others[i].host;

  return NULL;
}

G_END_DECLS
