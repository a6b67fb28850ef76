/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-call.h"

#include "afrpc-call-options-private.h"
#include "afrpc-call-private.h"
#include "afrpc-call-wait-private.h"
#include "afrpc-caller-private.h"
#include "afrpc-error.h"
#include "afrpc-exit.h"
#include "afrpc-process.h"
#include "peer/afrpc-peer.h"

/**
 * AfrpcCall:
 *
 * One call, from when it was made until it has its outcome, and what is known of it then.
 *
 * It is what [method@Afrpc.Caller.start] returns, and the result that the callback of [method@Afrpc.Caller.call] and
 * [method@Afrpc.Caller.call_full] gets. A callback that wants to keep its result takes a reference; otherwise the
 * object is used for another call afterwards.
 *
 * ## Whether it had been started
 *
 * Every failure of a call says whether the worker had begun to run it: [method@Afrpc.Call.get_started]. Only after
 * %AFRPC_STARTED_NO is it safe to make the call again whatever it does.
 *
 * ## Main context and threads
 *
 * A call belongs to the main context of its caller. [method@Afrpc.Call.cancel] may be used from any thread.
 *
 * Since: 1.0
 */

static void afrpc_call_async_result_init (GAsyncResultIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcCall, afrpc_call, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_ASYNC_RESULT, afrpc_call_async_result_init))

/* Who is in it has a reference to the call. */
static void
free_waits (GQueue *waits)
{
  g_assert (g_queue_is_empty (waits));
  g_queue_free (waits);
}

void
afrpc_call_clear (AfrpcCall *self)
{
  afrpc_call_leave_untold (self);
  afrpc_call_unwatch (self);
  g_clear_pointer (&self->value, g_variant_unref);
  if (self->error != NULL)
    g_clear_error (&self->error);
  g_clear_object (&self->fds);
  g_clear_object (&self->options);
  if (self->is_process_lent)
    self->process = NULL;
  self->is_process_lent = FALSE;
  g_clear_object (&self->process);
  g_clear_pointer (&self->saved, g_bytes_unref);
  g_clear_pointer (&self->exit, afrpc_exit_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_clear_pointer (&self->waits, free_waits);
  g_clear_object (&self->caller);
}

static void
afrpc_call_finalize (GObject *object)
{
  afrpc_call_clear (AFRPC_CALL (object));

  G_OBJECT_CLASS (afrpc_call_parent_class)->finalize (object);
}

static void
afrpc_call_class_init (AfrpcCallClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = afrpc_call_finalize;
}

static void
afrpc_call_init (AfrpcCall *self)
{
  self->pending.funcs = &afrpc_call_pending_funcs;
}

static gpointer
afrpc_call_get_user_data (GAsyncResult *result)
{
  return AFRPC_CALL (result)->user_data;
}

static GObject *
afrpc_call_get_source_object (GAsyncResult *result)
{
  AfrpcCall *self = AFRPC_CALL (result);

  return self->caller != NULL ? g_object_ref (G_OBJECT (self->caller)) : NULL;
}

static gboolean
afrpc_call_is_tagged (GAsyncResult *result,
                      gpointer      tag)
{
  return AFRPC_CALL (result)->tag == tag;
}

static void
afrpc_call_async_result_init (GAsyncResultIface *iface)
{
  iface->get_user_data = afrpc_call_get_user_data;
  iface->get_source_object = afrpc_call_get_source_object;
  iface->is_tagged = afrpc_call_is_tagged;
}

/* Whether it is a call of the process that this one was forked from: nobody waits for it here, so it has an outcome now. */
static gboolean
is_inherited (AfrpcCall *self)
{
  if (!afrpc_caller_is_inherited (self->caller))
    return FALSE;

  afrpc_call_block (self, AFRPC_CALLER_GET_IFACE (self->caller));

  return TRUE;
}

/**
 * afrpc_call_wait:
 * @self: a call
 * @cancellable: (nullable): stops waiting, not the call
 * @callback: (scope async) (closure user_data): called with the outcome
 * @user_data: data for @callback
 *
 * Waits for the outcome of a call.
 *
 * Any number may wait for the same call, also after it has its outcome. Fails like [method@Afrpc.Caller.call], and
 * with %G_IO_ERROR_CANCELLED if @cancellable was cancelled.
 *
 * Since: 1.0
 */
void
afrpc_call_wait (AfrpcCall           *self,
                 GCancellable        *cancellable,
                 GAsyncReadyCallback  callback,
                 gpointer             user_data)
{
  g_autoptr(AfrpcCallWait) wait = NULL;
  g_autoptr(GError) error = NULL;

  g_return_if_fail (AFRPC_IS_CALL (self));
  g_return_if_fail (self->caller != NULL); /* it was made by nobody */
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  wait = afrpc_call_wait_new (self, callback, user_data);
  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    {
      afrpc_call_wait_fail (wait, g_steal_pointer (&error));
      return;
    }
  if (self->is_told || is_inherited (self))
    {
      afrpc_call_wait_tell (wait, FALSE);
      return;
    }

  if (afrpc_call_has_listeners (self))
    self->pending.has_several = TRUE;
  if (self->waits == NULL)
    self->waits = g_queue_new ();
  afrpc_call_wait_push (g_steal_pointer (&wait), self->waits, cancellable);
}

/**
 * afrpc_call_wait_finish:
 * @self: a call
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Call.wait].
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_call_wait_finish (AfrpcCall     *self,
                        GAsyncResult  *result,
                        GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_CALL (self), NULL);
  g_return_val_if_fail (AFRPC_IS_CALL_WAIT (result), NULL);
  g_return_val_if_fail (afrpc_call_wait_get_call (AFRPC_CALL_WAIT (result)) == self, NULL);

  return afrpc_call_wait_check (AFRPC_CALL_WAIT (result), error) ? afrpc_call_ref_outcome (self, error) : NULL;
}

/* Who has waited has its outcome. It need not wait to be told as well, by a main loop that there may never be, if there is
 * nobody else. */
static void
withdraw (AfrpcCall *self)
{
  const AfrpcCallerOwn *own = AFRPC_CALLER_GET_IFACE (self->caller)->own;

  if (afrpc_call_has_listeners (self) || own == NULL || !own->withdraw (self->caller, self))
    return;

  afrpc_call_tell_waits (self, FALSE);
  afrpc_call_release (self);
}

/**
 * afrpc_call_wait_sync:
 * @self: a call
 * @cancellable: (nullable): cancels the call, from another thread
 * @error: return location for an error
 *
 * Blocks until the call has its outcome.
 *
 * No main context is iterated, as for [method@Afrpc.Caller.call_sync]; whoever else waits for the call, and its callback
 * if it has one, is told later, from the context.
 *
 * Fails like [method@Afrpc.Caller.call]; and with %AFRPC_ERROR_FAILED, which is logged as critical and says nothing of the
 * call, while another thread runs the main context that the call belongs to; or with the same error in a serialiser that
 * unpacks the call's own result.
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_call_wait_sync (AfrpcCall     *self,
                      GCancellable  *cancellable,
                      GError       **error)
{
  gulong id = 0;

  g_return_val_if_fail (AFRPC_IS_CALL (self), NULL);
  g_return_val_if_fail (self->caller != NULL, NULL); /* it was made by nobody */
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  if (!afrpc_caller_may_use (self->caller, "waiting for a call"))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED,
                   "another thread runs the main context that the call belongs to");
      return NULL;
    }
  if (self->pending.state == AFRPC_PENDING_UNPACKED)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED,
                   "the serialiser that unpacks the result of a call cannot wait for it");
      return NULL;
    }

  if (cancellable != NULL && self->pending.state != AFRPC_PENDING_DECIDED)
    id = afrpc_call_connect_cancelled (self, cancellable);
  if (self->pending.state == AFRPC_PENDING_DECIDED)
    {
      afrpc_call_complete (self);
      withdraw (self);
    }
  /* In a main loop that is run by somebody who waits for the same. */
  else if (self->pending.is_awaited)
    afrpc_call_block (self, AFRPC_CALLER_GET_IFACE (self->caller));
  else
    {
      self->pending.is_awaited = TRUE;
      self->pending.is_told_too = afrpc_call_has_listeners (self);
      afrpc_call_block (self, AFRPC_CALLER_GET_IFACE (self->caller));
      /* Otherwise the reference of who had the call has passed to who waited for it, or passes to the callback. */
      if (self->pending.is_told_too)
        ;
      else if (self->callback != NULL)
        afrpc_call_tell_later (self);
      else
        {
          afrpc_call_tell_waits (self, FALSE);
          g_object_unref (self);
        }
    }
  if (id != 0)
    g_signal_handler_disconnect (cancellable, id);

  return afrpc_call_ref_outcome (self, error);
}

/**
 * afrpc_call_cancel:
 * @self: a call
 *
 * Gives the call up: it fails with %G_IO_ERROR_CANCELLED.
 *
 * If the worker has not started it, it never will; a function that runs can take notice, see
 * [method@Afrpc.Worker.is_cancelled]. Whatever comes of it is not waited for. Costs the same however many calls are
 * waiting; does nothing once the call has its outcome. May be used from any thread.
 *
 * Since: 1.0
 */
void
afrpc_call_cancel (AfrpcCall *self)
{
  g_return_if_fail (AFRPC_IS_CALL (self));
  g_return_if_fail (self->caller != NULL); /* it was made by nobody */

  if (!g_atomic_int_compare_and_exchange (&self->is_cancelled, FALSE, TRUE))
    return;

  if (self->context != NULL)
    afrpc_call_cancel_later (self);
  else if (AFRPC_CALLER_GET_IFACE (self->caller)->cancel != NULL)
    AFRPC_CALLER_GET_IFACE (self->caller)->cancel (self->caller, self);
}

/**
 * afrpc_call_cancel_unstarted:
 * @self: a call
 *
 * Gives the call up if no worker has begun it, as [method@Afrpc.Call.cancel] does; one that runs, or may do so, is left alone.
 *
 * That is known of calls of a pool: of those that wait in it, and of those that wait behind others in a worker that runs one at a
 * time, and shares memory with the program.
 * It may be used in the thread that runs the main context that the call belongs to.
 *
 * Returns: %TRUE if it was given up: it was not started, and never will be
 *
 * Since: 1.0
 */
gboolean
afrpc_call_cancel_unstarted (AfrpcCall *self)
{
  const AfrpcCallerOwn *own;

  g_return_val_if_fail (AFRPC_IS_CALL (self), FALSE);
  g_return_val_if_fail (self->caller != NULL, FALSE); /* it was made by nobody */

  own = AFRPC_CALLER_GET_IFACE (self->caller)->own;
  if (own == NULL || own->cancel_unstarted == NULL || afrpc_call_is_cancelled (self) || !own->cancel_unstarted (self->caller, self))
    return FALSE;

  g_atomic_int_set (&self->is_cancelled, TRUE);

  return TRUE;
}

/**
 * afrpc_call_is_settled:
 * @self: a call
 *
 * Gets whether the call has its outcome, and somebody was told of that: in the main loop, or by waiting for it. Without
 * either a call is never settled, whatever has arrived.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_call_is_settled (AfrpcCall *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL (self), FALSE);

  return self->pending.state == AFRPC_PENDING_DECIDED;
}

/**
 * afrpc_call_get_started:
 * @self: a call
 *
 * Gets whether the worker had begun to run the call.
 *
 * This is known once the call has its outcome, or was cancelled in the thread that runs its main context, and told of
 * each failure, whatever its cause; before, it is %AFRPC_STARTED_YES of a call of a pool, or over NATS, that is known to have been
 * begun, and otherwise %AFRPC_STARTED_UNKNOWN. Over NATS, a call that was cancelled has its outcome once its server has said whether
 * it was begun: until then it is what is known before, and %AFRPC_STARTED_NO if no server has it.
 *
 * Returns: whether it was started
 *
 * Since: 1.0
 */
AfrpcStarted
afrpc_call_get_started (AfrpcCall *self)
{
  const AfrpcCallerInterface *iface;

  g_return_val_if_fail (AFRPC_IS_CALL (self), AFRPC_STARTED_UNKNOWN);

  if (self->pending.state == AFRPC_PENDING_DECIDED)
    return self->pending.started;

  iface = self->caller != NULL ? AFRPC_CALLER_GET_IFACE (self->caller) : NULL;

  return iface != NULL && iface->get_started != NULL ? iface->get_started (self->caller, self) : AFRPC_STARTED_UNKNOWN;
}

/**
 * afrpc_call_get_caller:
 * @self: a call
 *
 * Gets who made the call.
 *
 * Returns: (transfer none): the caller
 *
 * Since: 1.0
 */
AfrpcCaller *
afrpc_call_get_caller (AfrpcCall *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL (self), NULL);

  return self->caller;
}

/**
 * afrpc_call_get_options:
 * @self: a call
 *
 * Gets the options that the call was made with.
 *
 * Returns: (transfer none) (nullable): the options, or %NULL if there are none
 *
 * Since: 1.0
 */
AfrpcCallOptions *
afrpc_call_get_options (AfrpcCall *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL (self), NULL);

  return self->options;
}

/**
 * afrpc_call_get_process:
 * @self: a call
 *
 * Gets the process that has, or had, the call.
 *
 * Of a call by a proxy it is the proxy's process, whether the call has come to it or not.
 *
 * Returns: (transfer none) (nullable): the process, or %NULL if it is not known, or no process has had it
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_call_get_process (AfrpcCall *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL (self), NULL);

  if (self->process == NULL && self->caller != NULL && AFRPC_CALLER_GET_IFACE (self->caller)->get_process != NULL)
    return AFRPC_CALLER_GET_IFACE (self->caller)->get_process (self->caller);

  return self->process;
}

/**
 * afrpc_call_get_exit:
 * @self: a call
 *
 * Gets how the process ended that the call failed with.
 *
 * Returns: (transfer none) (nullable): the exit, or %NULL if the process has not ended, or not before the call failed
 *
 * Since: 1.0
 */
AfrpcExit *
afrpc_call_get_exit (AfrpcCall *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL (self), NULL);

  return self->exit;
}

/**
 * afrpc_call_steal_fds:
 * @self: a call that has its result
 *
 * Takes the file descriptors that came with the result.
 *
 * A handle (type `h`) in the result is an index into them.
 *
 * Returns: (transfer full) (nullable): the file descriptors, or %NULL if there are none, or they have been taken
 *
 * Since: 1.0
 */
GUnixFDList *
afrpc_call_steal_fds (AfrpcCall *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL (self), NULL);

  return g_steal_pointer (&self->fds);
}

/**
 * afrpc_call_get_index:
 * @self: a call
 *
 * Gets the place of the call's arguments among the inputs of the [class@Afrpc.Map] that has made it.
 *
 * Returns: the place, from 0 on; 0 if it was not made by one
 *
 * Since: 1.0
 */
guint64
afrpc_call_get_index (AfrpcCall *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL (self), 0);

  return self->index;
}

/**
 * afrpc_call_set_interrupted_func: (skip)
 * @func: (nullable): a function
 *
 * Has a function called before a call that blocks waits, in the thread that blocks, and when a signal has interrupted that.
 *
 * For languages whose handlers of signals do not run in place: such a function lets them run, and may
 * [cancel][method@Afrpc.Call.cancel] the call that the thread waits for, which returns then. There is one such function in
 * a program. It returns whether this thread is the one in which handlers run: then it is called again after some
 * milliseconds, then twice as many, up to once a second, for signals that have interrupted nothing, because they came
 * just before the thread waited, or to another thread.
 *
 * Since: 1.0
 */
void
afrpc_call_set_interrupted_func (gboolean (*func) (void))
{
  afrpc_peer_set_interrupted_func (func);
}
