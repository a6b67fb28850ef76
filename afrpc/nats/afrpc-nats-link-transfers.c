/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Large messages, which go in parts when there is nothing else. */
#include "config.h"

#include "nats/afrpc-nats-link-parts.h"

#define MAKERS_MAX 2 /* threads */

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
  afrpc_nats_link_end_activity (self);
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
  afrpc_nats_link_begin_activity (self);
  g_mutex_lock (&self->lock);
  transfer->is_being_made = TRUE;
  g_mutex_unlock (&self->lock);
  g_thread_pool_push (get_makers (), making, NULL);
}

/* Sends the next part of a large message. */
void
afrpc_nats_link_run_transfer (AfrpcNatsLink     *self,
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
  size = afrpc_nats_flow_begin_part (flow, transfer, payload_max > 0 ? (gsize) payload_max : AFRPC_NATS_WHOLE_MAX,
                                     g_get_monotonic_time (), &offset);
  g_mutex_unlock (&self->lock);
  if (size == 0)
    return;

  part = afrpc_nats_transfer_new_part (transfer, flow->sender, offset, size);
  status = afrpc_nats_link_publish_now (self, flow->subject, transfer->reply, part);
  if (afrpc_nats_link_is_refused (status))
    {
      afrpc_nats_link_tell_unsent (flow->inbox, flow->subject, transfer->reply, status);
      afrpc_nats_link_stop (self, flow, transfer->id, TRUE);
    }
}

/* Large messages take turns. TRUE: there is a part to be sent; otherwise @again_us is when there may be one. */
gboolean
afrpc_nats_link_take_flow_locked (AfrpcNatsLink *self,
                                  AfrpcNatsWork *work,
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
                      gboolean       afrpc_nats_link_is_refused)
{
  gboolean has_not_arrived;

  g_mutex_lock (&self->lock);
  has_not_arrived = afrpc_nats_flow_stop (flow, id, afrpc_nats_link_is_refused);
  g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);

  return has_not_arrived;
}

/* Sends no more of it. */
void
afrpc_nats_link_drop_flow (AfrpcNatsLink *self,
                           AfrpcNatsFlow *flow)
{
  if (afrpc_nats_link_is_inherited (self))
    return;

  g_mutex_lock (&self->lock);
  g_queue_clear_full (&flow->transfers, (GDestroyNotify) afrpc_nats_transfer_unref);
  g_ptr_array_remove_fast (self->flows, flow);
  g_mutex_unlock (&self->lock);
}
