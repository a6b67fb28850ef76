/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_NATS_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc-nats.h> can be included directly."
#endif

#include <afrpc/afrpc-nats-connection.h>

G_BEGIN_DECLS

#define AFRPC_NATS_TYPE_CALLER (afrpc_nats_caller_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcNatsCaller, afrpc_nats_caller, AFRPC_NATS, CALLER, GObject)

AFRPC_AVAILABLE_IN_1_0
AfrpcNatsCaller     *afrpc_nats_caller_new             (AfrpcNatsConnection *connection,
                                                        const char          *subject) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcNatsConnection *afrpc_nats_caller_get_connection  (AfrpcNatsCaller     *self);
AFRPC_AVAILABLE_IN_1_0
const char          *afrpc_nats_caller_get_subject     (AfrpcNatsCaller     *self);
AFRPC_AVAILABLE_IN_1_0
guint                afrpc_nats_caller_get_n_calls_queued (AfrpcNatsCaller  *self);
AFRPC_AVAILABLE_IN_1_0
guint                afrpc_nats_caller_get_n_calls_sent (AfrpcNatsCaller    *self);
AFRPC_AVAILABLE_IN_1_0
guint                afrpc_nats_caller_get_n_servers   (AfrpcNatsCaller     *self);

G_END_DECLS
