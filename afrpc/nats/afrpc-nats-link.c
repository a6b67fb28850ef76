/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-link.h"

#include "nats/afrpc-nats-chunks.h"
#include "nats/afrpc-nats-thread.h"

#include <afrpc/afrpc.h>
#include <nats/nats.h>
#include <string.h>

#define RECONNECT_MS_FIRST 25
#define RECONNECT_MS_MAX 1000
#define PING_INTERVAL_MS 5000 /* a dead network is noticed after two that are not answered */
#define PINGS_OUT_MAX 2
#define WRITE_DEADLINE_MS 10000
#define PING_TIMEOUT_MS 60000 /* before which nats.c has given up the connection */
#define PING_AGAIN_US 20000
#define MAKERS_MAX 2 /* threads */
#define WHOLE_MAX (64 << 10) /* bytes: what is larger goes in parts, between which other messages go */

typedef enum
{
  STATE_CONNECTING,
  STATE_CONNECTED,
  STATE_DISCONNECTED,
  STATE_FAILED,
} State;

/* What a subscription of nats.c is, which may call back until it says that it is over. */
typedef struct
{
  guint id;
  guint tag;
  char *subject;
  char *queue;            /* (nullable) */
  AfrpcNatsInbox *inbox;  /* (owned) */
  gboolean may_lose;      /* what comes while there is too much already */
  natsSubscription *sub;  /* (nullable) (owned), of the thread */
  gint ref_count;         /* atomic: of the list, and of nats.c while it may call */
  guint64 ping;           /* once it has ended: when this one was answered, nats.c does not use it any more */
} Subscription;

typedef enum
{
  COMMAND_SUBSCRIBE,
  COMMAND_UNSUBSCRIBE,
  COMMAND_PUBLISH,
} CommandKind;

typedef struct
{
  CommandKind kind;
  Subscription *subscription; /* (owned) */
  guint id;
  char *subject;
  char *reply;           /* (nullable) */
  AfrpcNatsInbox *inbox; /* (nullable) (owned): who is told if it cannot be sent */
  GBytes *bytes;
} Command;

/* What the thread does next. */
typedef struct
{
  Command *command;            /* (nullable) (owned) */
  AfrpcNatsFlow *flow;         /* (nullable) (owned): of which the next part of */
  AfrpcNatsTransfer *transfer; /* (nullable) (owned) is sent */
} Work;

/* Who asked whether NATS answers. */
typedef struct
{
  AfrpcNatsInbox *inbox; /* (owned) */
  guint64 ping;
} Pinging;

struct _AfrpcNatsLink
{
  gint ref_count;            /* atomic: of who made it, the thread, and nats.c while it may call */
  AfrpcNatsThread thread;
  AfrpcNatsSettings settings;

  GMutex lock;
  GCond cond;
  GQueue commands;           /* (element-type Command) guarded by lock */
  State state;               /* guarded by lock */
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
  GArray *pinging;           /* (element-type Pinging) guarded by lock */
  GPtrArray *flows;          /* (element-type AfrpcNatsFlow): in which something is under way; guarded by lock, as all of them */
  guint next_flow;           /* whose turn it is; guarded by lock */
  gint whole_max;            /* atomic: bytes of a message that goes at once */
  gint payload_max;          /* atomic: bytes of a message that NATS takes */
  gsize n_queued;            /* bytes of commands; guarded by lock */

  /* Of the thread */
  natsConnection *connection; /* (nullable); of the pinger, too */
  GThread *pinger;            /* (nullable): waits for answers, from when somebody wants one */
  GPtrArray *subscriptions;   /* (element-type Subscription) */
  GPtrArray *ended;           /* (element-type Subscription): nats.c may be using them still */
};

/* Lifetimes */

static void
subscription_unref (gpointer data)
{
  Subscription *self = data;

  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  afrpc_nats_inbox_unref (self->inbox);
  g_free (self->subject);
  g_free (self->queue);
  g_free (self);
}

static void
command_free (gpointer data)
{
  Command *self = data;

  g_clear_pointer (&self->subscription, subscription_unref);
  g_free (self->subject);
  g_free (self->reply);
  g_clear_pointer (&self->inbox, afrpc_nats_inbox_unref);
  g_clear_pointer (&self->bytes, g_bytes_unref);
  g_free (self);
}

void
afrpc_nats_link_unref (AfrpcNatsLink *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  g_clear_pointer (&self->closing, afrpc_nats_inbox_unref);
  g_queue_clear_full (&self->commands, command_free);
  g_ptr_array_unref (self->watchers);
  g_ptr_array_unref (self->subscriptions);
  g_ptr_array_unref (self->ended);
  g_array_unref (self->pinging);
  g_ptr_array_unref (self->flows);
  afrpc_nats_settings_clear (&self->settings);
  g_clear_error (&self->error);
  g_free (self->url);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_cond_clear (&self->ping_cond);
  g_free (self);
}

static void
begin_activity (AfrpcNatsLink *self)
{
  g_atomic_int_inc (&self->ref_count);
  g_mutex_lock (&self->lock);
  self->n_active++;
  g_mutex_unlock (&self->lock);
}

static void
tell_closed_locked (AfrpcNatsLink *self)
{
  if (self->n_active == 0 && self->closing != NULL)
    afrpc_nats_inbox_push (self->closing, afrpc_nats_item_new (AFRPC_NATS_ITEM_CLOSED, 0, NULL));
}

static void
end_activity (AfrpcNatsLink *self)
{
  g_mutex_lock (&self->lock);
  self->n_active--;
  tell_closed_locked (self);
  g_mutex_unlock (&self->lock);
  afrpc_nats_link_unref (self);
}

/* States */

static AfrpcNatsItem *
new_state_item (AfrpcNatsLink *self)
{
  static const AfrpcNatsItemKind kinds[] = {
    [STATE_CONNECTED] = AFRPC_NATS_ITEM_CONNECTED,
    [STATE_DISCONNECTED] = AFRPC_NATS_ITEM_DISCONNECTED,
    [STATE_FAILED] = AFRPC_NATS_ITEM_FAILED,
  };
  AfrpcNatsItem *item = afrpc_nats_item_new (kinds[self->state], 0, self->url);

  item->error = self->error != NULL ? g_error_copy (self->error) : NULL;

  return item;
}

/* Tells everybody, from whichever thread. @error: (nullable) (transfer full) */
static void
set_state (AfrpcNatsLink *self,
           State          state,
           GError        *error)
{
  g_mutex_lock (&self->lock);
  if (self->state == STATE_FAILED || self->is_closing || self->state == state)
    {
      g_mutex_unlock (&self->lock);
      g_clear_error (&error);
      return;
    }
  g_debug ("nats: state %d", state);
  self->state = state;
  /* What was under way may have been lost. */
  for (guint i = 0; state == STATE_CONNECTED && i < self->flows->len; i++)
    afrpc_nats_flow_resend (self->flows->pdata[i], g_get_monotonic_time ());
  g_clear_error (&self->error);
  self->error = error;
  for (guint i = 0; i < self->watchers->len; i++)
    afrpc_nats_inbox_push (self->watchers->pdata[i], new_state_item (self));
  g_cond_signal (&self->cond);
  g_cond_signal (&self->ping_cond);
  g_mutex_unlock (&self->lock);
}

static void
set_server (AfrpcNatsLink  *self,
            natsConnection *connection)
{
  char url[512] = "";
  const gint64 payload_max = natsConnection_GetMaxPayload (connection);

  g_atomic_int_set (&self->payload_max, payload_max > 0 ? (gint) MIN (payload_max, G_MAXINT) : 1 << 20);
  g_atomic_int_set (&self->whole_max, payload_max > 0 ? (gint) MIN (payload_max, WHOLE_MAX) : WHOLE_MAX);
  if (natsConnection_GetConnectedUrl (connection, url, sizeof url) != NATS_OK)
    return;

  g_mutex_lock (&self->lock);
  g_free (self->url);
  self->url = afrpc_nats_url_hide (url);
  g_mutex_unlock (&self->lock);
}

static GError *
new_error (AfrpcNatsLink *self,
           const char    *what,
           natsStatus     status)
{
  g_autofree char *servers = afrpc_nats_settings_describe (&self->settings);
  natsStatus last = NATS_OK;
  const char *why = nats_GetLastError (&last);
  const char *text = natsStatus_GetText (status);
  const char *place = why != NULL && why[0] == '(' ? strstr (why, "): ") : NULL;

  /* Where in nats.c that was is of no use here. */
  if (place != NULL)
    why = place + 3;
  if (why != NULL && why[0] != '\0' && last == status && !g_str_equal (why, text))
    {
      g_autofree char *hidden = afrpc_nats_settings_hide (&self->settings, why);

      return g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE, "%s %s: %s: %s", what, servers, text, hidden);
    }

  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE, "%s %s: %s", what, servers, text);
}

/* Returns: (transfer full): why @connection has failed, or "", after a colon */
static char *
dup_reason (AfrpcNatsLink  *self,
            natsConnection *connection)
{
  const char *why = NULL;
  g_autofree char *hidden = NULL;

  (void) natsConnection_GetLastError (connection, &why);
  if (why == NULL || why[0] == '\0')
    return g_strdup ("");

  hidden = afrpc_nats_settings_hide (&self->settings, why);

  return g_strconcat (": ", hidden, NULL);
}

/* From threads of nats.c */

static void
disconnected_cb (natsConnection *connection,
                 void           *data)
{
  set_state (data, STATE_DISCONNECTED, NULL);
}

/* It has just been connected. */
static void
take_connection (AfrpcNatsLink  *self,
                 natsConnection *connection)
{
  const gint64 payload_max = natsConnection_GetMaxPayload (connection);

  set_server (self, connection);
  if (payload_max > 0 && payload_max < AFRPC_NATS_PAYLOAD_MIN)
    set_state (self, STATE_FAILED,
               g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE,
                            "%s takes messages of %" G_GINT64_FORMAT " bytes; %u are needed (max_payload)", self->url, payload_max,
                            AFRPC_NATS_PAYLOAD_MIN));
  else
    set_state (self, STATE_CONNECTED, NULL);
}

static void
reconnected_cb (natsConnection *connection,
                void           *data)
{
  take_connection (data, connection);
}

/* The last that is called. */
static void
closed_cb (natsConnection *connection,
           void           *data)
{
  AfrpcNatsLink *self = data;
  g_autofree char *servers = afrpc_nats_settings_describe (&self->settings);
  g_autofree char *why = dup_reason (self, connection);

  set_state (self, STATE_FAILED,
             g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE, "the connection to %s was closed%s", servers, why));
  end_activity (self);
}

/* Returns: (transfer full): what @connection, or else @self, says of what has just happened */
static char *
dup_problem (AfrpcNatsLink  *self,
             natsConnection *connection,
             natsStatus      status)
{
  natsStatus last = NATS_OK;
  const char *why = nats_GetLastError (&last);
  g_autofree char *own = NULL;

  /* nats.c sets that for who is called; the connection may have had another error since. */
  if (why == NULL || why[0] == '\0' || last != status)
    return dup_reason (self, connection);

  own = afrpc_nats_settings_hide (&self->settings, why);

  return g_strconcat (": ", own, NULL);
}

/* Returns: (transfer full) (nullable): the subject in what NATS says of permissions */
static char *
dup_quoted (const char *text)
{
  const char *begin = strchr (text, '"');
  const char *end = begin != NULL ? strchr (begin + 1, '"') : NULL;

  return end != NULL ? g_strndup (begin + 1, end - begin - 1) : NULL;
}

static void
error_cb (natsConnection   *connection,
          natsSubscription *subscription,
          natsStatus        status,
          void             *data)
{
  AfrpcNatsLink *self = data;
  const gboolean is_forbidden = status == NATS_NOT_PERMITTED;
  g_autofree char *why = dup_problem (self, connection, status);
  g_autofree char *subject = is_forbidden ? dup_quoted (why) : NULL;
  g_autoptr(GError) error = g_error_new (AFRPC_ERROR, is_forbidden ? AFRPC_ERROR_UNREACHABLE : AFRPC_ERROR_FAILED, "NATS: %s%s",
                                         natsStatus_GetText (status), why);

  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->watchers->len; i++)
    {
      AfrpcNatsItem *item = afrpc_nats_item_new (subject != NULL ? AFRPC_NATS_ITEM_FORBIDDEN : AFRPC_NATS_ITEM_ERROR, 0, subject);

      item->error = g_error_copy (error);
      afrpc_nats_inbox_push (self->watchers->pdata[i], item);
    }
  g_mutex_unlock (&self->lock);
}

static int64_t
reconnect_delay_cb (natsConnection *connection,
                    int             attempts,
                    void           *data)
{
  const gint64 ms = MIN (RECONNECT_MS_FIRST << MIN (attempts, 10), RECONNECT_MS_MAX);

  return ms / 2 + g_random_int_range (0, ms / 2 + 1);
}

static void
message_cb (natsConnection   *connection,
            natsSubscription *sub,
            natsMsg          *message,
            void             *data)
{
  Subscription *self = data;
  const gboolean has_none = natsMsg_IsNoResponders (message);
  AfrpcNatsItem *item = afrpc_nats_item_new (has_none ? AFRPC_NATS_ITEM_NO_RESPONDERS : AFRPC_NATS_ITEM_MESSAGE, self->tag,
                                             natsMsg_GetSubject (message));

  /* A copy is aligned, and nobody has to give it back on a certain thread. */
  if (!has_none)
    {
      item->reply = g_strdup (natsMsg_GetReply (message));
      item->bytes = g_bytes_new (natsMsg_GetData (message), natsMsg_GetDataLength (message));
      item->may_be_lost = self->may_lose;
    }
  natsMsg_Destroy (message);
  afrpc_nats_inbox_push (self->inbox, item);
}

static void
completed_cb (void *data)
{
  subscription_unref (data);
}

/* The pinger: an answer of NATS means that all was read before that it had sent until then. */

static void
pinging_clear (gpointer data)
{
  afrpc_nats_inbox_unref (((Pinging *) data)->inbox);
}

static void
take_answer_locked (AfrpcNatsLink *self,
                    guint64        ping)
{
  self->ping_answered = ping;
  for (guint i = 0; i < self->pinging->len;)
    {
      Pinging *pinging = &g_array_index (self->pinging, Pinging, i);

      if (pinging->ping > ping)
        {
          i++;
          continue;
        }
      afrpc_nats_inbox_push (pinging->inbox, afrpc_nats_item_new (AFRPC_NATS_ITEM_PONG, 0, NULL));
      g_array_remove_index_fast (self->pinging, i);
    }
  g_cond_signal (&self->cond);
}

static gpointer
pinger_thread (gpointer data)
{
  AfrpcNatsLink *self = data;

  g_mutex_lock (&self->lock);
  while (!self->is_pinger_ending)
    {
      const guint64 ping = self->ping_wanted;
      natsStatus status;

      if (ping == self->ping_answered || self->state != STATE_CONNECTED)
        {
          g_cond_wait (&self->ping_cond, &self->lock);
          continue;
        }
      g_mutex_unlock (&self->lock);
      status = natsConnection_FlushTimeout (self->connection, PING_TIMEOUT_MS);
      g_mutex_lock (&self->lock);
      if (status == NATS_OK)
        take_answer_locked (self, ping);
      /* The connection is lost, which will be said soon. */
      else if (!self->is_pinger_ending)
        g_cond_wait_until (&self->ping_cond, &self->lock, g_get_monotonic_time () + PING_AGAIN_US);
    }
  g_mutex_unlock (&self->lock);
  nats_ReleaseThreadMemory ();

  return NULL;
}

static void
end_pinger (AfrpcNatsLink *self)
{
  if (self->pinger == NULL)
    return;

  g_mutex_lock (&self->lock);
  self->is_pinger_ending = TRUE;
  g_cond_signal (&self->ping_cond);
  g_mutex_unlock (&self->lock);
  g_thread_join (g_steal_pointer (&self->pinger));
}

static guint64
ping_locked (AfrpcNatsLink *self)
{
  g_cond_signal (&self->ping_cond);

  return ++self->ping_wanted;
}

/* The thread */

static natsStatus
apply_rest (AfrpcNatsLink *self,
            natsOptions   *options)
{
  natsStatus status = natsOptions_SetAllowReconnect (options, true);

  if (status == NATS_OK)
    status = natsOptions_SetMaxReconnect (options, G_MAXINT);
  if (status == NATS_OK)
    status = natsOptions_SetReconnectWait (options, 0);
  if (status == NATS_OK)
    status = natsOptions_SetCustomReconnectDelay (options, reconnect_delay_cb, self);
  if (status == NATS_OK)
    status = natsOptions_SetPingInterval (options, PING_INTERVAL_MS);
  if (status == NATS_OK)
    status = natsOptions_SetMaxPingsOut (options, PINGS_OUT_MAX);
  if (status == NATS_OK)
    status = natsOptions_SetWriteDeadline (options, WRITE_DEADLINE_MS);
  /* What is sent together goes together already. */
  if (status == NATS_OK)
    status = natsOptions_SetSendAsap (options, true);
  if (status == NATS_OK)
    status = natsOptions_SetDisconnectedCB (options, disconnected_cb, self);
  if (status == NATS_OK)
    status = natsOptions_SetReconnectedCB (options, reconnected_cb, self);
  if (status == NATS_OK)
    status = natsOptions_SetClosedCB (options, closed_cb, self);
  if (status == NATS_OK)
    status = natsOptions_SetErrorHandler (options, error_cb, self);

  return status;
}

/* FALSE: there is no connection. */
static gboolean
link_connect (AfrpcNatsLink *self)
{
  natsOptions *options = NULL;
  GError *error = NULL;
  natsStatus status;

  if (!afrpc_nats_settings_check (&self->settings, &error))
    {
      set_state (self, STATE_FAILED, error);
      return FALSE;
    }

  status = natsOptions_Create (&options);
  afrpc_nats_thread_watch ();
  if (status == NATS_OK)
    status = apply_rest (self, options);
  if (status == NATS_OK)
    status = afrpc_nats_settings_apply (&self->settings, options);
  if (status == NATS_OK)
    {
      begin_activity (self);
      status = natsConnection_Connect (&self->connection, options);
      if (status != NATS_OK)
        end_activity (self);
    }
  if (status != NATS_OK)
    set_state (self, STATE_FAILED, new_error (self, "cannot connect to", status));
  natsOptions_Destroy (options);
  if (status != NATS_OK)
    return FALSE;

  take_connection (self, self->connection);

  return TRUE;
}

static void
tell_error (AfrpcNatsInbox *inbox,
            GError         *error) /* (transfer full) */
{
  AfrpcNatsItem *item = afrpc_nats_item_new (AFRPC_NATS_ITEM_ERROR, 0, NULL);

  item->error = error;
  afrpc_nats_inbox_push (inbox, item);
}

static void
subscribe (AfrpcNatsLink *self,
           Subscription  *subscription)
{
  natsStatus status;

  g_atomic_int_inc (&subscription->ref_count);
  if (subscription->queue != NULL)
    status = natsConnection_QueueSubscribe (&subscription->sub, self->connection, subscription->subject, subscription->queue,
                                            message_cb, subscription);
  else
    status = natsConnection_Subscribe (&subscription->sub, self->connection, subscription->subject, message_cb, subscription);
  if (status == NATS_OK)
    {
      /* It goes on to the inbox at once, where it is limited. */
      (void) natsSubscription_SetPendingLimits (subscription->sub, -1, -1);
      status = natsSubscription_SetOnCompleteCB (subscription->sub, completed_cb, subscription);
    }
  else
    subscription_unref (subscription);
  if (status != NATS_OK)
    tell_error (subscription->inbox,
                g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED, "cannot subscribe to '%s': %s", subscription->subject,
                             natsStatus_GetText (status)));
  g_atomic_int_inc (&subscription->ref_count);
  g_ptr_array_add (self->subscriptions, subscription);
}

static void
destroy_subscription (gpointer data)
{
  Subscription *subscription = data;

  if (subscription->sub != NULL)
    natsSubscription_Destroy (g_steal_pointer (&subscription->sub));
  subscription_unref (subscription);
}

static void
unsubscribe (AfrpcNatsLink *self,
             guint          id)
{
  for (guint i = 0; i < self->subscriptions->len; i++)
    {
      Subscription *subscription = self->subscriptions->pdata[i];

      if (subscription->id != id)
        continue;
      g_ptr_array_steal_index_fast (self->subscriptions, i);
      /* Until 3.6, nats.c may be about to put a message into it. */
      if (subscription->sub != NULL)
        (void) natsSubscription_Unsubscribe (subscription->sub);
      g_mutex_lock (&self->lock);
      subscription->ping = ping_locked (self);
      g_mutex_unlock (&self->lock);
      g_ptr_array_add (self->ended, subscription);
      return;
    }
}

/* Whoever has made it is told. */
static void
tell_unsent (AfrpcNatsInbox *inbox, /* (nullable) */
             const char     *subject,
             const char     *reply, /* (nullable) */
             natsStatus      status)
{
  AfrpcNatsItem *item;

  if (inbox == NULL)
    return;

  item = afrpc_nats_item_new (AFRPC_NATS_ITEM_UNSENT, 0, reply);
  item->error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE, "nothing can be sent to '%s': %s", subject,
                             natsStatus_GetText (status));
  afrpc_nats_inbox_push (inbox, item);
}

/* Whether it is so each time, and not because the connection is lost: then those who wait for something of it ask. */
static gboolean
is_refused (natsStatus status)
{
  return status == NATS_INVALID_SUBJECT || status == NATS_INVALID_ARG || status == NATS_MAX_PAYLOAD || status == NATS_NO_MEMORY;
}

static natsStatus
publish (AfrpcNatsLink *self,
         const char    *subject,
         const char    *reply, /* (nullable) */
         GBytes        *message)
{
  gsize size;
  const void *bytes = g_bytes_get_data (message, &size);
  natsStatus status;

  if (reply != NULL)
    status = natsConnection_PublishRequest (self->connection, subject, reply, bytes, size);
  else
    status = natsConnection_Publish (self->connection, subject, bytes, size);
  if (status != NATS_OK)
    g_debug ("nats: publishing to %s: %s", subject, natsStatus_GetText (status));

  return status;
}

static void
run_publish (AfrpcNatsLink *self,
             const Command *command)
{
  const natsStatus status = publish (self, command->subject, command->reply, command->bytes);

  if (is_refused (status))
    tell_unsent (command->inbox, command->subject, command->reply, status);
}

/* To put a large message together takes longer than others may wait. */
typedef struct
{
  AfrpcNatsLink *self;         /* (owned) */
  AfrpcNatsFlow *flow;         /* (owned) */
  AfrpcNatsTransfer *transfer; /* (owned) */
} Making;

static void
make_thread (gpointer data,
             gpointer unused)
{
  Making *making = data;
  AfrpcNatsLink *self = making->self;
  GBytes *message = afrpc_nats_transfer_make (making->transfer, making->flow->sender);

  g_mutex_lock (&self->lock);
  making->transfer->message = message;
  making->transfer->is_being_made = FALSE;
  g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);
  afrpc_nats_transfer_unref (making->transfer);
  afrpc_nats_flow_unref (making->flow);
  end_activity (self);
  g_free (making);
}

static GThreadPool *
get_makers (void)
{
  static GThreadPool *pool;
  static gsize is_there;

  if (g_once_init_enter (&is_there))
    {
      pool = g_thread_pool_new (make_thread, NULL, MAKERS_MAX, FALSE, NULL);
      g_once_init_leave (&is_there, 1);
    }

  return pool;
}

static void
make_message (AfrpcNatsLink     *self,
              AfrpcNatsFlow     *flow,
              AfrpcNatsTransfer *transfer)
{
  Making *making = g_new0 (Making, 1);

  making->self = self;
  making->flow = afrpc_nats_flow_ref (flow);
  making->transfer = afrpc_nats_transfer_ref (transfer);
  begin_activity (self);
  g_mutex_lock (&self->lock);
  transfer->is_being_made = TRUE;
  g_mutex_unlock (&self->lock);
  g_thread_pool_push (get_makers (), making, NULL);
}

/* Sends the next part of a large message. */
static void
run_transfer (AfrpcNatsLink     *self,
              AfrpcNatsFlow     *flow,
              AfrpcNatsTransfer *transfer)
{
  const gint64 payload_max = natsConnection_GetMaxPayload (self->connection);
  g_autoptr(GBytes) part = NULL;
  gsize offset, size;
  natsStatus status;

  if (transfer->message == NULL)
    {
      make_message (self, flow, transfer);
      return;
    }

  g_mutex_lock (&self->lock);
  size = afrpc_nats_flow_begin_part (flow, transfer, payload_max > 0 ? (gsize) payload_max : WHOLE_MAX, g_get_monotonic_time (),
                                     &offset);
  g_mutex_unlock (&self->lock);
  if (size == 0)
    return;

  part = afrpc_nats_transfer_new_part (transfer, flow->sender, offset, size);
  status = publish (self, flow->subject, transfer->reply, part);
  if (is_refused (status))
    {
      tell_unsent (flow->inbox, flow->subject, transfer->reply, status);
      afrpc_nats_link_stop (self, flow, transfer->id, TRUE);
    }
}

static void
run_command (AfrpcNatsLink *self,
             Command       *command)
{
  switch (command->kind)
    {
    case COMMAND_SUBSCRIBE:
      subscribe (self, command->subscription);
      break;

    case COMMAND_UNSUBSCRIBE:
      unsubscribe (self, command->id);
      break;

    case COMMAND_PUBLISH:
    default:
      run_publish (self, command);
      break;
    }
}

/* Destroys the subscriptions that nats.c does not use any more; the oldest come first. */
static void
destroy_ended (AfrpcNatsLink *self,
               guint64        ping_answered)
{
  guint n = 0;

  while (n < self->ended->len && ((Subscription *) self->ended->pdata[n])->ping <= ping_answered)
    n++;
  if (n > 0)
    g_ptr_array_remove_range (self->ended, 0, n);
}

/* Large messages take turns. TRUE: there is a part to be sent; otherwise @again_us is when there may be one. */
static gboolean
take_flow_locked (AfrpcNatsLink *self,
                  Work          *work,
                  gint64        *again_us)
{
  const gint64 now_us = g_get_monotonic_time ();

  *again_us = G_MAXINT64;
  for (guint i = 0; i < self->flows->len;)
    {
      const guint place = (self->next_flow + i) % self->flows->len;
      AfrpcNatsFlow *flow = self->flows->pdata[place];
      AfrpcNatsTransfer *transfer;

      if (afrpc_nats_flow_get_first (flow) == 0)
        {
          g_ptr_array_remove_index_fast (self->flows, place);
          continue;
        }
      if (afrpc_nats_flow_get_resend_us (flow) <= now_us)
        afrpc_nats_flow_resend (flow, now_us);
      transfer = afrpc_nats_flow_get_ready (flow);
      if (transfer != NULL)
        {
          self->next_flow = place + 1;
          work->flow = afrpc_nats_flow_ref (flow);
          work->transfer = afrpc_nats_transfer_ref (transfer);
          return TRUE;
        }
      *again_us = MIN (*again_us, afrpc_nats_flow_get_resend_us (flow));
      i++;
    }

  return FALSE;
}

static gboolean
take_command_locked (AfrpcNatsLink *self,
                     Work          *work)
{
  const Command *next = g_queue_peek_head (&self->commands);

  /* nats.c keeps subscriptions over a reconnection, and what is published only up to a limit. */
  if (next == NULL || (self->state != STATE_CONNECTED && next->kind == COMMAND_PUBLISH))
    return FALSE;

  work->command = g_queue_pop_head (&self->commands);
  if (work->command->bytes != NULL)
    self->n_queued -= g_bytes_get_size (work->command->bytes);

  return TRUE;
}

/* What has nothing to do with messages. TRUE: the lock was given up meanwhile. */
static gboolean
tidy_locked (AfrpcNatsLink *self)
{
  const guint64 ping_answered = self->ping_answered;

  if (self->ping_wanted > ping_answered && self->pinger == NULL)
    self->pinger = g_thread_new ("afrpc-nats-ping", pinger_thread, self);
  if (self->ended->len == 0 || ((Subscription *) self->ended->pdata[0])->ping > ping_answered)
    return FALSE;

  g_mutex_unlock (&self->lock);
  destroy_ended (self, ping_answered);
  g_mutex_lock (&self->lock);

  return TRUE;
}

/* TRUE: @work is what is to be done next; FALSE: it is to end, and all was done that can be */
static gboolean
wait_for_work (AfrpcNatsLink *self,
               Work          *work)
{
  gboolean has_work = FALSE;
  gint64 again_us = G_MAXINT64;

  *work = (Work) { 0 };
  g_mutex_lock (&self->lock);
  while (self->state != STATE_FAILED)
    {
      has_work = take_command_locked (self, work);
      if (has_work || self->is_closing)
        break;
      has_work = self->state == STATE_CONNECTED && take_flow_locked (self, work, &again_us);
      if (has_work)
        break;
      if (tidy_locked (self))
        continue;
      if (self->state != STATE_CONNECTED || again_us == G_MAXINT64)
        g_cond_wait (&self->cond, &self->lock);
      else
        g_cond_wait_until (&self->cond, &self->lock, again_us);
    }
  g_mutex_unlock (&self->lock);

  return has_work;
}

static gpointer
link_thread (gpointer data)
{
  AfrpcNatsLink *self = data;
  Work work;

  if (link_connect (self))
    {
      while (wait_for_work (self, &work))
        {
          if (work.command != NULL)
            run_command (self, work.command);
          else
            run_transfer (self, work.flow, work.transfer);
          g_clear_pointer (&work.command, command_free);
          g_clear_pointer (&work.flow, afrpc_nats_flow_unref);
          g_clear_pointer (&work.transfer, afrpc_nats_transfer_unref);
        }
      natsConnection_Close (self->connection);
      end_pinger (self);
      /* Not before: nats.c reads no more. */
      g_ptr_array_set_size (self->subscriptions, 0);
      g_ptr_array_set_size (self->ended, 0);
      natsConnection_Destroy (self->connection);
    }
  /* What nats.c has for each thread */
  nats_ReleaseThreadMemory ();
  afrpc_nats_thread_end (&self->thread);
  end_activity (self);

  return NULL;
}

/* The program's side */

/* Connects, and says so to those who watch. */
AfrpcNatsLink *
afrpc_nats_link_new (const AfrpcNatsSettings *settings)
{
  AfrpcNatsLink *self = g_new0 (AfrpcNatsLink, 1);

  self->ref_count = 1;
  afrpc_nats_settings_copy (&self->settings, settings);
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->watchers = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_nats_inbox_unref);
  g_cond_init (&self->ping_cond);
  self->whole_max = WHOLE_MAX;
  self->payload_max = 1 << 20;
  self->flows = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_nats_flow_unref);
  self->pinging = g_array_new (FALSE, FALSE, sizeof (Pinging));
  g_array_set_clear_func (self->pinging, pinging_clear);
  self->subscriptions = g_ptr_array_new_with_free_func (destroy_subscription);
  self->ended = g_ptr_array_new_with_free_func (destroy_subscription);
  begin_activity (self);
  afrpc_nats_threads_join ();
  g_thread_unref (g_thread_new ("afrpc-nats", link_thread, self));

  return self;
}

/* What was published before is sent, if there is a connection. Others that use it are told that it has failed; @inbox
 * (nullable) is told when nothing is left of it. */
void
afrpc_nats_link_close (AfrpcNatsLink  *self,
                       AfrpcNatsInbox *inbox)
{
  GError *error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the connection was closed");

  afrpc_nats_thread_leave (&self->thread);
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->watchers->len; i++)
    {
      AfrpcNatsItem *item = afrpc_nats_item_new (AFRPC_NATS_ITEM_FAILED, 0, self->url);

      if (self->watchers->pdata[i] == inbox)
        {
          afrpc_nats_item_free (item);
          continue;
        }
      item->error = g_error_copy (error);
      afrpc_nats_inbox_push (self->watchers->pdata[i], item);
    }
  self->is_closing = TRUE;
  self->closing = inbox != NULL ? afrpc_nats_inbox_ref (inbox) : NULL;
  g_ptr_array_set_size (self->watchers, 0);
  g_cond_signal (&self->cond);
  tell_closed_locked (self);
  g_mutex_unlock (&self->lock);
  g_error_free (error);
}

static void
push_command (AfrpcNatsLink *self,
              Command       *command) /* (transfer full) */
{
  g_mutex_lock (&self->lock);
  if (self->state != STATE_FAILED)
    {
      if (command->bytes != NULL)
        self->n_queued += g_bytes_get_size (command->bytes);
      g_queue_push_tail (&self->commands, g_steal_pointer (&command));
      g_cond_signal (&self->cond);
    }
  g_mutex_unlock (&self->lock);

  if (command != NULL)
    command_free (command);
}

/* Returns: its number */
guint
afrpc_nats_link_subscribe (AfrpcNatsLink  *self,
                           const char     *subject,
                           const char     *queue, /* (nullable) */
                           AfrpcNatsInbox *inbox,
                           guint           tag,
                           gboolean        may_lose)
{
  Command *command = g_new0 (Command, 1);
  Subscription *subscription = g_new0 (Subscription, 1);
  guint id;

  g_mutex_lock (&self->lock);
  id = ++self->last_id;
  g_mutex_unlock (&self->lock);
  subscription->ref_count = 1;
  subscription->id = id;
  subscription->tag = tag;
  subscription->may_lose = may_lose;
  subscription->subject = g_strdup (subject);
  subscription->queue = g_strdup (queue);
  subscription->inbox = afrpc_nats_inbox_ref (inbox);
  command->kind = COMMAND_SUBSCRIBE;
  command->subscription = subscription;
  push_command (self, command);

  return id;
}

void
afrpc_nats_link_unsubscribe (AfrpcNatsLink *self,
                             guint          id)
{
  Command *command = g_new0 (Command, 1);

  command->kind = COMMAND_UNSUBSCRIBE;
  command->id = id;
  push_command (self, command);
}

/* Has @inbox told how the connection is: now, if that is known, and whenever it changes. */
void
afrpc_nats_link_watch (AfrpcNatsLink  *self,
                       AfrpcNatsInbox *inbox)
{
  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->watchers, afrpc_nats_inbox_ref (inbox));
  if (self->state != STATE_CONNECTING)
    afrpc_nats_inbox_push (inbox, new_state_item (self));
  g_mutex_unlock (&self->lock);
}

void
afrpc_nats_link_unwatch (AfrpcNatsLink  *self,
                         AfrpcNatsInbox *inbox)
{
  g_mutex_lock (&self->lock);
  g_ptr_array_remove_fast (self->watchers, inbox);
  g_mutex_unlock (&self->lock);
}

/* Has @inbox told once NATS has answered, and all was read that it had sent before. */
void
afrpc_nats_link_ping (AfrpcNatsLink  *self,
                      AfrpcNatsInbox *inbox)
{
  Pinging pinging = { .inbox = afrpc_nats_inbox_ref (inbox) };

  g_mutex_lock (&self->lock);
  pinging.ping = ping_locked (self);
  g_array_append_val (self->pinging, pinging);
  g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);
}

/* @subject, @reply, @bytes: (transfer full). @reply: (nullable): where to say that nobody has got it; @inbox: (nullable): who is
 * told if it cannot be sent */
void
afrpc_nats_link_publish (AfrpcNatsLink  *self,
                         char           *subject,
                         char           *reply,
                         AfrpcNatsInbox *inbox,
                         GBytes         *bytes)
{
  Command *command = g_new0 (Command, 1);

  command->kind = COMMAND_PUBLISH;
  command->subject = subject;
  command->reply = reply;
  command->inbox = inbox != NULL ? afrpc_nats_inbox_ref (inbox) : NULL;
  command->bytes = bytes;
  push_command (self, command);
}

/* Says @answer (transfer full) where the reply of @item is, if there is something to say. */
void
afrpc_nats_link_answer (AfrpcNatsLink       *self,
                        const AfrpcNatsItem *item,
                        GByteArray          *answer)
{
  g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes (answer);

  if (g_bytes_get_size (bytes) > AFRPC_NATS_HEADER_SIZE && item->reply != NULL && afrpc_nats_check_subject (item->reply, NULL))
    afrpc_nats_link_publish (self, g_strdup (item->reply), NULL, NULL, g_steal_pointer (&bytes));
}

/* Returns: how many bytes a message may have that goes at once */
gsize
afrpc_nats_link_get_whole_max (AfrpcNatsLink *self)
{
  return (gsize) g_atomic_int_get (&self->whole_max);
}

/* Returns: how many bytes a message may have that NATS takes at all */
gsize
afrpc_nats_link_get_payload_max (AfrpcNatsLink *self)
{
  return (gsize) g_atomic_int_get (&self->payload_max);
}

/* Returns: how many bytes wait to be sent, besides those that go in parts */
gsize
afrpc_nats_link_get_queued (AfrpcNatsLink *self)
{
  gsize n_queued;

  g_mutex_lock (&self->lock);
  n_queued = self->n_queued;
  g_mutex_unlock (&self->lock);

  return n_queued;
}

/* Sends a message with one frame in parts, which go when there is nothing else. @reply: (transfer full); @body: a floating reference is
 * consumed */
void
afrpc_nats_link_transfer (AfrpcNatsLink      *self,
                          AfrpcNatsFlow      *flow,
                          guint64             id,
                          char               *reply,
                          AfrpcNatsFrameType  type,
                          guint               flags,
                          guint64             frame_id,
                          GVariant           *body) /* (nullable) */
{
  g_mutex_lock (&self->lock);
  afrpc_nats_flow_add (flow, id, reply, type, flags, frame_id, body);
  if (!g_ptr_array_find (self->flows, flow, NULL))
    g_ptr_array_add (self->flows, afrpc_nats_flow_ref (flow));
  g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);
}

guint64
afrpc_nats_link_get_first (AfrpcNatsLink *self,
                           AfrpcNatsFlow *flow)
{
  guint64 first;

  g_mutex_lock (&self->lock);
  first = afrpc_nats_flow_get_first (flow);
  g_mutex_unlock (&self->lock);

  return first;
}

/* See afrpc_nats_flow_get_waiting_us(). @moved_us: (nullable): when something has arrived last */
gint64
afrpc_nats_link_get_waiting_us (AfrpcNatsLink *self,
                                AfrpcNatsFlow *flow,
                                gint64        *moved_us)
{
  gint64 waiting_us;

  g_mutex_lock (&self->lock);
  waiting_us = afrpc_nats_flow_get_waiting_us (flow);
  if (moved_us != NULL)
    *moved_us = flow->moved_us;
  g_mutex_unlock (&self->lock);

  return waiting_us;
}

void
afrpc_nats_link_take_received (AfrpcNatsLink *self,
                               AfrpcNatsFlow *flow,
                               guint64        id,
                               guint64        n)
{
  g_mutex_lock (&self->lock);
  afrpc_nats_flow_take_received (flow, id, n, g_get_monotonic_time ());
  g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);
}

/* See afrpc_nats_flow_stop(). */
gboolean
afrpc_nats_link_stop (AfrpcNatsLink *self,
                      AfrpcNatsFlow *flow,
                      guint64        id,
                      gboolean       is_refused)
{
  gboolean has_not_arrived;

  g_mutex_lock (&self->lock);
  has_not_arrived = afrpc_nats_flow_stop (flow, id, is_refused);
  g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);

  return has_not_arrived;
}

/* Sends no more of it. */
void
afrpc_nats_link_drop_flow (AfrpcNatsLink *self,
                           AfrpcNatsFlow *flow)
{
  g_mutex_lock (&self->lock);
  g_queue_clear_full (&flow->transfers, (GDestroyNotify) afrpc_nats_transfer_unref);
  g_ptr_array_remove_fast (self->flows, flow);
  g_mutex_unlock (&self->lock);
}

/* Returns: (transfer full) (nullable): the server that it is connected to, or was last */
char *
afrpc_nats_link_dup_url (AfrpcNatsLink *self)
{
  char *url;

  g_mutex_lock (&self->lock);
  url = g_strdup (self->url);
  g_mutex_unlock (&self->lock);

  return url;
}
