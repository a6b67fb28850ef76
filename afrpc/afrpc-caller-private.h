/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a caller of our own tells what it has to tell. */
#pragma once

#include "afrpc-caller.h"

G_BEGIN_DECLS

gboolean afrpc_caller_handles_events     (AfrpcCaller  *self);
void     afrpc_caller_emit_handled_event (AfrpcCaller  *self,
                                          GVariant     *event,
                                          AfrpcProcess *from,
                                          GUnixFDList  *fds);
void     afrpc_caller_emit_error_told    (AfrpcCaller  *self,
                                          const GError *error,
                                          gboolean      was_told);

G_END_DECLS
