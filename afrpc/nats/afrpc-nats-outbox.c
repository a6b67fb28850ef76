/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-outbox.h"

#include <string.h>

#define BATCH_MAX (32u << 10) /* bytes: what is larger goes alone */

/* @subject, @reply_prefix: (transfer full); @inbox: (nullable): who is told what cannot be sent at all */
void
afrpc_nats_outbox_init (AfrpcNatsOutbox *self,
                        char            *subject,
                        char            *reply_prefix, /* (nullable) */
                        AfrpcNatsInbox  *inbox,
                        guint64          sender)
{
  memset (self, 0, sizeof *self);
  self->subject = subject;
  self->reply_prefix = reply_prefix;
  self->inbox = inbox != NULL ? afrpc_nats_inbox_ref (inbox) : NULL;
  self->sender = sender;
  self->serial = 1;
}

/* To one server, or one caller. @peer: its inbox; @own: that of who sends */
void
afrpc_nats_outbox_init_peer (AfrpcNatsOutbox *self,
                             const char      *peer,
                             const char      *own,
                             guint64          peer_id,
                             AfrpcNatsInbox  *inbox,
                             guint64          sender)
{
  afrpc_nats_outbox_init (self, g_strdup_printf ("%s.m", peer), g_strdup_printf ("%s.n.%" G_GINT64_MODIFIER "x.", own, peer_id),
                          inbox, sender);
  self->flow = afrpc_nats_flow_new (self->subject, inbox, sender);
}

/* What has not been flushed is not sent, nor is what is under way in parts. @link: (nullable) if there is no flow */
void
afrpc_nats_outbox_clear (AfrpcNatsOutbox *self,
                         AfrpcNatsLink   *link)
{
  if (self->flow != NULL)
    afrpc_nats_link_drop_flow (link, self->flow);
  g_clear_pointer (&self->flow, afrpc_nats_flow_unref);
  g_clear_pointer (&self->message, g_byte_array_unref);
  g_clear_pointer (&self->inbox, afrpc_nats_inbox_unref);
  g_clear_pointer (&self->subject, g_free);
  g_clear_pointer (&self->reply_prefix, g_free);
}

/* Returns: (transfer full) (nullable) */
static char *
new_reply (const AfrpcNatsOutbox *self)
{
  return self->reply_prefix != NULL ? g_strdup_printf ("%s%" G_GUINT64_FORMAT, self->reply_prefix, self->serial) : NULL;
}

/* Returns: the number of the first message that is under way in parts; 0 if none is */
guint64
afrpc_nats_outbox_get_first (AfrpcNatsOutbox *self,
                             AfrpcNatsLink   *link)
{
  guint64 first;

  if (!self->may_flow)
    return 0;

  first = afrpc_nats_link_get_first (link, self->flow);
  self->may_flow = first != 0;

  return first;
}

/* Whether a message with a call or what becomes of one has not arrived as a whole, as far as is known. */
gboolean
afrpc_nats_outbox_is_under_way (AfrpcNatsOutbox *self,
                                AfrpcNatsLink   *link,
                                guint64          serial)
{
  const guint64 first = afrpc_nats_outbox_get_first (self, link);

  return first != 0 && serial >= first;
}

/* What is said of calls is said in order. */
static gboolean
is_ordered (AfrpcNatsFrameType type)
{
  return type == AFRPC_NATS_CALL || type == AFRPC_NATS_PROGRESS || type == AFRPC_NATS_MARK || type == AFRPC_NATS_RESULT ||
         type == AFRPC_NATS_ERROR;
}

/* Whether there is no more room for @size bytes in the message that is being put together. */
static gboolean
is_full (AfrpcNatsOutbox *self,
         gsize            size,
         gsize            whole_max)
{
  return self->message != NULL && self->message->len + size > MIN (BATCH_MAX, whole_max - 2 * AFRPC_NATS_HEADER_SIZE);
}

/* Whether something is sent when that much is added, and not only when it is flushed. */
gboolean
afrpc_nats_outbox_sends_at_once (AfrpcNatsOutbox *self,
                                 AfrpcNatsLink   *link,
                                 gsize            size)
{
  const gsize whole_max = afrpc_nats_link_get_whole_max (link);

  return size + 3 * AFRPC_NATS_HEADER_SIZE > whole_max || is_full (self, size, whole_max) ||
         afrpc_nats_outbox_get_first (self, link) != 0;
}

/* @body: (nullable): a floating reference is consumed. Returns: the number of the message that it travels in */
guint64
afrpc_nats_outbox_add (AfrpcNatsOutbox    *self,
                       AfrpcNatsLink      *link,
                       AfrpcNatsFrameType  type,
                       guint               flags,
                       guint64             id,
                       GVariant           *body)
{
  const gsize size = body != NULL ? g_variant_get_size (body) : 0;
  const gsize whole_max = afrpc_nats_link_get_whole_max (link);

  if (self->flow != NULL &&
      (size + 3 * AFRPC_NATS_HEADER_SIZE > whole_max || (is_ordered (type) && afrpc_nats_outbox_get_first (self, link) != 0)))
    {
      afrpc_nats_outbox_flush (self, link);
      afrpc_nats_link_transfer (link, self->flow, self->serial, new_reply (self), type, flags, id, body);
      self->may_flow = TRUE;
      return self->serial++;
    }

  if (is_full (self, size, whole_max))
    afrpc_nats_outbox_flush (self, link);
  if (self->message == NULL)
    self->message = afrpc_nats_message_new (self->sender);
  afrpc_nats_message_add (self->message, type, flags, id, body);

  return self->serial;
}

/* See afrpc_nats_flow_stop(). Who has parts of it, and wants them, is told when it is flushed. */
gboolean
afrpc_nats_outbox_stop (AfrpcNatsOutbox *self,
                        AfrpcNatsLink   *link,
                        guint64          serial,
                        gboolean         is_refused)
{
  if (!afrpc_nats_outbox_is_under_way (self, link, serial))
    return FALSE;
  if (!is_refused)
    afrpc_nats_outbox_add (self, link, AFRPC_NATS_GIVEN_UP, 0, serial, NULL);

  return afrpc_nats_link_stop (link, self->flow, serial, is_refused);
}

void
afrpc_nats_outbox_flush (AfrpcNatsOutbox *self,
                         AfrpcNatsLink   *link)
{
  char *reply;

  if (self->message == NULL)
    return;

  reply = new_reply (self);
  self->serial++;
  afrpc_nats_link_publish (link, g_strdup (self->subject), reply, self->inbox,
                           g_byte_array_free_to_bytes (g_steal_pointer (&self->message)));
}
