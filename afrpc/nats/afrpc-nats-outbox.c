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

/* What has not been flushed is not sent. */
void
afrpc_nats_outbox_clear (AfrpcNatsOutbox *self)
{
  g_clear_pointer (&self->message, g_byte_array_unref);
  g_clear_pointer (&self->inbox, afrpc_nats_inbox_unref);
  g_clear_pointer (&self->subject, g_free);
  g_clear_pointer (&self->reply_prefix, g_free);
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

  if (self->message != NULL && self->message->len + size > BATCH_MAX)
    afrpc_nats_outbox_flush (self, link);
  if (self->message == NULL)
    self->message = afrpc_nats_message_new (self->sender);
  afrpc_nats_message_add (self->message, type, flags, id, body);

  return self->serial;
}

void
afrpc_nats_outbox_flush (AfrpcNatsOutbox *self,
                         AfrpcNatsLink   *link)
{
  char *reply = NULL;

  if (self->message == NULL)
    return;

  if (self->reply_prefix != NULL)
    reply = g_strdup_printf ("%s%" G_GUINT64_FORMAT, self->reply_prefix, self->serial);
  self->serial++;
  afrpc_nats_link_publish (link, g_strdup (self->subject), reply, self->inbox, self->sender,
                           g_byte_array_free_to_bytes (g_steal_pointer (&self->message)));
}
