/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ends a worker when its parent dies, also while a function of it computes: a pipe of which the
 * parent alone has the writing end. The kernel itself sends the worker a signal, usually SIGKILL, when that closes, see
 * F_SETSIG and O_ASYNC in fcntl(2): no thread, no handler, and unlike PR_SET_PDEATHSIG it follows the
 * process and not the thread that made the worker. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

int      afrpc_lifeline_dup (void);
gboolean afrpc_lifeline_is_for_want (int error);
gboolean afrpc_lifeline_arm (int      fd,
                             int      signal,
                             gboolean is_group,
                             gboolean changes);
void     afrpc_lifeline_change      (int signal);
void     afrpc_lifeline_leave_group (void);

G_END_DECLS
