/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A member: one worker of the pool, by a proxy. What it is doing is read from the worker itself, whenever something has
 * happened, told or not: so it is the same in the main loop and for who blocks the thread. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include "afrpc-caller-private.h"

static const char *const state_names[] = { "starting", "idle", "busy", "retiring", "ending", "gone" };

#define STEP(state) (1u << AFRPC_POOL_MEMBER_ ## state)

static const guint legal_steps[] = {
  [AFRPC_POOL_MEMBER_STARTING] = STEP (IDLE) | STEP (BUSY) | STEP (RETIRING) | STEP (ENDING) | STEP (GONE),
  [AFRPC_POOL_MEMBER_IDLE] = STEP (BUSY) | STEP (RETIRING) | STEP (ENDING) | STEP (GONE),
  [AFRPC_POOL_MEMBER_BUSY] = STEP (IDLE) | STEP (RETIRING) | STEP (ENDING) | STEP (GONE),
  [AFRPC_POOL_MEMBER_RETIRING] = STEP (ENDING) | STEP (GONE),
  [AFRPC_POOL_MEMBER_ENDING] = STEP (GONE),
  [AFRPC_POOL_MEMBER_GONE] = 0,
};

/* What it may do next: a step is legal or a mistake of ours. */
static gboolean
may_step (AfrpcPoolMemberState from,
          AfrpcPoolMemberState to)
{
  return (legal_steps[from] & 1u << to) != 0;
}

/* It is not starting any more, or not live. */
static void
count_out (AfrpcPoolMember      *self,
           AfrpcPoolMemberState  state)
{
  if (self->state == AFRPC_POOL_MEMBER_STARTING)
    {
      self->template->n_starting--;
      self->core->starting_room -= self->is_aside ? 0 : self->load;
    }
  else if (self->state <= AFRPC_POOL_MEMBER_BUSY)
    self->template->n_ready--;
  if (self->state <= AFRPC_POOL_MEMBER_BUSY && state > AFRPC_POOL_MEMBER_BUSY && !self->is_aside)
    self->template->n_live--;
}

/* It is one more than there may be, or such a one has ended. */
static void
count_aside (AfrpcPoolMember *self,
             gint             change)
{
  self->core->n_asides += change;
  self->template->n_asides += change;
}

/* It is live, and from now on one more than there may be, which leaves no room to others. */
static void
become_aside (AfrpcPoolMember *self)
{
  if (self->state == AFRPC_POOL_MEMBER_STARTING)
    self->core->starting_room -= self->load;
  self->template->n_live--;
  self->is_aside = TRUE;
  count_aside (self, 1);
}

/* Steps between idle and busy are those of every call, and are legal. */
static inline void
count_step (AfrpcPoolMember      *self,
            AfrpcPoolMemberState  state)
{
  self->core->n_members[self->state]--;
  self->core->n_members[state]++;
  self->core->n_acts++;
  self->state = state;
  self->n_idle_ticks = 0;
}

static void
set_state (AfrpcPoolMember      *self,
           AfrpcPoolMemberState  state)
{
  if (self->state == state)
    return;

  g_assert (may_step (self->state, state));
  if (state != AFRPC_POOL_MEMBER_BUSY && state != AFRPC_POOL_MEMBER_IDLE)
    g_debug ("member %d: %s, then %s", afrpc_peer_get_pid (self->peer), state_names[self->state], state_names[state]);
  /* That it is ready may come together with that it has done enough. */
  if (self->state == AFRPC_POOL_MEMBER_STARTING && state > AFRPC_POOL_MEMBER_BUSY && !self->is_asked_to_end &&
      !(afrpc_peer_is_ready (self->peer) && afrpc_peer_is_retired (self->peer)))
    {
      self->is_failing = TRUE;
      self->template->n_failing++;
    }
  if (self->state == AFRPC_POOL_MEMBER_STARTING || state > AFRPC_POOL_MEMBER_BUSY)
    count_out (self, state);
  if (self->state == AFRPC_POOL_MEMBER_STARTING && state <= AFRPC_POOL_MEMBER_BUSY)
    {
      self->template->n_ready++;
      afrpc_pool_age_begin (self);
    }
  count_step (self, state);
  if (state == AFRPC_POOL_MEMBER_GONE && self->is_aside)
    count_aside (self, -1);
  if (state == AFRPC_POOL_MEMBER_ENDING)
    afrpc_pool_ending_begin (self);
}

/* Whether what it has is waited for. That is not what it is called with first, if it never serves anybody. */
static gboolean
has_to_finish (AfrpcPoolMember *self,
               guint            load)
{
  const gboolean has_begun = self->state != AFRPC_POOL_MEMBER_STARTING || afrpc_peer_is_ready (self->peer);

  return self->n_packing > 0 || (load > 0 && (has_begun || load > self->settings.length));
}

static AfrpcPoolMemberState
find_state (AfrpcPoolMember *self,
            guint            load)
{
  if (afrpc_peer_is_over (self->peer) || self->state == AFRPC_POOL_MEMBER_GONE)
    return AFRPC_POOL_MEMBER_GONE;
  if (afrpc_peer_is_closed (self->peer) || self->was_stopped || self->is_leaving)
    return has_to_finish (self, load) && self->state != AFRPC_POOL_MEMBER_ENDING ? AFRPC_POOL_MEMBER_RETIRING
                                                                                : AFRPC_POOL_MEMBER_ENDING;
  /* What it is called with first belongs to its start. */
  if (!afrpc_peer_is_ready (self->peer) ||
      (self->state == AFRPC_POOL_MEMBER_STARTING &&
       (self->settings.length > 0 || (self->is_being_weighed && self->core->n_blocked == 0))))
    return AFRPC_POOL_MEMBER_STARTING;

  return load > 0 ? AFRPC_POOL_MEMBER_BUSY : AFRPC_POOL_MEMBER_IDLE;
}

/* Whether it has calls, or is going to get some. */
gboolean
afrpc_pool_member_is_live (const AfrpcPoolMember *self)
{
  return self->state <= AFRPC_POOL_MEMBER_BUSY;
}

/* It gets no more calls. A command does not read any more once it is told so, and so would not hear of those that are given
 * up: it is told when it has none. */
static void
leave (AfrpcPoolMember *self)
{
  self->is_leaving = TRUE;
  /* It has one by itself for as long as that takes, or runs it on: another one may be there for the others meanwhile. */
  if ((self->alone != NULL || self->is_haunted) && !self->is_aside && afrpc_pool_member_is_live (self) &&
      self->core->config.backend == AFRPC_BACKEND_ASYNC)
    {
      self->core->n_alone -= self->alone != NULL;
      become_aside (self);
    }
  /* What is being serialised for it, it gets. */
  if (self->n_packing == 0 && (!afrpc_peer_is_command (self->peer) || afrpc_peer_get_n_owed (self->peer) == 0))
    afrpc_peer_close (self->peer);
}

/* It has ended: what it had not begun goes back before anybody is told of anything, so that it keeps its order. */
static void
give_back (AfrpcPoolMember *self)
{
  GList *link, *next;

  /* Nobody else gets anything any more: they have their outcomes in turn. */
  if (self->core->state >= AFRPC_POOL_KILLED || self->core->failure != NULL)
    return;

  for (link = self->given.head; link != NULL; link = next)
    {
      next = link->next;
      afrpc_pool_job_leave_dead (link->data);
    }
}

/* Returns: where one sits that has so many calls: those that may have fewer than others are as loaded with fewer */
static inline guint
get_row (const AfrpcPoolMember *self,
         guint                  load)
{
  const guint load_max = self->core->load_max;

  return G_LIKELY (self->load == load_max) ? load : (guint) ((guint64) load * load_max / self->load);
}

/* Whether what it would get now would wait behind what was given up. */
static gboolean
is_held_up (AfrpcPoolMember *self)
{
  return self->runaways != NULL && (self->is_haunted || self->core->config.backend == AFRPC_BACKEND_SYNC) &&
         afrpc_pool_runaway_is_there (self);
}

/* Returns: (nullable): the oldest of those that a sync worker has and has not answered; what has arrived, and is not told yet, as
 * somebody blocks the thread, comes before that */
AfrpcPoolJob *
afrpc_pool_member_get_running (AfrpcPoolMember *self)
{
  guint n_left = afrpc_peer_get_n_owed (self->peer);
  AfrpcPoolJob *oldest = NULL;

  for (GList *link = self->given.tail; link != NULL && n_left > 0; link = link->prev)
    {
      AfrpcPoolJob *job = link->data;

      if (job->pending.state != AFRPC_PENDING_OPEN)
        continue;
      oldest = job;
      n_left--;
    }

  return oldest;
}

static gboolean
runs_long (AfrpcPoolMember *self)
{
  const AfrpcPoolJob *running = self->long_id != 0 ? afrpc_pool_member_get_running (self) : NULL;

  if (running == NULL || running->id != self->long_id)
    self->long_id = 0;

  return self->long_id != 0;
}

/* Whether it has not even begun what it was given. */
static gboolean
stands_still (AfrpcPoolMember *self)
{
  if (self->still_serial != 0 &&
      afrpc_peer_get_debt (self->peer, self->still_serial, AFRPC_STARTED_NO) == AFRPC_PEER_DEBT_NONE)
    self->still_serial = 0;

  return self->still_serial != 0;
}

/* A chunk of many calls counts as one. What has arrived and was not told yet is not owed any more. */
static guint
get_load (AfrpcPoolMember *self)
{
  const guint n_owed = afrpc_peer_get_n_owed (self->peer);

  return self->n_light == 0 || n_owed == 0 ? n_owed : n_owed > self->n_light ? n_owed - self->n_light : 1;
}

/* One that starts gets nothing, and who blocks nothing from one that is not read from any more. */
static gboolean
can_sit (AfrpcPoolMember      *self,
         AfrpcPoolMemberState  state)
{
  return (state == AFRPC_POOL_MEMBER_IDLE || state == AFRPC_POOL_MEMBER_BUSY) &&
         (self->core->n_blocked == 0 || !afrpc_peer_keeps_too_much (self->peer));
}

/* Whether nothing is to be thought of but how many calls it has: so it is before and after almost every call. */
static inline gboolean
is_plain (AfrpcPoolMember *self,
          guint           *load)
{
  const AfrpcPoolCore *core = self->core;
  const gboolean is_served = self->state == AFRPC_POOL_MEMBER_IDLE || self->state == AFRPC_POOL_MEMBER_BUSY;
  /* In one go: all of it is rare. */
  const guint is_odd = core->n_blocked | self->settings.length | self->n_light |
                       (guint) self->was_stopped | (guint) self->is_full | (self->long_id != 0) | (self->alone != NULL) |
                       (self->runaways != NULL) | (core->aside == self) | (self->slow_id != 0) | (self->still_serial != 0);

  return is_served && is_odd == 0 && afrpc_peer_is_at_work (self->peer, load);
}

/* Whether it has had as many as it may have, and keeps them: what waits behind another one may go to somebody else. */
static gboolean
has_had_enough (AfrpcPoolMember *self)
{
  return self->is_full && !self->is_leaving && self->n_packing == 0 && afrpc_pool_member_is_live (self) &&
         !afrpc_peer_is_closed (self->peer) &&
         (self->core->config.backend == AFRPC_BACKEND_ASYNC || afrpc_peer_get_n_owed (self->peer) <= 1);
}

/* Returns: how many calls it may have now: most of those behind a long one would only be given back */
static guint
get_load_max (const AfrpcPoolMember *self)
{
  return self->slow_id != 0 ? MIN (self->load, 2) : self->load;
}

/* Sits down according to what it has, or leaves. TRUE: others may have to do something about it. */
static inline gboolean
take_seat (AfrpcPoolMember *self,
           guint            load,
           gboolean         has_room)
{
  AfrpcPoolCore *core = self->core;
  const gboolean was_seated = self->seat.taken;
  const guint row_before = self->seat.row;

  if (has_room)
    afrpc_pool_bench_sit (&core->bench, &self->seat, get_row (self, load));
  else
    afrpc_pool_bench_leave (&core->bench, &self->seat);
  if (self->state == AFRPC_POOL_MEMBER_IDLE && core->tick_at == 0 && core->members->len > core->config.idle_workers)
    afrpc_pool_staff_tick (core, g_get_monotonic_time ());

  if (!self->seat.taken || (was_seated && self->seat.row >= row_before))
    return FALSE;

  if (G_UNLIKELY (afrpc_pool_ties_count (self) > 0))
    afrpc_pool_desk_serve_soon (self);

  return TRUE;
}

/* The same whatever it is doing. */
static G_NO_INLINE gboolean
look_closely (AfrpcPoolMember *self)
{
  AfrpcPoolCore *core = self->core;
  const AfrpcPoolMemberState before = self->state;
  AfrpcPoolMemberState state, last;
  gboolean has_room, has_released = FALSE;
  guint load;

  if (has_had_enough (self))
    {
      /* Which looks. */
      afrpc_pool_staff_renew (core, self);
      return TRUE;
    }
  /* It may end because of what it has answered. */
  if (self->settings.length > 0)
    afrpc_pool_settings_look (self);
  if (before == AFRPC_POOL_MEMBER_STARTING && core->config.max_memory_growth > 0 && afrpc_peer_is_ready (self->peer) &&
      self->settings.length == 0)
    afrpc_pool_memory_begin (self);
  load = get_load (self);
  /* It leaves, once it has those calls that it has. One that has had none gets one: it would be of no use. */
  if (!afrpc_peer_is_closed (self->peer) && (self->is_leaving ? load == 0 : afrpc_peer_is_retired (self->peer) &&
                                                                            self->n_calls > 0))
    leave (self);
  state = find_state (self, load);
  last = self->state;
  set_state (self, state);
  if (afrpc_peer_has_ended (self->peer) && !self->has_given_back)
    {
      self->has_given_back = TRUE;
      give_back (self);
    }
  /* Nobody waits for who gets no more, from the moment on in which those that come later do not either. */
  if (state > AFRPC_POOL_MEMBER_RETIRING)
    afrpc_pool_ties_break (core, self);
  else if (state == AFRPC_POOL_MEMBER_RETIRING && afrpc_pool_ties_count (self) > 0)
    has_released = afrpc_pool_ties_release (core, self);
  if (state == AFRPC_POOL_MEMBER_GONE && last != state)
    afrpc_pool_staff_lost (core, self);
  /* The outcome of the one that was alone has arrived, told or not. */
  if (self->alone != NULL && self->alone->member == self && self->alone->pending.state != AFRPC_PENDING_OPEN)
    afrpc_pool_member_set_alone (self, NULL);
  has_room = can_sit (self, state) && load < get_load_max (self) && !self->is_full && self->alone == NULL &&
             self->settings.length == 0 && !runs_long (self) && !stands_still (self) && !is_held_up (self);
  if (G_UNLIKELY (core->aside == self))
    {
      core->aside_has_room = has_room && load == 0 && self->n_packing == 0;
      /* The keys that it has had lead to somebody else from now on. */
      if (load == 0 && self->given.length == 0 && self->bond != NULL)
        {
          afrpc_pool_ties_break (core, self);
          has_released = TRUE;
        }
      has_room = FALSE;
      if (!afrpc_pool_member_is_live (self))
        core->aside = NULL;
      if (core->aside == NULL ? afrpc_pool_get_n_lone (core) > 0 : load == 0)
        afrpc_pool_core_want_at (core, &core->aside_at, AFRPC_POOL_AT_ONCE);
    }

  return take_seat (self, load, has_room) || state != before || has_released || core->aside == self;
}

/* Sees what it is doing, and whether it has room. TRUE: others may have to do something about it. */
gboolean
afrpc_pool_member_look (AfrpcPoolMember *self)
{
  AfrpcPoolMemberState before, state;
  guint load;

  if (self->core == NULL)
    return FALSE;
  if (self->core->relieved == self)
    self->core->relieved = NULL;
  if (!is_plain (self, &load))
    return look_closely (self);

  before = self->state;
  state = load > 0 ? AFRPC_POOL_MEMBER_BUSY : AFRPC_POOL_MEMBER_IDLE;
  if (state != before)
    count_step (self, state);

  return take_seat (self, load, load < self->load) || self->state != before;
}

/* It has one call less. If it goes on working, it is looked at again when its turn is over, or somebody is looked for who
 * has little to do, and not for each outcome that comes until then. */
void
afrpc_pool_member_relieve (AfrpcPoolMember *self)
{
  afrpc_pool_member_look (self);
  if (self->core != NULL && self->state == AFRPC_POOL_MEMBER_BUSY && self->seat.taken)
    self->core->relieved = self;
}

/* What is told of it */

static void
event_cb (AfrpcCaller     *caller,
          GVariant        *event,
          AfrpcProcess    *process,
          GUnixFDList     *fds,
          AfrpcPoolMember *self)
{
  g_autoptr(AfrpcPool) pool = self->core != NULL ? afrpc_weak_get (&self->core->pool) : NULL;

  if (pool != NULL)
    afrpc_caller_emit_event (AFRPC_CALLER (pool), event, process, fds);
}

static void
error_cb (AfrpcCaller     *caller,
          GError          *error,
          AfrpcPoolMember *self)
{
  g_autoptr(AfrpcPool) pool = self->core != NULL ? afrpc_weak_get (&self->core->pool) : NULL;
  g_autofree char *overstayed = NULL;
  g_autoptr(GError) own = NULL;

  if (pool == NULL)
    return;

  own = g_error_copy (error);
  overstayed = afrpc_pool_ending_describe (self);
  if (overstayed != NULL)
    g_prefix_error (&own, "%s", overstayed);
  if (self->was_stopped)
    g_prefix_error (&own, "%s", self->was_still ? "a worker did not begin its calls: "
                                                : "a call did not stop when it was given up: ");
  /* Those whom it ends are told first, all of them. */
  if (self->core->state == AFRPC_POOL_KILLED)
    g_ptr_array_add (self->core->held_errors, g_steal_pointer (&own));
  else
    afrpc_caller_emit_known_error (AFRPC_CALLER (pool), own, TRUE);
}

/* What it is called with first has failed, so that it never served anybody: its end alone does not say why. The pool may be
 * gone then. */
static void
tell_unconfigured (AfrpcPoolMember *self)
{
  g_autoptr(AfrpcPool) pool = self->failure != NULL ? afrpc_weak_get (&self->core->pool) : NULL;
  g_autofree char *name = NULL;
  g_autoptr(GError) error = NULL;

  if (pool == NULL || self->core->state == AFRPC_POOL_KILLED)
    return;

  name = afrpc_peer_describe (self->peer);
  error = g_error_copy (self->failure);
  g_prefix_error (&error, "%s: what all workers are called with has failed: ", name);
  afrpc_caller_emit_known_error (AFRPC_CALLER (pool), error, TRUE);
}

/* Whoever is told may drop the pool. */
static void
tell_end (AfrpcPoolMember *self)
{
  AfrpcExit *exit = afrpc_peer_get_exit (self->peer);
  g_autoptr(AfrpcPoolWorker) worker = g_object_ref (self->worker);

  if (exit == NULL)
    return;

  afrpc_exit_ref (exit);
  afrpc_pool_ending_tell (self);
  if (self->core != NULL)
    tell_unconfigured (self);
  if (self->core != NULL)
    afrpc_pool_emit_worker_ended (self->core, worker, exit);
  afrpc_exit_unref (exit);
}

/* Everything else has been told of it before: the outcomes of its calls, its error, its exit. */
static void
destroyed_cb (AfrpcCaller     *caller,
              AfrpcPoolMember *self)
{
  AfrpcPoolCore *core = self->core;

  if (core == NULL)
    return;

  afrpc_pool_core_ref (core);
  afrpc_pool_member_ref (self);
  afrpc_pool_core_catch_up (core);
  afrpc_pool_member_look (self);
  if (core->decided != NULL)
    afrpc_pool_maps_act (core);
  tell_end (self);
  /* It is there until then, so that the pool is not over before. */
  if (self->core != NULL)
    {
      g_ptr_array_remove_fast (core->members, self);
      afrpc_pool_member_leave (self);
      afrpc_pool_member_unref (self);
      afrpc_pool_desk_pump (core);
    }
  afrpc_pool_member_unref (self);
  afrpc_pool_core_unref (core);
}

/* It may be ready, or have less to do than before: there is no other word of a call that was given up. Once the pool has
 * nothing to do with it any more, this is not called. */
static void
turned_cb (gpointer data)
{
  AfrpcPoolMember *self = data;
  AfrpcPoolCore *core = self->core;
  const gboolean acts = core->decided != NULL;

  /* Whoever is made has others that leave have a turn, where there is no main loop. */
  if (core->is_making)
    return;
  if (self->state == AFRPC_POOL_MEMBER_STARTING && self->pid != afrpc_peer_get_pid (self->peer))
    {
      self->pid = afrpc_peer_get_pid (self->peer);
      core->n_acts++;
    }
  if (!afrpc_pool_member_look (self) && !acts)
    return;

  afrpc_pool_core_ref (core);
  afrpc_pool_member_ref (self);
  afrpc_pool_core_catch_up (core);
  if (acts)
    afrpc_pool_maps_act (core);
  if (self->core != NULL)
    afrpc_pool_desk_serve (core, self);
  afrpc_pool_desk_pump (core);
  afrpc_pool_core_forget (core);
  afrpc_pool_member_unref (self);
  afrpc_pool_core_unref (core);
}

/* Life */

/* Returns: how many bytes one may have said that are not told while the thread is blocked */
guint64
afrpc_pool_member_get_kept_max (const AfrpcPoolConfig *config)
{
  return MAX (config->max_bytes_queued, config->max_message_size);
}

/* What it may be owed, and may have said that was not told yet: what waits is limited by the pool, and what it has got
 * is not to fail because of that. */
static guint64
get_bytes_max (const AfrpcPoolConfig *config)
{
  const guint64 one = afrpc_pool_member_get_kept_max (config);

  return one > G_MAXUINT64 / (AFRPC_POOL_LOAD_MAX + 1) ? G_MAXUINT64 : one * (AFRPC_POOL_LOAD_MAX + 1);
}

/* @template: (transfer full) */
AfrpcPoolMember *
afrpc_pool_member_new (AfrpcPoolCore     *core,
                       AfrpcPoolTemplate *template,
                       AfrpcProcess      *process)
{
  const AfrpcPoolConfig *config = &core->config;
  AfrpcPoolMember *self = g_new0 (AfrpcPoolMember, 1);

  self->ref_count = 1;
  self->core = core;
  self->template = template;
  self->n_resets = template->n_resets;
  self->load = afrpc_pool_template_get_load (template, core);
  core->n_members[AFRPC_POOL_MEMBER_STARTING]++;
  core->starting_room += self->load;
  template->n_starting++;
  template->n_live++;
  core->figures.n_workers_started++;
  self->seat.link.data = self->serve.data = self;
  self->spread = g_random_int ();
  self->id = ++core->last_id;
  self->base = AFRPC_POOL_BASE_UNKNOWN;
  self->proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", config->function, "init", config->init,
                              "done", config->done, "backend", config->backend, "serialiser", config->serialiser,
                              "max-message-size", config->max_message_size, "forward-log", config->forward_log,
                              "max-bytes-queued", get_bytes_max (config), NULL);
  self->peer = afrpc_peer_ref (afrpc_proxy_get_peer (self->proxy));
  self->process = g_object_ref (process);
  self->worker = afrpc_pool_worker_new (self, process);
  afrpc_peer_set_kept_max (self->peer, afrpc_pool_member_get_kept_max (config));
  g_signal_connect (self->proxy, "event", G_CALLBACK (event_cb), self);
  g_signal_connect (self->proxy, "error", G_CALLBACK (error_cb), self);
  g_signal_connect (self->proxy, "destroyed", G_CALLBACK (destroyed_cb), self);
  afrpc_peer_set_turned_func (self->peer, turned_cb, self);

  return self;
}

void
afrpc_pool_member_free (AfrpcPoolMember *self)
{
  g_assert (!self->seat.taken && self->proxy == NULL && self->bond == NULL && !self->is_to_serve);
  g_clear_pointer (&self->template, afrpc_pool_template_unref);
  g_clear_pointer (&self->peer, afrpc_peer_unref);
  g_clear_object (&self->process);
  g_clear_error (&self->failure);
  g_free (self);
}

/* It has just been made, and is one more than there may be: it has one call at a time. */
void
afrpc_pool_member_set_aside (AfrpcPoolMember *self)
{
  become_aside (self);
  self->load = 1;
}

/* How many calls it may have, from now on. Look at it then. */
void
afrpc_pool_member_set_load (AfrpcPoolMember *self,
                            guint            load)
{
  if (self->state == AFRPC_POOL_MEMBER_STARTING)
    self->core->starting_room = self->core->starting_room - self->load + load;
  self->load = load;
}

/* @job: (nullable): the one that it has by itself */
void
afrpc_pool_member_set_alone (AfrpcPoolMember *self,
                             AfrpcPoolJob    *job)
{
  if (self->core != NULL && !self->is_aside)
    self->core->n_alone += (job != NULL) - (self->alone != NULL);
  self->alone = job;
}

/* Gets no more calls, and ends once it has none. */
void
afrpc_pool_member_end (AfrpcPoolMember *self)
{
  self->is_asked_to_end = TRUE;
  self->core->n_acts++;
  leave (self);
  if (self->core->relieved == self)
    self->core->relieved = NULL;
  look_closely (self);
}

/* The pool has nothing to do with it any more. */
void
afrpc_pool_member_leave (AfrpcPoolMember *self)
{
  AfrpcPoolCore *core = self->core;

  count_out (self, AFRPC_POOL_MEMBER_GONE);
  afrpc_pool_member_set_alone (self, NULL);
  if (self->state != AFRPC_POOL_MEMBER_GONE && self->is_aside)
    count_aside (self, -1);
  self->core = NULL;
  if (core->relieved == self)
    core->relieved = NULL;
  if (core->aside == self)
    core->aside = NULL;
  core->n_members[self->state]--;
  if (self->state != AFRPC_POOL_MEMBER_GONE)
    self->template->n_failing -= self->is_failing;
  afrpc_pool_bench_leave (&core->bench, &self->seat);
  if (self->is_to_serve)
    g_queue_unlink (&core->to_serve, &self->serve);
  self->is_to_serve = FALSE;
  afrpc_pool_settings_leave (self);
  afrpc_pool_runaway_forget (core, self);
  afrpc_pool_ties_break (core, self);
  afrpc_peer_set_turned_func (self->peer, NULL, NULL);
  g_signal_handlers_disconnect_by_data (self->proxy, self);
  core->n_acts++;
  afrpc_pool_worker_leave (self->worker);
  g_clear_object (&self->worker);
  g_clear_object (&self->proxy);
  afrpc_peer_forget_untold (self->peer);
}

/* Nobody is told how it has ended: see afrpc_pool_core_tells_nobody (). It goes at once, unless it has calls whose outcome is to
 * be told. FALSE: it stays. */
gboolean
afrpc_pool_member_forget (AfrpcPoolMember *self)
{
  AfrpcPoolCore *core = self->core;

  if (self->state != AFRPC_POOL_MEMBER_GONE || self->given.length > 0 || self->settings.length > 0 ||
      !afrpc_peer_owes_nobody (self->peer))
    return FALSE;

  g_ptr_array_remove_fast (core->members, self);
  afrpc_pool_member_leave (self);
  afrpc_pool_member_unref (self);

  return TRUE;
}
