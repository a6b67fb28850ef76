/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a link consists of. For its files. */
#pragma once

#include "nats/afrpc-nats-link.h"
#include "nats/afrpc-nats-thread.h"

#include <nats/nats.h>

G_BEGIN_DECLS

#define AFRPC_NATS_WHOLE_MAX (64 << 10) /* bytes: what is larger goes in parts, between which other messages go */

typedef enum
{
  AFRPC_NATS_LINK_CONNECTING,
  AFRPC_NATS_LINK_CONNECTED,
  AFRPC_NATS_LINK_DISCONNECTED,
  AFRPC_NATS_LINK_FAILED,
} AfrpcNatsLinkState;

/* What a subscription of nats.c is, which may call back until it says that it is over. */
typedef struct
{
  guint id;
  guint tag;
  char *subject;
  char *queue;            /* (nullable) */
  AfrpcNatsInbox *inbox;  /* (owned) */
  gint *n_told;           /* (owned): the link's */
  gboolean may_lose;      /* what comes while there is too much already */
  natsSubscription *sub;  /* (nullable) (owned), of the thread */
  gint ref_count;         /* atomic: of the list, and of nats.c while it may call */
  guint64 ping;           /* once it has ended: when this one was answered, nats.c does not use it any more */
} AfrpcNatsSubscription;

typedef enum
{
  AFRPC_NATS_COMMAND_SUBSCRIBE,
  AFRPC_NATS_COMMAND_UNSUBSCRIBE,
  AFRPC_NATS_COMMAND_PUBLISH,
} AfrpcNatsCommandKind;

typedef struct
{
  AfrpcNatsCommandKind kind;
  AfrpcNatsSubscription *subscription; /* (owned) */
  guint id;
  char *subject;
  char *reply;           /* (nullable) */
  AfrpcNatsInbox *inbox; /* (nullable) (owned): who is told if it cannot be sent */
  GBytes *bytes;
} AfrpcNatsCommand;

/* What the thread does next. */
typedef struct
{
  AfrpcNatsCommand *command;   /* (nullable) (owned) */
  AfrpcNatsFlow *flow;         /* (nullable) (owned): of which the next part of */
  AfrpcNatsTransfer *transfer; /* (nullable) (owned) is sent */
} AfrpcNatsWork;

/* Who asked whether NATS answers. */
typedef struct
{
  AfrpcNatsInbox *inbox; /* (owned) */
  guint64 ping;
} AfrpcNatsPinging;

struct _AfrpcNatsLink
{
  gint ref_count;            /* atomic: of who made it, the thread, and nats.c while it may call */
  guint n_forks;             /* afrpc_nats_forks_get_n() where it was made */
  AfrpcNatsThread thread;
  AfrpcNatsSettings settings;

  GMutex lock;
  GCond cond;
  GQueue commands;           /* (element-type AfrpcNatsCommand) guarded by lock */
  AfrpcNatsLinkState state;              /* guarded by lock */
  gboolean is_closing;       /* guarded by lock */
  GError *error;             /* (nullable): why it has failed; guarded by lock */
  GPtrArray *watchers;       /* (element-type AfrpcNatsInbox) guarded by lock */
  guint last_id;             /* guarded by lock */
  char *url;                 /* (nullable): of the server; guarded by lock */
  guint n_active;            /* what there is of the thread and the connection of nats.c; guarded by lock */
  AfrpcNatsInbox *closing;   /* (nullable) (owned): who is told once there is nothing; guarded by lock */
  GCond ping_cond;
  guint64 ping_wanted;       /* the last that was asked for; guarded by lock */
  guint64 ping_answered;     /* the last that NATS has answered; guarded by lock */
  gboolean is_pinger_ending; /* guarded by lock */
  GArray *pinging;           /* (element-type AfrpcNatsPinging) guarded by lock */
  GPtrArray *flows;          /* (element-type AfrpcNatsFlow): in which something is under way; guarded by lock, as all of them */
  guint next_flow;           /* whose turn it is; guarded by lock */
  gint whole_max;            /* atomic: bytes of a message that goes at once */
  gint payload_max;          /* atomic: bytes of a message that NATS takes */
  gsize n_queued;            /* bytes of commands; guarded by lock */
  gint *n_told;              /* (owned), atomic: reconnections that whoever watches has been told of */

  /* Of the thread */
  natsConnection *connection; /* (nullable); of the pinger, too */
  GThread *pinger;            /* (nullable): waits for answers, from when somebody wants one */
  GPtrArray *subscriptions;   /* (element-type AfrpcNatsSubscription) */
  GPtrArray *ended;           /* (element-type AfrpcNatsSubscription): nats.c may be using them still */
};

void          afrpc_nats_link_begin_activity (AfrpcNatsLink     *self);
void          afrpc_nats_link_end_activity   (AfrpcNatsLink     *self);
void          afrpc_nats_link_set_state      (AfrpcNatsLink     *self,
                                              AfrpcNatsLinkState state,
                                              GError            *error);
gboolean      afrpc_nats_link_connect        (AfrpcNatsLink     *self);
gint          afrpc_nats_link_count_reconnects (natsConnection  *connection);
gpointer      afrpc_nats_link_thread         (gpointer           data);

void          afrpc_nats_command_free        (gpointer           data);
void          afrpc_nats_link_run_command    (AfrpcNatsLink     *self,
                                              AfrpcNatsCommand  *command);
natsStatus    afrpc_nats_link_publish_now    (AfrpcNatsLink     *self,
                                              const char        *subject,
                                              const char        *reply,
                                              GBytes            *message);
gboolean      afrpc_nats_link_is_refused     (natsStatus         status);
void          afrpc_nats_link_tell_unsent    (AfrpcNatsInbox    *inbox,
                                              const char        *subject,
                                              const char        *reply,
                                              natsStatus         status);
void          afrpc_nats_subscription_destroy (gpointer          data);
void          afrpc_nats_link_destroy_ended  (AfrpcNatsLink     *self,
                                              guint64            ping_answered);

gpointer      afrpc_nats_link_pinger_thread  (gpointer           data);
void          afrpc_nats_link_end_pinger     (AfrpcNatsLink     *self);
guint64       afrpc_nats_link_ping_locked    (AfrpcNatsLink     *self);
void          afrpc_nats_pinging_clear       (gpointer           data);

gboolean      afrpc_nats_link_take_flow_locked (AfrpcNatsLink   *self,
                                                AfrpcNatsWork   *work,
                                                gint64          *again_us);
void          afrpc_nats_link_run_transfer   (AfrpcNatsLink     *self,
                                              AfrpcNatsFlow     *flow,
                                              AfrpcNatsTransfer *transfer);

G_END_DECLS
