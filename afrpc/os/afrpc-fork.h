/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Forking a prepared worker, in the worker: the new process becomes a child of the program that made the
 * worker, where that can be had, so that it can watch and reap it like any other. No GObject, no main loop. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_FORK_ASK_MS 50 /* how often a process is asked for its end that has no pidfd */

gboolean afrpc_fork_is_possible (GError   **error);
int      afrpc_fork_child       (int       *pidfd);
gboolean afrpc_fork_has_ended   (int        pid);
int      afrpc_fork             (int        parent_pid,
                                 gboolean  *is_sibling,
                                 int       *pidfd,
                                 GError   **error);
gboolean afrpc_fork_watch       (int        pid,
                                 int       *pidfd,
                                 GError   **error);

G_END_DECLS
