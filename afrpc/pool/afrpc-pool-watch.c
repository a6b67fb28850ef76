/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-watch.h"

#define MOMENT_US (5 * 1000) /* what runs longer holds up what waits behind it, if somebody else has nothing to do */
#define LONG_US (50 * 1000)  /* or even if nobody has: it would be begun before by whoever is the next to have room */

void
afrpc_pool_watch_later (AfrpcPoolCore *self,
                        gint64         now)
{
  self->watch_at = now + MOMENT_US;
  afrpc_pool_core_want_timer (self, self->watch_at);
}

/* What waits behind @running, which has run for a moment, goes back to the queue, but for what has to stay where it is.
 * Returns: whether anything does: then it runs indeed */
static gboolean
take_back (AfrpcPoolMember *member,
           AfrpcPoolJob    *running)
{
  gboolean has_any = FALSE;
  GList *link, *previous;

  for (link = member->given.tail; link != NULL && link != &running->place.link; link = previous)
    {
      AfrpcPoolJob *job = link->data;

      previous = link->prev;
      if (job->tie == NULL && job != member->alone && job->pending.state == AFRPC_PENDING_OPEN)
        has_any |= afrpc_pool_job_take_back (job);
    }

  return has_any;
}

/* One of a parcel may run for a moment: those behind it go to who has time, and those before it are told. */
static void
look_at_parcel (AfrpcPoolMember *member,
                AfrpcPoolJob    *first)
{
  guint64 n_begun;
  g_autoptr(GBytes) saved = afrpc_peer_get_parts (member->peer, &first->pending, &n_begun);

  if (member->seen_id == first->id && n_begun > 0 && n_begun <= first->call->n_parts &&
      n_begun == member->n_parts_seen)
    afrpc_pool_map_cut (first);
  member->n_parts_seen = n_begun;
}

/* Whether @job would have been begun by now if its worker, which has nothing else to do, did anything: where that is known. */
static gboolean
is_unbegun (AfrpcPoolMember    *member,
            const AfrpcPoolJob *job)
{
  return job->tie == NULL && job->pending.state == AFRPC_PENDING_OPEN &&
         afrpc_peer_get_started (member->peer, &job->pending) == AFRPC_STARTED_NO;
}

/* Whether somebody else could have at once what waits behind others. For one that may be begun at any moment nobody is
 * started. */
static gboolean
has_idle (const AfrpcPoolCore *self,
          gboolean             is_first)
{
  return self->queue.n == 0 &&
         (self->n_members[AFRPC_POOL_MEMBER_IDLE] > 0 || (!is_first && afrpc_pool_staff_may_grow (self)));
}

/* The worker has not begun the first of its calls either. It gets nothing more until it has seen that it is not to. */
static void
take_first_back (AfrpcPoolMember *member,
                 AfrpcPoolJob    *first)
{
  const guint64 serial = first->pending.serial;

  if (!afrpc_pool_job_take_back (first))
    return;

  member->still_serial = serial;
  afrpc_pool_member_look (member);
}

/* Whether there is somebody for what goes back, sooner or later: a pool that ends starts nobody for it. */
static gboolean
goes_on (const AfrpcPoolCore *self)
{
  return self->state == AFRPC_POOL_OPEN && self->failure == NULL;
}

/* @running still runs, and others wait behind that; or it was not begun. */
static void
look_behind (AfrpcPoolMember *member,
             AfrpcPoolJob    *running,
             gint64           now)
{
  const gboolean is_first = is_unbegun (member, running);
  const gboolean is_long = goes_on (member->core) && now - member->seen_since >= LONG_US;
  const gboolean idles = has_idle (running->core, is_first);

  afrpc_pool_job_ref (running);
  /* What goes back comes before others, which are not to have its place. */
  if (is_long && member->long_id != running->id)
    {
      member->long_id = running->id;
      afrpc_pool_member_look (member);
    }
  if (running->member == member && (is_long || idles))
    {
      if (take_back (member, running) && is_long)
        member->slow_id = running->id;
      if (is_first && idles)
        take_first_back (member, running);
    }
  afrpc_pool_job_unref (running);
}

/* Looks who waits behind something long, or is not begun. */
void
afrpc_pool_watch_look (AfrpcPoolCore *self,
                       gint64         now)
{
  self->watch_at = 0;
  if (!afrpc_pool_watch_is_needed (self) || self->doom != NULL)
    return;

  self->has_unbegun = FALSE;
  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];
      AfrpcPoolJob *running;

      if (member->state != AFRPC_POOL_MEMBER_BUSY &&
          (member->state != AFRPC_POOL_MEMBER_RETIRING || !goes_on (self)))
        continue;
      running = afrpc_pool_member_get_running (member);
      if (running == NULL)
        continue;
      if (running->is_parcel)
        look_at_parcel (member, running);
      if (member->seen_id != running->id)
        {
          member->seen_id = running->id;
          member->seen_since = now;
        }
      else if (member->given.tail != &running->place.link ? afrpc_pool_watch_has_waiting (self) : is_unbegun (member, running))
        look_behind (member, running, now);
      self->has_unbegun |= member->given.tail != NULL && is_unbegun (member, member->given.tail->data);
    }
  if (afrpc_pool_watch_is_needed (self))
    afrpc_pool_watch_later (self, now);
}
