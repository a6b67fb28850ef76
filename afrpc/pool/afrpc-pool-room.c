/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who would rather wait for room in the queue than have a call fail. */
#include "config.h"

#include "pool/afrpc-pool-line.h"

#include "afrpc-error.h"
#include "peer/afrpc-task.h"

static gboolean
is_open (const AfrpcPoolCore *self)
{
  return self->state == AFRPC_POOL_OPEN && self->failure == NULL;
}

/* Those that wait for room hear of it from the main loop, if there is some. */
void
afrpc_pool_room_look (AfrpcPoolCore *self)
{
  if (!is_open (self) || afrpc_pool_entry_has_room (self, NULL, 0))
    afrpc_pool_core_want_timer (self, 0);
}

/* They hear of it: no more of them than there is room for. Whoever is told may do anything. */
void
afrpc_pool_room_tell (AfrpcPoolCore *self)
{
  const guint n_queued = afrpc_pool_get_n_queued (self);
  const guint n_left = n_queued < self->config.max_calls_queued ? self->config.max_calls_queued - n_queued : 0;
  guint n = is_open (self) ? n_left + afrpc_pool_line_count_free (self) : G_MAXUINT;

  for (; n > 0 && self->room_tasks.length > 0 && (!is_open (self) || afrpc_pool_entry_has_room (self, NULL, 0)); n--)
    {
      g_autoptr(GTask) task = g_queue_pop_head (&self->room_tasks);

      afrpc_task_unwatch (task);
      if (self->failure != NULL)
        g_task_return_error (task, g_error_copy (self->failure));
      else if (!is_open (self))
        g_task_return_error (task, afrpc_pool_core_new_closed_error (self));
      else
        g_task_return_boolean (task, TRUE);
    }
}

static gboolean
cancelled_cb (GCancellable *cancellable,
              gpointer      user_data)
{
  GTask *task = user_data;
  AfrpcPool *self = g_task_get_source_object (task);

  if (g_queue_remove (&self->core->room_tasks, task))
    {
      g_task_return_error_if_cancelled (task);
      afrpc_task_unwatch (task);
      g_object_unref (task);
    }

  return G_SOURCE_REMOVE;
}

/**
 * afrpc_pool_wait_for_room_async:
 * @self: a pool
 * @cancellable: (nullable): stops waiting
 * @callback: (scope async) (closure user_data): called once there is room
 * @user_data: data for @callback
 *
 * Waits until another call would not fail with %AFRPC_ERROR_BUSY: a worker has room for it, or fewer than
 * [property@Afrpc.Pool:max-calls-queued] wait for one. That is said of a call without an [affinity
 * key][property@Afrpc.CallOptions:affinity]: one with a key may have to wait for a certain worker. Those who wait for room get it in their order, and have it until they return to the main loop.
 *
 * Fails with %AFRPC_ERROR_CLOSED if the pool is closed, with its [failure][method@Afrpc.Pool.get_failure], with
 * %AFRPC_ERROR_FAILED while another thread runs the main context of the pool, and with %G_IO_ERROR_CANCELLED.
 *
 * Since: 1.0
 */
void
afrpc_pool_wait_for_room_async (AfrpcPool           *self,
                                GCancellable        *cancellable,
                                GAsyncReadyCallback  callback,
                                gpointer             user_data)
{
  GError *error = NULL;
  GTask *task;

  g_return_if_fail (AFRPC_IS_POOL (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_pool_wait_for_room_async);
  g_task_set_check_cancellable (task, FALSE);
  if (!afrpc_pool_check_thread (self, G_STRFUNC, &error))
    g_task_return_error (task, error);
  else if (!g_task_return_error_if_cancelled (task))
    {
      afrpc_task_watch (task, G_SOURCE_FUNC (cancelled_cb), task, NULL);
      g_queue_push_tail (&self->core->room_tasks, g_steal_pointer (&task));
      if (afrpc_pool_core_is_left (self->core))
        afrpc_pool_room_tell (self->core);
      else
        afrpc_pool_room_look (self->core);
    }
  g_clear_object (&task);
}

/**
 * afrpc_pool_wait_for_room_finish:
 * @self: a pool
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Pool.wait_for_room_async].
 *
 * Returns: %TRUE if there is room
 *
 * Since: 1.0
 */
gboolean
afrpc_pool_wait_for_room_finish (AfrpcPool     *self,
                                 GAsyncResult  *result,
                                 GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_pool_wait_for_room_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
