/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls in the hands of those who implement callers: settled, cancelled and handed on. */
#include "config.h"

#include "afrpc-call-options-private.h"
#include "afrpc-call-private.h"
#include "afrpc-caller-private.h"

/* Where its news comes. */
GMainContext *
afrpc_call_get_news_context (AfrpcCall *self)
{
  return self->context != NULL ? self->context : g_main_context_get_thread_default ();
}

static gboolean
tell_cb (gpointer data)
{
  AfrpcPending *pending = data;
  GSource *source = g_main_current_source ();
  g_autoptr(GMainContext) context = g_main_context_ref (g_source_get_context (source));

  /* A main loop that runs in a callback comes here again if there are more to be told, and only then. */
  g_main_context_push_thread_default (context);
  if (!pending->has_several || !pending->funcs->tell_one (pending))
    {
      g_source_destroy (source);
      pending->funcs->tell (pending);
    }
  g_main_context_pop_thread_default (context);

  return G_SOURCE_CONTINUE;
}

/* Has @func called from @context (nullable), behind what was attached before. */
void
afrpc_call_attach_news (GMainContext   *context,
                        const char     *name,
                        GSourceFunc     func,
                        gpointer        data,
                        GDestroyNotify  destroy)
{
  g_autoptr(GSource) source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, name);
  g_source_set_callback (source, func, data, destroy);
  g_source_set_can_recurse (source, func == tell_cb);
  g_source_attach (source, context);
}

/* Tells whoever waits, from the context; consumes a reference. */
void
afrpc_call_tell_later (AfrpcCall *self)
{
  afrpc_call_attach_news (afrpc_call_get_news_context (self), "[afrpc] call settled", tell_cb, &self->pending, NULL);
}

static void
settle (AfrpcCall    *self,
        AfrpcStarted  started,
        GVariant     *value, /* (transfer full) (nullable) */
        GUnixFDList  *fds,   /* (transfer full) (nullable) */
        GError       *error) /* (transfer full) (nullable) */
{
  afrpc_pending_decide (&self->pending, started, value, fds, error);
  afrpc_caller_count_untold (self->caller, 1);
  self->is_counted = TRUE;
  if (afrpc_pending_is_told (&self->pending))
    afrpc_call_tell_later (self);
  if (self->pending.is_awaited && self->context != NULL)
    g_main_context_wakeup (self->context);
}

/* Settles a call that nobody has begun, or that cannot be told to end; its implementer may settle it all the same. */
void
afrpc_call_give_up (AfrpcCall    *self,
                    AfrpcStarted  started,
                    GError       *error) /* (transfer full) */
{
  self->is_given_up = TRUE;
  settle (self, started, NULL, NULL, error);
}

static gboolean
cancel_cb (gpointer data)
{
  AfrpcCall *self = data;

  if (self->pending.state == AFRPC_PENDING_DECIDED)
    return G_SOURCE_REMOVE;

  if (AFRPC_CALLER_GET_IFACE (self->caller)->cancel != NULL)
    AFRPC_CALLER_GET_IFACE (self->caller)->cancel (self->caller, self);
  else
    afrpc_call_give_up (self, AFRPC_STARTED_UNKNOWN,
                        g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, AFRPC_CALL_CANCELLED));

  return G_SOURCE_REMOVE;
}

/* Has it cancelled from its context, whichever thread this is. */
void
afrpc_call_cancel_later (AfrpcCall *self)
{
  afrpc_call_attach_news (afrpc_call_get_news_context (self), "[afrpc] call cancelled", cancel_cb, g_object_ref (self),
                          g_object_unref);
}

/* It has its value, and keeps it: whoever has cancelled it was late. */
void
afrpc_call_outrun_cancel (AfrpcCall *self)
{
  g_atomic_int_set (&self->is_cancelled, FALSE);
}

/* Implementers */

static void
forward_progress_cb (AfrpcCall *inner,
                     GVariant  *progress,
                     gpointer   call)
{
  afrpc_call_report_progress (call, progress);
}

/**
 * afrpc_call_forward_options:
 * @self: a call that was begun
 *
 * Makes the options with which the call is handed on to another caller. For implementers of [iface@Afrpc.Caller].
 *
 * They say what those of the call say. If its progress is wanted, it comes to @self, as by
 * [method@Afrpc.Call.report_progress]; the label is left out, because the error of @self has it. They may be changed
 * until they are used.
 *
 * Returns: (transfer full): options
 *
 * Since: 1.0
 */
AfrpcCallOptions *
afrpc_call_forward_options (AfrpcCall *self)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();
  const AfrpcCallOptions *own;

  g_return_val_if_fail (AFRPC_IS_CALL (self), options);

  own = self->options;
  if (own == NULL)
    return options;

  options->timeout_ms = own->timeout_ms;
  options->execution_timeout_ms = own->execution_timeout_ms;
  g_set_object (&options->fds, own->fds);
  options->function = g_strdup (own->function);
  options->idempotent = own->idempotent;
  options->priority = own->priority;
  options->affinity = g_strdup (own->affinity);
  options->wait_for_room = own->wait_for_room;
  options->metadata = own->metadata != NULL ? g_variant_ref (own->metadata) : NULL;
  if (own->progress != NULL)
    afrpc_call_options_set_progress (options, own->progress_mode, forward_progress_cb, g_object_ref (self),
                                     g_object_unref);

  return options;
}

/* Whether it was begun by a caller that somebody else has implemented: what a proxy makes, it settles itself. */
static gboolean
is_implementers (AfrpcCall *self)
{
  return self->caller != NULL && AFRPC_CALLER_GET_IFACE (self->caller)->own == NULL;
}

/**
 * afrpc_call_return_value:
 * @self: a call that was begun
 * @value: what the function returned; a floating reference is consumed
 * @fds: (nullable): file descriptors that come with @value
 *
 * Settles a call with its result. For implementers of [iface@Afrpc.Caller].
 *
 * May be used once for each call that [vfunc@Afrpc.Caller.begin] got, from the thread of the main context that was the
 * thread-default one then, also in that function itself; whoever waits is told later. Of a call that was cancelled
 * meanwhile, and of a caller without [vfunc@Afrpc.Caller.cancel], it does nothing.
 *
 * Since: 1.0
 */
void
afrpc_call_return_value (AfrpcCall   *self,
                         GVariant    *value,
                         GUnixFDList *fds)
{
  g_return_if_fail (AFRPC_IS_CALL (self));
  g_return_if_fail (value != NULL);
  g_return_if_fail (fds == NULL || G_IS_UNIX_FD_LIST (fds));
  g_return_if_fail (is_implementers (self));
  g_return_if_fail (self->pending.state != AFRPC_PENDING_DECIDED || self->is_given_up);

  if (self->is_given_up)
    g_variant_unref (g_variant_ref_sink (value));
  else
    settle (self, AFRPC_STARTED_YES, g_variant_ref_sink (value), fds != NULL ? g_object_ref (fds) : NULL, NULL);
}

/**
 * afrpc_call_return_error:
 * @self: a call that was begun
 * @started: whether a worker had begun to run it: %AFRPC_STARTED_NO only if it has not, and never will
 * @error: why it failed, which stays the caller's
 *
 * Settles a call with an error. For implementers of [iface@Afrpc.Caller]; see [method@Afrpc.Call.return_value].
 *
 * Since: 1.0
 */
void
afrpc_call_return_error (AfrpcCall    *self,
                         AfrpcStarted  started,
                         const GError *error)
{
  g_return_if_fail (AFRPC_IS_CALL (self));
  g_return_if_fail (error != NULL);
  g_return_if_fail (is_implementers (self));
  g_return_if_fail (self->pending.state != AFRPC_PENDING_DECIDED || self->is_given_up);

  if (!self->is_given_up)
    settle (self, started, NULL, NULL, g_error_copy (error));
}

/**
 * afrpc_call_report_progress:
 * @self: a call that was begun
 * @progress: how far it has come; a floating reference is consumed
 *
 * Tells whoever wants to know how far the call has come: calls what [method@Afrpc.CallOptions.set_progress] was given,
 * at once. For implementers of [iface@Afrpc.Caller]; does nothing if nobody wants to know, or the call has its outcome.
 *
 * Since: 1.0
 */
void
afrpc_call_report_progress (AfrpcCall *self,
                            GVariant  *progress)
{
  g_autoptr(GVariant) sunk = NULL;

  g_return_if_fail (AFRPC_IS_CALL (self));
  g_return_if_fail (progress != NULL);
  g_return_if_fail (is_implementers (self));

  sunk = g_variant_ref_sink (progress);
  self->pending.funcs->progress (&self->pending, sunk);
}

/**
 * afrpc_call_set_process:
 * @self: a call that was begun
 * @process: (nullable): who has it
 * @exit: (nullable): how that ended
 *
 * Says which process has the call, and how that ended, for [method@Afrpc.Call.get_process] and
 * [method@Afrpc.Call.get_exit]. For implementers of [iface@Afrpc.Caller], before they settle the call.
 *
 * Since: 1.0
 */
void
afrpc_call_set_process (AfrpcCall    *self,
                        AfrpcProcess *process,
                        AfrpcExit    *exit)
{
  g_return_if_fail (AFRPC_IS_CALL (self));

  afrpc_call_keep_process (self);
  g_set_object (&self->process, process);
  afrpc_call_set_exit (self, exit);
}
