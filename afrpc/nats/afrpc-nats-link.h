/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One connection of nats.c, and the thread that makes all calls to it: connecting takes as long as it takes, and a write
 * waits for the network, so no thread of the program's may. What arrives is put into inboxes. Knows no GObject. */
#pragma once

#include "nats/afrpc-nats-inbox.h"
#include "nats/afrpc-nats-settings.h"

G_BEGIN_DECLS

typedef struct _AfrpcNatsLink AfrpcNatsLink;

AfrpcNatsLink *afrpc_nats_link_new         (const AfrpcNatsSettings *settings);
void           afrpc_nats_link_close       (AfrpcNatsLink           *self,
                                            AfrpcNatsInbox          *inbox);
void           afrpc_nats_link_unref       (AfrpcNatsLink           *self);

/* From any thread. */
guint          afrpc_nats_link_subscribe   (AfrpcNatsLink           *self,
                                            const char              *subject,
                                            const char              *queue,
                                            AfrpcNatsInbox          *inbox,
                                            guint                    tag);
void           afrpc_nats_link_unsubscribe (AfrpcNatsLink           *self,
                                            guint                    id);
void           afrpc_nats_link_watch       (AfrpcNatsLink           *self,
                                            AfrpcNatsInbox          *inbox);
void           afrpc_nats_link_unwatch     (AfrpcNatsLink           *self,
                                            AfrpcNatsInbox          *inbox);
void           afrpc_nats_link_publish     (AfrpcNatsLink           *self,
                                            char                    *subject,
                                            char                    *reply,
                                            AfrpcNatsInbox          *inbox,
                                            guint64                  sender,
                                            GBytes                  *bytes);
void           afrpc_nats_link_answer      (AfrpcNatsLink           *self,
                                            const AfrpcNatsItem     *item,
                                            guint64                  sender,
                                            GByteArray              *answer);
void           afrpc_nats_link_ping        (AfrpcNatsLink           *self,
                                            AfrpcNatsInbox          *inbox);
char          *afrpc_nats_link_dup_url     (AfrpcNatsLink           *self);

G_END_DECLS
