/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the worker logs, sent to its parent. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

void afrpc_forward_log_start (AfrpcSession *session);
void afrpc_forward_log_stop  (void);

G_END_DECLS
