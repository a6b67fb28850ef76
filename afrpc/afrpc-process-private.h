/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-process.h"
#include "peer/afrpc-peer.h"

G_BEGIN_DECLS

AfrpcPeer *afrpc_process_get_peer (AfrpcProcess *self);

G_END_DECLS
