/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-line.h"

#include "peer/afrpc-slice.h"

/* One with a key, or that has to be alone, begins to wait. */
void
afrpc_pool_line_push_odd (AfrpcPoolCore *self,
                          AfrpcPoolJob  *job)
{
  AfrpcPoolTie *tie = job->tie;

  self->n_waiting++;
  self->waiting_size += job->place.size;
  if (tie == NULL)
    {
      afrpc_pool_queue_push (&self->lone, &job->place);
      return;
    }

  afrpc_pool_queue_push (&tie->lane.queue, &job->place);
  if (tie->state != AFRPC_POOL_TIE_AWAY)
    afrpc_pool_tie_get_lanes (self, tie)->n_places++;
  if (afrpc_pool_line_peek (&tie->lane.queue) == job)
    afrpc_pool_tie_settle (self, tie);
}

/* One like that does not any more. */
void
afrpc_pool_line_take_odd (AfrpcPoolCore *self,
                          AfrpcPoolJob  *job)
{
  AfrpcPoolTie *tie = job->tie;

  self->n_waiting--;
  self->waiting_size -= job->place.size;
  afrpc_pool_queue_remove (&job->place);
  if (tie != NULL && tie->state != AFRPC_POOL_TIE_AWAY)
    afrpc_pool_tie_get_lanes (self, tie)->n_places--;
  if (afrpc_pool_get_n_lone (self) == 0 && (self->aside != NULL || self->aside_at != 0))
    afrpc_pool_core_want_at (self, &self->aside_at, AFRPC_POOL_AT_ONCE);
}

static void
set_timer (AfrpcPoolCore *self,
           AfrpcPoolJob  *job)
{
  if (job->deadline == 0)
    return;

  g_hash_table_insert (self->limited, &job->id, job);
  afrpc_deadlines_add (&self->deadlines, job->deadline, job->id, g_hash_table_size (self->limited));
  afrpc_pool_core_want_timer (self, job->deadline);
}

/* It begins to wait. */
void
afrpc_pool_line_up (AfrpcPoolCore *self,
                    AfrpcPoolJob  *job)
{
  if (job->place.size == 0)
    job->place.size = g_variant_get_size (job->args);
  set_timer (self, job);
  afrpc_pool_line_push (self, job);
}

GError *
afrpc_pool_line_new_timeout (const AfrpcPoolJob *job)
{
  return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "no worker had begun the call%s when its time limit had passed",
                      job->begun != AFRPC_STARTED_NO ? " again" : "");
}

/* One whose worker is gone: it goes where it was. Takes the reference. */
void
afrpc_pool_line_return (AfrpcPoolCore *self,
                        AfrpcPoolJob  *job)
{
  job->since = self->now;
  afrpc_pool_line_up (self, job);
}

/* One that waits is given up. @error: (transfer full) */
void
afrpc_pool_line_withdraw (AfrpcPoolJob *job,
                          GError       *error)
{
  AfrpcPoolCore *self = job->core;

  if (job->place.queue != NULL)
    afrpc_pool_line_remove (self, job);
  afrpc_pool_line_forget_deadline (self, job);
  self->n_acts++;
  afrpc_pool_job_fail (job, error);
}

static gboolean
is_waiting_cb (guint64  id,
               gpointer data)
{
  AfrpcPoolCore *self = data;

  return g_hash_table_contains (self->limited, &id);
}

void
afrpc_pool_line_init (AfrpcPoolCore *self)
{
  self->limited = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->ties = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) afrpc_pool_tie_free);
  afrpc_deadlines_init (&self->deadlines, is_waiting_cb, self);
  afrpc_pool_bench_init (&self->bench);
}

void
afrpc_pool_line_clear (AfrpcPoolCore *self)
{
  afrpc_deadlines_clear (&self->deadlines);
  g_clear_error (&self->doom);
  g_clear_pointer (&self->limited, g_hash_table_unref);
  g_clear_pointer (&self->ties, g_hash_table_unref);
  afrpc_pool_queue_clear (&self->queue);
  afrpc_pool_queue_clear (&self->lone);
  afrpc_pool_bench_clear (&self->bench);
}

/* Those that have waited too long. */
void
afrpc_pool_line_expire (AfrpcPoolCore *self,
                        gint64         now)
{
  AfrpcSlice slice = { 0 };
  guint64 id;

  while (afrpc_deadlines_pop (&self->deadlines, now, &id))
    {
      AfrpcPoolJob *job = g_hash_table_lookup (self->limited, &id);

      afrpc_pool_line_withdraw (job, afrpc_pool_line_new_timeout (job));
      if (afrpc_slice_step (&slice))
        break;
    }
  if (self->deadlines.n > 0)
    afrpc_pool_core_want_timer (self, afrpc_deadlines_next (&self->deadlines));
}

/* Returns: (nullable): one that waits, whoever may get it */
static AfrpcPoolJob *
peek_any (AfrpcPoolCore *self)
{
  AfrpcPoolJob *job = afrpc_pool_line_peek (&self->queue);

  if (job == NULL)
    job = afrpc_pool_line_peek (&self->lone);
  if (job == NULL)
    job = afrpc_pool_line_peek_tied (&self->tied);
  if (job == NULL)
    job = afrpc_pool_line_peek_tied (&self->lone_tied);
  for (guint i = 0; job == NULL && self->n_waiting > 0 && i < self->members->len; i++)
    {
      const AfrpcPoolMember *member = self->members->pdata[i];

      if (member->bond != NULL)
        job = afrpc_pool_line_peek_tied (member->bond->lanes.n > 0 ? &member->bond->lanes : &member->bond->held);
    }

  return job;
}

/* Of those that are doomed, as many fail as a slice has room for: there may be very many. */
void
afrpc_pool_line_fail_some (AfrpcPoolCore *self)
{
  AfrpcSlice slice = { 0 };
  AfrpcPoolJob *job;

  if (self->doom == NULL)
    return;

  while ((job = peek_any (self)) != NULL)
    {
      afrpc_pool_line_withdraw (job, g_error_copy (self->doom));
      if (afrpc_slice_step (&slice))
        {
          afrpc_pool_core_want_timer (self, 0);
          return;
        }
    }
  g_clear_error (&self->doom);
}

/* All that wait fail with @error, and no member gets any of them. */
void
afrpc_pool_line_doom (AfrpcPoolCore *self,
                      const GError  *error)
{
  if (self->doom == NULL)
    self->doom = g_error_copy (error);
  afrpc_pool_line_fail_some (self);
}

/* Nobody is told anything of it any more. */
void
afrpc_pool_line_abandon_one (AfrpcPoolJob *job)
{
  afrpc_pool_line_remove (job->core, job);
  afrpc_pool_line_forget_deadline (job->core, job);
  afrpc_pool_job_abandon (job);
  afrpc_pool_job_unref (job);
}

/* The same of all. */
void
afrpc_pool_line_abandon (AfrpcPoolCore *self)
{
  AfrpcPoolJob *job;

  while ((job = peek_any (self)) != NULL)
    afrpc_pool_line_abandon_one (job);
}
