/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a link is connected, and what nats.c says of that, from threads of its own. */
#include "config.h"

#include "nats/afrpc-nats-link-parts.h"

#include "nats/afrpc-nats-chunks.h"

#include <afrpc/afrpc.h>
#include <string.h>

#define RECONNECT_MS_FIRST 25
#define RECONNECT_MS_MAX 1000
#define PING_INTERVAL_MS 5000 /* a dead network is noticed after two that are not answered */
#define PINGS_OUT_MAX 2
#define WRITE_DEADLINE_MS 10000

static void
set_server (AfrpcNatsLink  *self,
            natsConnection *connection)
{
  char url[512] = "";
  const gint64 payload_max = natsConnection_GetMaxPayload (connection);

  g_atomic_int_set (&self->payload_max, payload_max > 0 ? (gint) MIN (payload_max, G_MAXINT) : 1 << 20);
  g_atomic_int_set (&self->whole_max, payload_max > 0 ? (gint) MIN (payload_max, AFRPC_NATS_WHOLE_MAX) : AFRPC_NATS_WHOLE_MAX);
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

static void
disconnected_cb (natsConnection *connection,
                 void           *data)
{
  afrpc_nats_link_set_state (data, AFRPC_NATS_LINK_DISCONNECTED, NULL);
}

/* It has just been connected. */
static void
take_connection (AfrpcNatsLink  *self,
                 natsConnection *connection)
{
  const gint64 payload_max = natsConnection_GetMaxPayload (connection);

  set_server (self, connection);
  if (payload_max > 0 && payload_max < AFRPC_NATS_PAYLOAD_MIN)
    afrpc_nats_link_set_state (self, AFRPC_NATS_LINK_FAILED,
                               g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE,
                                            "%s takes messages of %" G_GINT64_FORMAT " bytes; %u are needed (max_payload)",
                                            self->url, payload_max, AFRPC_NATS_PAYLOAD_MIN));
  else
    afrpc_nats_link_set_state (self, AFRPC_NATS_LINK_CONNECTED, NULL);
}

/* Returns: how often it was made again, as far as nats.c knows */
gint
afrpc_nats_link_count_reconnects (natsConnection *connection)
{
  natsStatistics *statistics = NULL;
  uint64_t n = 0;

  if (natsStatistics_Create (&statistics) == NATS_OK && natsConnection_GetStats (connection, statistics) == NATS_OK)
    (void) natsStatistics_GetCounts (statistics, NULL, NULL, NULL, NULL, &n);
  natsStatistics_Destroy (statistics);

  return (gint) n;
}

static void
reconnected_cb (natsConnection *connection,
                void           *data)
{
  AfrpcNatsLink *self = data;

  take_connection (self, connection);
  g_atomic_int_set (self->n_told, afrpc_nats_link_count_reconnects (connection));
}

/* The last that is called. */
static void
closed_cb (natsConnection *connection,
           void           *data)
{
  AfrpcNatsLink *self = data;
  g_autofree char *servers = afrpc_nats_settings_describe (&self->settings);
  g_autofree char *why = dup_reason (self, connection);

  afrpc_nats_link_set_state (self, AFRPC_NATS_LINK_FAILED,
                             g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE, "the connection to %s was closed%s", servers, why));
  afrpc_nats_link_end_activity (self);
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
  /* One thread for all subscriptions: what comes is only passed on. */
  if (status == NATS_OK)
    status = natsOptions_UseGlobalMessageDelivery (options, true);
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

/* A signature that begins with a byte of 0, one in 256, nats.c takes for an empty one, and leaves out: seen with 3.4.1. The next
 * time something else is to be signed. */
static natsStatus
connect_signed (AfrpcNatsLink *self,
                natsOptions   *options)
{
  natsStatus status = natsConnection_Connect (&self->connection, options);

  if (status == NATS_CONNECTION_AUTH_FAILED && (self->settings.nkey != NULL || self->settings.credentials_file != NULL))
    status = natsConnection_Connect (&self->connection, options);

  return status;
}

/* FALSE: there is no connection. */
gboolean
afrpc_nats_link_connect (AfrpcNatsLink *self)
{
  natsOptions *options = NULL;
  GError *error = NULL;
  natsStatus status;

  if (!afrpc_nats_settings_check (&self->settings, &error))
    {
      afrpc_nats_link_set_state (self, AFRPC_NATS_LINK_FAILED, error);
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
      afrpc_nats_link_begin_activity (self);
      status = connect_signed (self, options);
      if (status != NATS_OK)
        afrpc_nats_link_end_activity (self);
    }
  if (status != NATS_OK)
    afrpc_nats_link_set_state (self, AFRPC_NATS_LINK_FAILED, new_error (self, "cannot connect to", status));
  natsOptions_Destroy (options);
  if (status != NATS_OK)
    return FALSE;

  take_connection (self, self->connection);

  return TRUE;
}
