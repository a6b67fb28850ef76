/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a caller has to tell: decided first, and told later, in order. Whoever is told may do anything. */
#include "config.h"

#include "nats/afrpc-nats-caller-parts.h"

static AfrpcNatsNews *
push (AfrpcNatsCaller *self)
{
  AfrpcNatsNews *news = g_new0 (AfrpcNatsNews, 1);

  news->link.data = news;
  g_queue_push_tail_link (&self->news, &news->link);

  return news;
}

static void
news_free (AfrpcNatsNews *news)
{
  if (news->settled != NULL)
    {
      g_object_unref (news->settled->call);
      g_variant_unref (news->settled->args);
      g_free (news->settled);
    }
  g_clear_object (&news->call);
  g_clear_pointer (&news->value, g_variant_unref);
  g_clear_error (&news->error);
  g_free (news);
}

/* @value: (transfer full) */
void
afrpc_nats_caller_push_progress (AfrpcNatsCaller *self,
                                 AfrpcNatsCall   *record,
                                 GVariant        *value)
{
  AfrpcNatsNews *news = push (self);

  news->call = g_object_ref (record->call);
  news->value = value;
}

void
afrpc_nats_caller_push_mark (AfrpcNatsCaller *self,
                             AfrpcNatsRemote *remote,
                             guint64          mark)
{
  AfrpcNatsNews *news = push (self);

  news->mark = mark;
  news->server = remote->id;
}

/* @value: (transfer full) */
void
afrpc_nats_caller_push_event (AfrpcNatsCaller *self,
                              GVariant        *value)
{
  const gsize size = g_variant_get_size (value);

  /* While the thread is blocked, nobody takes them. */
  if (self->n_event_bytes + size > AFRPC_NATS_EVENTS_MAX)
    {
      g_variant_unref (value);
      self->n_events_lost++;
      return;
    }

  self->n_event_bytes += size;
  push (self)->value = value;
}

/* @error: (transfer full) */
void
afrpc_nats_caller_push_error (AfrpcNatsCaller *self,
                              GError          *error)
{
  push (self)->error = error;
}

/* @record: (transfer full), of no list any more; @value, @error: (transfer full), one of them */
void
afrpc_nats_caller_push_outcome (AfrpcNatsCaller *self,
                                AfrpcNatsCall   *record,
                                GVariant        *value,
                                GError          *error)
{
  AfrpcNatsNews *news = push (self);

  news->settled = record;
  news->value = value;
  news->error = error;
}

/* All progress before it has been told: its server may send more. */
static void
pass_mark (AfrpcNatsCaller     *self,
           const AfrpcNatsNews *news)
{
  AfrpcNatsRemote *remote = afrpc_nats_caller_find_remote (self, news->server);

  if (remote != NULL)
    afrpc_nats_caller_say (self, remote, AFRPC_NATS_TOLD, 0, news->mark, NULL);
}

static void
tell (AfrpcNatsCaller *self,
      AfrpcNatsNews   *news) /* (transfer full) */
{
  AfrpcCaller *caller = AFRPC_CALLER (self);

  if (news->settled != NULL)
    g_hash_table_remove (self->by_call, news->settled->call);
  if (news->settled != NULL && news->value != NULL)
    afrpc_call_return_value (news->settled->call, news->value, NULL);
  else if (news->settled != NULL)
    afrpc_call_return_error (news->settled->call, news->settled->started, news->error);
  else if (news->call != NULL)
    afrpc_call_report_progress (news->call, news->value);
  else if (news->mark != 0)
    pass_mark (self, news);
  else if (news->error != NULL)
    afrpc_caller_emit_error (caller, news->error);
  /* Events are for everybody who listens: who does not has not missed anything. */
  else if (g_signal_has_handler_pending (self, g_signal_lookup ("event", AFRPC_TYPE_CALLER), 0, FALSE))
    afrpc_caller_emit_event (caller, news->value, NULL, NULL);
  news_free (news);
}

/* Tells everything. A main loop that runs in a callback goes on with what follows. */
void
afrpc_nats_caller_tell (AfrpcNatsCaller *self)
{
  g_autoptr(AfrpcNatsCaller) keep = g_object_ref (self);
  GList *link;

  while (!afrpc_nats_caller_is_inherited (self) && (link = g_queue_pop_head_link (&self->news)) != NULL)
    {
      AfrpcNatsNews *news = link->data;

      if (news->settled == NULL && news->call == NULL && news->value != NULL)
        self->n_event_bytes -= g_variant_get_size (news->value);
      tell (self, news);
      if (self->n_events_lost > 0 && self->n_event_bytes == 0)
        {
          afrpc_nats_caller_push_error (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_BUSY,
                                                           "%u events were lost: the thread was blocked", self->n_events_lost));
          self->n_events_lost = 0;
        }
    }
}

/* Tells who blocks for @call its outcome, and nothing else. TRUE: it has it. */
gboolean
afrpc_nats_caller_tell_awaited (AfrpcNatsCaller *self,
                                AfrpcCall       *call)
{
  for (GList *link = self->news.head; link != NULL; link = link->next)
    {
      AfrpcNatsNews *news = link->data;

      if (news->settled == NULL || news->settled->call != call)
        continue;
      g_queue_unlink (&self->news, link);
      tell (self, news);
      return TRUE;
    }

  return FALSE;
}
