/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has arrived: read, and taken. */
#pragma once

#include "peer/afrpc-peer-parts.h"

G_BEGIN_DECLS

void        afrpc_inbox_read          (AfrpcPeer                   *self);
void        afrpc_inbox_take          (AfrpcPeer                   *self,
                                       AfrpcInboxMode               mode);
void        afrpc_inbox_decide_kept   (AfrpcPeer                   *self,
                                       AfrpcPending                *pending);
void        afrpc_inbox_context_gone  (AfrpcPeer                   *self);

G_END_DECLS
