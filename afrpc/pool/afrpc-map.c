/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-map.h"

#include "afrpc-call-private.h"
#include "afrpc-error.h"
#include "peer/afrpc-task.h"
#include "pool/afrpc-map-plain.h"
#include "pool/afrpc-map-parcels.h"
#include "pool/afrpc-map-private.h"
#include "pool/afrpc-pool-map.h"

#define TURN_US 500

/**
 * AfrpcMap:
 *
 * Many calls of a pool, whose results are taken one after the other.
 *
 * It is made by [method@Afrpc.Pool.map], from a function that makes the arguments of one call after the other,
 * [method@Afrpc.Pool.map_variant] or [method@Afrpc.Pool.map_list]. [method@Afrpc.Map.next_async] brings the next
 * [class@Afrpc.Call] that has its outcome: what it returned or failed with, whether it was started, which process had it,
 * and which of the inputs it was for, [method@Afrpc.Call.get_index]. A call that fails ends nothing: there is a next one.
 *
 * ## How much is under way
 *
 * Inputs are pulled only as results are taken, from the first time on that one is asked for: what is under way and what
 * was not taken are together no more than some times what all workers can have, 4096 calls at most, and no new calls
 * are made while more than 64 MiB of results were not taken. So any number of inputs takes no more memory than a few. A
 * map leaves half of the pool's [queue][property@Afrpc.Pool:max-calls-queued] to others, waits for room, and never fails
 * with %AFRPC_ERROR_BUSY.
 *
 * Calls are calls of the pool like any other, with its rules: they take turns with others, by their
 * [priority][property@Afrpc.CallOptions:priority]; those that a dead worker had not begun go to another one, those that are
 * [idempotent][property@Afrpc.CallOptions:idempotent] are repeated, and none waits for long behind one that takes long while
 * a worker is idle. But many small ones are given to a worker at once, as if they were one: as many as take it some
 * milliseconds, by how long those before them have taken, and fewer towards the end. Async workers, and those with which
 * no memory can be shared, get as many as [property@Afrpc.Pool:load] says.
 *
 * ## The end
 *
 * [method@Afrpc.Map.cancel], the cancellable of the map, and dropping the map give up what is under way. Once the pool
 * is closed or has failed, no more is pulled.
 *
 * ## Main context and threads
 *
 * A map belongs to the main context of its pool. Results come there; and there, or from who blocks for a result, inputs are
 * asked for. Outcomes are seen in the order of the map, not in that of the worker's events. A map may be dropped on any
 * thread.
 *
 * Since: 1.0
 */
struct _AfrpcMap
{
  GObject parent_instance;

  AfrpcPool *pool;           /* (owned) */
  AfrpcPoolMap *state;       /* (owned) */
  GCancellable *cancellable; /* (nullable) (owned) */
  gulong cancelled_id;
  gint64 turn_at;            /* when who blocks looks at workers again, whether there is something to take or not */
};

G_DEFINE_FINAL_TYPE (AfrpcMap, afrpc_map, G_TYPE_OBJECT)

static void
dropped_cb (AfrpcPeer *anchor,
            gpointer   state)
{
}

/* In the thread of the context, or there is none any more. */
static void
drop (gpointer state)
{
  afrpc_pool_map_drop (state);
}

static void
afrpc_map_finalize (GObject *object)
{
  AfrpcMap *self = AFRPC_MAP (object);

  if (self->cancellable != NULL)
    g_signal_handler_disconnect (self->cancellable, self->cancelled_id);
  g_clear_object (&self->cancellable);
  if (self->state != NULL)
    afrpc_peer_do (self->pool->core->anchor, dropped_cb, g_steal_pointer (&self->state), drop);
  g_clear_object (&self->pool);

  G_OBJECT_CLASS (afrpc_map_parent_class)->finalize (object);
}

static void
afrpc_map_class_init (AfrpcMapClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = afrpc_map_finalize;
}

static void
afrpc_map_init (AfrpcMap *self)
{
}

static void
cancel_cb (AfrpcPeer *anchor,
           gpointer   data)
{
  AfrpcMap *self = data;

  afrpc_pool_map_cancel (self->state);
}

/* On any thread. Its finalization does not wait for this, so the map may be gone: then there is nothing to be given up any
 * more. */
static void
cancelled_cb (GCancellable *cancellable,
              GWeakRef     *weak)
{
  g_autoptr(AfrpcMap) self = g_weak_ref_get (weak);

  if (self != NULL)
    afrpc_map_cancel (self);
}

static void
weak_free (gpointer  data,
           GClosure *closure)
{
  GWeakRef *weak = data;

  g_weak_ref_clear (weak);
  g_free (weak);
}

static AfrpcMap *
map_new (AfrpcPool    *pool,
         AfrpcPoolMap *state, /* (transfer full) */
         GCancellable *cancellable)
{
  AfrpcMap *self = g_object_new (AFRPC_TYPE_MAP, NULL);

  self->pool = g_object_ref (pool);
  self->state = state;
  if (cancellable != NULL)
    {
      GWeakRef *weak = g_new0 (GWeakRef, 1);

      g_weak_ref_init (weak, self);
      self->cancellable = g_object_ref (cancellable);
      self->cancelled_id = g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (cancelled_cb), weak, weak_free, 0);
      if (g_cancellable_is_cancelled (cancellable))
        afrpc_map_cancel (self);
    }

  return self;
}

/* @n: how many inputs there are, or -1; see afrpc_pool_map () */
AfrpcMap *
afrpc_map_new (AfrpcPool        *pool,
               AfrpcMapNextFunc  next,
               gpointer          data,
               GDestroyNotify    destroy,
               gint64            n,
               AfrpcCallOptions *options,
               GCancellable     *cancellable,
               AfrpcMapFlags     flags)
{
  AfrpcMapPlain *plain = afrpc_map_plain_new (next, data, destroy, flags);

  return map_new (pool, afrpc_pool_map_new (pool, &afrpc_map_plain_funcs, plain, NULL, n, options), cancellable);
}

/* See afrpc_pool_map_parcels () */
AfrpcMap *
afrpc_map_new_parcels (AfrpcPool           *pool,
                       const AfrpcMapFuncs *funcs,
                       gpointer             data,
                       const char          *host,
                       AfrpcCallOptions    *options,
                       GCancellable        *cancellable)
{
  return map_new (pool, afrpc_pool_map_new (pool, funcs, data, host, -1, options), cancellable);
}

/* Taking */

static void
waiter_free (AfrpcPoolMapWaiter *waiter)
{
  g_object_unref (waiter->task);
  g_free (waiter);
}

static void
release_call (gpointer call)
{
  afrpc_call_release (call);
}

/* Returns: (transfer full): as many as there are, but @n_max at most; none at the end. Calls that nobody else has are used
 * again once the array has them no more. */
static GPtrArray *
take_many (AfrpcPoolMap *state,
           guint         n_max)
{
  GPtrArray *calls = g_ptr_array_new_with_free_func (release_call);
  AfrpcCall *call;

  while (calls->len < n_max && (call = afrpc_pool_map_take (state)) != NULL)
    g_ptr_array_add (calls, call);

  return calls;
}

/* There is something to take, or the end; the waiter is used up. */
void
afrpc_pool_map_give_waiter (AfrpcPoolMap       *state,
                            AfrpcPoolMapWaiter *waiter)
{
  g_autoptr(GTask) task = g_object_ref (waiter->task);
  const guint n_max = waiter->n_max;
  g_autoptr(GPtrArray) calls = take_many (state, MAX (n_max, 1));

  afrpc_task_unwatch (task);
  waiter_free (waiter);
  afrpc_pool_map_feed (state);
  if (calls->len == 0 && state->error != NULL && !afrpc_pool_map_has_results (state))
    g_task_return_error (task, g_error_copy (state->error));
  else if (n_max > 0)
    g_task_return_pointer (task, g_steal_pointer (&calls), (GDestroyNotify) g_ptr_array_unref);
  else
    g_task_return_pointer (task, calls->len > 0 ? g_object_ref (calls->pdata[0]) : NULL, g_object_unref);
}

static gboolean
waiter_cancelled_cb (GCancellable *cancellable,
                     gpointer      user_data)
{
  GTask *task = user_data;
  AfrpcMap *self = g_task_get_source_object (task);

  for (GList *l = self->state->waiters.head; l != NULL; l = l->next)
    {
      AfrpcPoolMapWaiter *waiter = l->data;

      if (waiter->task != task)
        continue;

      g_queue_delete_link (&self->state->waiters, l);
      g_task_return_error_if_cancelled (task);
      afrpc_task_unwatch (task);
      waiter_free (waiter);
      break;
    }

  return G_SOURCE_REMOVE;
}

/* Nothing comes any more, because the main context goes. */
static void
leave_waiter (AfrpcPoolMap       *state,
              AfrpcPoolMapWaiter *waiter)
{
  g_queue_remove (&state->waiters, waiter);
  afrpc_task_unwatch (waiter->task);
  g_task_return_error (waiter->task, afrpc_pool_core_new_closed_error (state->core));
  waiter_free (waiter);
}

/* @n_max: 0: one, by itself */
static void
begin_next (AfrpcMap            *self,
            guint                n_max,
            GCancellable        *cancellable,
            GAsyncReadyCallback  callback,
            gpointer             user_data,
            gpointer             tag)
{
  g_autoptr(GTask) task = g_task_new (self, cancellable, callback, user_data);
  AfrpcPoolMapWaiter *waiter;
  GError *error = NULL;

  g_task_set_source_tag (task, tag);
  /* What was taken is not lost to a cancel that comes after it. */
  g_task_set_check_cancellable (task, FALSE);
  if (!afrpc_pool_check_thread (self->pool, "taking results of a map", &error))
    {
      g_task_return_error (task, error);
      return;
    }
  if (g_task_return_error_if_cancelled (task))
    return;

  waiter = g_new (AfrpcPoolMapWaiter, 1);
  waiter->task = g_object_ref (task);
  waiter->n_max = n_max;
  afrpc_task_watch (task, G_SOURCE_FUNC (waiter_cancelled_cb), task, NULL);
  g_queue_push_tail (&self->state->waiters, waiter);
  afrpc_pool_map_feed (self->state);
  if (afrpc_pool_map_has_news (self->state))
    {
      if (g_queue_peek_head (&self->state->waiters) == waiter)
        afrpc_pool_map_give_waiter (self->state, g_queue_pop_head (&self->state->waiters));
    }
  else if (afrpc_pool_core_is_left (self->state->core) && g_queue_find (&self->state->waiters, waiter) != NULL)
    leave_waiter (self->state, waiter);
}

/**
 * afrpc_map_next_async:
 * @self: a map
 * @cancellable: (nullable): stops waiting, and nothing else
 * @callback: (scope async) (closure user_data): called with the next call
 * @user_data: data for @callback
 *
 * Waits for the next call that has its outcome.
 *
 * Any number may wait; they get calls in their order. After the last call, it fails with the reason why there may be
 * inputs that were not pulled, and one that was, but had to wait for room, and is no call: %G_IO_ERROR_CANCELLED if the map was
 * cancelled, %AFRPC_ERROR_CLOSED if the pool was closed, or the pool's [failure][method@Afrpc.Pool.get_failure]. It fails also
 * with %AFRPC_ERROR_FAILED while another thread runs the main context of the pool, and with %G_IO_ERROR_CANCELLED if @cancellable
 * was cancelled.
 *
 * Since: 1.0
 */
void
afrpc_map_next_async (AfrpcMap            *self,
                      GCancellable        *cancellable,
                      GAsyncReadyCallback  callback,
                      gpointer             user_data)
{
  g_return_if_fail (AFRPC_IS_MAP (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  begin_next (self, 0, cancellable, callback, user_data, afrpc_map_next_async);
}

/**
 * afrpc_map_next_finish:
 * @self: a map
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Map.next_async].
 *
 * Returns: (transfer full) (nullable): a call that has its outcome; or %NULL, without an error, after the last one
 *
 * Since: 1.0
 */
AfrpcCall *
afrpc_map_next_finish (AfrpcMap      *self,
                       GAsyncResult  *result,
                       GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_MAP (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_map_next_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

typedef struct
{
  AfrpcPoolMap *state;
  guint n_turns;             /* that workers have had */
} Waiting;

/* Whether it is waited for by the function that makes its inputs, which has to return first. */
static gboolean
is_stuck (AfrpcPoolMap *state)
{
  return state->is_pulling && state->n_under_way == 0 && !afrpc_pool_map_has_news (state);
}

static gboolean
has_come (gpointer data)
{
  Waiting *waiting = data;

  return waiting->n_turns++ > 0 && (afrpc_pool_map_has_news (waiting->state) || is_stuck (waiting->state));
}

/* Blocks until there is something to take, or the end. FALSE: it is not waited for any more. */
static gboolean
wait_for_news (AfrpcMap      *self,
               GCancellable  *cancellable,
               GError       **error)
{
  AfrpcPoolCore *core = self->pool->core;
  Waiting waiting = { self->state, 0 };
  AfrpcPoolMap *awaited = core->awaited;
  const guint awaited_within = core->awaited_within;
  gboolean has_waited;
  gint64 now;

  if (!afrpc_pool_check_thread (self->pool, "taking results of a map", error))
    return FALSE;
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;

  afrpc_pool_map_feed (self->state);
  /* Without a main loop nobody else looks what workers have answered, and gives them more. */
  now = g_get_monotonic_time ();
  if (afrpc_pool_map_has_news (self->state) && (now < self->turn_at || afrpc_pool_core_is_left (core)))
    return TRUE;

  self->turn_at = now + TURN_US;

  core->awaited = self->state;
  core->awaited_within = core->n_pulling;
  has_waited = afrpc_pool_block_until (core, has_come, &waiting, cancellable, error);
  core->awaited = awaited;
  core->awaited_within = awaited_within;
  if (!has_waited)
    return FALSE;
  if (afrpc_pool_map_has_news (self->state))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the function that makes the inputs of a map waits for its results");
  return FALSE;
}

/**
 * afrpc_map_next_sync:
 * @self: a map
 * @cancellable: (nullable): stops waiting, and nothing else; from another thread
 * @error: return location for an error
 *
 * Blocks until there is a next call that has its outcome.
 *
 * No main context is iterated. Fails like [method@Afrpc.Map.next_async], and with %AFRPC_ERROR_BUSY if workers say more
 * meanwhile than [is kept](limits.html#blocking).
 *
 * Returns: (transfer full) (nullable): a call that has its outcome; or %NULL, without an error, after the last one
 *
 * Since: 1.0
 */
AfrpcCall *
afrpc_map_next_sync (AfrpcMap      *self,
                     GCancellable  *cancellable,
                     GError       **error)
{
  g_autoptr(GPtrArray) calls = NULL;

  g_return_val_if_fail (AFRPC_IS_MAP (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  calls = afrpc_map_next_many_sync (self, 1, cancellable, error);

  return calls != NULL && calls->len > 0 ? g_object_ref (calls->pdata[0]) : NULL;
}

/**
 * afrpc_map_next_many_async:
 * @self: a map
 * @n_max: how many calls to bring at most, at least 1
 * @cancellable: (nullable): stops waiting, and nothing else
 * @callback: (scope async) (closure user_data): called with the next calls
 * @user_data: data for @callback
 *
 * Waits like [method@Afrpc.Map.next_async], and brings all calls whose turn it is and that have their outcome.
 *
 * Since: 1.0
 */
void
afrpc_map_next_many_async (AfrpcMap            *self,
                           guint                n_max,
                           GCancellable        *cancellable,
                           GAsyncReadyCallback  callback,
                           gpointer             user_data)
{
  g_return_if_fail (AFRPC_IS_MAP (self));
  g_return_if_fail (n_max >= 1);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  begin_next (self, n_max, cancellable, callback, user_data, afrpc_map_next_many_async);
}

/**
 * afrpc_map_next_many_finish:
 * @self: a map
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Map.next_many_async].
 *
 * Returns: (transfer container) (element-type Afrpc.Call): calls that have their outcome, in an array that has them; none
 *   after the last one
 *
 * Since: 1.0
 */
GPtrArray *
afrpc_map_next_many_finish (AfrpcMap      *self,
                            GAsyncResult  *result,
                            GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_MAP (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_map_next_many_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * afrpc_map_next_many_sync:
 * @self: a map
 * @n_max: how many calls to bring at most, at least 1
 * @cancellable: (nullable): stops waiting, and nothing else; from another thread
 * @error: return location for an error
 *
 * Blocks like [method@Afrpc.Map.next_sync], and brings all calls whose turn it is and that have their outcome.
 *
 * Returns: (transfer container) (element-type Afrpc.Call): calls that have their outcome, in an array that has them; none
 *   after the last one
 *
 * Since: 1.0
 */
GPtrArray *
afrpc_map_next_many_sync (AfrpcMap      *self,
                          guint          n_max,
                          GCancellable  *cancellable,
                          GError       **error)
{
  g_autoptr(AfrpcMap) keeper = NULL;
  GPtrArray *calls;

  g_return_val_if_fail (AFRPC_IS_MAP (self), NULL);
  g_return_val_if_fail (n_max >= 1, NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  keeper = g_object_ref (self);
  if (!wait_for_news (self, cancellable, error))
    return NULL;

  calls = take_many (self->state, n_max);
  if (calls->len == 0 && self->state->error != NULL && !afrpc_pool_map_has_results (self->state))
    {
      g_propagate_error (error, g_error_copy (self->state->error));
      g_clear_pointer (&calls, g_ptr_array_unref);
    }

  return calls;
}

/**
 * afrpc_map_cancel:
 * @self: a map
 *
 * Pulls no more inputs, and gives up the calls that are under way: they fail with %G_IO_ERROR_CANCELLED.
 *
 * May be used from any thread.
 *
 * Since: 1.0
 */
void
afrpc_map_cancel (AfrpcMap *self)
{
  g_return_if_fail (AFRPC_IS_MAP (self));

  afrpc_peer_do (self->pool->core->anchor, cancel_cb, g_object_ref (self), g_object_unref);
}

/**
 * afrpc_map_has_ended: (skip)
 * @self: a map
 *
 * Gets whether there is nothing to take, and never will be: what taking fails with from then on is why the map has ended.
 *
 * For the bindings that belong to afrpc, in the thread of the pool's context.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_map_has_ended (AfrpcMap *self)
{
  return !afrpc_pool_map_has_results (self->state) && afrpc_pool_map_has_news (self->state);
}

/**
 * afrpc_map_get_pool:
 * @self: a map
 *
 * Gets the pool whose calls these are.
 *
 * Returns: (transfer none) (nullable): the pool; %NULL only if the map was not made by one
 *
 * Since: 1.0
 */
AfrpcPool *
afrpc_map_get_pool (AfrpcMap *self)
{
  g_return_val_if_fail (AFRPC_IS_MAP (self), NULL);

  return self->pool;
}
