/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-pool-stats.h"

#include "pool/afrpc-pool-figures.h"

/**
 * AfrpcPoolStats:
 *
 * What a [class@Afrpc.Pool] has counted and measured, as it was when it was [asked][method@Afrpc.Pool.get_stats].
 *
 * Numbers are since the pool was made, or, after [method@Afrpc.PoolStats.subtract], between two such moments. Calls that have
 * been made are those that have finished and those that are [pending][property@Afrpc.Pool:n-calls-pending]; workers that
 * were started are those that have ended, those that have died and those that there are.
 *
 * Times are kept as numbers of calls by powers of two microseconds: [method@Afrpc.PoolStats.get_histogram]. They are taken
 * when a call is made, and once in each turn of the main loop for all outcomes that it takes: what a program does in
 * between, and takes long, is in the times of those calls that it does not come to meanwhile. Of several short calls of one
 * worker whose outcomes come in the same turn, the first one has the time of execution of all: their sum, and so their mean,
 * is right, and how they are spread is not.
 *
 * It does not change and may be used from any thread.
 *
 * Since: 1.0
 */
struct _AfrpcPoolStats
{
  gatomicrefcount ref_count;

  AfrpcPoolFigures figures;
  gint64 duration_us;
};

G_DEFINE_BOXED_TYPE (AfrpcPoolStats, afrpc_pool_stats, afrpc_pool_stats_ref, afrpc_pool_stats_unref)

AfrpcPoolStats *
afrpc_pool_stats_new (const AfrpcPoolFigures *figures,
                      gint64                  duration_us)
{
  AfrpcPoolStats *self = g_new (AfrpcPoolStats, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->figures = *figures;
  self->duration_us = duration_us;

  return self;
}

/**
 * afrpc_pool_stats_ref:
 * @self: statistics
 *
 * Adds a reference.
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
AfrpcPoolStats *
afrpc_pool_stats_ref (AfrpcPoolStats *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->ref_count);

  return self;
}

/**
 * afrpc_pool_stats_unref:
 * @self: (transfer full): statistics
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
afrpc_pool_stats_unref (AfrpcPoolStats *self)
{
  g_return_if_fail (self != NULL);

  if (g_atomic_ref_count_dec (&self->ref_count))
    g_free (self);
}

/**
 * afrpc_pool_stats_subtract:
 * @self: statistics
 * @earlier: those of the same pool at an earlier moment
 *
 * Makes statistics of what has happened between two moments.
 *
 * Returns: (transfer full): the difference
 *
 * Since: 1.0
 */
AfrpcPoolStats *
afrpc_pool_stats_subtract (const AfrpcPoolStats *self,
                           const AfrpcPoolStats *earlier)
{
  AfrpcPoolStats *difference;
  guint64 *to;
  const guint64 *from;

  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (earlier != NULL, NULL);

  difference = afrpc_pool_stats_new (&self->figures, self->duration_us - earlier->duration_us);
  to = (guint64 *) &difference->figures;
  from = (const guint64 *) &earlier->figures;
  for (gsize i = 0; i < sizeof difference->figures / sizeof *to; i++)
    to[i] -= from[i];

  return difference;
}

/**
 * afrpc_pool_stats_get_duration:
 * @self: statistics
 *
 * Gets over which time they are.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
gint64
afrpc_pool_stats_get_duration (const AfrpcPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->duration_us;
}

/**
 * afrpc_pool_stats_get_n_calls:
 * @self: statistics
 *
 * Gets how many calls were made.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_calls (const AfrpcPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->figures.n_calls;
}

/**
 * afrpc_pool_stats_get_n_finished:
 * @self: statistics
 *
 * Gets how many calls have got their outcome, whatever that is.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_finished (const AfrpcPoolStats *self)
{
  guint64 n = 0;

  g_return_val_if_fail (self != NULL, 0);

  for (guint i = 0; i < AFRPC_POOL_N_OUTCOMES; i++)
    n += self->figures.n_outcomes[i];

  return n;
}

/**
 * afrpc_pool_stats_get_n_failed:
 * @self: statistics
 *
 * Gets how many calls have failed.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_failed (const AfrpcPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return afrpc_pool_stats_get_n_finished (self) - self->figures.n_outcomes[AFRPC_CALL_OUTCOME_SUCCESS];
}

/**
 * afrpc_pool_stats_get_n_outcomes:
 * @self: statistics
 * @outcome: an outcome
 *
 * Gets how many calls have got that outcome.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_outcomes (const AfrpcPoolStats *self,
                                 AfrpcCallOutcome      outcome)
{
  g_return_val_if_fail (self != NULL, 0);
  g_return_val_if_fail ((guint) outcome < AFRPC_POOL_N_OUTCOMES, 0);

  return self->figures.n_outcomes[outcome];
}

/**
 * afrpc_pool_stats_get_n_moves:
 * @self: statistics
 *
 * Gets how often a call that a worker had been given, and had not begun, went to another one: because the first
 * ended, or ran something long.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_moves (const AfrpcPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->figures.n_moves;
}

/**
 * afrpc_pool_stats_get_n_repeats:
 * @self: statistics
 *
 * Gets how often a call was made again whose worker had died of it, or with it.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_repeats (const AfrpcPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->figures.n_repeats;
}

/**
 * afrpc_pool_stats_get_n_workers_started:
 * @self: statistics
 *
 * Gets how many workers were started, those that could not be included.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_workers_started (const AfrpcPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->figures.n_workers_started;
}

/**
 * afrpc_pool_stats_get_n_workers_ended:
 * @self: statistics
 *
 * Gets how many workers have ended in order: they were asked to, or asked for it, and exited with status 0.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_workers_ended (const AfrpcPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->figures.n_workers_ended;
}

/**
 * afrpc_pool_stats_get_n_workers_died:
 * @self: statistics
 *
 * Gets how many workers have ended in any other way, or could not be started.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_workers_died (const AfrpcPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->figures.n_workers_died;
}

/**
 * afrpc_pool_stats_get_n_workers_renewed:
 * @self: statistics
 *
 * Gets how many workers were asked to end so that others take their place: by [method@Afrpc.Pool.refresh], or because of
 * [property@Afrpc.Pool:max-calls], for instance.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_workers_renewed (const AfrpcPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->figures.n_workers_renewed;
}

/**
 * afrpc_pool_stats_get_n_times:
 * @self: statistics
 * @time: which time
 *
 * Gets how many times were measured.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
afrpc_pool_stats_get_n_times (const AfrpcPoolStats *self,
                              AfrpcPoolTime         time)
{
  guint64 n = 0;

  g_return_val_if_fail (self != NULL, 0);
  g_return_val_if_fail ((guint) time < AFRPC_POOL_N_TIMES, 0);

  for (guint i = 0; i < AFRPC_POOL_N_BUCKETS; i++)
    n += self->figures.times[time][i];

  return n;
}

/**
 * afrpc_pool_stats_get_total_time:
 * @self: statistics
 * @time: which time
 *
 * Gets the sum of all times. Divided by [method@Afrpc.PoolStats.get_n_times] it is their mean.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
gint64
afrpc_pool_stats_get_total_time (const AfrpcPoolStats *self,
                                 AfrpcPoolTime         time)
{
  g_return_val_if_fail (self != NULL, 0);
  g_return_val_if_fail ((guint) time < AFRPC_POOL_N_TIMES, 0);

  return self->figures.total_us[time];
}

/* Of a bucket: the shortest time. */
static gint64
get_lower (guint bucket)
{
  return bucket == 0 ? 0 : G_GINT64_CONSTANT (1) << (bucket - 1);
}

/* Of a bucket: a time that nothing in it exceeds. Whatever took long, the others took no less than the shortest of their
 * buckets. */
static gint64
get_upper (const AfrpcPoolStats *self,
           AfrpcPoolTime         time,
           guint                 bucket)
{
  gint64 rest = self->figures.total_us[time] + get_lower (bucket);

  for (guint i = 0; i < AFRPC_POOL_N_BUCKETS; i++)
    rest -= (gint64) self->figures.times[time][i] * get_lower (i);

  return bucket == AFRPC_POOL_N_BUCKETS - 1 ? rest : MIN (rest, (G_GINT64_CONSTANT (1) << bucket) - 1);
}

/**
 * afrpc_pool_stats_get_quantile:
 * @self: statistics
 * @time: which time
 * @fraction: from 0 to 1; 0.5 is the median, 0.99 what only one call in a hundred takes longer than
 *
 * Gets a time that this fraction of calls does not exceed.
 *
 * It is no less than the shortest such time, and less than twice that; of one call it is the time itself. For 0 it is one
 * that no call fell below.
 *
 * Returns: microseconds, or -1 if nothing was measured
 *
 * Since: 1.0
 */
gint64
afrpc_pool_stats_get_quantile (const AfrpcPoolStats *self,
                               AfrpcPoolTime         time,
                               double                fraction)
{
  double left;
  guint bucket;

  g_return_val_if_fail (self != NULL, -1);
  g_return_val_if_fail ((guint) time < AFRPC_POOL_N_TIMES, -1);
  g_return_val_if_fail (fraction >= 0 && fraction <= 1, -1);

  left = fraction * (double) afrpc_pool_stats_get_n_times (self, time);
  for (bucket = 0; bucket < AFRPC_POOL_N_BUCKETS; bucket++)
    {
      const double n = (double) self->figures.times[time][bucket];

      if (n > 0 && left <= n)
        return fraction > 0 ? get_upper (self, time, bucket) : get_lower (bucket);
      left -= n;
    }

  return -1;
}

/**
 * afrpc_pool_stats_get_histogram:
 * @self: statistics
 * @time: which time
 * @n_buckets: (out): how many elements there are
 *
 * Gets how many times were how long: the first element is the number of those below 1 microsecond, the one with index `i` that
 * of those from `1 << (i - 1)` to below `1 << i`, and the last one includes all that are longer.
 *
 * Returns: (transfer none) (array length=n_buckets): the numbers
 *
 * Since: 1.0
 */
const guint64 *
afrpc_pool_stats_get_histogram (const AfrpcPoolStats *self,
                                AfrpcPoolTime         time,
                                gsize                *n_buckets)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail ((guint) time < AFRPC_POOL_N_TIMES, NULL);
  g_return_val_if_fail (n_buckets != NULL, NULL);

  *n_buckets = AFRPC_POOL_N_BUCKETS;

  return self->figures.times[time];
}
