/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What goes to one subject: frames that are sent in one turn of the main loop travel in one message. */
#pragma once

#include "nats/afrpc-nats-frame.h"
#include "nats/afrpc-nats-link.h"

G_BEGIN_DECLS

typedef struct
{
  char *subject;
  char *reply_prefix;  /* (nullable): where it is said that nobody has got a message, before its number */
  AfrpcNatsInbox *inbox; /* (nullable) (owned) */
  guint64 sender;
  guint64 serial;      /* of the message that is being put together */
  GByteArray *message; /* (nullable) */
} AfrpcNatsOutbox;

void    afrpc_nats_outbox_init  (AfrpcNatsOutbox    *self,
                                 char               *subject,
                                 char               *reply_prefix,
                                 AfrpcNatsInbox     *inbox,
                                 guint64             sender);
void    afrpc_nats_outbox_clear (AfrpcNatsOutbox    *self);
guint64 afrpc_nats_outbox_add   (AfrpcNatsOutbox    *self,
                                 AfrpcNatsLink      *link,
                                 AfrpcNatsFrameType  type,
                                 guint               flags,
                                 guint64             id,
                                 GVariant           *body);
void    afrpc_nats_outbox_flush (AfrpcNatsOutbox    *self,
                                 AfrpcNatsLink      *link);

G_END_DECLS
