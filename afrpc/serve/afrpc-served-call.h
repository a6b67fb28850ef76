/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One call while the worker serves it, in either backend: what came with it besides its arguments, and what
 * goes with its result. */
#pragma once

#include "afrpc-types.h"
#include "wire/afrpc-stream.h"

G_BEGIN_DECLS

typedef struct
{
  guint64 serial;     /* 0: none */
  guint8 flags;       /* of its frame */
  GArray *fds;        /* (nullable) (element-type int) that came with it; -1: stolen */
  GArray *result_fds; /* (nullable) (element-type int) to go with its result */
  GVariant *latest;   /* (nullable): progress that waits for the parent to read */
} AfrpcServedCall;

void     afrpc_served_call_init      (AfrpcServedCall   *self,
                                      AfrpcWorker       *worker,
                                      const AfrpcFrame  *frame);
void     afrpc_served_call_clear     (AfrpcServedCall   *self);
guint    afrpc_served_call_get_n_fds (AfrpcServedCall   *self);
int      afrpc_served_call_steal_fd  (AfrpcServedCall   *self,
                                      guint              handle);
int      afrpc_served_call_append_fd (AfrpcServedCall   *self,
                                      AfrpcWorker       *worker,
                                      int                fd,
                                      GError           **error);
void     afrpc_served_call_progress  (AfrpcServedCall   *self,
                                      AfrpcWorker       *worker,
                                      GVariant          *value);
void     afrpc_served_call_send_latest (AfrpcServedCall *self,
                                        AfrpcWorker     *worker);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcServedCall, afrpc_served_call_clear)

G_END_DECLS
