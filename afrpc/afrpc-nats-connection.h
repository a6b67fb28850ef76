/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_NATS_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc-nats.h> can be included directly."
#endif

#include <afrpc/afrpc.h>

G_BEGIN_DECLS

/**
 * AfrpcNatsState:
 * @AFRPC_NATS_STATE_CONNECTING: for the first time
 * @AFRPC_NATS_STATE_CONNECTED: there is a server
 * @AFRPC_NATS_STATE_DISCONNECTED: there is none for the moment; each is tried again and again
 * @AFRPC_NATS_STATE_FAILED: there is none, and none is tried any more
 *
 * How an [class@AfrpcNats.Connection] is.
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_NATS_STATE_CONNECTING,
  AFRPC_NATS_STATE_CONNECTED,
  AFRPC_NATS_STATE_DISCONNECTED,
  AFRPC_NATS_STATE_FAILED,
} AfrpcNatsState;

#define AFRPC_NATS_TYPE_CONNECTION (afrpc_nats_connection_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcNatsConnection, afrpc_nats_connection, AFRPC_NATS, CONNECTION, GObject)

AFRPC_AVAILABLE_IN_1_0
AfrpcNatsConnection *afrpc_nats_connection_new       (const char          *url) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcNatsState       afrpc_nats_connection_get_state (AfrpcNatsConnection *self);
AFRPC_AVAILABLE_IN_1_0
const char          *afrpc_nats_connection_get_url   (AfrpcNatsConnection *self);
AFRPC_AVAILABLE_IN_1_0
const GError        *afrpc_nats_connection_get_failure (AfrpcNatsConnection *self);
AFRPC_AVAILABLE_IN_1_0
void                 afrpc_nats_connection_close_async (AfrpcNatsConnection *self,
                                                     GCancellable        *cancellable,
                                                     GAsyncReadyCallback  callback,
                                                     gpointer             user_data);
AFRPC_AVAILABLE_IN_1_0
gboolean             afrpc_nats_connection_close_finish (AfrpcNatsConnection *self,
                                                     GAsyncResult        *result,
                                                     GError             **error);

G_END_DECLS
