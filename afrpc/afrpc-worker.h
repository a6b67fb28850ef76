/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-serialiser.h"
#include "afrpc-types.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_WORKER (afrpc_worker_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcWorker, afrpc_worker, AFRPC, WORKER, GObject)

AFRPC_AVAILABLE_IN_1_0
void      afrpc_worker_event            (AfrpcWorker  *self,
                                         GVariant     *event);
AFRPC_AVAILABLE_IN_1_0
gboolean  afrpc_worker_event_with_fds   (AfrpcWorker  *self,
                                         GVariant     *event,
                                         const int    *fds,
                                         gsize         n_fds,
                                         GError      **error);
AFRPC_AVAILABLE_IN_1_0
void      afrpc_worker_progress         (AfrpcWorker  *self,
                                         GVariant     *progress);
AFRPC_AVAILABLE_IN_1_0
void      afrpc_worker_flush            (AfrpcWorker  *self);
AFRPC_AVAILABLE_IN_1_0
void      afrpc_worker_retire           (AfrpcWorker  *self);
AFRPC_AVAILABLE_IN_1_0
gboolean  afrpc_worker_is_cancelled     (AfrpcWorker  *self);

/* For hosts of languages. */
AFRPC_AVAILABLE_IN_1_0
gboolean  afrpc_worker_begin_part       (AfrpcWorker  *self);
AFRPC_AVAILABLE_IN_1_0
gboolean  afrpc_worker_save             (AfrpcWorker  *self,
                                         gconstpointer data,
                                         gsize         size);
AFRPC_AVAILABLE_IN_1_0
gboolean  afrpc_worker_check_result     (AfrpcWorker  *self,
                                         gsize         type_length,
                                         gsize         size,
                                         GError      **error);
AFRPC_AVAILABLE_IN_1_0
void      afrpc_worker_exit             (AfrpcWorker  *self,
                                         int           status) G_GNUC_NORETURN;
AFRPC_AVAILABLE_IN_1_0
void      afrpc_worker_kill             (AfrpcWorker  *self);

AFRPC_AVAILABLE_IN_1_0
AfrpcSerialiser *afrpc_worker_get_serialiser (AfrpcWorker *self);
AFRPC_AVAILABLE_IN_1_0
const char *afrpc_worker_get_function (AfrpcWorker *self);
AFRPC_AVAILABLE_IN_1_0
GVariant *afrpc_worker_get_args         (AfrpcWorker  *self);
AFRPC_AVAILABLE_IN_1_0
guint     afrpc_worker_get_n_fds        (AfrpcWorker  *self);
AFRPC_AVAILABLE_IN_1_0
int       afrpc_worker_steal_fd         (AfrpcWorker  *self,
                                         guint         index);
AFRPC_AVAILABLE_IN_1_0
guint     afrpc_worker_get_fd_position  (AfrpcWorker  *self,
                                         guint         index);
AFRPC_AVAILABLE_IN_1_0
GVariant *afrpc_worker_get_metadata     (AfrpcWorker  *self);
AFRPC_AVAILABLE_IN_1_0
guint     afrpc_worker_get_n_call_fds   (AfrpcWorker  *self);
AFRPC_AVAILABLE_IN_1_0
int       afrpc_worker_steal_call_fd    (AfrpcWorker  *self,
                                         guint         handle);
AFRPC_AVAILABLE_IN_1_0
int       afrpc_worker_append_result_fd (AfrpcWorker  *self,
                                         int           fd,
                                         GError      **error);

G_END_DECLS
