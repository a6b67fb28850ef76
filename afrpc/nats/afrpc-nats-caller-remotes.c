/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The servers that a caller knows: how many calls each would take, whether it lives, and how more are asked for. */
#include "config.h"

#include "nats/afrpc-nats-caller-parts.h"

#include <string.h>

#define REMOTES_MAX 65536u
#define DEMAND_MAX 4096u    /* calls that are asked for at once */
#define DEMAND_MS_FIRST 100u /* after which it is asked again */
#define DEMAND_MS_MAX 1000u
#define LOOKED_AT_MAX 16u   /* servers among which the one is looked for that has least to do */
#define BEATS_MISSED 2u
#define SILENCE_US G_USEC_PER_SEC /* after which also those that have no room are to answer: somebody serves */
#define NO_ANSWER_US (3 * G_USEC_PER_SEC) /* after which it is looked whether somebody serves at all */
#define SLACK_MS 100u       /* by which a beat may be late */
#define BEAT_MS_MAX 60000u
#define IDLE_US (5 * G_USEC_PER_SEC) /* after which one without calls is asked whether it is there */
#define BURIAL_MS 20u       /* for which it is waited after NATS has answered: what was read before is on its way */

#define US_PER_MS G_GINT64_CONSTANT (1000)

/* One server */

static void
remote_free (gpointer data)
{
  AfrpcNatsRemote *self = data;

  g_assert (self->calls.length == 0);
  afrpc_nats_chunks_clear (&self->chunks);
  g_array_unref (self->acks);
  g_free (self->name);
  g_free (self);
}

AfrpcNatsRemote *
afrpc_nats_caller_find_remote (AfrpcNatsCaller *self,
                               guint64          id)
{
  return g_hash_table_lookup (self->remotes, &id);
}

static AfrpcNatsRemote *
add_remote (AfrpcNatsCaller *self,
            guint64          id,
            const char      *inbox,
            const char      *name)
{
  AfrpcNatsRemote *remote = g_new0 (AfrpcNatsRemote, 1);

  remote->id = id;
  remote->name = g_strdup (name);
  remote->acks = g_array_new (FALSE, FALSE, sizeof (guint64));
  afrpc_nats_outbox_init_peer (&remote->outbox, inbox, self->inbox_subject, id, self->inbox, self->id);
  g_hash_table_insert (self->remotes, &remote->id, remote);
  g_ptr_array_add (self->remote_list, remote);

  return remote;
}

/* Something is to be said to it before long. */
void
afrpc_nats_caller_set_dirty (AfrpcNatsCaller *self,
                             AfrpcNatsRemote *remote)
{
  if (!remote->is_dirty)
    g_ptr_array_add (self->dirty, remote);
  remote->is_dirty = TRUE;
}

/* @body: (nullable): a floating reference is consumed. Returns: the number of the message that it travels in */
guint64
afrpc_nats_caller_say (AfrpcNatsCaller    *self,
                       AfrpcNatsRemote    *remote,
                       AfrpcNatsFrameType  type,
                       guint               flags,
                       guint64             id,
                       GVariant           *body)
{
  afrpc_nats_caller_set_dirty (self, remote);

  return afrpc_nats_outbox_add (&remote->outbox, afrpc_nats_caller_get_link (self), type, flags, id, body);
}

void
afrpc_nats_caller_set_credits (AfrpcNatsCaller *self,
                               AfrpcNatsRemote *remote,
                               guint            credits)
{
  self->n_credits += credits - remote->credits;
  remote->credits = credits;
}

static void
remove_remote (AfrpcNatsCaller *self,
               AfrpcNatsRemote *remote)
{
  afrpc_nats_caller_set_credits (self, remote, 0);
  if (remote->is_dirty)
    g_ptr_array_remove_fast (self->dirty, remote);
  afrpc_nats_outbox_clear (&remote->outbox, afrpc_nats_caller_get_link (self));
  g_ptr_array_remove_fast (self->remote_list, remote);
  g_hash_table_remove (self->remotes, &remote->id);
}

void
afrpc_nats_caller_init_remotes (AfrpcNatsCaller *self)
{
  self->remotes = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, remote_free);
  self->remote_list = g_ptr_array_new ();
  self->dirty = g_ptr_array_new ();
}

void
afrpc_nats_caller_clear_remotes (AfrpcNatsCaller *self)
{
  for (guint i = 0; i < self->remote_list->len; i++)
    afrpc_nats_outbox_clear (&((AfrpcNatsRemote *) self->remote_list->pdata[i])->outbox, afrpc_nats_caller_get_link (self));
  afrpc_nats_outbox_clear (&self->queue_outbox, NULL);
  afrpc_nats_outbox_clear (&self->all_outbox, NULL);
  g_ptr_array_unref (self->remote_list);
  g_ptr_array_unref (self->dirty);
  g_hash_table_unref (self->remotes);
}

/* Grants */

void
afrpc_nats_caller_take_grant (AfrpcNatsCaller      *self,
                              guint64               sender,
                              const AfrpcNatsFrame *frame,
                              GVariant             *body)
{
  AfrpcNatsRemote *remote = afrpc_nats_caller_find_remote (self, sender);
  const char *inbox, *name;
  guint64 size_max;
  guint32 n, beat_ms;

  g_variant_get (body, "(&s&suut)", &inbox, &name, &n, &beat_ms, &size_max);
  self->unanswered_us = 0;
  if (frame->id == self->demand_id && self->demand == AFRPC_NATS_DEMAND_ASKED)
    self->demand = AFRPC_NATS_DEMAND_ANSWERED;
  else if (frame->id == self->demand_id && self->demand == AFRPC_NATS_DEMAND_ASKED_ALL)
    self->demand = AFRPC_NATS_DEMAND_SPREAD;
  if (remote == NULL && n > 0)
    {
      if (!afrpc_nats_check_subject (inbox, NULL) || self->remote_list->len >= REMOTES_MAX)
        return;
      remote = add_remote (self, sender, inbox, name);
    }
  if (remote == NULL)
    return;

  remote->beat_ms = CLAMP (beat_ms, 1, BEAT_MS_MAX);
  remote->size_max = size_max;
  afrpc_nats_caller_set_heard (remote, g_get_monotonic_time ());
  afrpc_nats_inbox_arm (self->inbox, remote->heard_us + IDLE_US);
  afrpc_nats_caller_set_credits (self, remote, remote->credits + MIN (n, DEMAND_MAX));
}

/* Returns: for how many calls room is asked for */
static guint
get_n_wanted (AfrpcNatsCaller *self)
{
  return MIN (afrpc_nats_caller_count_queued (self) + afrpc_nats_caller_count_behind (self), DEMAND_MAX);
}

static void
ask (AfrpcNatsCaller *self,
     AfrpcNatsOutbox *outbox,
     guint            flags,
     guint            n)
{
  afrpc_nats_outbox_add (outbox, afrpc_nats_caller_get_link (self), AFRPC_NATS_DEMAND, flags, self->demand_id,
                         g_variant_new ("(sutt)", self->inbox_subject, n, self->max_message_size, self->last_id));
}

/* Asks for room. */
static void
demand (AfrpcNatsCaller *self,
        AfrpcNatsDemand  state)
{
  const gint64 now_us = g_get_monotonic_time ();
  guint n;

  self->demand = state;
  if (state == AFRPC_NATS_DEMAND_SPREAD && afrpc_nats_caller_count_queued (self) == 0)
    self->spread_us = now_us;
  if (self->unanswered_us == 0)
    self->unanswered_us = now_us;
  /* Each server takes off what waits there, as it says itself, be it that this is not asked back. What has been it gives back
   * before it gets this. */
  n = MIN (afrpc_nats_caller_count_queued (self) + self->n_behind - self->n_recalled, DEMAND_MAX);
  self->n_demanded = get_n_wanted (self);
  self->demand_id++;
  if (state != AFRPC_NATS_DEMAND_SPREAD)
    ask (self, &self->queue_outbox, 0, n);
  if (state != AFRPC_NATS_DEMAND_ASKED)
    ask (self, &self->all_outbox, self->unanswered_us + SILENCE_US <= now_us ? AFRPC_NATS_FLAG_ASKING : 0, n);
  self->demand_us = now_us + self->demand_ms * US_PER_MS;
  afrpc_nats_inbox_arm (self->inbox, self->demand_us);
}

/* Whether all may be asked now. For what has a server, though it waits there, they are not asked so often. */
static gboolean
may_spread (AfrpcNatsCaller *self)
{
  return afrpc_nats_caller_count_queued (self) > 0 || self->spread_us + DEMAND_MS_MAX * US_PER_MS <= g_get_monotonic_time ();
}

/* One server is asked first; if that has not got room for all, the others are, too, which remember it until they have. */
static void
update_demand (AfrpcNatsCaller *self)
{
  if (get_n_wanted (self) == 0)
    {
      self->demand = AFRPC_NATS_DEMAND_NONE;
      self->unanswered_us = 0;
      return;
    }
  if (!self->is_connected)
    return;

  if (self->demand == AFRPC_NATS_DEMAND_NONE)
    {
      self->demand_ms = DEMAND_MS_FIRST;
      demand (self, AFRPC_NATS_DEMAND_ASKED);
    }
  else if ((self->demand == AFRPC_NATS_DEMAND_ANSWERED && may_spread (self)) ||
           (self->demand == AFRPC_NATS_DEMAND_SPREAD && get_n_wanted (self) > 2 * self->n_demanded))
    demand (self, AFRPC_NATS_DEMAND_SPREAD);
}

/* A server has taken back what was not used: it does not remember any more that there are calls. */
void
afrpc_nats_caller_want_again (AfrpcNatsCaller *self)
{
  if (self->demand == AFRPC_NATS_DEMAND_SPREAD)
    self->demand = AFRPC_NATS_DEMAND_ANSWERED;
}

static void
ping (AfrpcNatsCaller *self)
{
  if (self->ping_us != 0)
    return;

  self->ping_us = g_get_monotonic_time ();
  afrpc_nats_link_ping (afrpc_nats_caller_get_link (self), self->inbox);
}

/* Whoever serves answers, be it that he has no room. If somebody else listens to all subjects, NATS does not say that nobody
 * does. */
static gboolean
is_unanswered (AfrpcNatsCaller *self,
               gint64           now_us)
{
  const gint64 timeout_us = MAX (self->no_servers_timeout_ms * US_PER_MS, NO_ANSWER_US);

  if (self->unanswered_us == 0 || self->unanswered_us + timeout_us > now_us)
    return FALSE;

  /* Those that have calls live, and may have no room. */
  for (guint i = 0; i < self->remote_list->len; i++)
    if (((AfrpcNatsRemote *) self->remote_list->pdata[i])->calls.length > 0)
      return FALSE;

  return afrpc_nats_caller_count_queued (self) > 0;
}

/* Nothing that was asked for has come, or not enough: servers may have come, and messages may have been lost. One that has not
 * answered may have lost its network, and NATS not know it yet: with it all others are asked. */
static void
demand_again (AfrpcNatsCaller *self)
{
  const gboolean is_answered = self->demand != AFRPC_NATS_DEMAND_ASKED && self->demand != AFRPC_NATS_DEMAND_ASKED_ALL;

  if (self->is_connected && is_unanswered (self, g_get_monotonic_time ()))
    ping (self);
  self->demand_ms = MIN (self->demand_ms * 2, DEMAND_MS_MAX);
  if (get_n_wanted (self) > 0 && self->is_connected)
    demand (self, is_answered ? AFRPC_NATS_DEMAND_ASKED : AFRPC_NATS_DEMAND_ASKED_ALL);
}

/* Sending */

/* Whether @a does a call sooner than @b. */
static gboolean
is_better (const AfrpcNatsRemote *a,
           const AfrpcNatsRemote *b)
{
  if ((a->n_behind > 0) != (b->n_behind > 0))
    return b->n_behind > 0;

  return a->calls.length < b->calls.length;
}

/* Returns: (nullable): of those that would take a call, the one that has least to do */
static AfrpcNatsRemote *
pick (AfrpcNatsCaller *self)
{
  AfrpcNatsRemote *best = NULL;
  guint n_seen = 0;

  for (guint i = 0; i < self->remote_list->len && n_seen < LOOKED_AT_MAX; i++)
    {
      AfrpcNatsRemote *remote = self->remote_list->pdata[i];

      if (remote->credits == 0)
        continue;
      n_seen++;
      if (best == NULL || is_better (remote, best))
        best = remote;
    }

  return best;
}

/* It lives. */
void
afrpc_nats_caller_set_heard (AfrpcNatsRemote *remote,
                             gint64           time_us)
{
  remote->heard_us = MAX (remote->heard_us, time_us);
  remote->query_us = MAX (remote->query_us, time_us + (remote->beat_ms + SLACK_MS) * US_PER_MS);
  remote->probe_us = 0;
  remote->burial_us = 0;
  remote->was_spared = FALSE;
  remote->asked_us = 0;
}

static gint64
get_death_us (const AfrpcNatsRemote *remote)
{
  return remote->heard_us + (BEATS_MISSED * remote->beat_ms + SLACK_MS) * US_PER_MS;
}

/* Gives servers the calls that they have room for. */
void
afrpc_nats_caller_pump (AfrpcNatsCaller *self)
{
  AfrpcNatsRemote *remote;
  AfrpcNatsCall *record;

  afrpc_nats_caller_recall (self);
  /* What comes back has its room. */
  while ((record = afrpc_nats_caller_peek (self)) != NULL && self->n_credits > self->n_recalled && (remote = pick (self)) != NULL)
    {
      /* It begins to beat now. */
      if (remote->calls.length == 0)
        {
          afrpc_nats_caller_set_heard (remote, g_get_monotonic_time ());
          afrpc_nats_inbox_arm (self->inbox, remote->query_us);
        }
      afrpc_nats_caller_send (self, record, remote);
    }
  update_demand (self);
}

static void
add_acks (AfrpcNatsCaller *self,
          AfrpcNatsRemote *remote)
{
  for (guint i = 0; i < remote->acks->len; i++)
    afrpc_nats_caller_say (self, remote, AFRPC_NATS_ACK, 0, g_array_index (remote->acks, guint64, i), NULL);
  g_array_set_size (remote->acks, 0);
}

/* Sends what is to be sent. That outcomes have arrived is said together with something else, or some time later. */
void
afrpc_nats_caller_flush (AfrpcNatsCaller *self)
{
  for (guint i = 0; i < self->dirty->len; i++)
    {
      AfrpcNatsRemote *remote = self->dirty->pdata[i];

      if (remote->chunks.due != 0)
        afrpc_nats_caller_say (self, remote, AFRPC_NATS_RECEIVED, 0, remote->chunks.due,
                               g_variant_new_uint64 (remote->chunks.due_size));
      remote->chunks.due = 0;
      add_acks (self, remote);
      afrpc_nats_outbox_flush (&remote->outbox, afrpc_nats_caller_get_link (self));
      remote->is_dirty = FALSE;
    }
  g_ptr_array_set_size (self->dirty, 0);
  afrpc_nats_outbox_flush (&self->queue_outbox, afrpc_nats_caller_get_link (self));
  afrpc_nats_outbox_flush (&self->all_outbox, afrpc_nats_caller_get_link (self));
}

/* Death */

/* Whether a call is on its way in parts: then its server does not know it yet. */
gboolean
afrpc_nats_caller_is_under_way (AfrpcNatsCaller *self,
                                AfrpcNatsCall   *record)
{
  return afrpc_nats_outbox_is_under_way (&record->remote->outbox, afrpc_nats_caller_get_link (self), record->message);
}

/* Of what it has never got, a server does not speak by itself. Where all is under way, it is asked whether it is there: parts may be
 * lost. */
static void
query (AfrpcNatsCaller *self,
       AfrpcNatsRemote *remote,
       gint64           now_us)
{
  remote->query_us = now_us + remote->beat_ms * US_PER_MS;
  afrpc_nats_inbox_arm (self->inbox, remote->query_us);
  if (afrpc_nats_caller_is_under_way (self, remote->calls.head->data))
    afrpc_nats_caller_say (self, remote, AFRPC_NATS_QUERY, 0, 0, NULL);
  for (GList *link = remote->calls.head; link != NULL; link = link->next)
    if (!afrpc_nats_caller_is_under_way (self, link->data))
      afrpc_nats_caller_say (self, remote, AFRPC_NATS_QUERY, 0, ((AfrpcNatsCall *) link->data)->id, NULL);
}

static gboolean
may_repeat (AfrpcNatsCaller *self,
            AfrpcNatsCall   *record)
{
  AfrpcCallOptions *options = afrpc_call_get_options (record->call);

  return self->state != AFRPC_NATS_CALLER_OVER && options != NULL && afrpc_call_options_get_idempotent (options) &&
         record->n_repeats < self->max_repeats;
}

/* Whoever had @record will not say what has become of it: it may have been done. @error: (transfer full) */
void
afrpc_nats_caller_lose (AfrpcNatsCaller *self,
                        AfrpcNatsCall   *record,
                        GError          *error)
{
  if (record->end != AFRPC_NATS_END_NONE)
    afrpc_nats_caller_settle_end (self, record, record->started);
  else if (may_repeat (self, record))
    {
      record->n_repeats++;
      if (record->before != AFRPC_STARTED_YES)
        record->before = record->started;
      afrpc_nats_caller_requeue (self, record);
    }
  else
    {
      afrpc_nats_caller_settle (self, record, record->started, NULL, error);
      return;
    }
  g_error_free (error);
}

static void
bury (AfrpcNatsCaller *self,
      AfrpcNatsRemote *remote,
      gint64           now_us)
{
  const double silence_s = (double) (now_us - remote->heard_us) / G_USEC_PER_SEC;

  /* What it has parts of it has not begun, and never will. The last first, so that none is sent in the place of one before. */
  for (GList *link = remote->calls.tail; link != NULL; link = link->prev)
    {
      AfrpcNatsCall *record = link->data;

      if (afrpc_nats_outbox_stop (&remote->outbox, afrpc_nats_caller_get_link (self), record->message, FALSE) &&
          record->started != AFRPC_STARTED_YES)
        record->started = AFRPC_STARTED_NO;
    }
  while (remote->calls.head != NULL)
    afrpc_nats_caller_lose (self, remote->calls.head->data,
                            g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED,
                                         "nothing was heard of %s, which had the call of '%s', for %.1f s", remote->name,
                                         self->subject, silence_s));
  remove_remote (self, remote);
}

static void
check_ends (AfrpcNatsCaller *self,
            AfrpcNatsRemote *remote,
            gint64           now_us)
{
  for (GList *link = remote->calls.head, *next; link != NULL; link = next)
    {
      AfrpcNatsCall *record = link->data;

      next = link->next;
      if (record->end == AFRPC_NATS_END_NONE)
        continue;
      if (record->end_us <= now_us)
        afrpc_nats_caller_settle_end (self, record, record->started);
      else
        afrpc_nats_inbox_arm (self->inbox, record->end_us);
    }
}

/* Nothing was heard of it for too long: then NATS is asked whether it is NATS that says nothing, or the caller that has not
 * listened. */
static void
probe (AfrpcNatsCaller *self,
       AfrpcNatsRemote *remote,
       gint64           now_us)
{
  if (remote->probe_us == 0)
    remote->probe_us = now_us;
  ping (self);
}

static void
take_pong (AfrpcNatsCaller *self,
           AfrpcNatsRemote *remote,
           gint64           ping_us,
           gint64           now_us)
{
  const gint64 delay_us = now_us - ping_us;

  if (remote->probe_us == 0 || remote->burial_us != 0)
    return;

  /* It may have been asked before that. */
  if (remote->probe_us > ping_us)
    probe (self, remote, now_us);
  else if (delay_us > remote->beat_ms * US_PER_MS && !remote->was_spared)
    {
      afrpc_nats_caller_set_heard (remote, now_us);
      remote->was_spared = TRUE;
      query (self, remote, now_us);
    }
  else
    {
      remote->burial_us = now_us + MAX (delay_us, BURIAL_MS * US_PER_MS);
      afrpc_nats_inbox_arm (self->inbox, remote->burial_us);
    }
}

static void
take_no_servers (AfrpcNatsCaller *self)
{
  const gint64 now_us = g_get_monotonic_time ();
  const gint64 timeout_us = self->no_servers_timeout_ms * US_PER_MS;
  g_autoptr(GError) error = NULL;

  if (now_us < self->patience_us)
    {
      afrpc_nats_inbox_arm (self->inbox, self->demand_us);
      return;
    }

  error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE, "nobody serves '%s' at %s", self->subject,
                       afrpc_nats_connection_describe (self->connection));
  for (GSequenceIter *iter = g_sequence_get_begin_iter (self->queue); !g_sequence_iter_is_end (iter);)
    {
      AfrpcNatsCall *record = g_sequence_get (iter);

      iter = g_sequence_iter_next (iter);
      if (record->begin_us + timeout_us <= now_us)
        afrpc_nats_caller_settle (self, record, AFRPC_STARTED_NO, NULL, g_error_copy (error));
      else
        afrpc_nats_inbox_arm (self->inbox, record->begin_us + timeout_us);
    }
}

/* NATS has answered. If it took its time, so may what servers have said meanwhile. */
void
afrpc_nats_caller_take_pong (AfrpcNatsCaller *self)
{
  const gint64 now_us = g_get_monotonic_time ();
  const gint64 ping_us = self->ping_us;

  self->ping_us = 0;
  for (guint i = 0; i < self->remote_list->len; i++)
    take_pong (self, self->remote_list->pdata[i], ping_us, now_us);
  if (!is_unanswered (self, now_us))
    return;

  if (now_us - ping_us > NO_ANSWER_US / 2)
    self->unanswered_us = now_us;
  else
    take_no_servers (self);
}

static void
check_life (AfrpcNatsCaller *self,
            AfrpcNatsRemote *remote,
            gint64           now_us)
{
  gint64 death_us;

  /* What it has nothing of yet it need not speak of; but of what is under way it says how much has come. That parts are sent again
   * is no sign of life. */
  if (afrpc_nats_caller_is_under_way (self, remote->calls.head->data))
    {
      const gint64 waiting_us = afrpc_nats_link_get_waiting_us (afrpc_nats_caller_get_link (self), remote->outbox.flow, NULL);

      if (waiting_us == 0 || waiting_us > remote->heard_us)
        afrpc_nats_caller_set_heard (remote, waiting_us == 0 ? now_us : waiting_us);
    }

  death_us = get_death_us (remote);
  if (remote->burial_us != 0 && remote->burial_us <= now_us)
    {
      bury (self, remote, now_us);
      return;
    }

  if (death_us <= now_us)
    probe (self, remote, now_us);
  if (remote->query_us <= now_us)
    query (self, remote, now_us);
  afrpc_nats_inbox_arm (self->inbox, MIN (remote->query_us, remote->burial_us != 0 ? remote->burial_us
                                                            : death_us > now_us ? death_us : AFRPC_NATS_NEVER));
}

/* One without calls says nothing by itself: before it would be sent one, it may have died long ago. Whoever lives answers also what
 * has become of the call with the number 0, which is none; and if he is left out because he has not been heard, he need only grant
 * something again. Who would not be sent any is not asked. */
static void
check_idle (AfrpcNatsCaller *self,
            AfrpcNatsRemote *remote,
            gint64           now_us)
{
  const gint64 wait_us = (BEATS_MISSED * remote->beat_ms + SLACK_MS) * US_PER_MS;
  gint64 next_us = remote->asked_us != 0 ? remote->asked_us + wait_us : remote->heard_us + IDLE_US;

  if (next_us <= now_us && (remote->asked_us != 0 || remote->credits == 0))
    {
      afrpc_nats_outbox_flush (&remote->outbox, afrpc_nats_caller_get_link (self));
      remove_remote (self, remote);
      return;
    }

  if (next_us <= now_us)
    {
      remote->asked_us = now_us;
      afrpc_nats_caller_say (self, remote, AFRPC_NATS_QUERY, 0, 0, NULL);
      next_us = now_us + wait_us;
    }
  afrpc_nats_inbox_arm (self->inbox, next_us);
}

/* What has come to its time. */
void
afrpc_nats_caller_check_remotes (AfrpcNatsCaller *self,
                                 gint64           now_us)
{
  for (guint i = self->remote_list->len; i > 0; i--)
    {
      AfrpcNatsRemote *remote = self->remote_list->pdata[i - 1];

      check_ends (self, remote, now_us);
      afrpc_nats_chunks_expire (&remote->chunks, now_us);
      if (remote->acks->len > 0)
        add_acks (self, remote);
      /* Who has no connection himself hears nobody. */
      if (remote->calls.length > 0 && self->is_connected)
        check_life (self, remote, now_us);
      else if (self->is_connected)
        check_idle (self, remote, now_us);
    }
  if (self->demand != AFRPC_NATS_DEMAND_NONE)
    {
      if (self->demand_us <= now_us)
        demand_again (self);
      else
        afrpc_nats_inbox_arm (self->inbox, self->demand_us);
    }
}

/* Nobody is there */

/* Returns: (nullable): the server of a message whose reply is @subject */
static AfrpcNatsRemote *
parse_reply (AfrpcNatsCaller *self,
             const char      *subject,
             guint64         *message)
{
  const char *rest = subject + strlen (self->inbox_subject);
  char *end = NULL;
  guint64 id;

  if (!g_str_has_prefix (subject, self->inbox_subject) || !g_str_has_prefix (rest, ".n."))
    return NULL;

  id = g_ascii_strtoull (rest + 3, &end, 16);
  *message = *end == '.' ? g_ascii_strtoull (end + 1, NULL, 10) : 0;

  return afrpc_nats_caller_find_remote (self, id);
}

/* It has not arrived, and never will, or was refused: somebody else may have it, if anybody still wants it. But not if its server had
 * said that it was begun, whoever says now that it was not. */
void
afrpc_nats_caller_give_back (AfrpcNatsCaller *self,
                             AfrpcNatsCall   *record)
{
  if (record->started == AFRPC_STARTED_YES)
    afrpc_nats_caller_lose (self, record,
                            g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED,
                                         "%s had begun the call of '%s', and does not have it any more", record->remote->name,
                                         self->subject));
  else if (record->end != AFRPC_NATS_END_NONE)
    afrpc_nats_caller_settle_end (self, record, AFRPC_STARTED_NO);
  else
    afrpc_nats_caller_requeue (self, record);
}

/* Nobody has got that message, or a part of it. */
static void
take_unreachable (AfrpcNatsCaller *self,
                  AfrpcNatsRemote *remote,
                  guint64          message)
{
  afrpc_nats_caller_set_credits (self, remote, 0);
  for (GList *link = remote->calls.head, *next; link != NULL; link = next)
    {
      AfrpcNatsCall *record = link->data;

      next = link->next;
      if (record->message != message)
        continue;
      /* Of what was sent in parts, it may be that only the repetition of one has not arrived, and that not for the first time. */
      if (record->is_in_parts && !afrpc_nats_outbox_stop (&remote->outbox, afrpc_nats_caller_get_link (self), message, TRUE))
        continue;
      afrpc_nats_caller_give_back (self, record);
    }
  if (remote->calls.length == 0)
    remove_remote (self, remote);
}

/* It says how much has come of what goes to it in parts. */
void
afrpc_nats_caller_take_received (AfrpcNatsCaller *self,
                                 AfrpcNatsRemote *remote,
                                 guint64          message,
                                 guint64          n)
{
  AfrpcNatsLink *link = afrpc_nats_caller_get_link (self);
  GList *l = remote->calls.head;

  if (n != AFRPC_NATS_RECEIVED_NEVER)
    {
      afrpc_nats_link_take_received (link, remote->outbox.flow, message, n);
      return;
    }
  if (!afrpc_nats_outbox_is_under_way (&remote->outbox, link, message))
    return;

  while (l != NULL && ((AfrpcNatsCall *) l->data)->message != message)
    l = l->next;
  if (!afrpc_nats_outbox_stop (&remote->outbox, link, message, TRUE))
    {
      if (l != NULL)
        afrpc_nats_caller_lose (self, l->data,
                                g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED,
                                             "%s does not know any more what has become of the call of '%s'", remote->name,
                                             self->subject));
      return;
    }

  afrpc_nats_caller_set_credits (self, remote, 0);
  if (l != NULL)
    afrpc_nats_caller_give_back (self, l->data);
  if (remote->calls.length == 0)
    remove_remote (self, remote);
}

/* What has @subject as its reply cannot be sent, and is not sent again. */
void
afrpc_nats_caller_take_unsent (AfrpcNatsCaller *self,
                               const char      *subject, /* (nullable) */
                               const GError    *error)
{
  guint64 message;
  AfrpcNatsRemote *remote = subject != NULL ? parse_reply (self, subject, &message) : NULL;

  if (remote == NULL)
    {
      afrpc_nats_caller_fail_queued (self, error);
      return;
    }

  for (GList *link = remote->calls.head, *next; link != NULL; link = next)
    {
      AfrpcNatsCall *record = link->data;

      next = link->next;
      if (record->message == message)
        afrpc_nats_caller_settle (self, record, AFRPC_STARTED_NO, NULL, g_error_copy (error));
    }
}

/* Nothing may be sent to @subject. FALSE: that is none of the servers'. */
gboolean
afrpc_nats_caller_take_unsaid (AfrpcNatsCaller *self,
                               const char      *subject,
                               const GError    *error)
{
  for (guint i = 0; i < self->remote_list->len; i++)
    {
      AfrpcNatsRemote *remote = self->remote_list->pdata[i];

      if (!g_str_equal (remote->outbox.subject, subject))
        continue;
      while (remote->calls.head != NULL)
        {
          AfrpcNatsCall *record = remote->calls.head->data;

          afrpc_nats_caller_settle (self, record, record->started, NULL, g_error_copy (error));
        }
      remove_remote (self, remote);
      return TRUE;
    }

  return FALSE;
}

/* @subject: which of ours it was said to */
void
afrpc_nats_caller_take_no_responders (AfrpcNatsCaller *self,
                                      const char      *subject)
{
  const char *rest = subject + strlen (self->inbox_subject);
  AfrpcNatsRemote *remote;
  guint64 message;

  if (!g_str_has_prefix (subject, self->inbox_subject))
    return;
  if (g_str_has_prefix (rest, ".d."))
    {
      /* The one that was asked last: somebody may have come since the one before. */
      if ((self->demand == AFRPC_NATS_DEMAND_ASKED || self->demand == AFRPC_NATS_DEMAND_ASKED_ALL) &&
          g_ascii_strtoull (rest + 3, NULL, 10) + 1 == self->queue_outbox.serial)
        take_no_servers (self);
      return;
    }

  remote = parse_reply (self, subject, &message);
  if (remote != NULL)
    take_unreachable (self, remote, message);
}

/* For the first time or again: what has become of calls is asked of their servers, who are given time to come back, too. */
void
afrpc_nats_caller_take_connected (AfrpcNatsCaller *self)
{
  const gint64 now_us = g_get_monotonic_time ();

  for (guint i = self->remote_list->len; i > 0; i--)
    {
      AfrpcNatsRemote *remote = self->remote_list->pdata[i - 1];

      afrpc_nats_caller_set_credits (self, remote, 0);
      if (remote->calls.length == 0)
        {
          remove_remote (self, remote);
          continue;
        }
      afrpc_nats_caller_set_heard (remote, now_us + AFRPC_NATS_RECONNECT_GRACE_US);
      for (GList *link = remote->calls.head; link != NULL; link = link->next)
        afrpc_nats_caller_lose_recall (self, link->data);
      query (self, remote, now_us);
    }
  self->demand = AFRPC_NATS_DEMAND_NONE;
  self->unanswered_us = 0;
  if (self->was_connected)
    self->patience_us = now_us + AFRPC_NATS_RECONNECT_GRACE_US;
  self->was_connected = TRUE;
}

/* Tells all that it ends. */
void
afrpc_nats_caller_leave (AfrpcNatsCaller *self)
{
  for (guint i = 0; i < self->remote_list->len; i++)
    {
      AfrpcNatsRemote *remote = self->remote_list->pdata[i];

      afrpc_nats_caller_say (self, remote, AFRPC_NATS_LEAVE, 0, 0, NULL);
    }
  afrpc_nats_caller_flush (self);
}
