/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-nats-connection.h"
#include "nats/afrpc-nats-link.h"

G_BEGIN_DECLS

AfrpcNatsLink *afrpc_nats_connection_get_link   (AfrpcNatsConnection *self);
const char    *afrpc_nats_connection_describe   (AfrpcNatsConnection *self);
char          *afrpc_nats_connection_new_inbox  (AfrpcNatsConnection *self);

G_END_DECLS
