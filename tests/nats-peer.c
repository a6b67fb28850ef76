/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-peer.h"

#include <signal.h>
#include <string.h>

void
said_free (gpointer data)
{
  Said *said = data;

  g_clear_pointer (&said->body, g_variant_unref);
  g_free (said);
}

static const char *
get_type (guint type)
{
  switch (type)
    {
    case AFRPC_NATS_DEMAND:
      return "(sutt)";
    case AFRPC_NATS_CALL:
      return "(a{sv}v)";
    case AFRPC_NATS_GRANT:
      return "(ssuut)";
    case AFRPC_NATS_RESULT:
    case AFRPC_NATS_PROGRESS:
      return "v";
    case AFRPC_NATS_ERROR:
      return "(isis)";
    case AFRPC_NATS_REFUSED:
      return "s";
    case AFRPC_NATS_BEAT:
      return "at";
    case AFRPC_NATS_RECEIVED:
      return "t";
    default:
      return NULL;
    }
}

static void
heard_cb (natsConnection   *connection,
          natsSubscription *subscription,
          natsMsg          *message,
          void             *data)
{
  Peer *peer = data;
  g_autoptr(GBytes) bytes = g_bytes_new (natsMsg_GetData (message), natsMsg_GetDataLength (message));
  const gboolean is_for_all = g_str_has_suffix (natsMsg_GetSubject (message), ".all");
  g_auto(AfrpcNatsReader) reader = { 0 };
  AfrpcNatsFrame frame;

  natsMsg_Destroy (message);
  if (!afrpc_nats_reader_init (&reader, bytes, NULL))
    return;
  while (afrpc_nats_reader_next (&reader, &frame, NULL) > 0)
    {
      Said *said = g_new0 (Said, 1);

      said->type = frame.type;
      said->flags = frame.flags;
      said->id = frame.id;
      said->is_for_all = is_for_all;
      if (get_type (frame.type) != NULL)
        said->body = afrpc_nats_reader_value (&reader, &frame, get_type (frame.type), NULL);
      if (frame.type == AFRPC_NATS_CHUNK)
        {
          const guint8 *part = (const guint8 *) g_bytes_get_data (bytes, NULL) + frame.offset;

          memcpy (&said->total, part, 8);
          memcpy (&said->end, part + 8, 8);
          said->total = GUINT64_FROM_LE (said->total);
          said->end = GUINT64_FROM_LE (said->end) + frame.size - 16;
        }
      g_async_queue_push (peer->messages, said);
    }
  g_main_context_wakeup (NULL);
}

natsSubscription *
peer_listen_to (Peer       *peer,
                const char *subject)
{
  natsSubscription *subscription = NULL;

  g_assert_cmpint (natsConnection_Subscribe (&subscription, peer->connection, subject, heard_cb, peer), ==, NATS_OK);
  g_assert_cmpint (natsConnection_Flush (peer->connection), ==, NATS_OK);

  return subscription;
}

/* Has the peer hear what is said to it. */
natsSubscription *
peer_listen (Peer *peer)
{
  return peer_listen_to (peer, OWN_INBOX ".>");
}

static char changed[] = "changed", closed[] = "closed"; /* what is said of a connection */

static void
changed_cb (natsConnection *connection,
            void           *changes)
{
  g_async_queue_push (changes, changed);
}

static void
closed_cb (natsConnection *connection,
           void           *changes)
{
  g_async_queue_push (changes, closed);
}

static void
connect_peer (Peer *peer)
{
  natsOptions *options = NULL;

  g_assert_cmpint (natsOptions_Create (&options), ==, NATS_OK);
  g_assert_cmpint (natsOptions_SetURL (options, peer->nats.url), ==, NATS_OK);
  g_assert_cmpint (natsOptions_SetDisconnectedCB (options, changed_cb, peer->changes), ==, NATS_OK);
  g_assert_cmpint (natsOptions_SetReconnectedCB (options, changed_cb, peer->changes), ==, NATS_OK);
  g_assert_cmpint (natsOptions_SetClosedCB (options, closed_cb, peer->changes), ==, NATS_OK);
  g_assert_cmpint (natsConnection_Connect (&peer->connection, options), ==, NATS_OK);
  natsOptions_Destroy (options);
}

void
peer_init (Peer       *peer,
           const char *subject) /* (nullable): which it serves */
{
  memset (peer, 0, sizeof *peer);
  nats_server_init (&peer->nats, NULL);
  peer->messages = g_async_queue_new_full (said_free);
  peer->changes = g_async_queue_new ();
  connect_peer (peer);
  peer->subscription = peer_listen_to (peer, subject != NULL ? subject : OWN_INBOX ".>");
}

void
peer_end (Peer *peer)
{
  nats_unsubscribe (peer->connection, peer->subscription);
  natsConnection_Close (peer->connection);
  while (g_async_queue_pop (peer->changes) != closed)
    ;
  natsConnection_Destroy (peer->connection);
  g_async_queue_unref (peer->changes);
  g_async_queue_unref (peer->messages);
  g_free (peer->other);
  nats_server_clear (&peer->nats);
}

/* NATS goes and comes back; the peer is there again before the other side sees anything of it. */
void
peer_restart_nats (Peer *peer)
{
  nats_server_kill (&peer->nats, SIGKILL);
  g_async_queue_pop (peer->changes);
  nats_server_start (&peer->nats);
  while (natsConnection_Status (peer->connection) != NATS_CONN_STATUS_CONNECTED)
    g_async_queue_pop (peer->changes);
  g_assert_cmpint (natsConnection_Flush (peer->connection), ==, NATS_OK);
}

/* Begins to serve. Returns: (transfer full): who calls it, and is heard */
AfrpcNatsCaller *
peer_serve (Peer *peer)
{
  peer_init (peer, NATS_SUBJECT);
  peer->inbox = peer_listen (peer);

  return nats_caller_new (&peer->nats);
}

void
peer_serve_end (Peer            *peer,
                AfrpcNatsCaller *caller)
{
  nats_unsubscribe (peer->connection, peer->inbox);
  nats_caller_end (caller);
  peer_end (peer);
}

/* Says one thing. @body: (nullable) (transfer floating) */
void
say_as (Peer       *peer,
        guint64     own_id,
        const char *subject, /* (nullable): to the other's inbox */
        guint       type,
        guint       flags,
        guint64     id,
        GVariant   *body)
{
  g_autofree char *inbox = peer->other != NULL ? g_strconcat (peer->other, ".m", NULL) : NULL;
  GByteArray *message = afrpc_nats_message_new (own_id);

  afrpc_nats_message_add (message, type, flags, id, body);
  g_assert_cmpint (natsConnection_PublishRequest (peer->connection, subject != NULL ? subject : inbox, OWN_INBOX ".n.1", message->data,
                                                  message->len), ==, NATS_OK);
  g_assert_cmpint (natsConnection_Flush (peer->connection), ==, NATS_OK);
  g_byte_array_unref (message);
}

void
say (Peer       *peer,
     const char *subject, /* (nullable) */
     guint       type,
     guint       flags,
     guint64     id,
     GVariant   *body)
{
  say_as (peer, OWN_ID, subject, type, flags, id, body);
}

/* The next thing that the other side says. */
Said *
hear_any (Peer *peer)
{
  Said *said;

  while ((said = g_async_queue_try_pop (peer->messages)) == NULL)
    g_main_context_iteration (NULL, TRUE);

  return said;
}

/* The next thing of a kind that the other says; what else it says is left out. */
Said *
hear (Peer  *peer,
      guint  type)
{
  Said *said;

  while ((said = hear_any (peer))->type != type)
    said_free (said);

  return said;
}

void
hear_of (Peer    *peer,
         guint    type,
         guint64  id)
{
  Said *said;

  do
    {
      said = hear (peer, type);
      if (said->id == id)
        {
          said_free (said);
          return;
        }
      said_free (said);
    }
  while (TRUE);
}

GVariant *
new_call (guint32 n)
{
  return g_variant_new ("(a{sv}v)", NULL, g_variant_new ("(sv)", "return", g_variant_new_uint32 (n)));
}

/* As a caller: gets a grant, and knows where its server is. */
void
demand (Peer *peer)
{
  Said *grant;
  guint32 n = 0;

  do
    {
      say (peer, NATS_SUBJECT, AFRPC_NATS_DEMAND, 0, 1, g_variant_new ("(sutt)", OWN_INBOX, 1, G_GUINT64_CONSTANT (1000000), peer->last_id));
      g_main_context_iteration (NULL, FALSE);
      grant = g_async_queue_try_pop (peer->messages);
      if (grant != NULL && grant->type == AFRPC_NATS_GRANT)
        {
          g_clear_pointer (&peer->other, g_free);
          g_variant_get (grant->body, "(ssuut)", &peer->other, NULL, &n, NULL, NULL);
        }
      g_clear_pointer (&grant, said_free);
    }
  while (n == 0);
}

/* As a server: answers the next demand with room for @n calls. */
static void
grant_n (Peer    *peer,
         guint64  own_id,
         guint32  n,
         guint32  beat_ms)
{
  Said *said = hear (peer, AFRPC_NATS_DEMAND);

  g_clear_pointer (&peer->other, g_free);
  g_variant_get (said->body, "(sutt)", &peer->other, NULL, NULL, NULL);
  say_as (peer, own_id, NULL, AFRPC_NATS_GRANT, 0, said->id,
          g_variant_new ("(ssuut)", OWN_INBOX, "the test", n, beat_ms, G_GUINT64_CONSTANT (1000000)));
  said_free (said);
}

void
grant_as (Peer    *peer,
          guint64  own_id,
          guint32  beat_ms)
{
  grant_n (peer, own_id, 1, beat_ms);
}

void
grant_many (Peer    *peer,
            guint32  n,
            guint32  beat_ms)
{
  grant_n (peer, OWN_ID, n, beat_ms);
}

void
grant (Peer    *peer,
       guint32  beat_ms)
{
  grant_as (peer, OWN_ID, beat_ms);
}

guint64
hear_call (Peer *peer)
{
  Said *said = hear (peer, AFRPC_NATS_CALL);
  const guint64 id = said->id;

  said_free (said);

  return id;
}
