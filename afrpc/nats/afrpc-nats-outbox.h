/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What goes to one subject: frames that are sent in one turn of the main loop travel in one message. What is large, and what may
 * not overtake that, goes in parts; anything else does not wait behind it. */
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
  AfrpcNatsFlow *flow; /* (nullable) (owned): to one receiver, who says what has arrived */
  gboolean may_flow;   /* something may be under way there */
} AfrpcNatsOutbox;

void     afrpc_nats_outbox_init          (AfrpcNatsOutbox    *self,
                                          char               *subject,
                                          char               *reply_prefix,
                                          AfrpcNatsInbox     *inbox,
                                          guint64             sender);
void     afrpc_nats_outbox_init_peer     (AfrpcNatsOutbox    *self,
                                          const char         *peer,
                                          const char         *own,
                                          guint64             peer_id,
                                          AfrpcNatsInbox     *inbox,
                                          guint64             sender);
void     afrpc_nats_outbox_clear         (AfrpcNatsOutbox    *self,
                                          AfrpcNatsLink      *link);
gboolean afrpc_nats_outbox_sends_at_once (AfrpcNatsOutbox    *self,
                                          AfrpcNatsLink      *link,
                                          gsize               size);
guint64  afrpc_nats_outbox_add           (AfrpcNatsOutbox    *self,
                                          AfrpcNatsLink      *link,
                                          AfrpcNatsFrameType  type,
                                          guint               flags,
                                          guint64             id,
                                          GVariant           *body);
void     afrpc_nats_outbox_flush         (AfrpcNatsOutbox    *self,
                                          AfrpcNatsLink      *link);
guint64  afrpc_nats_outbox_get_first     (AfrpcNatsOutbox    *self,
                                          AfrpcNatsLink      *link);
gboolean afrpc_nats_outbox_is_under_way  (AfrpcNatsOutbox    *self,
                                          AfrpcNatsLink      *link,
                                          guint64             serial);
gboolean afrpc_nats_outbox_stop          (AfrpcNatsOutbox    *self,
                                          AfrpcNatsLink      *link,
                                          guint64             serial,
                                          gboolean            is_refused);

G_END_DECLS
