/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a link is told to do: subscribe, unsubscribe, publish. */
#include "config.h"

#include "nats/afrpc-nats-link-parts.h"

#include <afrpc/afrpc.h>

static void
subscription_unref (gpointer data)
{
  AfrpcNatsSubscription *self = data;

  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  afrpc_nats_inbox_unref (self->inbox);
  g_atomic_rc_box_release (self->n_told);
  g_free (self->subject);
  g_free (self->queue);
  g_free (self);
}

void
afrpc_nats_command_free (gpointer data)
{
  AfrpcNatsCommand *self = data;

  g_clear_pointer (&self->subscription, subscription_unref);
  g_free (self->subject);
  g_free (self->reply);
  g_clear_pointer (&self->inbox, afrpc_nats_inbox_unref);
  g_clear_pointer (&self->bytes, g_bytes_unref);
  g_free (self);
}

/* Whether the connection was made again, and whoever watches has still to be told: another thread of nats.c does that, which
 * somebody else's callback may keep. */
static gboolean
is_untold (AfrpcNatsSubscription *self,
           natsConnection        *connection)
{
  return afrpc_nats_link_count_reconnects (connection) != g_atomic_int_get (self->n_told);
}

static void
message_cb (natsConnection   *connection,
            natsSubscription *sub,
            natsMsg          *message,
            void             *data)
{
  AfrpcNatsSubscription *self = data;
  const gboolean has_none = natsMsg_IsNoResponders (message);
  AfrpcNatsItem *item;

  /* Others come back as well, and may be later. Once it is known that they may, they are asked again. */
  if (has_none && is_untold (self, connection))
    {
      natsMsg_Destroy (message);
      return;
    }

  item = afrpc_nats_item_new (has_none ? AFRPC_NATS_ITEM_NO_RESPONDERS : AFRPC_NATS_ITEM_MESSAGE, self->tag,
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

static void
tell_error (AfrpcNatsInbox *inbox,
            GError         *error) /* (transfer full) */
{
  AfrpcNatsItem *item = afrpc_nats_item_new (AFRPC_NATS_ITEM_ERROR, 0, NULL);

  item->error = error;
  afrpc_nats_inbox_push (inbox, item);
}

static void
subscribe (AfrpcNatsLink         *self,
           AfrpcNatsSubscription *subscription)
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

void
afrpc_nats_subscription_destroy (gpointer data)
{
  AfrpcNatsSubscription *subscription = data;

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
      AfrpcNatsSubscription *subscription = self->subscriptions->pdata[i];

      if (subscription->id != id)
        continue;
      g_ptr_array_steal_index_fast (self->subscriptions, i);
      /* Until 3.6, nats.c may be about to put a message into it. */
      if (subscription->sub != NULL)
        (void) natsSubscription_Unsubscribe (subscription->sub);
      g_mutex_lock (&self->lock);
      subscription->ping = afrpc_nats_link_ping_locked (self);
      g_mutex_unlock (&self->lock);
      g_ptr_array_add (self->ended, subscription);
      return;
    }
}

/* Destroys the subscriptions that nats.c does not use any more; the oldest come first. */
void
afrpc_nats_link_destroy_ended (AfrpcNatsLink *self,
                               guint64        ping_answered)
{
  guint n = 0;

  while (n < self->ended->len && ((AfrpcNatsSubscription *) self->ended->pdata[n])->ping <= ping_answered)
    n++;
  if (n > 0)
    g_ptr_array_remove_range (self->ended, 0, n);
}

/* Whoever has made it is told. */
void
afrpc_nats_link_tell_unsent (AfrpcNatsInbox *inbox, /* (nullable) */
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
gboolean
afrpc_nats_link_is_refused (natsStatus status)
{
  return status == NATS_INVALID_SUBJECT || status == NATS_INVALID_ARG || status == NATS_MAX_PAYLOAD || status == NATS_NO_MEMORY;
}

natsStatus
afrpc_nats_link_publish_now (AfrpcNatsLink *self,
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
run_publish (AfrpcNatsLink          *self,
             const AfrpcNatsCommand *command)
{
  const natsStatus status = afrpc_nats_link_publish_now (self, command->subject, command->reply, command->bytes);

  if (afrpc_nats_link_is_refused (status))
    afrpc_nats_link_tell_unsent (command->inbox, command->subject, command->reply, status);
}

void
afrpc_nats_link_run_command (AfrpcNatsLink    *self,
                             AfrpcNatsCommand *command)
{
  switch (command->kind)
    {
    case AFRPC_NATS_COMMAND_SUBSCRIBE:
      subscribe (self, command->subscription);
      break;

    case AFRPC_NATS_COMMAND_UNSUBSCRIBE:
      unsubscribe (self, command->id);
      break;

    case AFRPC_NATS_COMMAND_PUBLISH:
    default:
      run_publish (self, command);
      break;
    }
}

static void
push_command (AfrpcNatsLink    *self,
              AfrpcNatsCommand *command) /* (transfer full) */
{
  if (afrpc_nats_link_is_inherited (self))
    {
      afrpc_nats_command_free (command);
      return;
    }

  g_mutex_lock (&self->lock);
  if (self->state != AFRPC_NATS_LINK_FAILED)
    {
      if (command->bytes != NULL)
        self->n_queued += g_bytes_get_size (command->bytes);
      g_queue_push_tail (&self->commands, g_steal_pointer (&command));
      g_cond_signal (&self->cond);
    }
  g_mutex_unlock (&self->lock);

  if (command != NULL)
    afrpc_nats_command_free (command);
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
  AfrpcNatsCommand *command = g_new0 (AfrpcNatsCommand, 1);
  AfrpcNatsSubscription *subscription = g_new0 (AfrpcNatsSubscription, 1);
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
  subscription->n_told = g_atomic_rc_box_acquire (self->n_told);
  command->kind = AFRPC_NATS_COMMAND_SUBSCRIBE;
  command->subscription = subscription;
  push_command (self, command);

  return id;
}

void
afrpc_nats_link_unsubscribe (AfrpcNatsLink *self,
                             guint          id)
{
  AfrpcNatsCommand *command = g_new0 (AfrpcNatsCommand, 1);

  command->kind = AFRPC_NATS_COMMAND_UNSUBSCRIBE;
  command->id = id;
  push_command (self, command);
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
  AfrpcNatsCommand *command = g_new0 (AfrpcNatsCommand, 1);

  command->kind = AFRPC_NATS_COMMAND_PUBLISH;
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
