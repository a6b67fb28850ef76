/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-call.h"
#include "afrpc-exit.h"
#include "afrpc-process.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_POOL_WORKER (afrpc_pool_worker_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcPoolWorker, afrpc_pool_worker, AFRPC, POOL_WORKER, GObject)

AFRPC_AVAILABLE_IN_1_0
AfrpcProcess        *afrpc_pool_worker_get_process       (AfrpcPoolWorker  *self);
AFRPC_AVAILABLE_IN_1_0
int                  afrpc_pool_worker_get_pid           (AfrpcPoolWorker  *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcPoolWorkerState afrpc_pool_worker_get_state         (AfrpcPoolWorker  *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcCall           *afrpc_pool_worker_get_current_call  (AfrpcPoolWorker  *self);
AFRPC_AVAILABLE_IN_1_0
gint64               afrpc_pool_worker_get_current_since (AfrpcPoolWorker  *self);
AFRPC_AVAILABLE_IN_1_0
guint                afrpc_pool_worker_get_n_calls       (AfrpcPoolWorker  *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcExit           *afrpc_pool_worker_get_exit          (AfrpcPoolWorker  *self);
AFRPC_AVAILABLE_IN_1_0
gint64               afrpc_pool_worker_get_memory        (AfrpcPoolWorker  *self,
                                                          GError          **error);

AFRPC_AVAILABLE_IN_1_0
void                 afrpc_pool_worker_retire            (AfrpcPoolWorker  *self);
AFRPC_AVAILABLE_IN_1_0
void                 afrpc_pool_worker_kill              (AfrpcPoolWorker  *self);

G_END_DECLS
