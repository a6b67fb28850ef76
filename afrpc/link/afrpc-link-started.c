/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether the worker has started a call: when that is cancelled, and at the end. */
#include "config.h"

#include "link/afrpc-link.h"

/* Whether something of the call was written. */
gboolean
afrpc_link_is_written (const AfrpcLink     *self,
                       const AfrpcLinkSlot *slot)
{
  return self->rest == NULL && afrpc_writer_has_written (&self->transport.writer, slot->position);
}

static AfrpcStarted
ask (const AfrpcLink *self,
     guint64          serial)
{
  if (serial <= afrpc_transport_get_started (&self->transport))
    return AFRPC_STARTED_YES;

  return self->has_failed || afrpc_transport_knows_started (&self->transport) ? AFRPC_STARTED_NO : AFRPC_STARTED_UNKNOWN;
}

/* Whether the worker has started the call. While it lives NO may not be true any more; after afrpc_link_end() or
 * afrpc_link_cancel() it is final, and what these have returned is meant. Of a call that was never made, or is not
 * pending any more, it says nothing. */
AfrpcStarted
afrpc_link_get_started (const AfrpcLink *self,
                        guint64          serial)
{
  const AfrpcLinkSlot *slot = afrpc_link_find_slot ((AfrpcLink *) self, serial);

  if (slot != NULL ? !afrpc_link_is_written (self, slot) : serial >= self->unwritten_from)
    return AFRPC_STARTED_NO;

  return ask (self, serial);
}

/* Has the worker not start a call that it has not started yet, if there is shared memory; NO is final then. */
AfrpcStarted
afrpc_link_revoke (AfrpcLink     *self,
                   AfrpcLinkSlot *slot)
{
  if (!afrpc_link_is_written (self, slot))
    return AFRPC_STARTED_NO;

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

  if (self->rest == NULL && afrpc_writer_drop (&self->transport.writer, slot->position))
    {
      afrpc_link_free_slot (self, slot);
      if (afrpc_writer_is_sparse (&self->transport.writer))
        afrpc_writer_compact (&self->transport.writer, call_moved, self);
      return AFRPC_STARTED_NO;
    }

  if ((slot->flags & AFRPC_LINK_SLOT_CANCELLED) == 0 && self->rest == NULL && !self->sending_ended &&
      (!afrpc_transport_shares_state (&self->transport) || self->is_async))
    afrpc_transport_put (&self->transport, &header, "");
  slot->flags |= AFRPC_LINK_SLOT_CANCELLED;

  return afrpc_link_revoke (self, slot);
}

static int
compare_slots (gconstpointer a,
               gconstpointer b)
{
  const AfrpcLinkSlot *left = a, *right = b;

  return left->serial < right->serial ? -1 : left->serial > right->serial;
}

/* In the order in which the calls were made. */
void
afrpc_link_sort_slots (GArray *slots)
{
  g_array_sort (slots, compare_slots);
}

/* Nothing arrives any more. What the worker has not started, should it live on, it is not going to start, if there is
 * shared memory.
 * Returns: (element-type AfrpcLinkSlot) (transfer full): the calls that somebody still waits for, and whether they were
 * started, in the order in which they were made. */
GArray *
afrpc_link_end (AfrpcLink *self)
{
  GArray *pending = g_array_new (FALSE, FALSE, sizeof (AfrpcLinkSlot));

  self->state = AFRPC_LINK_ENDED;
  for (guint32 i = 0; i < self->n_slots; i++)
    {
      AfrpcLinkSlot *slot = &self->slots[i];

      if (slot->serial == 0)
        continue;
      if (!afrpc_link_is_written (self, slot))
        self->unwritten_from = MIN (self->unwritten_from, slot->serial);
      slot->started = afrpc_link_revoke (self, slot);
      if (slot->call.owner != NULL)
        g_array_append_val (pending, *slot);
    }
  afrpc_link_sort_slots (pending);

  self->n_pending = 0;
  self->n_slots = self->first_free = 0;
  g_clear_pointer (&self->slots, g_free);

  return pending;
}
