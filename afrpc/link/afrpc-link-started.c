/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether the worker has started a call: when that is cancelled, and at the end. */
#include "config.h"

#include "link/afrpc-link.h"

/* Whether something of the message at @position was written to the worker that there is now, or was at the end: none of what
 * is kept for the next one was. */
gboolean
afrpc_link_has_written (const AfrpcLink *self,
                        guint64          position)
{
  if (self->is_gone)
    return position < self->written_to;

  return self->rest == NULL && afrpc_writer_has_written (&self->transport.writer, position);
}

/* Where the next message is going to be among all that is written. */
guint64
afrpc_link_get_position (const AfrpcLink *self)
{
  return afrpc_writer_get_position (&self->transport.writer);
}

/* Whether it is known that nothing of the message at @position was ever written: what is kept may have been, to one
 * before. */
gboolean
afrpc_link_is_unwritten (const AfrpcLink *self,
                         guint64          position)
{
  const gboolean is_known = self->is_gone ? self->written_to > 0 : self->rest == NULL;

  return is_known && !afrpc_link_has_written (self, position);
}

static AfrpcStarted
ask (const AfrpcLink *self,
     guint64          serial)
{
  const guint64 last = self->is_gone ? self->started_last : afrpc_transport_get_started (&self->transport);
  const gboolean knows = self->is_gone ? self->knows_started : afrpc_transport_knows_started (&self->transport);

  if (serial <= last)
    return AFRPC_STARTED_YES;

  return self->runs_nothing || knows ? AFRPC_STARTED_NO : AFRPC_STARTED_UNKNOWN;
}

/* Whether the worker has started the call. While it lives NO may not be true any more; after
 * afrpc_link_give_back() or afrpc_link_cancel() it is final, and what these have told is meant. Of a call that was never
 * made, or is not pending any more, it says nothing. */
AfrpcStarted
afrpc_link_get_started (const AfrpcLink *self,
                        guint64          serial)
{
  const AfrpcLinkSlot *slot = afrpc_link_find_slot ((AfrpcLink *) self, serial);

  if (slot != NULL ? !afrpc_link_has_written (self, slot->position) : serial >= self->unwritten_from)
    return AFRPC_STARTED_NO;

  return ask (self, serial);
}

/* Whether the worker owes its outcome, and that of no call that was made before. */
gboolean
afrpc_link_is_oldest (const AfrpcLink *self,
                      guint64          serial)
{
  return self->oldest != AFRPC_LINK_NO_SLOT && self->slots[self->oldest].serial == serial;
}

/* Whether a sync worker is known to have begun none of those that it owes, not even to say that it does not begin it. */
gboolean
afrpc_link_runs_nothing (const AfrpcLink *self)
{
  return self->oldest != AFRPC_LINK_NO_SLOT &&
         afrpc_link_get_started (self, self->slots[self->oldest].serial) == AFRPC_STARTED_NO;
}

/* What is known of the parts of a call that consists of some, and has no outcome from the worker: how many it has begun,
 * @n_begun (out), G_MAXUINT64 for all; it may go on if it lives.
 * Returns: (nullable) (transfer full): what the worker has saved of them */
GBytes *
afrpc_link_get_parts (const AfrpcLink *self,
                      guint64          serial,
                      guint64         *n_begun)
{
  GBytes *saved = NULL;
  guint64 last = self->started_last;

  if (!self->is_gone)
    {
      saved = afrpc_transport_copy_parts (&self->transport, serial, n_begun);
      last = afrpc_transport_get_started (&self->transport);
    }
  else
    {
      *n_begun = serial == last ? self->n_parts_begun : 0;
      if (serial == last && self->saved != NULL)
        saved = g_bytes_ref (self->saved);
    }

  /* It has begun another one since, and so answered this one before. */
  if (*n_begun == 0 && serial < last)
    *n_begun = G_MAXUINT64;

  return saved;
}

/* Has the worker not start a call that it has not started yet, if there is shared memory; NO is final then. */
AfrpcStarted
afrpc_link_revoke (AfrpcLink     *self,
                   AfrpcLinkSlot *slot)
{
  if (!afrpc_link_has_written (self, slot->position))
    return AFRPC_STARTED_NO;

  if (!self->is_gone)
    afrpc_transport_mark_cancelled (&self->transport, slot->serial);

  return ask (self, slot->serial);
}

static gboolean
call_moved (const AfrpcFrameHeader *header,
            guint64                 position,
            gpointer                data)
{
  AfrpcLinkSlot *slot = header->kind == AFRPC_FRAME_CALL ? afrpc_link_find_slot (data, header->serial) : NULL;

  if (slot != NULL)
    slot->position = position;

  return TRUE;
}

/* A call of which nothing is written is gone at once, with all that belongs to it. */
static gboolean
drop_unwritten (AfrpcLink     *self,
                AfrpcLinkSlot *slot)
{
  if (self->rest != NULL || !afrpc_writer_drop (&self->transport.writer, slot->position))
    return FALSE;

  afrpc_link_free_slot (self, slot);
  if (afrpc_writer_is_sparse (&self->transport.writer))
    afrpc_writer_compact (&self->transport.writer, call_moved, self);

  return TRUE;
}

/* Takes a call back that a sync worker has not started, and never will then: somebody else may have it. FALSE: it is
 * running, or cancelled, or nobody can tell: nothing has changed. */
gboolean
afrpc_link_take_back (AfrpcLink *self,
                      guint64    serial)
{
  AfrpcLinkSlot *slot = afrpc_link_find_slot (self, serial);

  if (slot == NULL || (slot->flags & AFRPC_LINK_SLOT_CANCELLED) != 0)
    return FALSE;
  if (drop_unwritten (self, slot))
    return TRUE;
  if (self->rest != NULL || self->is_async || !self->was_ready || !afrpc_transport_revoke (&self->transport, serial))
    return FALSE;

  slot->call.owner = NULL;
  slot->flags |= AFRPC_LINK_SLOT_REVOKED;

  return TRUE;
}

/* Calls that consist of many are made: each of their results may be as large as it would be by itself. */
void
afrpc_link_expect_parts (AfrpcLink *self)
{
  if (self->has_parts)
    return;

  self->has_parts = TRUE;
  if (self->state == AFRPC_LINK_READY)
    self->transport.reader.size_max += AFRPC_FRAME_PARTS_SIZE_MAX;
}

/* Has the worker begin no more of the many that a call consists of, which it has begun: it answers with those that it has
 * made by then. How many are begun is final afterwards; the last one of them may turn out not to be. FALSE: nothing has
 * changed, as it has begun none, say. */
gboolean
afrpc_link_cut (AfrpcLink *self,
                guint64    serial)
{
  AfrpcLinkSlot *slot = afrpc_link_find_slot (self, serial);

  if (slot == NULL || slot->call.owner == NULL || self->is_gone || !afrpc_transport_shares_state (&self->transport) ||
      (slot->flags & (AFRPC_LINK_SLOT_CANCELLED | AFRPC_LINK_SLOT_REVOKED)) != 0 ||
      ask (self, serial) != AFRPC_STARTED_YES)
    return FALSE;

  afrpc_transport_stop_parts (&self->transport, serial);
  slot->flags |= AFRPC_LINK_SLOT_REVOKED;

  return TRUE;
}

/* Tells the worker that nobody needs the outcome. A call of which nothing is written is gone at once, with all that
 * belongs to it: NO. Otherwise the worker still has to send its outcome, and until then it counts as pending.
 * Returns: whether the worker had started it: NO is final; UNKNOWN also if the call is not pending. */
AfrpcStarted
afrpc_link_cancel (AfrpcLink *self,
                   guint64    serial)
{
  const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_CANCEL, .serial = serial };
  AfrpcLinkSlot *slot = afrpc_link_find_slot (self, serial);

  if (slot == NULL)
    return AFRPC_STARTED_UNKNOWN;

  if (drop_unwritten (self, slot))
    return AFRPC_STARTED_NO;

  if ((slot->flags & AFRPC_LINK_SLOT_CANCELLED) == 0 && self->rest == NULL && !self->sending_ended &&
      (!afrpc_transport_shares_state (&self->transport) || self->is_async))
    afrpc_transport_put (&self->transport, &header, "");
  slot->flags |= AFRPC_LINK_SLOT_CANCELLED;

  return afrpc_link_revoke (self, slot);
}

/* Nothing arrives any more. What the worker owes is given back, one call at a time: there may be very many. */
void
afrpc_link_end (AfrpcLink *self)
{
  self->state = AFRPC_LINK_ENDED;
}

static void
give_back (AfrpcLink     *self,
           AfrpcLinkSlot *slot,
           AfrpcLinkSlot *given)
{
  if (!afrpc_link_has_written (self, slot->position))
    self->unwritten_from = MIN (self->unwritten_from, slot->serial);
  slot->started = afrpc_link_revoke (self, slot);
  *given = *slot;
}

/* After the end: whether somebody still waits for a call that was not given back. */
gboolean
afrpc_link_is_waited_for (AfrpcLink *self)
{
  AfrpcLinkSlot given;

  while (self->oldest != AFRPC_LINK_NO_SLOT && self->slots[self->oldest].call.owner == NULL)
    {
      give_back (self, &self->slots[self->oldest], &given);
      afrpc_link_free_slot (self, &self->slots[self->oldest]);
    }

  return self->oldest != AFRPC_LINK_NO_SLOT;
}

/* After the end: gives back the oldest call that somebody still waits for, and whether it was started. What the worker
 * has not started, should it live on, it is not going to start then, if there is shared memory. FALSE: there is none. */
gboolean
afrpc_link_give_back (AfrpcLink     *self,
                      AfrpcLinkSlot *slot)
{
  if (!afrpc_link_is_waited_for (self))
    {
      self->n_slots = self->first_free = 0;
      g_clear_pointer (&self->slots, g_free);
      return FALSE;
    }

  give_back (self, &self->slots[self->oldest], slot);
  afrpc_link_free_slot (self, &self->slots[self->oldest]);

  return TRUE;
}

/* The same for a certain call. @keeps: it is given back once more, when it is its turn. FALSE: it is not pending. */
gboolean
afrpc_link_give_back_one (AfrpcLink     *self,
                          guint64        serial,
                          gboolean       keeps,
                          AfrpcLinkSlot *slot)
{
  AfrpcLinkSlot *found = afrpc_link_find_slot (self, serial);

  if (found == NULL)
    return FALSE;

  give_back (self, found, slot);
  if (!keeps)
    afrpc_link_free_slot (self, found);

  return TRUE;
}

/* After the end: closes the connection; calls are still given back. @has_ended: the process is known to have. */
void
afrpc_link_let_go (AfrpcLink *self,
                   gboolean   has_ended)
{
  if (self->oldest == AFRPC_LINK_NO_SLOT)
    {
      afrpc_link_clear (self);
      return;
    }

  if (!has_ended && afrpc_transport_shares_state (&self->transport))
    for (guint32 i = self->oldest; i != AFRPC_LINK_NO_SLOT; i = self->slots[i].next)
      afrpc_link_revoke (self, &self->slots[i]);
  self->written_to = self->rest == NULL ? afrpc_writer_get_written (&self->transport.writer) : 0;
  self->started_last = afrpc_transport_get_started (&self->transport);
  self->saved = afrpc_transport_copy_parts (&self->transport, self->started_last, &self->n_parts_begun);
  self->knows_started = afrpc_transport_knows_started (&self->transport);
  self->is_gone = TRUE;
  afrpc_link_clear_connection (self);
}
