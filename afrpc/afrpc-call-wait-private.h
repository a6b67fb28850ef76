/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Somebody who waits for the outcome of a call: the result that his callback gets. Not a GTask, which puts off to a
 * later iteration what it is given in the one that it was made in: then a younger result would come first. */
#pragma once

#include "afrpc-call.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_CALL_WAIT (afrpc_call_wait_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcCallWait, afrpc_call_wait, AFRPC, CALL_WAIT, GObject)

AfrpcCallWait *afrpc_call_wait_new      (AfrpcCall            *call,
                                         GAsyncReadyCallback   callback,
                                         gpointer              user_data);
void           afrpc_call_wait_push     (AfrpcCallWait        *self,
                                         GQueue               *waits,
                                         GCancellable         *cancellable);
AfrpcCallWait *afrpc_call_wait_pop      (GQueue               *waits);
AfrpcCall     *afrpc_call_wait_get_call (AfrpcCallWait        *self);
gboolean       afrpc_call_wait_check    (AfrpcCallWait        *self,
                                         GError              **error);
void           afrpc_call_wait_tell     (AfrpcCallWait        *self,
                                         gboolean              is_in_place);
void           afrpc_call_wait_fail     (AfrpcCallWait        *self,
                                         GError               *error);

G_END_DECLS
