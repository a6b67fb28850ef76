/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A call from when it is begun until its outcome has been told, as those below see it. */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "afrpc-call-options-private.h"
#include "afrpc-call-private.h"
#include "afrpc-call-wait-private.h"
#include "afrpc-caller-private.h"
#include "afrpc-error.h"
#include "peer/afrpc-peer.h"

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

/* Its cancellable */

/* Cancelling it means nothing any more. The handler may be running on another thread, and keeps what it needs. */
void
afrpc_call_unwatch (AfrpcCall *self)
{
  if (self->cancellable == NULL)
    return;

  g_signal_handler_disconnect (self->cancellable, self->cancelled_id);
  g_clear_object (&self->cancellable);
}

static void
cancelled_cb (GCancellable *cancellable,
              AfrpcCall    *self)
{
  afrpc_call_cancel (self);
}

/* Cancelling @cancellable, on whatever thread, cancels the call. Returns: a handler to disconnect */
gulong
afrpc_call_connect_cancelled (AfrpcCall    *self,
                              GCancellable *cancellable)
{
  const gulong id = g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (cancelled_cb), g_object_ref (self),
                                           (GClosureNotify) (GCallback) g_object_unref, 0);

  if (g_cancellable_is_cancelled (cancellable))
    afrpc_call_cancel (self);

  return id;
}

/* The same until it has its outcome. */
void
afrpc_call_watch (AfrpcCall    *self,
                  GCancellable *cancellable)
{
  self->cancellable = g_object_ref (cancellable);
  self->cancelled_id = afrpc_call_connect_cancelled (self, cancellable);
}

/* What the peer tells it */

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

/* The callback is never called. */
void
afrpc_call_leave_untold (AfrpcCall *self)
{
  const GDestroyNotify untold = g_steal_pointer (&self->untold);

  if (untold == NULL)
    return;

  self->callback = NULL;
  untold (g_steal_pointer (&self->user_data));
}

/* The callback is not called: the main context has gone. */
static void
pending_release (AfrpcPending *pending)
{
  AfrpcCall *self = afrpc_call_of_pending (pending);

  afrpc_call_leave_untold (self);
  /* Who waits has come while the main context went, and has one of his own. */
  afrpc_call_tell_waits (self, FALSE);
  /* Its cancellable has a reference. */
  afrpc_call_unwatch (self);
  afrpc_call_release (self);
}

static void
pending_progress (AfrpcPending *pending,
                  GVariant     *value)
{
  AfrpcCall *self = afrpc_call_of_pending (pending);

  if (self->options != NULL && self->options->progress != NULL && pending->state != AFRPC_PENDING_DECIDED &&
      !g_atomic_int_get (&self->is_cancelled))
    self->options->progress (self, value, self->options->progress_data);
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
  self->error = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, AFRPC_CALL_CANCELLED);
}

/* @is_in_place: this is a dispatch of the caller's context */
void
afrpc_call_tell_waits (AfrpcCall *self,
                       gboolean   is_in_place)
{
  g_autoptr(GQueue) waits = g_steal_pointer (&self->waits);
  AfrpcCallWait *wait;

  self->is_told = TRUE;
  while (waits != NULL && (wait = afrpc_call_wait_pop (waits)) != NULL)
    {
      afrpc_call_wait_tell (wait, is_in_place);
      g_object_unref (wait);
    }
}

/* Whether somebody is to be told of its outcome. */
gboolean
afrpc_call_has_listeners (AfrpcCall *self)
{
  return self->callback != NULL || (self->waits != NULL && self->waits->length > 0);
}

/* Whether the error is one of those that are the same whatever was called. What a function has said is left as it is. */
static gboolean
is_common (const GError *error)
{
  if (error->domain == G_IO_ERROR)
    return error->code == G_IO_ERROR_CANCELLED && strcmp (error->message, AFRPC_CALL_CANCELLED) == 0;

  return error->domain == AFRPC_ERROR &&
         (error->code == AFRPC_ERROR_CLOSED || error->code == AFRPC_ERROR_BUSY || error->code == AFRPC_ERROR_SERIALISER);
}

/* Has an error that says nothing of whom it is about name the function. */
static void
add_function (AfrpcCall *self)
{
  g_autofree char *function = NULL, *quoted = NULL;

  if (self->error == NULL || !is_common (self->error))
    return;

  if (self->options != NULL && self->options->function != NULL)
    function = g_strdup (self->options->function);
  else if (g_object_class_find_property (G_OBJECT_GET_CLASS (self->caller), "function") != NULL)
    g_object_get (self->caller, "function", &function, NULL);
  if (function == NULL)
    return;
  quoted = g_strdup_printf ("'%s'", function);
  if (strstr (self->error->message, quoted) == NULL)
    g_prefix_error (&self->error, "%s: ", quoted);
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
void
afrpc_call_complete (AfrpcCall *self)
{
  if (self->is_finished)
    return;

  self->is_finished = TRUE;
  if (self->is_counted)
    afrpc_caller_count_untold (self->caller, -1);
  self->is_counted = FALSE;
  drop_value (self);
  add_function (self);
  add_label (self);
  afrpc_call_unwatch (self);
}

/* Calls back; from a dispatch of the caller's context. */
static void
pending_tell (AfrpcPending *pending)
{
  AfrpcCall *self = afrpc_call_of_pending (pending);

  afrpc_call_complete (self);
  self->untold = NULL;
  if (self->callback != NULL)
    self->callback (G_OBJECT (self->caller), G_ASYNC_RESULT (self), self->user_data);
  afrpc_call_tell_waits (self, TRUE);
  afrpc_call_release (self);
}

/* Of the callback and those who wait, calls back the first, if there is another. */
static gboolean
pending_tell_one (AfrpcPending *pending)
{
  g_autoptr(AfrpcCall) self = g_object_ref (afrpc_call_of_pending (pending));
  const guint n_waits = self->waits != NULL ? self->waits->length : 0;
  const GAsyncReadyCallback callback = g_steal_pointer (&self->callback);

  if (n_waits + (callback != NULL ? 1 : 0) < 2)
    {
      self->callback = callback;
      return FALSE;
    }

  afrpc_call_complete (self);
  self->untold = NULL;
  if (callback != NULL)
    callback (G_OBJECT (self->caller), G_ASYNC_RESULT (self), self->user_data);
  else
    {
      g_autoptr(AfrpcCallWait) wait = afrpc_call_wait_pop (self->waits);

      afrpc_call_wait_tell (wait, TRUE);
    }

  return TRUE;
}

const AfrpcPendingFuncs afrpc_call_pending_funcs = {
  pending_ref, pending_unref, pending_release, pending_progress, pending_decide, pending_tell, pending_tell_one,
};

/* Its outcome */

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
GVariant *
afrpc_call_ref_outcome (AfrpcCall  *self,
                        GError    **error)
{
  if (self->value != NULL)
    return g_variant_ref (self->value);

  if (self->error != NULL)
    g_propagate_error (error, g_error_copy (self->error));
  else
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the call has no outcome");

  return NULL;
}

/* The same for who made the call, which asks once for what only a callback sees: who has kept it may wait for the outcome
 * as well. @fds (nullable): what came with the value, which is given away */
GVariant *
afrpc_call_take_outcome (AfrpcCall    *self,
                         GUnixFDList **fds,
                         GError      **error)
{
  if (self->is_recycled && self->is_taken)
    {
      g_critical ("the outcome of a call was asked for twice");
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the outcome of the call was taken before");
      return NULL;
    }

  self->is_taken = TRUE;
  if (self->value != NULL && fds != NULL)
    *fds = g_steal_pointer (&self->fds);

  return afrpc_call_ref_outcome (self, error);
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

static gboolean
look_cb (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

/* Of a caller of others, which does not say by what it is woken: iterates its main context, if it does not wait itself. */
static void
block_of_others (AfrpcCall            *self,
                 AfrpcCallerInterface *iface)
{
  GMainContext *context = afrpc_call_get_news_context (self);
  g_autoptr(GSource) look = NULL; /* for signals */
  const pid_t pid = getpid ();

  while (self->pending.state != AFRPC_PENDING_DECIDED)
    {
      gboolean looks;

      if (afrpc_peer_tell_interrupted (&looks) && getpid () != pid)
        afrpc_pending_leave_inherited (&self->pending);
      if (self->pending.state == AFRPC_PENDING_DECIDED)
        break;
      if (iface->wait != NULL)
        {
          iface->wait (self->caller, self);
          continue;
        }
      if (looks && look == NULL)
        {
          look = g_timeout_source_new (AFRPC_PEER_SIGNAL_MS_MAX);
          g_source_set_callback (look, look_cb, NULL, NULL);
          g_source_attach (look, context);
        }
      g_main_context_iteration (context, TRUE);
    }
  if (look != NULL)
    g_source_destroy (look);
}

/* Blocks until it has its outcome. @iface: the caller's */
void
afrpc_call_block (AfrpcCall            *self,
                  AfrpcCallerInterface *iface)
{
  if (self->pending.state != AFRPC_PENDING_DECIDED)
    {
      self->pending.is_awaited = TRUE;
      /* Those of our own look for signals themselves. */
      while (iface->own != NULL && self->pending.state != AFRPC_PENDING_DECIDED)
        iface->wait (self->caller, self);
      if (iface->own == NULL)
        block_of_others (self, iface);
    }
  afrpc_peer_leave (&self->pending);
  afrpc_call_complete (self);
}
