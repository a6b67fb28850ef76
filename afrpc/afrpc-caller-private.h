/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a caller of our own tells what it has to tell. */
#pragma once

#include "afrpc-caller.h"

G_BEGIN_DECLS

#define AFRPC_CALLER_EVENT_VALUES 4 /* of the signal: the caller, and its three arguments */

/* What a caller of our own has besides: the interface's own points to it. */
typedef struct
{
  gboolean   (*may_use)  (AfrpcCaller *self,
                          const char  *what);
  AfrpcExit *(*get_exit) (AfrpcCaller *self);
} AfrpcCallerOwn;

gboolean afrpc_caller_begin_events       (AfrpcCaller  *self,
                                          AfrpcProcess *from,
                                          GValue        values[AFRPC_CALLER_EVENT_VALUES]);
void     afrpc_caller_emit_next_event    (GValue        values[AFRPC_CALLER_EVENT_VALUES],
                                          GVariant     *event,
                                          GUnixFDList  *fds);
void     afrpc_caller_emit_error_told    (AfrpcCaller  *self,
                                          const GError *error,
                                          gboolean      was_told);

gboolean afrpc_caller_may_use            (AfrpcCaller  *self,
                                          const char   *what);

G_END_DECLS
