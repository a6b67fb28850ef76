/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A second start: for a process that was told everything before it was known to exist. */
#include "config.h"

#include "link/afrpc-link.h"

#include <fcntl.h>

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
  afrpc_stream_forget_kept (&self->stream);
}

/* There is no process at the other end: closes the connection. The caller prepares the next one, from the greeting on,
 * which is queued; calls and functions that were queued follow after afrpc_link_run(), in their order and with their
 * serials. Those that were cancelled do not. Until then there are no new calls.
 *
 * @may_exist: whether nobody can tell if there was a process. Then what was written counts as started, unless the page
 * says otherwise.
 * Returns: (element-type AfrpcLinkSlot) (transfer full): calls that may have been started, which are over for the link,
 * in the order in which they were made */
GArray *
afrpc_link_restart (AfrpcLink *self,
                    gboolean   may_exist)
{
  GArray *lost = g_array_new (FALSE, FALSE, sizeof (AfrpcLinkSlot));

  g_assert (self->keeps || self->rest != NULL);
  for (guint32 i = 0; i < self->n_slots; i++)
    {
      AfrpcLinkSlot *slot = &self->slots[i];

      if (slot->serial == 0)
        continue;
      slot->started = may_exist ? afrpc_link_revoke (self, slot) : AFRPC_STARTED_NO;
      if (slot->started == AFRPC_STARTED_NO && (slot->flags & AFRPC_LINK_SLOT_CANCELLED) == 0)
        continue;
      if (slot->call.owner != NULL)
        g_array_append_val (lost, *slot);
      afrpc_link_free_slot (self, slot);
    }
  afrpc_link_sort_slots (lost);

  if (self->rest == NULL)
    {
      self->rest = g_memdup2 (&self->stream, sizeof self->stream);
      afrpc_stream_init (&self->stream, -1, -1, TRUE);
    }
  else
    afrpc_stream_restart (&self->stream, -1);
  self->stream.in_guard = self->rest->in_guard;
  self->stream.size_max = AFRPC_FRAME_ANSWER_SIZE_MAX;
  /* A page belongs to one worker for ever: somebody may have it. */
  g_clear_pointer (&self->page, afrpc_page_unmap);
  self->state = AFRPC_LINK_GREETING;
  self->started = 0;
  self->pid = 0;
  self->goodbye_serial = 0;
  self->keeps = self->has_goodbye = self->was_ready = self->has_retired = FALSE;
  self->process_ended = self->has_eof = self->shut = self->is_deaf = self->adopted = FALSE;
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
  g_autofree AfrpcStream *rest = g_steal_pointer (&self->rest);

  afrpc_stream_put_rest (&self->stream, rest, rest_moved, self);
  afrpc_stream_clear (rest);
}

/* For a worker that never read anything: takes back what was sent, up to now, from @peer_fd, the other
 * end of the socket, and queues it again, with whatever @insert adds after the greeting. The sockets are
 * closed; the link is to be connected again. */
void
afrpc_link_replay (AfrpcLink *self,
                   int        peer_fd,
                   void     (*insert) (AfrpcLink *self, gpointer data),
                   gpointer   data)
{
  g_auto(AfrpcStream) sent = self->stream;
  g_auto(AfrpcStream) peer = { 0 };
  AfrpcStreamStep written, step;
  gboolean greeted = FALSE;

  afrpc_stream_init (&peer, peer_fd, peer_fd, TRUE);
  fcntl (peer_fd, F_SETFL, O_NONBLOCK);
  self->shut = FALSE;
  afrpc_stream_init (&self->stream, -1, -1, TRUE);
  self->stream.exact = sent.exact;
  self->stream.size_max = sent.size_max;

  do
    {
      AfrpcFrame frame;
      AfrpcLinkSlot *slot;

      written = afrpc_stream_flush (&sent, NULL);
      step = afrpc_stream_read (&peer, NULL);
      while (afrpc_stream_next (&peer, &frame, NULL) == AFRPC_STREAM_DONE)
        {
          int fds[AFRPC_FRAME_FDS_MAX];

          for (guint i = 0; i < frame.header.n_fds; i++)
            fds[i] = afrpc_stream_take_fd (&peer);
          slot = afrpc_link_find_slot (self, frame.header.serial);
          if (frame.header.kind == AFRPC_FRAME_CALL && slot != NULL)
            slot->position = afrpc_stream_get_position (&self->stream);
          afrpc_stream_put_frame (&self->stream, &frame, fds);
          if (!greeted)
            insert (self, data);
          greeted = TRUE;
        }
    }
  while (written == AFRPC_STREAM_AGAIN || step == AFRPC_STREAM_DONE);
}
