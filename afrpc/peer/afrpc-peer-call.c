/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls of a peer: made, cancelled, and limited in time. */
#include "config.h"

#include "peer/afrpc-peer-parts.h"

#include <unistd.h>

#include "afrpc-error.h"
#include "afrpc-serialiser-values.h"
#include "os/afrpc-memory-file.h"
#include "wire/afrpc-metadata.h"
#include "peer/afrpc-inbox.h"
#include "peer/afrpc-peer.h"
#include "peer/afrpc-slice.h"

/* Queued calls are written at the latest when they have this size, so that the worker begins while the program still
 * makes more: without it the two run in lockstep. */
#define FLUSH_SIZE 4096u /* bytes */

static void
close_fds (const AfrpcPayload *args)
{
  for (guint i = 0; i < args->n_fds; i++)
    close (args->fds[i]);
}

static void
push_outcome (AfrpcPeer    *self,
              AfrpcPending *pending)
{
  afrpc_news_push_outcome (&self->news, pending);
  afrpc_peer_attend (self);
}

static gboolean
tell_cb (gpointer user_data)
{
  AfrpcPending *pending = user_data;

  pending->funcs->tell (pending);

  return G_SOURCE_REMOVE;
}

/* The context that it should be told from has gone. */
static void
tell_anywhere (AfrpcPending *pending)
{
  g_autoptr(GSource) source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[afrpc] call failed");
  g_source_set_callback (source, tell_cb, pending, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
}

/* What another thread leaves word of */
typedef struct
{
  AfrpcPending *pending; /* (nullable) (owned): until somebody tells it */
} Untold;

static void
untold_cb (AfrpcPeer *self,
           gpointer   data)
{
  Untold *untold = data;

  push_outcome (self, g_steal_pointer (&untold->pending));
}

/* It may have gone meanwhile. */
static void
untold_free (gpointer data)
{
  Untold *untold = data;

  if (untold->pending != NULL)
    tell_anywhere (untold->pending);
  g_free (untold);
}

/* A call has its outcome, and whoever made it is told later, from the context, unless he blocks the thread for it.
 * @pending: (transfer full). From any thread. */
void
afrpc_peer_tell_later (AfrpcPeer    *self,
                       AfrpcPending *pending)
{
  Untold *untold;

  if (!afrpc_pending_is_told (pending))
    return;
  switch (afrpc_source_enter (&self->member))
    {
    case AFRPC_SOURCE_ENTERED:
      push_outcome (self, pending);
      afrpc_source_leave (&self->member);
      break;

    case AFRPC_SOURCE_FOREIGN:
      untold = g_new (Untold, 1);
      *untold = (Untold) { pending };
      if (afrpc_source_post (&afrpc_peer_ref (self)->member, untold_cb, untold, untold_free))
        break;
      afrpc_peer_unref (self);
      untold_free (untold);
      break;

    default:
      tell_anywhere (pending);
      break;
    }
}

/* Nobody is to be told of an outcome that was decided: somebody has seen it, and there is nobody else. FALSE: it does not wait to
 * be told; otherwise the reference that it waited with is the caller's. */
gboolean
afrpc_peer_withdraw_outcome (AfrpcPeer    *self,
                             AfrpcPending *pending)
{
  gboolean waits;

  if (pending->state != AFRPC_PENDING_DECIDED || afrpc_source_enter (&self->member) != AFRPC_SOURCE_ENTERED)
    return FALSE;

  waits = pending->kept != NULL;
  if (waits)
    afrpc_news_withdraw_outcome (&self->news, pending);
  afrpc_source_leave (&self->member);

  return waits;
}

/* A call that never was: it has its outcome, and whoever made it is told later. @pending: (transfer full); @error:
 * (transfer full). From any thread. */
void
afrpc_peer_fail_call (AfrpcPeer    *self,
                      AfrpcPending *pending,
                      GError       *error)
{
  afrpc_pending_decide (pending, AFRPC_STARTED_NO, NULL, NULL, error);
  afrpc_peer_tell_later (self, pending);
}

/* Has @payload be @value (transfer full), and @owner keep it. */
static void
replace_payload (AfrpcPayload  *payload,
                 GVariant     **owner,
                 GVariant      *value,
                 guint          flag)
{
  const AfrpcPayload old = *payload;

  *payload = afrpc_payload (value);
  payload->flags = old.flags | flag;
  payload->fds = old.fds;
  payload->n_fds = old.n_fds;
  g_clear_pointer (owner, g_variant_unref);
  *owner = value;
}

/* Returns: (nullable): the name of the function of that number, if it is not the worker's own */
const char *
afrpc_peer_find_function (AfrpcPeer *self,
                          guint      number)
{
  return number > 0 && self->functions != NULL && number <= self->functions->len ? self->functions->pdata[number - 1] : NULL;
}

/* Returns: who it is, in a message about a call of the function of that number */
char *
afrpc_peer_describe_for (AfrpcPeer *self,
                         guint      number)
{
  const char *function = afrpc_peer_find_function (self, number);

  return function != NULL ? afrpc_birth_describe_as (&self->birth, function) : afrpc_birth_describe (&self->birth);
}

/* Says who it was that a call was refused for. The reasons of serialisers say it by themselves. */
static void
name_refusal (AfrpcPeer  *self,
              guint       function,
              GError    **error)
{
  g_autofree char *name = NULL;

  if ((*error)->domain != AFRPC_ERROR || (*error)->code == AFRPC_ERROR_SERIALISER || (*error)->code == AFRPC_ERROR_REMOTE)
    return;

  name = afrpc_peer_describe_for (self, function);
  g_prefix_error (error, "%s: ", name);
}

/* What is sent of @args: (inout); both values that it may have been made of are in @packed. */
static gboolean
pack_call (AfrpcPeer     *self,
           GVariant      *metadata, /* (nullable) */
           AfrpcPayload  *args,
           GVariant     **packed,   /* (transfer full) (nullable) */
           GError       **error)
{
  GVariant *value;

  if (self->talk.serialiser != NULL)
    {
      value = afrpc_serialiser_pack (self->talk.serialiser, args->value, error);
      if (value == NULL)
        return FALSE;
      replace_payload (args, packed, value, AFRPC_FRAME_FLAG_SERIALISED);
    }
  /* Arguments that are refused for their type are so as they are. */
  if (metadata != NULL && args->type_length <= AFRPC_FRAME_TYPE_MAX)
    {
      value = afrpc_metadata_pack (args->value, metadata, error);
      if (value == NULL)
        return FALSE;
      replace_payload (args, packed, value, AFRPC_FRAME_FLAG_METADATA);
    }

  return TRUE;
}

/* Returns: its serial; 0: it was refused, and @error says for whom */
static guint64
queue_call (AfrpcPeer           *self,
            const AfrpcPayload  *args,
            guint                function,
            GVariant            *metadata, /* (nullable) */
            AfrpcPending        *pending,
            GError             **error)
{
  const AfrpcLinkCall call = { .owner = pending };
  g_autoptr(GVariant) packed = NULL;
  AfrpcPayload payload = *args;
  guint64 serial = 0;

  /* Packed first, because a serialiser may do anything. */
  if (pack_call (self, metadata, &payload, &packed, error))
    {
      if (!afrpc_talk_check_open (&self->talk, error))
        {
          /* Its failure says it by itself. */
          if (!afrpc_talk_has_failed (&self->talk))
            name_refusal (self, function, error);
          return 0;
        }
      payload.function = function;
      serial = afrpc_link_call (&self->talk.link, &payload, &call, error);
    }
  if (serial == 0)
    name_refusal (self, function, error);

  return serial;
}

/* Makes a call, whose descriptors it takes; @pending (transfer full) gets the outcome. */
void
afrpc_peer_call (AfrpcPeer          *self,
                 const AfrpcPayload *args,
                 guint               function,
                 GVariant           *metadata, /* (nullable) */
                 guint               timeout_ms,
                 AfrpcPending       *pending)
{
  GError *error = NULL;

  pending->function = function;
  pending->serial = queue_call (self, args, function, metadata, pending, &error);
  if (pending->serial == 0)
    {
      self->failure_is_known |= self->talk.failure != NULL;
      close_fds (args);
      afrpc_peer_fail_call (self, pending, error);
      return;
    }

  /* It was idle: what it wrote before says nothing of what it does now. */
  if (self->talk.link.n_pending == 1)
    {
      afrpc_stderr_mark (&self->body.standard_error);
      self->marked_serial = pending->serial;
    }
  if (timeout_ms > 0)
    {
      const gint64 at = g_get_monotonic_time () + (gint64) timeout_ms * 1000;

      afrpc_deadlines_add (&self->deadlines, at, pending->serial, self->talk.link.n_pending);
      afrpc_source_set_deadline (self->member.source, at);
    }
  if (afrpc_transport_get_queued (&self->talk.link.transport) >= FLUSH_SIZE &&
      (self->member.socket.poll.events & G_IO_OUT) == 0 && self->member.socket.poll.fd >= 0)
    afrpc_peer_flush (self);
  afrpc_source_activate (&self->member);
}

/* Tells the worker of another of its functions, which is called by @number from then on: 1, 2 and so on. */
gboolean
afrpc_peer_declare (AfrpcPeer   *self,
                    guint        number,
                    const char  *function,
                    GError     **error)
{
  if (!afrpc_talk_check_open (&self->talk, error))
    return FALSE;

  if (self->functions == NULL)
    self->functions = g_ptr_array_new_with_free_func (g_free);
  g_assert (number == self->functions->len + 1);
  g_ptr_array_add (self->functions, g_strdup (function));
  afrpc_link_declare (&self->talk.link, number, function);

  return TRUE;
}

static void
give_up (AfrpcPeer    *self,
         AfrpcPending *pending,
         GError       *error)
{
  AfrpcLinkCall *call = afrpc_link_find (&self->talk.link, pending->serial);
  AfrpcStarted started;

  /* Otherwise its outcome has arrived, or is that of all that are owed at the end. */
  if (call == NULL || call->owner != pending || afrpc_talk_is_over (&self->talk))
    {
      g_error_free (error);
      return;
    }

  call->owner = NULL;
  started = afrpc_link_cancel (&self->talk.link, pending->serial);
  /* Without shared memory, what is sent too late runs in vain. */
  if (!afrpc_transport_shares_state (&self->talk.link.transport))
    afrpc_peer_flush (self);
  afrpc_pending_decide (pending, started, NULL, NULL, error);
  if (afrpc_pending_is_told (pending))
    afrpc_news_push_outcome (&self->news, pending);
  afrpc_peer_attend (self);
}

/* Settles a call with @error (transfer full) before its outcome is known, which is not waited for any more. */
void
afrpc_peer_cancel (AfrpcPeer    *self,
                   AfrpcPending *pending,
                   GError       *error)
{
  pending->is_cancelled = TRUE;
  if (pending->state == AFRPC_PENDING_OPEN)
    give_up (self, pending, error);
  else
    g_error_free (error);
}

/* Takes a call back that the worker has not begun, and never will then: the reference is the caller's again. FALSE: it is
 * as it was. */
gboolean
afrpc_peer_take_back (AfrpcPeer    *self,
                      AfrpcPending *pending)
{
  const AfrpcLinkCall *call = afrpc_link_find (&self->talk.link, pending->serial);

  return pending->state == AFRPC_PENDING_OPEN && call != NULL && call->owner == pending &&
         !afrpc_talk_is_over (&self->talk) && afrpc_link_take_back (&self->talk.link, pending->serial);
}

/* What the worker does about a call that was given up, and that it had begun then, or may have: @started says which. */
AfrpcPeerDebt
afrpc_peer_get_debt (AfrpcPeer    *self,
                     guint64       serial,
                     AfrpcStarted  started)
{
  const AfrpcLink *link = &self->talk.link;

  if (afrpc_talk_is_over (&self->talk) || afrpc_link_find (&self->talk.link, serial) == NULL)
    return AFRPC_PEER_DEBT_NONE;
  if (started == AFRPC_STARTED_YES || afrpc_link_get_started (link, serial) == AFRPC_STARTED_YES)
    return AFRPC_PEER_DEBT_RUNNING;

  /* Over a command nobody says what was begun; who runs one at a time has begun the oldest, or runs nothing. */
  return link->was_ready && (link->is_async || afrpc_link_is_oldest (link, serial) || afrpc_link_runs_nothing (link))
           ? AFRPC_PEER_DEBT_RUNNING
           : AFRPC_PEER_DEBT_WAITING;
}

/* A worker that has nothing to do for anybody any more ends by then, or is ended. */
void
afrpc_peer_kill_at (AfrpcPeer *self,
                    gint64     at)
{
  if (afrpc_body_is_there (&self->body) && at < self->exit_deadline)
    afrpc_peer_set_deadline (self, &self->exit_deadline, at);
}

/* Whether the worker's memory says what it has begun, without which nothing is taken back. */
gboolean
afrpc_peer_can_take_back (AfrpcPeer *self)
{
  return afrpc_transport_shares_state (&self->talk.link.transport);
}

/* Whether one that is still to be started may be such, unless it is a command. */
gboolean
afrpc_peer_may_take_back (void)
{
  return afrpc_memory_file_is_possible ();
}

/* Calls are going to be made that consist of many. */
void
afrpc_peer_expect_parts (AfrpcPeer *self)
{
  afrpc_link_expect_parts (&self->talk.link);
}

/* Has the worker begin no more of the many that a call consists of, which it runs: it answers then. FALSE: it is as it was. */
gboolean
afrpc_peer_cut (AfrpcPeer    *self,
                AfrpcPending *pending)
{
  return pending->state == AFRPC_PENDING_OPEN && !afrpc_talk_is_over (&self->talk) &&
         afrpc_link_cut (&self->talk.link, pending->serial);
}

/* Of a call that consists of many, and has no outcome: how many of them the worker has begun, and what it has saved of their
 * outcomes. Returns: (nullable) (transfer full) */
GBytes *
afrpc_peer_get_parts (AfrpcPeer          *self,
                      const AfrpcPending *call,
                      guint64            *n_begun)
{
  return afrpc_link_get_parts (&self->talk.link, call->serial, n_begun);
}

/* Time limits */

/* The worker has begun it, and its limit counts from then on. */
void
afrpc_peer_call_started (AfrpcPeer     *self,
                         AfrpcLinkItem *item)
{
  AfrpcPending *pending = item->call.owner;
  gint64 now;

  if (pending == NULL || pending->execution_timeout_ms == 0 || pending->execution_deadline != 0)
    return;

  now = g_get_monotonic_time ();
  pending->execution_deadline = (item->start_us != 0 ? item->start_us : now) + (gint64) pending->execution_timeout_ms * 1000;
  afrpc_deadlines_add (&self->deadlines, pending->execution_deadline, pending->serial, self->talk.link.n_pending);
  afrpc_source_set_deadline (self->member.source, pending->execution_deadline);
}

/* A program that was busy has not seen yet what arrived within the limit: that is taken first. FALSE: not all of it,
 * a slice is over. */
static gboolean
take_what_arrived (AfrpcPeer      *self,
                   AfrpcInboxMode  mode)
{
  AfrpcTransport *transport = &self->talk.link.transport;
  guint64 before;

  if (!self->is_catching_up)
    {
      self->is_catching_up = TRUE;
      self->catches_up_to = transport->reader.position;
      if (!afrpc_talk_is_silent (&self->talk))
        self->catches_up_to += afrpc_transport_count_arrived (transport);
    }
  while (!afrpc_talk_is_silent (&self->talk) && !self->has_backlog && transport->reader.position < self->catches_up_to)
    {
      before = transport->reader.position;
      afrpc_inbox_read (self);
      afrpc_inbox_take (self, mode);
      if (transport->reader.position == before) /* what was there has been taken back */
        break;
    }
  if (self->has_backlog)
    return FALSE;
  self->is_catching_up = FALSE;

  return TRUE;
}

/* Whose time is over, and what it did with it. */
static GError *
new_timeout (AfrpcPeer          *self,
             const AfrpcPending *pending,
             gint64              now)
{
  g_autofree char *name = afrpc_peer_describe_for (self, pending->function);

  if (pending->execution_deadline != 0 && pending->execution_deadline <= now)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "%s: the call ran for longer than %u ms", name,
                        pending->execution_timeout_ms);
  if (!afrpc_peer_is_ready (self))
    return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "%s was not ready when the call's time limit had passed", name);

  switch (afrpc_peer_get_started (self, pending))
    {
    case AFRPC_STARTED_NO:
      return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "%s had not begun the call when its time limit had passed",
                          name);

    case AFRPC_STARTED_YES:
      return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "%s: the call still ran when its time limit had passed", name);

    case AFRPC_STARTED_UNKNOWN:
    default:
      return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "%s had not answered the call when its time limit had passed",
                          name);
    }
}

static void
expire_calls (AfrpcPeer      *self,
              gint64          now,
              AfrpcInboxMode  mode)
{
  AfrpcSlice slice = { 0 };
  guint64 serial;

  if (!self->is_catching_up && (self->deadlines.n == 0 || afrpc_deadlines_next (&self->deadlines) > now))
    return;
  if (!take_what_arrived (self, mode))
    return;

  while (afrpc_deadlines_pop (&self->deadlines, now, &serial))
    {
      AfrpcPending *pending = afrpc_link_find (&self->talk.link, serial)->owner;

      give_up (self, pending, new_timeout (self, pending, now));
      if (mode == AFRPC_INBOX_TELL && afrpc_slice_step (&slice))
        break;
    }
}

/* The host may have greeted, and the program may not have come to that. */
static void
expire_greeting (AfrpcPeer      *self,
                 gint64          now,
                 AfrpcInboxMode  mode)
{
  if (self->talk.greeting_deadline > now)
    return;

  afrpc_inbox_read (self);
  afrpc_inbox_take (self, mode);
  if (self->talk.greeting_deadline > now || !afrpc_source_is_there (&self->member))
    return;

  self->talk.greeting_deadline = AFRPC_DEADLINES_NEVER;
  afrpc_peer_break_off (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "no greeting within the time limit"));
}

/* Acts on all time limits. */
void
afrpc_peer_expire (AfrpcPeer      *self,
                   gint64          now,
                   AfrpcInboxMode  mode)
{
  expire_greeting (self, now, mode);
  if (!afrpc_source_is_there (&self->member))
    return;
  if (self->talk.flush_deadline <= now)
    afrpc_peer_flush (self);
  if (self->body.reap_deadline <= now)
    afrpc_peer_reap (self, now);
  if (self->exit_deadline <= now)
    afrpc_peer_expire_exit (self, now);
  expire_calls (self, now, mode);
}
