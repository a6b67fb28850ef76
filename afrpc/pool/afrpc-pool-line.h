/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The line: what waits for a worker, and until when. What is in line here is done for each call. */
#pragma once

#include "pool/afrpc-pool-parts.h"

G_BEGIN_DECLS

void          afrpc_pool_line_push_odd (AfrpcPoolCore    *self,
                                        AfrpcPoolJob     *job);
void          afrpc_pool_line_take_odd (AfrpcPoolCore    *self,
                                        AfrpcPoolJob     *job);
void          afrpc_pool_line_up       (AfrpcPoolCore    *self,
                                        AfrpcPoolJob     *job);
void          afrpc_pool_line_return   (AfrpcPoolCore    *self,
                                        AfrpcPoolJob     *job);
void          afrpc_pool_line_withdraw (AfrpcPoolJob     *job,
                                        GError           *error);
GError       *afrpc_pool_line_new_timeout (const AfrpcPoolJob *job);
void          afrpc_pool_line_expire   (AfrpcPoolCore    *self,
                                        gint64            now);
void          afrpc_pool_line_doom     (AfrpcPoolCore    *self,
                                        const GError     *error);
void          afrpc_pool_line_fail_some (AfrpcPoolCore   *self);
void          afrpc_pool_line_abandon  (AfrpcPoolCore    *self);
void          afrpc_pool_line_abandon_one (AfrpcPoolJob  *job);
void          afrpc_pool_line_init     (AfrpcPoolCore    *self);
void          afrpc_pool_line_clear    (AfrpcPoolCore    *self);

static inline AfrpcPoolJob *
afrpc_pool_line_peek (AfrpcPoolQueue *queue)
{
  AfrpcPoolPlace *place = afrpc_pool_queue_peek (queue);

  return place != NULL ? place->link.data : NULL;
}

static inline AfrpcPoolJob *
afrpc_pool_line_peek_tied (const AfrpcPoolLanes *lanes)
{
  AfrpcPoolPlace *place = afrpc_pool_lanes_peek (lanes);

  return place != NULL ? place->link.data : NULL;
}

/* A worker's death is on its account: until it has its outcome, nobody else is to die of it. */
static inline gboolean
afrpc_pool_line_has_to_be_alone (const AfrpcPoolJob *job)
{
  return job->n_deaths > 0;
}

/* Most have no key, and need not be alone. */
static inline void
afrpc_pool_line_push (AfrpcPoolCore *self,
                      AfrpcPoolJob  *job)
{
  self->n_acts++;
  if (G_UNLIKELY (job->tie != NULL || afrpc_pool_line_has_to_be_alone (job)))
    afrpc_pool_line_push_odd (self, job);
  else
    afrpc_pool_queue_push (&self->queue, &job->place);
}

/* It does not wait any more. Settle its tie, if it has one, once its place is known. */
static inline void
afrpc_pool_line_take (AfrpcPoolCore *self,
                      AfrpcPoolJob  *job)
{
  if (G_UNLIKELY (job->place.queue != &self->queue))
    afrpc_pool_line_take_odd (self, job);
  else
    afrpc_pool_queue_remove (&job->place);
}

static inline void
afrpc_pool_line_settle (AfrpcPoolCore *self,
                        AfrpcPoolJob  *job)
{
  if (G_UNLIKELY (job->tie != NULL))
    afrpc_pool_tie_settle (self, job->tie);
}

static inline void
afrpc_pool_line_remove (AfrpcPoolCore *self,
                        AfrpcPoolJob  *job)
{
  afrpc_pool_line_take (self, job);
  afrpc_pool_line_settle (self, job);
}

/* Returns: what is left of its time in milliseconds, 0 if it has no limit, -1 if its time is over. */
static inline gint64
afrpc_pool_line_get_time_left (const AfrpcPoolJob *job)
{
  gint64 left;

  if (job->deadline == 0)
    return 0;

  left = job->deadline - g_get_monotonic_time ();

  return left <= 0 ? -1 : MIN ((left + 999) / 1000, G_MAXUINT);
}

/* It does not wait any more. */
static inline void
afrpc_pool_line_forget_deadline (AfrpcPoolCore *self,
                                 AfrpcPoolJob  *job)
{
  if (job->deadline != 0)
    g_hash_table_remove (self->limited, &job->id);
}

/* Whether nobody waits who has no key, and somebody has room. */
static inline gboolean
afrpc_pool_line_is_free (const AfrpcPoolCore *self)
{
  return self->bench.n > 0 && self->queue.n == 0;
}

/* Returns: how many have room, besides for those that wait for anybody, and get it when somebody pumps */
static inline guint
afrpc_pool_line_count_free (const AfrpcPoolCore *self)
{
  const guint n_common = self->queue.n + self->tied.n;

  return self->bench.n > n_common ? self->bench.n - n_common : 0;
}

G_END_DECLS
