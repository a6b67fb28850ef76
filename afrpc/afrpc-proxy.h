/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-types.h"

G_BEGIN_DECLS

/**
 * AfrpcProgressFunc:
 * @self: the proxy
 * @progress: how far the call has come, as the worker says it
 * @data: (closure): what was given with the call
 *
 * Is called with the progress of one call; see [method@Afrpc.Proxy.call_with_progress].
 *
 * Since: 1.0
 */
typedef void (*AfrpcProgressFunc) (AfrpcProxy *self,
                                   GVariant   *progress,
                                   gpointer    data);

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
void          afrpc_proxy_call                     (AfrpcProxy           *self,
                                                    GVariant             *args,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
GVariant     *afrpc_proxy_call_finish              (AfrpcProxy           *self,
                                                    GAsyncResult         *result,
                                                    GError              **error) G_GNUC_WARN_UNUSED_RESULT;
#ifndef __GI_SCANNER__ /* which takes it for a function that some other one finishes */
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_proxy_cancel_call              (AfrpcProxy           *self,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
#endif
AFRPC_AVAILABLE_IN_1_0
GVariant     *afrpc_proxy_call_sync                (AfrpcProxy           *self,
                                                    GVariant             *args,
                                                    GCancellable         *cancellable,
                                                    GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
void          afrpc_proxy_call_with_timeout        (AfrpcProxy           *self,
                                                    GVariant             *args,
                                                    guint                 timeout_ms,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
GVariant     *afrpc_proxy_call_with_timeout_finish (AfrpcProxy           *self,
                                                    GAsyncResult         *result,
                                                    GError              **error) G_GNUC_WARN_UNUSED_RESULT;

AFRPC_AVAILABLE_IN_1_0
void          afrpc_proxy_call_with_fds            (AfrpcProxy           *self,
                                                    GVariant             *args,
                                                    GUnixFDList          *fds,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
GVariant     *afrpc_proxy_call_with_fds_finish     (AfrpcProxy           *self,
                                                    GAsyncResult         *result,
                                                    GUnixFDList         **out_fds,
                                                    GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
GVariant     *afrpc_proxy_call_with_fds_sync       (AfrpcProxy           *self,
                                                    GVariant             *args,
                                                    GUnixFDList          *fds,
                                                    GUnixFDList         **out_fds,
                                                    GCancellable         *cancellable,
                                                    GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
GUnixFDList  *afrpc_proxy_get_event_fds            (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_proxy_call_with_progress       (AfrpcProxy           *self,
                                                    GVariant             *args,
                                                    AfrpcProgressMode     mode,
                                                    AfrpcProgressFunc     progress,
                                                    gpointer              progress_data,
                                                    GDestroyNotify        progress_destroy,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
GVariant     *afrpc_proxy_call_with_progress_finish (AfrpcProxy          *self,
                                                    GAsyncResult         *result,
                                                    GError              **error) G_GNUC_WARN_UNUSED_RESULT;

AFRPC_AVAILABLE_IN_1_0
void          afrpc_proxy_close                    (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_proxy_close_async              (AfrpcProxy           *self,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_proxy_close_finish             (AfrpcProxy           *self,
                                                    GAsyncResult         *result,
                                                    GError              **error);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_proxy_close_and_unref          (AfrpcProxy           *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_proxy_kill                     (AfrpcProxy           *self);

G_END_DECLS
