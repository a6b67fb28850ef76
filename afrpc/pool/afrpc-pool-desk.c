/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The desk: where jobs get a member. Every job takes the same way: into the queue, and out of it to the member that has
 * least to do; or to the one that its key is tied to, for which it waits by itself. Those that have to be alone wait for
 * whoever has nothing first. */
#include "config.h"

#include "pool/afrpc-pool-line.h"
#include "pool/afrpc-pool-watch.h"

#include "afrpc-error.h"
#include "peer/afrpc-slice.h"

#define ASIDE_US (100 * 1000) /* how long one that has to be alone waits for a worker that has nothing */

/* Whether those that have to be alone are waited with until somebody has nothing, while others go on: an async worker may
 * always have something. Of sync ones nobody gets anything behind something else meanwhile, which holds nobody up. */
static gboolean
lets_others_go (const AfrpcPoolCore *self)
{
  return self->config.backend == AFRPC_BACKEND_ASYNC;
}

/* Calls of other keys than that of the one that an async worker has by itself do not wait for that. */
static void
leave_keys (AfrpcPoolMember *member)
{
  if (member->bond != NULL && lets_others_go (member->core))
    afrpc_pool_ties_release_all (member->core, member);
}

/* A serialiser may wait for another call of the pool while it packs this one: only then is @member kept from others. If it
 * has got some meanwhile, @job waits again. */
static void
give_alone (AfrpcPoolJob    *job,
            AfrpcPoolMember *member,
            gint64           left)
{
  afrpc_pool_job_ref (job);
  afrpc_proxy_give (member->proxy, job->args, job->call->options, left, &job->pending);
  if (member->core != NULL && job->call != NULL && job->pending.state == AFRPC_PENDING_OPEN &&
      (afrpc_peer_get_n_owed (member->peer) == 1 || !afrpc_pool_job_take_back (job)))
    {
      afrpc_pool_member_set_alone (member, job);
      leave_keys (member);
    }
  afrpc_pool_job_unref (job);
}

/* @job is in a queue, or has just come; its reference becomes the worker's. A serialiser may do anything meanwhile.
 * FALSE: its time is over, and it fails; so may very many others. */
static gboolean
give (AfrpcPoolCore   *self,
      AfrpcPoolJob    *job,
      AfrpcPoolMember *member)
{
  const AfrpcPending *outer = &job->call->pending;
  const gint64 left = afrpc_pool_line_get_time_left (job);

  if (job->place.queue != NULL)
    {
      afrpc_pool_line_take (self, job);
      afrpc_pool_line_forget_deadline (self, job);
      self->last_number = MAX (self->last_number, job->place.number);
    }
  if (left < 0)
    {
      afrpc_pool_line_settle (self, job);
      afrpc_pool_member_look (member);
      afrpc_pool_job_fail (job, afrpc_pool_line_new_timeout (job));
      return FALSE;
    }

  if (G_UNLIKELY (job->call->n_parts > 0) && !afrpc_pool_map_fits (job->map, member))
    {
      afrpc_pool_line_settle (self, job);
      afrpc_pool_job_fail (job, g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED, "the worker takes one call at a time"));
      return TRUE;
    }

  self->n_acts++;
  afrpc_pool_figures_add_time (&self->figures, AFRPC_POOL_TIME_QUEUED, self->now - job->since);
  job->since = self->now;
  afrpc_pool_member_ref (member);
  job->member = afrpc_pool_member_ref (member);
  afrpc_pool_links_push_tail (&member->given, &job->place.link);
  self->n_given++;
  self->has_unbegun = TRUE;
  if (G_UNLIKELY (job->tie != NULL))
    {
      afrpc_pool_tie_hold (job->tie, member);
      job->pending.is_counted = TRUE;
    }
  afrpc_pool_line_settle (self, job);
  afrpc_pool_job_set_parcel (job, job->call->n_parts > 1);
  if (G_UNLIKELY (job->call->n_parts > 0))
    afrpc_peer_expect_parts (member->peer);
  if (member->given.length == 1)
    {
      member->current_since = self->now;
      self->n_having++;
    }
  if (G_UNLIKELY (job->chunk != NULL))
    afrpc_pool_map_chunk_enter (job);
  job->pending.is_awaited = outer->is_awaited;
  job->pending.execution_timeout_ms = outer->execution_timeout_ms;
  afrpc_call_lend_process (job->call, member->process);
  afrpc_pool_member_count_call (member, 1, self->config.max_calls);
  if (G_UNLIKELY (self->config.max_memory_growth > 0))
    afrpc_pool_memory_note (self);
  /* Nor does it get more while this one is being serialised. */
  if (G_UNLIKELY (member->is_full))
    afrpc_pool_bench_leave (&self->bench, &member->seat);
  member->n_packing++;
  if (G_UNLIKELY (afrpc_pool_line_has_to_be_alone (job)))
    give_alone (job, member, left);
  else
    afrpc_proxy_give (member->proxy, job->args, job->call->options, left, &job->pending);
  member->n_packing--;
  if (afrpc_peer_is_retired (member->peer))
    afrpc_pool_staff_renew (self, member);
  else
    afrpc_pool_member_look (member);
  afrpc_pool_member_unref (member);

  return TRUE;
}

/* Returns: (nullable): the one that comes first */
static AfrpcPoolJob *
earlier (AfrpcPoolJob *a, /* (nullable) */
         AfrpcPoolJob *b) /* (nullable) */
{
  return b == NULL || (a != NULL && afrpc_pool_place_is_before (&a->place, &b->place)) ? a : b;
}

/* Returns: (nullable): who comes first of those that anybody may have; @skips: but for those that wait for one that has
 * nothing */
static AfrpcPoolJob *
peek_first (AfrpcPoolCore *self,
            gboolean       skips)
{
  AfrpcPoolJob *job = afrpc_pool_line_peek (&self->queue);

  if (G_UNLIKELY (self->tied.n > 0))
    job = earlier (job, afrpc_pool_line_peek_tied (&self->tied));
  if (G_UNLIKELY (afrpc_pool_get_n_lone (self) > 0) && !skips)
    {
      job = earlier (job, afrpc_pool_line_peek (&self->lone));
      job = earlier (job, afrpc_pool_line_peek_tied (&self->lone_tied));
    }

  return job;
}

/* Many tiny calls are given at once, so that nobody waits for the program between them; together they are the load of
 * one. @job comes first in the queue. FALSE: the time of the last of them is over. */
static gboolean
give_chunk (AfrpcPoolCore   *self,
            AfrpcPoolJob    *job,
            AfrpcPoolMember *member)
{
  AfrpcPoolMap *map = job->map;
  AfrpcPoolChunk *chunk;
  guint n = afrpc_pool_map_chunk_begin (map, member, &chunk);
  gboolean is_in_time;

  afrpc_pool_member_ref (member);
  for (;;)
    {
      job->chunk = chunk;
      is_in_time = give (self, job, member);
      if (!is_in_time || --n == 0 || member->core == NULL || !afrpc_pool_member_is_live (member) || member->alone != NULL ||
          member->is_full)
        break;
      job = peek_first (self, FALSE);
      if (job == NULL || job->map != map || job->place.queue != &self->queue || job->call->n_parts > 0)
        break;
    }
  afrpc_pool_map_chunk_end (chunk);
  afrpc_pool_member_unref (member);

  return is_in_time;
}

static gboolean
has_nothing (AfrpcPoolMember *member)
{
  return afrpc_peer_get_n_owed (member->peer) == 0 && member->n_packing == 0;
}

/* Whether @member, which has room, may not get @job behind what it has. */
static gboolean
is_too_busy (AfrpcPoolMember    *member,
             const AfrpcPoolJob *job)
{
  if (!afrpc_pool_line_has_to_be_alone (job))
    return FALSE;

  /* Of sync ones nobody would get anything until it has been packed, which may wait for just that. */
  return lets_others_go (member->core) ? !has_nothing (member) : afrpc_peer_get_n_owed (member->peer) > 0;
}

/* Returns: (nullable): who comes first of those that wait for @member */
static AfrpcPoolJob *
peek_own (const AfrpcPoolMember *member)
{
  return member->bond != NULL ? afrpc_pool_line_peek_tied (&member->bond->lanes) : NULL;
}

/* The member that has room gets the one that comes first of those that it may have. FALSE: the time of one is over. */
static gboolean
give_next (AfrpcPoolCore   *self,
           AfrpcPoolMember *member,
           AfrpcPoolJob    *common) /* (nullable): one that anybody may have */
{
  AfrpcPoolJob *job = peek_own (member);

  if (job == NULL || (common != NULL && afrpc_pool_place_is_before (&common->place, &job->place)))
    job = common;
  if (job->tie != NULL)
    afrpc_pool_tie_bind (self, job->tie, member);
  else if (G_UNLIKELY (job->map != NULL) && job->place.queue == &self->queue && job->call->n_parts == 0)
    return give_chunk (self, job, member);

  return give (self, job, member);
}

/* Another one's time is over. FALSE: that of some others was, too: the timer sees to the rest, a slice at a time. */
static gboolean
may_expire (AfrpcPoolCore *self,
            guint         *n_expired)
{
  if (++*n_expired < AFRPC_SLICE_STEPS)
    return TRUE;

  afrpc_pool_core_want_timer (self, 0);

  return FALSE;
}

/* Whether a member that has nothing may have one that has to be alone for as long as that takes: of async workers, which
 * have many at once, one that is ready is left to the others. */
static gboolean
may_be_taken (const AfrpcPoolCore *self)
{
  return !lets_others_go (self) || self->n_alone + 1 < afrpc_pool_staff_count_ready (self);
}

/* @member may have room for who waits for it: whoever pumps next looks. */
void
afrpc_pool_desk_serve_soon (AfrpcPoolMember *member)
{
  if (member->is_to_serve)
    return;

  member->is_to_serve = TRUE;
  g_queue_push_tail_link (&member->core->to_serve, &member->serve);
}

/* Those that wait for this member, and for nobody else. */
void
afrpc_pool_desk_serve (AfrpcPoolCore   *self,
                       AfrpcPoolMember *member)
{
  guint n_expired = 0;
  AfrpcPoolJob *job;

  if (G_LIKELY (afrpc_pool_ties_count (member) == 0) || self->doom != NULL || !afrpc_pool_member_is_live (member) ||
      g_source_is_destroyed (self->timer))
    return;

  afrpc_pool_ties_look (self, member);
  while ((job = peek_own (member)) != NULL && member->seat.taken)
    {
      AfrpcPoolJob *common = peek_first (self, lets_others_go (self) && (!has_nothing (member) || !may_be_taken (self)));

      /* Its turn comes with those that anybody may have, and when they have had theirs. */
      if (common != NULL && afrpc_pool_place_is_before (&common->place, &job->place))
        {
          afrpc_pool_desk_serve_soon (member);
          break;
        }
      if (!give_next (self, member, NULL) && !may_expire (self, &n_expired))
        break;
    }
}

/* Returns: (nullable): who has least to do of those that have room */
static inline AfrpcPoolMember *
choose (AfrpcPoolCore *self)
{
  if (self->relieved != NULL)
    afrpc_pool_member_look (self->relieved);

  return afrpc_pool_bench_peek (&self->bench);
}

/* Whoever comes first of those that any may have, until nobody has room. */
static void
serve_common (AfrpcPoolCore *self)
{
  gboolean skips = FALSE;
  guint n_expired = 0;
  AfrpcPoolJob *job;

  while ((job = peek_first (self, skips)) != NULL)
    {
      AfrpcPoolMember *member;

      /* It has waited for a member that is gone. */
      if (afrpc_pool_line_has_to_be_alone (job) && job->tie != NULL && job->tie->state != AFRPC_POOL_TIE_LONE)
        {
          afrpc_pool_tie_settle (self, job->tie);
          continue;
        }

      member = choose (self);
      if (member == NULL)
        break;
      if (is_too_busy (member, job) || (afrpc_pool_line_has_to_be_alone (job) && !may_be_taken (self)))
        {
          if (!lets_others_go (self))
            break;
          skips = TRUE;
          continue;
        }
      if (!give_next (self, member, job) && !may_expire (self, &n_expired))
        break;
    }
}

/* One that has to be alone does not wait for ever for an async worker that has nothing, and holds up nobody: another worker is
 * there for it. */
static void
see_to_lone (AfrpcPoolCore *self)
{
  AfrpcPoolJob *job = earlier (afrpc_pool_line_peek (&self->lone), afrpc_pool_line_peek_tied (&self->lone_tied));

  if (job == NULL || !lets_others_go (self))
    return;

  if (self->aside != NULL && self->aside_has_room)
    {
      self->aside_has_room = FALSE;
      if (job->tie != NULL)
        afrpc_pool_tie_bind (self, job->tie, self->aside);
      give (self, job, self->aside);
    }
  else if (self->aside_at == 0)
    {
      const gboolean is_first = self->aside == NULL && self->config.max_workers == 1;

      /* Somebody may have nothing soon. */
      afrpc_pool_core_want_at (self, &self->aside_at, is_first ? AFRPC_POOL_AT_ONCE : g_get_monotonic_time () + ASIDE_US);
    }
}

/* Whether what it has been given last takes long. */
static gboolean
has_begun_long_ago (const AfrpcPoolMember *aside,
                    gint64                 now)
{
  return (aside->state == AFRPC_POOL_MEMBER_BUSY || aside->n_packing > 0) && now >= aside->current_since + ASIDE_US;
}

/* Has it started, if it has to be; or ended. */
void
afrpc_pool_desk_look_aside (AfrpcPoolCore *self,
                            gint64         now)
{
  AfrpcPoolMember *aside = self->aside;
  const gboolean is_needed = afrpc_pool_get_n_lone (self) > 0 && lets_others_go (self);

  self->aside_at = 0;
  /* Nobody waits for what takes long, or was given up and runs on. */
  if (aside != NULL && is_needed && has_begun_long_ago (aside, now) && afrpc_pool_staff_may_start_aside (self))
    {
      afrpc_pool_member_end (aside);
      aside = self->aside;
    }
  if (is_needed && (aside != NULL || !afrpc_pool_staff_start_aside (self, now)))
    afrpc_pool_core_want_at (self, &self->aside_at, now + ASIDE_US);
  if (aside != NULL && afrpc_pool_member_is_live (aside) && has_nothing (aside) && !is_needed)
    afrpc_pool_member_end (aside);
}

/* Whoever waits, for any member or for a certain one, gets it if it has room. */
static G_NO_INLINE void
serve_queue (AfrpcPoolCore *self)
{
  GList *link;

  if (self->doom != NULL)
    return;

  serve_common (self);
  see_to_lone (self);
  /* Those that have room left have it for who waits for them, and had to let others go first. */
  for (guint n = self->to_serve.length; n > 0 && (link = g_queue_pop_head_link (&self->to_serve)) != NULL; n--)
    {
      AfrpcPoolMember *member = link->data;

      member->is_to_serve = FALSE;
      afrpc_pool_desk_serve (self, member);
    }
  /* Who got his last one by that may have let others go. */
  if (afrpc_pool_has_common (self))
    serve_common (self);
}

/* Sees to what may be needed soon, with those calls that wait, and those that members have. */
static inline void
look_ahead (AfrpcPoolCore *self)
{
  if (self->watch_at == 0 && afrpc_pool_watch_is_needed (self))
    afrpc_pool_watch_later (self, g_get_monotonic_time ());
  if (afrpc_pool_has_common (self) || self->busy_since != 0 || self->config.idle_workers > 0)
    afrpc_pool_staff_update (self);
}

/* Sees that everything else goes on. */
static inline void
go_on (AfrpcPoolCore *self)
{
  look_ahead (self);
  if (self->state != AFRPC_POOL_OPEN)
    afrpc_pool_core_wind_up (self);
}

/* Whether somebody may get something: nobody does once the main context, or the pool, has gone. */
static inline gboolean
has_to_serve (const AfrpcPoolCore *self)
{
  return (afrpc_pool_has_common (self) || self->to_serve.length > 0) && !g_source_is_destroyed (self->timer);
}

/* Does what can be done now. */
void
afrpc_pool_desk_pump (AfrpcPoolCore *self)
{
  if (has_to_serve (self))
    serve_queue (self);
  if (G_UNLIKELY (self->stalled.length > 0))
    afrpc_pool_maps_feed (self);
  go_on (self);
  if (G_UNLIKELY (self->room_tasks.length > 0))
    afrpc_pool_room_look (self);
}

/* The same for a map that has made calls: others that wait for room for theirs do so until somebody else pumps, who comes
 * with the next outcome. There may be many, and they are not to be within each other. */
void
afrpc_pool_desk_pump_for_map (AfrpcPoolCore *self)
{
  if (has_to_serve (self))
    serve_queue (self);
  go_on (self);
  if (G_UNLIKELY (self->room_tasks.length > 0))
    afrpc_pool_room_look (self);
}

/* One that has come, and may stay. Takes the reference. */
void
afrpc_pool_desk_take (AfrpcPoolCore *self,
                      AfrpcPoolJob  *job)
{
  AfrpcPoolMember *member;

  /* Where nobody waits, it need not do so either. Whoever seemed to have room may turn out to get no more. */
  member = afrpc_pool_line_is_free (self) && self->n_waiting == 0 && job->tie == NULL ? choose (self) : NULL;
  if (member != NULL)
    {
      give (self, job, member);
      look_ahead (self);
    }
  else
    {
      afrpc_pool_line_up (self, job);
      afrpc_pool_desk_pump (self);
    }
}
