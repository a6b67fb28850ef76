/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files that are memory, memfd_create(2). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whether the process may have a file of @size bytes. Memory is one for the limit of file sizes as well (RLIMIT_FSIZE), and
 * one that is too large would be the end of the process, by a signal. */
gboolean afrpc_memory_file_may_have (gsize size);

/* Whether the system has them at all: sandboxes may refuse. */
gboolean afrpc_memory_file_is_possible (void);

/* Returns: (transfer full): the descriptor of one of @size bytes, all of them zero, with these seals, fcntl(2); or -1 and
 * errno: EFBIG if there may be none of that size */
int      afrpc_memory_file_new      (const char *name,
                                     gsize       size,
                                     int         seals);

G_END_DECLS
