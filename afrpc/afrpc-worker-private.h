/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the public objects of a worker know of each other. They are thin: what they do is the session's. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

/* The data of the session's functions: what a call needs is at hand. */
typedef struct
{
  struct _AfrpcHost *host;
  struct _AfrpcHostClass *host_class;
  struct _AfrpcWorker *worker;
  struct _AfrpcInvocation *spare; /* (nullable): to be used again */
  guint n_kept;           /* invocations that functions have kept */
} AfrpcServing;

extern const AfrpcSessionFuncs afrpc_serving_funcs;

struct _AfrpcWorker *afrpc_worker_new           (void);
AfrpcSession        *afrpc_worker_get_session   (struct _AfrpcWorker     *self);

void                 afrpc_invocation_invoke    (AfrpcServing            *serving,
                                                 guint                    function,
                                                 AfrpcServedCall         *call,
                                                 GVariant                *args);
void                 afrpc_invocation_cancelled (AfrpcServing            *serving,
                                                 AfrpcServedCall         *call);
void                 afrpc_invocation_discard   (struct _AfrpcInvocation *spare);

G_END_DECLS
