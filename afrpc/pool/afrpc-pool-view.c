/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What can be seen of a pool while it works. Who reads it gets what is true then. Those who want to be told are told at
 * the beginning of the next turn of the main loop, once for whatever has changed until then: by the pool's own source, so
 * that what changes it needs to know of nobody but the counter that rises with it. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include <string.h>

G_STATIC_ASSERT (AFRPC_POOL_PROP_N_CALLS_PENDING - AFRPC_POOL_PROP_N_WORKERS + 1 == AFRPC_POOL_N_COUNTS);

static guint notify_id;

/* When the class of pools is made. */
void
afrpc_pool_view_init_class (void)
{
  notify_id = g_signal_lookup ("notify", G_TYPE_OBJECT);
}

/* In the order of the properties. */
static inline void
count (const AfrpcPoolCore *self,
       guint                counts[AFRPC_POOL_N_COUNTS])
{
  const guint n_idle = self->n_members[AFRPC_POOL_MEMBER_IDLE];
  const guint n_starting = self->n_members[AFRPC_POOL_MEMBER_STARTING];

  counts[0] = n_starting + n_idle + self->n_members[AFRPC_POOL_MEMBER_BUSY];
  counts[1] = n_idle;
  counts[2] = n_starting;
  counts[3] = afrpc_pool_get_n_queued (self);
  counts[4] = self->n_given;
  counts[5] = self->n_jobs;
}

static guint
get_count (const AfrpcPoolCore *self,
           AfrpcPoolProp        prop)
{
  guint counts[AFRPC_POOL_N_COUNTS];

  count (self, counts);

  return counts[prop - AFRPC_POOL_PROP_N_WORKERS];
}

/* FALSE: @prop is another one. */
gboolean
afrpc_pool_view_get_property (const AfrpcPoolCore *self,
                              AfrpcPoolProp        prop,
                              GValue              *value)
{
  if (prop < AFRPC_POOL_PROP_N_WORKERS || prop > AFRPC_POOL_PROP_N_CALLS_PENDING)
    return FALSE;

  g_value_set_uint (value, get_count (self, prop));

  return TRUE;
}

static gboolean
is_listened_to (AfrpcPoolCore *self)
{
  g_autoptr(AfrpcPool) pool = afrpc_weak_get (&self->pool);

  return pool != NULL && g_signal_handler_find (pool, G_SIGNAL_MATCH_ID, notify_id, 0, NULL, NULL, NULL) != 0;
}

/* Before the main loop waits: whether somebody has to be told something. Under a steady load the numbers are the same in
 * each turn, and nobody is looked for. Who comes to listen is told of what changes from then on. */
gboolean
afrpc_pool_view_has_news (AfrpcPoolCore *self)
{
  guint counts[AFRPC_POOL_N_COUNTS];
  gboolean has_news;

  if (self->n_acts == self->view.n_acts)
    return FALSE;

  if (self->list != NULL)
    return TRUE;

  count (self, counts);
  if (memcmp (counts, self->view.counts, sizeof counts) == 0)
    {
      self->view.n_acts = self->n_acts;
      return FALSE;
    }

  /* The last reference to the pool may have been dropped by another thread meanwhile. */
  afrpc_pool_core_ref (self);
  has_news = is_listened_to (self);
  if (!has_news)
    {
      self->view.n_acts = self->n_acts;
      memcpy (self->view.counts, counts, sizeof counts);
    }
  afrpc_pool_core_unref (self);

  return has_news;
}

/* Tells what has changed. Whoever is told may do anything, run a main loop that comes here again too. */
void
afrpc_pool_view_tell (AfrpcPoolCore *self)
{
  g_autoptr(AfrpcPool) pool = NULL;

  if (self->n_acts == self->view.n_acts)
    return;

  self->view.n_acts = self->n_acts;
  pool = afrpc_weak_get (&self->pool);
  for (guint i = 0; pool != NULL && i < AFRPC_POOL_N_COUNTS; i++)
    {
      const AfrpcPoolProp prop = AFRPC_POOL_PROP_N_WORKERS + i;
      const guint n = get_count (self, prop);

      if (self->view.counts[i] == n)
        continue;
      self->view.counts[i] = n;
      g_object_notify_by_pspec (G_OBJECT (pool), afrpc_pool_props[prop]);
    }
  if (self->list != NULL)
    afrpc_pool_list_update (self->list, self);
}

static gboolean
left_cb (gpointer list)
{
  afrpc_pool_list_update (list, NULL);

  return G_SOURCE_REMOVE;
}

/* The pool has gone. Who has the list is told of that later: this may be called by who collects garbage. */
void
afrpc_pool_view_leave (AfrpcPoolCore *self)
{
  GMainContext *context = afrpc_peer_get_main_context (self->anchor);
  g_autoptr(AfrpcPoolList) list = g_steal_pointer (&self->list);
  g_autoptr(GSource) source = NULL;

  if (list == NULL || context == NULL)
    return;

  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[afrpc] workers of a pool that has gone");
  g_source_set_callback (source, left_cb, g_steal_pointer (&list), g_object_unref);
  g_source_attach (source, context);
}

/**
 * afrpc_pool_get_workers:
 * @self: a pool
 *
 * Gets a list model of the workers that there are: [class@Afrpc.PoolWorker], the oldest first.
 *
 * It changes in the main context of the pool, at most once in each turn of it for those that have ended, and once for
 * those that are new. A worker leaves it after everything was told of it; at the end of the pool it is empty. To have it costs
 * a look at all workers in each turn in which something has happened; nothing is told of workers before somebody asks for it.
 *
 * Returns: (transfer none) (nullable): the workers; %NULL only in a thread that may not use the pool
 *
 * Since: 1.0
 */
GListModel *
afrpc_pool_get_workers (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), NULL);

  if (!afrpc_pool_check_thread (self, G_STRFUNC, NULL))
    return NULL;

  if (self->core->list == NULL)
    self->core->list = afrpc_pool_list_new (self->core);

  return G_LIST_MODEL (self->core->list);
}

/**
 * afrpc_pool_get_stats:
 * @self: a pool
 *
 * Gets what the pool has counted and measured until now.
 *
 * Returns: (transfer full): statistics
 *
 * Since: 1.0
 */
AfrpcPoolStats *
afrpc_pool_get_stats (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), NULL);

  return afrpc_pool_stats_new (&self->core->figures, g_get_monotonic_time () - self->core->made_at);
}

/**
 * afrpc_pool_get_n_workers: (attributes org.gtk.Method.get_property=n-workers)
 * @self: a pool
 *
 * Gets how many workers there are that get calls, or are going to: those that end are not counted.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_n_workers (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return get_count (self->core, AFRPC_POOL_PROP_N_WORKERS);
}

/**
 * afrpc_pool_get_n_idle_workers: (attributes org.gtk.Method.get_property=n-idle-workers)
 * @self: a pool
 *
 * Gets how many workers are ready and have nothing to do.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_n_idle_workers (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return get_count (self->core, AFRPC_POOL_PROP_N_IDLE_WORKERS);
}

/**
 * afrpc_pool_get_n_starting_workers: (attributes org.gtk.Method.get_property=n-starting-workers)
 * @self: a pool
 *
 * Gets how many workers are being started and prepared.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_n_starting_workers (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return get_count (self->core, AFRPC_POOL_PROP_N_STARTING_WORKERS);
}

/**
 * afrpc_pool_get_n_calls_queued: (attributes org.gtk.Method.get_property=n-calls-queued)
 * @self: a pool
 *
 * Gets how many calls wait for a worker: those that [property@Afrpc.Pool:max-calls-queued] limits.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_n_calls_queued (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return get_count (self->core, AFRPC_POOL_PROP_N_CALLS_QUEUED);
}

/**
 * afrpc_pool_get_n_calls_assigned: (attributes org.gtk.Method.get_property=n-calls-assigned)
 * @self: a pool
 *
 * Gets how many calls workers have: those that they run, and those that they begin next, up to
 * [property@Afrpc.Pool:load] each.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_n_calls_assigned (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return get_count (self->core, AFRPC_POOL_PROP_N_CALLS_ASSIGNED);
}

/**
 * afrpc_pool_get_n_calls_pending: (attributes org.gtk.Method.get_property=n-calls-pending)
 * @self: a pool
 *
 * Gets how many calls have not been told their outcome yet: those that wait for a worker, those that workers have, and
 * those of which the main context is still to say that they have failed.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_n_calls_pending (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return get_count (self->core, AFRPC_POOL_PROP_N_CALLS_PENDING);
}
