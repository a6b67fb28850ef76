/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a server gets from callers, and from who may be anybody. */
#include "config.h"

#include "nats/afrpc-nats-server-parts.h"

static void take_bytes (AfrpcNatsServer *self,
                        GBytes          *bytes,
                        GPtrArray       *values,
                        guint            tag,
                        GByteArray      *answer);

/* Somebody whom it does not know, or not any more: @answer is what he is told. A call that comes now is not begun; one that came
 * before may have been. */
static void
take_from_stranger (const AfrpcNatsFrame *frame,
                    GByteArray           *answer) /* (nullable): nobody would get it */
{
  if (answer == NULL)
    return;

  if (frame->type == AFRPC_NATS_CALL)
    afrpc_nats_message_add (answer, AFRPC_NATS_REFUSED, 0, frame->id, g_variant_new_string ("its caller is not known"));
  else if (frame->type == AFRPC_NATS_QUERY || frame->type == AFRPC_NATS_CANCEL || frame->type == AFRPC_NATS_RECALL)
    afrpc_nats_message_add (answer, AFRPC_NATS_FORGOTTEN, 0, frame->id, NULL);
  else if (frame->type == AFRPC_NATS_CHUNK)
    afrpc_nats_message_add (answer, AFRPC_NATS_RECEIVED, 0, frame->id, g_variant_new_uint64 (AFRPC_NATS_RECEIVED_NEVER));
}

static gboolean
take_chunk (AfrpcNatsServer      *self,
            AfrpcNatsClient      *client,
            const AfrpcNatsFrame *frame,
            guint                 tag,
            GError              **error)
{
  /* Nothing is begun any more. */
  const guint64 size_max = self->state == AFRPC_NATS_SERVER_SERVING ? self->max_message_size + AFRPC_NATS_MESSAGE_SLACK : 0;
  g_autoptr(GBytes) message = NULL;
  g_autoptr(GError) problem = NULL;
  const int status = afrpc_nats_chunks_take (&client->chunks, frame, size_max, &message, &problem);

  afrpc_nats_server_set_dirty (self, client);
  if (status > 0 && !afrpc_nats_chunks_check (&client->chunks, message, client->id, TRUE, self->inbox))
    take_bytes (self, message, NULL, tag, NULL);
  /* It beats meanwhile. */
  else if (status > 0)
    afrpc_nats_inbox_arm (self->inbox, self->beat_us);
  if (problem == NULL || size_max == 0)
    return TRUE;

  g_propagate_error (error, g_steal_pointer (&problem));

  return FALSE;
}

static gboolean
take_received (AfrpcNatsServer       *self,
               AfrpcNatsClient       *client,
               const AfrpcNatsReader *reader,
               const AfrpcNatsFrame  *frame,
               GError               **error)
{
  g_autoptr(GVariant) body = afrpc_nats_reader_value (reader, frame, "t", error);

  if (body == NULL)
    return FALSE;

  if (g_variant_get_uint64 (body) == AFRPC_NATS_RECEIVED_NEVER)
    afrpc_nats_outbox_stop (&client->outbox, afrpc_nats_server_get_link (self), frame->id, TRUE);
  else
    afrpc_nats_link_take_received (afrpc_nats_server_get_link (self), client->outbox.flow, frame->id, g_variant_get_uint64 (body));

  return TRUE;
}

static gboolean
take_demand (AfrpcNatsServer       *self,
             const AfrpcNatsReader *reader,
             const AfrpcNatsFrame  *frame,
             guint                  tag,
             GError               **error)
{
  g_autoptr(GVariant) body = afrpc_nats_reader_value (reader, frame, "(sutt)", error);

  if (body == NULL)
    return FALSE;
  if (self->state == AFRPC_NATS_SERVER_SERVING)
    afrpc_nats_server_take_demand (self, reader->sender, frame, body, tag);

  return TRUE;
}

/* FALSE: it is not what it should be. */
static gboolean
take_frame (AfrpcNatsServer       *self,
            const AfrpcNatsReader *reader,
            const AfrpcNatsFrame  *frame,
            guint                  tag,
            GByteArray            *answer, /* (nullable): it came in chunks, and may not come again so */
            GError               **error)
{
  AfrpcNatsClient *client = afrpc_nats_server_find_client (self, reader->sender);

  if (frame->type == AFRPC_NATS_DEMAND)
    return take_demand (self, reader, frame, tag, error);
  if (client == NULL)
    {
      take_from_stranger (frame, answer);
      return TRUE;
    }

  client->heard_us = g_get_monotonic_time ();
  client->gone_us = 0;
  switch ((AfrpcNatsFrameType) frame->type)
    {
    case AFRPC_NATS_CALL:
      afrpc_nats_server_take_call (self, client, reader, frame);
      return TRUE;

    case AFRPC_NATS_CANCEL:
      afrpc_nats_server_take_cancel (self, client, frame->id);
      return TRUE;

    case AFRPC_NATS_RECALL:
      afrpc_nats_server_take_recall (self, client, frame->id);
      return TRUE;

    case AFRPC_NATS_QUERY:
      afrpc_nats_server_take_query (self, client, frame->id);
      return TRUE;

    case AFRPC_NATS_ACK:
      afrpc_nats_server_take_ack (self, client, frame->id);
      return TRUE;

    case AFRPC_NATS_TOLD:
      afrpc_nats_server_take_told (self, client, frame->id);
      return TRUE;

    case AFRPC_NATS_LEAVE:
      afrpc_nats_server_forget (self, client);
      return TRUE;

    case AFRPC_NATS_RECEIVED:
      return take_received (self, client, reader, frame, error);

    case AFRPC_NATS_GIVEN_UP:
      afrpc_nats_chunks_drop (&client->chunks, frame->id);
      return TRUE;

    case AFRPC_NATS_CHUNK:
      if (answer != NULL)
        return take_chunk (self, client, frame, tag, error);
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a part of a message in a part of a message");
      return FALSE;

    /* What later versions may say besides is not for this one; what servers say neither. */
    case AFRPC_NATS_DEMAND:
    case AFRPC_NATS_GRANT:
    case AFRPC_NATS_REVOKE:
    case AFRPC_NATS_STARTED:
    case AFRPC_NATS_PROGRESS:
    case AFRPC_NATS_RESULT:
    case AFRPC_NATS_ERROR:
    case AFRPC_NATS_REFUSED:
    case AFRPC_NATS_HAVE:
    case AFRPC_NATS_BEAT:
    case AFRPC_NATS_EVENT:
    case AFRPC_NATS_FORGOTTEN:
    case AFRPC_NATS_MARK:
    default:
      return TRUE;
    }
}

static void
take_bytes (AfrpcNatsServer *self,
            GBytes          *bytes,
            GPtrArray       *values, /* (nullable): they have been checked before */
            guint            tag,
            GByteArray      *answer) /* (nullable): it came in chunks */
{
  g_auto(AfrpcNatsReader) reader = { 0 };
  g_autoptr(GError) error = NULL;
  AfrpcNatsFrame frame;

  if (afrpc_nats_reader_init (&reader, bytes, &error))
    {
      reader.values = values;
      reader.is_whole = answer == NULL;
      while (afrpc_nats_reader_next (&reader, &frame, &error) > 0)
        if (!take_frame (self, &reader, &frame, tag, answer, &error))
          break;
    }
  if (error != NULL)
    {
      g_prefix_error (&error, "from a caller of '%s': ", self->subject);
      g_queue_push_tail (&self->errors, g_steal_pointer (&error));
    }
}

static void
take_answered (AfrpcNatsServer *self,
               AfrpcNatsItem   *item,
               GPtrArray       *values) /* (nullable) */
{
  GByteArray *answer = afrpc_nats_message_new (self->id);

  take_bytes (self, item->bytes, values, item->tag, answer);
  afrpc_nats_link_answer (afrpc_nats_server_get_link (self), item, answer);
}

void
afrpc_nats_server_take_message (AfrpcNatsServer *self,
                                AfrpcNatsItem   *item)
{
  AfrpcNatsClient *client = NULL;
  guint64 sender;

  if (item->tag == AFRPC_NATS_TAG_INBOX && afrpc_nats_reader_peek_sender (item->bytes, &sender))
    client = afrpc_nats_server_find_client (self, sender);
  if (client != NULL && afrpc_nats_chunks_hold (&client->chunks, item))
    return;

  if (client != NULL && afrpc_nats_chunks_check (&client->chunks, item->bytes, sender, FALSE, self->inbox))
    afrpc_nats_inbox_arm (self->inbox, self->beat_us);
  else
    take_answered (self, item, NULL);
}

/* And what had to wait for it. */
void
afrpc_nats_server_take_checked (AfrpcNatsServer *self,
                                AfrpcNatsItem   *item)
{
  AfrpcNatsClient *client = afrpc_nats_server_find_client (self, item->sender);
  AfrpcNatsItem *held;

  if (client == NULL || !afrpc_nats_chunks_end_check (&client->chunks, item))
    return;

  if (item->is_whole)
    take_bytes (self, item->bytes, item->data, AFRPC_NATS_TAG_INBOX, NULL);
  else
    take_answered (self, item, item->data);
  while ((client = afrpc_nats_server_find_client (self, item->sender)) != NULL &&
         (held = afrpc_nats_chunks_pop_held (&client->chunks)) != NULL)
    {
      afrpc_nats_server_take_message (self, held);
      afrpc_nats_item_free (held);
    }
}
