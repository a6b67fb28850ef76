/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The thread of a link, which makes all calls to nats.c but for those that wait for answers. */
#include "config.h"

#include "nats/afrpc-nats-link-parts.h"

static gboolean
take_command_locked (AfrpcNatsLink *self,
                     AfrpcNatsWork *work)
{
  const AfrpcNatsCommand *next = g_queue_peek_head (&self->commands);

  /* nats.c keeps subscriptions over a reconnection, and what is published only up to a limit. */
  if (next == NULL || (self->state != AFRPC_NATS_LINK_CONNECTED && next->kind == AFRPC_NATS_COMMAND_PUBLISH))
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
    self->pinger = g_thread_new ("afrpc-nats-ping", afrpc_nats_link_pinger_thread, self);
  if (self->ended->len == 0 || ((AfrpcNatsSubscription *) self->ended->pdata[0])->ping > ping_answered)
    return FALSE;

  g_mutex_unlock (&self->lock);
  afrpc_nats_link_destroy_ended (self, ping_answered);
  g_mutex_lock (&self->lock);

  return TRUE;
}

/* TRUE: @work is what is to be done next; FALSE: it is to end, and all was done that can be */
static gboolean
wait_for_work (AfrpcNatsLink *self,
               AfrpcNatsWork *work)
{
  gboolean has_work = FALSE;
  gint64 again_us = G_MAXINT64;

  *work = (AfrpcNatsWork) { 0 };
  g_mutex_lock (&self->lock);
  while (self->state != AFRPC_NATS_LINK_FAILED)
    {
      has_work = take_command_locked (self, work);
      if (has_work || self->is_closing)
        break;
      has_work = self->state == AFRPC_NATS_LINK_CONNECTED && afrpc_nats_link_take_flow_locked (self, work, &again_us);
      if (has_work)
        break;
      if (tidy_locked (self))
        continue;
      if (self->state != AFRPC_NATS_LINK_CONNECTED || again_us == G_MAXINT64)
        g_cond_wait (&self->cond, &self->lock);
      else
        g_cond_wait_until (&self->cond, &self->lock, again_us);
    }
  g_mutex_unlock (&self->lock);

  return has_work;
}

gpointer
afrpc_nats_link_thread (gpointer data)
{
  AfrpcNatsLink *self = data;
  AfrpcNatsWork work;

  if (afrpc_nats_link_connect (self))
    {
      while (wait_for_work (self, &work))
        {
          if (work.command != NULL)
            afrpc_nats_link_run_command (self, work.command);
          else
            afrpc_nats_link_run_transfer (self, work.flow, work.transfer);
          g_clear_pointer (&work.command, afrpc_nats_command_free);
          g_clear_pointer (&work.flow, afrpc_nats_flow_unref);
          g_clear_pointer (&work.transfer, afrpc_nats_transfer_unref);
        }
      natsConnection_Close (self->connection);
      afrpc_nats_link_end_pinger (self);
      /* Not before: nats.c reads no more. */
      g_ptr_array_set_size (self->subscriptions, 0);
      g_ptr_array_set_size (self->ended, 0);
      natsConnection_Destroy (self->connection);
    }
  /* What nats.c has for each thread */
  nats_ReleaseThreadMemory ();
  afrpc_nats_thread_end (&self->thread);
  afrpc_nats_link_end_activity (self);

  return NULL;
}
