/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The process group that a worker leads, with what it starts. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean afrpc_group_lead     (void);
gboolean afrpc_group_is_ours  (void);
void     afrpc_group_disown   (void);
void     afrpc_group_end      (void);
gboolean afrpc_group_signal   (int      pid,
                               int      pidfd,
                               gboolean is_child,
                               int      signum);

G_END_DECLS
