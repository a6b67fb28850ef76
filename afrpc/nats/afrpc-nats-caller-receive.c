/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a caller gets from servers, and from who may be anybody. */
#include "config.h"

#include "nats/afrpc-nats-caller-parts.h"

#define ACKS_MAX 64u

static void
acknowledge (AfrpcNatsCaller *self,
             AfrpcNatsRemote *remote,
             guint64          id)
{
  g_array_append_val (remote->acks, id);
  afrpc_nats_inbox_arm (self->inbox, g_get_monotonic_time () + remote->beat_ms * G_GINT64_CONSTANT (1000) / 2);
  if (remote->acks->len >= ACKS_MAX)
    afrpc_nats_inbox_arm (self->inbox, g_get_monotonic_time ());
}

/* Returns: (nullable): the call, if that server has it */
static AfrpcNatsCall *
find_call (AfrpcNatsCaller *self,
           AfrpcNatsRemote *remote,
           guint64          id)
{
  AfrpcNatsCall *record = g_hash_table_lookup (self->by_id, &id);

  return record != NULL && record->remote == remote ? record : NULL;
}

/* Outcomes */

static void
take_result (AfrpcNatsCaller *self,
             AfrpcNatsCall   *record,
             GVariant        *body)
{
  GVariant *value = g_variant_get_variant (body);

  if (record->end != AFRPC_NATS_END_NONE)
    {
      g_variant_unref (value);
      afrpc_nats_caller_settle_end (self, record, AFRPC_STARTED_YES);
    }
  else if (g_variant_get_size (value) > self->max_message_size)
    {
      const gsize size = g_variant_get_size (value);

      g_variant_unref (value);
      afrpc_nats_caller_settle (self, record, AFRPC_STARTED_YES, NULL,
                                g_error_new (AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                                             "the result has %" G_GSIZE_FORMAT " bytes, more than %" G_GUINT64_FORMAT, size,
                                             self->max_message_size));
    }
  else
    afrpc_nats_caller_settle (self, record, AFRPC_STARTED_YES, value, NULL);
}

static void
take_error (AfrpcNatsCaller *self,
            AfrpcNatsCall   *record,
            GVariant        *body)
{
  const char *domain, *message;
  gint32 started, code;

  g_variant_get (body, "(i&si&s)", &started, &domain, &code, &message);
  if (started < AFRPC_STARTED_NO || started > AFRPC_STARTED_UNKNOWN)
    started = AFRPC_STARTED_UNKNOWN;
  if (record->end != AFRPC_NATS_END_NONE)
    afrpc_nats_caller_settle_end (self, record, started);
  else
    afrpc_nats_caller_settle (self, record, started, NULL, afrpc_error_new_remote (domain, code, message));
}

/* Nobody reads what its outcome is. That there is a result says that it was begun; that there is an error does not. */
static void
take_malformed (AfrpcNatsCaller *self,
                AfrpcNatsCall   *record,
                gboolean         is_result)
{
  const AfrpcStarted started = is_result ? AFRPC_STARTED_YES : AFRPC_STARTED_UNKNOWN;

  if (record->end != AFRPC_NATS_END_NONE)
    afrpc_nats_caller_settle_end (self, record, started);
  else
    afrpc_nats_caller_settle (self, record, started, NULL,
                              g_error_new (AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "%s sent an outcome that is malformed",
                                           record->remote->name));
}

/* FALSE: the body is not what it should be. */
static gboolean
take_outcome (AfrpcNatsCaller       *self,
              AfrpcNatsRemote       *remote,
              const AfrpcNatsReader *reader,
              const AfrpcNatsFrame  *frame,
              GError               **error)
{
  AfrpcNatsCall *record = find_call (self, remote, frame->id);
  g_autoptr(GVariant) body = NULL;

  if ((frame->flags & AFRPC_NATS_FLAG_CREDIT) != 0)
    afrpc_nats_caller_set_credits (self, remote, remote->credits + 1);
  /* It is said again if it has not been told that it has arrived; and of what was cancelled nobody waits for it. */
  if (record == NULL)
    {
      acknowledge (self, remote, frame->id);
      return TRUE;
    }

  body = afrpc_nats_reader_value (reader, frame, frame->type == AFRPC_NATS_RESULT ? "v" : "(isis)", error);
  acknowledge (self, remote, frame->id);
  if (body == NULL)
    {
      take_malformed (self, record, frame->type == AFRPC_NATS_RESULT);
      return FALSE;
    }
  if (frame->type == AFRPC_NATS_RESULT)
    take_result (self, record, body);
  else
    take_error (self, record, body);

  return TRUE;
}

/* Beats */

/* Returns: (transfer full) (nullable): the calls that it names */
static GVariant *
read_beat (const AfrpcNatsReader *reader,
           const AfrpcNatsFrame  *frame,
           GError               **error)
{
  g_autoptr(GVariant) body = afrpc_nats_reader_value (reader, frame, "at", error);

  if (body == NULL || g_variant_n_children (body) <= AFRPC_NATS_NAMED_MAX)
    return g_steal_pointer (&body);

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a beat names %" G_GSIZE_FORMAT " calls", g_variant_n_children (body));

  return NULL;
}

static gboolean
take_beat (AfrpcNatsCaller       *self,
           AfrpcNatsRemote       *remote,
           const AfrpcNatsReader *reader,
           const AfrpcNatsFrame  *frame,
           GError               **error)
{
  g_autoptr(GVariant) body = read_beat (reader, frame, error);
  const guint64 *ids;
  gsize n;
  g_autoptr(GHashTable) named = NULL;

  if (body == NULL)
    return FALSE;

  ids = g_variant_get_fixed_array (body, &n, sizeof *ids);
  named = g_hash_table_new (g_int64_hash, g_int64_equal);
  for (gsize i = 0; i < n; i++)
    {
      g_hash_table_add (named, (gpointer) &ids[i]);
      /* It has an outcome that has arrived: to say so was lost. */
      if (find_call (self, remote, ids[i]) == NULL)
        acknowledge (self, remote, ids[i]);
    }
  /* What is not named may be under way. If it is not named again, it is asked for; but not what goes in parts, nor what comes
   * after that. */
  for (GList *l = remote->calls.head; l != NULL; l = l->next)
    {
      AfrpcNatsCall *record = l->data;

      if (g_hash_table_contains (named, &record->id))
        afrpc_nats_caller_take_named (self, record);
      else if (afrpc_nats_caller_is_under_way (self, record))
        break;
      else if (!record->is_missed)
        record->is_missed = TRUE;
      else
        afrpc_nats_caller_say (self, remote, AFRPC_NATS_QUERY, 0, record->id, NULL);
    }

  return TRUE;
}

/* Frames */

static void
take_started (AfrpcNatsCaller *self,
              AfrpcNatsCall   *record)
{
  record->started = AFRPC_STARTED_YES;
  afrpc_nats_caller_leave_behind (self, record);
}

static gboolean
take_progress (AfrpcNatsCaller       *self,
               AfrpcNatsCall         *record,
               const AfrpcNatsReader *reader,
               const AfrpcNatsFrame  *frame,
               GError               **error)
{
  g_autoptr(GVariant) body = afrpc_nats_reader_value (reader, frame, "v", error);

  if (body == NULL)
    return FALSE;
  take_started (self, record);
  if (record->end == AFRPC_NATS_END_NONE)
    afrpc_nats_caller_push_progress (self, record, g_variant_get_variant (body));

  return TRUE;
}

static void take_bytes (AfrpcNatsCaller *self,
                        GBytes          *bytes,
                        GPtrArray       *values,
                        GByteArray      *answer);

static gboolean
take_chunk (AfrpcNatsCaller      *self,
            AfrpcNatsRemote      *remote,
            const AfrpcNatsFrame *frame,
            GError              **error)
{
  g_autoptr(GBytes) message = NULL;
  const int status = afrpc_nats_chunks_take (&remote->chunks, frame, self->max_message_size + AFRPC_NATS_MESSAGE_SLACK, &message,
                                             error);

  afrpc_nats_caller_set_dirty (self, remote);
  if (status > 0 && !afrpc_nats_chunks_check (&remote->chunks, message, remote->id, TRUE, self->inbox))
    take_bytes (self, message, NULL, NULL);

  return status >= 0;
}

static gboolean
take_received (AfrpcNatsCaller       *self,
               AfrpcNatsRemote       *remote,
               const AfrpcNatsReader *reader,
               const AfrpcNatsFrame  *frame,
               GError               **error)
{
  g_autoptr(GVariant) body = afrpc_nats_reader_value (reader, frame, "t", error);

  if (body != NULL)
    afrpc_nats_caller_take_received (self, remote, frame->id, g_variant_get_uint64 (body));

  return body != NULL;
}

static gboolean
take_grant (AfrpcNatsCaller       *self,
            const AfrpcNatsReader *reader,
            const AfrpcNatsFrame  *frame,
            GError               **error)
{
  g_autoptr(GVariant) body = afrpc_nats_reader_value (reader, frame, "(ssuut)", error);

  if (body == NULL)
    return FALSE;
  afrpc_nats_caller_take_grant (self, reader->sender, frame, body);

  return TRUE;
}

static void
add_ack (GByteArray *answer,
         guint64     id)
{
  afrpc_nats_message_add (answer, AFRPC_NATS_ACK, 0, id, NULL);
}

/* Somebody who was taken for dead, or for somebody who has nothing to say: nobody wants what he has, and he need not keep it.
 * @answer is what he is told. */
static gboolean
take_from_stranger (const AfrpcNatsReader *reader,
                    const AfrpcNatsFrame  *frame,
                    GByteArray            *answer, /* (nullable) */
                    GError               **error)
{
  g_autoptr(GVariant) body = NULL;
  const guint64 *ids;
  gsize n;

  if (answer == NULL)
    return TRUE;
  if (frame->type == AFRPC_NATS_RESULT || frame->type == AFRPC_NATS_ERROR)
    add_ack (answer, frame->id);
  else if (frame->type == AFRPC_NATS_CHUNK)
    afrpc_nats_message_add (answer, AFRPC_NATS_RECEIVED, 0, frame->id, g_variant_new_uint64 (AFRPC_NATS_RECEIVED_NEVER));
  if (frame->type != AFRPC_NATS_BEAT)
    return TRUE;

  body = read_beat (reader, frame, error);
  if (body == NULL)
    return FALSE;
  ids = g_variant_get_fixed_array (body, &n, sizeof *ids);
  /* The others are named again. */
  for (gsize i = 0; i < MIN (n, AFRPC_NATS_FRAMES_MAX); i++)
    add_ack (answer, ids[i]);

  return TRUE;
}

/* FALSE: it is not what it should be. */
static gboolean
take_frame (AfrpcNatsCaller       *self,
            const AfrpcNatsReader *reader,
            const AfrpcNatsFrame  *frame,
            GByteArray            *answer, /* (nullable): it came in chunks, and may not come again so */
            GError               **error)
{
  AfrpcNatsRemote *remote = afrpc_nats_caller_find_remote (self, reader->sender);
  AfrpcNatsCall *record;

  if (frame->type == AFRPC_NATS_GRANT)
    return take_grant (self, reader, frame, error);
  if (remote == NULL)
    return take_from_stranger (reader, frame, answer, error);

  record = find_call (self, remote, frame->id);
  switch ((AfrpcNatsFrameType) frame->type)
    {
    case AFRPC_NATS_REVOKE:
      afrpc_nats_caller_set_credits (self, remote, remote->credits - (guint) MIN (frame->id, remote->credits));
      afrpc_nats_caller_want_again (self);
      return TRUE;

    case AFRPC_NATS_STARTED:
      if (record != NULL)
        take_started (self, record);
      return TRUE;

    case AFRPC_NATS_PROGRESS:
      return record == NULL || take_progress (self, record, reader, frame, error);

    case AFRPC_NATS_MARK:
      if (frame->id != 0)
        afrpc_nats_caller_push_mark (self, remote, frame->id);
      return TRUE;

    case AFRPC_NATS_RESULT:
    case AFRPC_NATS_ERROR:
      return take_outcome (self, remote, reader, frame, error);

    case AFRPC_NATS_REFUSED:
      if (record != NULL)
        afrpc_nats_caller_give_back (self, record);
      return TRUE;

    case AFRPC_NATS_FORGOTTEN:
      if (record != NULL)
        afrpc_nats_caller_lose (self, record,
                                g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED,
                                             "%s does not know any more what has become of the call of '%s'", remote->name,
                                             self->subject));
      return TRUE;

    case AFRPC_NATS_HAVE:
      if (record != NULL)
        afrpc_nats_caller_take_have (self, record, frame->flags);
      return TRUE;

    case AFRPC_NATS_BEAT:
      return take_beat (self, remote, reader, frame, error);

    case AFRPC_NATS_RECEIVED:
      return take_received (self, remote, reader, frame, error);

    case AFRPC_NATS_GIVEN_UP:
      afrpc_nats_chunks_drop (&remote->chunks, frame->id);
      return TRUE;

    case AFRPC_NATS_CHUNK:
      if (answer != NULL)
        return take_chunk (self, remote, frame, error);
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a part of a message in a part of a message");
      return FALSE;

    /* What later versions may say besides is not for this one; what callers say neither. */
    case AFRPC_NATS_DEMAND:
    case AFRPC_NATS_CALL:
    case AFRPC_NATS_CANCEL:
    case AFRPC_NATS_QUERY:
    case AFRPC_NATS_ACK:
    case AFRPC_NATS_LEAVE:
    case AFRPC_NATS_RECALL:
    case AFRPC_NATS_TOLD:
    case AFRPC_NATS_EVENT:
    default:
      return TRUE;
    }
}

static void
take_bytes (AfrpcNatsCaller *self,
            GBytes          *bytes,
            GPtrArray       *values, /* (nullable): they have been checked before */
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
        if (!take_frame (self, &reader, &frame, answer, &error))
          break;
    }
  if (error != NULL)
    {
      g_prefix_error (&error, "from a server of '%s': ", self->subject);
      afrpc_nats_caller_push_error (self, g_steal_pointer (&error));
    }
}

static void
take_event (AfrpcNatsCaller *self,
            GBytes          *bytes)
{
  g_auto(AfrpcNatsReader) reader = { 0 };
  g_autoptr(GError) error = NULL;
  AfrpcNatsFrame frame;

  if (!afrpc_nats_reader_init (&reader, bytes, NULL))
    return;
  while (afrpc_nats_reader_next (&reader, &frame, NULL) > 0)
    {
      g_autoptr(GVariant) body = NULL;

      if (frame.type == AFRPC_NATS_EVENT && (body = afrpc_nats_reader_value (&reader, &frame, "v", NULL)) != NULL)
        afrpc_nats_caller_push_event (self, g_variant_get_variant (body));
    }
}

static void
take_answered (AfrpcNatsCaller *self,
               AfrpcNatsItem   *item,
               GPtrArray       *values) /* (nullable) */
{
  GByteArray *answer = afrpc_nats_message_new (self->id);

  take_bytes (self, item->bytes, values, answer);
  afrpc_nats_link_answer (afrpc_nats_caller_get_link (self), item, answer);
}

void
afrpc_nats_caller_take_message (AfrpcNatsCaller *self,
                                AfrpcNatsItem   *item)
{
  AfrpcNatsRemote *remote = NULL;
  guint64 sender;

  if (item->tag == AFRPC_NATS_TAG_EVENTS)
    {
      take_event (self, item->bytes);
      return;
    }

  if (afrpc_nats_reader_peek_sender (item->bytes, &sender))
    remote = afrpc_nats_caller_find_remote (self, sender);
  if (remote == NULL)
    {
      take_answered (self, item, NULL);
      return;
    }

  /* Whatever it says, it lives. */
  afrpc_nats_caller_set_heard (remote, item->arrival_us);
  if (!afrpc_nats_chunks_hold (&remote->chunks, item) &&
      !afrpc_nats_chunks_check (&remote->chunks, item->bytes, sender, FALSE, self->inbox))
    take_answered (self, item, NULL);
}

/* And what had to wait for it. */
void
afrpc_nats_caller_take_checked (AfrpcNatsCaller *self,
                                AfrpcNatsItem   *item)
{
  AfrpcNatsRemote *remote = afrpc_nats_caller_find_remote (self, item->sender);
  AfrpcNatsItem *held;

  if (remote == NULL || !afrpc_nats_chunks_end_check (&remote->chunks, item))
    return;

  if (item->is_whole)
    take_bytes (self, item->bytes, item->data, NULL);
  else
    take_answered (self, item, item->data);
  while ((remote = afrpc_nats_caller_find_remote (self, item->sender)) != NULL &&
         (held = afrpc_nats_chunks_pop_held (&remote->chunks)) != NULL)
    {
      afrpc_nats_caller_take_message (self, held);
      afrpc_nats_item_free (held);
    }
}
