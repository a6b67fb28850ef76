/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker is given at the end of its preparation: what it shares with its parent, an init function to call, and
 * the function that it is there for. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

gboolean afrpc_job_take (AfrpcSession  *session,
                         GVariant      *value,
                         GError       **error);

G_END_DECLS
