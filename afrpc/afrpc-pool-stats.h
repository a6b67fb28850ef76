/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-types.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_POOL_STATS (afrpc_pool_stats_get_type ())

typedef struct _AfrpcPoolStats AfrpcPoolStats;

AFRPC_AVAILABLE_IN_1_0
GType           afrpc_pool_stats_get_type              (void) G_GNUC_CONST;

AFRPC_AVAILABLE_IN_1_0
AfrpcPoolStats *afrpc_pool_stats_ref                   (AfrpcPoolStats       *self);
AFRPC_AVAILABLE_IN_1_0
void            afrpc_pool_stats_unref                 (AfrpcPoolStats       *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcPoolStats *afrpc_pool_stats_subtract              (const AfrpcPoolStats *self,
                                                        const AfrpcPoolStats *earlier) G_GNUC_WARN_UNUSED_RESULT;

AFRPC_AVAILABLE_IN_1_0
gint64          afrpc_pool_stats_get_duration          (const AfrpcPoolStats *self);
AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_calls           (const AfrpcPoolStats *self);
AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_finished        (const AfrpcPoolStats *self);
AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_failed          (const AfrpcPoolStats *self);
AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_outcomes        (const AfrpcPoolStats *self,
                                                        AfrpcCallOutcome      outcome);
AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_moves           (const AfrpcPoolStats *self);
AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_repeats         (const AfrpcPoolStats *self);
AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_workers_started (const AfrpcPoolStats *self);
AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_workers_ended   (const AfrpcPoolStats *self);
AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_workers_died    (const AfrpcPoolStats *self);
AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_workers_renewed (const AfrpcPoolStats *self);

AFRPC_AVAILABLE_IN_1_0
guint64         afrpc_pool_stats_get_n_times           (const AfrpcPoolStats *self,
                                                        AfrpcPoolTime         time);
AFRPC_AVAILABLE_IN_1_0
gint64          afrpc_pool_stats_get_total_time        (const AfrpcPoolStats *self,
                                                        AfrpcPoolTime         time);
AFRPC_AVAILABLE_IN_1_0
gint64          afrpc_pool_stats_get_quantile          (const AfrpcPoolStats *self,
                                                        AfrpcPoolTime         time,
                                                        double                fraction);
AFRPC_AVAILABLE_IN_1_0
const guint64  *afrpc_pool_stats_get_histogram         (const AfrpcPoolStats *self,
                                                        AfrpcPoolTime         time,
                                                        gsize                *n_buckets);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcPoolStats, afrpc_pool_stats_unref)

G_END_DECLS
