/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker as a template: it is forked, and reaps what was forked from it. */
#pragma once

#include "serve/afrpc-worker-private.h"

G_BEGIN_DECLS

gboolean afrpc_template_fork          (AfrpcWorker *self);
void     afrpc_template_wait_readable (AfrpcWorker *self);

G_END_DECLS
