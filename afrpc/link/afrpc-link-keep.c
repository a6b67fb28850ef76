/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A second start: for a process that was told everything before it was known to exist. */
#include "config.h"

#include "link/afrpc-link.h"

/* Keeps the calls that it writes, from the first on, until the process is known to exist, or there is another. They
 * count for the limits like those that wait. */
void
afrpc_link_keep (AfrpcLink *self)
{
  g_assert (self->n_calls_made == 0 || self->rest != NULL);
  self->keeps = TRUE;
}

/* The process exists. */
void
afrpc_link_confirm (AfrpcLink *self)
{
  self->keeps = FALSE;
  afrpc_writer_forget_kept (&self->transport.writer);
}

/* Nobody ever had the other end. */
void
afrpc_link_rule_out (AfrpcLink *self)
{
  self->runs_nothing = TRUE;
}

/* There is no process at the other end: closes the connection. The caller prepares the next one, from the greeting on,
 * which is queued; calls and functions that were queued follow after afrpc_link_run(), in their order and with their
 * serials. Those that were cancelled do not. Until then there are no new calls.
 *
 * @may_exist: whether nobody can tell if there was a process. Then what was written counts as started, unless shared
 * memory says otherwise.
 * Returns: (element-type AfrpcLinkSlot) (transfer full): calls that may have been started, which are over for the link,
 * in the order in which they were made */
GArray *
afrpc_link_restart (AfrpcLink *self,
                    gboolean   may_exist)
{
  GArray *lost = g_array_new (FALSE, FALSE, sizeof (AfrpcLinkSlot));

  g_assert (self->keeps || self->rest != NULL);
  for (guint32 i = self->oldest, next; i != AFRPC_LINK_NO_SLOT; i = next)
    {
      AfrpcLinkSlot *slot = &self->slots[i];

      next = slot->next;
      slot->started = may_exist ? afrpc_link_revoke (self, slot) : AFRPC_STARTED_NO;
      if (slot->started == AFRPC_STARTED_NO && (slot->flags & AFRPC_LINK_SLOT_CANCELLED) == 0)
        continue;
      if (slot->call.owner != NULL)
        g_array_append_val (lost, *slot);
      afrpc_link_free_slot (self, slot);
    }

  if (self->rest == NULL)
    {
      self->rest = g_memdup2 (&self->transport.writer, sizeof self->transport.writer);
      afrpc_writer_init (&self->transport.writer, self->rest->flush_max);
    }
  /* What is shared belongs to one worker for ever: somebody may have it. */
  afrpc_transport_restart (&self->transport, -1);
  self->transport.reader.size_max = AFRPC_FRAME_ANSWER_SIZE_MAX;
  self->state = AFRPC_LINK_GREETING;
  self->keeps = self->was_ready = self->runs_nothing = self->has_retired = FALSE;
  self->sending_ended = self->is_deaf = self->adopted = self->holds_back = FALSE;
  self->greetings_left = 1;
  afrpc_link_greet (self);

  return lost;
}

static gboolean
rest_moved (const AfrpcFrameHeader *header,
            guint64                 position,
            gpointer                data)
{
  AfrpcLink *self = data;
  AfrpcLinkSlot *slot;

  if (header->kind != AFRPC_FRAME_CALL)
    return header->kind != AFRPC_FRAME_CANCEL;

  slot = afrpc_link_find_slot (self, header->serial);
  if (slot != NULL && (slot->flags & AFRPC_LINK_SLOT_CANCELLED) != 0)
    {
      afrpc_link_free_slot (self, slot);
      return FALSE;
    }
  if (slot != NULL)
    slot->position = position;

  return slot != NULL;
}

/* Queues what was kept, now that the next worker is told everything that has to come before it. */
void
afrpc_link_put_rest (AfrpcLink *self)
{
  g_autofree AfrpcWriter *rest = g_steal_pointer (&self->rest);

  afrpc_writer_put_rest (&self->transport.writer, rest, rest_moved, self);
  afrpc_writer_clear (rest);
}
