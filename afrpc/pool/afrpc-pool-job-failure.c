/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What becomes of a job that its worker has failed, or died with: it is the call's outcome, and says why, or somebody else
 * gets it. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"
#include "pool/afrpc-pool-line.h"

#include "afrpc-error.h"

/* What is done about the outcome. */
typedef enum
{
  SETTLE, /* it is the call's */
  MOVE,   /* the worker is gone, and had not begun it: another one gets it */
  REPEAT, /* the worker died of it, or with it, and it may be begun again */
} Verdict;

/* Whether the worker is gone, and @error is how a call heard of it. */
gboolean
afrpc_pool_is_by_end (const GError *error,
                      AfrpcPeer    *peer)
{
  if (error->domain != AFRPC_ERROR || !afrpc_peer_is_closed (peer))
    return FALSE;

  switch ((AfrpcError) error->code)
    {
    case AFRPC_ERROR_NOT_STARTED:
    case AFRPC_ERROR_CLOSED:
    case AFRPC_ERROR_DIED:
    case AFRPC_ERROR_PROTOCOL:
      return TRUE;

    default:
      /* What went wrong before it could be called. */
      return !afrpc_peer_is_ready (peer);
    }
}

gboolean
afrpc_pool_job_is_by_end (AfrpcPoolJob *self)
{
  return afrpc_pool_is_by_end (self->error, self->member->peer);
}

static Verdict
judge (AfrpcPoolJob *self)
{
  const AfrpcCallOptions *options = self->call->options;
  const AfrpcPoolCore *core = self->core;

  /* The worker has seen that it was wanted back, and the program that it had begun. */
  if (self->was_wanted_back && self->pending.started == AFRPC_STARTED_NO &&
      g_error_matches (self->error, G_IO_ERROR, G_IO_ERROR_CANCELLED) && !afrpc_call_is_cancelled (self->call) &&
      core->state < AFRPC_POOL_KILLED && core->failure == NULL)
    return MOVE;
  /* Where the main context has gone, nobody serves any queue. */
  if (!afrpc_pool_job_is_by_end (self) || core->state >= AFRPC_POOL_KILLED ||
      core->failure != NULL || afrpc_call_is_cancelled (self->call))
    return SETTLE;
  /* Who blocked until the pool had ended, while this was serialised, has left no templates: nobody else comes. */
  if (core->templates->len == 0)
    return SETTLE;
  if (self->pending.started == AFRPC_STARTED_NO)
    return MOVE;

  /* Of a parcel, those that may be repeated are, by themselves. */
  if (options == NULL || !options->idempotent || self->call->n_parts > 0)
    return SETTLE;

  /* It is known whom the worker was ended for, and that is not this one. */
  return self->member->was_stopped ? (core->config.max_repeats > 0 ? REPEAT : SETTLE) :
         self->n_deaths <= core->config.max_repeats ? REPEAT : SETTLE;
}

/* What is given up fails as that, and not because there was no worker for it any more. */
static void
prefer_cancelled (AfrpcPoolJob *self)
{
  if (self->pending.started != AFRPC_STARTED_NO || !afrpc_pool_job_is_by_end (self) ||
      !afrpc_call_is_cancelled (self->call))
    return;

  g_clear_error (&self->error);
  self->error = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, AFRPC_CALL_CANCELLED);
}

/* Takes it back from its member, if that has not begun it: it goes where it was in the queue. Ends the job then. */
gboolean
afrpc_pool_job_take_back (AfrpcPoolJob *self)
{
  self->was_wanted_back = TRUE;
  if (!afrpc_peer_take_back (self->member->peer, &self->pending))
    return FALSE;

  afrpc_pool_runaway_note_stale (self->member, self->pending.serial);
  self->core->figures.n_moves++;
  afrpc_pool_member_count_call (self->member, -1, self->core->config.max_calls);
  afrpc_pool_job_leave_member (self);
  afrpc_pool_line_return (self->core, afrpc_pool_job_renew (self));
  afrpc_pool_job_unref (self);

  return TRUE;
}

/* It has to be done by somebody else, and so is another job from now on: this one is told of later, or is who blocks's
 * to free. All that a dead worker had go back before anybody is told of any of them: they keep their order. */
static void
hand_back (AfrpcPoolJob *self,
           gboolean      was_begun)
{
  AfrpcPoolCore *core = self->core;

  if (was_begun)
    core->figures.n_repeats++;
  else
    core->figures.n_moves++;
  afrpc_pool_core_catch_up (core);
  afrpc_pool_job_leave_member (self);
  /* Its member may have gone, and nobody else look. */
  afrpc_pool_core_want_timer (core, 0);
  if (self->pending.is_awaited)
    g_ptr_array_add (core->spent, self);
  afrpc_pool_line_return (core, afrpc_pool_job_renew (self));
}

/* What its member has failed to do. TRUE: somebody else gets it. */
gboolean
afrpc_pool_job_take_failure (AfrpcPoolJob *self)
{
  Verdict verdict;

  if (self->pending.started != AFRPC_STARTED_NO)
    {
      if (G_UNLIKELY (self->call->n_parts > 0))
        self->call->saved = afrpc_peer_get_parts (self->member->peer, &self->pending, &self->call->n_parts_begun);
      afrpc_pool_runaway_note (self);
    }
  else
    afrpc_pool_runaway_note_stale (self->member, self->pending.serial);
  prefer_cancelled (self);
  verdict = judge (self);
  if (verdict == SETTLE)
    return FALSE;

  hand_back (self, verdict == REPEAT);

  return TRUE;
}

/* Whether a worker had begun it, this one or one before. */
AfrpcStarted
afrpc_pool_job_get_begun (const AfrpcPoolJob *self)
{
  return self->begun == AFRPC_STARTED_YES || self->pending.started == AFRPC_STARTED_NO ? self->begun : self->pending.started;
}

/* It failed before it was begun again: that is no word on the first time. */
void
afrpc_pool_job_tell_begun (AfrpcPoolJob *self)
{
  self->pending.started = afrpc_pool_job_get_begun (self);
  if (!g_error_matches (self->error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED) &&
      !g_error_matches (self->error, AFRPC_ERROR, AFRPC_ERROR_CLOSED))
    return;

  self->error->code = AFRPC_ERROR_DIED;
  g_prefix_error (&self->error, "a worker that had begun the call has died, and it was not repeated: ");
}

/* The worker has ended, and it owes this one: if another one may have it, that is known now, and not only when it is told.
 * May end the job. */
void
afrpc_pool_job_leave_dead (AfrpcPoolJob *self)
{
  AfrpcPeer *peer = self->member->peer;
  const AfrpcCallOptions *options = self->call->options;

  if (self->pending.state != AFRPC_PENDING_OPEN || afrpc_call_is_cancelled (self->call) ||
      (afrpc_peer_get_started (peer, &self->pending) != AFRPC_STARTED_NO && (options == NULL || !options->idempotent)))
    return;

  afrpc_peer_decide_at_end (peer, &self->pending);
  if (self->pending.state != AFRPC_PENDING_DECIDED)
    return;
  if (self->call != NULL)
    afrpc_peer_tell_later (peer, &self->pending);
  else if (!self->pending.is_awaited)
    afrpc_pool_job_unref (self);
}

AfrpcCallOutcome
afrpc_pool_job_classify_failure (const AfrpcPoolJob *self)
{
  const gboolean was_answered = self->member != NULL && self->pending.started != AFRPC_STARTED_NO;

  if (g_error_matches (self->error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return AFRPC_CALL_OUTCOME_CANCELLED;
  if (g_error_matches (self->error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    return AFRPC_CALL_OUTCOME_TIMED_OUT;
  if (self->error->domain == AFRPC_ERROR)
    switch ((AfrpcError) self->error->code)
      {
      case AFRPC_ERROR_DIED:
      case AFRPC_ERROR_PROTOCOL:
        return AFRPC_CALL_OUTCOME_DIED;

      case AFRPC_ERROR_BUSY:
        return AFRPC_CALL_OUTCOME_BUSY;

      case AFRPC_ERROR_NOT_STARTED:
      case AFRPC_ERROR_CLOSED:
        return AFRPC_CALL_OUTCOME_NOT_STARTED;

      default:
        break;
      }
  if (was_answered)
    return AFRPC_CALL_OUTCOME_REMOTE_ERROR;

  return self->core->failure != NULL ? AFRPC_CALL_OUTCOME_NOT_STARTED : AFRPC_CALL_OUTCOME_OTHER;
}

void
afrpc_pool_job_explain_failure (AfrpcPoolJob *self,
                                AfrpcCall    *call)
{
  if (self->member != NULL)
    {
      afrpc_call_set_exit (call, afrpc_peer_get_exit (self->member->peer));
      if (self->member->was_stopped && afrpc_pool_job_is_by_end (self))
        g_prefix_error (&self->error, AFRPC_POOL_STOPPED_FOR_ANOTHER);
    }
  if (self->n_deaths > 1)
    g_prefix_error (&self->error, "the call has ended %u workers: ", self->n_deaths);
}
