/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One connection of nats.c, and the thread that makes all calls to it: connecting takes as long as it takes, and a write
 * waits for the network, so no thread of the program's may. What arrives is put into inboxes. Knows no GObject. */
#pragma once

#include "nats/afrpc-nats-flow.h"
#include "nats/afrpc-nats-inbox.h"
#include "nats/afrpc-nats-settings.h"

G_BEGIN_DECLS

typedef struct _AfrpcNatsLink AfrpcNatsLink;

AfrpcNatsLink *afrpc_nats_link_new         (const AfrpcNatsSettings *settings);
void           afrpc_nats_link_close       (AfrpcNatsLink           *self,
                                            AfrpcNatsInbox          *inbox);
gboolean       afrpc_nats_link_is_inherited  (const AfrpcNatsLink *self);
void           afrpc_nats_link_unref       (AfrpcNatsLink           *self);

/* From any thread. */
guint          afrpc_nats_link_subscribe   (AfrpcNatsLink           *self,
                                            const char              *subject,
                                            const char              *queue,
                                            AfrpcNatsInbox          *inbox,
                                            guint                    tag,
                                            gboolean                 may_lose);
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
                                            GBytes                  *bytes);
void           afrpc_nats_link_answer      (AfrpcNatsLink           *self,
                                            const AfrpcNatsItem     *item,
                                            GByteArray              *answer);
void           afrpc_nats_link_ping        (AfrpcNatsLink           *self,
                                            AfrpcNatsInbox          *inbox);
gsize          afrpc_nats_link_get_payload_max (AfrpcNatsLink       *self);
gsize          afrpc_nats_link_get_queued  (AfrpcNatsLink           *self);
gsize          afrpc_nats_link_get_whole_max (AfrpcNatsLink         *self);
void           afrpc_nats_link_transfer    (AfrpcNatsLink           *self,
                                            AfrpcNatsFlow           *flow,
                                            guint64                  id,
                                            char                    *reply,
                                            AfrpcNatsFrameType       type,
                                            guint                    flags,
                                            guint64                  frame_id,
                                            GVariant                *body);
guint64        afrpc_nats_link_get_first   (AfrpcNatsLink           *self,
                                            AfrpcNatsFlow           *flow);
gint64         afrpc_nats_link_get_waiting_us (AfrpcNatsLink        *self,
                                            AfrpcNatsFlow           *flow,
                                            gint64                  *moved_us);
void           afrpc_nats_link_take_received (AfrpcNatsLink         *self,
                                            AfrpcNatsFlow           *flow,
                                            guint64                  id,
                                            guint64                  n);
gboolean       afrpc_nats_link_stop        (AfrpcNatsLink           *self,
                                            AfrpcNatsFlow           *flow,
                                            guint64                  id,
                                            gboolean                 is_refused);
void           afrpc_nats_link_drop_flow   (AfrpcNatsLink           *self,
                                            AfrpcNatsFlow           *flow);
char          *afrpc_nats_link_dup_url     (AfrpcNatsLink           *self);

G_END_DECLS
