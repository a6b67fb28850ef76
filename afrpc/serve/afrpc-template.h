/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker as a template: it is forked while it is being prepared, and reaps what the kernel made its own child. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

gboolean afrpc_template_fork          (AfrpcSession  *session);
int      afrpc_template_fork_process  (AfrpcSession  *session,
                                       GError       **error);
void     afrpc_template_reap          (AfrpcSession  *session);
void     afrpc_template_wait_readable (AfrpcSession  *session);

G_END_DECLS
