/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls of all workers: who has made one, and waits until they have answered. */
#include "config.h"

#include "pool/afrpc-pool-settings.h"

#include "afrpc-error.h"
#include "peer/afrpc-task.h"
#include "wire/afrpc-value.h"

AfrpcPoolRound *
afrpc_pool_round_ref (AfrpcPoolRound *self)
{
  self->ref_count++;

  return self;
}

void
afrpc_pool_round_unref (AfrpcPoolRound *self)
{
  if (--self->ref_count > 0)
    return;

  g_clear_error (&self->error);
  g_clear_object (&self->task);
  g_free (self);
}

/* @error: (nullable) */
void
afrpc_pool_round_answer (AfrpcPoolCore  *core,
                         AfrpcPoolRound *self,
                         const GError   *error)
{
  if (error != NULL && self->error == NULL)
    self->error = g_error_copy (error);
  if (--self->n_left == 0 && self->task != NULL)
    afrpc_pool_core_want_timer (core, 0);
  core->n_acts++;
}

/* FALSE: it cannot be said. */
static gboolean
check (AfrpcPoolCore  *core,
       GVariant       *args,
       GError        **error)
{
  if (core->failure != NULL)
    g_propagate_error (error, g_error_copy (core->failure));
  else if (core->state != AFRPC_POOL_OPEN || afrpc_pool_core_is_left (core))
    g_propagate_error (error, afrpc_pool_core_new_closed_error (core));
  else if (core->config.serialiser == NULL && g_variant_get_size (args) > core->config.max_message_size)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "the arguments have %" G_GSIZE_FORMAT " bytes, more than the limit of %"
                 G_GUINT64_FORMAT, g_variant_get_size (args), core->config.max_message_size);
  else
    return TRUE;

  return FALSE;
}

/* @task: (nullable). Returns: (transfer full) (nullable): what is waited for */
static AfrpcPoolRound *
begin (AfrpcPool         *pool,
       GVariant          *args,
       AfrpcCallOptions  *options,
       GTask             *task,
       GError           **error)
{
  g_autoptr(GVariant) sunk = afrpc_value_ref_sink (args != NULL ? args : g_variant_new_tuple (NULL, 0));
  g_autoptr(AfrpcPool) keeper = g_object_ref (pool);
  AfrpcPoolCore *core = pool->core;
  AfrpcPoolRound *round;

  if (!afrpc_pool_check_thread (pool, "calling all workers", error) || !check (core, sunk, error))
    return NULL;

  round = g_new0 (AfrpcPoolRound, 1);
  round->ref_count = 1;
  round->n_left = 1;
  if (task != NULL)
    {
      round->task = g_object_ref (task);
      g_queue_push_tail (&core->rounds, afrpc_pool_round_ref (round));
    }
  afrpc_pool_settings_say (core, sunk, options, round);

  return round;
}

/* Those who wait hear of it, in their order. */
void
afrpc_pool_call_all_tell (AfrpcPoolCore *self)
{
  GList *link = self->rounds.head;

  while (link != NULL)
    {
      AfrpcPoolRound *round = link->data;
      g_autoptr(GTask) task = NULL;

      if (round->n_left > 0)
        {
          link = link->next;
          continue;
        }
      g_queue_delete_link (&self->rounds, link);
      task = g_steal_pointer (&round->task);
      afrpc_task_unwatch (task);
      if (round->error != NULL)
        g_task_return_error (task, g_steal_pointer (&round->error));
      else
        g_task_return_boolean (task, TRUE);
      afrpc_pool_round_unref (round);
      /* Whoever was told may have done anything. */
      link = self->rounds.head;
    }
}

/* Nobody is told anything any more. */
void
afrpc_pool_call_all_abandon (AfrpcPoolCore *self)
{
  AfrpcPoolRound *round;

  while ((round = g_queue_pop_head (&self->rounds)) != NULL)
    afrpc_pool_round_unref (round);
}

static gboolean
cancelled_cb (GCancellable *cancellable,
              gpointer      user_data)
{
  GTask *task = user_data;
  AfrpcPoolCore *core = AFRPC_POOL (g_task_get_source_object (task))->core;

  for (GList *l = core->rounds.head; l != NULL; l = l->next)
    {
      AfrpcPoolRound *round = l->data;

      if (round->task != task)
        continue;

      g_queue_delete_link (&core->rounds, l);
      round->task = NULL;
      afrpc_pool_round_unref (round);
      g_task_return_error_if_cancelled (task);
      afrpc_task_unwatch (task);
      g_object_unref (task);
      break;
    }

  return G_SOURCE_REMOVE;
}

/**
 * afrpc_pool_call_all_async:
 * @self: a pool
 * @args: (nullable): the arguments, usually a tuple; a floating reference is consumed; %NULL for an empty tuple
 * @options: (nullable): which function is called, and what the calls carry besides
 * @cancellable: (nullable): stops waiting, and nothing else
 * @callback: (scope async) (closure user_data): called once all workers that there are have answered
 * @user_data: data for @callback
 *
 * Configures all workers: those that there are, and each later one, call a function with @args.
 *
 * A worker that there is calls it after the calls that it has, and gets no other until it has answered. A later one calls
 * it once it is ready, before anything else, and after what was said before by this method. What the functions return is
 * dropped. The function is that of @options, or the pool's. Another use of this method with the same function and the same
 * [label][property@Afrpc.CallOptions:label], or both without one, replaces the earlier one for later workers; so do not
 * forget labels where one function sets several things. [method@Afrpc.Pool.refresh] keeps it all,
 * [method@Afrpc.Pool.forget_call_all] does not.
 *
 * Finishes once all workers that there are have answered, at once if there are none. One that dies meanwhile is not waited
 * for: whoever takes its place calls the function, which may so be called more than once for the same arguments, and has
 * to be idempotent.
 *
 * Fails with the first error that a worker answers with, after all of them have. No worker works unconfigured: one in
 * which the function fails, or takes longer than the options allow, gets no more calls and is replaced; one that was being
 * started counts as one whose init function has failed, which [signal@Afrpc.Caller::error] says: see
 * [property@Afrpc.Pool:max-failures]. What the function refuses
 * everywhere has the pool fail, as an init function would, unless it is replaced or forgotten first. What cannot be sent
 * at all, because it is too large for example, fails with the reason, and is as if it had not been said: what it would have
 * replaced goes on. If it cannot be sent to some, such as descriptors over a command, those that it was sent to are replaced.
 *
 * Of the options, time limits count for each worker by itself, for a later one from its start; descriptors are copied for
 * each; the pool's [property@Afrpc.Pool:call-timeout-ms], priority, affinity, idempotence and progress mean nothing here.
 *
 * Fails also with %AFRPC_ERROR_CLOSED if the pool is closed, with its [failure][method@Afrpc.Pool.get_failure], with
 * %AFRPC_ERROR_FAILED while another thread runs the main context of the pool, and with %G_IO_ERROR_CANCELLED, after
 * which workers are configured all the same.
 *
 * Since: 1.0
 */
void
afrpc_pool_call_all_async (AfrpcPool           *self,
                           GVariant            *args,
                           AfrpcCallOptions    *options,
                           GCancellable        *cancellable,
                           GAsyncReadyCallback  callback,
                           gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;
  AfrpcPoolRound *round;
  GError *error = NULL;

  g_return_if_fail (AFRPC_IS_POOL (self));
  g_return_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_pool_call_all_async);
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    {
      if (args != NULL)
        g_variant_unref (g_variant_ref_sink (args));
      return;
    }

  afrpc_task_watch (task, G_SOURCE_FUNC (cancelled_cb), task, NULL);
  round = begin (self, args, options, task, &error);
  if (round == NULL)
    {
      afrpc_task_unwatch (task);
      g_task_return_error (task, error);
      return;
    }
  afrpc_pool_round_unref (round);
}

/**
 * afrpc_pool_call_all_finish:
 * @self: a pool
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Pool.call_all_async].
 *
 * Returns: %TRUE if all workers that there were are configured
 *
 * Since: 1.0
 */
gboolean
afrpc_pool_call_all_finish (AfrpcPool     *self,
                            GAsyncResult  *result,
                            GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_pool_call_all_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
has_answered (gpointer data)
{
  return ((AfrpcPoolRound *) data)->n_left == 0;
}

/**
 * afrpc_pool_call_all_sync:
 * @self: a pool
 * @args: (nullable): the arguments, as for [method@Afrpc.Pool.call_all_async]
 * @options: (nullable): which function is called, and what the calls carry besides
 * @cancellable: (nullable): stops waiting, and nothing else; from another thread
 * @error: return location for an error
 *
 * Configures all workers as [method@Afrpc.Pool.call_all_async] does, and blocks until those that there are have answered.
 *
 * No main context is iterated: what arrives meanwhile is delivered afterwards. Fails in the same way, and with
 * %AFRPC_ERROR_BUSY if workers say more meanwhile than [is kept](limits.html#blocking).
 *
 * Returns: %TRUE if all workers that there were are configured
 *
 * Since: 1.0
 */
gboolean
afrpc_pool_call_all_sync (AfrpcPool         *self,
                          GVariant          *args,
                          AfrpcCallOptions  *options,
                          GCancellable      *cancellable,
                          GError           **error)
{
  g_autoptr(AfrpcPool) keeper = NULL;
  AfrpcPoolRound *round;
  gboolean is_configured = FALSE;

  g_return_val_if_fail (AFRPC_IS_POOL (self), FALSE);
  g_return_val_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    {
      if (args != NULL)
        g_variant_unref (g_variant_ref_sink (args));
      return FALSE;
    }

  keeper = g_object_ref (self);
  round = begin (self, args, options, NULL, error);
  if (round == NULL)
    return FALSE;

  if (round->n_left == 0 || afrpc_pool_block_until (self->core, has_answered, round, cancellable, error))
    {
      is_configured = round->error == NULL;
      if (!is_configured)
        g_propagate_error (error, g_steal_pointer (&round->error));
    }
  afrpc_pool_round_unref (round);

  return is_configured;
}

/**
 * afrpc_pool_forget_call_all:
 * @self: a pool
 * @function: (nullable): the function that was called, %NULL for the pool's
 * @label: (nullable): the label that it was called with
 *
 * Has later workers not call a function any more that [method@Afrpc.Pool.call_all_async] has them call.
 *
 * Those that there are stay as they are; [method@Afrpc.Pool.refresh] replaces them.
 *
 * Returns: %TRUE if there was such a call
 *
 * Since: 1.0
 */
gboolean
afrpc_pool_forget_call_all (AfrpcPool  *self,
                            const char *function,
                            const char *label)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), FALSE);

  if (!afrpc_pool_check_thread (self, G_STRFUNC, NULL))
    return FALSE;

  return afrpc_pool_settings_forget (self->core, function != NULL ? function : self->core->config.function, label);
}
