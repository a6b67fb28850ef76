/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_NATS_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc-nats.h> can be included directly."
#endif

#include <afrpc/afrpc-nats-connection.h>

G_BEGIN_DECLS

#define AFRPC_NATS_TYPE_SERVER (afrpc_nats_server_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcNatsServer, afrpc_nats_server, AFRPC_NATS, SERVER, GObject)

AFRPC_AVAILABLE_IN_1_0
AfrpcNatsServer     *afrpc_nats_server_new            (AfrpcNatsConnection  *connection,
                                                       const char           *subject,
                                                       AfrpcCaller          *caller) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcNatsConnection *afrpc_nats_server_get_connection (AfrpcNatsServer      *self);
AFRPC_AVAILABLE_IN_1_0
const char          *afrpc_nats_server_get_subject    (AfrpcNatsServer      *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcCaller         *afrpc_nats_server_get_caller     (AfrpcNatsServer      *self);
AFRPC_AVAILABLE_IN_1_0
const char          *afrpc_nats_server_get_name       (AfrpcNatsServer      *self);

AFRPC_AVAILABLE_IN_1_0
void                 afrpc_nats_server_start          (AfrpcNatsServer      *self);
AFRPC_AVAILABLE_IN_1_0
void                 afrpc_nats_server_stop_async     (AfrpcNatsServer      *self,
                                                       GCancellable         *cancellable,
                                                       GAsyncReadyCallback   callback,
                                                       gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
gboolean             afrpc_nats_server_stop_finish    (AfrpcNatsServer      *self,
                                                       GAsyncResult         *result,
                                                       GError              **error);

AFRPC_AVAILABLE_IN_1_0
guint                afrpc_nats_server_get_n_calls_running (AfrpcNatsServer *self);
AFRPC_AVAILABLE_IN_1_0
guint64              afrpc_nats_server_get_n_calls_done (AfrpcNatsServer    *self);
AFRPC_AVAILABLE_IN_1_0
guint64              afrpc_nats_server_get_n_calls_refused (AfrpcNatsServer *self);
AFRPC_AVAILABLE_IN_1_0
guint                afrpc_nats_server_get_n_callers  (AfrpcNatsServer      *self);

G_END_DECLS
