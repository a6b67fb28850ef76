/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All maps of a pool: what has been decided of their calls is acted on, and those who wait are told. */
#include "config.h"

#include "pool/afrpc-pool-map.h"

#include "afrpc-call-options-private.h"

#define PASSED_MAX 16u

/* A job of a map has its outcome: it is acted on at the end of this turn, or in the next. Takes the reference. */
void
afrpc_pool_maps_decided (AfrpcPoolJob *job)
{
  AfrpcPoolCore *core = job->core;

  job->next_spare = NULL;
  if (core->decided == NULL)
    {
      core->decided = job;
      afrpc_pool_core_want_timer (core, 0);
    }
  else
    core->last_decided->next_spare = job;
  core->last_decided = job;
}

/* Who blocks the thread is not told what a dead worker has owed: that is asked for. */
static void
decide_ended (AfrpcPoolCore *core)
{
  for (guint i = 0; i < core->members->len; i++)
    {
      AfrpcPoolMember *member = core->members->pdata[i];
      GList *link, *next;

      if (!afrpc_peer_has_ended (member->peer))
        continue;

      for (link = member->given.head; link != NULL; link = next)
        {
          AfrpcPoolJob *job = link->data;

          next = link->next;
          if (job->map != NULL)
            afrpc_peer_decide_at_end (member->peer, &job->pending);
        }
    }
}

/* Whether it has to wait until the functions return that are making inputs of others: its own may need the results of those,
 * which do not come before. Who waits for the results of this one within them does get them. */
static gboolean
has_to_wait (AfrpcPoolMap *map)
{
  AfrpcPoolCore *core = map->core;

  if (core->n_pulling == 0 || (map == core->awaited && core->awaited_within == core->n_pulling))
    return FALSE;

  return core->n_blocked > 0 || map->waiters.length == 0;
}

/* One of its calls has settled, or it has to wait to make some. */
void
afrpc_pool_map_note_hunger (AfrpcPoolMap *self)
{
  if (self->is_hungry || self->is_exhausted || self->core->state == AFRPC_POOL_OVER)
    return;

  self->is_hungry = TRUE;
  g_queue_push_tail_link (&self->core->hungry, &afrpc_pool_map_ref (self)->hunger);
}

/* Some result may be there, or the end. Who comes to wait looks himself. */
void
afrpc_pool_map_note_change (AfrpcPoolMap *self)
{
  if (self->has_changed || self->waiters.length == 0 || self->core->state == AFRPC_POOL_OVER)
    return;

  self->has_changed = TRUE;
  g_queue_push_tail_link (&self->core->changed, &afrpc_pool_map_ref (self)->change);
  if (self->is_exhausted)
    afrpc_pool_core_want_timer (self->core, 0);
}

/* Returns: (transfer full) (nullable): one that may make more calls than before */
static AfrpcPoolMap *
pop_hungry (AfrpcPoolCore *core)
{
  GList *link = g_queue_pop_head_link (&core->hungry);
  AfrpcPoolMap *map = link != NULL ? link->data : NULL;

  if (map != NULL)
    map->is_hungry = FALSE;

  return map;
}

static void
feed_hungry (AfrpcPoolCore *core)
{
  AfrpcPoolMap *map;

  for (guint n = core->hungry.length; n > 0 && (map = pop_hungry (core)) != NULL; n--)
    {
      if (!map->is_pulling && !map->is_stalled && afrpc_pool_map_wants_more (map))
        {
          if (has_to_wait (map))
            afrpc_pool_map_note_hunger (map);
          else
            afrpc_pool_map_feed (map);
        }
      afrpc_pool_map_unref (map);
    }
}

/* Sees to @map, the oldest that waits for room. FALSE: there is none. */
static gboolean
feed_stalled (AfrpcPoolMap *map)
{
  const guint64 n_before = map->n_pulled;

  if (!afrpc_pool_map_wants_more (map))
    {
      afrpc_pool_map_set_stalled (map, FALSE);
      return TRUE;
    }
  if (!afrpc_pool_map_has_room (map, 0))
    return FALSE;

  /* Behind all others, if there is not enough. */
  afrpc_pool_map_set_stalled (map, FALSE);
  if (has_to_wait (map))
    {
      afrpc_pool_map_note_hunger (map);
      return TRUE;
    }
  afrpc_pool_map_feed (map);

  return !map->is_stalled || map->n_pulled > n_before;
}

/* Those whose calls have a key may be without room while others have some: a few of them let others go first. */
void
afrpc_pool_maps_feed (AfrpcPoolCore *core)
{
  guint n_passed = 0;

  feed_hungry (core);
  for (guint n = core->stalled.length; n > 0 && core->stalled.length > 0; n--)
    {
      AfrpcPoolMap *map = afrpc_pool_map_ref (core->stalled.head->data);
      const gboolean goes_on = feed_stalled (map) || (map->options != NULL && map->options->affinity != NULL &&
                                                      ++n_passed < PASSED_MAX);

      if (goes_on && core->stalled.head == &map->stall)
        {
          g_queue_unlink (&core->stalled, &map->stall);
          g_queue_push_tail_link (&core->stalled, &map->stall);
        }
      afrpc_pool_map_unref (map);
      if (!goes_on)
        break;
    }
}

/* Those who wait get what is there. Whoever is told may do anything. */
static void
tell (AfrpcPoolCore *core)
{
  GList *link;

  while ((link = g_queue_peek_head_link (&core->changed)) != NULL)
    {
      AfrpcPoolMap *map = link->data;

      afrpc_pool_map_ref (map);
      if (map->waiters.length > 0 && afrpc_pool_map_has_news (map))
        afrpc_pool_map_give_waiter (map, g_queue_pop_head (&map->waiters));
      else
        {
          g_queue_unlink (&core->changed, link);
          map->has_changed = FALSE;
          afrpc_pool_map_unref (map);
        }
      afrpc_pool_map_unref (map);
    }
}

/* Acts on what has been decided: whoever waits gets it, and more calls are made. Anything may happen. */
void
afrpc_pool_maps_act (AfrpcPoolCore *core)
{
  AfrpcPoolMember *member = NULL;
  AfrpcPoolJob *job;

  afrpc_pool_core_ref (core);
  if (core->n_blocked > 0)
    decide_ended (core);
  else
    afrpc_pool_core_clear_spent (core);
  if (core->decided != NULL || (core->hungry.length > 0 && core->n_pulling == 0))
    {
      while ((job = core->decided) != NULL)
        {
          AfrpcPoolMap *map = job->map;
          AfrpcCall *call = job->call;
          const guint64 number = job->place.number;

          core->decided = job->next_spare;
          job->next_spare = NULL;
          if (job->member != NULL && job->member != member)
            {
              if (member != NULL)
                {
                  afrpc_pool_member_look (member);
                  afrpc_pool_member_unref (member);
                }
              member = afrpc_pool_member_ref (job->member);
            }
          afrpc_pool_job_finish (job);
          afrpc_pool_map_settled (map, call, number);
          afrpc_pool_job_unref (job);
        }
      if (member != NULL)
        {
          afrpc_pool_member_look (member);
          if (member->core != NULL)
            afrpc_pool_desk_serve (core, member);
          afrpc_pool_member_unref (member);
        }
      /* First, so that workers have something to do. */
      afrpc_pool_desk_pump (core);
      afrpc_pool_maps_feed (core);
    }
  if (core->n_blocked == 0)
    tell (core);
  afrpc_pool_core_unref (core);
}

/* The worker lets go of those that it has, as of any call: nobody is there who would have taken them in place. */
static void
abandon_given (AfrpcPoolMember *member)
{
  GList *link, *next;

  for (link = member->given.head; link != NULL; link = next)
    {
      AfrpcPoolJob *job = link->data;

      next = link->next;
      if (job->map == NULL)
        continue;

      job->pending.is_awaited = FALSE;
      afrpc_pool_job_abandon (job);
    }
}

/* Nobody is told anything any more. */
void
afrpc_pool_maps_abandon (AfrpcPoolCore *core)
{
  g_autoptr(GPtrArray) tasks = g_ptr_array_new_with_free_func (g_object_unref);
  AfrpcPoolJob *job;
  AfrpcPoolMap *map;

  while ((job = core->decided) != NULL)
    {
      core->decided = job->next_spare;
      job->next_spare = NULL;
      afrpc_pool_job_abandon (job);
      afrpc_pool_job_unref (job);
    }
  for (guint i = 0; i < core->members->len; i++)
    abandon_given (core->members->pdata[i]);
  for (GList *l = core->maps.head; l != NULL; l = l->next)
    {
      AfrpcPoolMapWaiter *waiter;

      map = l->data;
      while ((waiter = g_queue_pop_head (&map->waiters)) != NULL)
        {
          g_ptr_array_add (tasks, waiter->task);
          g_free (waiter);
        }
    }

  for (GList *link; (link = g_queue_peek_head_link (&core->changed)) != NULL;)
    {
      g_queue_unlink (&core->changed, link);
      ((AfrpcPoolMap *) link->data)->has_changed = FALSE;
      afrpc_pool_map_unref (link->data);
    }
  while ((map = pop_hungry (core)) != NULL)
    afrpc_pool_map_unref (map);
}
