/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a session says of calls, and besides: results, errors, progress, events. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

gboolean afrpc_session_check_size       (AfrpcSession       *self,
                                         const AfrpcPayload *payload,
                                         GError            **error);
gboolean afrpc_session_check_result     (AfrpcSession       *self,
                                         gsize               type_length,
                                         gsize               size,
                                         GError            **error);
void     afrpc_session_send_error       (AfrpcSession       *self,
                                         AfrpcFrameKind      kind,
                                         guint64             serial,
                                         guint8              flags,
                                         const GError       *error);
void     afrpc_session_send_ready       (AfrpcSession       *self);
void     afrpc_session_retire           (AfrpcSession       *self);
gboolean afrpc_session_send_event       (AfrpcSession       *self,
                                         GVariant           *event,
                                         const int          *fds,
                                         gsize               n_fds,
                                         GError            **error);

/* Of a call. */
void     afrpc_session_send_started     (AfrpcSession       *self,
                                         const AfrpcServedCall *call);
void     afrpc_session_send_progress    (AfrpcSession       *self,
                                         AfrpcServedCall    *call,
                                         GVariant           *value);
void     afrpc_session_send_held_back   (AfrpcSession       *self);
int      afrpc_session_append_fd        (AfrpcSession       *self,
                                         AfrpcServedCall    *call,
                                         int                 fd,
                                         GError            **error);
void     afrpc_session_answer           (AfrpcSession       *self,
                                         AfrpcServedCall    *call,
                                         GVariant           *value,
                                         const GError       *error);
void     afrpc_session_refuse           (AfrpcSession       *self,
                                         AfrpcServedCall    *call,
                                         const GError       *error);
void     afrpc_session_refuse_cancelled (AfrpcSession       *self,
                                         AfrpcServedCall    *call);

G_END_DECLS
