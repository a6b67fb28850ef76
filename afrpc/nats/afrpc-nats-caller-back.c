/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls that wait at a server behind others that take long: they are asked back where another one has room. */
#include "config.h"

#include "nats/afrpc-nats-caller-parts.h"

#define RECALLS_MAX 8u /* of one call, which then stays where it is */

static void
end_recall (AfrpcNatsCaller *self,
            AfrpcNatsCall   *record)
{
  self->n_recalled -= record->is_recalled;
  record->is_recalled = FALSE;
  record->is_recall_late = FALSE;
}

static void
want (AfrpcNatsCaller *self,
      AfrpcNatsCall   *record)
{
  if (record->n_recalls < RECALLS_MAX)
    record->wanted = g_sequence_insert_sorted (self->behind, record, afrpc_nats_caller_compare_places, NULL);
}

/* That it was asked back has not arrived, for all that is known. */
void
afrpc_nats_caller_lose_recall (AfrpcNatsCaller *self,
                               AfrpcNatsCall   *record)
{
  if (!record->is_recalled)
    return;
  end_recall (self, record);
  want (self, record);
}

/* Its server has it, and has not begun it. What it says last counts: without the flag the call does not wait behind others, or not
 * for anybody else. With it that is no answer to who has asked it back. */
void
afrpc_nats_caller_take_have (AfrpcNatsCaller *self,
                             AfrpcNatsCall   *record,
                             guint            flags)
{
  record->is_missed = FALSE;
  if (record->started == AFRPC_STARTED_YES || record->end != AFRPC_NATS_END_NONE)
    return;
  if ((flags & AFRPC_NATS_FLAG_BEHIND) == 0)
    {
      afrpc_nats_caller_leave_behind (self, record);
      return;
    }

  record->is_named_behind = TRUE;
  if (record->is_behind)
    return;
  record->is_behind = TRUE;
  record->remote->n_behind++;
  self->n_behind++;
  want (self, record);
}

/* A beat has it. Before that was said of it again that it waits behind others, if it does. */
void
afrpc_nats_caller_take_named (AfrpcNatsCaller *self,
                              AfrpcNatsCall   *record)
{
  afrpc_nats_caller_take_have (self, record, record->is_named_behind ? AFRPC_NATS_FLAG_BEHIND : 0);
  record->is_named_behind = FALSE;
  /* The first after it was asked back may have been under way. */
  if (record->is_recall_late)
    afrpc_nats_caller_lose_recall (self, record);
  record->is_recall_late = record->is_recalled;
}

/* It has been begun, or is at that server no more, or wanted no more. */
void
afrpc_nats_caller_leave_behind (AfrpcNatsCaller *self,
                                AfrpcNatsCall   *record)
{
  end_recall (self, record);
  g_clear_pointer (&record->wanted, g_sequence_remove);
  record->remote->n_behind -= record->is_behind;
  self->n_behind -= record->is_behind;
  record->is_behind = FALSE;
  record->is_named_behind = FALSE;
}

/* Returns: for how many of those that others may have there is no room known */
guint
afrpc_nats_caller_count_behind (AfrpcNatsCaller *self)
{
  return g_sequence_get_length (self->behind);
}

/* Returns: how many calls servers would take where none waits behind others */
static guint
count_free (AfrpcNatsCaller *self)
{
  guint n = 0;

  for (guint i = 0; i < self->remote_list->len; i++)
    {
      const AfrpcNatsRemote *remote = self->remote_list->pdata[i];

      if (remote->n_behind == 0)
        n += remote->credits;
    }

  return n - MIN (n, self->n_recalled);
}

/* Asks for as many as others have room for, but for what those get that wait here, and come before. */
void
afrpc_nats_caller_recall (AfrpcNatsCaller *self)
{
  GSequenceIter *queued = g_sequence_get_begin_iter (self->queue);
  guint n_free;

  if (afrpc_nats_caller_count_behind (self) == 0 || self->n_credits == 0)
    return;

  for (n_free = count_free (self); n_free > 0 && afrpc_nats_caller_count_behind (self) > 0; n_free--)
    {
      AfrpcNatsCall *record = g_sequence_get (g_sequence_get_begin_iter (self->behind));

      if (!g_sequence_iter_is_end (queued) && afrpc_nats_caller_compare_places (g_sequence_get (queued), record, NULL) < 0)
        {
          queued = g_sequence_iter_next (queued);
          continue;
        }
      g_clear_pointer (&record->wanted, g_sequence_remove);
      record->is_recalled = TRUE;
      record->n_recalls++;
      self->n_recalled++;
      afrpc_nats_caller_say (self, record->remote, AFRPC_NATS_RECALL, 0, record->id, NULL);
    }
}
