/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A job: a call from when the pool has it until it has its outcome, whoever else has it meanwhile. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include "afrpc-error.h"

#define SPARE_MAX 1024u

static AfrpcPoolJob *
of_pending (AfrpcPending *pending)
{
  return (AfrpcPoolJob *) pending;
}

AfrpcPoolJob *
afrpc_pool_job_ref (AfrpcPoolJob *self)
{
  self->ref_count++;

  return self;
}

static void
clear_outcome (AfrpcPoolJob *self)
{
  g_clear_pointer (&self->value, g_variant_unref);
  g_clear_object (&self->fds);
  g_clear_error (&self->error);
}

/* What is not set anew for each call, and not cleared with the last reference anyway: to clear everything takes longer. */
static inline void
clear (AfrpcPoolJob *self)
{
  self->pending = (AfrpcPending) { 0 };
  self->place.priority = 0;
  self->place.size = 0;
  self->deadline = 0;
  self->n_deaths = 0;
  self->begun = AFRPC_STARTED_NO;
  self->was_wanted_back = FALSE;
  self->map = NULL;
  self->chunk = NULL;
}

void
afrpc_pool_job_unref (AfrpcPoolJob *self)
{
  AfrpcPoolMember *member;
  AfrpcPoolCore *core;

  if (--self->ref_count > 0)
    return;

  g_assert (self->call == NULL && self->place.queue == NULL && self->tie == NULL);
  if (G_UNLIKELY (self->value != NULL || self->error != NULL))
    clear_outcome (self);
  member = g_steal_pointer (&self->member);
  core = member != NULL ? member->core : NULL;
  g_clear_pointer (&self->args, g_variant_unref);
  if (member != NULL)
    afrpc_pool_member_unref (member);
  /* Most have a member, by which the pool is known, if there still is one. */
  if (core == NULL || core->n_spare == SPARE_MAX)
    {
      g_free (self);
      return;
    }

  clear (self);
  self->next_spare = core->spare;
  core->spare = self;
  core->n_spare++;
}

/* Returns: one of which nothing is set that job_new () does not set */
static AfrpcPoolJob *
job_alloc (AfrpcPoolCore *core)
{
  AfrpcPoolJob *self = core->spare;

  if (self == NULL)
    return g_new0 (AfrpcPoolJob, 1);

  core->spare = g_steal_pointer (&self->next_spare);
  core->n_spare--;

  return self;
}

void
afrpc_pool_job_free_spare (AfrpcPoolCore *core)
{
  AfrpcPoolJob *job;

  while ((job = core->spare) != NULL)
    {
      core->spare = job->next_spare;
      g_free (job);
    }
}

/* As a worker has it */

static void
pending_ref (AfrpcPending *pending)
{
  afrpc_pool_job_ref (of_pending (pending));
}

static void
pending_unref (AfrpcPending *pending)
{
  afrpc_pool_job_unref (of_pending (pending));
}

static void
pending_progress (AfrpcPending *pending,
                  GVariant     *value)
{
  AfrpcPoolJob *self = of_pending (pending);
  AfrpcPending *outer;

  if (self->call == NULL)
    return;

  outer = afrpc_call_get_pending (self->call);
  outer->funcs->progress (outer, value);
}

/* What the outcome says of the worker: one that has begun a call is not to blame for its end. */
static void
note_service (AfrpcPoolJob *self)
{
  if (self->pending.started == AFRPC_STARTED_NO)
    return;

  self->member->has_served = TRUE;
  if (self->error != NULL && afrpc_pool_job_is_by_end (self))
    self->n_deaths += !self->member->was_stopped;
  else if (G_UNLIKELY (self->member->template->n_failures > 0))
    afrpc_pool_template_note_service (self->member->template, self->member);
}

/* Its member has it no more. */
static inline void
take_from_member (AfrpcPoolJob *self)
{
  AfrpcPoolMember *member = self->member;

  afrpc_pending_uncount (&self->pending);
  if (member->alone == self)
    afrpc_pool_member_set_alone (member, NULL);
  if (member->given.head == &self->place.link)
    {
      member->current_since = self->core->now;
      if (G_UNLIKELY (member->slow_id != 0) && member->slow_id != self->id)
        member->slow_id = 0;
    }
  afrpc_pool_links_unlink (&member->given, &self->place.link);
  self->core->n_having -= member->given.length == 0;
  self->core->n_given--;
  afrpc_pool_job_set_parcel (self, FALSE);
  if (G_UNLIKELY (self->chunk != NULL))
    afrpc_pool_map_chunk_leave (self);
}

/* The same for who gives it to another one. */
void
afrpc_pool_job_leave_member (AfrpcPoolJob *self)
{
  take_from_member (self);
}

static void
pending_decide (AfrpcPending *pending,
                GVariant     *value,
                GUnixFDList  *fds,
                GError       *error)
{
  AfrpcPoolJob *self = of_pending (pending);

  self->value = value;
  self->fds = fds;
  self->error = error;
  if (self->call == NULL)
    return;

  if (self->member != NULL)
    {
      note_service (self);
      if (error != NULL && afrpc_pool_job_take_failure (self))
        return;
    }
  if (G_UNLIKELY (error != NULL && self->begun != AFRPC_STARTED_NO))
    afrpc_pool_job_tell_begun (self);
  if (G_UNLIKELY (self->map != NULL))
    afrpc_pool_maps_decided (self);
}

/* The reference that was given with it is given back. */
static void
pending_tell (AfrpcPending *pending)
{
  AfrpcPoolJob *self = of_pending (pending);

  if (self->call != NULL)
    afrpc_pool_job_act (self);
  else if (self->member != NULL && self->member->core != NULL)
    {
      afrpc_pool_member_look (self->member);
      afrpc_pool_desk_pump (self->member->core);
    }
  afrpc_pool_job_unref (self);
}

/* The main context has gone. */
static void
pending_release (AfrpcPending *pending)
{
  AfrpcPoolJob *self = of_pending (pending);

  afrpc_pool_job_abandon (self);
  afrpc_pool_job_unref (self);
}

static void
pending_uncount (AfrpcPending *pending)
{
  const AfrpcPoolJob *self = of_pending (pending);

  afrpc_pool_tie_let_go (self->tie, self->member);
}

static const AfrpcPendingFuncs pending_funcs = {
  pending_ref, pending_unref, pending_release, pending_progress, pending_decide, pending_tell, NULL, pending_uncount,
};

/* @call: (transfer full), with what its outcome is told by */
AfrpcPoolJob *
afrpc_pool_job_new (AfrpcPoolCore *core,
                    AfrpcCall     *call,
                    GVariant      *args)
{
  AfrpcPoolJob *self = job_alloc (core);

  self->ref_count = 1;
  self->pending.funcs = &pending_funcs;
  self->core = core;
  self->call = call;
  self->args = g_variant_ref (args);
  self->place.link.data = self;
  self->id = ++core->last_job;
  if (call->options != NULL)
    self->place.priority = call->options->priority;
  call->job = self;

  return self;
}

/* Returns: (transfer full): one that goes on with the call, as if it had never had a worker */
AfrpcPoolJob *
afrpc_pool_job_renew (AfrpcPoolJob *old)
{
  AfrpcPoolJob *self = job_alloc (old->core);

  self->ref_count = 1;
  self->pending.funcs = &pending_funcs;
  self->core = old->core;
  self->id = ++old->core->last_job;
  self->call = g_steal_pointer (&old->call);
  afrpc_call_keep_process (self->call);
  self->args = g_variant_ref (old->args);
  self->tie = g_steal_pointer (&old->tie);
  self->place = old->place;
  self->place.link = (GList) { .data = self };
  self->deadline = old->deadline;
  self->n_deaths = old->n_deaths;
  self->begun = afrpc_pool_job_get_begun (old);
  self->map = old->map;
  self->call->job = self;

  return self;
}

/* Outcomes */

/* It fails before a worker has had it; whoever waits is told later. Consumes the reference. @error: (transfer full) */
void
afrpc_pool_job_fail (AfrpcPoolJob *self,
                     GError       *error)
{
  self->pending.is_awaited = afrpc_call_get_pending (self->call)->is_awaited;
  afrpc_pending_decide (&self->pending, AFRPC_STARTED_NO, NULL, NULL, error);
  afrpc_peer_tell_later (self->core->anchor, &self->pending);
}

/* A sync worker does one thing at a time, in the order in which it has got them. */
static inline void
count_times (AfrpcPoolJob *self)
{
  AfrpcPoolFigures *figures = &self->core->figures;
  const AfrpcPoolMember *member = self->member;
  const gint64 now = self->core->now;
  const gboolean is_first = member->given.head == &self->place.link;

  afrpc_pool_figures_add_time (figures, AFRPC_POOL_TIME_ASSIGNED, now - self->since);
  if (self->pending.started == AFRPC_STARTED_NO)
    return;

  if (self->core->config.backend == AFRPC_BACKEND_ASYNC)
    afrpc_pool_figures_add_time (figures, AFRPC_POOL_TIME_EXECUTION, now - self->since);
  else if (is_first)
    afrpc_pool_figures_add_time (figures, AFRPC_POOL_TIME_EXECUTION, now - member->current_since);
}

static inline void
count_outcome (AfrpcPoolJob *self)
{
  AfrpcPoolFigures *figures = &self->core->figures;

  figures->n_outcomes[self->error == NULL ? AFRPC_CALL_OUTCOME_SUCCESS : afrpc_pool_job_classify_failure (self)]++;
  if (self->member != NULL)
    count_times (self);
}

/* The call gets the outcome; whoever waits is told now. */
static inline void
settle (AfrpcPoolJob *self)
{
  AfrpcCall *call = g_steal_pointer (&self->call);
  AfrpcPending *outer = &call->pending;

  if (self->error != NULL)
    afrpc_pool_job_explain_failure (self, call);
  call->job = NULL;
  afrpc_pending_decide (outer, self->pending.started, g_steal_pointer (&self->value), g_steal_pointer (&self->fds),
                        g_steal_pointer (&self->error));
  if (!outer->is_awaited && !outer->has_several)
    outer->funcs->tell (outer);
  else
    {
      /* The worker may be gone by then. */
      afrpc_call_keep_process (call);
      afrpc_peer_tell_later (self->core->anchor, outer);
    }
}

/* The same for who sees to everything else himself. Keeps the reference. */
void
afrpc_pool_job_finish (AfrpcPoolJob *self)
{
  self->core->n_acts++;
  afrpc_pool_core_catch_up (self->core);
  count_outcome (self);
  if (self->member != NULL)
    take_from_member (self);
  afrpc_pool_entry_leave (self);
  settle (self);
}

/* Whether @member has others to go on with, nobody waits for what it has left, and all that is known in this turn. */
static inline gboolean
goes_on (const AfrpcPoolCore   *core,
         const AfrpcPoolMember *member)
{
  return core->relieved == member && member->given.length > 0 && core->queue.n == 0 && core->n_waiting == 0;
}

/* The call gets the outcome. The pool may be gone afterwards. */
void
afrpc_pool_job_act (AfrpcPoolJob *self)
{
  AfrpcPoolCore *core = self->core;
  AfrpcPoolMember *member = self->member;

  core->n_acts++;
  /* Who is relieved has been so in this turn. */
  if (member == NULL || member != core->relieved)
    afrpc_pool_core_catch_up (core);
  count_outcome (self);
  if (member != NULL)
    take_from_member (self);
  afrpc_pool_entry_leave (self);
  /* First, so that its worker has something to do meanwhile. */
  if (member == NULL)
    afrpc_pool_desk_pump (core);
  else if (!goes_on (core, member))
    {
      afrpc_pool_member_relieve (member);
      afrpc_pool_desk_serve (core, member);
      afrpc_pool_desk_pump (core);
    }
  settle (self);
}

/* Nobody is told anything any more, and nobody waits for it; but what it has got somebody may ask for. Keeps the reference. */
void
afrpc_pool_job_abandon (AfrpcPoolJob *self)
{
  AfrpcCall *call = g_steal_pointer (&self->call);
  AfrpcPending *outer;

  if (call == NULL)
    return;

  outer = afrpc_call_get_pending (call);
  call->job = NULL;
  afrpc_call_keep_process (call);
  if (self->member != NULL)
    take_from_member (self);
  afrpc_pool_entry_leave (self);
  if (self->value == NULL && self->error == NULL)
    self->error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the main context of the pool is gone");
  if (self->pending.state != AFRPC_PENDING_DECIDED)
    self->pending.started = self->member != NULL ? AFRPC_STARTED_UNKNOWN : AFRPC_STARTED_NO;
  self->core->figures.n_outcomes[self->value != NULL ? AFRPC_CALL_OUTCOME_SUCCESS : AFRPC_CALL_OUTCOME_OTHER]++;
  afrpc_pending_decide (outer, afrpc_pool_job_get_begun (self), g_steal_pointer (&self->value), g_steal_pointer (&self->fds),
                        g_steal_pointer (&self->error));
  if (self->map != NULL)
    afrpc_pool_map_settled (self->map, call, self->place.number);
  else if (afrpc_pending_is_told (outer))
    outer->funcs->release (outer);
}
