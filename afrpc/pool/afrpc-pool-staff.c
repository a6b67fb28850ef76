/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The staff: how many workers there are, made from templates as they are needed, and ended when they are not. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"
#include "pool/afrpc-pool-line.h"

#include "os/afrpc-cpu-quota.h"
#include "os/afrpc-processors.h"

#define SLOW_START_US (500 * 1000) /* who waits for longer than that for a worker to start gets one from another template */
#define START_SLICE 16             /* so many are started in a turn of the main loop, which is not held up: the rest in the next */

/* How many */

/* Returns: how many processors the program may use: by its affinity, and its control groups */
guint
afrpc_pool_staff_get_default_max (void)
{
  return afrpc_cpu_quota_limit ("/", afrpc_processors_count ());
}

/* Starting */

static AfrpcPoolMember *
make (AfrpcPoolCore     *self,
      AfrpcPoolTemplate *template)
{
  /* Who asks for a call may not have pushed it. */
  GMainContext *context = afrpc_peer_get_main_context (self->anchor);
  AfrpcPoolMember *member;

  g_main_context_push_thread_default (context);
  self->is_making = TRUE;
  member = afrpc_pool_template_make_member (template, self);
  self->is_making = FALSE;
  g_ptr_array_add (self->members, member);
  g_main_context_pop_thread_default (context);
  self->n_acts++;

  return member;
}

static void
begin (AfrpcPoolCore   *self,
       AfrpcPoolMember *member)
{
  afrpc_pool_member_ref (member);
  afrpc_pool_settings_give (self, member);
  afrpc_pool_member_look (member);
  afrpc_pool_member_unref (member);
}

static void
start (AfrpcPoolCore     *self,
       AfrpcPoolTemplate *template,
       gint64             now)
{
  self->last_start = now;
  begin (self, make (self, template));
}

/* Whether there may be another one of these. Those before it may run for ever what was given up. */
gboolean
afrpc_pool_staff_may_start_aside (const AfrpcPoolCore *self)
{
  return self->failure == NULL && self->state < AFRPC_POOL_KILLED && self->n_asides <= self->config.max_workers;
}

/* One more than there may be, for those that have to be alone: otherwise they would wait until somebody has nothing, which may
 * never be so, or others would have to wait for that. FALSE: not now. */
gboolean
afrpc_pool_staff_start_aside (AfrpcPoolCore *self,
                              gint64         now)
{
  AfrpcPoolTemplate *template = afrpc_pool_template_choose_aside (self, now);

  if (template == NULL || !afrpc_pool_staff_may_start_aside (self))
    return FALSE;

  self->aside = make (self, template);
  afrpc_pool_member_set_aside (self->aside);
  self->aside_has_room = FALSE;
  begin (self, self->aside);

  return TRUE;
}

/* Whether a worker may be started for a job that waits. All of them have to be busy for a while before. */
static gboolean
is_time (AfrpcPoolCore *self,
         gint64         now)
{
  const gint64 at = self->busy_since + (gint64) self->config.start_delay_ms * 1000;

  if (afrpc_pool_staff_count (self) == 0)
    return TRUE;
  if (self->busy_since == 0)
    {
      self->busy_since = now;
      if (self->config.start_delay_ms > 0)
        {
          afrpc_pool_core_want_timer (self, now + (gint64) self->config.start_delay_ms * 1000);
          return FALSE;
        }
    }
  else if (now < at)
    {
      afrpc_pool_core_want_timer (self, at);
      return FALSE;
    }

  return TRUE;
}

/* Whether those that are starting take so long that another template gets its turn. */
static gboolean
is_late (AfrpcPoolCore *self,
         gint64         now)
{
  const gint64 at = self->last_start + MAX ((gint64) self->config.start_delay_ms * 1000, SLOW_START_US);

  if (now >= at)
    return TRUE;

  afrpc_pool_core_want_timer (self, at);

  return FALSE;
}

/* Returns: how many there are, with those that finish what they have: they are replaced before, but not without bound.
 * Those that are more than there may be have a bound of their own. */
static guint
count_all (const AfrpcPoolCore *self)
{
  return self->n_members[AFRPC_POOL_MEMBER_STARTING] + self->n_members[AFRPC_POOL_MEMBER_IDLE] +
         self->n_members[AFRPC_POOL_MEMBER_BUSY] + self->n_members[AFRPC_POOL_MEMBER_RETIRING] +
         self->n_members[AFRPC_POOL_MEMBER_ENDING] - self->n_asides;
}

/* If each worker has one that has to be alone, and there may be no more, one of them is left to that, and another one goes on
 * with the others: there may be fewer of them than before. FALSE: nobody leaves. */
static gboolean
leave_one (AfrpcPoolCore *self)
{
  if (self->config.backend == AFRPC_BACKEND_SYNC || self->n_alone == 0 || self->n_alone < afrpc_pool_staff_count (self) ||
      (self->queue.n == 0 && self->tied.n == 0))
    return FALSE;

  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      if (member->alone != NULL && !member->is_aside && afrpc_pool_member_is_live (member))
        {
          afrpc_pool_staff_renew (self, member);
          return TRUE;
        }
    }

  return FALSE;
}

/* Starts workers if there have to be more. */
void
afrpc_pool_staff_update (AfrpcPoolCore *self)
{
  const AfrpcPoolConfig *config = &self->config;
  /* Each that has to be alone takes all the room of one. All of a key go to one. */
  const guint64 n_wanted = self->queue.n + self->tied.n + (guint64) afrpc_pool_get_n_lone (self) * self->load_max;
  guint n_started = 0;
  gint64 now = 0;

  if (n_wanted == 0)
    self->busy_since = 0;
  if (n_wanted == 0 && (config->idle_workers == 0 || self->state != AFRPC_POOL_OPEN))
    return;
  if (self->failure != NULL || self->state >= AFRPC_POOL_KILLED || self->starts_later || afrpc_pool_core_is_left (self))
    return;

  for (;;)
    {
      const guint n_starting = self->n_members[AFRPC_POOL_MEMBER_STARTING];
      const gboolean for_idle = self->state == AFRPC_POOL_OPEN &&
                                n_starting + afrpc_pool_staff_count_in (self, AFRPC_POOL_MEMBER_IDLE) < config->idle_workers;
      const gboolean for_job = n_wanted > self->starting_room;
      const gboolean for_late = n_wanted > 0 && self->templates->len > 1;
      AfrpcPoolTemplate *template;
      gint64 at;

      if (count_all (self) >= 2 * config->max_workers || (!for_idle && !for_job && !for_late) ||
          (!afrpc_pool_staff_may_grow (self) && !leave_one (self)))
        return;
      if (now == 0)
        now = g_get_monotonic_time ();
      else if (++n_started == START_SLICE)
        {
          self->starts_later = TRUE;
          afrpc_pool_core_want_timer (self, now);
          return;
        }
      template = afrpc_pool_template_choose (self, now, !for_idle && !for_job, &at);
      if (template == NULL)
        {
          if (at != 0)
            afrpc_pool_core_want_timer (self, at);
          return;
        }
      if (!for_idle && !(for_job ? self->n_to_replace > 0 || is_time (self, now) : is_late (self, now)))
        return;

      if (self->n_to_replace > 0)
        self->n_to_replace--;
      start (self, template, now);
      if (!for_idle)
        self->busy_since = config->start_delay_ms > 0 ? now : self->busy_since;
    }
}

/* There are not going to be workers any more: nobody waits for one. */
static void
give_up (AfrpcPoolCore *self,
         const GError  *error)
{
  self->failure = g_error_copy (error);
  g_debug ("no more workers: %s", error->message);
  afrpc_pool_line_doom (self, self->failure);
  self->has_to_notify = TRUE;
  afrpc_pool_core_want_timer (self, 0);
}

/* Templates */

/* They, or their numbers, are others than before. */
static void
count_loads (AfrpcPoolCore *self)
{
  self->load_max = 1;
  for (guint i = 0; i < self->templates->len; i++)
    self->load_max = MAX (self->load_max, afrpc_pool_template_get_load (self->templates->pdata[i], self));
  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      if (afrpc_pool_member_is_live (member) && !member->is_aside)
        afrpc_pool_member_set_load (member, afrpc_pool_template_get_load (member->template, self));
    }
}

/* The first one, when the pool is made. */
void
afrpc_pool_staff_begin (AfrpcPoolCore *self,
                        AfrpcProcess  *process)
{
  afrpc_pool_template_add (self, process);
  count_loads (self);
  afrpc_pool_staff_update (self);
}

/* There are no more workers. */
void
afrpc_pool_staff_clear (AfrpcPoolCore *self)
{
  while (self->templates->len > 0)
    afrpc_pool_template_remove (self, self->templates->pdata[self->templates->len - 1]);
}

/* One that gets no more calls has somebody else take its place when there are some. */
void
afrpc_pool_staff_replace (AfrpcPoolCore *self)
{
  self->figures.n_workers_renewed++;
  self->n_to_replace = MIN (self->n_to_replace + 1, self->config.max_workers);
}

/* It gets no more calls, and is replaced. */
void
afrpc_pool_staff_renew (AfrpcPoolCore   *self,
                        AfrpcPoolMember *member)
{
  if (!afrpc_pool_member_is_live (member))
    return;

  if (!member->is_aside)
    afrpc_pool_staff_replace (self);
  afrpc_pool_member_end (member);
}

/* Whatever has failed may work now. */
static void
revive (AfrpcPoolCore *self)
{
  if (self->failure == NULL)
    return;

  /* Those that waited then have failed with it. */
  while (self->doom != NULL)
    afrpc_pool_line_fail_some (self);
  g_clear_error (&self->failure);
  self->has_to_notify = TRUE;
  afrpc_pool_core_want_timer (self, 0);
}

/* Those that wait for a certain member get it if it has room now, and then those that wait for any get one. Who waits for
 * a member that finishes what it has goes on to wait while that has calls of the same key. */
static void
serve_all (AfrpcPoolCore *self)
{
  afrpc_pool_core_read_clock (self);
  for (guint i = 0; i < self->members->len; i++)
    afrpc_pool_desk_serve (self, self->members->pdata[i]);
  afrpc_pool_desk_pump (self);
}

/* Nobody goes on that was made from @template, or from any if that is %NULL. */
static void
renew_all (AfrpcPoolCore           *self,
           const AfrpcPoolTemplate *template)
{
  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      if (template == NULL || member->template == template)
        afrpc_pool_staff_renew (self, member);
    }
}

/* Workers are renewed: those of the template that was added as @process; all, if that is %NULL; and those of the first one,
 * which is @process from now on, otherwise. */
void
afrpc_pool_staff_refresh (AfrpcPoolCore *self,
                          AfrpcProcess  *process)
{
  AfrpcPoolTemplate *template = NULL;

  if (process != NULL)
    {
      template = afrpc_pool_template_find (self, process);
      if (template == NULL)
        template = self->templates->pdata[0];
      afrpc_pool_template_reset (template, process);
    }
  else
    for (guint i = 0; i < self->templates->len; i++)
      afrpc_pool_template_reset (self->templates->pdata[i], NULL);
  revive (self);
  renew_all (self, template);
  serve_all (self);
}

/* Another template; or other numbers for one that there is. */
void
afrpc_pool_staff_add (AfrpcPoolCore *self,
                      AfrpcProcess  *process,
                      guint          max_workers,
                      guint          load,
                      guint          weight)
{
  AfrpcPoolTemplate *template = afrpc_pool_template_find (self, process);

  if (template == NULL)
    {
      template = afrpc_pool_template_add (self, process);
      revive (self);
    }
  template->max_workers = max_workers;
  template->load = load;
  template->weight = MAX (weight, 1);
  afrpc_pool_staff_adapt (self);
}

/* Its workers finish what they have. There has to be another one. */
void
afrpc_pool_staff_remove (AfrpcPoolCore     *self,
                         AfrpcPoolTemplate *template)
{
  const GError *failure;

  g_assert (self->templates->len > 1);

  renew_all (self, template);
  afrpc_pool_template_remove (self, template);
  failure = afrpc_pool_template_get_common_failure (self);
  if (failure != NULL && self->failure == NULL)
    give_up (self, failure);
  afrpc_pool_staff_adapt (self);
}

/* Who is let go of first: those that have least to do, and of these the youngest, which may not be ready yet. */
static int
compare_use (gconstpointer a,
             gconstpointer b)
{
  AfrpcPoolMember *left = *(AfrpcPoolMember **) a, *right = *(AfrpcPoolMember **) b;
  const guint64 n_left = afrpc_peer_get_n_owed (left->peer), n_right = afrpc_peer_get_n_owed (right->peer);
  const guint64 use_left = n_left * right->load, use_right = n_right * left->load;

  /* Those that are others' anyhow. */
  if ((left->alone != NULL) != (right->alone != NULL) && left->core->config.backend == AFRPC_BACKEND_ASYNC)
    return left->alone != NULL ? -1 : 1;
  if (use_left != use_right)
    return use_left < use_right ? -1 : 1;

  return left->id > right->id ? -1 : 1;
}

/* If there are more than there may be, some get no more calls, and end once they have none. */
static void
shrink (AfrpcPoolCore *self)
{
  g_autoptr(GPtrArray) members = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_pool_member_unref);

  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      if (afrpc_pool_member_is_live (member) && !member->is_aside &&
          (afrpc_pool_staff_count (self) > self->config.max_workers || afrpc_pool_template_has_too_many (member->template)))
        g_ptr_array_add (members, afrpc_pool_member_ref (member));
    }
  g_ptr_array_sort (members, compare_use);

  /* First those of which there are too many of their kind: they may be enough. */
  for (guint i = 0; i < members->len; i++)
    if (afrpc_pool_template_has_too_many (((AfrpcPoolMember *) members->pdata[i])->template))
      afrpc_pool_member_end (members->pdata[i]);
  for (guint i = 0; i < members->len && afrpc_pool_staff_count (self) > self->config.max_workers; i++)
    if (afrpc_pool_member_is_live (members->pdata[i]))
      afrpc_pool_member_end (members->pdata[i]);
}

/* There may be more or fewer workers than before, with more or fewer calls. */
void
afrpc_pool_staff_adapt (AfrpcPoolCore *self)
{
  count_loads (self);
  shrink (self);
  for (guint i = 0; i < self->members->len; i++)
    afrpc_pool_member_look (self->members->pdata[i]);
  serve_all (self);
}

/* Stopping */

/* Sees who has been idle for long: whoever is found so at two ticks in a row, half of the time apart. */
void
afrpc_pool_staff_tick (AfrpcPoolCore *self,
                       gint64         now)
{
  const gint64 interval = MAX ((gint64) self->config.stop_delay_ms * 1000 / 2, 1000);
  guint n_idle = self->n_members[AFRPC_POOL_MEMBER_IDLE];

  for (guint i = self->members->len; self->tick_at != 0 && i-- > 0;)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      if (member->state != AFRPC_POOL_MEMBER_IDLE)
        continue;
      if (++member->n_idle_ticks > 2 && n_idle > self->config.idle_workers)
        {
          n_idle--;
          afrpc_pool_member_end (member);
        }
    }

  self->tick_at = n_idle > 0 && afrpc_pool_staff_count (self) > self->config.idle_workers ? now + interval : 0;
  if (self->tick_at != 0)
    afrpc_pool_core_want_timer (self, self->tick_at);
}

/* Failing */

static void
note_failure (AfrpcPoolCore   *self,
              AfrpcPoolMember *member)
{
  const GError *error = member->failure != NULL ? member->failure : afrpc_peer_get_failure (member->peer);
  const GError *failure;

  afrpc_pool_template_note_failure (member->template, member, error);
  failure = afrpc_pool_template_get_common_failure (self);
  if (self->failure == NULL && failure != NULL)
    give_up (self, error);
}

/* Some outcomes may wait to be told, and who blocks may not have decided yet what becomes of what was begun. */
static gboolean
has_served (AfrpcPoolMember *member)
{
  for (GList *l = member->given.head; l != NULL && !member->has_served; l = l->next)
    {
      const AfrpcPending *pending = &((AfrpcPoolJob *) l->data)->pending;

      member->has_served = pending->state == AFRPC_PENDING_ARRIVED ||
                           (pending->state == AFRPC_PENDING_OPEN &&
                            afrpc_peer_get_started (member->peer, pending) == AFRPC_STARTED_YES);
    }

  return member->has_served;
}

/* Whether it ended as it was to, and when. */
static gboolean
was_orderly (AfrpcPoolMember *member)
{
  const AfrpcExit *exit = afrpc_peer_get_exit (member->peer);

  return (member->is_asked_to_end || afrpc_peer_is_retired (member->peer)) && exit != NULL && afrpc_exit_is_success (exit);
}

/* A member is gone, which may not have been told yet. */
void
afrpc_pool_staff_lost (AfrpcPoolCore   *self,
                       AfrpcPoolMember *member)
{
  member->template->n_failing -= member->is_failing;
  if (was_orderly (member))
    self->figures.n_workers_ended++;
  else
    self->figures.n_workers_died++;
  if (has_served (member))
    afrpc_pool_template_note_work (member->template, member);
  else if (!member->is_asked_to_end)
    note_failure (self, member);
}
