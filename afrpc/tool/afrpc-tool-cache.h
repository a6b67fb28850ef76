/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Modules that were sent to this machine, in the user's folder of caches: afrpc/SHA-256/NAME. Nobody else may write there,
 * and what is found is not taken for what it should be before its sum says so. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct
{
  const char *sha256; /* in hexadecimal digits */
  const char *name;   /* without folders */
  guint64 size;       /* bytes */
} AfrpcToolCached;

typedef gboolean (*AfrpcToolReadFunc) (void    *data,
                                       gsize    size,
                                       GError **error);

gboolean afrpc_tool_cache_check (const AfrpcToolCached  *what,
                                 GError                **error);
gboolean afrpc_tool_cache_has   (const AfrpcToolCached  *what);
gboolean afrpc_tool_cache_store (const AfrpcToolCached  *what,
                                 AfrpcToolReadFunc       read_func,
                                 GError                **error);

G_END_DECLS
