/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What can be changed of a pool, and what it is limited to. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

static void
changed (AfrpcPool     *self,
         AfrpcPoolProp  prop)
{
  /* Not before it is made. */
  if (self->core->templates->len > 0)
    afrpc_pool_staff_adapt (self->core);
  g_object_notify_by_pspec (G_OBJECT (self), afrpc_pool_props[prop]);
}

/**
 * afrpc_pool_get_max_workers: (attributes org.gtk.Method.get_property=max-workers)
 * @self: a pool
 *
 * Gets how many workers there may be at once.
 *
 * Returns: the limit
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_max_workers (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.max_workers;
}

/**
 * afrpc_pool_set_max_workers: (attributes org.gtk.Method.set_property=max-workers)
 * @self: a pool
 * @max_workers: the limit, at most 65536, or 0 for as many as there are processors that the program may use
 *
 * Sets how many workers there may be at once. If there are more, those that have least to do finish that, get no more calls,
 * and end.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_max_workers (AfrpcPool *self,
                            guint      max_workers)
{
  g_return_if_fail (AFRPC_IS_POOL (self));
  g_return_if_fail (max_workers <= AFRPC_POOL_WORKERS_MAX);

  if (max_workers == 0)
    max_workers = afrpc_pool_staff_get_default_max ();
  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.max_workers == max_workers)
    return;

  self->core->config.max_workers = max_workers;
  changed (self, AFRPC_POOL_PROP_MAX_WORKERS);
}

/**
 * afrpc_pool_get_idle_workers: (attributes org.gtk.Method.get_property=idle-workers)
 * @self: a pool
 *
 * Gets how many workers are kept ready for calls.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_idle_workers (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.idle_workers;
}

/**
 * afrpc_pool_set_idle_workers: (attributes org.gtk.Method.set_property=idle-workers)
 * @self: a pool
 * @idle_workers: the number
 *
 * Sets how many workers are kept ready for calls.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_idle_workers (AfrpcPool *self,
                             guint      idle_workers)
{
  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.idle_workers == idle_workers)
    return;

  self->core->config.idle_workers = idle_workers;
  changed (self, AFRPC_POOL_PROP_IDLE_WORKERS);
}

/**
 * afrpc_pool_get_load: (attributes org.gtk.Method.get_property=load)
 * @self: a pool
 *
 * Gets how many calls a worker may have at once.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_load (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.load;
}

/**
 * afrpc_pool_set_load: (attributes org.gtk.Method.set_property=load)
 * @self: a pool
 * @load: the number, from 1 to 65536
 *
 * Sets how many calls a worker may have at once. Those that have more keep them.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_load (AfrpcPool *self,
                     guint      load)
{
  g_return_if_fail (AFRPC_IS_POOL (self));
  g_return_if_fail (load >= 1 && load <= AFRPC_POOL_LOAD_MAX);

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.load == load)
    return;

  self->core->config.load = load;
  changed (self, AFRPC_POOL_PROP_LOAD);
}

/**
 * afrpc_pool_get_start_delay_ms: (attributes org.gtk.Method.get_property=start-delay-ms)
 * @self: a pool
 *
 * Gets how long all workers have to be busy before there is another one.
 *
 * Returns: milliseconds
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_start_delay_ms (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.start_delay_ms;
}

/**
 * afrpc_pool_set_start_delay_ms: (attributes org.gtk.Method.set_property=start-delay-ms)
 * @self: a pool
 * @delay_ms: milliseconds
 *
 * Sets how long all workers have to be busy before there is another one.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_start_delay_ms (AfrpcPool *self,
                               guint      delay_ms)
{
  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.start_delay_ms == delay_ms)
    return;

  self->core->config.start_delay_ms = delay_ms;
  changed (self, AFRPC_POOL_PROP_START_DELAY_MS);
}

/**
 * afrpc_pool_get_stop_delay_ms: (attributes org.gtk.Method.get_property=stop-delay-ms)
 * @self: a pool
 *
 * Gets how long a worker that nobody needs is kept.
 *
 * Returns: milliseconds
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_stop_delay_ms (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.stop_delay_ms;
}

/**
 * afrpc_pool_set_stop_delay_ms: (attributes org.gtk.Method.set_property=stop-delay-ms)
 * @self: a pool
 * @delay_ms: milliseconds
 *
 * Sets how long a worker that nobody needs is kept.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_stop_delay_ms (AfrpcPool *self,
                              guint      delay_ms)
{
  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.stop_delay_ms == delay_ms)
    return;

  self->core->config.stop_delay_ms = delay_ms;
  changed (self, AFRPC_POOL_PROP_STOP_DELAY_MS);
}

/**
 * afrpc_pool_get_max_repeats: (attributes org.gtk.Method.get_property=max-repeats)
 * @self: a pool
 *
 * Gets how often an idempotent call is repeated.
 *
 * Returns: the number, or 0 for never
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_max_repeats (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.max_repeats;
}

/**
 * afrpc_pool_set_max_repeats: (attributes org.gtk.Method.set_property=max-repeats)
 * @self: a pool
 * @max_repeats: the number, or 0 for never
 *
 * Sets how often an idempotent call is repeated whose worker has died.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_max_repeats (AfrpcPool *self,
                            guint      max_repeats)
{
  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.max_repeats == max_repeats)
    return;

  self->core->config.max_repeats = max_repeats;
  changed (self, AFRPC_POOL_PROP_MAX_REPEATS);
}

/**
 * afrpc_pool_get_max_failures: (attributes org.gtk.Method.get_property=max-failures)
 * @self: a pool
 *
 * Gets how many times in a row workers may end without having served a call.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_max_failures (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.max_failures;
}

/**
 * afrpc_pool_set_max_failures: (attributes org.gtk.Method.set_property=max-failures)
 * @self: a pool
 * @max_failures: the number, at least 1
 *
 * Sets how many times in a row workers may end without having served a call.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_max_failures (AfrpcPool *self,
                             guint      max_failures)
{
  g_return_if_fail (AFRPC_IS_POOL (self));
  g_return_if_fail (max_failures >= 1);

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.max_failures == max_failures)
    return;

  self->core->config.max_failures = max_failures;
  changed (self, AFRPC_POOL_PROP_MAX_FAILURES);
}

/**
 * afrpc_pool_get_max_calls: (attributes org.gtk.Method.get_property=max-calls)
 * @self: a pool
 *
 * Gets after how many calls a worker is replaced.
 *
 * Returns: the number, or 0 for never
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_max_calls (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.max_calls;
}

/**
 * afrpc_pool_set_max_calls: (attributes org.gtk.Method.set_property=max-calls)
 * @self: a pool
 * @max_calls: the number, or 0 for never
 *
 * Sets after how many calls a worker is replaced: those count that it has made by now.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_max_calls (AfrpcPool *self,
                          guint      max_calls)
{
  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.max_calls == max_calls)
    return;

  self->core->config.max_calls = max_calls;
  for (guint i = 0; i < self->core->members->len; i++)
    afrpc_pool_member_count_call (self->core->members->pdata[i], 0, max_calls);
  changed (self, AFRPC_POOL_PROP_MAX_CALLS);
}

/**
 * afrpc_pool_get_max_age_s: (attributes org.gtk.Method.get_property=max-age-s)
 * @self: a pool
 *
 * Gets how old a worker may become.
 *
 * Returns: seconds, or 0 for as old as it likes
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_max_age_s (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.max_age_s;
}

/**
 * afrpc_pool_set_max_age_s: (attributes org.gtk.Method.set_property=max-age-s)
 * @self: a pool
 * @age_s: seconds, or 0 for as old as it likes
 *
 * Sets how old a worker may become. Those that are older already are replaced.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_max_age_s (AfrpcPool *self,
                          guint      age_s)
{
  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.max_age_s == age_s)
    return;

  self->core->config.max_age_s = age_s;
  afrpc_pool_age_look_soon (self->core);
  g_object_notify_by_pspec (G_OBJECT (self), afrpc_pool_props[AFRPC_POOL_PROP_MAX_AGE_S]);
}

/**
 * afrpc_pool_get_max_memory_growth: (attributes org.gtk.Method.get_property=max-memory-growth)
 * @self: a pool
 *
 * Gets how much memory a worker may have for itself above what it began with.
 *
 * Returns: bytes, or 0 for as many as it likes
 *
 * Since: 1.0
 */
guint64
afrpc_pool_get_max_memory_growth (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.max_memory_growth;
}

/**
 * afrpc_pool_set_max_memory_growth: (attributes org.gtk.Method.set_property=max-memory-growth)
 * @self: a pool
 * @bytes: bytes, or 0 for as many as it likes
 *
 * Sets how much memory a worker may have for itself above what it began with.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_max_memory_growth (AfrpcPool *self,
                                  guint64    bytes)
{
  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.max_memory_growth == bytes)
    return;

  self->core->config.max_memory_growth = bytes;
  afrpc_pool_memory_begin_anew (self->core);
  g_object_notify_by_pspec (G_OBJECT (self), afrpc_pool_props[AFRPC_POOL_PROP_MAX_MEMORY_GROWTH]);
}

/**
 * afrpc_pool_get_cancel_grace_ms: (attributes org.gtk.Method.get_property=cancel-grace-ms)
 * @self: a pool
 *
 * Gets how long a call that was given up may run on in its worker.
 *
 * Returns: milliseconds, or 0 for as long as it likes
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_cancel_grace_ms (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return afrpc_pool_runaway_get_grace_ms (&self->core->config);
}

/**
 * afrpc_pool_set_cancel_grace_ms: (attributes org.gtk.Method.set_property=cancel-grace-ms)
 * @self: a pool
 * @grace_ms: milliseconds, at most 4294967294, which is seven weeks; or 0 for as long as it likes
 *
 * Sets how long a call that was given up may run on in its worker, until that is ended. It goes for calls that run on
 * already, too.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_cancel_grace_ms (AfrpcPool *self,
                                guint      grace_ms)
{
  guint before;

  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC))
    return;

  before = afrpc_pool_get_cancel_grace_ms (self);
  grace_ms = MIN (grace_ms, AFRPC_POOL_GRACE_MS_MAX);
  self->core->config.cancel_grace_ms = grace_ms;
  if (grace_ms == before)
    return;

  afrpc_pool_runaway_look_soon (self->core);
  g_object_notify_by_pspec (G_OBJECT (self), afrpc_pool_props[AFRPC_POOL_PROP_CANCEL_GRACE_MS]);
}

/**
 * afrpc_pool_get_call_timeout_ms: (attributes org.gtk.Method.get_property=call-timeout-ms)
 * @self: a pool
 *
 * Gets the time limit of calls that do not name their own.
 *
 * Returns: milliseconds, or 0 for none
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_call_timeout_ms (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.call_timeout_ms;
}

/**
 * afrpc_pool_set_call_timeout_ms: (attributes org.gtk.Method.set_property=call-timeout-ms)
 * @self: a pool
 * @timeout_ms: milliseconds, or 0 for none
 *
 * Sets the time limit of calls that are made from now on.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_call_timeout_ms (AfrpcPool *self,
                                guint      timeout_ms)
{
  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.call_timeout_ms == timeout_ms)
    return;

  self->core->config.call_timeout_ms = timeout_ms;
  changed (self, AFRPC_POOL_PROP_CALL_TIMEOUT_MS);
}

/**
 * afrpc_pool_get_max_calls_queued: (attributes org.gtk.Method.get_property=max-calls-queued)
 * @self: a pool
 *
 * Gets how many calls may wait for a worker.
 *
 * Returns: the limit
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_max_calls_queued (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.max_calls_queued;
}

/**
 * afrpc_pool_set_max_calls_queued: (attributes org.gtk.Method.set_property=max-calls-queued)
 * @self: a pool
 * @max_calls: the limit, at least 1
 *
 * Sets how many calls may wait for a worker. Those that wait already stay.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_max_calls_queued (AfrpcPool *self,
                                 guint      max_calls)
{
  g_return_if_fail (AFRPC_IS_POOL (self));
  g_return_if_fail (max_calls >= 1);

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.max_calls_queued == max_calls)
    return;

  self->core->config.max_calls_queued = max_calls;
  changed (self, AFRPC_POOL_PROP_MAX_CALLS_QUEUED);
}

/**
 * afrpc_pool_get_max_bytes_queued: (attributes org.gtk.Method.get_property=max-bytes-queued)
 * @self: a pool
 *
 * Gets how many bytes of arguments may wait for a worker.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
afrpc_pool_get_max_bytes_queued (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.max_bytes_queued;
}

/**
 * afrpc_pool_set_max_bytes_queued: (attributes org.gtk.Method.set_property=max-bytes-queued)
 * @self: a pool
 * @max_bytes: bytes
 *
 * Sets how many bytes of arguments may wait for a worker. What waits already stays.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_max_bytes_queued (AfrpcPool *self,
                                 guint64    max_bytes)
{
  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.max_bytes_queued == max_bytes)
    return;

  self->core->config.max_bytes_queued = max_bytes;
  for (guint i = 0; i < self->core->members->len; i++)
    {
      AfrpcPoolMember *member = self->core->members->pdata[i];

      afrpc_peer_set_kept_max (member->peer, afrpc_pool_member_get_kept_max (&self->core->config));
    }
  changed (self, AFRPC_POOL_PROP_MAX_BYTES_QUEUED);
}
