/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The calls that a server has: each is begun once, and its outcome is kept until its caller has it. */
#include "config.h"

#include "nats/afrpc-nats-server-parts.h"

#define REFUSED_MAX 4096u      /* of one client, that are remembered */
#define LOOK_US 10000          /* how often it is looked whether calls have been begun; what runs longer takes long */
#define BEHIND_US (2 * LOOK_US) /* after which a caller is told that its call waits behind such ones */
#define PROGRESS_MARKED (1u << 20) /* bytes after which a client is asked to say that it has told them */
#define PROGRESS_OVERHEAD 64u  /* bytes of memory besides the value */
#define WEIGHT_LONGER 0.05     /* of a new time in the average: the first calls wait for workers to start */
#define WEIGHT_SHORTER 0.25

static void
served_free (AfrpcNatsServed *served)
{
  g_clear_object (&served->call);
  g_clear_pointer (&served->outcome, g_variant_unref);
  g_clear_pointer (&served->latest, g_variant_unref);
  g_free (served);
}

static void
refuse (AfrpcNatsServer *self,
        AfrpcNatsClient *client,
        guint64          id,
        const char      *why)
{
  self->n_refused++;
  afrpc_nats_server_add (self, client, AFRPC_NATS_REFUSED, 0, id, g_variant_new_string (why));
}

/* If it arrives after all, it is not begun. */
static void
remember_refused (AfrpcNatsClient *client,
                  guint64          id)
{
  guint64 *key;

  if (g_hash_table_contains (client->refused, &id))
    return;

  key = g_memdup2 (&id, sizeof id);
  g_hash_table_add (client->refused, key);
  g_queue_push_tail (&client->refused_order, key);
  if (client->refused_order.length > REFUSED_MAX)
    {
      key = g_queue_pop_head (&client->refused_order);
      client->refused_below = MAX (client->refused_below, *key + 1);
      g_hash_table_remove (client->refused, key);
    }
}

/* A call is not here. That it has never come can only be said by who has not forgotten any. */
static void
answer_missing (AfrpcNatsServer *self,
                AfrpcNatsClient *client,
                guint64          id,
                const char      *why)
{
  if (id < client->first_id)
    {
      afrpc_nats_server_add (self, client, AFRPC_NATS_FORGOTTEN, 0, id, NULL);
      return;
    }

  remember_refused (client, id);
  refuse (self, client, id, why);
}

/* Outcomes */

static void
send_outcome (AfrpcNatsServer *self,
              AfrpcNatsServed *served,
              guint            flags)
{
  served->message = afrpc_nats_server_add (self, served->client, served->type, flags, served->id, served->outcome);
}

/* Whether it is on its way, in parts. */
static gboolean
is_under_way (AfrpcNatsServer *self,
              AfrpcNatsServed *served)
{
  return served->message != 0 &&
         afrpc_nats_outbox_is_under_way (&served->client->outbox, afrpc_nats_server_get_link (self), served->message);
}

static void
set_error (AfrpcNatsServed *served,
           AfrpcStarted     started,
           const GError    *error)
{
  g_autofree char *message = g_utf8_make_valid (error->message, -1);

  served->type = AFRPC_NATS_ERROR;
  served->outcome =
    g_variant_ref_sink (g_variant_new ("(isis)", started, g_quark_to_string (error->domain), error->code, message));
}

/* Whether nothing can be called here any more: then others may do what has not been begun. */
static gboolean
has_failed (AfrpcNatsServer *self,
            const GError    *error) /* (nullable): of a call that was not begun */
{
  return g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED) ||
         (AFRPC_IS_POOL (self->caller) && afrpc_pool_get_failure (AFRPC_POOL (self->caller)) != NULL);
}

static void
set_refused (AfrpcNatsServer *self,
             AfrpcNatsServed *served,
             const GError    *error)
{
  g_autofree char *message = g_utf8_make_valid (error->message, -1);

  served->type = AFRPC_NATS_REFUSED;
  served->outcome = g_variant_ref_sink (g_variant_new_string (message));
  self->n_refused++;
  afrpc_nats_server_give_up (self, error);
}

static void
set_outcome (AfrpcNatsServer *self,
             AfrpcNatsServed *served,
             GVariant        *value, /* (nullable) */
             const GError    *error) /* (nullable) */
{
  const guint64 size_max = MIN (self->max_message_size, served->client->size_max);
  g_autoptr(GUnixFDList) fds = value != NULL ? afrpc_call_steal_fds (served->call) : NULL;
  g_autoptr(GError) own = NULL;

  if (served->has_lost_progress)
    own = g_error_new (AFRPC_ERROR, AFRPC_ERROR_BUSY, "%" G_GUINT64_FORMAT " bytes of progress wait for the program to be told of them: it, or NATS, does not keep up",
                       served->client->progress_sent - served->client->progress_told);
  else if (fds != NULL && g_unix_fd_list_get_length (fds) > 0)
    own = g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                       "the result has file descriptors, which cannot be sent over NATS");
  else if (value != NULL && g_variant_get_size (value) > size_max)
    own = g_error_new (AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                       "the result has %" G_GSIZE_FORMAT " bytes, more than the %" G_GUINT64_FORMAT " of %s",
                       g_variant_get_size (value), size_max,
                       size_max == self->max_message_size ? self->name : "the caller");
  if (own != NULL)
    set_error (served, AFRPC_STARTED_YES, own);
  else if (value != NULL)
    {
      served->type = AFRPC_NATS_RESULT;
      served->outcome = g_variant_ref_sink (g_variant_new_variant (value));
    }
  else if (afrpc_call_get_started (served->call) == AFRPC_STARTED_NO && has_failed (self, error))
    set_refused (self, served, error);
  else
    set_error (served, afrpc_call_get_started (served->call), error);
}

/* What one takes a worker, of all that were there at once. */
static void
measure (AfrpcNatsServer *self,
         AfrpcNatsServed *served)
{
  const double n_workers = afrpc_nats_server_get_n_workers (self);
  const double time_us = g_get_monotonic_time () - served->begin_us;
  const double own_us = MAX (time_us * n_workers / MAX (n_workers, served->n_before + 1), 1);
  const double weight = own_us < self->execution_us ? WEIGHT_SHORTER : WEIGHT_LONGER;

  self->execution_us = self->execution_us <= 0 ? own_us : self->execution_us + weight * (own_us - self->execution_us);
}

static void
leave_behind (AfrpcNatsServed *served)
{
  if (served->is_behind)
    served->client->n_behind--;
  served->is_behind = FALSE;
}

/* It has left its stage: it has its outcome, or nobody waits for that. */
static void
leave_stage (AfrpcNatsServer *self,
             AfrpcNatsServed *served)
{
  g_queue_unlink (served->is_started ? &self->started : &self->unstarted, &served->stage);
  leave_behind (served);
}

static void
enter_started (AfrpcNatsServer *self,
               AfrpcNatsServed *served,
               gint64           now_us)
{
  leave_stage (self, served);
  served->is_started = TRUE;
  served->started_us = now_us;
  g_queue_push_tail_link (&self->started, &served->stage);
}

/* It runs no more. */
static void
count_out (AfrpcNatsServer *self,
           AfrpcNatsServed *served)
{
  self->n_running--;
  self->n_long -= served->is_long;
}

/* It goes to another server, as if it had never been here. */
static void
give_back (AfrpcNatsServer *self,
           AfrpcNatsServed *served)
{
  AfrpcNatsClient *client = served->client;

  remember_refused (client, served->id);
  refuse (self, client, served->id, "it was wanted back");
  g_hash_table_remove (client->by_id, &served->id);
  g_queue_unlink (&client->calls, &served->link);
  served_free (served);
}

/* Progress */

static gsize
get_progress_size (GVariant *progress)
{
  return g_variant_get_size (progress) + PROGRESS_OVERHEAD;
}

static gboolean
has_progress_room (const AfrpcNatsServer *self,
                   const AfrpcNatsClient *client,
                   GVariant              *progress)
{
  const guint64 n_untold = client->progress_sent - client->progress_told;

  return n_untold == 0 || n_untold + get_progress_size (progress) <= self->progress_max;
}

/* Asks @client to say once it has told what it was sent. */
static void
mark (AfrpcNatsServer *self,
      AfrpcNatsClient *client)
{
  client->progress_marked = client->progress_sent;
  afrpc_nats_server_add (self, client, AFRPC_NATS_MARK, 0, client->progress_sent, NULL);
}

/* That was asked before, or what was asked or answered may be lost. */
void
afrpc_nats_server_mark_untold (AfrpcNatsServer *self,
                               AfrpcNatsClient *client)
{
  if (client->progress_told < client->progress_sent)
    mark (self, client);
}

static void
send_progress (AfrpcNatsServed *served,
               GVariant        *progress)
{
  AfrpcNatsClient *client = served->client;

  client->progress_sent += get_progress_size (progress);
  afrpc_nats_server_add (served->server, client, AFRPC_NATS_PROGRESS, 0, served->id, g_variant_new_variant (progress));
  if (client->progress_sent - client->progress_marked >= PROGRESS_MARKED)
    mark (served->server, client);
}

static void
send_latest (AfrpcNatsServed *served)
{
  g_autoptr(GVariant) latest = g_steal_pointer (&served->latest);

  if (latest != NULL)
    send_progress (served, latest);
}

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   data)
{
  AfrpcNatsServed *served = data;

  if (served->client == NULL || served->type != 0 || served->has_lost_progress ||
      g_variant_get_size (progress) > served->client->size_max)
    return;

  g_clear_pointer (&served->latest, g_variant_unref);
  if (has_progress_room (served->server, served->client, progress))
    send_progress (served, progress);
  else if (served->is_latest)
    served->latest = g_variant_ref (progress);
  else
    {
      served->has_lost_progress = TRUE;
      afrpc_call_cancel (call);
    }
}

/* Its program has been told what came before that mark. */
void
afrpc_nats_server_take_told (AfrpcNatsServer *self,
                             AfrpcNatsClient *client,
                             guint64          mark)
{
  if (mark <= client->progress_told || mark > client->progress_sent)
    return;

  client->progress_told = mark;
  for (GList *link = client->calls.head; link != NULL; link = link->next)
    {
      AfrpcNatsServed *served = link->data;

      if (served->latest != NULL && has_progress_room (self, client, served->latest))
        send_latest (served);
    }
}

static void
settled_cb (GObject      *object,
            GAsyncResult *result,
            gpointer      data)
{
  AfrpcNatsServed *served = data;
  AfrpcNatsServer *self = served->server;
  AfrpcNatsClient *client = served->client;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_call_wait_finish (AFRPC_CALL (object), result, &error);

  /* Nobody wants it any more; but it has kept a worker until now. */
  if (client == NULL)
    {
      if (self != NULL)
        {
          count_out (self, served);
          afrpc_nats_inbox_wake (self->inbox);
        }
      served_free (served);
      return;
    }

  count_out (self, served);
  client->n_running--;
  leave_stage (self, served);
  if (served->is_wanted_back)
    {
      give_back (self, served);
      return;
    }

  self->n_done++;
  served->is_started = TRUE;
  send_latest (served);
  measure (self, served);
  set_outcome (self, served, value, error);
  client->n_outcome_bytes += g_variant_get_size (served->outcome);
  g_clear_object (&served->call);
  send_outcome (self, served, afrpc_nats_server_keeps_credit (self, client) ? AFRPC_NATS_FLAG_CREDIT : 0);
}

/* Beginning */

static AfrpcCallOptions *
new_options (AfrpcNatsServed *served,
             GVariant        *dict,
             guint            flags)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();
  g_autoptr(GVariant) metadata = g_variant_lookup_value (dict, "metadata", G_VARIANT_TYPE_VARDICT);
  const char *text;
  guint32 ms;
  gint32 priority;

  if (g_variant_lookup (dict, "function", "&s", &text))
    afrpc_call_options_set_function (options, text);
  if (g_variant_lookup (dict, "affinity", "&s", &text))
    afrpc_call_options_set_affinity (options, text);
  if (g_variant_lookup (dict, "execution-timeout-ms", "u", &ms))
    afrpc_call_options_set_execution_timeout_ms (options, ms);
  if (g_variant_lookup (dict, "priority", "i", &priority))
    afrpc_call_options_set_priority (options, priority);
  if (metadata != NULL)
    afrpc_call_options_set_metadata (options, metadata);
  afrpc_call_options_set_idempotent (options, (flags & AFRPC_NATS_FLAG_IDEMPOTENT) != 0);
  if ((flags & AFRPC_NATS_FLAG_PROGRESS) != 0)
    {
      g_variant_lookup (dict, "progress-latest", "b", &served->is_latest);
      afrpc_call_options_set_progress (options, served->is_latest ? AFRPC_PROGRESS_LATEST : AFRPC_PROGRESS_ALL, progress_cb,
                                       served, NULL);
    }

  return options;
}

static void
begin (AfrpcNatsServer *self,
       AfrpcNatsClient *client,
       guint64          id,
       GVariant        *body,
       guint            flags)
{
  AfrpcNatsServed *served = g_new0 (AfrpcNatsServed, 1);
  g_autoptr(GVariant) dict = g_variant_get_child_value (body, 0);
  g_autoptr(GVariant) boxed = g_variant_get_child_value (body, 1);
  g_autoptr(GVariant) args = g_variant_get_variant (boxed);
  g_autoptr(AfrpcCallOptions) options = new_options (served, dict, flags);

  served->link.data = served;
  served->stage.data = served;
  served->id = id;
  served->server = self;
  served->client = client;
  served->begin_us = g_get_monotonic_time ();
  served->n_before = self->n_running;
  g_hash_table_insert (client->by_id, &served->id, served);
  g_queue_push_tail_link (&client->calls, &served->link);
  g_queue_push_tail_link (&self->unstarted, &served->stage);
  if (client->n_running == 0)
    afrpc_nats_server_mark_untold (self, client);
  client->n_running++;
  self->n_running++;
  served->call = afrpc_caller_start (self->caller, args, options);
  afrpc_call_wait (served->call, NULL, settled_cb, served);
  afrpc_nats_inbox_arm (self->inbox, served->begin_us + LOOK_US);
  afrpc_nats_inbox_arm (self->inbox, self->beat_us);
}

void
afrpc_nats_server_take_call (AfrpcNatsServer       *self,
                             AfrpcNatsClient       *client,
                             const AfrpcNatsReader *reader,
                             const AfrpcNatsFrame  *frame)
{
  g_autoptr(GVariant) body = NULL;

  /* It has come before. */
  if (g_hash_table_contains (client->by_id, &frame->id))
    {
      afrpc_nats_server_take_query (self, client, frame->id);
      return;
    }
  if (frame->id < client->first_id || frame->id < client->refused_below || g_hash_table_contains (client->refused, &frame->id))
    {
      refuse (self, client, frame->id, "it had been asked for before it came");
      return;
    }
  /* It has come before, and its outcome has been heard; or if not, its caller makes it again with another number. */
  if (frame->id <= client->last_id)
    {
      refuse (self, client, frame->id, "a later one has come before it");
      return;
    }
  client->last_id = frame->id;
  if (!afrpc_nats_server_use_room (self, client))
    {
      refuse (self, client, frame->id, "there is no room");
      return;
    }

  body = afrpc_nats_reader_value (reader, frame, "(a{sv}v)", NULL);
  if (body == NULL)
    afrpc_nats_server_add (self, client, AFRPC_NATS_ERROR, 0, frame->id,
                           g_variant_new ("(isis)", AFRPC_STARTED_NO, g_quark_to_string (AFRPC_ERROR), AFRPC_ERROR_INVALID_DATA,
                                          "the call is malformed"));
  else
    begin (self, client, frame->id, body, frame->flags);
}

/* What is said of calls */

void
afrpc_nats_server_take_cancel (AfrpcNatsServer *self,
                               AfrpcNatsClient *client,
                               guint64          id)
{
  AfrpcNatsServed *served = g_hash_table_lookup (client->by_id, &id);

  if (served == NULL)
    answer_missing (self, client, id, "it has been cancelled");
  else if (served->call != NULL)
    afrpc_call_cancel (served->call);
}

/* Another server has room for it. What may have been begun stays, and does not wait for anybody else any more. */
void
afrpc_nats_server_take_recall (AfrpcNatsServer *self,
                               AfrpcNatsClient *client,
                               guint64          id)
{
  AfrpcNatsServed *served = g_hash_table_lookup (client->by_id, &id);

  /* It was asked for twice: it is being given back. */
  if (served != NULL && served->is_wanted_back)
    return;
  if (served == NULL || served->call == NULL || served->is_started)
    {
      afrpc_nats_server_take_query (self, client, id);
      return;
    }

  served->is_wanted_back = afrpc_call_cancel_unstarted (served->call);
  if (served->is_wanted_back)
    return;

  served->is_kept = TRUE;
  leave_behind (served);
  afrpc_nats_server_take_query (self, client, id);
}

void
afrpc_nats_server_take_query (AfrpcNatsServer *self,
                              AfrpcNatsClient *client,
                              guint64          id)
{
  AfrpcNatsServed *served = g_hash_table_lookup (client->by_id, &id);

  if (served == NULL)
    answer_missing (self, client, id, "it has not arrived");
  else if (served->type != 0 && !is_under_way (self, served))
    send_outcome (self, served, 0);
  else if (served->is_started)
    afrpc_nats_server_add (self, client, AFRPC_NATS_STARTED, 0, id, NULL);
  else
    afrpc_nats_server_add (self, client, AFRPC_NATS_HAVE, served->is_behind ? AFRPC_NATS_FLAG_BEHIND : 0, id, NULL);
}

void
afrpc_nats_server_take_ack (AfrpcNatsServer *self,
                            AfrpcNatsClient *client,
                            guint64          id)
{
  AfrpcNatsServed *served = g_hash_table_lookup (client->by_id, &id);

  if (served == NULL)
    return;

  /* Its caller has given it up. */
  if (served->type == 0)
    {
      afrpc_call_cancel (served->call);
      return;
    }
  if (is_under_way (self, served))
    {
      afrpc_nats_outbox_stop (&client->outbox, afrpc_nats_server_get_link (self), served->message, FALSE);
      afrpc_nats_server_set_dirty (self, client);
    }
  client->n_outcome_bytes -= g_variant_get_size (served->outcome);
  g_hash_table_remove (client->by_id, &id);
  g_queue_unlink (&client->calls, &served->link);
  served_free (served);
}

/* The connection was lost: what was under way may not have arrived. */
void
afrpc_nats_server_resend (AfrpcNatsServer *self,
                          AfrpcNatsClient *client)
{
  for (GList *link = client->calls.head; link != NULL; link = link->next)
    {
      AfrpcNatsServed *served = link->data;

      if (served->type != 0 && !is_under_way (self, served))
        send_outcome (self, served, 0);
      else if (served->type == 0 && served->is_started)
        afrpc_nats_server_add (self, client, AFRPC_NATS_STARTED, 0, served->id, NULL);
    }
  afrpc_nats_server_mark_untold (self, client);
}

/* Nobody wants them any more. */
void
afrpc_nats_server_drop_calls (AfrpcNatsServer *self,
                              AfrpcNatsClient *client)
{
  GList *link;

  g_hash_table_remove_all (client->by_id);
  while ((link = g_queue_pop_head_link (&client->calls)) != NULL)
    {
      AfrpcNatsServed *served = link->data;

      if (served->type != 0)
        {
          served_free (served);
          continue;
        }
      leave_stage (self, served);
      served->client = NULL;
      served->is_started = TRUE;
      client->n_running--;
      if (self->inbox == NULL)
        {
          count_out (self, served);
          served->server = NULL;
        }
      afrpc_call_cancel (served->call);
    }
}

static void
count_long (AfrpcNatsServer *self,
            gint64           now_us)
{
  for (GList *link = self->started.head; link != NULL; link = link->next)
    {
      AfrpcNatsServed *served = link->data;

      if (served->is_long || served->started_us + LOOK_US > now_us)
        continue;
      served->is_long = TRUE;
      self->n_long++;
    }
}

/* Says of those that have been begun that they have, of a call that is soon over, its outcome says it; and of those that have not,
 * and wait behind such as take long, that they do: another server may have workers that have nothing to do. */
void
afrpc_nats_server_check_started (AfrpcNatsServer *self,
                                 gint64           now_us)
{
  gboolean is_full;

  count_long (self, now_us);
  is_full = afrpc_nats_server_count_quick (self) == 0;
  for (GList *link = self->unstarted.head, *next; link != NULL; link = next)
    {
      AfrpcNatsServed *served = link->data;

      next = link->next;
      if (served->begin_us + LOOK_US > now_us)
        continue;
      if (afrpc_call_get_started (served->call) == AFRPC_STARTED_YES)
        {
          enter_started (self, served, now_us);
          afrpc_nats_server_add (self, served->client, AFRPC_NATS_STARTED, 0, served->id, NULL);
        }
      else if (is_full && !served->is_behind && !served->is_kept && served->begin_us + BEHIND_US <= now_us)
        {
          served->is_behind = TRUE;
          served->client->n_behind++;
          afrpc_nats_server_add (self, served->client, AFRPC_NATS_HAVE, AFRPC_NATS_FLAG_BEHIND, served->id, NULL);
        }
    }
  if (self->unstarted.length > 0 || self->n_long < self->started.length)
    afrpc_nats_inbox_arm (self->inbox, now_us + LOOK_US);
}
