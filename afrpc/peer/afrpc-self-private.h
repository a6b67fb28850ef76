/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The program as its own worker. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_SELF_HOST "self"      /* the host's name */
#define AFRPC_SELF_ENV "AFRPC_SELF" /* environment variable: the program is to be a host */

gboolean afrpc_self_set_ready     (void);
void     afrpc_self_fork_template (int (*serve) (void));
gboolean afrpc_self_is_ready      (void);
gboolean afrpc_self_take_template (int *fd,
                                   int *pid,
                                   int *pidfd);

G_END_DECLS
