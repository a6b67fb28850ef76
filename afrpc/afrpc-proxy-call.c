/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* AfrpcProxy: the ways to make a call. */
#include "config.h"

#include "child/afrpc-proxy-private.h"

#include <unistd.h>

/* Adds copies of the descriptors to @payload, which points into @copies. */
static gboolean
copy_fds (GUnixFDList   *list,
          AfrpcPayload  *payload,
          int          **copies,
          GError       **error)
{
  const int n = g_unix_fd_list_get_length (list);

  *copies = g_new (int, n);
  for (int i = 0; i < n; i++)
    {
      (*copies)[i] = g_unix_fd_list_get (list, i, error);
      if ((*copies)[i] >= 0)
        continue;

      while (i-- > 0)
        close ((*copies)[i]);
      return FALSE;
    }

  payload->fds = *copies;
  payload->n_fds = n;

  return TRUE;
}

/* The arguments as they are sent: no arguments are an empty tuple. */
static GVariant *
sink_args (GVariant *args)
{
  return g_variant_ref_sink (args != NULL ? args : g_variant_new_tuple (NULL, 0));
}

static void
start_call (AfrpcProxy   *self,
            GVariant     *args, /* (transfer full) */
            guint8        flags,
            GUnixFDList  *fds,  /* (nullable) */
            guint         timeout_ms,
            GCancellable *cancellable,
            AfrpcCall    *call) /* (transfer full) */
{
  AfrpcPayload payload = afrpc_payload (args);
  g_autofree int *copies = NULL;
  GError *error = NULL;

  payload.flags = flags;
  if (self->refused != NULL)
    afrpc_call_settle_later (call, g_error_copy (self->refused));
  else if (g_cancellable_set_error_if_cancelled (cancellable, &error) ||
           (fds != NULL && !copy_fds (fds, &payload, &copies, &error)))
    afrpc_call_settle_later (call, error);
  else
    afrpc_child_call (self->child, &payload, timeout_ms, cancellable, call);

  g_variant_unref (args);
}

/**
 * afrpc_proxy_call:
 * @self: a proxy
 * @args: (nullable): the arguments, usually a tuple; a floating reference is consumed; %NULL for an
 *   empty tuple
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async) (closure user_data): called with the result
 * @user_data: data for @callback
 *
 * Calls the function.
 *
 * Never blocks. The arguments are copied before this returns.
 *
 * Fails with the error of the function; %AFRPC_ERROR_REMOTE if its domain is not
 * [registered][func@Afrpc.Error.register_domain]; %AFRPC_ERROR_INVALID_ARGUMENTS;
 * %AFRPC_ERROR_NO_RESULT; %AFRPC_ERROR_TOO_LARGE, also of the result; %AFRPC_ERROR_INVALID_DATA;
 * %AFRPC_ERROR_SERIALISER and errors of the [iface@Afrpc.Serialiser];
 * %AFRPC_ERROR_BUSY; %AFRPC_ERROR_CLOSED; %AFRPC_ERROR_DIED and %AFRPC_ERROR_NOT_STARTED if the worker
 * ended; %AFRPC_ERROR_PROTOCOL; %G_IO_ERROR_TIMED_OUT after [property@Afrpc.Proxy:call-timeout-ms];
 * %G_IO_ERROR_CANCELLED; or with what went wrong when the process was started and prepared.
 *
 * Cancelling settles the call at once. If the worker has not started it, it never will; a function that
 * runs can take notice, see [method@Afrpc.Worker.is_cancelled] and
 * [method@Afrpc.Invocation.get_cancellable]. The same goes for the time limit, which includes the start of the
 * worker. A sync function that does neither return nor take notice keeps its worker busy, and the calls behind
 * it waiting: only [method@Afrpc.Proxy.kill] ends it.
 *
 * Since: 1.0
 */
void
afrpc_proxy_call (AfrpcProxy          *self,
                  GVariant            *args,
                  GCancellable        *cancellable,
                  GAsyncReadyCallback  callback,
                  gpointer             user_data)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start_call (self, sink_args (args), 0, NULL, self->call_timeout_ms, cancellable,
              afrpc_call_new (self->child->spare_calls, self, callback, user_data));
}

/**
 * afrpc_proxy_call_finish:
 * @self: a proxy
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Proxy.call].
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_proxy_call_finish (AfrpcProxy    *self,
                         GAsyncResult  *result,
                         GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), NULL);
  g_return_val_if_fail (AFRPC_IS_CALL (result), NULL);

  return afrpc_call_finish (AFRPC_CALL (result), error);
}

static GVariant *
call_sync (AfrpcProxy    *self,
           GVariant      *args,
           GUnixFDList   *fds,     /* (nullable) */
           GUnixFDList  **out_fds, /* (nullable) */
           GCancellable  *cancellable,
           GError       **error)
{
  g_autoptr(GVariant) sunk = sink_args (args);
  AfrpcPayload payload = afrpc_payload (sunk);
  g_autofree int *copies = NULL;

  if (self->refused != NULL)
    {
      g_propagate_error (error, g_error_copy (self->refused));
      return NULL;
    }
  if (fds != NULL && !copy_fds (fds, &payload, &copies, error))
    return NULL;

  return afrpc_child_call_sync (self->child, &payload, out_fds, self->call_timeout_ms, cancellable, error);
}

/**
 * afrpc_proxy_cancel_call: (skip)
 * @self: a proxy
 * @callback: what a call was made with
 * @user_data: what it was made with
 *
 * Cancels a call that has no cancellable.
 *
 * A cancellable for each call costs more than the call. This looks for the call among all that are pending, so that
 * nothing has to be paid in advance. The callback comes later, with %G_IO_ERROR_CANCELLED; apart from that, all is
 * as if a cancellable had been given to [method@Afrpc.Proxy.call].
 *
 * Returns: %TRUE if there was such a call; %FALSE if it has been settled already
 *
 * Since: 1.0
 */
gboolean
afrpc_proxy_cancel_call (AfrpcProxy          *self,
                         GAsyncReadyCallback  callback,
                         gpointer             user_data)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), FALSE);
  g_return_val_if_fail (callback != NULL, FALSE);

  return self->refused == NULL && afrpc_child_cancel_call (self->child, callback, user_data);
}

/**
 * afrpc_proxy_call_sync:
 * @self: a proxy
 * @args: (nullable): the arguments, as for [method@Afrpc.Proxy.call]
 * @cancellable: (nullable): a cancellable, which another thread may cancel
 * @error: return location for an error
 *
 * Calls the function and waits for the result.
 *
 * No main context is iterated: no callback and no signal comes meanwhile. What arrives before the
 * result is delivered in order afterwards, from the proxy's context, up to
 * [property@Afrpc.Proxy:max-bytes-queued]; more fails with %AFRPC_ERROR_BUSY. Otherwise it fails like
 * [method@Afrpc.Proxy.call].
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_proxy_call_sync (AfrpcProxy    *self,
                       GVariant      *args,
                       GCancellable  *cancellable,
                       GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  return call_sync (self, args, NULL, NULL, cancellable, error);
}

/**
 * afrpc_proxy_call_with_timeout:
 * @self: a proxy
 * @args: (nullable): the arguments, as for [method@Afrpc.Proxy.call]
 * @timeout_ms: the time limit of this call in milliseconds, or 0 for none
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async) (closure user_data): called with the result
 * @user_data: data for @callback
 *
 * Calls the function with a time limit of its own, which runs from now on.
 *
 * Fails like [method@Afrpc.Proxy.call].
 *
 * Since: 1.0
 */
void
afrpc_proxy_call_with_timeout (AfrpcProxy          *self,
                               GVariant            *args,
                               guint                timeout_ms,
                               GCancellable        *cancellable,
                               GAsyncReadyCallback  callback,
                               gpointer             user_data)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start_call (self, sink_args (args), 0, NULL, timeout_ms, cancellable,
              afrpc_call_new (self->child->spare_calls, self, callback, user_data));
}

/**
 * afrpc_proxy_call_with_timeout_finish:
 * @self: a proxy
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Proxy.call_with_timeout].
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_proxy_call_with_timeout_finish (AfrpcProxy    *self,
                                      GAsyncResult  *result,
                                      GError       **error)
{
  return afrpc_proxy_call_finish (self, result, error);
}

/**
 * afrpc_proxy_call_with_fds:
 * @self: a proxy
 * @args: (nullable): the arguments, as for [method@Afrpc.Proxy.call]
 * @fds: (nullable): file descriptors, which are copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async) (closure user_data): called with the result
 * @user_data: data for @callback
 *
 * Calls the function with file descriptors.
 *
 * A handle (type `h`) in the arguments is an index into @fds. The function gets them by
 * [method@Afrpc.Worker.steal_call_fd] or [method@Afrpc.Invocation.steal_fd].
 *
 * Fails like [method@Afrpc.Proxy.call]; with %AFRPC_ERROR_NOT_SUPPORTED if there are some and the worker is at
 * the other end of a command; with %AFRPC_ERROR_TOO_LARGE if there are more than 253; with a %G_IO_ERROR if they
 * cannot be copied; and with %AFRPC_ERROR_FAILED if the worker, or for the result this program, has no room for
 * more open files.
 *
 * Since: 1.0
 */
void
afrpc_proxy_call_with_fds (AfrpcProxy          *self,
                           GVariant            *args,
                           GUnixFDList         *fds,
                           GCancellable        *cancellable,
                           GAsyncReadyCallback  callback,
                           gpointer             user_data)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));
  g_return_if_fail (fds == NULL || G_IS_UNIX_FD_LIST (fds));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start_call (self, sink_args (args), 0, fds, self->call_timeout_ms, cancellable,
              afrpc_call_new (self->child->spare_calls, self, callback, user_data));
}

/**
 * afrpc_proxy_call_with_fds_finish:
 * @self: a proxy
 * @result: the result
 * @out_fds: (out) (optional) (nullable) (transfer full): return location for the file descriptors that came with
 *   the result: %NULL if there are none
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Proxy.call_with_fds].
 *
 * A handle (type `h`) in the result is an index into @out_fds.
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_proxy_call_with_fds_finish (AfrpcProxy    *self,
                                  GAsyncResult  *result,
                                  GUnixFDList  **out_fds,
                                  GError       **error)
{
  g_autoptr(GUnixFDList) fds = NULL;

  g_return_val_if_fail (AFRPC_IS_PROXY (self), NULL);
  g_return_val_if_fail (AFRPC_IS_CALL (result), NULL);

  fds = afrpc_call_steal_fds (AFRPC_CALL (result));
  if (out_fds != NULL)
    *out_fds = g_steal_pointer (&fds);

  return afrpc_call_finish (AFRPC_CALL (result), error);
}

/**
 * afrpc_proxy_call_with_fds_sync:
 * @self: a proxy
 * @args: (nullable): the arguments, as for [method@Afrpc.Proxy.call]
 * @fds: (nullable): file descriptors, as for [method@Afrpc.Proxy.call_with_fds]
 * @out_fds: (out) (optional) (nullable) (transfer full): return location for the file descriptors that came with
 *   the result: %NULL if there are none
 * @cancellable: (nullable): a cancellable, which another thread may cancel
 * @error: return location for an error
 *
 * Calls the function with file descriptors and waits for the result, as [method@Afrpc.Proxy.call_sync] does.
 *
 * Fails like that and [method@Afrpc.Proxy.call_with_fds].
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_proxy_call_with_fds_sync (AfrpcProxy    *self,
                                GVariant      *args,
                                GUnixFDList   *fds,
                                GUnixFDList  **out_fds,
                                GCancellable  *cancellable,
                                GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), NULL);
  g_return_val_if_fail (fds == NULL || G_IS_UNIX_FD_LIST (fds), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  if (out_fds != NULL)
    *out_fds = NULL;

  return call_sync (self, args, fds, out_fds, cancellable, error);
}

/**
 * afrpc_proxy_get_event_fds:
 * @self: a proxy
 *
 * Gets the file descriptors that came with the event, in a handler of [signal@Afrpc.Proxy::event].
 *
 * A handle (type `h`) in the event is an index into them. Those that no handler takes are closed afterwards.
 *
 * Returns: (transfer none) (nullable): the file descriptors, or %NULL if there are none, or no handler runs
 *
 * Since: 1.0
 */
GUnixFDList *
afrpc_proxy_get_event_fds (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), NULL);

  return self->event_fds;
}

/**
 * afrpc_proxy_call_with_progress:
 * @self: a proxy
 * @args: (nullable): the arguments, as for [method@Afrpc.Proxy.call]
 * @mode: which progress is wanted
 * @progress: (scope notified) (closure progress_data) (destroy progress_destroy): called with what the function
 *   tells of its progress, before the result, in order
 * @progress_data: data for @progress
 * @progress_destroy: (nullable): called with @progress_data when it is not needed any more
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async) (closure user_data): called with the result
 * @user_data: data for @callback
 *
 * Calls the function and is told how far it has come; see [method@Afrpc.Worker.progress] and
 * [method@Afrpc.Invocation.progress].
 *
 * @progress is called from the proxy's context, and not any more once the call is settled. Fails like
 * [method@Afrpc.Proxy.call].
 *
 * Since: 1.0
 */
void
afrpc_proxy_call_with_progress (AfrpcProxy          *self,
                                GVariant            *args,
                                AfrpcProgressMode    mode,
                                AfrpcProgressFunc    progress,
                                gpointer             progress_data,
                                GDestroyNotify       progress_destroy,
                                GCancellable        *cancellable,
                                GAsyncReadyCallback  callback,
                                gpointer             user_data)
{
  AfrpcCall *call;
  guint8 flags = AFRPC_FRAME_FLAG_PROGRESS;

  g_return_if_fail (AFRPC_IS_PROXY (self));
  g_return_if_fail (progress != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  if (mode == AFRPC_PROGRESS_LATEST)
    flags |= AFRPC_FRAME_FLAG_LATEST;
  call = afrpc_call_new (self->child->spare_calls, self, callback, user_data);
  afrpc_call_set_progress (call, progress, progress_data, progress_destroy);
  start_call (self, sink_args (args), flags, NULL, self->call_timeout_ms, cancellable, call);
}

/**
 * afrpc_proxy_call_with_progress_finish:
 * @self: a proxy
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Proxy.call_with_progress].
 *
 * Returns: (transfer full): what the function returned
 *
 * Since: 1.0
 */
GVariant *
afrpc_proxy_call_with_progress_finish (AfrpcProxy    *self,
                                       GAsyncResult  *result,
                                       GError       **error)
{
  return afrpc_proxy_call_finish (self, result, error);
}
