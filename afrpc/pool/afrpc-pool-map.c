/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps. Their calls are jobs like any other, but for three things: inputs are pulled only while what is under way and
 * what was not taken fit into a window; outcomes are decided in place, as for who blocks, and acted on together at the end
 * of a turn; and many small calls are given at once, in chunks that keep a worker busy for a few milliseconds. */
#include "config.h"

#include "pool/afrpc-pool-map.h"

#include "afrpc-error.h"

#define CHUNK_US 3000               /* so long a worker is to be busy with one chunk */
#define WINDOW_MIN 16u
#define PUMP_EACH 64u               /* calls that are made before workers get what there is */

/* Life */

/* @data: (transfer full): for @funcs; @host: (nullable): of the workers that take many calls at once; @n_left: how many inputs
 * there are, or -1 */
AfrpcPoolMap *
afrpc_pool_map_new (AfrpcPool           *pool,
                    const AfrpcMapFuncs *funcs,
                    gpointer             data,
                    const char          *host,
                    gint64               n_left,
                    AfrpcCallOptions    *options)
{
  AfrpcPoolMap *self = g_new0 (AfrpcPoolMap, 1);

  self->ref_count = 1;
  self->link.data = self;
  self->pool = g_object_ref (pool);
  self->core = afrpc_pool_core_ref (pool->core);
  g_set_object (&self->options, options);
  if (options != NULL)
    afrpc_call_options_freeze (options);
  self->funcs = funcs;
  self->data = data;
  self->host = host;
  self->n_left = n_left;
  self->chunk = 1;
  g_queue_push_tail_link (&self->core->maps, &self->link);

  return self;
}

static AfrpcPoolMap *
map_ref (AfrpcPoolMap *self)
{
  self->ref_count++;

  return self;
}

/* What was pulled is not called for. */
static void
drop_held (AfrpcPoolMap *self)
{
  if (self->held.args == NULL)
    return;

  g_clear_pointer (&self->held.args, g_variant_unref);
  self->funcs->sort (self->data, self->held.parcel, NULL);
}

/* There are no more. Who is just being asked is let go of afterwards. */
static void
forget_inputs (AfrpcPoolMap *self)
{
  self->is_exhausted = TRUE;
  drop_held (self);
  if (!self->is_pulling)
    self->funcs->forget (self->data);
}

static void
map_unref (AfrpcPoolMap *self)
{
  AfrpcPoolCore *core = self->core;

  if (--self->ref_count > 0)
    return;

  g_assert (self->pool == NULL && self->calls.length == 0);
  g_queue_unlink (&core->maps, &self->link);
  self->funcs->free (self->data);
  g_clear_object (&self->options);
  g_clear_error (&self->error);
  g_free (self);
  afrpc_pool_core_unref (core);
}

static void
set_stalled (AfrpcPoolMap *self,
             gboolean      is_stalled)
{
  self->core->n_stalled += is_stalled - self->is_stalled;
  self->is_stalled = is_stalled;
}

static void
stop_pulling (AfrpcPoolMap *self,
              GError       *error) /* (transfer full) */
{
  set_stalled (self, FALSE);
  if (self->error == NULL)
    self->error = error;
  else
    g_error_free (error);
  forget_inputs (self);
}

/* Nothing more is pulled, and what is under way is given up. */
void
afrpc_pool_map_cancel (AfrpcPoolMap *self)
{
  GList *link, *next;

  map_ref (self);
  self->is_cancelled = TRUE;
  stop_pulling (self, g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the map was cancelled"));
  for (link = self->calls.head; link != NULL; link = next)
    {
      AfrpcCall *call = link->data;

      next = link->next;
      if (afrpc_call_get_pending (call)->state != AFRPC_PENDING_DECIDED)
        afrpc_call_cancel (call);
    }
  afrpc_pool_core_want_timer (self->core, 0);
  map_unref (self);
}

/* Nobody wants the results any more. Consumes the reference of the object. */
void
afrpc_pool_map_drop (AfrpcPoolMap *self)
{
  g_autoptr(AfrpcPool) pool = g_steal_pointer (&self->pool);

  afrpc_pool_map_cancel (self);
  map_unref (self);
}

/* Pulling */

static guint
get_window (const AfrpcPoolMap *self)
{
  const AfrpcPoolConfig *config = &self->core->config;
  const guint64 window = (guint64) config->max_workers * config->load * self->chunk * 4;

  return CLAMP (window, WINDOW_MIN, AFRPC_POOL_MAP_WINDOW_MAX);
}

/* Others have half of the queue. */
static gboolean
has_room (AfrpcPoolMap *self,
          gsize         size)
{
  AfrpcPoolCore *core = self->core;

  return core->queue.n + core->n_waiting < MAX (core->config.max_calls_queued / 2, 1) &&
         afrpc_pool_entry_has_room (core, size);
}

static gboolean
wants_more (AfrpcPoolMap *self)
{
  AfrpcPoolCore *core = self->core;

  if (self->is_exhausted || self->pool == NULL)
    return FALSE;
  if (core->failure != NULL)
    stop_pulling (self, g_error_copy (core->failure));
  else if (core->state != AFRPC_POOL_OPEN)
    stop_pulling (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the pool is closed"));

  return !self->is_exhausted && self->calls.length < get_window (self);
}

/* Whether workers may have parcels: nothing is counted, or limited, that is about each of many. */
static gboolean
may_parcel (AfrpcPoolMap *self)
{
  const AfrpcPoolConfig *config = &self->core->config;

  if (self->host == NULL || config->backend != AFRPC_BACKEND_SYNC || config->serialiser != NULL || config->max_calls > 0 ||
      config->call_timeout_ms > 0)
    return FALSE;

  /* Otherwise some would be refused, and made again. */
  for (guint i = 0; i < self->core->templates->len; i++)
    {
      const AfrpcPoolTemplate *template = self->core->templates->pdata[i];

      if (template->process == NULL || g_strcmp0 (afrpc_process_get_host (template->process), self->host) != 0)
        return FALSE;
    }

  return TRUE;
}

/* Whether @member takes parcels: one that is not ready yet is going to say what it has begun, as far as anybody
 * knows. */
gboolean
afrpc_pool_map_fits (AfrpcPoolMap    *self,
                     AfrpcPoolMember *member)
{
  return g_strcmp0 (afrpc_peer_get_host (member->peer), self->host) == 0 &&
         (afrpc_peer_can_take_back (member->peer) || !afrpc_peer_is_ready (member->peer));
}

static AfrpcMapPulled
pull_one (AfrpcPoolMap  *self,
          AfrpcMapInput *input)
{
  const AfrpcPoolConfig *config = &self->core->config;
  const AfrpcMapRoom room = {
    .window = get_window (self), .window_max = AFRPC_POOL_MAP_WINDOW_MAX,
    .n_workers = MAX (afrpc_pool_staff_count (self->core), 1), .load = config->load, .max_repeats = config->max_repeats,
    .may_parcel = may_parcel (self),
  };
  const AfrpcMapPulled pulled = self->funcs->pull (self->data, &room, input);

  if (pulled == AFRPC_MAP_PULLED && self->n_left > 0)
    self->n_left--;

  return pulled;
}

/* FALSE: there is nothing, or nothing now, or there is no room. @input: (out): what is next, which has room */
static gboolean
pull (AfrpcPoolMap  *self,
      AfrpcMapInput *input)
{
  *input = self->held;
  self->held.args = NULL;
  if (input->args == NULL)
    {
      AfrpcMapPulled pulled;

      if (!has_room (self, 0))
        {
          set_stalled (self, TRUE);
          return FALSE;
        }
      *input = (AfrpcMapInput) { 0 };
      pulled = pull_one (self, input);
      if (pulled == AFRPC_MAP_PULLED)
        input->args = g_variant_take_ref (input->args);
      /* Whoever was asked may have done anything. */
      if (pulled == AFRPC_MAP_END && !self->is_exhausted)
        forget_inputs (self);
      if (pulled == AFRPC_MAP_PULLED && self->is_exhausted)
        {
          self->held = *input;
          drop_held (self);
        }
      if (pulled != AFRPC_MAP_PULLED || self->is_exhausted)
        return FALSE;
    }
  if (!has_room (self, g_variant_get_size (input->args)))
    {
      self->held = *input;
      set_stalled (self, TRUE);
      return FALSE;
    }

  return TRUE;
}

/* Returns: the job, which is nowhere yet. @input: its arguments are used up */
static AfrpcPoolJob *
make_job (AfrpcPoolMap        *self,
          const AfrpcMapInput *input)
{
  AfrpcCall *call = afrpc_call_new_spare (AFRPC_CALLER (self->pool), self->options, afrpc_pool_map, NULL, input->parcel);
  AfrpcPoolJob *job;

  self->n_pulled++;
  call->index = input->index;
  call->n_parts = input->n_parts;
  call->link.data = call;
  afrpc_call_get_pending (call)->is_awaited = TRUE;
  g_queue_push_tail_link (&self->calls, &call->link);
  if (self->n_under_way++ == 0)
    map_ref (self);
  job = afrpc_pool_job_new (self->core, call, input->args);
  job->map = self;
  job->n_deaths = input->n_deaths;
  if (input->n_deaths > 0)
    job->begun = AFRPC_STARTED_YES;
  g_variant_unref (input->args);

  return job;
}

/* Makes as many calls as there may be. */
void
afrpc_pool_map_feed (AfrpcPoolMap *self)
{
  AfrpcPoolCore *core = self->core;
  guint n = 0;

  if (self->is_pulling || self->is_exhausted)
    return;

  afrpc_pool_core_ref (core);
  map_ref (self);
  self->is_pulling = TRUE;
  set_stalled (self, FALSE);
  while (wants_more (self))
    {
      AfrpcMapInput input;

      if (!pull (self, &input))
        break;
      afrpc_pool_entry_add (core, make_job (self, &input));
      if (++n % PUMP_EACH == 0 || input.is_urgent)
        afrpc_pool_desk_pump (core);
    }
  self->is_pulling = FALSE;
  if (self->is_exhausted)
    forget_inputs (self);
  if (n % PUMP_EACH != 0)
    afrpc_pool_desk_pump (core);
  map_unref (self);
  afrpc_pool_core_unref (core);
}

/* Chunks */

/* Returns: how many calls may be given to @member at once, as @chunk (transfer full) */
guint
afrpc_pool_map_begin_chunk (AfrpcPoolMap     *self,
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
afrpc_pool_map_end_chunk (AfrpcPoolChunk *chunk)
{
  chunk->is_open = FALSE;
  chunk_free_if_over (chunk);
}

void
afrpc_pool_map_enter_chunk (AfrpcPoolJob *job)
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
afrpc_pool_map_leave_chunk (AfrpcPoolJob *job)
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

/* Outcomes */

/* A job of a map has its outcome: it is acted on at the end of this turn, or in the next. Takes the reference. */
void
afrpc_pool_map_decided (AfrpcPoolJob *job)
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

/* Returns: (transfer full) (nullable): why nothing is called for again. Where calls would fail at once they are made all the
 * same: these know whether they were begun. */
static GError *
get_obstacle (AfrpcPoolMap *self)
{
  if (self->is_cancelled || self->pool == NULL)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled");

  return self->core->state == AFRPC_POOL_OVER ?
           g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the main context of the pool is gone") : NULL;
}

/* What has to be called for again is, in the place of @number among those that wait. */
static void
call_rest (AfrpcPoolMap *self,
           guint64       number)
{
  g_autoptr(GError) error = get_obstacle (self);
  AfrpcMapInput input = { 0 };

  if (error != NULL)
    {
      self->funcs->fail_rest (self->data, error);
      return;
    }

  while (self->funcs->pull_rest (self->data, &input))
    {
      AfrpcPoolJob *job;

      input.args = g_variant_take_ref (input.args);
      job = make_job (self, &input);
      job->place.number = number;
      afrpc_pool_entry_add_rest (self->core, job);
      input = (AfrpcMapInput) { 0 };
    }
}

/* A worker runs one of a parcel for a moment: it is left with that. Whoever waits is told in this turn. */
void
afrpc_pool_map_cut (AfrpcPoolJob *job)
{
  AfrpcPoolMap *self = job->map;
  g_autoptr(GBytes) saved = NULL;
  guint64 n_begun;

  afrpc_pool_job_set_parcel (job, FALSE);
  if (self->pool == NULL || !afrpc_peer_cut (job->member->peer, &job->pending))
    return;

  saved = afrpc_peer_get_parts (job->member->peer, &job->pending, &n_begun);
  self->core->n_acts++;
  self->funcs->cut (self->data, job->call->user_data, job->call, n_begun, saved);
  call_rest (self, job->place.number);
}

/* A call has its outcome. @number: of its job */
void
afrpc_pool_map_settled (AfrpcPoolMap *self,
                        AfrpcCall    *call,
                        guint64       number)
{
  g_queue_unlink (&self->calls, &call->link);
  call->link = (GList) { 0 };
  /* What has arrived of a parcel is not lost to a cancel that comes after it. */
  if (call->n_parts > 0 && call->value != NULL)
    afrpc_call_outrun_cancel (call);
  afrpc_call_complete (call);
  afrpc_call_tell_waits (call, FALSE);
  self->funcs->sort (self->data, call->user_data, call);
  call_rest (self, number);
  if (--self->n_under_way == 0)
    map_unref (self);
}

/* Whether there is something to take. */
gboolean
afrpc_pool_map_has_results (AfrpcPoolMap *self)
{
  return self->funcs->has_news (self->data);
}

/* Whether there is something to take, or the end. */
gboolean
afrpc_pool_map_has_news (AfrpcPoolMap *self)
{
  return afrpc_pool_map_has_results (self) ||
         (self->is_exhausted && !self->is_pulling && self->calls.length == 0);
}

/* Returns: (transfer full) (nullable): a call that has its outcome, for afrpc_call_release (); NULL: there is none now, or who
 * has made the map takes them himself */
AfrpcCall *
afrpc_pool_map_take (AfrpcPoolMap *self)
{
  return self->funcs->take != NULL ? self->funcs->take (self->data) : NULL;
}

/* All maps of a pool */

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

void
afrpc_pool_maps_feed (AfrpcPoolCore *core)
{
  g_autoptr(GPtrArray) maps = g_ptr_array_new_with_free_func ((GDestroyNotify) map_unref);

  for (GList *l = core->maps.head; l != NULL; l = l->next)
    {
      AfrpcPoolMap *map = l->data;

      /* One that was never asked for anything has not begun. */
      if (!map->is_pulling && (map->n_pulled > 0 || map->is_stalled) && wants_more (map) &&
          (!map->is_stalled || has_room (map, 0)))
        g_ptr_array_add (maps, map_ref (map));
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
      map_ref (map);
      afrpc_pool_map_give_waiter (map, waiter);
      map_unref (map);
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
  if (core->decided != NULL)
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
