/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The callers that a server knows: how many calls each may send, who waits for room, and who is there. */
#include "config.h"

#include "nats/afrpc-nats-server-parts.h"

#include <string.h>

#define CLIENTS_MAX 65536u
#define WANTED_MAX 4096u
#define UNACKNOWLEDGED_MAX 4096u /* outcomes of one client, with which no more of its calls are taken */
#define UNACKNOWLEDGED_BYTES_MAX (256u << 20)
#define IDLE_US 50000            /* after which credits are taken back that somebody else waits for */
#define STALE_US 250000          /* after which credits that somebody does not know to have are lost */
#define UNUSED_US (60 * G_USEC_PER_SEC)
#define AHEAD_US 4000.0          /* of work that may wait for a worker, to hide the way there and back */
#define AHEAD_MAX 64u            /* calls, for each worker */

/* Something is to be said to it before long. */
void
afrpc_nats_server_set_dirty (AfrpcNatsServer *self,
                             AfrpcNatsClient *client)
{
  if (!client->is_dirty)
    g_ptr_array_add (self->dirty, client);
  client->is_dirty = TRUE;
}

/* @body: (nullable): a floating reference is consumed. Returns: the number of the message that it travels in */
guint64
afrpc_nats_server_add (AfrpcNatsServer    *self,
                       AfrpcNatsClient    *client,
                       AfrpcNatsFrameType  type,
                       guint               flags,
                       guint64             id,
                       GVariant           *body)
{
  afrpc_nats_server_set_dirty (self, client);
  if (self->events.message != NULL && body != NULL &&
      afrpc_nats_outbox_sends_at_once (&client->outbox, afrpc_nats_server_get_link (self), g_variant_get_size (body)))
    afrpc_nats_outbox_flush (&self->events, afrpc_nats_server_get_link (self));

  return afrpc_nats_outbox_add (&client->outbox, afrpc_nats_server_get_link (self), type, flags, id, body);
}

/* Clients */

static void
client_free (gpointer data)
{
  AfrpcNatsClient *self = data;

  g_assert (self->calls.length == 0);
  afrpc_nats_chunks_clear (&self->chunks);
  g_hash_table_unref (self->by_id);
  g_queue_clear (&self->refused_order);
  g_hash_table_unref (self->refused);
  g_free (self->inbox);
  g_free (self);
}

AfrpcNatsClient *
afrpc_nats_server_find_client (AfrpcNatsServer *self,
                               guint64          id)
{
  return g_hash_table_lookup (self->clients, &id);
}

static AfrpcNatsClient *
add_client (AfrpcNatsServer *self,
            guint64          id,
            const char      *inbox,
            guint64          last_id)
{
  AfrpcNatsClient *client = g_new0 (AfrpcNatsClient, 1);

  client->link.data = client;
  client->id = id;
  client->inbox = g_strdup (inbox);
  client->by_id = g_hash_table_new (g_int64_hash, g_int64_equal);
  client->refused = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  client->first_id = last_id + 1;
  client->heard_us = g_get_monotonic_time ();
  afrpc_nats_outbox_init_peer (&client->outbox, inbox, self->inbox_subject, id, self->inbox, self->id);
  g_hash_table_insert (self->clients, &client->id, client);
  g_queue_push_tail_link (&self->client_list, &client->link);

  return client;
}

static void
set_wanted (AfrpcNatsServer *self,
            AfrpcNatsClient *client,
            guint            wanted)
{
  self->n_wanting += (wanted > 0) - (client->wanted > 0);
  client->wanted = wanted;
}

static void
set_credits (AfrpcNatsServer *self,
             AfrpcNatsClient *client,
             guint            credits)
{
  self->n_credits += credits - client->credits;
  client->credits = credits;
  client->used_us = g_get_monotonic_time ();
}

/* It has gone for good: nobody wants what it had. */
void
afrpc_nats_server_forget (AfrpcNatsServer *self,
                          AfrpcNatsClient *client)
{
  set_wanted (self, client, 0);
  set_credits (self, client, 0);
  afrpc_nats_server_drop_calls (self, client);
  afrpc_nats_outbox_clear (&client->outbox, afrpc_nats_server_get_link (self));
  if (client->is_dirty)
    g_ptr_array_remove_fast (self->dirty, client);
  g_queue_unlink (&self->client_list, &client->link);
  g_hash_table_remove (self->clients, &client->id);
}

void
afrpc_nats_server_init_clients (AfrpcNatsServer *self)
{
  self->clients = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, client_free);
  self->dirty = g_ptr_array_new ();
}

void
afrpc_nats_server_clear_clients (AfrpcNatsServer *self)
{
  while (self->client_list.head != NULL)
    afrpc_nats_server_forget (self, self->client_list.head->data);
}

/* Room */

/* Returns: how many calls may be worked at */
guint
afrpc_nats_server_get_n_workers (AfrpcNatsServer *self)
{
  return AFRPC_IS_POOL (self->caller) ? MAX (afrpc_pool_get_max_workers (AFRPC_POOL (self->caller)), 1) : 1;
}

/* Returns: how many workers have nothing that takes long. In one that has many calls at once, none waits for another. */
guint
afrpc_nats_server_count_quick (AfrpcNatsServer *self)
{
  const guint n_workers = afrpc_nats_server_get_n_workers (self);

  if (!AFRPC_IS_POOL (self->caller) || afrpc_pool_get_backend (AFRPC_POOL (self->caller)) != AFRPC_BACKEND_SYNC)
    return n_workers;

  return n_workers - MIN (self->n_long, n_workers);
}

/* How many calls there may be at once: each worker has one, and short ones have others behind them. How long they take is not known
 * before the first has ended, nor how long one that takes long takes: what would wait here another server may have workers for. */
static guint
get_n_calls_max (AfrpcNatsServer *self)
{
  const guint n_workers = afrpc_nats_server_get_n_workers (self);
  const guint n_quick = afrpc_nats_server_count_quick (self);
  double ahead;

  if (self->max_calls > 0)
    return self->max_calls;
  if (self->execution_us <= 0)
    return n_workers;

  ahead = n_quick * AHEAD_US / self->execution_us;

  return n_workers + (guint) MIN (ahead, n_quick * AHEAD_MAX);
}

static guint
get_room (AfrpcNatsServer *self)
{
  const guint n_max = get_n_calls_max (self);
  const guint n = self->n_running + self->n_credits;

  return self->state == AFRPC_NATS_SERVER_SERVING && n < n_max ? n_max - n : 0;
}

/* Whether outcomes of its calls are kept that it does not say to have. */
static gboolean
owes_too_much (const AfrpcNatsClient *client)
{
  return client->calls.length - client->n_running >= UNACKNOWLEDGED_MAX || client->n_outcome_bytes >= UNACKNOWLEDGED_BYTES_MAX;
}

/* TRUE: the call that has come may be begun. */
gboolean
afrpc_nats_server_use_room (AfrpcNatsServer *self,
                            AfrpcNatsClient *client)
{
  if (self->state != AFRPC_NATS_SERVER_SERVING)
    return FALSE;
  if (client->credits > 0)
    {
      set_credits (self, client, client->credits - 1);
      return !owes_too_much (client);
    }

  return get_room (self) > 0 && !owes_too_much (client);
}

/* How many others than @client wait for room. */
static guint
count_others_wanting (const AfrpcNatsServer *self,
                      const AfrpcNatsClient *client)
{
  return self->n_wanting - (client->wanted > 0);
}

/* A call of @client has its outcome. TRUE: it may send another one. */
gboolean
afrpc_nats_server_keeps_credit (AfrpcNatsServer *self,
                                AfrpcNatsClient *client)
{
  const guint n_others = count_others_wanting (self, client);

  if (get_room (self) == 0 || client->gone_us != 0 || owes_too_much (client))
    return FALSE;
  /* Others wait: it keeps what is its share. If there are more of them than calls at once, each has its turn. */
  if (n_others > 0 && client->n_running + client->credits >= get_n_calls_max (self) / (n_others + 1))
    return FALSE;

  set_credits (self, client, client->credits + 1);

  return TRUE;
}

static gboolean
may_have_more (AfrpcNatsClient *client)
{
  return client->wanted > 0 && client->gone_us == 0 && !owes_too_much (client);
}

static void
grant (AfrpcNatsServer *self,
       AfrpcNatsClient *client)
{
  if (client->n_granted == 0 && !client->is_asking)
    return;

  afrpc_nats_server_add (self, client, AFRPC_NATS_GRANT, 0, client->demand_id,
                         g_variant_new ("(ssuut)", self->inbox_subject, self->name, client->n_granted, self->beat_ms,
                                        self->max_message_size));
  client->n_granted = 0;
  client->is_asking = FALSE;
}

/* What is not used, and somebody else waits for. Whoever does not use what he has does not want more either, until he says so. */
static void
take_back (AfrpcNatsServer *self)
{
  const gint64 now_us = g_get_monotonic_time ();

  for (GList *link = self->client_list.head; link != NULL; link = link->next)
    {
      AfrpcNatsClient *client = link->data;

      if (client->credits == 0 || count_others_wanting (self, client) == 0)
        continue;
      if (client->used_us + IDLE_US > now_us)
        {
          afrpc_nats_inbox_arm (self->inbox, client->used_us + IDLE_US);
          continue;
        }
      afrpc_nats_server_add (self, client, AFRPC_NATS_REVOKE, 0, client->credits, NULL);
      set_credits (self, client, 0);
      set_wanted (self, client, 0);
    }
}

static void
give (AfrpcNatsServer *self)
{
  guint room = get_room (self);

  /* One each, in turn. */
  while (room > 0 && self->n_wanting > 0)
    {
      guint n_given = 0;

      for (guint n = self->client_list.length; n > 0 && room > 0; n--)
        {
          AfrpcNatsClient *client = self->client_list.head->data;

          g_queue_unlink (&self->client_list, &client->link);
          g_queue_push_tail_link (&self->client_list, &client->link);
          if (!may_have_more (client))
            continue;
          set_wanted (self, client, client->wanted - 1);
          set_credits (self, client, client->credits + 1);
          client->n_granted++;
          afrpc_nats_server_set_dirty (self, client);
          n_given++;
          room--;
        }
      if (n_given == 0)
        break;
    }
}

/* Gives what room there is to those who wait for it. */
void
afrpc_nats_server_share_out (AfrpcNatsServer *self)
{
  if (self->n_wanting > 0)
    {
      give (self);
      if (self->n_wanting > 0 && self->n_credits > 0)
        {
          take_back (self);
          give (self);
        }
    }
}

/* @tag: says whether it was this server that was asked, of all: then it answers, even if it has no room. */
void
afrpc_nats_server_take_demand (AfrpcNatsServer      *self,
                               guint64               sender,
                               const AfrpcNatsFrame *frame,
                               GVariant             *body,
                               guint                 tag)
{
  AfrpcNatsClient *client = afrpc_nats_server_find_client (self, sender);
  const char *inbox;
  guint64 size_max, last_id;
  guint32 n;

  g_variant_get (body, "(&sutt)", &inbox, &n, &size_max, &last_id);
  if (client == NULL)
    {
      if (!afrpc_nats_check_subject (inbox, NULL) || g_hash_table_size (self->clients) >= CLIENTS_MAX)
        return;
      client = add_client (self, sender, inbox, last_id);
    }
  else if (!g_str_equal (client->inbox, inbox))
    return;

  client->heard_us = g_get_monotonic_time ();
  client->gone_us = 0;
  client->is_asking |= tag == AFRPC_NATS_TAG_QUEUE || (frame->flags & AFRPC_NATS_FLAG_ASKING) != 0;
  afrpc_nats_server_set_dirty (self, client);
  /* It was asked alone before, and with all others now. */
  if (tag == AFRPC_NATS_TAG_ALL && frame->id == client->demand_id)
    return;

  /* What waits here is asked for, too, in case that others have room for it. */
  n -= MIN (n, client->n_behind);
  /* Whoever asks has used what he has: if that has not come, it never will. */
  if (n > 0 && client->credits > 0 && client->used_us + STALE_US < client->heard_us)
    set_credits (self, client, 0);
  client->demand_id = frame->id;
  client->size_max = size_max;
  set_wanted (self, client, MIN (n, WANTED_MAX));
}

/* Everything that was granted is void. */
void
afrpc_nats_server_revoke_all (AfrpcNatsServer *self)
{
  for (GList *link = self->client_list.head; link != NULL; link = link->next)
    {
      AfrpcNatsClient *client = link->data;

      set_wanted (self, client, 0);
      if (client->credits == 0)
        continue;
      set_credits (self, client, 0);
      afrpc_nats_server_add (self, client, AFRPC_NATS_REVOKE, 0, G_MAXUINT64, NULL);
    }
}

/* In time */

/* Names what is here, and before that what of it waits behind others: what was said of that before may be lost. Of what is more than
 * a beat names, each is asked for. */
static void
beat (AfrpcNatsServer *self,
      AfrpcNatsClient *client)
{
  g_autofree guint64 *ids = g_new (guint64, MIN (client->calls.length, AFRPC_NATS_NAMED_MAX));
  gsize n = 0;

  for (GList *link = client->calls.head; link != NULL && n < AFRPC_NATS_NAMED_MAX; link = link->next)
    {
      const AfrpcNatsServed *served = link->data;

      ids[n++] = served->id;
      if (served->is_behind)
        afrpc_nats_server_add (self, client, AFRPC_NATS_HAVE, AFRPC_NATS_FLAG_BEHIND, served->id, NULL);
    }
  afrpc_nats_server_add (self, client, AFRPC_NATS_BEAT, 0, 0,
                         g_variant_new_fixed_array (G_VARIANT_TYPE_UINT64, ids, n, sizeof *ids));
  afrpc_nats_server_mark_untold (self, client);
}

void
afrpc_nats_server_check_clients (AfrpcNatsServer *self,
                                 gint64           now_us)
{
  if (self->beat_us > now_us)
    {
      afrpc_nats_inbox_arm (self->inbox, self->beat_us);
      return;
    }

  self->beat_us = now_us + self->beat_ms * G_GINT64_CONSTANT (1000);
  for (GList *link = self->client_list.head, *next; link != NULL; link = next)
    {
      AfrpcNatsClient *client = link->data;

      next = link->next;
      afrpc_nats_chunks_expire (&client->chunks, now_us);
      if (client->gone_us != 0 && now_us - client->gone_us > self->caller_timeout_ms * G_GINT64_CONSTANT (1000))
        afrpc_nats_server_forget (self, client);
      /* What is being checked may be a call. */
      else if (self->is_connected && (client->calls.length > 0 || client->chunks.check != 0))
        beat (self, client);
      else if (client->calls.length == 0 && client->heard_us + UNUSED_US < now_us && client->used_us + UNUSED_US < now_us)
        afrpc_nats_server_forget (self, client);
    }
  if (self->client_list.length > 0)
    afrpc_nats_inbox_arm (self->inbox, self->beat_us);
}

void
afrpc_nats_server_flush (AfrpcNatsServer *self)
{
  afrpc_nats_server_share_out (self);
  /* Before the outcomes of the calls that have sent them: who has these may listen no longer. */
  afrpc_nats_outbox_flush (&self->events, afrpc_nats_server_get_link (self));
  for (guint i = 0; i < self->dirty->len; i++)
    {
      AfrpcNatsClient *client = self->dirty->pdata[i];

      grant (self, client);
      if (client->chunks.due != 0)
        afrpc_nats_server_add (self, client, AFRPC_NATS_RECEIVED, 0, client->chunks.due,
                               g_variant_new_uint64 (client->chunks.due_size));
      client->chunks.due = 0;
      afrpc_nats_outbox_flush (&client->outbox, afrpc_nats_server_get_link (self));
      client->is_dirty = FALSE;
    }
  g_ptr_array_set_size (self->dirty, 0);
}

/* What was sent to a client has not arrived. It may come back, and ask what has become of calls: whether they have never come
 * here can only be said by who has not forgotten any. */
void
afrpc_nats_server_take_no_responders (AfrpcNatsServer *self,
                                      const char      *subject)
{
  const char *rest = subject + strlen (self->inbox_subject);
  AfrpcNatsClient *client;

  if (!g_str_has_prefix (subject, self->inbox_subject) || !g_str_has_prefix (rest, ".n."))
    return;
  client = afrpc_nats_server_find_client (self, g_ascii_strtoull (rest + 3, NULL, 16));
  if (client == NULL || client->gone_us != 0)
    return;

  client->gone_us = g_get_monotonic_time ();
  set_wanted (self, client, 0);
  set_credits (self, client, 0);
  afrpc_nats_inbox_arm (self->inbox, self->beat_us);
}
