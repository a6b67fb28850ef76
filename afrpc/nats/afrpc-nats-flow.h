/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Large messages to one receiver, one after the other, in parts: how much of each may be under way, what has arrived of it, and
 * what is sent again. No I/O and no lock: that is the link's. */
#pragma once

#include "nats/afrpc-nats-frame.h"
#include "nats/afrpc-nats-inbox.h"

G_BEGIN_DECLS

#define AFRPC_NATS_RECEIVED_NEVER G_MAXUINT64 /* who says so wants nothing of it */

/* A message with one frame. */
typedef struct
{
  gint ref_count;       /* atomic: of its flow, and of the thread that sends it */
  guint64 id;           /* of those to one receiver, in ascending order */
  char *reply;          /* (nullable) */
  AfrpcNatsFrameType type;
  guint flags;
  guint64 frame_id;
  GVariant *body;       /* (nullable) (owned): until there is the message */
  GBytes *message;      /* (nullable) (owned) */
  gboolean is_being_made; /* by a thread */
  gsize sent;           /* bytes of it */
  gsize received;       /* that have arrived, as the receiver says */
  gboolean was_whole;   /* its last part has been sent */
  gboolean was_resent;  /* parts have been sent again */
} AfrpcNatsTransfer;

typedef struct
{
  gint ref_count;       /* atomic */
  char *subject;
  AfrpcNatsInbox *inbox; /* (nullable) (owned) */
  guint64 sender;
  GQueue transfers;     /* (element-type AfrpcNatsTransfer) (owned): the first is under way */
  gsize window;         /* bytes that may be under way */
  gsize marker;         /* what the receiver is to have when it is known how long it takes; 0: not measured */
  gint64 marker_us;
  gint64 moved_us;      /* when something has arrived last, or has been sent while nothing was under way; not when it is sent again */
  gboolean is_awaited;  /* the receiver has to say something of what was sent since then */
  gint64 resend_from_us; /* the same, or when it was sent again last */
} AfrpcNatsFlow;

AfrpcNatsTransfer *afrpc_nats_transfer_ref      (AfrpcNatsTransfer  *self);
void               afrpc_nats_transfer_unref    (AfrpcNatsTransfer  *self);
GBytes            *afrpc_nats_transfer_make     (AfrpcNatsTransfer  *self,
                                                 guint64             sender);
GBytes            *afrpc_nats_transfer_new_part (AfrpcNatsTransfer  *self,
                                                 guint64             sender,
                                                 gsize               offset,
                                                 gsize               size);

AfrpcNatsFlow     *afrpc_nats_flow_new          (const char         *subject,
                                                 AfrpcNatsInbox     *inbox,
                                                 guint64             sender);
AfrpcNatsFlow     *afrpc_nats_flow_ref          (AfrpcNatsFlow      *self);
void               afrpc_nats_flow_unref        (AfrpcNatsFlow      *self);
void               afrpc_nats_flow_add          (AfrpcNatsFlow      *self,
                                                 guint64             id,
                                                 char               *reply,
                                                 AfrpcNatsFrameType  type,
                                                 guint               flags,
                                                 guint64             frame_id,
                                                 GVariant           *body);
guint64            afrpc_nats_flow_get_first    (const AfrpcNatsFlow *self);
gint64             afrpc_nats_flow_get_waiting_us (const AfrpcNatsFlow *self);
AfrpcNatsTransfer *afrpc_nats_flow_get_ready    (AfrpcNatsFlow      *self);
gsize              afrpc_nats_flow_begin_part   (AfrpcNatsFlow      *self,
                                                 AfrpcNatsTransfer  *transfer,
                                                 gsize               part_max,
                                                 gint64              now_us,
                                                 gsize              *offset);
gint64             afrpc_nats_flow_get_resend_us (const AfrpcNatsFlow *self);
void               afrpc_nats_flow_resend       (AfrpcNatsFlow      *self,
                                                 gint64              now_us);
void               afrpc_nats_flow_take_received (AfrpcNatsFlow     *self,
                                                 guint64             id,
                                                 guint64             n,
                                                 gint64              now_us);
gboolean           afrpc_nats_flow_stop         (AfrpcNatsFlow      *self,
                                                 guint64             id,
                                                 gboolean            is_refused);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcNatsTransfer, afrpc_nats_transfer_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcNatsFlow, afrpc_nats_flow_unref)

G_END_DECLS
