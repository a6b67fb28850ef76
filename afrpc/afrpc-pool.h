/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-caller.h"
#include "afrpc-pool-stats.h"
#include "afrpc-serialiser.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_POOL (afrpc_pool_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcPool, afrpc_pool, AFRPC, POOL, GObject)

AFRPC_AVAILABLE_IN_1_0
AfrpcPool    *afrpc_pool_new                       (AfrpcProcess         *process,
                                                    const char           *function) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_pool_get_process               (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
const char   *afrpc_pool_get_function              (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcBackend  afrpc_pool_get_backend               (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcSerialiser *afrpc_pool_get_serialiser         (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
guint64       afrpc_pool_get_max_message_size      (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_pool_is_closed                 (AfrpcPool            *self);

AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_max_workers           (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_max_workers           (AfrpcPool            *self,
                                                    guint                 max_workers);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_idle_workers          (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_idle_workers          (AfrpcPool            *self,
                                                    guint                 idle_workers);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_load                  (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_load                  (AfrpcPool            *self,
                                                    guint                 load);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_start_delay_ms        (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_start_delay_ms        (AfrpcPool            *self,
                                                    guint                 delay_ms);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_stop_delay_ms         (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_stop_delay_ms         (AfrpcPool            *self,
                                                    guint                 delay_ms);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_max_repeats           (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_max_repeats           (AfrpcPool            *self,
                                                    guint                 max_repeats);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_max_failures          (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_max_failures          (AfrpcPool            *self,
                                                    guint                 max_failures);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_max_calls             (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_max_calls             (AfrpcPool            *self,
                                                    guint                 max_calls);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_max_age_s             (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_max_age_s             (AfrpcPool            *self,
                                                    guint                 age_s);
AFRPC_AVAILABLE_IN_1_0
guint64       afrpc_pool_get_max_memory_growth     (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_max_memory_growth     (AfrpcPool            *self,
                                                    guint64               bytes);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_cancel_grace_ms       (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_cancel_grace_ms       (AfrpcPool            *self,
                                                    guint                 grace_ms);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_end_grace_ms          (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_end_grace_ms          (AfrpcPool            *self,
                                                    guint                 grace_ms);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_call_timeout_ms       (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_call_timeout_ms       (AfrpcPool            *self,
                                                    guint                 timeout_ms);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_max_calls_queued      (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_max_calls_queued      (AfrpcPool            *self,
                                                    guint                 max_calls);
AFRPC_AVAILABLE_IN_1_0
guint64       afrpc_pool_get_max_bytes_queued      (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_set_max_bytes_queued      (AfrpcPool            *self,
                                                    guint64               max_bytes);

AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_n_workers             (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_n_idle_workers        (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_n_starting_workers    (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_n_calls_queued        (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_n_calls_assigned      (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_n_calls_pending       (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
GListModel   *afrpc_pool_get_workers               (AfrpcPool            *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcPoolStats *afrpc_pool_get_stats               (AfrpcPool            *self) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
const GError *afrpc_pool_get_failure               (AfrpcPool            *self);

AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_add_template              (AfrpcPool            *self,
                                                    AfrpcProcess         *process,
                                                    guint                 max_workers,
                                                    guint                 load,
                                                    guint                 weight);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_pool_remove_template           (AfrpcPool            *self,
                                                    AfrpcProcess         *process);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_pool_get_n_template_workers    (AfrpcPool            *self,
                                                    AfrpcProcess         *process);
AFRPC_AVAILABLE_IN_1_0
const GError *afrpc_pool_get_template_failure      (AfrpcPool            *self,
                                                    AfrpcProcess         *process);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_refresh                   (AfrpcPool            *self,
                                                    AfrpcProcess         *process);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_wait_for_room_async       (AfrpcPool            *self,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_pool_wait_for_room_finish      (AfrpcPool            *self,
                                                    GAsyncResult         *result,
                                                    GError              **error);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_pool_call_all_async            (AfrpcPool            *self,
                                                    GVariant             *args,
                                                    AfrpcCallOptions     *options,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_pool_call_all_finish           (AfrpcPool            *self,
                                                    GAsyncResult         *result,
                                                    GError              **error);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_pool_call_all_sync             (AfrpcPool            *self,
                                                    GVariant             *args,
                                                    AfrpcCallOptions     *options,
                                                    GCancellable         *cancellable,
                                                    GError              **error);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_pool_forget_call_all           (AfrpcPool            *self,
                                                    const char           *function,
                                                    const char           *label);

G_END_DECLS
