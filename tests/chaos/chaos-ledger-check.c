/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library said, and what the workers wrote down: compared when a family has ended. */
#include "chaos.h"

/* The counts of a call whose worker may still be there can grow; but those who were told that a call was not started,
 * will never have it started. So this is looked at twice: now, and when no worker is left. */
static void
check_call (ChaosCall *call)
{
  const ChaosEntry *entry = &chaos.ledger->calls[call->id];
  const gboolean is_refused = call->cause == CHAOS_CAUSE_BUSY || call->cause == CHAOS_CAUSE_CLOSED ||
                              call->cause == CHAOS_CAUSE_WRONG;
  const gboolean has_run = call->cause == CHAOS_CAUSE_RESULT || call->cause == CHAOS_CAUSE_FUNCTION;

  if (entry->started > 1)
    chaos_fail (call->actor, "call %u was started %d times", call->index, entry->started);
  if (!call->is_made)
    {
      if (entry->started != 0)
        chaos_fail (call->actor, "call %u was started, and never made", call->index);
      return;
    }
  if (call->has_word && call->started == AFRPC_STARTED_NO && entry->started != 0)
    chaos_fail (call->actor, "call %u was started, and its error says that it was not", call->index);
  if (has_run && call->has_word && call->started != AFRPC_STARTED_YES)
    chaos_fail (call->actor, "call %u has a result, and is not said to be started", call->index);
  if (is_refused && call->has_word && call->started != AFRPC_STARTED_NO && call->cause != CHAOS_CAUSE_WRONG)
    chaos_fail (call->actor, "call %u was refused, and is not said to be not started", call->index);
  if (is_refused && entry->started != 0)
    chaos_fail (call->actor, "call %u was refused, and started", call->index);
  if ((call->is_cancelled_before || call->must_not_start) && entry->started != 0)
    chaos_fail (call->actor, "call %u was cancelled before it could start, and was started", call->index);
  if (has_run &&
      (entry->started != 1 || entry->finished != 1))
    chaos_fail (call->actor, "call %u has a result, and was started %d times, finished %d times", call->index,
                entry->started, entry->finished);
}

/* A worker that is killed may have told that it starts a call, and not have come to it: one call, and no other. One that
 * tells so and then sees that the call was cancelled does not run it either, which is as rare. */
static void
check_started (ChaosMember *member)
{
  guint n_lost = 0, n_given_up = 0, last_made_as = 0;
  gint last_order = 0;
  const ChaosCall *by_order[CHAOS_CALLS_MAX] = { NULL };

  for (guint i = 0; i < member->actor->plan->n_calls; i++)
    {
      const ChaosCall *call = &member->actor->calls[i];

      if (call->member != member || !call->is_made)
        continue;
      by_order[call->made_as] = call;
      if (!call->has_word || call->started != AFRPC_STARTED_YES || chaos.ledger->calls[call->id].started != 0 ||
          call->plan->kind == CHAOS_KIND_WRONG)
        continue;
      if (call->cause == CHAOS_CAUSE_CANCELLED || call->cause == CHAOS_CAUSE_TIMED_OUT)
        n_given_up++;
      else
        n_lost++;
    }
  if (n_lost > (member->may_die ? 1 : 0) || n_given_up > 2)
    chaos_fail (member->actor, "member %u: %u calls are said to be started, and were not; and %u that were given up",
                member->index, n_lost, n_given_up);

  for (guint i = 0; i < member->n_made; i++)
    {
      const gint order = by_order[i] != NULL ? chaos.ledger->calls[by_order[i]->id].order : 0;

      if (order == 0)
        continue;
      if (order < last_order)
        chaos_fail (member->actor, "member %u: the call that was made as number %u was started before number %u",
                    member->index, i, last_made_as);
      last_order = order;
      last_made_as = i;
    }
}

static void
check_member (ChaosMember *member)
{
  const ChaosSeat *seat = &chaos.ledger->seats[member->seat];
  const gboolean is_orderly = member->has_job && !member->may_die && seat->n_inits > 0;
  gint n_numbers = 0;

  check_started (member);
  if (seat->n_inits > 1)
    chaos_fail (member->actor, "member %u was started %d times", member->index, seat->n_inits);
  if (is_orderly && member->plan->has_done && seat->n_done != 1)
    chaos_fail (member->actor, "member %u ran its last function %d times", member->index, seat->n_done);

  for (guint i = 0; i < member->numbers->len; i++)
    n_numbers += member->numbers->data[i];
  if (is_orderly && !member->loses && !member->is_dropped && member->plan->max_message == 0 &&
      n_numbers != seat->n_made)
    chaos_fail (member->actor, "member %u: %d things arrived of %d", member->index, n_numbers, seat->n_made);
  if (n_numbers > seat->n_made)
    chaos_fail (member->actor, "member %u: %d things arrived, and %d were made", member->index, n_numbers, seat->n_made);
}

void
chaos_actor_check (ChaosActor *self)
{
  for (guint i = 0; i < self->plan->n_calls; i++)
    check_call (&self->calls[i]);
  for (guint i = 0; i < self->plan->n_members; i++)
    if (self->members[i].is_made)
      check_member (&self->members[i]);
}
