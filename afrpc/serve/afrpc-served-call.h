/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One call while the worker has it, in either backend: what came with it besides its arguments, and what goes with
 * its result. Owns file descriptors and progress that is held back; knows no session. */
#pragma once

#include "transport/afrpc-transport.h"

G_BEGIN_DECLS

typedef struct _AfrpcServedCall AfrpcServedCall;

struct _AfrpcServedCall
{
  guint64 serial;          /* 0: none, or answered */
  guint16 function;        /* the parent's number of it */
  guint8 flags;            /* of its frame */
  gboolean is_cancelled;   /* as far as a frame has said so */
  gboolean has_parts;      /* it consists of many, some of which were begun */
  GArray *fds;             /* (nullable) (element-type int) that came with it; -1: stolen */
  GArray *result_fds;      /* (nullable) (element-type int) to go with its result */
  GVariant *metadata;      /* (nullable): a{sv} that came with it */
  GVariant *latest;        /* (nullable): progress that waits for the parent to read */
  gpointer owner;          /* (nullable): whoever is going to answer it */

  /* Of the AfrpcCallTable that it is in. */
  gboolean is_in_table;
  AfrpcServedCall *next;
};

void  afrpc_served_call_init      (AfrpcServedCall  *self,
                                   AfrpcTransport   *transport,
                                   const AfrpcFrame *frame);
void  afrpc_served_call_clear     (AfrpcServedCall  *self);
guint afrpc_served_call_get_n_fds (AfrpcServedCall  *self);
int   afrpc_served_call_steal_fd  (AfrpcServedCall  *self,
                                   guint             handle);
guint afrpc_served_call_add_fd    (AfrpcServedCall  *self,
                                   int               fd);

static inline guint
afrpc_served_call_get_n_result_fds (const AfrpcServedCall *self)
{
  return self->result_fds != NULL ? self->result_fds->len : 0;
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcServedCall, afrpc_served_call_clear)

G_END_DECLS
