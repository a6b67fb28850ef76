/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a process, or a pidfd, that somebody else names stands for. No GObject, no main loop. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean afrpc_pidfd_get_pid    (int  pidfd,
                                 int *pid);
gboolean afrpc_pidfd_is_process (int pidfd,
                                 int pid,
                                 int parent_pid);
int      afrpc_pidfd_has_socket (int     pid,
                                 guint64 inode,
                                 int     fd);
int      afrpc_pidfd_find_child (guint64 inode,
                                 int     fd,
                                 gboolean (*skips) (int pid),
                                 int     other_pid);

G_END_DECLS
