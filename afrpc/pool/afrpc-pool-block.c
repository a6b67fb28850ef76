/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What blocks the thread: the members take their turns there, with those of the pool itself between, and nobody is told
 * anything until something has come. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"
#include "pool/afrpc-pool-line.h"

#include "afrpc-error.h"

typedef struct
{
  AfrpcPoolCore *core;
  AfrpcCall *call;           /* (nullable): whose outcome is waited for; NULL: something else is */
  AfrpcPoolUntil is_done;
  gpointer data;
  gboolean (* is_stuck) (AfrpcPoolCore *core); /* (nullable): whether something else would come behind more than is kept */
  GCancellable *cancellable; /* (nullable): of who waits for something else */
  gboolean is_too_much;      /* it is stuck */
} Blocked;

/* Whether everything is over but what has to be told. */
static gboolean
is_at_end (AfrpcPoolCore *core)
{
  if (core->state == AFRPC_POOL_OPEN || core->queue.n > 0 || core->n_waiting > 0)
    return FALSE;

  return core->n_members[AFRPC_POOL_MEMBER_GONE] == core->members->len;
}

static gboolean
has_ended (gpointer data)
{
  return is_at_end (data);
}

static gboolean
is_settled (gpointer data)
{
  return afrpc_call_get_pending (data)->state == AFRPC_PENDING_DECIDED;
}

/* The outcome that is waited for, if it is there, is passed on: nobody else does that. */
static void
act_on_outcome (Blocked *blocked)
{
  AfrpcPoolJob *job = blocked->call != NULL ? blocked->call->job : NULL;
  gboolean is_ours;

  /* The outcomes of a map are acted on together. */
  if (job != NULL && job->map != NULL)
    return;
  if (job != NULL && job->member != NULL)
    {
      afrpc_pool_member_look (job->member);
      job = blocked->call->job;
    }
  if (job != NULL && job->member != NULL && job->pending.is_awaited)
    afrpc_peer_decide_at_end (job->member->peer, &job->pending);
  if (job == NULL || job->pending.state != AFRPC_PENDING_DECIDED)
    return;

  /* It may have been decided before it was waited for. */
  is_ours = job->pending.is_awaited ||
            afrpc_peer_withdraw_outcome (job->member != NULL ? job->member->peer : blocked->core->anchor, &job->pending);
  afrpc_pool_job_act (job);
  if (is_ours)
    afrpc_pool_job_unref (job);
}

/* Whether nobody is going to get what waits in the common queue: no more is read from any who could. */
static gboolean
has_nobody (AfrpcPoolCore *core)
{
  if (afrpc_pool_staff_count (core) < MAX (core->config.max_workers, 1))
    return FALSE;

  for (guint i = 0; i < core->members->len; i++)
    {
      AfrpcPoolMember *member = core->members->pdata[i];

      if (afrpc_pool_member_is_live (member) && !afrpc_peer_keeps_too_much (member->peer))
        return FALSE;
    }

  return TRUE;
}

/* The same of one that waits, for whomever. */
static gboolean
waits_in_vain (AfrpcPoolCore      *core,
               const AfrpcPoolJob *job)
{
  AfrpcPoolMember *member = NULL;

  if (job->tie != NULL && job->tie->state != AFRPC_POOL_TIE_LONE)
    member = afrpc_pool_tie_get_member (job->tie);

  return member != NULL ? afrpc_peer_keeps_too_much (member->peer) : has_nobody (core);
}

/* Whether no more is read from any that have something to do, so that nothing comes. */
static gboolean
is_stuck (AfrpcPoolCore *core)
{
  gboolean has_any = FALSE;

  for (guint i = 0; i < core->members->len; i++)
    {
      AfrpcPoolMember *member = core->members->pdata[i];

      if (afrpc_peer_keeps_too_much (member->peer))
        has_any = TRUE;
      else if (member->state == AFRPC_POOL_MEMBER_STARTING || afrpc_peer_get_n_owed (member->peer) > 0)
        return FALSE;
    }

  return has_any && (!afrpc_pool_has_common (core) || has_nobody (core));
}

/* Whether the end of one would come behind that. */
static gboolean
cannot_end (AfrpcPoolCore *core)
{
  for (guint i = 0; i < core->members->len; i++)
    if (afrpc_peer_cannot_end (((AfrpcPoolMember *) core->members->pdata[i])->peer))
      return TRUE;

  return FALSE;
}

static GError *
new_too_much_error (AfrpcPoolCore *core)
{
  return afrpc_peer_new_too_much_error (afrpc_pool_member_get_kept_max (&core->config));
}

/* What is waited for would come behind more than is kept of what a worker says. */
static void
act_on_too_much (Blocked *blocked)
{
  AfrpcPoolCore *core = blocked->core;
  AfrpcPoolJob *job = blocked->call != NULL ? blocked->call->job : NULL;

  if (blocked->call == NULL)
    blocked->is_too_much = blocked->is_stuck (core);
  else if (job == NULL || job->pending.state == AFRPC_PENDING_DECIDED)
    ;
  else if (job->member != NULL && afrpc_peer_keeps_too_much (job->member->peer))
    {
      afrpc_peer_cancel (job->member->peer, &job->pending, new_too_much_error (core));
      act_on_outcome (blocked);
    }
  else if (job->member == NULL && job->place.queue != NULL && waits_in_vain (core, job))
    afrpc_pool_line_withdraw (job, new_too_much_error (core));
}

/* Looks at everything, because nothing is told. */
static AfrpcPeerBlock
take_turn (gpointer   data,
           GPtrArray *peers,
           gint64    *until)
{
  Blocked *blocked = data;
  AfrpcPoolCore *core = blocked->core;
  const guint64 n_acts = core->n_acts;

  afrpc_pool_core_clear_spent (core);
  afrpc_pool_core_read_clock (core);
  act_on_outcome (blocked);
  if (core->maps.length > 0)
    afrpc_pool_maps_act (core);
  if (core->is_weighing)
    afrpc_pool_memory_take (core);
  for (guint i = 0; i < core->members->len; i++)
    {
      afrpc_pool_member_look (core->members->pdata[i]);
      afrpc_pool_desk_serve (core, core->members->pdata[i]);
    }
  if (core->timer_at <= core->now)
    afrpc_pool_core_work (core);
  else
    afrpc_pool_desk_pump (core);
  afrpc_pool_core_forget (core);
  act_on_too_much (blocked);
  for (guint i = 0; i < core->members->len; i++)
    {
      AfrpcPoolMember *member = core->members->pdata[i];

      if (member->state != AFRPC_POOL_MEMBER_GONE)
        g_ptr_array_add (peers, afrpc_peer_ref (member->peer));
    }
  *until = core->timer_at;
  if (blocked->is_too_much || g_cancellable_is_cancelled (blocked->cancellable) || blocked->is_done (blocked->data))
    return AFRPC_PEER_BLOCK_OVER;

  return core->n_acts != n_acts ? AFRPC_PEER_BLOCK_AGAIN : AFRPC_PEER_BLOCK_WAIT;
}

static gboolean
block (Blocked *blocked)
{
  AfrpcPoolCore *core = afrpc_pool_core_ref (blocked->core);
  gboolean has_blocked;

  core->n_blocked++;
  has_blocked = afrpc_peer_block (core->anchor, take_turn, blocked);
  core->n_blocked--;
  if (afrpc_pool_core_is_left (core))
    {
      afrpc_pool_core_unref (core);
      return FALSE;
    }
  core->n_acts++; /* whatever has happened can be seen */
  afrpc_pool_core_clear_spent (core);
  /* Those of which too much was kept may get calls again. */
  for (guint i = 0; i < core->members->len; i++)
    afrpc_pool_member_look (core->members->pdata[i]);
  afrpc_pool_core_want_timer (core, 0);
  afrpc_pool_core_unref (core);

  return has_blocked;
}

static void
wake_cb (AfrpcPeer *anchor,
         gpointer   data)
{
}

/* From any thread: who blocks looks again. */
static void
cancelled_cb (GCancellable  *cancellable,
              AfrpcPoolCore *core)
{
  afrpc_peer_do (core->anchor, wake_cb, NULL, (GDestroyNotify) g_free);
}

/* Has who blocks look again when @cancellable is cancelled. Returns: a handler to disconnect, or 0 */
static gulong
wake_on (AfrpcPoolCore *self,
         GCancellable  *cancellable) /* (nullable) */
{
  if (cancellable == NULL)
    return 0;

  return g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (cancelled_cb), afrpc_pool_core_ref (self),
                                (GClosureNotify) (GCallback) afrpc_pool_core_unref, 0);
}

/* Blocks until something else than a call is done. FALSE: it is not waited for any more, for the reason in @error. */
static gboolean
block_for (Blocked  *blocked,
           GError  **error)
{
  GCancellable *cancellable = blocked->cancellable;
  const gulong id = wake_on (blocked->core, cancellable);

  block (blocked);
  if (id != 0)
    g_signal_handler_disconnect (cancellable, id);
  if (blocked->is_done (blocked->data))
    return TRUE;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (blocked->is_too_much)
    g_propagate_error (error, new_too_much_error (blocked->core));
  else if (afrpc_pool_core_is_left (blocked->core))
    g_propagate_error (error, afrpc_pool_core_new_closed_error (blocked->core));
  else
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED,
                 "another thread runs the main context that the pool belongs to");

  return FALSE;
}

/* Blocks until it is done. FALSE: it is not waited for any more, for the reason in @error. */
gboolean
afrpc_pool_block_until (AfrpcPoolCore   *self,
                        AfrpcPoolUntil   is_done,
                        gpointer         data,
                        GCancellable    *cancellable, /* (nullable) */
                        GError         **error)
{
  Blocked blocked = { .core = self, .is_done = is_done, .data = data, .is_stuck = is_stuck, .cancellable = cancellable };

  return block_for (&blocked, error);
}

/* The same until everything is over but what has to be told. */
gboolean
afrpc_pool_block_until_end (AfrpcPoolCore  *self,
                            GCancellable   *cancellable, /* (nullable) */
                            GError        **error)
{
  Blocked blocked = { .core = self, .is_done = has_ended, .data = self, .is_stuck = cannot_end, .cancellable = cancellable };

  /* What is being serialised is not going to be sent before: a serialiser blocks. */
  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      if (member->n_packing > 0)
        afrpc_peer_close (member->peer);
    }

  return block_for (&blocked, error);
}

/* The main context goes: nothing comes of the call any more. @is_ours: it has been decided, and nobody else has it. */
static void
leave (AfrpcPoolJob *job,
       gboolean      is_ours)
{
  if (job->place.queue != NULL)
    {
      afrpc_pool_line_abandon_one (job);
      return;
    }

  /* Whoever has it lets go of it, as of those that nobody waits for. */
  job->pending.is_awaited = FALSE;
  afrpc_pool_job_abandon (job);
  if (is_ours)
    afrpc_pool_job_unref (job);
}

/* The same until the call has its outcome; or it has none, if another thread runs the context, or that is gone. */
void
afrpc_pool_block_for_call (AfrpcPoolCore *self,
                           AfrpcCall     *call)
{
  Blocked blocked = { .core = self, .call = call, .is_done = is_settled, .data = call };
  AfrpcPoolJob *job = call->job;
  gboolean is_ours = FALSE;

  if (job != NULL && job->member != NULL && job->pending.state != AFRPC_PENDING_DECIDED)
    {
      afrpc_peer_await_outcome (job->member->peer, &job->pending);
      is_ours = job->pending.state == AFRPC_PENDING_DECIDED;
    }
  if (block (&blocked) || is_settled (call))
    return;

  /* Somebody who was told something may have forked this process, which has nothing of all that. */
  if (afrpc_peer_is_inherited (self->anchor))
    afrpc_pending_leave_inherited (&call->pending);
  else if (afrpc_pool_core_is_left (self))
    leave (call->job, is_ours);
}
