/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the files of the server share: its clients, which are callers elsewhere, and their calls. */
#pragma once

#include "afrpc-nats-server.h"
#include "nats/afrpc-nats-caller-parts.h"

G_BEGIN_DECLS

typedef struct _AfrpcNatsClient AfrpcNatsClient;

/* A call of a client, until that knows its outcome. */
typedef struct
{
  GList link;              /* of its client's */
  GList stage;             /* of those that are not known to have been begun, or of those that are, and run */
  guint64 id;
  AfrpcNatsServer *server; /* (nullable): not once nobody wants it any more */
  AfrpcNatsClient *client; /* (nullable): likewise */
  AfrpcCall *call;         /* (nullable) (owned): while it runs */
  gint64 begin_us;
  guint n_before;          /* calls that ran when it was begun */
  gboolean is_started;
  gint64 started_us;       /* when that was seen */
  gboolean is_long;        /* it has run for longer than a moment since then */
  gboolean is_behind;      /* it waits behind such ones, and its caller was told */
  gboolean is_kept;        /* it was asked back, and may have been begun: it is not said to wait any more */
  gboolean is_latest;      /* of progress its caller wants only the latest, where it does not keep up */
  GVariant *latest;        /* (nullable) (owned): that for which there was no room */
  gboolean has_lost_progress; /* its caller wants all of it, and does not keep up: it fails */
  gboolean is_wanted_back; /* by its caller, for somebody else; it never was, nor will be, begun here */
  guint16 type;            /* of the outcome; 0: there is none yet */
  GVariant *outcome;       /* (nullable) (owned) */
  guint64 message;         /* in which that was sent last */
} AfrpcNatsServed;

struct _AfrpcNatsClient
{
  GList link;
  guint64 id;
  char *inbox;
  AfrpcNatsOutbox outbox;
  AfrpcNatsChunks chunks;
  GHashTable *by_id;       /* (element-type guint64 AfrpcNatsServed) (not owned) */
  GQueue calls;            /* (element-type AfrpcNatsServed): with and without an outcome */
  guint n_running;         /* of them, those without */
  gsize n_outcome_bytes;   /* of the others, what their outcomes take */
  guint n_behind;          /* of those that run, that it was told to wait behind others that take long */
  GHashTable *refused;     /* (element-type guint64): that were asked for and had not arrived: they are not begun any more */
  guint64 refused_below;   /* nor are those with a lower number: there were too many to remember each */
  GQueue refused_order;    /* (element-type guint64) (owned by refused) */
  guint credits;           /* calls that it may send */
  guint wanted;            /* calls that it would like to send besides */
  guint64 demand_id;
  guint64 last_id;         /* of the calls that have come, which come in ascending order */
  guint64 first_id;        /* calls with a lower number were made before it was known: they may have been here */
  guint64 size_max;        /* of results, bytes */
  guint64 progress_sent;   /* bytes of progress of its calls, in all */
  guint64 progress_marked; /* of them, those before the last mark */
  guint64 progress_told;   /* of them, those that its program has been told, as it says */
  gboolean is_asking;      /* it waits for an answer, be it that there is no room */
  guint n_granted;         /* in this turn */
  gint64 used_us;          /* when it has last been given a credit, or used one */
  gint64 heard_us;
  gboolean is_dirty;       /* something is to be sent, or granted */
  gint64 gone_us;          /* since when messages to it do not arrive; 0: they do */
};

typedef enum
{
  AFRPC_NATS_SERVER_NEW,
  AFRPC_NATS_SERVER_SERVING,
  AFRPC_NATS_SERVER_DRAINING,
  AFRPC_NATS_SERVER_OVER,
} AfrpcNatsServerState;

struct _AfrpcNatsServer
{
  GObject parent_instance;

  /* Properties */
  AfrpcNatsConnection *connection; /* construct-only */
  char *subject;                   /* construct-only */
  AfrpcCaller *caller;             /* construct-only */
  char *name;                      /* construct-only */
  guint64 max_message_size;        /* construct-only */
  guint beat_ms;                   /* construct-only */
  guint max_calls;                 /* 0: by what the caller has */
  guint caller_timeout_ms;
  guint64 progress_max;            /* bytes that were sent to one client, and not told there */

  guint64 id;
  char *inbox_subject;
  AfrpcNatsInbox *inbox;           /* (nullable) (owned) */
  GMainContext *context;           /* (owned) */
  guint subscriptions[3];
  AfrpcNatsServerState state;
  gboolean is_connected;
  gboolean was_connected;
  GError *failure;                 /* (nullable) */
  char *forbidden;                 /* (nullable): the subject of which was said last that nothing may be sent there */
  GQueue tasks;                    /* (element-type GTask): who wait for the end */
  gint64 drained_us;               /* when the last call had its outcome, while draining; 0: not yet */
  gulong signals[2];

  GHashTable *clients;             /* (element-type guint64 AfrpcNatsClient) (owned) */
  GQueue client_list;              /* (element-type AfrpcNatsClient): the same, who is to be served first at the head */
  GPtrArray *dirty;                /* (element-type AfrpcNatsClient): those to whom something is to be sent */
  AfrpcNatsOutbox events;
  guint n_events_lost;             /* of which has not been told */
  GQueue unstarted;                /* (element-type AfrpcNatsServed) */
  GQueue started;                  /* (element-type AfrpcNatsServed): that run, the first to be seen at the head */
  GQueue errors;                   /* (element-type GError): to be told */
  guint n_running;
  guint n_long;                    /* of them, those that have kept a worker for longer than a moment */
  guint n_credits;                 /* of all clients */
  guint n_wanting;                 /* clients that want some */
  double execution_us;             /* what a call takes a worker, on average; 0: not known */
  guint64 n_done;
  guint64 n_refused;
  gint64 beat_us;                  /* when to beat next */
};

/* clients */
void      afrpc_nats_server_init_clients  (AfrpcNatsServer        *self);
void      afrpc_nats_server_clear_clients (AfrpcNatsServer        *self);
AfrpcNatsClient *afrpc_nats_server_find_client (AfrpcNatsServer   *self,
                                           guint64                 id);
guint     afrpc_nats_server_get_n_workers (AfrpcNatsServer        *self);
guint     afrpc_nats_server_count_quick   (AfrpcNatsServer        *self);
void      afrpc_nats_server_take_demand   (AfrpcNatsServer        *self,
                                           guint64                 sender,
                                           const AfrpcNatsFrame   *frame,
                                           GVariant               *body,
                                           guint                   tag);
gboolean  afrpc_nats_server_use_room      (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client);
gboolean  afrpc_nats_server_keeps_credit  (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client);
void      afrpc_nats_server_share_out     (AfrpcNatsServer        *self);
void      afrpc_nats_server_flush         (AfrpcNatsServer        *self);
void      afrpc_nats_server_check_clients (AfrpcNatsServer        *self,
                                           gint64                  now_us);
void      afrpc_nats_server_take_no_responders (AfrpcNatsServer   *self,
                                           const char             *subject);
void      afrpc_nats_server_revoke_all    (AfrpcNatsServer        *self);
void      afrpc_nats_server_forget        (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client);
void      afrpc_nats_server_set_dirty     (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client);
guint64   afrpc_nats_server_add           (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client,
                                           AfrpcNatsFrameType      type,
                                           guint                   flags,
                                           guint64                 id,
                                           GVariant               *body);
/* calls */
void      afrpc_nats_server_take_call     (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client,
                                           const AfrpcNatsReader  *reader,
                                           const AfrpcNatsFrame   *frame);
void      afrpc_nats_server_take_cancel   (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client,
                                           guint64                 id);
void      afrpc_nats_server_take_recall   (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client,
                                           guint64                 id);
void      afrpc_nats_server_take_query    (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client,
                                           guint64                 id);
void      afrpc_nats_server_take_ack      (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client,
                                           guint64                 id);
void      afrpc_nats_server_take_told     (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client,
                                           guint64                 mark);
void      afrpc_nats_server_mark_untold   (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client);
void      afrpc_nats_server_resend        (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client);
void      afrpc_nats_server_drop_calls    (AfrpcNatsServer        *self,
                                           AfrpcNatsClient        *client);
void      afrpc_nats_server_check_started (AfrpcNatsServer        *self,
                                           gint64                  now_us);
/* the object */
void      afrpc_nats_server_give_up       (AfrpcNatsServer        *self,
                                           const GError           *error);
/* receive */
void      afrpc_nats_server_take_message  (AfrpcNatsServer        *self,
                                           AfrpcNatsItem          *item);
void      afrpc_nats_server_take_checked  (AfrpcNatsServer        *self,
                                           AfrpcNatsItem          *item);

static inline AfrpcNatsLink *
afrpc_nats_server_get_link (AfrpcNatsServer *self)
{
  return afrpc_nats_connection_get_link (self->connection);
}

G_END_DECLS
