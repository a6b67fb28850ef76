/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker is given at the end of its preparation: what it shares with its parent, an init function to call, and
 * the function that it is there for. What becomes of it as an orphan may have been said before. */
#pragma once

#include "serve/afrpc-session.h"
#include "wire/afrpc-options.h"

G_BEGIN_DECLS

gboolean afrpc_job_take               (AfrpcSession        *session,
                                       GVariant            *value,
                                       GError             **error);
gboolean afrpc_job_take_orphan_policy (AfrpcSession        *session,
                                       const AfrpcOptions  *options,
                                       GError             **error);
void     afrpc_job_take_lifeline      (AfrpcSession        *session,
                                       int                  signal);

G_END_DECLS
