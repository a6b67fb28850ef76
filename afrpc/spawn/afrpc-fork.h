/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Forking a prepared worker, in the worker: its child becomes a child of the program that made the
 * worker, which can then watch and reap it like any other. No GObject, no main loop. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean afrpc_fork_is_possible (int       parent_pid,
                                 GError  **error);
int      afrpc_fork             (int      *pidfd,
                                 GError  **error);

G_END_DECLS
