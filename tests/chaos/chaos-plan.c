/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "chaos-plan.h"

#include "chaos-random.h"

#include <signal.h>
#include <string.h>

#define STEPS_MAX 90u
#define BURST_MAX 40u
#define DAWDLE_MAX_MS 12u

/* How a member stands when the steps so far have been taken. */
typedef struct
{
  gboolean is_made;
  gboolean has_job;
  gboolean has_ended; /* closed, dropped or killed */
} State;

typedef struct
{
  ChaosRandom random;
  ChaosFeatures features;
  ChaosPlan *plan;
  State states[CHAOS_MEMBERS_MAX];
} Planner;

static gboolean
has_feature (Planner      *planner,
             ChaosFeature  feature)
{
  return (planner->features & G_GUINT64_CONSTANT (1) << feature) != 0;
}

/* Draws, and then asks whether it may be: the draws that follow are the same. */
static gboolean
chance (Planner      *planner,
        guint         percent,
        ChaosFeature  feature)
{
  const gboolean drawn = chaos_random_percent (&planner->random, percent);

  return drawn && has_feature (planner, feature);
}

static gboolean
percent (Planner *planner,
         guint    n)
{
  return chaos_random_percent (&planner->random, n);
}

static guint
below (Planner *planner,
       guint    n)
{
  return chaos_random_below (&planner->random, n);
}

/* Mostly tiny, seldom megabytes. */
static guint
draw_size (Planner *planner)
{
  const guint kind = below (planner, 1000);
  const guint size = below (planner, 1u << 20);

  if (kind < 780)
    return size % 64;
  if (kind < 960)
    return size % (8u << 10);
  if (kind < 995)
    return size % (128u << 10);

  return has_feature (planner, CHAOS_LARGE) ? (1u << 20) + size * 2 : size % 256;
}

/* A call that the steps have made or will make, near the one that is drawn for. */
static guint
draw_near (Planner *planner,
           guint    at)
{
  const guint distance = below (planner, 9);

  return at + distance >= 4 ? at + distance - 4 : 0;
}

static void
add_step (Planner       *planner,
          ChaosStepKind  kind,
          guint          which)
{
  const ChaosStep step = { kind, which, percent (planner, 40) };

  g_array_append_val (planner->plan->steps, step);
}

static ChaosPlanCall *
add_call (Planner *planner,
          guint    member)
{
  ChaosPlanCall *call = &planner->plan->calls[planner->plan->n_calls++];

  call->member = member;
  return call;
}

static ChaosAct
draw_nest (Planner      *planner,
           guint         at,
           ChaosFeature  feature)
{
  const ChaosAct turns = { CHAOS_ACT_NEST_TURNS, 1 + below (planner, 20) };
  const ChaosAct until = { CHAOS_ACT_NEST_UNTIL, draw_near (planner, at) };
  const gboolean is_until = percent (planner, 50);

  if (!has_feature (planner, feature))
    return (ChaosAct) { CHAOS_ACT_NOTHING, 0 };

  return is_until ? until : turns;
}

static ChaosAct
draw_end (Planner *planner,
          guint    member)
{
  static const struct { ChaosActKind kind; ChaosFeature feature; } ends[] = {
    { CHAOS_ACT_CLOSE, CHAOS_END_INSIDE }, { CHAOS_ACT_DROP, CHAOS_DROP },
    { CHAOS_ACT_DROP_PROCESS, CHAOS_DROP_PROCESS }, { CHAOS_ACT_KILL, CHAOS_KILL },
  };
  const guint i = below (planner, G_N_ELEMENTS (ends));

  if (!has_feature (planner, CHAOS_END_INSIDE) || !has_feature (planner, ends[i].feature) ||
      (ends[i].kind == CHAOS_ACT_KILL && !has_feature (planner, CHAOS_TEMPLATE_DEATH)))
    return (ChaosAct) { CHAOS_ACT_NOTHING, 0 };

  return (ChaosAct) { ends[i].kind, member };
}

static ChaosAct
draw_dawdle (Planner *planner)
{
  const guint ms = 1 + below (planner, DAWDLE_MAX_MS);

  return (ChaosAct) { has_feature (planner, CHAOS_SLOW_PROGRAM) ? CHAOS_ACT_DAWDLE : CHAOS_ACT_NOTHING, ms };
}

static ChaosAct
draw_signal_act (Planner *planner,
                 guint    member)
{
  const guint kind = below (planner, 100);
  const ChaosAct nest = draw_nest (planner, planner->plan->n_calls, CHAOS_NEST_SIGNAL);
  const ChaosAct end = draw_end (planner, member);
  const ChaosAct dawdle = draw_dawdle (planner);

  return kind < 15 ? nest : kind < 20 ? end : kind < 23 ? dawdle : (ChaosAct) { CHAOS_ACT_NOTHING, 0 };
}

static ChaosHow
draw_how (Planner *planner,
          guint   *parent)
{
  const guint kind = below (planner, 100);
  const guint first = below (planner, CHAOS_MEMBERS_MAX);
  const ChaosHow other = percent (planner, 50) ? CHAOS_HOW_EXEC : CHAOS_HOW_NEW;

  if (planner->plan->n_members > 0 && kind < 65 && has_feature (planner, CHAOS_FORK))
    for (guint i = 0; i < planner->plan->n_members; i++)
      {
        const guint candidate = (first + i) % planner->plan->n_members;

        if (planner->states[candidate].is_made && !planner->states[candidate].has_job &&
            !planner->states[candidate].has_ended)
          {
            *parent = candidate;
            return CHAOS_HOW_FORK;
          }
      }
  if (kind % 10 < 2 && has_feature (planner, CHAOS_COMMAND))
    return CHAOS_HOW_COMMAND;
  if (kind % 10 == 2 && has_feature (planner, CHAOS_SELF))
    return CHAOS_HOW_SELF;
  if (kind % 20 == 3 && has_feature (planner, CHAOS_SELF))
    return CHAOS_HOW_SELF_EXEC;

  return other;
}

static gboolean
is_far (const ChaosPlan *plan,
        guint            member)
{
  while (plan->members[member].how == CHAOS_HOW_FORK)
    member = plan->members[member].parent;

  return plan->members[member].how == CHAOS_HOW_COMMAND;
}

static gboolean
has_forks (const ChaosPlan *plan,
           guint            member)
{
  for (guint i = 0; i < plan->n_members; i++)
    if (plan->members[i].how == CHAOS_HOW_FORK && plan->members[i].parent == member)
      return TRUE;
  return FALSE;
}

/* A worker that others were forked from, which may be still under way, dies as a template. */
static gboolean
may_be_killed (Planner *planner,
               guint    member)
{
  return has_feature (planner, CHAOS_TEMPLATE_DEATH) || !has_forks (planner->plan, member);
}

static void
plan_member (Planner *planner)
{
  const guint index = planner->plan->n_members;
  ChaosPlanMember *member = &planner->plan->members[index];

  member->how = draw_how (planner, &member->parent);
  planner->plan->n_members++;
  member->has_job = percent (planner, 80);
  member->is_async = chance (planner, 45, CHAOS_ASYNC);
  member->has_done = percent (planner, 40);
  member->sends_fd = chance (planner, 20, CHAOS_FDS) && !is_far (planner->plan, index);
  member->start_size = percent (planner, 20) ? 1 + below (planner, 300) : 0;
  if (chance (planner, 2, CHAOS_LARGE_START))
    member->start_size = 1u << 20 | below (planner, 1u << 20);
  if (chance (planner, 10, CHAOS_LIMIT))
    member->max_calls = 1 + below (planner, 12);
  if (chance (planner, 6, CHAOS_LIMIT))
    member->max_message = 4096 + below (planner, 60000);
  if (chance (planner, 4, CHAOS_TIMEOUT))
    member->timeout_ms = 1 + below (planner, 40);
  member->stderr_mode = below (planner, 100);
  member->on_event_n = 1 + below (planner, 10);
  member->on_event = draw_signal_act (planner, index);
  member->on_error = draw_signal_act (planner, index);
  member->on_exited = draw_signal_act (planner, index);
  member->on_destroyed = draw_signal_act (planner, index);

  add_step (planner, CHAOS_STEP_MAKE, index);
  planner->states[index].is_made = TRUE;
}

static ChaosKind
draw_kind (Planner *planner,
           guint    member)
{
  static const struct { guint8 weight; gint8 feature; ChaosKind kind; } kinds[] = {
    { 40, -1, CHAOS_KIND_ECHO }, { 14, -1, CHAOS_KIND_EVENTS }, { 4, CHAOS_FDS, CHAOS_KIND_EVENT_FDS },
    { 6, CHAOS_FDS, CHAOS_KIND_FDS }, { 6, CHAOS_PROGRESS, CHAOS_KIND_PROGRESS }, { 4, -1, CHAOS_KIND_WHO },
    { 6, -1, CHAOS_KIND_HOLD }, { 6, CHAOS_CANCEL, CHAOS_KIND_UNTIL_CANCELLED }, { 8, -1, CHAOS_KIND_LATER },
    { 3, -1, CHAOS_KIND_ERROR }, { 3, -1, CHAOS_KIND_PRIVATE_ERROR }, { 2, -1, CHAOS_KIND_NOTHING },
    { 1, CHAOS_DEATH, CHAOS_KIND_EXIT }, { 1, CHAOS_DEATH, CHAOS_KIND_SIGNAL },
    { 1, CHAOS_DEATH, CHAOS_KIND_FLUSH_EXIT }, { 2, -1, CHAOS_KIND_WRONG },
  };
  guint total = 0, drawn;
  ChaosKind kind = CHAOS_KIND_ECHO;

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    total += kinds[i].weight;
  drawn = below (planner, total);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); drawn -= kinds[i++].weight)
    if (drawn < kinds[i].weight)
      {
        if (kinds[i].feature < 0 || has_feature (planner, kinds[i].feature))
          kind = kinds[i].kind;
        break;
      }
  if ((kind == CHAOS_KIND_FDS || kind == CHAOS_KIND_EVENT_FDS) && is_far (planner->plan, member))
    kind = CHAOS_KIND_ECHO;
  if ((kind == CHAOS_KIND_EXIT || kind == CHAOS_KIND_SIGNAL || kind == CHAOS_KIND_FLUSH_EXIT) &&
      !may_be_killed (planner, member))
    kind = CHAOS_KIND_ECHO;

  return kind;
}

static void
draw_amounts (Planner       *planner,
              ChaosPlanCall *call)
{
  static const int signals[] = { SIGKILL, SIGTERM, SIGUSR1, SIGABRT };
  const guint few = below (planner, 20);
  const gboolean floods = chance (planner, 6, CHAOS_FLOOD);

  call->args_size = draw_size (planner);
  call->size = draw_size (planner);
  call->n = few;
  switch (call->kind)
    {
    case CHAOS_KIND_EVENTS:
    case CHAOS_KIND_PROGRESS:
    case CHAOS_KIND_FLUSH_EXIT:
      if (floods)
        call->n = 50 * few;
      if (call->n > 0)
        call->size = MIN (call->size, (4u << 20) / call->n);
      break;
    case CHAOS_KIND_EVENT_FDS: call->n = 1 + few % 4; break;
    case CHAOS_KIND_FDS: call->n_fds = 1 + few % 4; break;
    case CHAOS_KIND_LATER: call->n = few % 5; break;
    case CHAOS_KIND_SIGNAL: call->n = signals[few % G_N_ELEMENTS (signals)]; break;
    default: break;
    }
}

static ChaosWay
draw_way (Planner *planner)
{
  const ChaosWay way = below (planner, CHAOS_N_WAYS);

  return way != CHAOS_WAY_START || has_feature (planner, CHAOS_WAIT) ? way : CHAOS_WAY_WITH_CALLBACK;
}

static void
draw_options (Planner       *planner,
              ChaosPlanCall *call)
{
  const guint progress = below (planner, 100);

  if (chance (planner, 5, CHAOS_TIMEOUT))
    call->timeout_ms = 1 + below (planner, 30);
  if (chance (planner, 3, CHAOS_TIMEOUT))
    call->execution_timeout_ms = 1 + below (planner, 15);
  call->by_other_name = chance (planner, 8, CHAOS_OTHER_FUNCTION);
  call->way = draw_way (planner);
  if (call->kind == CHAOS_KIND_PROGRESS)
    call->progress = progress < 50 ? CHAOS_PROGRESS_ALL : progress < 90 ? CHAOS_PROGRESS_LATEST : CHAOS_PROGRESS_NOT;
  else if (progress < 3 && has_feature (planner, CHAOS_PROGRESS))
    call->progress = CHAOS_PROGRESS_ALL;
  call->has_cancellable = chance (planner, 20, CHAOS_CANCEL);
  call->is_cancelled_before = percent (planner, 5) && call->has_cancellable;
}

static gboolean
may_block (Planner      *planner,
           guint         member,
           ChaosFeature  feature)
{
  return has_feature (planner, feature) && (has_feature (planner, CHAOS_SYNC_FORK) ||
                                            planner->plan->members[member].how != CHAOS_HOW_FORK);
}

static void
draw_call (Planner *planner,
           guint    member)
{
  ChaosPlanCall *call = add_call (planner, member);

  call->kind = draw_kind (planner, member);
  draw_amounts (planner, call);
  draw_options (planner, call);
}

/* A blocking call to a worker that waits must be ended by another thread. */
static void
draw_sync (Planner       *planner,
           ChaosPlanCall *call)
{
  const gboolean is_cancelled = chance (planner, 8, CHAOS_SYNC_CANCEL);
  const gboolean is_killed = chance (planner, 4, CHAOS_SYNC_KILL) && may_be_killed (planner, call->member);

  call->is_sync = TRUE;
  if (is_cancelled || is_killed)
    {
      call->kind = is_cancelled ? CHAOS_KIND_UNTIL_CANCELLED : CHAOS_KIND_HOLD;
      call->n_fds = 0;
      call->is_cancelled_meanwhile = is_cancelled;
      call->is_killed_meanwhile = !is_cancelled;
      call->has_cancellable = is_cancelled;
      call->is_cancelled_before = FALSE;
    }
  else if (call->kind == CHAOS_KIND_HOLD || call->kind == CHAOS_KIND_UNTIL_CANCELLED)
    call->kind = CHAOS_KIND_ECHO;
}

/* What is done when it has been settled; that may be another call, which is drawn here. */
static void
draw_on_settled (Planner *planner,
                 guint    index)
{
  ChaosPlan *plan = planner->plan;
  ChaosPlanCall *call = &plan->calls[index];
  const guint member = call->member;
  const guint kind = below (planner, 100);
  const ChaosAct nest = draw_nest (planner, index, CHAOS_NEST);
  const ChaosAct end = draw_end (planner, member);
  const ChaosAct cancel = { CHAOS_ACT_CANCEL, draw_near (planner, index) };
  const ChaosAct dawdle = draw_dawdle (planner);

  if (kind < 6)
    call->on_settled = nest;
  else if (kind < 7)
    call->on_settled = end;
  else if (kind < 9 && has_feature (planner, CHAOS_CANCEL) && has_feature (planner, CHAOS_CALL_INSIDE))
    call->on_settled = cancel;
  else if (kind == 15)
    call->on_settled = dawdle;
  else if (kind < 15 && plan->n_calls < CHAOS_CALLS_MAX)
    {
      const gboolean is_sync = kind >= 13;
      ChaosPlanCall *inside;

      call->on_settled = (ChaosAct) { is_sync ? CHAOS_ACT_CALL_SYNC : CHAOS_ACT_CALL, plan->n_calls };
      draw_call (planner, member);
      inside = &plan->calls[plan->n_calls - 1];
      inside->is_inside = TRUE;
      if (is_sync)
        draw_sync (planner, inside);
      if (is_sync ? !may_block (planner, member, CHAOS_SYNC_INSIDE) : !has_feature (planner, CHAOS_CALL_INSIDE))
        call->on_settled.kind = CHAOS_ACT_NOTHING;
    }
}

/* A member that has a job; one that has ended is sometimes good enough. */
static gboolean
draw_member (Planner *planner,
             guint   *member)
{
  const guint first = below (planner, CHAOS_MEMBERS_MAX);
  const gboolean may_have_ended = chance (planner, 5, CHAOS_REFUSED);

  for (guint i = 0; i < planner->plan->n_members; i++)
    {
      *member = (first + i) % planner->plan->n_members;
      if (planner->states[*member].has_job && (may_have_ended || !planner->states[*member].has_ended))
        return TRUE;
    }
  return FALSE;
}

static void
plan_call (Planner *planner,
           gboolean is_sync)
{
  const guint index = planner->plan->n_calls;
  guint member;

  if (!draw_member (planner, &member) || index + 2 > CHAOS_CALLS_MAX)
    return;
  draw_call (planner, member);
  if (is_sync)
    draw_sync (planner, &planner->plan->calls[index]);
  draw_on_settled (planner, index);
  if (!is_sync || may_block (planner, member, CHAOS_SYNC))
    add_step (planner, CHAOS_STEP_CALL, index);
}

/* Many small calls at once. */
static void
plan_burst (Planner *planner)
{
  const guint n = 2 + below (planner, BURST_MAX);
  guint member;

  if (!draw_member (planner, &member))
    return;
  for (guint i = 0; i < n && planner->plan->n_calls + 2 < CHAOS_CALLS_MAX; i++)
    {
      const guint index = planner->plan->n_calls;
      ChaosPlanCall *call = add_call (planner, member);

      call->kind = CHAOS_KIND_ECHO;
      call->args_size = call->size = below (planner, 24);
      call->has_cancellable = chance (planner, 10, CHAOS_CANCEL);
      call->way = draw_way (planner);
      draw_on_settled (planner, index);
      add_step (planner, CHAOS_STEP_CALL, index);
      g_array_index (planner->plan->steps, ChaosStep, planner->plan->steps->len - 1).goes_on = TRUE;
    }
}

static void
plan_call_at_once (Planner *planner,
                   guint    call,
                   gboolean is_left_out)
{
  if (is_left_out)
    return;
  add_step (planner, CHAOS_STEP_CALL, call);
  g_array_index (planner->plan->steps, ChaosStep, planner->plan->steps->len - 1).goes_on = TRUE;
}

/* More than fits into any buffer on the way, to somebody who does not read: to the program, which is flooded by a few
 * calls, or to the worker, for which large messages wait behind a call that takes a while. */
static void
plan_slow (Planner *planner)
{
  const gboolean is_worker = percent (planner, 50);
  const gboolean is_left_out = !has_feature (planner, is_worker ? CHAOS_SLOW_WORKER : CHAOS_SLOW_PROGRAM);
  const guint ms = 1 + below (planner, DAWDLE_MAX_MS);
  const guint n = 1 + below (planner, 4);
  ChaosPlanCall *call;
  guint member;

  if (!draw_member (planner, &member) || planner->plan->n_calls + 2 * n + 2 > CHAOS_CALLS_MAX)
    return;
  if (is_worker)
    {
      call = add_call (planner, member);
      call->kind = CHAOS_KIND_DAWDLE;
      call->n = ms;
      call->way = draw_way (planner);
      plan_call_at_once (planner, planner->plan->n_calls - 1, is_left_out);
    }
  for (guint i = 0; i < n; i++)
    {
      const guint index = planner->plan->n_calls, size = below (planner, 1u << 20);

      call = add_call (planner, member);
      call->kind = is_worker ? CHAOS_KIND_ECHO : CHAOS_KIND_EVENTS;
      call->n = is_worker ? 0 : 100 + size % 300;
      call->args_size = is_worker ? (64u << 10) + size / 2 : 0;
      call->size = is_worker ? size % 64 : size / call->n;
      call->has_cancellable = chance (planner, 20, CHAOS_CANCEL);
      call->way = draw_way (planner);
      draw_on_settled (planner, index);
      plan_call_at_once (planner, index, is_left_out);
    }
  if (!is_worker && !is_left_out)
    add_step (planner, CHAOS_STEP_DAWDLE, ms);
}

static void
plan_job (Planner *planner)
{
  const guint first = below (planner, CHAOS_MEMBERS_MAX);

  for (guint i = 0; i < planner->plan->n_members; i++)
    {
      const guint member = (first + i) % planner->plan->n_members;
      State *state = &planner->states[member];
      if (state->is_made && !state->has_job && !state->has_ended && planner->plan->members[member].has_job &&
          (!has_forks (planner->plan, member) || has_feature (planner, CHAOS_TEMPLATE_JOB)))
        {
          state->has_job = TRUE;
          add_step (planner, CHAOS_STEP_JOB, member);
          return;
        }
    }
}

static void
plan_with_call (Planner       *planner,
                ChaosStepKind  kind,
                int            feature) /* -1: none */
{
  const guint back = below (planner, 8);

  if (planner->plan->n_calls > 0 && (feature < 0 || has_feature (planner, feature)))
    add_step (planner, kind, planner->plan->n_calls > back ? planner->plan->n_calls - 1 - back : 0);
}

/* Something that happens to a whole member. */
static void
plan_with_member (Planner       *planner,
                  ChaosStepKind  kind,
                  ChaosFeature   feature,
                  gboolean       is_end)
{
  guint member;

  if (!draw_member (planner, &member) || !has_feature (planner, feature) ||
      ((feature == CHAOS_KILL || feature == CHAOS_KILL_HOST) && !may_be_killed (planner, member)))
    return;
  add_step (planner, kind, member);
  if (is_end)
    planner->states[member].has_ended = TRUE;
}

/* Whatever it is, also one that others are forked from. */
static void
plan_template_death (Planner *planner)
{
  const guint member = below (planner, CHAOS_MEMBERS_MAX);
  const gboolean by_library = percent (planner, 50);

  if (member >= planner->plan->n_members || !planner->states[member].is_made || planner->states[member].has_job ||
      !has_feature (planner, CHAOS_TEMPLATE_DEATH))
    return;
  add_step (planner, by_library ? CHAOS_STEP_KILL_PROCESS : CHAOS_STEP_KILL_HOST, member);
}

static void
plan_step (Planner *planner)
{
  const guint drawn = below (planner, 100);

  if (drawn < 6 && planner->plan->n_members < CHAOS_MEMBERS_MAX)
    plan_member (planner);
  else if (drawn < 18)
    plan_job (planner);
  else if (drawn < 52)
    plan_call (planner, FALSE);
  else if (drawn < 55)
    plan_burst (planner);
  else if (drawn < 57)
    plan_slow (planner);
  else if (drawn < 62)
    plan_call (planner, TRUE);
  else if (drawn < 68)
    plan_with_call (planner, CHAOS_STEP_CANCEL, CHAOS_CANCEL);
  else if (drawn < 70)
    plan_with_call (planner, CHAOS_STEP_CANCEL_THREAD, CHAOS_CANCEL_THREAD);
  else if (drawn < 74)
    plan_with_call (planner, CHAOS_STEP_RELEASE, -1);
  else if (drawn < 80)
    plan_with_call (planner, CHAOS_STEP_WAIT, -1);
  else if (drawn < 82)
    plan_with_member (planner, CHAOS_STEP_WAIT_ALL, CHAOS_N_FEATURES, FALSE);
  else if (drawn < 88)
    add_step (planner, CHAOS_STEP_TURNS, 1 + below (planner, 12));
  else if (drawn < 90)
    plan_with_member (planner, CHAOS_STEP_STOP, CHAOS_STOP, FALSE);
  else if (drawn < 93)
    plan_with_member (planner, CHAOS_STEP_CONT, CHAOS_STOP, FALSE);
  else if (drawn < 94)
    plan_with_member (planner, CHAOS_STEP_KILL, CHAOS_KILL, TRUE);
  else if (drawn < 95)
    plan_with_member (planner, percent (planner, 50) ? CHAOS_STEP_KILL_PROCESS : CHAOS_STEP_KILL_PROXY, CHAOS_KILL, TRUE);
  else if (drawn < 96)
    plan_with_member (planner, CHAOS_STEP_KILL_HOST, CHAOS_KILL_HOST, TRUE);
  else if (drawn < 97)
    plan_template_death (planner);
  else if (drawn < 98)
    plan_with_member (planner, CHAOS_STEP_CLOSE, CHAOS_N_FEATURES, TRUE);
  else if (drawn < 99)
    plan_with_member (planner, percent (planner, 70) ? CHAOS_STEP_DROP : CHAOS_STEP_DROP_THREAD, CHAOS_DROP, TRUE);
  else
    plan_with_member (planner, CHAOS_STEP_DROP_PROCESS, CHAOS_DROP_PROCESS, FALSE);
}

/* Each in its own way; before that, nothing waits any more. */
static void
plan_ends (Planner *planner)
{
  static const struct { ChaosStepKind kind; ChaosFeature feature; } ends[] = {
    { CHAOS_STEP_CLOSE, CHAOS_N_FEATURES }, { CHAOS_STEP_CLOSE, CHAOS_N_FEATURES },
    { CHAOS_STEP_CLOSE_ASYNC, CHAOS_N_FEATURES }, { CHAOS_STEP_CLOSE_SYNC, CHAOS_CLOSE_SYNC },
    { CHAOS_STEP_DROP, CHAOS_DROP },
    { CHAOS_STEP_DROP_THREAD, CHAOS_DROP_THREAD }, { CHAOS_STEP_KILL_PROXY, CHAOS_KILL },
    { CHAOS_STEP_KILL, CHAOS_KILL },
  };

  for (guint member = 0; member < planner->plan->n_members; member++)
    {
      const guint way = below (planner, G_N_ELEMENTS (ends));
      const gboolean waits = percent (planner, 40);
      const gboolean is_possible = has_feature (planner, ends[way].feature) &&
                                   (ends[way].feature != CHAOS_KILL || may_be_killed (planner, member));

      if (!planner->states[member].has_job || planner->states[member].has_ended)
        continue;
      if (waits)
        add_step (planner, CHAOS_STEP_WAIT_ALL, member);
      add_step (planner, is_possible ? ends[way].kind : CHAOS_STEP_CLOSE, member);
    }
}

/* What closes with a callback, or blocks, has descriptors that stay: GLib's, and the library's. */
static void
plan_calmly (Planner *planner)
{
  static const ChaosHow ways[] = { CHAOS_HOW_NEW, CHAOS_HOW_SELF };

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      ChaosPlanMember *member = &planner->plan->members[planner->plan->n_members++];

      member->how = ways[i];
      member->has_job = TRUE;
      add_step (planner, CHAOS_STEP_MAKE, i);
      add_step (planner, CHAOS_STEP_JOB, i);
      add_call (planner, i);
      add_step (planner, CHAOS_STEP_CALL, 2 * i);
      add_call (planner, i)->is_sync = TRUE;
      add_step (planner, CHAOS_STEP_CALL, 2 * i + 1);
      add_step (planner, CHAOS_STEP_CLOSE_ASYNC, i);
    }
}

ChaosPlan *
chaos_plan_new (guint64       seed,
                guint64       actor,
                ChaosFeatures features)
{
  /* What nobody can leave out. */
  Planner planner = { chaos_random (seed, actor), features | G_GUINT64_CONSTANT (1) << CHAOS_N_FEATURES, NULL, { { 0 } } };
  const guint n_steps = 10 + below (&planner, STEPS_MAX);

  planner.plan = g_new0 (ChaosPlan, 1);
  planner.plan->steps = g_array_new (FALSE, TRUE, sizeof (ChaosStep));
  if (actor == CHAOS_CALM_ACTOR)
    {
      plan_calmly (&planner);
      return planner.plan;
    }

  plan_member (&planner);
  if (percent (&planner, 60))
    plan_job (&planner);
  while (planner.plan->steps->len < n_steps && planner.plan->n_calls + 2 < CHAOS_CALLS_MAX)
    {
      const guint n_before = planner.plan->steps->len;

      for (guint i = 0; i < 100 && planner.plan->steps->len == n_before; i++)
        plan_step (&planner);
      if (planner.plan->steps->len == n_before)
        break;
    }
  plan_ends (&planner);

  return planner.plan;
}

void
chaos_plan_free (ChaosPlan *self)
{
  g_array_unref (self->steps);
  g_free (self);
}
