/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Chunks: how many calls of a map a worker is given at once. */
#include "config.h"

#include "pool/afrpc-pool-map.h"

#define CHUNK_US 3000 /* so long a worker is to be busy with one chunk */

/* Returns: how many calls may be given to @member at once, as @chunk (transfer full) */
guint
afrpc_pool_map_chunk_begin (AfrpcPoolMap     *self,
                            AfrpcPoolMember  *member,
                            AfrpcPoolChunk  **chunk)
{
  const guint n_workers = MAX (afrpc_pool_staff_count (self->core), 1);
  guint n = self->chunk;

  *chunk = g_new0 (AfrpcPoolChunk, 1);
  (*chunk)->map = self;
  (*chunk)->given_at = g_get_monotonic_time ();
  (*chunk)->is_open = TRUE;

  /* An async worker begins all that it gets; and none is to wait behind something long that cannot be taken back. */
  if (self->core->config.backend != AFRPC_BACKEND_SYNC || !afrpc_peer_can_take_back (member->peer))
    return 1;

  /* At the end nobody is to wait for who has got more. */
  if (self->is_exhausted || self->n_left >= 0)
    {
      const guint64 n_left = (self->is_exhausted ? 0 : self->n_left) + self->n_under_way - self->n_given;

      n = MIN (n, n_left / (2 * n_workers));
    }

  return MAX (n, 1);
}

static void
chunk_free_if_over (AfrpcPoolChunk *chunk)
{
  if (chunk->n_given == 0 && !chunk->is_open)
    g_free (chunk);
}

/* No more are given with it. */
void
afrpc_pool_map_chunk_end (AfrpcPoolChunk *chunk)
{
  chunk->is_open = FALSE;
  chunk_free_if_over (chunk);
}

void
afrpc_pool_map_chunk_enter (AfrpcPoolJob *job)
{
  if (job->chunk->n_given++ > 0)
    job->member->n_light++;
  job->map->n_given++;
}

/* A worker has answered all of it. Sees how many such calls it should have had: not much more than it had, because
 * those that come next may take longer. */
static void
adapt (AfrpcPoolMap         *self,
       AfrpcPoolMember      *member,
       const AfrpcPoolChunk *chunk)
{
  const gint64 now = g_get_monotonic_time ();
  const gint64 elapsed = MAX (now - MAX (chunk->given_at, member->chunk_ended_at), 1);
  const gint64 ideal = CLAMP ((gint64) CHUNK_US * chunk->n_done / elapsed, 1, AFRPC_POOL_MAP_CHUNK_MAX);

  member->chunk_ended_at = now;
  self->chunk = ideal > self->chunk ? MIN (ideal, MAX (self->chunk, 2 * chunk->n_done)) : ideal;
}

void
afrpc_pool_map_chunk_leave (AfrpcPoolJob *job)
{
  AfrpcPoolChunk *chunk = g_steal_pointer (&job->chunk);

  job->map->n_given--;
  if (job->pending.state == AFRPC_PENDING_DECIDED)
    chunk->n_done++;
  if (--chunk->n_given > 0)
    job->member->n_light--;
  else if (chunk->n_done > 0 && !chunk->is_open)
    adapt (job->map, job->member, chunk);
  chunk_free_if_over (chunk);
}
