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

/* Objects that wait to be used again, in each thread: making one costs half of what a call costs. */
#define SPARE_MAX 1024u

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

typedef struct
{
  AfrpcCall *first; /* (nullable) (owned): the others by next_spare */
  guint n;
} Spare;

static AfrpcCall *
spare_pop (Spare *self)
{
  AfrpcCall *call = self->first;

  self->first = call->next_spare;
  self->n--;

  return call;
}

static __thread Spare *spare_of_thread;

static void
spare_free (gpointer data)
{
  Spare *self = data;

  spare_of_thread = NULL;
  while (self->n > 0)
    afrpc_call_free_spare (spare_pop (self));
  g_free (self);
}

static GPrivate spare_calls = G_PRIVATE_INIT (spare_free); /* at the end of the thread */

AfrpcPending *
afrpc_call_get_pending (AfrpcCall *self)
{
  return &self->pending;
}

AfrpcCall *
afrpc_call_of_pending (AfrpcPending *pending)
{
  return (AfrpcCall *) ((guint8 *) pending - G_STRUCT_OFFSET (AfrpcCall, pending));
}

/* Life */

/* Cancelling it means nothing any more. The handler may be running on another thread, and keeps what it needs. */
static void
unwatch (AfrpcCall *self)
{
  if (self->cancellable == NULL)
    return;

  g_signal_handler_disconnect (self->cancellable, self->cancelled_id);
  g_clear_object (&self->cancellable);
}

static void
clear (AfrpcCall *self)
{
  unwatch (self);
  g_clear_pointer (&self->value, g_variant_unref);
  if (self->error != NULL)
    g_clear_error (&self->error);
  g_clear_object (&self->fds);
  g_clear_object (&self->options);
  g_clear_object (&self->process);
  g_clear_pointer (&self->exit, afrpc_exit_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_clear_pointer (&self->waits, g_ptr_array_unref);
  g_clear_object (&self->caller);
}

static void
afrpc_call_finalize (GObject *object)
{
  clear (AFRPC_CALL (object));

  G_OBJECT_CLASS (afrpc_call_parent_class)->finalize (object);
}

static void
afrpc_call_class_init (AfrpcCallClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = afrpc_call_finalize;
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

static void
take_options (AfrpcCall        *self,
              AfrpcCallOptions *options)
{
  self->options = g_object_ref (options);
  self->pending.execution_timeout_ms = options->execution_timeout_ms;
  afrpc_call_options_freeze (options);
}

/* Makes a call that somebody is going to have. */
AfrpcCall *
afrpc_call_new (AfrpcCaller      *caller,
                AfrpcCallOptions *options)
{
  AfrpcCall *self = g_object_new (AFRPC_TYPE_CALL, NULL);

  self->caller = g_object_ref (caller);
  if (options != NULL)
    take_options (self, options);

  return self;
}

/* Tells whether the reference that is used again is the only one. */
static void
toggled_cb (gpointer  data,
            GObject  *object,
            gboolean  is_last_ref)
{
  AFRPC_CALL (object)->is_shared = !is_last_ref;
}

/* Makes a call that nobody but its callback sees, usually. Returns: (transfer full): free with
 * afrpc_call_free_spare () what is not given to a caller. */
AfrpcCall *
afrpc_call_new_spare (AfrpcCaller         *caller,
                      AfrpcCallOptions    *options,
                      gpointer             tag,
                      GAsyncReadyCallback  callback,
                      gpointer             user_data)
{
  Spare *spare = spare_of_thread;
  AfrpcCall *self;

  if (spare != NULL && spare->n > 0)
    self = spare_pop (spare);
  else
    {
      self = g_object_new (AFRPC_TYPE_CALL, NULL);
      self->is_recycled = TRUE;
      g_object_add_toggle_ref (G_OBJECT (self), toggled_cb, NULL);
      g_object_unref (self);
    }

  self->caller = g_object_ref (caller);
  self->tag = tag;
  self->callback = callback;
  self->user_data = user_data;
  if (options != NULL)
    take_options (self, options);

  return self;
}

void
afrpc_call_free_spare (AfrpcCall *self)
{
  self->is_recycled = FALSE;
  g_object_remove_toggle_ref (G_OBJECT (self), toggled_cb, NULL);
}

static void
release (AfrpcCall *self)
{
  Spare *spare;

  if (!self->is_recycled)
    {
      g_object_unref (self);
      return;
    }
  if (self->is_shared)
    {
      afrpc_call_free_spare (self);
      return;
    }

  spare = spare_of_thread;
  if (spare == NULL)
    {
      spare = spare_of_thread = g_new0 (Spare, 1);
      g_private_set (&spare_calls, spare);
    }
  if (spare->n == SPARE_MAX)
    {
      afrpc_call_free_spare (self);
      return;
    }
  clear (self);
  self->pending = (AfrpcPending) { .funcs = self->pending.funcs };
  self->is_cancelled = self->is_told = self->is_finished = self->is_given_up = FALSE;
  self->next_spare = spare->first;
  spare->first = self;
  spare->n++;
}

/* As it waits for its outcome */

static void
pending_ref (AfrpcPending *pending)
{
  g_object_ref (afrpc_call_of_pending (pending));
}

static void
pending_unref (AfrpcPending *pending)
{
  g_object_unref (afrpc_call_of_pending (pending));
}

static void
pending_release (AfrpcPending *pending)
{
  release (afrpc_call_of_pending (pending));
}

static void
pending_progress (AfrpcPending *pending,
                  GVariant     *value)
{
  AfrpcCall *self = afrpc_call_of_pending (pending);

  if (self->options != NULL && self->options->progress != NULL && pending->state != AFRPC_PENDING_DECIDED &&
      !g_atomic_int_get (&self->is_cancelled))
    self->options->progress (self->caller, value, self->options->progress_data);
}

static void
pending_decide (AfrpcPending *pending,
                GVariant     *value,
                GUnixFDList  *fds,
                GError       *error)
{
  AfrpcCall *self = afrpc_call_of_pending (pending);

  self->value = value;
  self->fds = fds;
  self->error = error;
  if (error != NULL && self->exit == NULL)
    {
      const AfrpcCallerOwn *own = AFRPC_CALLER_GET_IFACE (self->caller)->own;

      if (own != NULL)
        afrpc_call_set_exit (self, own->get_exit (self->caller));
    }
}

/* Whatever has arrived, nobody wants it any more. */
static void
drop_value (AfrpcCall *self)
{
  if (self->value == NULL || !g_atomic_int_get (&self->is_cancelled))
    return;

  g_clear_pointer (&self->value, g_variant_unref);
  g_clear_object (&self->fds);
  self->error = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled");
}

/* @is_in_place: this is a dispatch of the caller's context */
static void
tell_waits (AfrpcCall *self,
            gboolean   is_in_place)
{
  g_autoptr(GPtrArray) waits = g_steal_pointer (&self->waits);

  self->is_told = TRUE;
  for (guint i = 0; waits != NULL && i < waits->len; i++)
    {
      g_autoptr(AfrpcCallWait) wait = g_object_ref (waits->pdata[i]);

      afrpc_call_wait_tell (wait, is_in_place);
    }
}

/* What a function has raised in its language is left as it is: its message says how it is to be read. */
static void
add_label (AfrpcCall *self)
{
  if (self->error != NULL && self->options != NULL && self->options->label != NULL &&
      !g_error_matches (self->error, AFRPC_ERROR, AFRPC_ERROR_REMOTE))
    g_prefix_error (&self->error, "%s: ", self->options->label);
}

/* It has its outcome, which somebody is going to see now. */
static void
finish_off (AfrpcCall *self)
{
  if (self->is_finished)
    return;

  self->is_finished = TRUE;
  drop_value (self);
  add_label (self);
  unwatch (self);
}

/* Calls back; from a dispatch of the caller's context. */
static void
pending_tell (AfrpcPending *pending)
{
  AfrpcCall *self = afrpc_call_of_pending (pending);

  finish_off (self);
  if (self->callback != NULL)
    self->callback (G_OBJECT (self->caller), G_ASYNC_RESULT (self), self->user_data);
  tell_waits (self, TRUE);
  release (self);
}

static const AfrpcPendingFuncs pending_funcs = {
  pending_ref, pending_unref, pending_release, pending_progress, pending_decide, pending_tell,
};

static void
afrpc_call_init (AfrpcCall *self)
{
  self->pending.funcs = &pending_funcs;
}

static void
cancelled_cb (GCancellable *cancellable,
              AfrpcCall    *self)
{
  afrpc_call_cancel (self);
}

/* Cancelling @cancellable, on whatever thread, cancels the call. */
void
afrpc_call_watch (AfrpcCall    *self,
                  GCancellable *cancellable)
{
  self->cancellable = g_object_ref (cancellable);
  self->cancelled_id = g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (cancelled_cb), g_object_ref (self),
                                              (GClosureNotify) (GCallback) g_object_unref, 0);
  if (g_cancellable_is_cancelled (cancellable))
    afrpc_call_cancel (self);
}

/* Whether @result is a call that @caller has made by the method @tag. */
gboolean
afrpc_call_is_of (GAsyncResult *result,
                  AfrpcCaller  *caller,
                  gpointer      tag)
{
  return AFRPC_IS_CALL (result) && caller != NULL && AFRPC_CALL (result)->caller == caller &&
         AFRPC_CALL (result)->tag == tag;
}

/* Returns: (transfer full) (nullable): the value, or NULL and @error. */
static GVariant *
ref_outcome (AfrpcCall  *self,
             GError    **error)
{
  if (self->value != NULL)
    return g_variant_ref (self->value);

  if (self->error != NULL)
    g_propagate_error (error, g_error_copy (self->error));
  else
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the outcome of the call was given to its callback");

  return NULL;
}

/* Gives the outcome away: the value, or NULL and @error; @fds (nullable): what came with the value. A call that is not
 * used again, and so is somebody's, keeps it. */
GVariant *
afrpc_call_take_outcome (AfrpcCall    *self,
                         GUnixFDList **fds,
                         GError      **error)
{
  if (!self->is_recycled)
    {
      if (self->value != NULL && fds != NULL)
        *fds = g_steal_pointer (&self->fds);
      return ref_outcome (self, error);
    }
  if (self->error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&self->error));
      return NULL;
    }

  g_return_val_if_fail (self->value != NULL, NULL);

  if (fds != NULL)
    *fds = g_steal_pointer (&self->fds);

  return g_steal_pointer (&self->value);
}

/* Its caller settles it from this context. */
void
afrpc_call_set_context (AfrpcCall *self)
{
  self->context = g_main_context_ref_thread_default ();
}

/* Nobody waits for it, before it has begun. */
void
afrpc_call_cancel_unbegun (AfrpcCall *self)
{
  g_atomic_int_set (&self->is_cancelled, TRUE);
}

gboolean
afrpc_call_is_cancelled (AfrpcCall *self)
{
  return g_atomic_int_get (&self->is_cancelled);
}

void
afrpc_call_set_exit (AfrpcCall *self,
                     AfrpcExit *exit)
{
  g_clear_pointer (&self->exit, afrpc_exit_unref);
  self->exit = exit != NULL ? afrpc_exit_ref (exit) : NULL;
}

/* Blocks until it has its outcome. @iface: the caller's */
void
afrpc_call_block (AfrpcCall            *self,
                  AfrpcCallerInterface *iface)
{
  if (self->pending.state != AFRPC_PENDING_DECIDED)
    {
      self->pending.is_awaited = TRUE;
      if (iface->wait != NULL)
        iface->wait (self->caller, self);
      while (self->pending.state != AFRPC_PENDING_DECIDED)
        g_main_context_iteration (afrpc_call_get_news_context (self), TRUE);
    }
  afrpc_peer_leave (&self->pending);
  finish_off (self);
}

/* What the program does with it */

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
  if (self->is_told)
    {
      afrpc_call_wait_tell (wait, FALSE);
      return;
    }

  if (self->waits == NULL)
    self->waits = g_ptr_array_new_with_free_func (g_object_unref);
  if (cancellable != NULL)
    afrpc_call_wait_set_cancellable (wait, cancellable, self->waits);
  g_ptr_array_add (self->waits, g_steal_pointer (&wait));
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

  return afrpc_call_wait_check (AFRPC_CALL_WAIT (result), error) ? ref_outcome (self, error) : NULL;
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

  if (self->pending.state == AFRPC_PENDING_DECIDED)
    finish_off (self);
  /* In a main loop that is run by somebody who waits for the same. */
  else if (self->pending.is_awaited)
    afrpc_call_block (self, AFRPC_CALLER_GET_IFACE (self->caller));
  else
    {
      self->pending.is_awaited = TRUE;
      if (cancellable != NULL && self->cancellable == NULL)
        afrpc_call_watch (self, cancellable);
      afrpc_call_block (self, AFRPC_CALLER_GET_IFACE (self->caller));
      /* The reference of who had the call has passed to who waited for it, or passes to the callback. */
      if (self->callback != NULL)
        afrpc_call_tell_later (self);
      else
        {
          tell_waits (self, FALSE);
          g_object_unref (self);
        }
    }

  return ref_outcome (self, error);
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
 * afrpc_call_is_settled:
 * @self: a call
 *
 * Gets whether the call has its outcome.
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
 * This is known once the call has its outcome, and told of each failure, whatever its cause; before, it is
 * %AFRPC_STARTED_UNKNOWN.
 *
 * Returns: whether it was started
 *
 * Since: 1.0
 */
AfrpcStarted
afrpc_call_get_started (AfrpcCall *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL (self), AFRPC_STARTED_UNKNOWN);

  return self->pending.state == AFRPC_PENDING_DECIDED ? self->pending.started : AFRPC_STARTED_UNKNOWN;
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
 * Returns: (transfer none) (nullable): the process, or %NULL if no process has had it
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
 * afrpc_call_set_interrupted_func: (skip)
 * @func: (nullable): a function
 *
 * Has a function called when a signal interrupts a call that blocks, in the thread that blocks.
 *
 * For languages whose handlers of signals do not run in place: such a function lets them run, and may
 * [cancel][method@Afrpc.Call.cancel] the call that the thread waits for, which returns then. There is one such function in
 * a program. A signal that comes just before the thread waits is not noticed.
 *
 * Since: 1.0
 */
void
afrpc_call_set_interrupted_func (void (*func) (void))
{
  afrpc_peer_set_interrupted_func (func);
}
