/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-worker.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_INVOCATION (afrpc_invocation_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcInvocation, afrpc_invocation, AFRPC, INVOCATION, GObject)

AFRPC_AVAILABLE_IN_1_0
AfrpcWorker  *afrpc_invocation_get_worker           (AfrpcInvocation *self);
AFRPC_AVAILABLE_IN_1_0
GVariant     *afrpc_invocation_get_args             (AfrpcInvocation *self);
AFRPC_AVAILABLE_IN_1_0
GVariant     *afrpc_invocation_get_metadata         (AfrpcInvocation *self);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_invocation_get_n_fds            (AfrpcInvocation *self);
AFRPC_AVAILABLE_IN_1_0
int           afrpc_invocation_steal_fd             (AfrpcInvocation *self,
                                                     guint            handle);
AFRPC_AVAILABLE_IN_1_0
int           afrpc_invocation_append_fd            (AfrpcInvocation *self,
                                                     int              fd,
                                                     GError         **error);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_invocation_progress             (AfrpcInvocation *self,
                                                     GVariant        *progress);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_invocation_return_value         (AfrpcInvocation *self,
                                                     GVariant        *value);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_invocation_return_error         (AfrpcInvocation *self,
                                                     const GError    *error);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_invocation_return_error_literal (AfrpcInvocation *self,
                                                     GQuark           domain,
                                                     int              code,
                                                     const char      *message);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_invocation_is_cancelled         (AfrpcInvocation *self);
AFRPC_AVAILABLE_IN_1_0
GCancellable *afrpc_invocation_get_cancellable      (AfrpcInvocation *self);

G_END_DECLS
