/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a pool counts and measures. Adding to it is a few instructions, without any memory or clock. */
#pragma once

#include "afrpc-pool-stats.h"

G_BEGIN_DECLS

#define AFRPC_POOL_N_OUTCOMES (AFRPC_CALL_OUTCOME_OTHER + 1)
#define AFRPC_POOL_N_TIMES (AFRPC_POOL_TIME_EXECUTION + 1)
#define AFRPC_POOL_N_BUCKETS 40u /* the last one is for all that are longer than 76 hours */

typedef struct
{
  guint64 n_calls;
  guint64 n_outcomes[AFRPC_POOL_N_OUTCOMES];
  guint64 n_moves;
  guint64 n_repeats;
  guint64 n_workers_started;
  guint64 n_workers_ended;
  guint64 n_workers_died;
  guint64 n_workers_renewed;
  guint64 times[AFRPC_POOL_N_TIMES][AFRPC_POOL_N_BUCKETS]; /* how many were shorter than 1 << bucket microseconds, and not
                                                             * than half of that */
  guint64 total_us[AFRPC_POOL_N_TIMES];
} AfrpcPoolFigures;

AfrpcPoolStats *afrpc_pool_stats_new (const AfrpcPoolFigures *figures,
                                      gint64                  duration_us);

static inline void
afrpc_pool_figures_add_time (AfrpcPoolFigures *self,
                             AfrpcPoolTime     time,
                             gint64            us)
{
  const guint bucket = us > 0 ? (guint) (64 - __builtin_clzll (us)) : 0;

  self->times[time][MIN (bucket, AFRPC_POOL_N_BUCKETS - 1)]++;
  self->total_us[time] += us;
}

G_END_DECLS
