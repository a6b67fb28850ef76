/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the files of the caller share: its calls, the servers that it knows, and what is to be told. */
#pragma once

#include "afrpc-nats-caller.h"
#include "nats/afrpc-nats-chunks.h"
#include "nats/afrpc-nats-connection-private.h"
#include "nats/afrpc-nats-outbox.h"

G_BEGIN_DECLS

#define AFRPC_NATS_NEVER G_MAXINT64
#define AFRPC_NATS_RECONNECT_GRACE_US (5 * G_USEC_PER_SEC) /* others come back later */

typedef enum
{
  AFRPC_NATS_TAG_INBOX = 1,
  AFRPC_NATS_TAG_EVENTS,
  AFRPC_NATS_TAG_QUEUE,
  AFRPC_NATS_TAG_ALL,
} AfrpcNatsTag;

/* A server, as a caller knows it. */
typedef struct
{
  guint64 id;
  char *name;
  guint credits;          /* calls that it would take */
  GQueue calls;           /* (element-type AfrpcNatsCall): that were sent to it, and have no outcome */
  guint n_behind;         /* of them, those that it has said to wait there behind others that take long */
  GArray *acks;           /* (element-type guint64): outcomes that it has not been told of that they have arrived */
  AfrpcNatsOutbox outbox;
  AfrpcNatsChunks chunks;
  gint64 heard_us;        /* when something came from it; later than now while it need not say anything */
  gint64 query_us;        /* when to ask for its calls, if nothing comes before */
  gint64 probe_us;        /* since when it would be dead, if NATS answers; 0: it lives, for all that is known */
  gint64 burial_us;       /* when it is taken for dead: NATS has answered; 0: not yet */
  gboolean was_spared;    /* NATS has been silent itself, since when nothing was heard of it either */
  gint64 asked_us;        /* when it was asked whether it is there, as it has no calls; 0: since it was heard it was not */
  guint beat_ms;
  guint64 size_max;       /* of arguments, bytes */
  gboolean is_dirty;      /* something is to be sent */
} AfrpcNatsRemote;

typedef enum
{
  AFRPC_NATS_END_NONE,
  AFRPC_NATS_END_CANCELLED,
  AFRPC_NATS_END_TIMED_OUT,
} AfrpcNatsEnd;

/* A call without an outcome. */
typedef struct
{
  guint64 serial;          /* the order in which calls were made */
  GSequenceIter *place;    /* (nullable): in the queue */
  GList link;              /* of its server */
  AfrpcCall *call;         /* (owned) */
  GVariant *args;          /* (owned) */
  int priority;
  guint64 id;              /* of this attempt; 0 while it waits */
  AfrpcNatsRemote *remote; /* (nullable): who has it */
  gboolean is_behind;      /* it waits there behind others that take long */
  GSequenceIter *wanted;   /* (nullable): among those that do so, and that others may have */
  gboolean is_named_behind; /* and its server has said so since its last beat */
  gboolean is_recalled;    /* it was asked back, and there is no answer */
  gboolean is_recall_late; /* since when a beat has come */
  guint n_recalls;         /* how often it was asked back, wherever it was */
  guint64 message;         /* in which it was sent */
  gboolean is_in_parts;    /* and that in parts */
  gint64 begin_us;
  gint64 sent_us;
  AfrpcStarted started;    /* as far as is known, this time; once it is settled, in all */
  gboolean is_settled;     /* and its outcome waits to be told */
  AfrpcStarted before;     /* and the times before, at servers that have died */
  guint n_repeats;
  guint n_awaiting;        /* who block for it */
  AfrpcNatsEnd end;        /* the caller wants no more of it, and asks whether it was begun */
  gint64 end_us;           /* until when it waits for the answer */
  gint64 deadline_us;      /* or AFRPC_NATS_NEVER */
  GSequenceIter *timed;    /* (nullable): among those with deadlines */
  gboolean is_missed;      /* the last beat did not name it */
} AfrpcNatsCall;

typedef enum
{
  AFRPC_NATS_DEMAND_NONE,
  AFRPC_NATS_DEMAND_ASKED,    /* one of the servers */
  AFRPC_NATS_DEMAND_ASKED_ALL, /* and all of them, as one has not answered */
  AFRPC_NATS_DEMAND_ANSWERED, /* and it has not got room for all */
  AFRPC_NATS_DEMAND_SPREAD,   /* all servers know */
} AfrpcNatsDemand;

/* What is to be told, in order. */
typedef struct
{
  GList link;
  AfrpcNatsCall *settled;  /* (nullable) (owned): of which this is the outcome */
  AfrpcCall *call;         /* (nullable) (owned): of which this is progress */
  guint64 mark;            /* of a server that wants to hear when all before this was told; 0: it is none */
  guint64 server;          /* that has made it */
  GVariant *value;         /* (nullable) (owned): without a call, an event */
  GError *error;           /* (nullable) (owned) */
} AfrpcNatsNews;

typedef enum
{
  AFRPC_NATS_CALLER_OPEN,
  AFRPC_NATS_CALLER_CLOSING,
  AFRPC_NATS_CALLER_OVER,
} AfrpcNatsCallerState;

struct _AfrpcNatsCaller
{
  GObject parent_instance;

  /* Properties */
  AfrpcNatsConnection *connection; /* construct-only */
  char *subject;                   /* construct-only */
  guint64 max_message_size;        /* construct-only */
  gboolean listens;                /* construct-only */
  guint call_timeout_ms;           /* 0: none */
  guint max_calls_queued;
  guint max_repeats;
  guint no_servers_timeout_ms;

  guint64 id;
  char *inbox_subject;
  char *all_subject;
  char *events_subject;
  AfrpcNatsInbox *inbox;           /* (nullable) (owned) */
  GMainContext *context;           /* (owned) */
  GThread *home;                   /* (not owned): the thread that has used the context last; atomic */
  guint subscriptions[2];
  AfrpcNatsCallerState state;
  GError *failure;                 /* (nullable): why there is no connection any more */
  gboolean is_connected;
  gboolean was_connected;
  gint64 patience_us;              /* until when it is no error that nobody serves */
  gint64 ping_us;                  /* when NATS was asked whether it answers; 0: it is not asked */

  /* Calls */
  GSequence *queue;                /* (element-type AfrpcNatsCall) (not owned): at no server; by priority, then the oldest */
  guint64 last_serial;
  GSequence *behind;               /* (element-type AfrpcNatsCall) (not owned): in the same order, those that others may have */
  guint n_behind;                  /* of all servers */
  guint n_recalled;                /* that were asked back, and for which there is no answer */
  GHashTable *by_call;             /* (element-type AfrpcCall AfrpcNatsCall) (not owned): until they are told their outcomes */
  GHashTable *by_id;               /* (element-type guint64 AfrpcNatsCall) (not owned): those that were sent */
  GSequence *timed;                /* (element-type AfrpcNatsCall) (not owned): by deadline */
  guint64 last_id;
  GQueue news;                     /* (element-type AfrpcNatsNews) */
  gsize n_event_bytes;             /* of events in it */
  guint n_events_lost;             /* of which has not been told */

  /* Servers */
  GHashTable *remotes;             /* (element-type guint64 AfrpcNatsRemote) (owned) */
  GPtrArray *remote_list;          /* (element-type AfrpcNatsRemote): the same */
  GPtrArray *dirty;                /* (element-type AfrpcNatsRemote): those to which something is to be sent */
  guint n_credits;                 /* of all */
  AfrpcNatsOutbox queue_outbox;    /* to one of those who serve the subject */
  AfrpcNatsOutbox all_outbox;      /* to all */
  AfrpcNatsDemand demand;
  guint64 demand_id;
  guint n_demanded;
  gint64 demand_us;                /* when to ask again */
  gint64 spread_us;                /* when all were asked last for what waits at servers */
  gint64 unanswered_us;            /* since when nobody has answered; 0: nobody is asked, or somebody has */
  guint demand_ms;                 /* how long after that again */
};

/* calls */
void      afrpc_nats_caller_init_calls    (AfrpcNatsCaller   *self);
void      afrpc_nats_caller_clear_calls   (AfrpcNatsCaller   *self);
void      afrpc_nats_caller_enter         (AfrpcNatsCaller   *self,
                                           AfrpcCall         *call,
                                           GVariant          *args,
                                           AfrpcCallOptions  *options);
void      afrpc_nats_caller_send          (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record,
                                           AfrpcNatsRemote   *remote);
void      afrpc_nats_caller_requeue       (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record);
void      afrpc_nats_caller_settle        (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record,
                                           AfrpcStarted       started,
                                           GVariant          *value,
                                           GError            *error);
void      afrpc_nats_caller_settle_end    (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record,
                                           AfrpcStarted       started);
void      afrpc_nats_caller_end_call      (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record,
                                           AfrpcNatsEnd       end);
void      afrpc_nats_caller_cancel_call   (AfrpcNatsCaller   *self,
                                           AfrpcCall         *call);
AfrpcStarted afrpc_nats_caller_know_started (AfrpcNatsCaller *self,
                                           AfrpcCall         *call);
void      afrpc_nats_caller_fail_queued   (AfrpcNatsCaller   *self,
                                           const GError      *error);
void      afrpc_nats_caller_check_calls   (AfrpcNatsCaller   *self,
                                           gint64             now_us);
guint     afrpc_nats_caller_count_queued  (AfrpcNatsCaller   *self);
AfrpcNatsCall *afrpc_nats_caller_peek     (AfrpcNatsCaller   *self);
int       afrpc_nats_caller_compare_places (gconstpointer     a,
                                           gconstpointer      b,
                                           gpointer           data);
/* back */
void      afrpc_nats_caller_take_have     (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record,
                                           guint              flags);
void      afrpc_nats_caller_take_named    (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record);
void      afrpc_nats_caller_lose_recall   (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record);
void      afrpc_nats_caller_leave_behind  (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record);
guint     afrpc_nats_caller_count_behind  (AfrpcNatsCaller   *self);
void      afrpc_nats_caller_recall        (AfrpcNatsCaller   *self);
/* news */
void      afrpc_nats_caller_push_progress (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record,
                                           GVariant          *value);
void      afrpc_nats_caller_push_mark     (AfrpcNatsCaller   *self,
                                           AfrpcNatsRemote   *remote,
                                           guint64            mark);
void      afrpc_nats_caller_push_event    (AfrpcNatsCaller   *self,
                                           GVariant          *value);
void      afrpc_nats_caller_push_error    (AfrpcNatsCaller   *self,
                                           GError            *error);
void      afrpc_nats_caller_push_outcome  (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record,
                                           GVariant          *value,
                                           GError            *error);
void      afrpc_nats_caller_tell          (AfrpcNatsCaller   *self);
gboolean  afrpc_nats_caller_tell_awaited  (AfrpcNatsCaller   *self,
                                           AfrpcCall         *call);
/* remotes */
void      afrpc_nats_caller_init_remotes  (AfrpcNatsCaller   *self);
void      afrpc_nats_caller_clear_remotes (AfrpcNatsCaller   *self);
AfrpcNatsRemote *afrpc_nats_caller_find_remote (AfrpcNatsCaller *self,
                                           guint64            id);
void      afrpc_nats_caller_take_grant    (AfrpcNatsCaller   *self,
                                           guint64            sender,
                                           const AfrpcNatsFrame *frame,
                                           GVariant          *body);
void      afrpc_nats_caller_pump          (AfrpcNatsCaller   *self);
void      afrpc_nats_caller_flush         (AfrpcNatsCaller   *self);
void      afrpc_nats_caller_want_again    (AfrpcNatsCaller   *self);
void      afrpc_nats_caller_check_remotes (AfrpcNatsCaller   *self,
                                           gint64             now_us);
void      afrpc_nats_caller_take_no_responders (AfrpcNatsCaller *self,
                                           const char        *subject);
void      afrpc_nats_caller_set_dirty     (AfrpcNatsCaller   *self,
                                           AfrpcNatsRemote   *remote);
gboolean  afrpc_nats_caller_is_under_way  (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record);
void      afrpc_nats_caller_take_received (AfrpcNatsCaller   *self,
                                           AfrpcNatsRemote   *remote,
                                           guint64            message,
                                           guint64            n);
void      afrpc_nats_caller_take_pong     (AfrpcNatsCaller   *self);
gboolean  afrpc_nats_caller_take_unsaid   (AfrpcNatsCaller   *self,
                                           const char        *subject,
                                           const GError      *error);
void      afrpc_nats_caller_take_unsent   (AfrpcNatsCaller   *self,
                                           const char        *subject,
                                           const GError      *error);
void      afrpc_nats_caller_take_connected (AfrpcNatsCaller  *self);
void      afrpc_nats_caller_lose          (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record,
                                           GError            *error);
void      afrpc_nats_caller_give_back     (AfrpcNatsCaller   *self,
                                           AfrpcNatsCall     *record);
guint64   afrpc_nats_caller_say           (AfrpcNatsCaller   *self,
                                           AfrpcNatsRemote   *remote,
                                           AfrpcNatsFrameType type,
                                           guint              flags,
                                           guint64            id,
                                           GVariant          *body);
void      afrpc_nats_caller_set_heard     (AfrpcNatsRemote   *remote,
                                           gint64             time_us);
void      afrpc_nats_caller_set_credits   (AfrpcNatsCaller   *self,
                                           AfrpcNatsRemote   *remote,
                                           guint              credits);
void      afrpc_nats_caller_leave         (AfrpcNatsCaller   *self);
/* receive */
void      afrpc_nats_caller_take_message  (AfrpcNatsCaller   *self,
                                           AfrpcNatsItem     *item);
void      afrpc_nats_caller_take_checked  (AfrpcNatsCaller   *self,
                                           AfrpcNatsItem     *item);

static inline AfrpcNatsLink *
afrpc_nats_caller_get_link (AfrpcNatsCaller *self)
{
  return afrpc_nats_connection_get_link (self->connection);
}

/* Whether its connection is of the process that this one was forked from. */
static inline gboolean
afrpc_nats_caller_is_inherited (AfrpcNatsCaller *self)
{
  return afrpc_nats_link_is_inherited (afrpc_nats_caller_get_link (self));
}

G_END_DECLS
