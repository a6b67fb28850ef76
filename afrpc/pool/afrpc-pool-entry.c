/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who may come: calls get in, or are refused, and leave. */
#include "config.h"

#include "pool/afrpc-pool-line.h"

#include "afrpc-error.h"

/* Whether a call that is made now has a worker at once. One with a key has none while the worker is busy that gets those. */
static gboolean
is_free (AfrpcPoolCore          *self,
         const AfrpcCallOptions *options) /* (nullable) */
{
  AfrpcPoolTie *tie;
  const AfrpcPoolMember *member;

  if (afrpc_pool_line_count_free (self) == 0 ||
      (afrpc_pool_get_n_lone (self) > 0 && self->config.backend == AFRPC_BACKEND_SYNC))
    return FALSE;
  if (options == NULL || options->affinity == NULL)
    return TRUE;

  tie = g_hash_table_lookup (self->ties, options->affinity);
  if (tie != NULL && tie->state != AFRPC_POOL_TIE_AWAY)
    return FALSE;
  member = tie != NULL ? afrpc_pool_tie_get_member (tie) : NULL;

  return member == NULL || (member->seat.taken && (member->bond == NULL || member->bond->lanes.n == 0));
}

/* Whether another call may wait, with so many bytes of arguments, or need not. */
gboolean
afrpc_pool_entry_has_room (AfrpcPoolCore          *self,
                           const AfrpcCallOptions *options, /* (nullable) */
                           gsize                   size)
{
  const guint n_queued = afrpc_pool_get_n_queued (self);

  if (is_free (self, options))
    return TRUE;
  if (n_queued >= self->config.max_calls_queued)
    return FALSE;

  return n_queued == 0 || self->queue.size + self->waiting_size + size <= self->config.max_bytes_queued;
}

/* Whether nothing is against it, and nobody waits: so it is with most. */
static inline gboolean
is_welcome (const AfrpcPoolCore *self,
            AfrpcPoolJob        *job)
{
  return self->failure == NULL && self->state == AFRPC_POOL_OPEN && !afrpc_call_is_cancelled (job->call) &&
         afrpc_pool_line_is_free (self) && self->n_waiting == 0;
}

/* Returns: (transfer full) (nullable): why the call cannot be made */
static G_NO_INLINE GError *
check (AfrpcPoolCore *self,
       AfrpcPoolJob  *job)
{
  if (self->failure != NULL)
    return g_error_copy (self->failure);
  if (self->state != AFRPC_POOL_OPEN)
    return afrpc_pool_core_new_closed_error (self);
  if (afrpc_call_is_cancelled (job->call))
    return g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, AFRPC_CALL_CANCELLED);

  job->place.size = g_variant_get_size (job->args);
  if ((job->call->options == NULL || !job->call->options->wait_for_room) &&
      !afrpc_pool_entry_has_room (self, job->call->options, job->place.size))
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_BUSY, "%u calls with %" G_GUINT64_FORMAT " bytes wait for a worker",
                        afrpc_pool_get_n_queued (self), self->queue.size + self->waiting_size);

  return NULL;
}

/* A new one has come. FALSE: it has failed, and the reference is taken. In line, since each call comes here. */
G_ALWAYS_INLINE static inline gboolean
admit (AfrpcPoolCore *self,
       AfrpcPoolJob  *job)
{
  const AfrpcCallOptions *options = job->call->options;
  GError *error = is_welcome (self, job) ? NULL : check (self, job);
  guint timeout_ms = self->config.call_timeout_ms;

  afrpc_pool_core_read_clock (self);
  job->since = self->now;
  self->figures.n_calls++;
  self->n_jobs++;
  if (G_UNLIKELY (error != NULL))
    {
      afrpc_pool_job_fail (job, error);
      return FALSE;
    }

  if (options != NULL && options->timeout_ms >= 0)
    timeout_ms = options->timeout_ms;
  if (timeout_ms > 0)
    job->deadline = self->now + (gint64) timeout_ms * 1000;
  if (options != NULL && options->affinity != NULL)
    job->tie = afrpc_pool_tie_get (self, options->affinity);

  return TRUE;
}

/* A new one, which has its number, and gets its turn when somebody pumps. Takes the reference. */
void
afrpc_pool_entry_add (AfrpcPoolCore *self,
                      AfrpcPoolJob  *job)
{
  if (admit (self, job))
    afrpc_pool_line_up (self, job);
}

/* A new one. Takes the reference. */
void
afrpc_pool_entry_enter (AfrpcPoolCore *self,
                        AfrpcPoolJob  *job)
{
  job->place.number = ++self->last_number;
  if (admit (self, job))
    afrpc_pool_desk_take (self, job);
  else
    afrpc_pool_desk_pump (self);
}

/* One that goes on with what another has begun, in whose order it waits: there is room for it. Takes the reference. */
void
afrpc_pool_entry_add_rest (AfrpcPoolCore *self,
                           AfrpcPoolJob  *job)
{
  afrpc_pool_core_catch_up (self);
  job->since = self->now;
  self->figures.n_calls++;
  self->n_jobs++;
  if (self->failure != NULL)
    afrpc_pool_job_fail (job, g_error_copy (self->failure));
  else if (self->state == AFRPC_POOL_KILLED)
    afrpc_pool_job_fail (job, afrpc_pool_core_new_killed_error (self));
  else if (self->templates->len == 0)
    afrpc_pool_job_fail (job, afrpc_pool_core_new_closed_error (self));
  else
    afrpc_pool_line_up (self, job);
}

/* It has its outcome. Keeps the reference. */
void
afrpc_pool_entry_leave (AfrpcPoolJob *job)
{
  AfrpcPoolCore *self = job->core;
  AfrpcPoolTie *tie = g_steal_pointer (&job->tie);

  self->n_jobs--;
  if (tie != NULL)
    afrpc_pool_tie_release (self, tie);
}
