/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The file of a module that is sent to where its worker runs: what it holds, and by which name that is known there. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct
{
  char *sha256; /* in hexadecimal digits */
  char *name;   /* without folders */
  GBytes *contents;
  guint64 device, inode, size; /* what it was read from */
  gint64 changed_ns;
  gboolean is_settled; /* it had not just been changed then, so that another change is seen */
} AfrpcModuleFile;

AfrpcModuleFile *afrpc_module_file_load       (const char             *path,
                                               GError                **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean         afrpc_module_file_is_current (const AfrpcModuleFile  *self,
                                               const char             *path);
AfrpcModuleFile *afrpc_module_file_ref        (AfrpcModuleFile        *self);
void             afrpc_module_file_unref      (AfrpcModuleFile        *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcModuleFile, afrpc_module_file_unref)

G_END_DECLS
