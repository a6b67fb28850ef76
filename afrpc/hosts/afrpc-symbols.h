/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What one shared object defines itself. dlsym() also searches all that the object is linked with: that
 * finds what is not meant, and to find nothing touches the tables of every library, which a process that was
 * just forked has to fault in one by one. */
#pragma once

#include <glib.h>
#include <link.h>

G_BEGIN_DECLS

typedef struct
{
  void *handle;               /* dlopen()'s, not owned */
  const struct link_map *map;
  const ElfW(Sym) *symbols;
  const char *strings;
  const guint16 *versions;    /* (nullable) */
  const guint32 *hash;        /* (nullable): DT_GNU_HASH */
  gconstpointer calls;        /* (nullable): what is resolved when it is first called */
  gsize calls_size;           /* bytes */
  gboolean calls_have_addends; /* each is an ElfW(Rela), not an ElfW(Rel) */
} AfrpcSymbols;

gboolean afrpc_symbols_init (AfrpcSymbols       *self,
                             void               *handle);
gpointer afrpc_symbols_find (const AfrpcSymbols *self,
                             const char         *name);
gpointer afrpc_symbols_find_function (const AfrpcSymbols *self,
                                      const char         *name,
                                      gboolean           *is_data);
const char *afrpc_symbols_find_missing (const AfrpcSymbols *self);

G_END_DECLS
