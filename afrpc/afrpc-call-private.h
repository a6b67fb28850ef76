/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A call, for those who make it and those who take it. */
#pragma once

#include "afrpc-call.h"
#include "afrpc-caller.h"
#include "peer/afrpc-pending.h"

G_BEGIN_DECLS

AfrpcCall    *afrpc_call_new          (AfrpcCaller          *caller,
                                       AfrpcCallOptions     *options);
AfrpcCall    *afrpc_call_new_used     (AfrpcCaller          *caller,
                                       AfrpcCallOptions     *options,
                                       gpointer              tag,
                                       GAsyncReadyCallback   callback,
                                       gpointer              user_data);
void          afrpc_call_free_used    (AfrpcCall            *self);
gboolean      afrpc_call_is_of        (GAsyncResult         *result,
                                       AfrpcCaller          *caller,
                                       gpointer              tag);
void          afrpc_call_set_context  (AfrpcCall            *self);
void          afrpc_call_watch        (AfrpcCall            *self,
                                       GCancellable         *cancellable);
void          afrpc_call_cancel_unbegun (AfrpcCall          *self);
gboolean      afrpc_call_is_cancelled (AfrpcCall            *self);
void          afrpc_call_give_up      (AfrpcCall            *self,
                                       AfrpcStarted          started,
                                       GError               *error);
void          afrpc_call_set_exit     (AfrpcCall            *self,
                                       AfrpcExit            *exit);
void          afrpc_call_block        (AfrpcCall            *self,
                                       AfrpcCallerInterface *iface);
GVariant     *afrpc_call_take_outcome (AfrpcCall            *self,
                                       GUnixFDList         **fds,
                                       GError              **error);
AfrpcPending *afrpc_call_get_pending  (AfrpcCall            *self);
AfrpcCall    *afrpc_call_of_pending   (AfrpcPending         *pending);

G_END_DECLS
