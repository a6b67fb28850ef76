/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All maps of a pool: what has been decided of their calls is acted on, and those who wait are told. */
#include "config.h"

#include "pool/afrpc-pool-map.h"

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

void
afrpc_pool_maps_feed (AfrpcPoolCore *core)
{
  g_autoptr(GPtrArray) maps = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_pool_map_unref);

  for (GList *l = core->maps.head; l != NULL; l = l->next)
    {
      AfrpcPoolMap *map = l->data;

      /* One that was never asked for anything has not begun. */
      if (map->is_pulling || (map->n_pulled == 0 && !map->is_stalled) || !afrpc_pool_map_wants_more (map) ||
          (map->is_stalled && !afrpc_pool_map_has_room (map, 0)))
        continue;
      if (has_to_wait (map))
        core->has_unfed = TRUE;
      else
        g_ptr_array_add (maps, afrpc_pool_map_ref (map));
    }
  for (guint i = 0; i < maps->len; i++)
    afrpc_pool_map_feed (maps->pdata[i]);
}

/* Returns: (transfer full) (nullable): somebody who waits for what is there */
static AfrpcPoolMapWaiter *
pop_waiter (AfrpcPoolCore  *core,
            AfrpcPoolMap  **map)
{
  for (GList *l = core->maps.head; l != NULL; l = l->next)
    {
      *map = l->data;
      if ((*map)->waiters.length > 0 && afrpc_pool_map_has_news (*map))
        return g_queue_pop_head (&(*map)->waiters);
    }

  return NULL;
}

/* Those who wait get what is there. */
static void
tell (AfrpcPoolCore *core)
{
  AfrpcPoolMapWaiter *waiter;
  AfrpcPoolMap *map;

  while ((waiter = pop_waiter (core, &map)) != NULL)
    {
      afrpc_pool_map_ref (map);
      afrpc_pool_map_give_waiter (map, waiter);
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
    g_ptr_array_set_size (core->spent, 0);
  if (core->decided != NULL || (core->has_unfed && core->n_pulling == 0))
    {
      core->has_unfed = FALSE;
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
      AfrpcPoolMap *map = l->data;
      AfrpcPoolMapWaiter *waiter;

      while ((waiter = g_queue_pop_head (&map->waiters)) != NULL)
        {
          g_ptr_array_add (tasks, waiter->task);
          g_free (waiter);
        }
    }
}
