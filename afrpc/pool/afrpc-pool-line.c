/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-line.h"

#include "peer/afrpc-slice.h"

/* @n more, or fewer, like @job are in @queue, which is not the common one. */
void
afrpc_pool_line_count_at (AfrpcPoolCore        *self,
                          const AfrpcPoolQueue *queue,
                          const AfrpcPoolJob   *job,
                          int                   n)
{
  const gboolean is_lone = queue == &self->lone;

  if (is_lone && afrpc_pool_line_has_to_be_alone (job))
    self->n_lone += n;
  if (self->n_lone == 0 && self->reserve_at != 0)
    afrpc_pool_core_want_at (self, &self->reserve_at, AFRPC_POOL_AT_ONCE);
  if (job->tie != NULL)
    *(is_lone ? &job->tie->n_lone : &job->tie->n_waiting) += n;
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

/* It begins to wait, for any member. */
void
afrpc_pool_line_up (AfrpcPoolCore *self,
                    AfrpcPoolJob  *job)
{
  if (job->place.size == 0)
    job->place.size = g_variant_get_size (job->args);
  set_timer (self, job);
  afrpc_pool_line_push (self, &self->queue, job);
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

/* Those that wait in @queue fail. FALSE: the slice is over, and some are left. */
static gboolean
fail_queue (AfrpcPoolCore  *self,
            AfrpcPoolQueue *queue,
            AfrpcSlice     *slice)
{
  AfrpcPoolJob *job;

  while ((job = afrpc_pool_line_peek (queue)) != NULL)
    {
      afrpc_pool_line_withdraw (job, g_error_copy (self->doom));
      if (afrpc_slice_step (slice))
        return FALSE;
    }

  return TRUE;
}

/* Of those that are doomed, as many fail as a slice has room for: there may be very many. */
void
afrpc_pool_line_fail_some (AfrpcPoolCore *self)
{
  AfrpcSlice slice = { 0 };
  gboolean is_done;

  if (self->doom == NULL)
    return;

  is_done = fail_queue (self, &self->queue, &slice) && fail_queue (self, &self->lone, &slice);
  for (guint i = 0; is_done && i < self->members->len; i++)
    is_done = fail_queue (self, &((AfrpcPoolMember *) self->members->pdata[i])->waiting, &slice);
  if (is_done)
    g_clear_error (&self->doom);
  else
    afrpc_pool_core_want_timer (self, 0);
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

/* Those that wait in @queue are nobody's any more. */
static void
abandon (AfrpcPoolCore  *self,
         AfrpcPoolQueue *queue)
{
  AfrpcPoolJob *job;

  while ((job = afrpc_pool_line_peek (queue)) != NULL)
    {
      afrpc_pool_line_remove (self, job);
      afrpc_pool_line_forget_deadline (self, job);
      afrpc_pool_job_abandon (job);
      afrpc_pool_job_unref (job);
    }
}

/* Nobody is told anything any more. */
void
afrpc_pool_line_abandon (AfrpcPoolCore *self)
{
  for (guint i = 0; i < self->members->len; i++)
    abandon (self, &((AfrpcPoolMember *) self->members->pdata[i])->waiting);
  abandon (self, &self->lone);
  abandon (self, &self->queue);
}
