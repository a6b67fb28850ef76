/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The numbers of the standard streams. In a program without them, such as a daemon that has closed them, the next
 * descriptors get these numbers, and would be taken for the streams: by whoever writes an error message, and by workers
 * that inherit them. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Returns: (transfer full): @fd (transfer full), or a copy above the standard streams instead, which is closed on exec; -1
 * stays -1. If there is no copy to be had: -1 and errno */
int      afrpc_low_fd_lift      (int  fd);

/* Returns: (transfer full): a copy of @fd above what programs expect to find at fixed numbers, which is closed on exec; or -1 and
 * errno */
int      afrpc_low_fd_dup       (int  fd);

/* Both, or -1 and errno for none: with both closed. */
int      afrpc_low_fd_lift_pair (int  fds[2]);

/* Whether @fd, 0 to 2, is a standard stream. One is there for what is executed, too, and never closed on exec; what GLib
 * and others open for themselves is. */
gboolean afrpc_low_fd_is_stream (int  fd);

/* In a process that was forked: what is no standard stream becomes one that is /dev/null. */
void     afrpc_low_fd_fill      (void);

G_END_DECLS
