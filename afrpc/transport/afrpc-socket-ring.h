/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A socket with a ring in shared memory beside it: what is small costs no system call while the other side is awake.
 * Each side says, by the socket, that what follows comes by the ring; until the other side has said that it takes what is
 * there, nothing may go by the socket any more, behind which it could not tell what belongs where. */
#pragma once

#include "transport/afrpc-transport.h"

G_BEGIN_DECLS

extern const AfrpcTransportFuncs afrpc_ring_funcs;

void     afrpc_transport_send_by_ring     (AfrpcTransport       *self);
gboolean afrpc_transport_may_read_by_ring (const AfrpcTransport *self);
void     afrpc_transport_read_by_ring     (AfrpcTransport       *self);

G_END_DECLS
