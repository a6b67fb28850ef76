/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-watch.h"

#define MOMENT_US (5 * 1000) /* what runs longer holds up what waits behind it */

void
afrpc_pool_watch_later (AfrpcPoolCore *self,
                        gint64         now)
{
  self->watch_at = now + MOMENT_US;
  afrpc_pool_core_want_timer (self, self->watch_at);
}

/* What waits behind something that has run for a moment goes back to the queue, but for what has to stay where it is. */
static void
take_back (AfrpcPoolMember *member)
{
  GList *link, *previous;

  for (link = member->given.tail; link != NULL && link != member->given.head; link = previous)
    {
      AfrpcPoolJob *job = link->data;

      previous = link->prev;
      if (job->tie == NULL && job != member->alone)
        afrpc_pool_job_take_back (job);
    }
}

/* One of a parcel may run for a moment: those behind it go to who has time, and those before it are told. */
static void
look_at_parcel (AfrpcPoolMember *member,
                AfrpcPoolJob    *first)
{
  guint64 n_begun;
  g_autoptr(GBytes) saved = afrpc_peer_get_parts (member->peer, &first->pending, &n_begun);

  if (member->first_seen == first->id && n_begun > 0 && n_begun <= first->call->n_parts &&
      n_begun == member->n_parts_seen)
    afrpc_pool_map_cut (first);
  member->n_parts_seen = n_begun;
}

/* Looks who waits behind something long. */
void
afrpc_pool_watch_look (AfrpcPoolCore *self,
                       gint64         now)
{
  self->watch_at = 0;
  if (!afrpc_pool_watch_is_needed (self) || self->doom != NULL)
    return;

  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];
      AfrpcPoolJob *first = g_queue_peek_head (&member->given);

      if (first == NULL || member->state != AFRPC_POOL_MEMBER_BUSY)
        continue;
      if (first->is_parcel)
        look_at_parcel (member, first);
      if (member->given.length > 1 && member->first_seen == first->id && afrpc_pool_watch_has_others (self))
        take_back (member);
      member->first_seen = first->id;
    }
  afrpc_pool_watch_later (self, now);
}
