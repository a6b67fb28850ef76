/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The calls of a caller: those that wait for a server, and those that one has. */
#include "config.h"

#include "nats/afrpc-nats-caller-parts.h"

#define END_US_MAX (2 * G_USEC_PER_SEC) /* for which it is waited whether a call was begun that nobody wants any more */

void
afrpc_nats_caller_init_calls (AfrpcNatsCaller *self)
{
  self->queue = g_sequence_new (NULL);
  self->behind = g_sequence_new (NULL);
  g_queue_init (&self->news);
  self->by_call = g_hash_table_new (NULL, NULL);
  self->by_id = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->timed = g_sequence_new (NULL);
}

void
afrpc_nats_caller_clear_calls (AfrpcNatsCaller *self)
{
  g_assert (g_hash_table_size (self->by_call) == 0 && self->news.length == 0);
  g_hash_table_unref (self->by_call);
  g_hash_table_unref (self->by_id);
  g_sequence_free (self->queue);
  g_sequence_free (self->behind);
  g_sequence_free (self->timed);
}

static int
compare_deadlines (gconstpointer a,
                   gconstpointer b,
                   gpointer      data)
{
  const AfrpcNatsCall *one = a, *other = b;

  return (one->deadline_us > other->deadline_us) - (one->deadline_us < other->deadline_us);
}

int
afrpc_nats_caller_compare_places (gconstpointer a,
                                  gconstpointer b,
                                  gpointer      data)
{
  const AfrpcNatsCall *one = a, *other = b;

  if (one->priority != other->priority)
    return one->priority < other->priority ? -1 : 1;

  return (one->serial > other->serial) - (one->serial < other->serial);
}

/* One that comes back has the place that it had. */
static void
enqueue (AfrpcNatsCaller *self,
         AfrpcNatsCall   *record)
{
  record->place = g_sequence_insert_sorted (self->queue, record, afrpc_nats_caller_compare_places, NULL);
}

guint
afrpc_nats_caller_count_queued (AfrpcNatsCaller *self)
{
  return g_sequence_get_length (self->queue);
}

/* Returns: (nullable): the call that is to be sent next */
AfrpcNatsCall *
afrpc_nats_caller_peek (AfrpcNatsCaller *self)
{
  GSequenceIter *first = g_sequence_get_begin_iter (self->queue);

  return g_sequence_iter_is_end (first) ? NULL : g_sequence_get (first);
}

static void
fail (AfrpcCall  *call,
      AfrpcError  code,
      const char *format,
      ...) G_GNUC_PRINTF (3, 4);

static void
fail (AfrpcCall  *call,
      AfrpcError  code,
      const char *format,
      ...)
{
  g_autoptr(GError) error = NULL;
  va_list args;

  va_start (args, format);
  error = g_error_new_valist (AFRPC_ERROR, code, format, args);
  va_end (args);
  afrpc_call_return_error (call, AFRPC_STARTED_NO, error);
}

/* FALSE: it has been refused. */
static gboolean
check_call (AfrpcNatsCaller  *self,
            AfrpcCall        *call,
            GVariant         *args,
            AfrpcCallOptions *options) /* (nullable) */
{
  const gsize size = g_variant_get_size (args);

  if (self->failure != NULL)
    afrpc_call_return_error (call, AFRPC_STARTED_NO, self->failure);
  else if (self->state != AFRPC_NATS_CALLER_OPEN)
    fail (call, AFRPC_ERROR_CLOSED, "the caller of '%s' is closed", self->subject);
  else if (options != NULL && afrpc_call_options_get_fds (options) != NULL &&
           g_unix_fd_list_get_length (afrpc_call_options_get_fds (options)) > 0)
    fail (call, AFRPC_ERROR_NOT_SUPPORTED, "file descriptors cannot be sent over NATS");
  else if (size > self->max_message_size)
    fail (call, AFRPC_ERROR_TOO_LARGE, "the arguments have %" G_GSIZE_FORMAT " bytes, more than %" G_GUINT64_FORMAT, size,
          self->max_message_size);
  else if (afrpc_nats_caller_count_queued (self) >= self->max_calls_queued)
    fail (call, AFRPC_ERROR_BUSY, "%u calls wait for servers of '%s' already", afrpc_nats_caller_count_queued (self),
          self->subject);
  else
    return TRUE;

  return FALSE;
}

void
afrpc_nats_caller_enter (AfrpcNatsCaller  *self,
                         AfrpcCall        *call,
                         GVariant         *args,
                         AfrpcCallOptions *options) /* (nullable) */
{
  const int own_ms = options != NULL ? afrpc_call_options_get_timeout_ms (options) : -1;
  const guint timeout_ms = own_ms >= 0 ? (guint) own_ms : self->call_timeout_ms;
  AfrpcNatsCall *record;

  if (!check_call (self, call, args, options))
    return;

  record = g_new0 (AfrpcNatsCall, 1);
  record->link.data = record;
  record->serial = ++self->last_serial;
  record->call = g_object_ref (call);
  record->args = g_variant_ref (args);
  record->priority = options != NULL ? afrpc_call_options_get_priority (options) : 0;
  record->begin_us = g_get_monotonic_time ();
  record->started = AFRPC_STARTED_NO;
  record->deadline_us = AFRPC_NATS_NEVER;
  g_hash_table_insert (self->by_call, call, record);
  enqueue (self, record);
  if (timeout_ms > 0)
    {
      record->deadline_us = record->begin_us + timeout_ms * G_GINT64_CONSTANT (1000);
      record->timed = g_sequence_insert_sorted (self->timed, record, compare_deadlines, NULL);
      afrpc_nats_inbox_arm (self->inbox, record->deadline_us);
    }
}

/* Sending */

/* Returns: (transfer floating) */
static GVariant *
new_body (const AfrpcNatsCall *record,
          guint               *flags)
{
  AfrpcCallOptions *options = afrpc_call_get_options (record->call);
  AfrpcProgressMode mode;
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  if (options != NULL)
    {
      const char *function = afrpc_call_options_get_function (options);
      const char *affinity = afrpc_call_options_get_affinity (options);
      GVariant *metadata = afrpc_call_options_get_metadata (options);

      if (function != NULL)
        g_variant_builder_add (&builder, "{sv}", "function", g_variant_new_string (function));
      if (affinity != NULL)
        g_variant_builder_add (&builder, "{sv}", "affinity", g_variant_new_string (affinity));
      if (metadata != NULL)
        g_variant_builder_add (&builder, "{sv}", "metadata", metadata);
      if (record->priority != 0)
        g_variant_builder_add (&builder, "{sv}", "priority", g_variant_new_int32 (record->priority));
      if (afrpc_call_options_get_execution_timeout_ms (options) > 0)
        g_variant_builder_add (&builder, "{sv}", "execution-timeout-ms",
                               g_variant_new_uint32 (afrpc_call_options_get_execution_timeout_ms (options)));
      if (afrpc_call_options_get_idempotent (options))
        *flags |= AFRPC_NATS_FLAG_IDEMPOTENT;
      if (afrpc_call_options_wants_progress (options, &mode))
        {
          *flags |= AFRPC_NATS_FLAG_PROGRESS;
          if (mode == AFRPC_PROGRESS_LATEST)
            g_variant_builder_add (&builder, "{sv}", "progress-latest", g_variant_new_boolean (TRUE));
        }
    }

  return g_variant_new ("(a{sv}v)", &builder, record->args);
}

/* @record waits; @remote has a credit. */
void
afrpc_nats_caller_send (AfrpcNatsCaller *self,
                        AfrpcNatsCall   *record,
                        AfrpcNatsRemote *remote)
{
  guint flags = 0;
  GVariant *body;

  if (g_variant_get_size (record->args) > remote->size_max)
    {
      afrpc_nats_caller_settle (self, record, AFRPC_STARTED_NO, NULL,
                                g_error_new (AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                                             "the arguments have %" G_GSIZE_FORMAT " bytes, more than %" G_GUINT64_FORMAT
                                             " that %s takes", g_variant_get_size (record->args), remote->size_max, remote->name));
      return;
    }

  body = new_body (record, &flags);
  g_clear_pointer (&record->place, g_sequence_remove);
  g_queue_push_tail_link (&remote->calls, &record->link);
  afrpc_nats_caller_set_credits (self, remote, remote->credits - 1);
  record->remote = remote;
  record->id = ++self->last_id;
  record->sent_us = g_get_monotonic_time ();
  record->started = AFRPC_STARTED_UNKNOWN;
  record->is_missed = FALSE;
  g_hash_table_insert (self->by_id, &record->id, record);
  record->message = afrpc_nats_caller_say (self, remote, AFRPC_NATS_CALL, flags, record->id, body);
  record->is_in_parts = afrpc_nats_caller_is_under_way (self, record);
}

/* What of it is under way is sent no more: nobody would hear whether it arrives, and what comes after it would wait for that. */
static void
take_from_remote (AfrpcNatsCaller *self,
                  AfrpcNatsCall   *record)
{
  afrpc_nats_outbox_stop (&record->remote->outbox, afrpc_nats_caller_get_link (self), record->message, FALSE);
  afrpc_nats_caller_set_dirty (self, record->remote);
  afrpc_nats_caller_leave_behind (self, record);
  g_hash_table_remove (self->by_id, &record->id);
  g_queue_unlink (&record->remote->calls, &record->link);
  record->remote = NULL;
  record->id = 0;
}

/* It is at no server, or at none that lives, and is given to another one. */
void
afrpc_nats_caller_requeue (AfrpcNatsCaller *self,
                           AfrpcNatsCall   *record)
{
  take_from_remote (self, record);
  record->started = AFRPC_STARTED_NO;
  enqueue (self, record);
}

/* Outcomes */

/* @started: of what its server had said that it was begun it was, whatever is said later; @value, @error: (transfer full), one of
 * them */
void
afrpc_nats_caller_settle (AfrpcNatsCaller *self,
                          AfrpcNatsCall   *record,
                          AfrpcStarted     started,
                          GVariant        *value,
                          GError          *error)
{
  if (record->remote != NULL)
    take_from_remote (self, record);
  g_clear_pointer (&record->place, g_sequence_remove);
  g_clear_pointer (&record->timed, g_sequence_remove);
  if (record->started == AFRPC_STARTED_YES || record->before == AFRPC_STARTED_YES)
    started = AFRPC_STARTED_YES;
  record->started = started == AFRPC_STARTED_NO ? record->before : started;
  record->is_settled = TRUE;
  afrpc_nats_caller_push_outcome (self, record, value, error);
}

/* Settles what nobody waits for any more, or not longer. */
void
afrpc_nats_caller_settle_end (AfrpcNatsCaller *self,
                              AfrpcNatsCall   *record,
                              AfrpcStarted     started)
{
  GError *error;

  if (record->end == AFRPC_NATS_END_TIMED_OUT)
    error = g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "the call of '%s' has no result after %" G_GINT64_FORMAT " ms",
                         self->subject, (record->deadline_us - record->begin_us) / 1000);
  else
    error = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled");
  afrpc_nats_caller_settle (self, record, started, NULL, error);
}

/* Ends a call: at once if it is known whether it was begun, or else when its server says so, for which it is asked for a while. */
void
afrpc_nats_caller_end_call (AfrpcNatsCaller *self,
                            AfrpcNatsCall   *record,
                            AfrpcNatsEnd     end)
{
  AfrpcNatsRemote *remote = record->remote;

  if (record->end != AFRPC_NATS_END_NONE)
    return;

  record->end = end;
  if (remote == NULL)
    {
      afrpc_nats_caller_settle_end (self, record, AFRPC_STARTED_NO);
      return;
    }

  if (afrpc_nats_caller_is_under_way (self, record) &&
      afrpc_nats_outbox_stop (&remote->outbox, afrpc_nats_caller_get_link (self), record->message, FALSE))
    {
      afrpc_nats_caller_set_credits (self, remote, remote->credits + 1);
      afrpc_nats_caller_settle_end (self, record, AFRPC_STARTED_NO);
      return;
    }

  afrpc_nats_caller_leave_behind (self, record);
  afrpc_nats_caller_say (self, remote, AFRPC_NATS_CANCEL, 0, record->id, NULL);
  if (record->started == AFRPC_STARTED_YES)
    {
      afrpc_nats_caller_settle_end (self, record, AFRPC_STARTED_YES);
      return;
    }

  record->end_us = g_get_monotonic_time () + MIN (remote->beat_ms * G_GINT64_CONSTANT (1000), END_US_MAX);
  afrpc_nats_inbox_arm (self->inbox, record->end_us);
}

void
afrpc_nats_caller_cancel_call (AfrpcNatsCaller *self,
                               AfrpcCall       *call)
{
  AfrpcNatsCall *record = g_hash_table_lookup (self->by_call, call);

  if (record != NULL && !record->is_settled)
    afrpc_nats_caller_end_call (self, record, AFRPC_NATS_END_CANCELLED);
}

/* Returns: what is known by now; that it was not begun only if it never will be */
AfrpcStarted
afrpc_nats_caller_know_started (AfrpcNatsCaller *self,
                                AfrpcCall       *call)
{
  const AfrpcNatsCall *record = g_hash_table_lookup (self->by_call, call);

  if (record == NULL)
    return AFRPC_STARTED_UNKNOWN;
  if (record->is_settled)
    return record->started;

  return record->started == AFRPC_STARTED_YES || record->before == AFRPC_STARTED_YES ? AFRPC_STARTED_YES : AFRPC_STARTED_UNKNOWN;
}

/* Nobody can have them. */
void
afrpc_nats_caller_fail_queued (AfrpcNatsCaller *self,
                               const GError    *error)
{
  AfrpcNatsCall *record;

  while ((record = afrpc_nats_caller_peek (self)) != NULL)
    afrpc_nats_caller_settle (self, record, AFRPC_STARTED_NO, NULL, g_error_copy (error));
}

/* What has come to its time. */
void
afrpc_nats_caller_check_calls (AfrpcNatsCaller *self,
                               gint64           now_us)
{
  GSequenceIter *first;

  while (!g_sequence_iter_is_end (first = g_sequence_get_begin_iter (self->timed)))
    {
      AfrpcNatsCall *record = g_sequence_get (first);

      if (record->deadline_us > now_us)
        {
          afrpc_nats_inbox_arm (self->inbox, record->deadline_us);
          return;
        }
      g_clear_pointer (&record->timed, g_sequence_remove);
      afrpc_nats_caller_end_call (self, record, AFRPC_NATS_END_TIMED_OUT);
    }
}
