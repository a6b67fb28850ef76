/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A pool as a caller. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"
#include "pool/afrpc-pool-line.h"

#include "afrpc-caller-private.h"
#include "afrpc-error.h"

static GError *
new_thread_error (void)
{
  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED, "another thread runs the main context that the pool belongs to");
}

/* FALSE: the calling thread may not do @what with the pool, and the program is told. */
gboolean
afrpc_pool_check_thread (AfrpcPool   *self,
                         const char  *what,
                         GError     **error)
{
  if (afrpc_peer_check_thread (self->core->anchor, what))
    return TRUE;

  g_propagate_error (error, new_thread_error ());

  return FALSE;
}

/* Whether this thread may change it. What is being made is nobody else's yet. */
gboolean
afrpc_pool_may_change (AfrpcPool  *self,
                       const char *what)
{
  const AfrpcPoolCore *core = self->core;

  return (core->templates->len == 0 && core->state == AFRPC_POOL_OPEN) || afrpc_pool_check_thread (self, what, NULL);
}

static void
afrpc_pool_begin (AfrpcCaller      *caller,
                  AfrpcCall        *call,
                  GVariant         *args,
                  AfrpcCallOptions *options)
{
  AfrpcPoolCore *core = AFRPC_POOL (caller)->core;
  AfrpcPending *pending = &call->pending;

  if (!afrpc_peer_enter (core->anchor, pending, "a call"))
    afrpc_peer_fail_call (core->anchor, pending, new_thread_error ());
  /* There is nobody to pass on what a job gets. */
  else if (G_UNLIKELY (afrpc_pool_core_is_left (core)))
    afrpc_peer_fail_call (core->anchor, pending, afrpc_pool_core_new_closed_error (core));
  else
    afrpc_pool_entry_enter (core, afrpc_pool_job_new (core, call, args));
}

static void
cancel_cb (AfrpcPeer *anchor,
           gpointer   data)
{
  AfrpcCall *call = data;
  AfrpcPoolJob *job = call->job;
  GError *error;

  if (job == NULL || job->pending.state == AFRPC_PENDING_DECIDED)
    return;

  error = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, AFRPC_CALL_CANCELLED);
  if (job->member != NULL)
    afrpc_peer_cancel (job->member->peer, &job->pending, error);
  else
    afrpc_pool_line_withdraw (job, error);
}

static void
afrpc_pool_cancel (AfrpcCaller *caller,
                   AfrpcCall   *call)
{
  afrpc_peer_do (AFRPC_POOL (caller)->core->anchor, cancel_cb, g_object_ref (call), g_object_unref);
}

typedef struct
{
  const AfrpcCall *call;
  gboolean is_done;
} Wanted;

/* The oldest one of a worker is begun at any moment, and an async one begins all of them. */
static gboolean
may_take_back (const AfrpcPoolJob *job)
{
  return job->core->config.backend == AFRPC_BACKEND_SYNC && job->tie == NULL && job != job->member->alone &&
         &job->place.link != job->member->given.head;
}

static void
cancel_unstarted_cb (AfrpcPeer *anchor,
                     gpointer   data)
{
  Wanted *wanted = data;
  AfrpcPoolJob *job = wanted->call->job;

  if (job == NULL || job->pending.state == AFRPC_PENDING_DECIDED || job->begun != AFRPC_STARTED_NO || job->map != NULL)
    return;
  if (job->member != NULL && (!may_take_back (job) || !afrpc_pool_job_take_back (job)))
    return;

  /* What comes back is another job. */
  job = wanted->call->job;
  if (job == NULL || job->member != NULL)
    return;
  afrpc_pool_line_withdraw (job, g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, AFRPC_CALL_CANCELLED));
  wanted->is_done = TRUE;
}

static gboolean
afrpc_pool_cancel_unstarted (AfrpcCaller *caller,
                             AfrpcCall   *call)
{
  Wanted wanted = { call, FALSE };

  afrpc_peer_visit (AFRPC_POOL (caller)->core->anchor, cancel_unstarted_cb, &wanted);

  return wanted.is_done;
}

static void
afrpc_pool_wait (AfrpcCaller *caller,
                 AfrpcCall   *call)
{
  afrpc_pool_block_for_call (AFRPC_POOL (caller)->core, call);
}

/* The end */

static gboolean
afrpc_pool_may_use (AfrpcCaller *caller,
                    const char  *what)
{
  return afrpc_pool_check_thread (AFRPC_POOL (caller), what, NULL);
}

/* What is known of a call's worker, that call has got. */
static AfrpcExit *
afrpc_pool_get_exit (AfrpcCaller *caller)
{
  return NULL;
}

/* If it is closed now and was not, or the other way round. */
static void
notify_closed (AfrpcPool *self)
{
  const gboolean is_closed = afrpc_pool_is_closed (self);

  if (self->was_closed == is_closed)
    return;

  self->was_closed = is_closed;
  g_object_notify_by_pspec (G_OBJECT (self), afrpc_pool_props[AFRPC_POOL_PROP_CLOSED]);
}

static void
afrpc_pool_close (AfrpcCaller *caller)
{
  AfrpcPool *self = AFRPC_POOL (caller);

  if (!afrpc_pool_may_use (caller, "closing a pool") || self->core->state != AFRPC_POOL_OPEN ||
      afrpc_peer_is_inherited (self->core->anchor))
    return;

  afrpc_pool_core_close (self->core);
  notify_closed (self);
  afrpc_pool_core_forget (self->core);
}

static void
afrpc_pool_kill (AfrpcCaller *caller)
{
  AfrpcPool *self = AFRPC_POOL (caller);

  if (!afrpc_pool_may_use (caller, "killing a pool") || afrpc_peer_is_inherited (self->core->anchor))
    return;

  afrpc_pool_core_kill (self->core);
  notify_closed (self);
  afrpc_pool_core_forget (self->core);
}

static gboolean
afrpc_pool_close_sync (AfrpcCaller   *caller,
                       GCancellable  *cancellable,
                       GError       **error)
{
  AfrpcPoolCore *core = AFRPC_POOL (caller)->core;

  if (!afrpc_pool_check_thread (AFRPC_POOL (caller), "closing a pool", error))
    return FALSE;

  afrpc_pool_close (caller);
  /* Nobody sees to its end any more. */
  if (afrpc_pool_core_is_left (core) && !afrpc_peer_is_inherited (core->anchor))
    return TRUE;
  if (core->state != AFRPC_POOL_OVER && !afrpc_pool_block_until_end (core, cancellable, error))
    return FALSE;

  afrpc_peer_await_heirs (core->anchor, AFRPC_DEADLINES_NEVER);
  /* What is left to be told may never be. */
  afrpc_pool_core_drop_templates (core);

  return TRUE;
}

/* Whoever was told that it is over may have made another call, which fails. */
static gboolean
afrpc_pool_is_owing (AfrpcCaller *caller)
{
  return AFRPC_POOL (caller)->core->n_jobs > 0;
}

typedef struct
{
  const AfrpcCall *call;
  AfrpcStarted started;
} Asked;

static void
look_started_cb (AfrpcPeer *anchor,
                 gpointer   data)
{
  Asked *asked = data;
  const AfrpcPoolJob *job = asked->call->job;

  if (job == NULL)
    return;
  if (job->pending.state == AFRPC_PENDING_DECIDED)
    asked->started = job->pending.started;
  else if (job->member != NULL && afrpc_peer_get_started (job->member->peer, &job->pending) == AFRPC_STARTED_YES)
    asked->started = AFRPC_STARTED_YES;
}

/* Whoever has cancelled a call may ask at once; and who hands it on for somebody else, while it runs. */
static AfrpcStarted
afrpc_pool_get_started (AfrpcCaller *caller,
                        AfrpcCall   *call)
{
  Asked asked = { call, AFRPC_STARTED_UNKNOWN };

  afrpc_peer_visit (AFRPC_POOL (caller)->core->anchor, look_started_cb, &asked);

  return asked.started;
}

static gboolean
afrpc_pool_withdraw (AfrpcCaller *caller,
                     AfrpcCall   *call)
{
  return afrpc_peer_withdraw_outcome (AFRPC_POOL (caller)->core->anchor, &call->pending);
}

static gboolean
afrpc_pool_is_inherited (AfrpcCaller *caller)
{
  return afrpc_peer_is_inherited (AFRPC_POOL (caller)->core->anchor);
}

static const AfrpcCallerOwn own = {
  afrpc_pool_may_use, afrpc_pool_get_exit, afrpc_pool_is_owing, afrpc_pool_withdraw, afrpc_pool_cancel_unstarted,
  afrpc_pool_is_inherited,
};

void
afrpc_pool_caller_init (AfrpcCallerInterface *iface)
{
  iface->begin = afrpc_pool_begin;
  iface->cancel = afrpc_pool_cancel;
  iface->wait = afrpc_pool_wait;
  iface->own = (gpointer) &own;
  iface->close = afrpc_pool_close;
  iface->close_sync = afrpc_pool_close_sync;
  iface->kill = afrpc_pool_kill;
  iface->get_started = afrpc_pool_get_started;
}

/* It has failed, or has not any more. */
void
afrpc_pool_notify_failure (AfrpcPoolCore *core)
{
  g_autoptr(AfrpcPool) pool = afrpc_weak_get (&core->pool);

  if (pool == NULL)
    return;

  g_object_notify_by_pspec (G_OBJECT (pool), afrpc_pool_props[AFRPC_POOL_PROP_FAILURE]);
  notify_closed (pool);
}
