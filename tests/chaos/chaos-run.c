/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stage: a source on the main context that lets each actor take its next step, one after the other. */
#include "chaos.h"

#define DEPTH_MAX 4u /* of main loops within each other */

typedef struct
{
  GSource source;
  ChaosStage *stage;
} StageSource;

static ChaosActor *
actor_new (ChaosStage *stage,
           guint64     number,
           guint       slot)
{
  ChaosActor *self = g_new0 (ChaosActor, 1);

  self->stage = stage;
  self->number = number;
  self->slot = slot;
  self->plan = chaos_plan_new (chaos.seed, number, chaos.features);
  for (guint i = 0; i < self->plan->n_members; i++)
    {
      ChaosMember *member = &self->members[i];

      member->actor = self;
      member->plan = &self->plan->members[i];
      member->index = i;
      member->seat = slot * CHAOS_MEMBERS_MAX + i;
    }
  for (guint i = 0; i < self->plan->n_calls; i++)
    {
      ChaosCall *call = &self->calls[i];

      call->actor = self;
      call->plan = &self->plan->calls[i];
      call->index = i;
      call->id = slot * CHAOS_CALLS_MAX + i;
      call->member = &self->members[call->plan->member];
    }

  return self;
}

static void
actor_free (ChaosActor *self)
{
  for (guint i = 0; i < self->plan->n_members; i++)
    {
      g_clear_pointer (&self->members[i].numbers, g_byte_array_unref);
      g_clear_pointer (&self->members[i].exit, afrpc_exit_unref);
    }
  for (guint i = 0; i < self->plan->n_calls; i++)
    g_clear_object (&self->calls[i].cancellable);
  chaos_plan_free (self->plan);
  g_free (self);
}

/* Whatever its workers wait for comes now, also in calls that nobody waits for any more; but not for the blocking call
 * that is just made. */
void
chaos_actor_end_waits (ChaosActor *self)
{
  for (guint i = 0; i < self->plan->n_calls; i++)
    if (self->calls[i].is_made && (self->calls[i].is_settled || !self->calls[i].plan->is_sync))
      chaos_call_release (&self->calls[i]);
  for (guint i = 0; i < self->plan->n_members; i++)
    chaos_member_cont (&self->members[i]);
}

/* A call that the steps are still to make. */
static gboolean
will_be_made (ChaosCall *call)
{
  return !call->is_made && !call->is_skipped && !call->plan->is_inside && !call->actor->is_ending;
}

static void
nest (ChaosActor     *self,
      const ChaosAct *act)
{
  ChaosStage *stage = self->stage;
  ChaosCall *call = act->kind == CHAOS_ACT_NEST_UNTIL && act->which < self->plan->n_calls ? &self->calls[act->which] : NULL;

  if (stage->depth >= DEPTH_MAX)
    return;
  stage->depth++;
  self->n_frames++;
  if (act->kind == CHAOS_ACT_NEST_TURNS)
    for (guint i = 0; i < act->which; i++)
      g_main_context_iteration (stage->context, FALSE);
  else if (call != NULL)
    while (!chaos_call_is_over (call) && (call->is_made || will_be_made (call)))
      g_main_context_iteration (stage->context, TRUE);
  self->n_frames--;
  stage->depth--;
}

/* Meanwhile the main loop does not run, and what workers send stays where it is. */
static void
dawdle (ChaosActor *self,
        guint       ms)
{
  chaos_trace (self, "dawdles for %u ms", ms);
  g_usleep (ms * 1000);
}

void
chaos_actor_act (ChaosActor     *self,
                 const ChaosAct *act)
{
  switch (act->kind)
    {
    case CHAOS_ACT_NOTHING: break;
    case CHAOS_ACT_NEST_TURNS:
    case CHAOS_ACT_NEST_UNTIL: nest (self, act); break;
    case CHAOS_ACT_CALL:
    case CHAOS_ACT_CALL_SYNC: chaos_call_make (&self->calls[act->which]); break;
    case CHAOS_ACT_CANCEL:
      if (act->which < self->plan->n_calls)
        chaos_call_cancel (&self->calls[act->which], FALSE);
      break;
    case CHAOS_ACT_CLOSE: chaos_member_close (&self->members[act->which]); break;
    case CHAOS_ACT_DROP: chaos_member_drop (&self->members[act->which], FALSE); break;
    case CHAOS_ACT_DROP_PROCESS: chaos_member_drop_process (&self->members[act->which]); break;
    case CHAOS_ACT_KILL: chaos_member_kill_proxy (&self->members[act->which]); break;
    case CHAOS_ACT_DAWDLE: dawdle (self, act->which); break;
    }
}

static gboolean
all_settled (ChaosActor  *self,
             ChaosMember *member) /* (nullable): of all */
{
  for (guint i = 0; i < self->plan->n_calls; i++)
    if ((member == NULL || self->calls[i].member == member) && self->calls[i].is_made && !self->calls[i].is_settled)
      return FALSE;
  return TRUE;
}

/* Whether the step has to wait. */
static gboolean
step_waits (ChaosActor      *self,
            const ChaosStep *step)
{
  gboolean is_over;

  if (step->kind == CHAOS_STEP_WAIT)
    is_over = !self->calls[step->which].is_made || chaos_call_is_over (&self->calls[step->which]);
  else if (step->kind == CHAOS_STEP_WAIT_ALL)
    is_over = all_settled (self, &self->members[step->which]);
  else
    return FALSE;
  if (!is_over)
    chaos_actor_end_waits (self);

  return !is_over;
}

static void
take_step (ChaosActor      *self,
           const ChaosStep *step)
{
  ChaosMember *member = &self->members[step->which % CHAOS_MEMBERS_MAX];
  ChaosCall *call = &self->calls[step->which % CHAOS_CALLS_MAX];

  switch (step->kind)
    {
    case CHAOS_STEP_MAKE: chaos_member_make (member); break;
    case CHAOS_STEP_JOB: chaos_member_give_job (member); break;
    case CHAOS_STEP_CALL: chaos_call_make (call); break;
    case CHAOS_STEP_CANCEL: chaos_call_cancel (call, FALSE); break;
    case CHAOS_STEP_CANCEL_THREAD: chaos_call_cancel (call, TRUE); break;
    case CHAOS_STEP_RELEASE: chaos_call_release (call); break;
    case CHAOS_STEP_TURNS: self->n_turns = step->which; break;
    case CHAOS_STEP_KILL: chaos_member_kill (member); break;
    case CHAOS_STEP_KILL_HOST: chaos_member_kill_host (member); break;
    case CHAOS_STEP_KILL_PROCESS: chaos_member_kill_process (member); break;
    case CHAOS_STEP_KILL_PROXY: chaos_member_kill_proxy (member); break;
    case CHAOS_STEP_STOP: chaos_member_stop (member); break;
    case CHAOS_STEP_CONT: chaos_member_cont (member); break;
    case CHAOS_STEP_CLOSE: chaos_member_close (member); break;
    case CHAOS_STEP_CLOSE_ASYNC: chaos_member_close_async (member); break;
    case CHAOS_STEP_CLOSE_SYNC: chaos_member_close_sync (member); break;
    case CHAOS_STEP_DROP: chaos_member_drop (member, FALSE); break;
    case CHAOS_STEP_DROP_THREAD: chaos_member_drop (member, TRUE); break;
    case CHAOS_STEP_DROP_PROCESS: chaos_member_drop_process (member); break;
    case CHAOS_STEP_DAWDLE: dawdle (self, step->which); break;
    default: break;
    }
}

/* Whoever was not ended by a step is closed now: a step may have come too early, or to the wrong one. */
static void
end_members (ChaosActor *self)
{
  for (guint i = 0; i < self->plan->n_members; i++)
    {
      ChaosMember *member = &self->members[i];

      if (member->is_made && !member->has_job && member->process != NULL)
        chaos_member_drop_process (member);
      if (member->proxy != NULL && !member->is_closed)
        chaos_member_close (member);
    }
}

static gboolean
is_over (ChaosActor *self)
{
  if (!all_settled (self, NULL) || self->n_frames != 0)
    return FALSE;
  for (guint i = 0; i < self->plan->n_members; i++)
    if (!chaos_member_is_over (&self->members[i]))
      return FALSE;

  return TRUE;
}

static void
let_go (ChaosActor *self)
{
  for (guint i = 0; i < self->plan->n_members; i++)
    chaos_member_let_go (&self->members[i]);
  self->has_let_go = TRUE;
}

/* Nothing of it is left. */
static gboolean
has_finished (ChaosActor *self)
{
  for (guint i = 0; i < self->plan->n_members; i++)
    if (g_atomic_int_get (&self->members[i].n_objects) != 0)
      return FALSE;

  return self->has_let_go;
}

static gboolean
is_ready (ChaosActor *self)
{
  if (self->is_ending)
    {
      if (self->has_let_go)
        return has_finished (self);
      chaos_actor_end_waits (self);
      return is_over (self);
    }
  if (self->n_turns > 0 || self->next_step == self->plan->steps->len)
    return TRUE;

  return !step_waits (self, &g_array_index (self->plan->steps, ChaosStep, self->next_step));
}

static void
go_on (ChaosActor *self)
{
  while (is_ready (self))
    {
      const ChaosStep *step;

      if (self->is_ending)
        {
          let_go (self);
          return;
        }
      if (self->n_turns > 0)
        {
          self->n_turns--;
          return;
        }
      if (self->next_step == self->plan->steps->len)
        {
          self->is_ending = TRUE;
          end_members (self);
          return;
        }
      step = &g_array_index (self->plan->steps, ChaosStep, self->next_step++);
      chaos_trace (self, "step %u: %s %u", self->next_step - 1, chaos_step_names[step->kind], step->which);
      take_step (self, step);
      if (!step->goes_on)
        return;
    }
}

static gboolean
stage_prepare (GSource *source,
               int     *timeout)
{
  ChaosStage *stage = ((StageSource *) source)->stage;
  gboolean is_somebody_ready = FALSE;

  *timeout = -1;
  for (guint i = 0; i < stage->n_actors; i++)
    if (stage->actors[i] != NULL)
      is_somebody_ready |= is_ready (stage->actors[i]);

  return is_somebody_ready;
}

static gboolean
stage_check (GSource *source)
{
  int timeout;

  return stage_prepare (source, &timeout);
}

static gboolean
stage_dispatch (GSource     *source,
                GSourceFunc  callback,
                gpointer     data)
{
  ChaosStage *stage = ((StageSource *) source)->stage;

  for (guint i = 0; i < stage->n_actors; i++)
    {
      ChaosActor *actor = stage->actors[i];

      if (actor == NULL)
        continue;
      if (has_finished (actor))
        {
          chaos_trace (actor, "is over");
          chaos_actor_check (actor);
          stage->actors[i] = NULL;
          stage->n_finished++;
          actor_free (actor);
        }
      else
        go_on (actor);
    }

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs stage_funcs = { stage_prepare, stage_check, stage_dispatch, NULL, NULL, NULL };

void
chaos_stage_init (ChaosStage   *self,
                  GMainContext *context,
                  guint         first_slot)
{
  *self = (ChaosStage) { .context = g_main_context_ref (context), .first_slot = first_slot };
  self->source = g_source_new (&stage_funcs, sizeof (StageSource));
  ((StageSource *) self->source)->stage = self;
  g_source_set_can_recurse (self->source, TRUE);
  g_source_set_static_name (self->source, "chaos");
  g_source_attach (self->source, context);
}

void
chaos_stage_clear (ChaosStage *self)
{
  g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
}

/* Has @n_actors act, beginning with the one whose number is @first_actor; @n_at_once at a time. */
void
chaos_stage_run (ChaosStage *self,
                 guint64     first_actor,
                 guint       n_actors,
                 guint       n_at_once)
{
  self->n_actors = self->n_finished = 0;
  while (self->n_finished < n_actors)
    {
      while (self->n_actors < n_actors && self->n_actors - self->n_finished < n_at_once)
        {
          self->actors[self->n_actors] = actor_new (self, first_actor + self->n_actors, self->first_slot + self->n_actors);
          self->n_actors++;
        }
      g_main_context_iteration (self->context, TRUE);
    }
}
