/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-caller.h"

#include "afrpc-call-private.h"
#include "afrpc-caller-private.h"
#include "afrpc-error.h"
#include "afrpc-marshal.h"
#include "afrpc-process.h"
#include "wire/afrpc-value.h"

/**
 * AfrpcCaller:
 *
 * What can be called.
 *
 * A program that is written for a caller does not care what that is: a [class@Afrpc.Proxy] calls a function in one
 * worker process, and a program may [implement callers itself](calls.html#writing-a-caller).
 *
 * Each call is settled exactly once: with its result, with the error of the function, or with the reason why there is
 * none. Results and [events][signal@Afrpc.Caller::event] of a worker arrive in the order in which it made them.
 *
 * ## Ways to call
 *
 * [method@Afrpc.Caller.call] is the simple one. [method@Afrpc.Caller.call_full] takes [class@Afrpc.CallOptions]: time
 * limits, file descriptors, progress and so on, and gives file descriptors back. Both have twins that block, which end in
 * `_sync`. [method@Afrpc.Caller.start] returns a handle to the call, to be waited for and cancelled.
 *
 * ## Errors without a call
 *
 * What ends a worker, and what belongs to no call, is emitted as [signal@Afrpc.Caller::error]. Without a handler for
 * that it is emitted as an event: a tuple of the string `error` and the message. Without a handler for either it is
 * logged as a warning, unless a call got it. An event without a handler is such an error itself:
 * %AFRPC_ERROR_UNHANDLED_EVENT.
 *
 * ## Main context and threads
 *
 * A caller belongs to the main context that was the thread-default one when it was made: there callbacks and signals
 * come, with that context pushed as thread default, in slices of a few milliseconds at most. Nothing but functions
 * that end in `_sync` ever blocks. While another thread runs that context, a caller must not be used: it is a
 * programmer's error, which is logged as critical, and the call fails.
 *
 * Since: 1.0
 */

/**
 * AfrpcCallerInterface::begin:
 * @self: the caller
 * @call: the call, of which it takes a reference if it keeps it beyond this function
 * @args: the arguments, which are not floating; an empty tuple if there are none
 * @options: (nullable): what the call carries besides
 *
 * Begins a call, which is settled sooner or later, or at once, with [method@Afrpc.Call.return_value] or
 * [method@Afrpc.Call.return_error].
 *
 * A call that has been cancelled before does not come here. By default, it fails with %AFRPC_ERROR_NOT_SUPPORTED.
 *
 * Since: 1.0
 */

/**
 * AfrpcCallerInterface::cancel:
 * @self: the caller
 * @call: a call that was begun, and has not been settled
 *
 * Nobody waits for the outcome any more: the call is to be settled soon, usually with %G_IO_ERROR_CANCELLED, and whether
 * it was started; whatever value comes instead is dropped.
 *
 * Called from the main context in which the call was begun, whichever thread has cancelled it; but of a caller that has
 * [vfunc@Afrpc.Caller.wait] directly from that thread. Without this function, a call that is cancelled fails at once,
 * with %AFRPC_STARTED_UNKNOWN.
 *
 * Since: 1.0
 */

/**
 * AfrpcCallerInterface::wait:
 * @self: the caller
 * @call: a call that was begun
 *
 * Blocks until the call is settled, for [method@Afrpc.Caller.call_sync] and the like. Without this function, these run
 * the main context in which the call was begun.
 *
 * Since: 1.0
 */

/**
 * AfrpcCallerInterface::get_process:
 * @self: the caller
 *
 * Gets the process that has all calls, for [method@Afrpc.Call.get_process]. A caller of which that cannot be said does
 * without this function, and uses [method@Afrpc.Call.set_process].
 *
 * Returns: (transfer none): the process
 *
 * Since: 1.0
 */

enum
{
  SIGNAL_EVENT,
  SIGNAL_ERROR,
  SIGNAL_DESTROYED,
  N_SIGNALS,
};

static guint signals[N_SIGNALS];

static GQuark destroyed_quark; /* marks a caller that is none of ours, and has been destroyed */

G_DEFINE_INTERFACE (AfrpcCaller, afrpc_caller, G_TYPE_OBJECT)

/* What an implementation does that leaves it out */

static void
begin_default (AfrpcCaller      *self,
               AfrpcCall        *call,
               GVariant         *args,
               AfrpcCallOptions *options)
{
  g_autoptr(GError) error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED, "a %s makes no calls",
                                         G_OBJECT_TYPE_NAME (self));

  afrpc_call_return_error (call, AFRPC_STARTED_NO, error);
}

/* However that is emitted. */
static void
destroyed_cb (AfrpcCaller *self)
{
  if (AFRPC_CALLER_GET_IFACE (self)->own == NULL)
    g_object_set_qdata (G_OBJECT (self), destroyed_quark, self);
}

static gboolean
is_destroyed (AfrpcCaller *self)
{
  return g_object_get_qdata (G_OBJECT (self), destroyed_quark) != NULL;
}

static void
close_default (AfrpcCaller *self)
{
  if (!is_destroyed (self))
    afrpc_caller_emit_destroyed (self);
}

static void close_over_cb (AfrpcCaller *self,
                           GTask       *task);

/* Neither its end nor its cancelling is waited for any more. */
static void
stop_waiting (GTask *task) /* (transfer full) */
{
  g_task_set_task_data (task, NULL, NULL);
  g_signal_handlers_disconnect_by_func (g_task_get_source_object (task), close_over_cb, task);
  g_object_unref (task);
}

static void
close_over_cb (AfrpcCaller *self,
               GTask       *task)
{
  g_task_return_boolean (task, TRUE);
  stop_waiting (task);
}

static gboolean
close_cancelled_cb (GCancellable *cancellable,
                    gpointer      task)
{
  g_task_return_error_if_cancelled (task);
  stop_waiting (task);

  return G_SOURCE_REMOVE;
}

static void
destroy_source (gpointer source)
{
  g_source_destroy (source);
  g_source_unref (source);
}

static void
close_async_default (AfrpcCaller         *self,
                     GCancellable        *cancellable,
                     GAsyncReadyCallback  callback,
                     gpointer             user_data)
{
  g_autoptr(GTask) task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, close_async_default);
  g_task_set_check_cancellable (task, FALSE);
  if (is_destroyed (self))
    {
      g_task_return_boolean (task, TRUE);
      return;
    }

  g_signal_connect (self, "destroyed", G_CALLBACK (close_over_cb), g_object_ref (task));
  if (cancellable != NULL)
    {
      GSource *source = g_cancellable_source_new (cancellable);

      g_source_set_static_name (source, "[afrpc] close cancelled");
      g_source_set_callback (source, G_SOURCE_FUNC (close_cancelled_cb), task, NULL);
      g_source_attach (source, g_task_get_context (task));
      g_task_set_task_data (task, source, destroy_source);
    }
  afrpc_caller_close (self);
}

static gboolean
close_finish_default (AfrpcCaller   *self,
                      GAsyncResult  *result,
                      GError       **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, close_async_default), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
wake_up_cb (GCancellable *cancellable,
            gpointer      context)
{
  g_main_context_wakeup (context);
}

static gboolean
close_sync_default (AfrpcCaller   *self,
                    GCancellable  *cancellable,
                    GError       **error)
{
  GMainContext *context = g_main_context_get_thread_default ();
  gulong id = 0;

  if (cancellable != NULL)
    id = g_signal_connect (cancellable, "cancelled", G_CALLBACK (wake_up_cb), context);
  afrpc_caller_close (self);
  while (!is_destroyed (self) && !g_cancellable_is_cancelled (cancellable))
    g_main_context_iteration (context, TRUE);
  if (id != 0)
    g_signal_handler_disconnect (cancellable, id);

  return is_destroyed (self) || !g_cancellable_set_error_if_cancelled (cancellable, error);
}

static void
kill_default (AfrpcCaller *self)
{
  afrpc_caller_close (self);
}

static void
afrpc_caller_default_init (AfrpcCallerInterface *iface)
{
  const GType type = G_TYPE_FROM_INTERFACE (iface);

  destroyed_quark = g_quark_from_static_string ("afrpc-caller-destroyed");
  iface->begin = begin_default;
  iface->close = close_default;
  iface->close_async = close_async_default;
  iface->close_finish = close_finish_default;
  iface->close_sync = close_sync_default;
  iface->kill = kill_default;

  /**
   * AfrpcCaller::event:
   * @self: the caller
   * @event: what the worker's function gave to [method@Afrpc.Worker.event]
   * @from: (nullable): the process whose event it is
   * @fds: (nullable): file descriptors that came with the event; a handle (type `h`) in it is an index into them
   *
   * A worker emitted an event.
   *
   * Events come in the order in which the worker made them, among each other and relative to results. File
   * descriptors that no handler takes are closed afterwards.
   *
   * Since: 1.0
   */
  signals[SIGNAL_EVENT] =
    g_signal_new ("event", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, _afrpc_marshal_VOID__VARIANT_OBJECT_OBJECT,
                  G_TYPE_NONE, 3, G_TYPE_VARIANT | G_SIGNAL_TYPE_STATIC_SCOPE, AFRPC_TYPE_PROCESS | G_SIGNAL_TYPE_STATIC_SCOPE,
                  G_TYPE_UNIX_FD_LIST | G_SIGNAL_TYPE_STATIC_SCOPE);
  g_signal_set_va_marshaller (signals[SIGNAL_EVENT], type, _afrpc_marshal_VOID__VARIANT_OBJECT_OBJECTv);

  /**
   * AfrpcCaller::error:
   * @self: the caller
   * @error: what happened
   *
   * Something went wrong that ends a worker, or that no call can be blamed for.
   *
   * Calls that were waiting have been settled with their errors before. See the description of the interface for what
   * happens without a handler.
   *
   * Since: 1.0
   */
  signals[SIGNAL_ERROR] =
    g_signal_new ("error", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);

  /**
   * AfrpcCaller::destroyed:
   * @self: the caller
   *
   * Every call was settled, and workers have ended: nothing comes any more.
   *
   * Emitted once, after [method@Afrpc.Caller.close] was called and everything was finished, or after the worker died.
   * It is what a program waits for before it exits. Processes have been reaped, unless a
   * [property@Afrpc.Proxy:done] function keeps one working.
   *
   * Since: 1.0
   */
  signals[SIGNAL_DESTROYED] =
    g_signal_new_class_handler ("destroyed", type, G_SIGNAL_RUN_FIRST, G_CALLBACK (destroyed_cb), NULL, NULL, NULL,
                                G_TYPE_NONE, 0);
}

/* Signals */

static gboolean
has_handler (AfrpcCaller *self,
             guint        signal)
{
  return g_signal_has_handler_pending (self, signals[signal], 0, FALSE);
}

/* Makes @values, which are zeroed, for events that are emitted one after the other, and unset afterwards. The signal is
 * that of an interface, for which GLib has no way without values; to make them anew each time costs more than all else.
 * FALSE: nobody handles events. */
gboolean
afrpc_caller_begin_events (AfrpcCaller  *self,
                           AfrpcProcess *from,
                           GValue        values[AFRPC_CALLER_EVENT_VALUES])
{
  if (!has_handler (self, SIGNAL_EVENT))
    return FALSE;

  g_value_init_from_instance (&values[0], self);
  g_value_init (&values[1], G_TYPE_VARIANT);
  g_value_init (&values[2], AFRPC_TYPE_PROCESS);
  g_value_set_object (&values[2], from);
  g_value_init (&values[3], G_TYPE_UNIX_FD_LIST);

  return TRUE;
}

/* @event: (transfer full), not floating; @fds: (transfer full) (nullable) */
void
afrpc_caller_emit_next_event (GValue       values[AFRPC_CALLER_EVENT_VALUES],
                              GVariant    *event,
                              GUnixFDList *fds)
{
  g_value_take_variant (&values[1], event);
  if (fds != NULL)
    g_value_take_object (&values[3], fds);

  g_signal_emitv (values, signals[SIGNAL_EVENT], 0, NULL);

  /* What no handler has kept is let go now: descriptors are closed, and a value may be large. */
  g_value_take_variant (&values[1], NULL);
  if (fds != NULL)
    g_value_take_object (&values[3], NULL);
}

/**
 * afrpc_caller_emit_event:
 * @self: a caller
 * @event: the event; a floating reference is consumed
 * @from: (nullable): the process whose event it is
 * @fds: (nullable): file descriptors that came with it
 *
 * Emits [signal@Afrpc.Caller::event], or the error that there is no handler. For implementers of the interface.
 *
 * Since: 1.0
 */
void
afrpc_caller_emit_event (AfrpcCaller  *self,
                         GVariant     *event,
                         AfrpcProcess *from,
                         GUnixFDList  *fds)
{
  g_autoptr(GVariant) sunk = NULL;

  g_return_if_fail (AFRPC_IS_CALLER (self));
  g_return_if_fail (event != NULL);

  sunk = g_variant_ref_sink (event);
  if (has_handler (self, SIGNAL_EVENT))
    g_signal_emit (self, signals[SIGNAL_EVENT], 0, sunk, from, fds);
  else
    {
      g_autoptr(GError) error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNHANDLED_EVENT,
                                             "the worker sent an event, and no handler is connected");

      afrpc_caller_emit_error (self, error);
    }
}

/* @was_told: a call has got it, or another that says why: nobody has to be warned */
void
afrpc_caller_emit_error_told (AfrpcCaller  *self,
                              const GError *error,
                              gboolean      was_told)
{
  if (has_handler (self, SIGNAL_ERROR))
    g_signal_emit (self, signals[SIGNAL_ERROR], 0, error);
  else if (has_handler (self, SIGNAL_EVENT))
    {
      g_autoptr(GVariant) event = g_variant_ref_sink (g_variant_new ("(ss)", "error", error->message));

      g_signal_emit (self, signals[SIGNAL_EVENT], 0, event, NULL, NULL);
    }
  else if (was_told)
    g_debug ("%s", error->message);
  else
    g_warning ("%s", error->message);
}

/**
 * afrpc_caller_emit_error:
 * @self: a caller
 * @error: what happened
 *
 * Emits [signal@Afrpc.Caller::error], or what stands for it without a handler. For implementers of the interface.
 *
 * Since: 1.0
 */
void
afrpc_caller_emit_error (AfrpcCaller  *self,
                         const GError *error)
{
  g_return_if_fail (AFRPC_IS_CALLER (self));
  g_return_if_fail (error != NULL);

  afrpc_caller_emit_error_told (self, error, FALSE);
}

/**
 * afrpc_caller_emit_destroyed:
 * @self: a caller
 *
 * Emits [signal@Afrpc.Caller::destroyed]. For implementers of the interface.
 *
 * Since: 1.0
 */
void
afrpc_caller_emit_destroyed (AfrpcCaller *self)
{
  g_return_if_fail (AFRPC_IS_CALLER (self));

  g_signal_emit (self, signals[SIGNAL_DESTROYED], 0);
}

/* Whether the calling thread may; otherwise says so. */
gboolean
afrpc_caller_may_use (AfrpcCaller *self,
                      const char  *what)
{
  const AfrpcCallerOwn *own = AFRPC_CALLER_GET_IFACE (self)->own;

  return own == NULL || own->may_use (self, what);
}

/* Calls */

/* What is a caller has the interface: to look for that is all the check that it takes. */
static inline AfrpcCallerInterface *
get_iface (AfrpcCaller *self)
{
  return self != NULL ? g_type_interface_peek (((GTypeInstance *) self)->g_class, AFRPC_TYPE_CALLER) : NULL;
}

/* Without arguments there is an empty tuple. */
static void
begin (AfrpcCaller      *self,
       AfrpcCallerInterface *iface,
       GVariant             *args,
       AfrpcCallOptions     *options,
       GCancellable     *cancellable,
       AfrpcCall        *call) /* (transfer full), and used up: it may be settled, but has not been told */
{
  GVariant *sunk = afrpc_value_ref_sink (args != NULL ? args : g_variant_new_tuple (NULL, 0));

  if (iface->wait == NULL)
    afrpc_call_set_context (call);
  if (g_cancellable_is_cancelled (cancellable))
    afrpc_call_cancel_unbegun (call);
  if (G_UNLIKELY (iface->own == NULL && afrpc_call_is_cancelled (call)))
    afrpc_call_give_up (call, AFRPC_STARTED_NO,
                        g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled"));
  else
    iface->begin (self, call, sunk, options);
  if (cancellable != NULL)
    afrpc_call_watch (call, cancellable);
  g_variant_unref (sunk);
}

/**
 * afrpc_caller_call:
 * @self: a caller
 * @args: (nullable): the arguments, usually a tuple; a floating reference is consumed; %NULL for an empty tuple
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async) (closure user_data): called with the result
 * @user_data: data for @callback
 *
 * Calls the function.
 *
 * Never blocks. The arguments are copied before this returns.
 *
 * Fails with the error of the function; %AFRPC_ERROR_REMOTE if its domain is not
 * [registered][func@Afrpc.Error.register_domain]; %AFRPC_ERROR_INVALID_ARGUMENTS; %AFRPC_ERROR_NO_RESULT;
 * %AFRPC_ERROR_TOO_LARGE, also of the result; %AFRPC_ERROR_INVALID_DATA; %AFRPC_ERROR_SERIALISER and errors of the
 * [iface@Afrpc.Serialiser]; %AFRPC_ERROR_BUSY; %AFRPC_ERROR_CLOSED; %AFRPC_ERROR_DIED and %AFRPC_ERROR_NOT_STARTED if
 * the worker ended; %AFRPC_ERROR_PROTOCOL; %G_IO_ERROR_TIMED_OUT after [property@Afrpc.Proxy:call-timeout-ms];
 * %G_IO_ERROR_CANCELLED; or with what went wrong when the process was started and prepared. Whatever it is,
 * [method@Afrpc.Call.get_started] of the result, which is an [class@Afrpc.Call], says whether the worker had begun.
 *
 * Cancelling settles the call at once. If the worker has not started it, it never will; a function that runs can take
 * notice, see [method@Afrpc.Worker.is_cancelled]. The same goes for time limits. A sync function that does neither
 * return nor take notice keeps its worker busy, and the calls behind it waiting: only [method@Afrpc.Caller.kill] ends
 * it.
 *
 * Since: 1.0
 */
void
afrpc_caller_call (AfrpcCaller         *self,
                   GVariant            *args,
                   GCancellable        *cancellable,
                   GAsyncReadyCallback  callback,
                   gpointer             user_data)
{
  AfrpcCallerInterface *iface = get_iface (self);

  g_return_if_fail (iface != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  begin (self, iface, args, NULL, cancellable,
         afrpc_call_new_used (self, NULL, afrpc_caller_call, callback, user_data));
}

/**
 * afrpc_caller_call_finish:
 * @self: a caller
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Caller.call].
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_caller_call_finish (AfrpcCaller   *self,
                          GAsyncResult  *result,
                          GError       **error)
{
  g_return_val_if_fail (afrpc_call_is_of (result, self, afrpc_caller_call), NULL);

  return afrpc_call_take_outcome (AFRPC_CALL (result), NULL, error);
}

static GVariant *
call_sync (AfrpcCaller       *self,
           AfrpcCallerInterface *iface,
           GVariant          *args,
           AfrpcCallOptions  *options,
           GUnixFDList      **out_fds,
           GCancellable      *cancellable,
           GError           **error)
{
  AfrpcCall *call = afrpc_call_new_used (self, options, afrpc_caller_call_sync, NULL, NULL);
  AfrpcPending *pending = afrpc_call_get_pending (call);
  GVariant *value;

  if (out_fds != NULL)
    *out_fds = NULL;
  pending->is_awaited = TRUE;
  begin (self, iface, args, options, cancellable, call);
  afrpc_call_block (call, iface);
  value = afrpc_call_take_outcome (call, out_fds, error);
  pending->funcs->release (pending);

  return value;
}

/**
 * afrpc_caller_call_sync:
 * @self: a caller
 * @args: (nullable): the arguments, as for [method@Afrpc.Caller.call]
 * @cancellable: (nullable): a cancellable, which another thread may cancel
 * @error: return location for an error
 *
 * Calls the function and blocks until there is a result.
 *
 * No main context is iterated, except by callers that the program itself implements without [vfunc@Afrpc.Caller.wait]: no
 * callback and no signal comes meanwhile. What arrives before the result is delivered
 * in order afterwards, from the caller's context, up to [property@Afrpc.Proxy:max-bytes-queued] in memory and 1024
 * file descriptors; more fails with %AFRPC_ERROR_BUSY. Otherwise it fails like [method@Afrpc.Caller.call].
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_caller_call_sync (AfrpcCaller   *self,
                        GVariant      *args,
                        GCancellable  *cancellable,
                        GError       **error)
{
  AfrpcCallerInterface *iface = get_iface (self);

  g_return_val_if_fail (iface != NULL, NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  return call_sync (self, iface, args, NULL, NULL, cancellable, error);
}

/**
 * afrpc_caller_call_full:
 * @self: a caller
 * @args: (nullable): the arguments, as for [method@Afrpc.Caller.call]
 * @options: (nullable): what the call carries besides
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async) (closure user_data): called with the result
 * @user_data: data for @callback
 *
 * Calls the function with options.
 *
 * Fails like [method@Afrpc.Caller.call]; and with %AFRPC_ERROR_NOT_SUPPORTED if there are file descriptors and the worker
 * is at the other end of a command; with %AFRPC_ERROR_TOO_LARGE if there are more than 253; with a %G_IO_ERROR if they
 * cannot be copied; and with %AFRPC_ERROR_FAILED if the worker, or for the result this program, has no room for more
 * open files.
 *
 * Since: 1.0
 */
void
afrpc_caller_call_full (AfrpcCaller         *self,
                        GVariant            *args,
                        AfrpcCallOptions    *options,
                        GCancellable        *cancellable,
                        GAsyncReadyCallback  callback,
                        gpointer             user_data)
{
  AfrpcCallerInterface *iface = get_iface (self);

  g_return_if_fail (iface != NULL);
  g_return_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  begin (self, iface, args, options, cancellable,
         afrpc_call_new_used (self, options, afrpc_caller_call_full, callback, user_data));
}

/**
 * afrpc_caller_call_full_finish:
 * @self: a caller
 * @result: the result
 * @out_fds: (out) (optional) (nullable) (transfer full): return location for the file descriptors that came with the
 *   result: %NULL if there are none
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Caller.call_full].
 *
 * A handle (type `h`) in the result is an index into @out_fds.
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_caller_call_full_finish (AfrpcCaller   *self,
                               GAsyncResult  *result,
                               GUnixFDList  **out_fds,
                               GError       **error)
{
  g_return_val_if_fail (afrpc_call_is_of (result, self, afrpc_caller_call_full), NULL);

  if (out_fds != NULL)
    *out_fds = NULL;

  return afrpc_call_take_outcome (AFRPC_CALL (result), out_fds, error);
}

/**
 * afrpc_caller_call_full_sync:
 * @self: a caller
 * @args: (nullable): the arguments, as for [method@Afrpc.Caller.call]
 * @options: (nullable): what the call carries besides
 * @out_fds: (out) (optional) (nullable) (transfer full): return location for the file descriptors that came with the
 *   result: %NULL if there are none
 * @cancellable: (nullable): a cancellable, which another thread may cancel
 * @error: return location for an error
 *
 * Calls the function with options and blocks until there is a result, as [method@Afrpc.Caller.call_sync] does.
 *
 * Fails like that and [method@Afrpc.Caller.call_full]. Progress is delivered afterwards, or not at all: the call has
 * its outcome by then.
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_caller_call_full_sync (AfrpcCaller       *self,
                             GVariant          *args,
                             AfrpcCallOptions  *options,
                             GUnixFDList      **out_fds,
                             GCancellable      *cancellable,
                             GError           **error)
{
  AfrpcCallerInterface *iface = get_iface (self);

  g_return_val_if_fail (iface != NULL, NULL);
  g_return_val_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  return call_sync (self, iface, args, options, out_fds, cancellable, error);
}

/**
 * afrpc_caller_start:
 * @self: a caller
 * @args: (nullable): the arguments, as for [method@Afrpc.Caller.call]
 * @options: (nullable): what the call carries besides
 *
 * Makes a call, and returns a handle to it.
 *
 * Never fails: what fails at once fails in the call. Nobody has to wait for it.
 *
 * Returns: (transfer full): the call
 *
 * Since: 1.0
 */
AfrpcCall *
afrpc_caller_start (AfrpcCaller      *self,
                    GVariant         *args,
                    AfrpcCallOptions *options)
{
  AfrpcCallerInterface *iface = get_iface (self);
  AfrpcCall *call;

  g_return_val_if_fail (iface != NULL, NULL);
  g_return_val_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options), NULL);

  call = afrpc_call_new (self, options);
  begin (self, iface, args, options, NULL, g_object_ref (call));

  return call;
}

/**
 * afrpc_caller_start_with_callback: (skip)
 * @self: a caller
 * @args: (nullable): the arguments, as for [method@Afrpc.Caller.call]
 * @options: (nullable): what the call carries besides
 * @cancellable: (nullable): a cancellable
 * @callback: called with the result, which is finished by [method@Afrpc.Caller.call_full_finish]
 * @user_data: data for @callback
 *
 * Makes a call as [method@Afrpc.Caller.call_full] does, and returns it as [method@Afrpc.Caller.start] does: what a
 * binding needs that wants to cancel without a cancellable for each call.
 *
 * Returns: (transfer none): the call, until @callback has returned
 *
 * Since: 1.0
 */
AfrpcCall *
afrpc_caller_start_with_callback (AfrpcCaller         *self,
                                  GVariant            *args,
                                  AfrpcCallOptions    *options,
                                  GCancellable        *cancellable,
                                  GAsyncReadyCallback  callback,
                                  gpointer             user_data)
{
  AfrpcCallerInterface *iface = get_iface (self);
  AfrpcCall *call;

  g_return_val_if_fail (iface != NULL, NULL);
  g_return_val_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options), NULL);

  call = afrpc_call_new_used (self, options, afrpc_caller_call_full, callback, user_data);
  begin (self, iface, args, options, cancellable, call);

  return call;
}

/* The end */

/**
 * afrpc_caller_close:
 * @self: a caller
 *
 * Has everything finished that was called for, and ends.
 *
 * Further calls fail with %AFRPC_ERROR_CLOSED. The caller is kept alive until [signal@Afrpc.Caller::destroyed], so it
 * may be dropped after this and its signals still come.
 *
 * Since: 1.0
 */
void
afrpc_caller_close (AfrpcCaller *self)
{
  g_return_if_fail (AFRPC_IS_CALLER (self));

  AFRPC_CALLER_GET_IFACE (self)->close (self);
}

/**
 * afrpc_caller_close_async:
 * @self: a caller
 * @cancellable: (nullable): stops waiting, not the closing
 * @callback: (scope async) (closure user_data): called once everything is finished
 * @user_data: data for @callback
 *
 * Like [method@Afrpc.Caller.close], and waits for the end: just before [signal@Afrpc.Caller::destroyed].
 *
 * Fails only with %G_IO_ERROR_CANCELLED.
 *
 * Since: 1.0
 */
void
afrpc_caller_close_async (AfrpcCaller         *self,
                          GCancellable        *cancellable,
                          GAsyncReadyCallback  callback,
                          gpointer             user_data)
{
  g_return_if_fail (AFRPC_IS_CALLER (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  AFRPC_CALLER_GET_IFACE (self)->close_async (self, cancellable, callback, user_data);
}

/**
 * afrpc_caller_close_finish:
 * @self: a caller
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Caller.close_async].
 *
 * Returns: %TRUE if everything is finished
 *
 * Since: 1.0
 */
gboolean
afrpc_caller_close_finish (AfrpcCaller   *self,
                           GAsyncResult  *result,
                           GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_CALLER (self), FALSE);
  g_return_val_if_fail (G_IS_ASYNC_RESULT (result), FALSE);

  return AFRPC_CALLER_GET_IFACE (self)->close_finish (self, result, error);
}

/**
 * afrpc_caller_close_sync:
 * @self: a caller
 * @cancellable: (nullable): stops waiting, not the closing; from another thread
 * @error: return location for an error
 *
 * Like [method@Afrpc.Caller.close], and blocks until everything is finished: afterwards there is nothing left of the
 * worker, also in a program that never runs a main loop.
 *
 * What arrives meanwhile is delivered afterwards, from the caller's context. Fails only with %G_IO_ERROR_CANCELLED.
 *
 * Returns: %TRUE if everything is finished
 *
 * Since: 1.0
 */
gboolean
afrpc_caller_close_sync (AfrpcCaller   *self,
                         GCancellable  *cancellable,
                         GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_CALLER (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);

  return AFRPC_CALLER_GET_IFACE (self)->close_sync (self, cancellable, error);
}

/**
 * afrpc_caller_close_and_unref: (skip)
 * @caller: (transfer full) (type Afrpc.Caller): a caller
 *
 * Closes the caller and drops it: what dropping the object does in Perl.
 *
 * To be used as in `g_clear_pointer (&proxy, afrpc_caller_close_and_unref)`.
 *
 * Since: 1.0
 */
void
afrpc_caller_close_and_unref (gpointer caller)
{
  g_return_if_fail (AFRPC_IS_CALLER (caller));

  afrpc_caller_close (caller);
  g_object_unref (caller);
}

/**
 * afrpc_caller_kill:
 * @self: a caller
 *
 * Ends workers at once, with `SIGKILL`.
 *
 * Calls that wait fail with %AFRPC_ERROR_DIED or %AFRPC_ERROR_NOT_STARTED; then [signal@Afrpc.Caller::destroyed] is
 * emitted.
 *
 * Since: 1.0
 */
void
afrpc_caller_kill (AfrpcCaller *self)
{
  g_return_if_fail (AFRPC_IS_CALLER (self));

  AFRPC_CALLER_GET_IFACE (self)->kill (self);
}
