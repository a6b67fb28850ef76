/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pinger: an answer of NATS means that all was read before that it had sent until then. */
#include "config.h"

#include "nats/afrpc-nats-link-parts.h"

#define PING_TIMEOUT_MS 60000 /* before which nats.c has given up the connection */
#define PING_AGAIN_US 20000

void
afrpc_nats_pinging_clear (gpointer data)
{
  afrpc_nats_inbox_unref (((AfrpcNatsPinging *) data)->inbox);
}

static void
take_answer_locked (AfrpcNatsLink *self,
                    guint64        ping)
{
  self->ping_answered = ping;
  for (guint i = 0; i < self->pinging->len;)
    {
      AfrpcNatsPinging *pinging = &g_array_index (self->pinging, AfrpcNatsPinging, i);

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

gpointer
afrpc_nats_link_pinger_thread (gpointer data)
{
  AfrpcNatsLink *self = data;

  g_mutex_lock (&self->lock);
  while (!self->is_pinger_ending)
    {
      const guint64 ping = self->ping_wanted;
      natsStatus status;

      if (ping == self->ping_answered || self->state != AFRPC_NATS_LINK_CONNECTED)
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

void
afrpc_nats_link_end_pinger (AfrpcNatsLink *self)
{
  if (self->pinger == NULL)
    return;

  g_mutex_lock (&self->lock);
  self->is_pinger_ending = TRUE;
  g_cond_signal (&self->ping_cond);
  g_mutex_unlock (&self->lock);
  g_thread_join (g_steal_pointer (&self->pinger));
}

guint64
afrpc_nats_link_ping_locked (AfrpcNatsLink *self)
{
  g_cond_signal (&self->ping_cond);

  return ++self->ping_wanted;
}

/* Has @inbox told once NATS has answered, and all was read that it had sent before. */
void
afrpc_nats_link_ping (AfrpcNatsLink  *self,
                      AfrpcNatsInbox *inbox)
{
  AfrpcNatsPinging pinging = { .inbox = afrpc_nats_inbox_ref (inbox) };

  g_mutex_lock (&self->lock);
  pinging.ping = afrpc_nats_link_ping_locked (self);
  g_array_append_val (self->pinging, pinging);
  g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);
}
