/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-caller.h"

#include "afrpc-call-private.h"
#include "afrpc-caller-private.h"
#include "afrpc-error.h"
#include "wire/afrpc-value.h"

/**
 * AfrpcCaller:
 *
 * What can be called.
 *
 * A program that is written for a caller does not care what that is: a [class@Afrpc.Proxy] calls a function in one
 * worker process, an [class@Afrpc.Pool] in as many as are needed, and a program may [implement callers itself](calls.html#writing-a-caller).
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
 * logged as a warning, unless a call got it, or the program has killed the worker itself. An event without a handler is
 * such an error itself: %AFRPC_ERROR_UNHANDLED_EVENT.
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
 * A call that has been cancelled before does not come here, nor one that is made after [method@Afrpc.Caller.close], which
 * fails with %AFRPC_ERROR_CLOSED. By default, it fails with %AFRPC_ERROR_NOT_SUPPORTED.
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
 * It may return before that, such as when a signal has interrupted it, and is called again then. It returns at least once a
 * second, for what `afrpc_call_set_interrupted_func ()` says of signals that have interrupted nothing.
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

/**
 * AfrpcCallerInterface::get_started:
 * @self: the caller
 * @call: a call that was begun, and has not been settled
 *
 * Gets what is known by now of whether a worker has begun the call, for [method@Afrpc.Call.get_started]: who has cancelled a
 * call may ask at once. %AFRPC_STARTED_NO is said only of a call that was cancelled, and never will be begun. Without this
 * function, it is %AFRPC_STARTED_UNKNOWN.
 *
 * Called from the thread that asks, whichever that is.
 *
 * Returns: whether it was started
 *
 * Since: 1.0
 */

G_DEFINE_INTERFACE (AfrpcCaller, afrpc_caller, G_TYPE_OBJECT)

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

static void
afrpc_caller_default_init (AfrpcCallerInterface *iface)
{
  iface->begin = begin_default;
  afrpc_caller_init_close (iface);
  afrpc_caller_init_signals (G_TYPE_FROM_INTERFACE (iface));
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
  if (G_UNLIKELY (iface->own == NULL && afrpc_caller_is_marked_closed (self)))
    afrpc_call_give_up (call, AFRPC_STARTED_NO,
                        g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the %s is closed", G_OBJECT_TYPE_NAME (self)));
  else if (G_UNLIKELY (iface->own == NULL && afrpc_call_is_cancelled (call)))
    afrpc_call_give_up (call, AFRPC_STARTED_NO,
                        g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, AFRPC_CALL_CANCELLED));
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
 * Never blocks. The arguments are copied before this returns, and sent when the main context turns, or something blocks for
 * the same caller, as with [method@Afrpc.Caller.start].
 *
 * Fails with the error of the function; %AFRPC_ERROR_REMOTE if its domain is not
 * [registered][func@Afrpc.Error.register_domain]; %AFRPC_ERROR_INVALID_ARGUMENTS; %AFRPC_ERROR_NO_RESULT;
 * %AFRPC_ERROR_TOO_LARGE, also of the result; %AFRPC_ERROR_INVALID_DATA; %AFRPC_ERROR_SERIALISER and errors of the
 * [iface@Afrpc.Serialiser]; %AFRPC_ERROR_BUSY; %AFRPC_ERROR_CLOSED; %AFRPC_ERROR_DIED and %AFRPC_ERROR_NOT_STARTED if
 * the worker ended; %AFRPC_ERROR_PROTOCOL; %G_IO_ERROR_TIMED_OUT after [property@Afrpc.Proxy:call-timeout-ms];
 * %G_IO_ERROR_CANCELLED; or with what went wrong when the process was started and prepared. Whatever it is,
 * [method@Afrpc.Call.get_started] of the result, which is an [class@Afrpc.Call], says whether the worker had begun.
 *
 * Cancelling settles the call at once; over NATS, as soon as it is known whether it was begun. If the worker has not
 * started it, it never will; a function that runs can take notice, see [method@Afrpc.Worker.is_cancelled]. The same goes
 * for time limits. A sync function that does neither return nor take notice keeps its worker busy, and the calls behind it
 * waiting: only [method@Afrpc.Caller.kill] ends it.
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
         afrpc_call_new_spare (self, NULL, afrpc_caller_call, callback, user_data));
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
  AfrpcCall *call = afrpc_call_new_spare (self, options, afrpc_caller_call_sync, NULL, NULL);
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
 * file descriptors; more fails with %AFRPC_ERROR_BUSY. Otherwise it fails like [method@Afrpc.Caller.call]. Whoever has to
 * know of a failure whether the worker had begun uses [method@Afrpc.Caller.start] and [method@Afrpc.Call.wait_sync], and
 * asks the call; exceptions of Python and JavaScript have it.
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
         afrpc_call_new_spare (self, options, afrpc_caller_call_full, callback, user_data));
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
 * Fails like that and [method@Afrpc.Caller.call_full]; see there how to know whether the worker had begun. Progress is delivered afterwards, or not at all: the call has
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
 * Nor is it sent at once, unless 4 KiB are to be sent to its worker by now: it is when the main context turns, or when something
 * blocks for this call or for another one of the same caller, such as [method@Afrpc.Call.wait_sync]. Without a main loop, a
 * call that nobody waits for is not begun until then. A worker that is not ready yet takes more than one turn.
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

/* @is_given: what is put on the call is not to be found on another one */
static AfrpcCall *
start_with (AfrpcCaller         *self,
            GVariant            *args,
            AfrpcCallOptions    *options,
            GCancellable        *cancellable,
            GAsyncReadyCallback  callback,
            gpointer             user_data,
            GDestroyNotify       untold,
            gboolean             is_given)
{
  AfrpcCallerInterface *iface = get_iface (self);
  AfrpcCall *call;

  g_return_val_if_fail (iface != NULL, NULL);
  g_return_val_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options), NULL);

  call = afrpc_call_new_spare (self, options, afrpc_caller_call_full, callback, user_data);
  call->untold = untold;
  /* By now: letting go of the arguments may run the main loop until it is told. */
  call->is_given = is_given;
  begin (self, iface, args, options, cancellable, call);

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
 * Returns: (transfer none): the call, until @callback has returned: that may be before this returns if what the arguments are
 *   made of, or a serialiser, runs the main loop
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
  return start_with (self, args, options, cancellable, callback, user_data, NULL, TRUE);
}

/* As afrpc_caller_start_with_callback (). @untold: (nullable): called with @user_data, in any thread, if @callback never is,
 * because the main context has gone: what a binding has kept for it is let go. */
AfrpcCall *
afrpc_caller_start_with_notify (AfrpcCaller         *self,
                                GVariant            *args,
                                AfrpcCallOptions    *options,
                                GCancellable        *cancellable,
                                GAsyncReadyCallback  callback,
                                gpointer             user_data,
                                GDestroyNotify       untold)
{
  return start_with (self, args, options, cancellable, callback, user_data, untold, FALSE);
}

/* The end */

/**
 * afrpc_caller_close:
 * @self: a caller
 *
 * Has everything finished that was called for, and ends.
 *
 * Further calls fail with %AFRPC_ERROR_CLOSED. Those that were made can be cancelled as before, and their time limits
 * hold. The caller is kept alive until [signal@Afrpc.Caller::destroyed], so it
 * may be dropped after this and its signals still come. Where no main loop ever runs, a caller that has handlers is kept for
 * good; one that has none when it has ended goes.
 *
 * Since: 1.0
 */
void
afrpc_caller_close (AfrpcCaller *self)
{
  g_autoptr(AfrpcCaller) held = NULL; /* who is notified may drop it */

  g_return_if_fail (AFRPC_IS_CALLER (self));

  held = g_object_ref (self);
  if (afrpc_caller_mark_closed (self))
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
 * Fails with %G_IO_ERROR_CANCELLED, and with %AFRPC_ERROR_FAILED where another thread runs the main context that the caller
 * belongs to: then it is not closed.
 *
 * Since: 1.0
 */
void
afrpc_caller_close_async (AfrpcCaller         *self,
                          GCancellable        *cancellable,
                          GAsyncReadyCallback  callback,
                          gpointer             user_data)
{
  g_autoptr(AfrpcCaller) held = NULL;

  g_return_if_fail (AFRPC_IS_CALLER (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  held = g_object_ref (self);
  AFRPC_CALLER_GET_IFACE (self)->close_async (self, cancellable, callback, user_data);
  afrpc_caller_mark_closed (self);
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
 * worker, also in a program that never runs a main loop, unless a [property@Afrpc.Proxy:done] function of an async worker goes
 * on working, which nobody waits for.
 *
 * What arrives meanwhile is delivered afterwards, from the caller's context; the outcome of a call, which its callback has
 * not got yet, is there for [method@Afrpc.Call.wait_sync] at once. A function that does not end, also that of a call which was
 * cancelled or whose time limit has passed, is waited for, and so is a [command][ctor@Afrpc.Process.new_command] that goes on
 * when its worker has ended: with [method@Afrpc.Caller.kill] before they are not.
 *
 * Fails with %G_IO_ERROR_CANCELLED; with %AFRPC_ERROR_BUSY if a worker says more meanwhile than
 * [is kept](limits.html#blocking): it waits then until a main loop has run, or is killed, and closing may be waited for again;
 * and with %AFRPC_ERROR_FAILED where another thread runs the main context that the caller belongs to.
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
  g_autoptr(AfrpcCaller) held = NULL;
  gboolean has_ended;

  g_return_val_if_fail (AFRPC_IS_CALLER (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);

  held = g_object_ref (self);
  has_ended = AFRPC_CALLER_GET_IFACE (self)->close_sync (self, cancellable, error);
  afrpc_caller_mark_closed (self);

  return has_ended;
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
 * Calls that wait fail with %AFRPC_ERROR_DIED or %AFRPC_ERROR_NOT_STARTED; then [signal@Afrpc.Caller::error] is emitted if
 * there were any, or the worker was not ready, and [signal@Afrpc.Caller::destroyed]. A pool emits `error` for each worker.
 *
 * Since: 1.0
 */
void
afrpc_caller_kill (AfrpcCaller *self)
{
  g_autoptr(AfrpcCaller) held = NULL;

  g_return_if_fail (AFRPC_IS_CALLER (self));

  held = g_object_ref (self);
  AFRPC_CALLER_GET_IFACE (self)->kill (self);
  afrpc_caller_mark_closed (self);
}
