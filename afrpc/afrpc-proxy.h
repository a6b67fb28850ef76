/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-caller.h"
#include "afrpc-serialiser.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_PROXY (afrpc_proxy_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcProxy, afrpc_proxy, AFRPC, PROXY, GObject)

AFRPC_AVAILABLE_IN_1_0
AfrpcProxy   *afrpc_proxy_new                      (AfrpcProcess         *process,
                                                    const char           *function) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_proxy_get_process              (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
const char   *afrpc_proxy_get_function             (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcBackend  afrpc_proxy_get_backend              (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcSerialiser *afrpc_proxy_get_serialiser        (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
GSocket      *afrpc_proxy_get_socket               (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_proxy_get_call_timeout_ms      (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_proxy_set_call_timeout_ms      (AfrpcProxy           *self,
                                                    guint                 timeout_ms);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_proxy_get_max_calls_queued     (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_proxy_set_max_calls_queued     (AfrpcProxy           *self,
                                                    guint                 max_calls);
AFRPC_AVAILABLE_IN_1_0
guint64       afrpc_proxy_get_max_bytes_queued     (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_proxy_set_max_bytes_queued     (AfrpcProxy           *self,
                                                    guint64               max_bytes);
AFRPC_AVAILABLE_IN_1_0
guint64       afrpc_proxy_get_max_message_size     (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_proxy_get_n_calls_queued       (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_proxy_is_closed                (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_proxy_is_retired               (AfrpcProxy           *self);

G_END_DECLS
