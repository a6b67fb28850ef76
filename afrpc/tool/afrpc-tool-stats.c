/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See afrpc-tool-stats.h. */
#include "config.h"

#include "afrpc-tool-stats.h"

#include <glib/gi18n.h>
#include <inttypes.h>

#include "afrpc-tool.h"

/* In milliseconds */
typedef struct
{
  double mean;
  double median;
  double most; /* but for one call in a hundred */
} Times;

static Times
get_times (const AfrpcPoolStats *stats,
           AfrpcPoolTime         time)
{
  const double n = (double) afrpc_pool_stats_get_n_times (stats, time);

  if (n == 0)
    return (Times) { 0 };

  return (Times) {
    (double) afrpc_pool_stats_get_total_time (stats, time) / n / 1000,
    (double) afrpc_pool_stats_get_quantile (stats, time, 0.5) / 1000,
    (double) afrpc_pool_stats_get_quantile (stats, time, 0.99) / 1000,
  };
}

static guint64
get_n_outcomes (const AfrpcPoolStats *stats,
                AfrpcCallOutcome      outcome)
{
  return stats != NULL ? afrpc_pool_stats_get_n_outcomes (stats, outcome) : 0;
}

/* @stats: (nullable): %NULL: there were no calls; @n_retries: of the calls, those that were made again; @n_refused: those
 * that only have led to the right arguments */
void
afrpc_tool_stats_print (const AfrpcPoolStats *stats,
                        guint64               n_retries,
                        guint64               n_refused,
                        gint64                duration_us)
{
  const guint64 n_calls = stats != NULL ? afrpc_pool_stats_get_n_finished (stats) - n_refused : 0;
  const guint64 n_failed = stats != NULL ? afrpc_pool_stats_get_n_failed (stats) - n_refused : 0;
  const guint64 n_errors = get_n_outcomes (stats, AFRPC_CALL_OUTCOME_REMOTE_ERROR);
  const guint64 n_lost = get_n_outcomes (stats, AFRPC_CALL_OUTCOME_DIED);
  const guint64 n_overdue = get_n_outcomes (stats, AFRPC_CALL_OUTCOME_TIMED_OUT);
  Times queued, running;

  /* Translators: --stats of "afrpc map": what failed by its reason: the function said so, the worker died, the time limit
   * passed, anything else */
  afrpc_tool_message (_("calls: %" PRIu64 "; failed: %" PRIu64 " by the function, %" PRIu64 " by a death, %" PRIu64
                        " by the time limit, %" PRIu64 " otherwise; tried again: %" PRIu64),
                      n_calls, n_errors, n_lost, n_overdue, n_failed - n_errors - n_lost - n_overdue, n_retries);
  if (stats == NULL)
    return;

  queued = get_times (stats, AFRPC_POOL_TIME_QUEUED);
  running = get_times (stats, AFRPC_POOL_TIME_EXECUTION);
  /* Translators: renewed are those that asked for no more calls, for example; moved are calls that one had not begun */
  afrpc_tool_message (_("workers: %" PRIu64 "; died: %" PRIu64 "; renewed: %" PRIu64 "; calls moved to another: %" PRIu64),
                      afrpc_pool_stats_get_n_workers_started (stats), afrpc_pool_stats_get_n_workers_died (stats),
                      afrpc_pool_stats_get_n_workers_renewed (stats), afrpc_pool_stats_get_n_moves (stats));
  afrpc_tool_message (_("time: %.3f s"), (double) duration_us / G_USEC_PER_SEC);
  /* Translators: how long a call waits until a worker has it, and how long that takes for it */
  afrpc_tool_message (_("a call waits: %.3f ms on average, half of them up to %.3f, 99 %% up to %.3f"), queued.mean,
                      queued.median, queued.most);
  afrpc_tool_message (_("it takes: %.3f ms on average, half of them up to %.3f, 99 %% up to %.3f"), running.mean,
                      running.median, running.most);
}
