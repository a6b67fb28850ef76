/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What arrives on threads of nats.c, for one object, which lives in one main context: a queue, a source that has it taken
 * there, one time at which something is to be done, and a way to wait for both without a main loop. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef enum
{
  AFRPC_NATS_ITEM_MESSAGE,
  AFRPC_NATS_ITEM_CHECKED,       /* a message that was checked by a thread: data is the values */
  AFRPC_NATS_ITEM_NO_RESPONDERS, /* nobody has got what was sent with the subject as its reply */
  AFRPC_NATS_ITEM_CONNECTED,     /* for the first time, or again */
  AFRPC_NATS_ITEM_DISCONNECTED,  /* for the moment: it is tried again and again */
  AFRPC_NATS_ITEM_FAILED,        /* there is no connection, and will be none */
  AFRPC_NATS_ITEM_CLOSED,        /* nothing is left of it */
  AFRPC_NATS_ITEM_ERROR,         /* something that does not end the connection */
  AFRPC_NATS_ITEM_FORBIDDEN,     /* NATS does not allow to publish or to subscribe to the subject; to whoever shares the connection */
  AFRPC_NATS_ITEM_UNSENT,        /* what has the subject as its reply cannot be sent */
  AFRPC_NATS_ITEM_PONG,          /* NATS has answered */
  AFRPC_NATS_ITEM_CANCEL,        /* somebody gives something up, which is data */
} AfrpcNatsItemKind;

typedef struct
{
  AfrpcNatsItemKind kind;
  guint tag;         /* of the subscription */
  char *subject;     /* (nullable) (owned) */
  char *reply;       /* (nullable) (owned): where who has sent it hears of it */
  GBytes *bytes;     /* (nullable) (owned) */
  GError *error;     /* (nullable) (owned) */
  gpointer data;     /* (nullable) (owned) */
  GDestroyNotify destroy;
  gint64 arrival_us; /* monotonic */
  guint64 sender;    /* of what was checked */
  guint64 number;    /* of the check */
  gboolean is_whole; /* it had come in parts */
  gboolean may_be_lost; /* where there are too many */
} AfrpcNatsItem;

#define AFRPC_NATS_EVENTS_MAX (32u << 20) /* bytes of events that wait for somebody; others are lost, and counted */

typedef struct
{
  void (*take)        (AfrpcNatsItem *item,
                       gpointer       data);
  void (*deadline)    (gpointer       data); /* the time has come, and everything that had arrived was taken */
  void (*before_wait) (gpointer       data); /* nothing is left to be taken: what is to be sent, is sent now */
  void (*tell)        (gpointer       data); /* what was taken may be told; not while somebody blocks */
} AfrpcNatsInboxFuncs;

typedef struct _AfrpcNatsInbox AfrpcNatsInbox;

AfrpcNatsItem  *afrpc_nats_item_new          (AfrpcNatsItemKind          kind,
                                              guint                      tag,
                                              const char                *subject);
AfrpcNatsItem  *afrpc_nats_item_copy         (const AfrpcNatsItem       *item);
void            afrpc_nats_item_free         (AfrpcNatsItem             *item);

AfrpcNatsInbox *afrpc_nats_inbox_new         (GMainContext              *context,
                                              const AfrpcNatsInboxFuncs *funcs,
                                              gpointer                   data);
AfrpcNatsInbox *afrpc_nats_inbox_ref         (AfrpcNatsInbox            *self);
void            afrpc_nats_inbox_unref       (AfrpcNatsInbox            *self);
void            afrpc_nats_inbox_close       (AfrpcNatsInbox            *self);
void            afrpc_nats_inbox_push        (AfrpcNatsInbox            *self,
                                              AfrpcNatsItem             *item);
void            afrpc_nats_inbox_arm         (AfrpcNatsInbox            *self,
                                              gint64                     time_us);
gboolean        afrpc_nats_inbox_is_blocking (AfrpcNatsInbox            *self);
void            afrpc_nats_inbox_block       (AfrpcNatsInbox            *self);
guint           afrpc_nats_inbox_get_n_lost  (AfrpcNatsInbox            *self);
void            afrpc_nats_inbox_wake        (AfrpcNatsInbox            *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcNatsItem, afrpc_nats_item_free)

G_END_DECLS
