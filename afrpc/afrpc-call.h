/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-call-options.h"
#include "afrpc-exit.h"
#include "afrpc-process.h"

G_BEGIN_DECLS

AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_wait            (AfrpcCall            *self,
                                              GCancellable         *cancellable,
                                              GAsyncReadyCallback   callback,
                                              gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
GVariant         *afrpc_call_wait_finish     (AfrpcCall            *self,
                                              GAsyncResult         *result,
                                              GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
GVariant         *afrpc_call_wait_sync       (AfrpcCall            *self,
                                              GCancellable         *cancellable,
                                              GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_cancel          (AfrpcCall            *self);
AFRPC_AVAILABLE_IN_1_0
gboolean          afrpc_call_cancel_unstarted (AfrpcCall           *self);
AFRPC_AVAILABLE_IN_1_0
gboolean          afrpc_call_is_settled      (AfrpcCall            *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcStarted      afrpc_call_get_started     (AfrpcCall            *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcCaller      *afrpc_call_get_caller      (AfrpcCall            *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcCallOptions *afrpc_call_get_options     (AfrpcCall            *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcProcess     *afrpc_call_get_process     (AfrpcCall            *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcExit        *afrpc_call_get_exit        (AfrpcCall            *self);
AFRPC_AVAILABLE_IN_1_0
GUnixFDList      *afrpc_call_steal_fds       (AfrpcCall            *self);
AFRPC_AVAILABLE_IN_1_0
guint64           afrpc_call_get_index       (AfrpcCall            *self);

/* For bindings of languages. */
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_set_interrupted_func (gboolean (*func) (void));

/* For implementers of callers. */
AFRPC_AVAILABLE_IN_1_0
AfrpcCallOptions *afrpc_call_forward_options (AfrpcCall            *self) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_return_value    (AfrpcCall            *self,
                                              GVariant             *value,
                                              GUnixFDList          *fds);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_return_error    (AfrpcCall            *self,
                                              AfrpcStarted          started,
                                              const GError         *error);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_report_progress (AfrpcCall            *self,
                                              GVariant             *progress);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_set_process     (AfrpcCall            *self,
                                              AfrpcProcess         *process,
                                              AfrpcExit            *exit);

G_END_DECLS
