/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a caller of our own tells what it has to tell, and the parts of the interface. */
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
  gboolean   (*is_owing) (AfrpcCaller *self); /* (nullable): whether calls have no outcome, though everything is over */
  /* Whether the outcome waited to be told, and is not any more: the reference that it waited with is given back. */
  gboolean   (*withdraw) (AfrpcCaller *self,
                          AfrpcCall   *call);
  /* (nullable): whether it was not begun, and has been cancelled before it is */
  gboolean   (*cancel_unstarted) (AfrpcCaller *self,
                          AfrpcCall   *call);
  /* whether it belongs to the process that this one was forked from */
  gboolean   (*is_inherited) (AfrpcCaller *self);
} AfrpcCallerOwn;

gboolean afrpc_caller_begin_events       (AfrpcCaller  *self,
                                          AfrpcProcess *from,
                                          GValue        values[AFRPC_CALLER_EVENT_VALUES]);
void     afrpc_caller_emit_next_event    (GValue        values[AFRPC_CALLER_EVENT_VALUES],
                                          GVariant     *event,
                                          GUnixFDList  *fds);
void     afrpc_caller_emit_known_error   (AfrpcCaller  *self,
                                          const GError *error,
                                          gboolean      is_known);

/* Exported, for the bindings that belong to afrpc. */
AFRPC_AVAILABLE_IN_1_0
void     afrpc_caller_set_plain_events   (AfrpcCaller  *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcCall *afrpc_caller_start_with_notify (AfrpcCaller         *self,
                                           GVariant            *args,
                                           AfrpcCallOptions    *options,
                                           GCancellable        *cancellable,
                                           GAsyncReadyCallback  callback,
                                           gpointer             user_data,
                                           GDestroyNotify       untold);
AFRPC_AVAILABLE_IN_1_0
void     afrpc_caller_tell_tagged_events (AfrpcProcess *process,
                                          const char   *tag);

gboolean afrpc_caller_may_use            (AfrpcCaller  *self,
                                          const char   *what);

void     afrpc_caller_count_untold       (AfrpcCaller  *self,
                                          gint          change);

void     afrpc_caller_init_signals       (GType                 type);
void     afrpc_caller_init_close         (AfrpcCallerInterface *iface);
void     afrpc_caller_mark_destroyed     (AfrpcCaller          *self);
gboolean afrpc_caller_is_marked_destroyed (AfrpcCaller         *self);
gboolean afrpc_caller_tell_closed        (AfrpcCaller          *self);
gboolean afrpc_caller_mark_closed        (AfrpcCaller          *self);
gboolean afrpc_caller_is_marked_closed   (AfrpcCaller          *self);
gboolean afrpc_caller_is_inherited       (AfrpcCaller          *self);

G_END_DECLS
