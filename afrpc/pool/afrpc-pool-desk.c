/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The desk: where jobs come, wait, and get a member. Every job takes the same way: into the queue, and out of it to the
 * member that has least to do; or to the one that its key is tied to, for which it waits by itself. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include "afrpc-error.h"
#include "peer/afrpc-slice.h"
#include "peer/afrpc-task.h"

#define MOMENT_US (5 * 1000) /* what runs longer holds up what waits behind it */

/* Waiting */

static void
set_timer (AfrpcPoolCore *self,
           AfrpcPoolJob  *job)
{
  if (job->deadline == 0)
    return;

  g_hash_table_insert (self->limited, &job->id, job);
  afrpc_deadlines_add (&self->deadlines, job->deadline, job->id, g_hash_table_size (self->limited));
  afrpc_pool_core_want_timer (self, job->deadline);
}

static void
enqueue (AfrpcPoolCore  *self,
         AfrpcPoolQueue *queue,
         AfrpcPoolJob   *job)
{
  afrpc_pool_queue_push (queue, &job->place);
  self->n_acts++;
  if (queue != &self->queue)
    self->n_waiting++;
  else if (job->tie != NULL)
    job->tie->n_common++;
}

static void
dequeue (AfrpcPoolCore *self,
         AfrpcPoolJob  *job)
{
  if (job->place.queue != &self->queue)
    self->n_waiting--;
  else if (job->tie != NULL)
    job->tie->n_common--;
  afrpc_pool_queue_remove (&job->place);
}

/* It begins to wait, for any member. */
static void
line_up (AfrpcPoolCore *self,
         AfrpcPoolJob  *job)
{
  if (job->place.size == 0)
    job->place.size = g_variant_get_size (job->args);
  set_timer (self, job);
  enqueue (self, &self->queue, job);
}

static AfrpcPoolJob *
peek (AfrpcPoolQueue *queue)
{
  AfrpcPoolPlace *place = afrpc_pool_queue_peek (queue);

  return place != NULL ? place->link.data : NULL;
}

/* A worker's death is on its account: until it has its outcome, nobody else is to die of it. */
static gboolean
has_to_be_alone (const AfrpcPoolJob *job)
{
  return job->n_deaths > 0;
}

/* Giving */

/* Returns: what is left of its time in milliseconds, 0 if it has no limit, -1 if its time is over. */
static gint64
get_time_left (const AfrpcPoolJob *job)
{
  gint64 left;

  if (job->deadline == 0)
    return 0;

  left = job->deadline - g_get_monotonic_time ();

  return left <= 0 ? -1 : MIN ((left + 999) / 1000, G_MAXUINT);
}

/* It does not wait any more. */
static void
forget_deadline (AfrpcPoolCore *self,
                 AfrpcPoolJob  *job)
{
  if (job->deadline != 0)
    g_hash_table_remove (self->limited, &job->id);
}

static GError *
new_timeout (const AfrpcPoolJob *job)
{
  return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "no worker had begun the call%s when its time limit had passed",
                      job->begun != AFRPC_STARTED_NO ? " again" : "");
}

/* Whether it gets no more than what it has: it has had as many as there may be, or asks for no more. Those that have begun
 * together do not end together. */
static gboolean
has_had_enough (AfrpcPoolCore   *self,
                AfrpcPoolMember *member)
{
  const guint max_calls = self->config.max_calls;

  return (max_calls > 0 && member->n_calls >= max_calls - member->spread % (max_calls / 8 + 1)) ||
         afrpc_peer_is_retired (member->peer);
}

/* @job is in a queue, or has just come; its reference becomes the worker's. A serialiser may do anything meanwhile. FALSE: its
 * time is over, and it fails; so may very many others. */
static gboolean
give (AfrpcPoolCore   *self,
      AfrpcPoolJob    *job,
      AfrpcPoolMember *member)
{
  const AfrpcPending *outer = &job->call->pending;
  const gint64 left = get_time_left (job);

  if (job->place.queue != NULL)
    {
      dequeue (self, job);
      forget_deadline (self, job);
    }
  if (left < 0)
    {
      if (member->alone == job)
        member->alone = NULL;
      afrpc_pool_member_look (member);
      afrpc_pool_job_fail (job, new_timeout (job));
      return FALSE;
    }

  if (G_UNLIKELY (job->call->n_parts > 0) && !afrpc_pool_map_fits (job->map, member))
    {
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
  afrpc_pool_job_set_parcel (job, job->call->n_parts > 1);
  if (member->given.length == 1)
    member->current_since = self->now;
  if (G_UNLIKELY (job->chunk != NULL))
    afrpc_pool_map_enter_chunk (job);
  job->pending.is_awaited = outer->is_awaited;
  job->pending.execution_timeout_ms = outer->execution_timeout_ms;
  afrpc_call_lend_process (job->call, member->process);
  if (has_to_be_alone (job))
    member->alone = job;
  member->n_calls++;
  if (G_UNLIKELY (self->config.max_memory_growth > 0))
    afrpc_pool_memory_note (self);
  afrpc_proxy_give (member->proxy, job->args, job->call->options, left, &job->pending);
  if (has_had_enough (self, member))
    afrpc_pool_staff_renew (self, member);
  else
    afrpc_pool_member_look (member);
  afrpc_pool_member_unref (member);

  return TRUE;
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
  guint n = afrpc_pool_map_begin_chunk (map, member, &chunk);
  gboolean is_in_time;

  afrpc_pool_member_ref (member);
  for (;;)
    {
      job->chunk = chunk;
      is_in_time = give (self, job, member);
      if (!is_in_time || --n == 0 || member->core == NULL || !afrpc_pool_member_is_live (member) || member->alone != NULL)
        break;
      job = peek (&self->queue);
      if (job == NULL || job->map != map || job->tie != NULL || has_to_be_alone (job) || job->call->n_parts > 0)
        break;
    }
  afrpc_pool_map_end_chunk (chunk);
  afrpc_pool_member_unref (member);

  return is_in_time;
}

/* The job leaves the common queue to wait for @member. */
static void
wait_for (AfrpcPoolCore   *self,
          AfrpcPoolJob    *job,
          AfrpcPoolMember *member)
{
  dequeue (self, job);
  enqueue (self, &member->waiting, job);
}

/* One that finishes what it has may have earlier ones of the same key. */
static gboolean
is_tied (const AfrpcPoolJob *job)
{
  return job->tie != NULL && job->tie->member != NULL && job->tie->member->state <= AFRPC_POOL_MEMBER_RETIRING;
}

/* Whether @member may get @job, which waits for it, now. */
static gboolean
can_get (AfrpcPoolMember *member,
         AfrpcPoolJob    *job)
{
  if (member->alone != NULL)
    return member->alone == job && job->member == NULL && afrpc_peer_get_n_owed (member->peer) == 0 &&
           afrpc_pool_member_is_live (member);

  return member->seat.taken;
}

/* One that has to be alone gets a member that has nothing, or has one wait until it has nothing. FALSE: its time is over. */
static gboolean
give_alone (AfrpcPoolCore   *self,
            AfrpcPoolJob    *job,
            AfrpcPoolMember *member)
{
  if (afrpc_peer_get_n_owed (member->peer) == 0)
    return give (self, job, member);

  if (job->place.queue == &self->queue)
    wait_for (self, job, member);
  member->alone = job;
  afrpc_pool_member_look (member);

  return TRUE;
}

/* The member that has room gets the one that comes first of those that it may have. FALSE: the time of one is over. */
static gboolean
give_next (AfrpcPoolCore   *self,
           AfrpcPoolMember *member,
           AfrpcPoolJob    *common) /* (nullable) */
{
  AfrpcPoolJob *job = peek (&member->waiting);

  if (job == NULL || (common != NULL && afrpc_pool_place_is_before (&common->place, &job->place)))
    job = common;
  if (job->tie != NULL && job->tie->member != member)
    afrpc_pool_tie_bind (job->tie, member);
  if (has_to_be_alone (job))
    return give_alone (self, job, member);
  if (G_UNLIKELY (job->map != NULL) && job->tie == NULL && job->place.queue == &self->queue && job->call->n_parts == 0)
    return give_chunk (self, job, member);

  return give (self, job, member);
}

/* Nobody waits for who gets no more, from the moment on in which those that come later do not either. */
void
afrpc_pool_desk_dismiss (AfrpcPoolCore   *self,
                         AfrpcPoolMember *member)
{
  AfrpcPoolJob *job;

  while ((job = peek (&member->waiting)) != NULL)
    {
      dequeue (self, job);
      enqueue (self, &self->queue, job);
    }
  member->alone = NULL;
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

/* Those that wait for this member, and for nobody else. */
void
afrpc_pool_desk_serve (AfrpcPoolCore   *self,
                       AfrpcPoolMember *member)
{
  guint n_expired = 0;
  AfrpcPoolJob *job;

  if (G_LIKELY (member->waiting.n == 0) || self->doom != NULL || !afrpc_pool_member_is_live (member))
    return;

  while ((job = member->alone != NULL ? member->alone : peek (&member->waiting)) != NULL && can_get (member, job))
    {
      AfrpcPoolJob *common = peek (&self->queue);

      /* Its turn comes with those that anybody may have. */
      if (member->alone == NULL && common != NULL && !is_tied (common) &&
          afrpc_pool_place_is_before (&common->place, &job->place))
        break;
      if (!(member->alone == job ? give (self, job, member) : give_next (self, member, NULL)) &&
          !may_expire (self, &n_expired))
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

/* The common queue: whoever comes first in it, until nobody has room. */
static void
serve_common (AfrpcPoolCore *self)
{
  guint n_expired = 0;
  AfrpcPoolJob *job;

  while ((job = peek (&self->queue)) != NULL)
    {
      AfrpcPoolMember *member;

      if (is_tied (job))
        {
          AfrpcPoolMember *tied = job->tie->member;

          wait_for (self, job, tied);
          afrpc_pool_desk_serve (self, tied);
          continue;
        }

      member = choose (self);
      if (member == NULL)
        break;
      if (!give_next (self, member, job) && !may_expire (self, &n_expired))
        break;
    }
}

/* Whether jobs wait behind others in workers that run one at a time, and somebody else could have them. */
static inline gboolean
has_others (const AfrpcPoolCore *self)
{
  return self->config.backend == AFRPC_BACKEND_SYNC && self->queue.n == 0 &&
         self->n_given > self->n_members[AFRPC_POOL_MEMBER_BUSY] &&
         (self->n_members[AFRPC_POOL_MEMBER_IDLE] > 0 || afrpc_pool_staff_may_grow (self));
}

/* Or whether some have parcels, which may turn out to take long. */
static inline gboolean
has_to_watch (const AfrpcPoolCore *self)
{
  return self->n_parcels > 0 || has_others (self);
}

static void
watch_later (AfrpcPoolCore *self,
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
afrpc_pool_desk_watch (AfrpcPoolCore *self,
                       gint64         now)
{
  self->watch_at = 0;
  if (!has_to_watch (self) || self->doom != NULL)
    return;

  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];
      AfrpcPoolJob *first = g_queue_peek_head (&member->given);

      if (first == NULL || member->state != AFRPC_POOL_MEMBER_BUSY)
        continue;
      if (first->is_parcel)
        look_at_parcel (member, first);
      if (member->given.length > 1 && member->first_seen == first->id && has_others (self))
        take_back (member);
      member->first_seen = first->id;
    }
  watch_later (self, now);
}

/* Whoever waits, for any member or for a certain one, gets it if it has room. */
static G_NO_INLINE void
serve_queue (AfrpcPoolCore *self)
{
  if (self->doom != NULL)
    return;

  serve_common (self);
  /* Those that have room left have it for who waits for them, and had to let others go first. */
  for (guint i = 0; self->queue.n == 0 && self->n_waiting > 0 && i < self->members->len; i++)
    afrpc_pool_desk_serve (self, self->members->pdata[i]);
}

/* Sees to what may be needed soon, with those calls that wait, and those that members have. */
static inline void
look_ahead (AfrpcPoolCore *self)
{
  if (self->watch_at == 0 && has_to_watch (self))
    watch_later (self, g_get_monotonic_time ());
  if (self->queue.n > 0 || self->busy_since != 0 || self->config.idle_workers > 0)
    afrpc_pool_staff_update (self);
}

/* Does what can be done now. */
void
afrpc_pool_desk_pump (AfrpcPoolCore *self)
{
  if (self->queue.n > 0)
    serve_queue (self);
  if (G_UNLIKELY (self->room_tasks.length > 0))
    afrpc_pool_desk_tell_room (self);
  if (G_UNLIKELY (self->n_stalled > 0))
    afrpc_pool_maps_feed (self);
  look_ahead (self);
  if (self->state != AFRPC_POOL_OPEN)
    afrpc_pool_core_wind_up (self);
}

/* Coming, and leaving */

/* Whether nobody waits, and somebody has room. */
static inline gboolean
is_free (const AfrpcPoolCore *self)
{
  return self->bench.n > 0 && self->queue.n == 0;
}

/* Whether another call may wait, with so many bytes of arguments. */
gboolean
afrpc_pool_desk_has_room (AfrpcPoolCore *self,
                          gsize          size)
{
  if (is_free (self))
    return TRUE;
  if (self->queue.n + self->n_waiting >= self->config.max_calls_queued)
    return FALSE;

  return self->queue.n == 0 || self->queue.size + size <= self->config.max_bytes_queued;
}

/* Returns: (transfer full) (nullable): why the call cannot be made */
static GError *
check (AfrpcPoolCore *self,
       AfrpcPoolJob  *job)
{
  if (self->failure != NULL)
    return g_error_copy (self->failure);
  if (self->state != AFRPC_POOL_OPEN)
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the pool is closed");
  if (afrpc_call_is_cancelled (job->call))
    return g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled");
  if (is_free (self))
    return NULL;

  job->place.size = g_variant_get_size (job->args);
  if (!afrpc_pool_desk_has_room (self, job->place.size))
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_BUSY, "%u calls with %" G_GUINT64_FORMAT " bytes wait for a worker",
                        self->queue.n + self->n_waiting, self->queue.size);

  return NULL;
}

/* A new one has come. FALSE: it has failed, and the reference is taken. */
static gboolean
admit (AfrpcPoolCore *self,
       AfrpcPoolJob  *job)
{
  const AfrpcCallOptions *options = job->call->options;
  GError *error = check (self, job);
  guint timeout_ms = self->config.call_timeout_ms;

  afrpc_pool_core_read_clock (self);
  job->since = self->now;
  self->figures.n_calls++;
  self->n_jobs++;
  if (G_UNLIKELY (error != NULL))
    {
      afrpc_pool_job_fail (job, error);
      return FALSE;
    }

  if (options != NULL && options->timeout_ms >= 0)
    timeout_ms = options->timeout_ms;
  if (timeout_ms > 0)
    job->deadline = self->now + (gint64) timeout_ms * 1000;
  if (options != NULL && options->affinity != NULL)
    job->tie = afrpc_pool_tie_get (self, options->affinity);

  return TRUE;
}

/* A new one, which gets its turn when somebody pumps. Takes the reference. */
void
afrpc_pool_desk_add (AfrpcPoolCore *self,
                     AfrpcPoolJob  *job)
{
  if (admit (self, job))
    line_up (self, job);
}

/* A new one. Takes the reference. */
void
afrpc_pool_desk_enter (AfrpcPoolCore *self,
                       AfrpcPoolJob  *job)
{
  AfrpcPoolMember *member;

  if (!admit (self, job))
    {
      afrpc_pool_desk_pump (self);
      return;
    }

  /* Where nobody waits, it need not do so either. Whoever seemed to have room may turn out to get no more. */
  member = is_free (self) && self->n_waiting == 0 && job->tie == NULL ? choose (self) : NULL;
  if (member != NULL)
    {
      give (self, job, member);
      look_ahead (self);
    }
  else
    {
      line_up (self, job);
      afrpc_pool_desk_pump (self);
    }
}

/* One that goes on with what another has begun, in whose order it waits: there is room for it. Takes the reference. */
void
afrpc_pool_desk_add_rest (AfrpcPoolCore *self,
                          AfrpcPoolJob  *job)
{
  afrpc_pool_core_catch_up (self);
  job->since = self->now;
  self->figures.n_calls++;
  self->n_jobs++;
  if (self->failure != NULL)
    afrpc_pool_job_fail (job, g_error_copy (self->failure));
  else if (self->state == AFRPC_POOL_KILLED)
    afrpc_pool_job_fail (job, afrpc_pool_core_new_killed_error (self));
  else
    line_up (self, job);
}

/* One whose worker is gone: it goes where it was. Takes the reference. */
void
afrpc_pool_desk_return (AfrpcPoolCore *self,
                        AfrpcPoolJob  *job)
{
  job->since = self->now;
  line_up (self, job);
}

/* It has its outcome. Keeps the reference. */
void
afrpc_pool_desk_leave (AfrpcPoolJob *job)
{
  AfrpcPoolCore *self = job->core;
  AfrpcPoolTie *tie = g_steal_pointer (&job->tie);

  self->n_jobs--;
  if (tie != NULL)
    afrpc_pool_tie_release (self, tie);
}

/* One that waits is given up. @error: (transfer full) */
void
afrpc_pool_desk_withdraw (AfrpcPoolJob *job,
                          GError       *error)
{
  AfrpcPoolCore *self = job->core;

  if (job->place.queue != NULL)
    {
      for (guint i = 0; job->place.queue != &self->queue && has_to_be_alone (job) && i < self->members->len; i++)
        {
          AfrpcPoolMember *member = self->members->pdata[i];

          if (member->alone == job)
            {
              member->alone = NULL;
              afrpc_pool_member_look (member);
            }
        }
      dequeue (self, job);
    }
  forget_deadline (self, job);
  self->n_acts++;
  afrpc_pool_job_fail (job, error);
}

static gboolean
is_waiting_cb (guint64  id,
               gpointer data)
{
  AfrpcPoolCore *self = data;

  return g_hash_table_contains (self->limited, &id);
}

void
afrpc_pool_desk_init (AfrpcPoolCore *self)
{
  self->limited = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->ties = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) afrpc_pool_tie_free);
  afrpc_deadlines_init (&self->deadlines, is_waiting_cb, self);
  afrpc_pool_bench_init (&self->bench);
}

void
afrpc_pool_desk_clear (AfrpcPoolCore *self)
{
  afrpc_deadlines_clear (&self->deadlines);
  g_clear_error (&self->doom);
  g_clear_pointer (&self->limited, g_hash_table_unref);
  g_clear_pointer (&self->ties, g_hash_table_unref);
  afrpc_pool_queue_clear (&self->queue);
  afrpc_pool_bench_clear (&self->bench);
}

/* Those that have waited too long. */
void
afrpc_pool_desk_expire (AfrpcPoolCore *self,
                        gint64         now)
{
  AfrpcSlice slice = { 0 };
  guint64 id;

  while (afrpc_deadlines_pop (&self->deadlines, now, &id))
    {
      AfrpcPoolJob *job = g_hash_table_lookup (self->limited, &id);

      afrpc_pool_desk_withdraw (job, new_timeout (job));
      if (afrpc_slice_step (&slice))
        break;
    }
  if (self->deadlines.n > 0)
    afrpc_pool_core_want_timer (self, afrpc_deadlines_next (&self->deadlines));
}

/* Those that wait in @queue fail. FALSE: the slice is over, and some are left. */
static gboolean
fail_queue (AfrpcPoolCore  *self,
            AfrpcPoolQueue *queue,
            AfrpcSlice     *slice)
{
  AfrpcPoolJob *job;

  while ((job = peek (queue)) != NULL)
    {
      afrpc_pool_desk_withdraw (job, g_error_copy (self->doom));
      if (afrpc_slice_step (slice))
        return FALSE;
    }

  return TRUE;
}

/* Of those that are doomed, as many fail as a slice has room for: there may be very many. */
void
afrpc_pool_desk_fail_some (AfrpcPoolCore *self)
{
  AfrpcSlice slice = { 0 };
  gboolean is_done;

  if (self->doom == NULL)
    return;

  is_done = fail_queue (self, &self->queue, &slice);
  for (guint i = 0; is_done && i < self->members->len; i++)
    is_done = fail_queue (self, &((AfrpcPoolMember *) self->members->pdata[i])->waiting, &slice);
  if (is_done)
    g_clear_error (&self->doom);
  else
    afrpc_pool_core_want_timer (self, 0);
}

/* All that wait fail with @error, and no member gets any of them. */
void
afrpc_pool_desk_doom (AfrpcPoolCore *self,
                      const GError  *error)
{
  if (self->doom == NULL)
    self->doom = g_error_copy (error);
  afrpc_pool_desk_fail_some (self);
}

/* Nobody is told anything any more. */
void
afrpc_pool_desk_abandon (AfrpcPoolCore *self)
{
  AfrpcPoolJob *job;

  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      while ((job = peek (&member->waiting)) != NULL)
        {
          dequeue (self, job);
          enqueue (self, &self->queue, job);
        }
    }
  while ((job = peek (&self->queue)) != NULL)
    {
      dequeue (self, job);
      forget_deadline (self, job);
      afrpc_pool_job_abandon (job);
      afrpc_pool_job_unref (job);
    }
}

/* Those that wait for room hear of it: no more of them than there is room for. */
void
afrpc_pool_desk_tell_room (AfrpcPoolCore *self)
{
  const gboolean is_open = self->state == AFRPC_POOL_OPEN && self->failure == NULL;
  const guint n_queued = self->queue.n + self->n_waiting;
  guint n = !is_open ? G_MAXUINT : n_queued < self->config.max_calls_queued ? self->config.max_calls_queued - n_queued : 0;

  for (; n > 0 && self->room_tasks.length > 0 && (!is_open || afrpc_pool_desk_has_room (self, 0)); n--)
    {
      g_autoptr(GTask) task = g_queue_pop_head (&self->room_tasks);

      afrpc_task_unwatch (task);
      if (self->failure != NULL)
        g_task_return_error (task, g_error_copy (self->failure));
      else if (!is_open)
        g_task_return_new_error (task, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the pool is closed");
      else
        g_task_return_boolean (task, TRUE);
    }
}
