/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How much memory a process has for itself. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean afrpc_memory_usage_read (int      pid,
                                  guint64  enough,
                                  guint64 *bytes);

G_END_DECLS
