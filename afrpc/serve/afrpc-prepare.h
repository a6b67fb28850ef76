/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The first part of a worker's life: it does what its parent prepares it with, and is forked, until it is
 * given its one job. */
#pragma once

#include "serve/afrpc-worker-private.h"

G_BEGIN_DECLS

/* The job; strings belong to the value that they came in. */
typedef struct
{
  const char *function;
  const char *init; /* (nullable) */
  const char *done; /* (nullable) */
  gboolean async;
  gboolean run;     /* the function takes the socket over */
} AfrpcRunOptions;

AfrpcStreamStep afrpc_host_prepare (AfrpcHost        *self,
                                    AfrpcWorker      *worker,
                                    AfrpcRunOptions  *options,
                                    GVariant        **run,
                                    GError          **error);

G_END_DECLS
