/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A proxy as a caller. */
#include "config.h"

#include "afrpc-proxy-private.h"

#include <signal.h>
#include <unistd.h>

#include "afrpc-call-options-private.h"
#include "afrpc-call-private.h"
#include "afrpc-caller-private.h"
#include "afrpc-error.h"
#include "os/afrpc-low-fd.h"
#include "wire/afrpc-frame.h"

/* Adds copies of the descriptors to @payload, which points into @copies. */
static gboolean
copy_fds (const char    *function,
          GUnixFDList   *list,
          AfrpcPayload  *payload,
          int          **copies,
          GError       **error)
{
  const int n = g_unix_fd_list_get_length (list);

  *copies = g_new (int, n);
  for (int i = 0; i < n; i++)
    {
      const int copy = g_unix_fd_list_get (list, i, error);

      (*copies)[i] = afrpc_low_fd_lift (copy);
      if ((*copies)[i] >= 0)
        continue;
      if (copy >= 0)
        g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "%s", g_strerror (errno));
      g_prefix_error (error, "'%s': copying a file descriptor of the arguments: ", function);
      while (i-- > 0)
        close ((*copies)[i]);
      return FALSE;
    }

  payload->fds = *copies;
  payload->n_fds = n;

  return TRUE;
}

/* Returns: the number of the worker's function of that name, which the worker is told first; or -1. */
static int
find_function (AfrpcProxy  *self,
               const char  *name,
               GError     **error)
{
  guint number;

  if (g_strcmp0 (name, self->function) == 0)
    return 0;
  if (self->functions == NULL)
    self->functions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  number = GPOINTER_TO_UINT (g_hash_table_lookup (self->functions, name));
  if (number != 0)
    return number;

  /* It would not travel. */
  if (!g_utf8_validate (name, -1, NULL))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION, "a function whose name is not UTF-8");
      return -1;
    }
  number = g_hash_table_size (self->functions) + 1;
  if (number > AFRPC_FRAME_FUNCTION_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "more than %u functions of one worker", AFRPC_FRAME_FUNCTION_MAX);
      return -1;
    }
  if (!afrpc_peer_declare (self->peer, number, name, error))
    return -1;
  g_hash_table_insert (self->functions, g_strdup (name), GUINT_TO_POINTER (number));

  return number;
}

/* Completes @payload by what the options ask for. FALSE: the call cannot be made. */
static gboolean
apply_options (AfrpcProxy        *self,
               AfrpcCallOptions  *options,
               AfrpcPayload      *payload,
               int              **copies,
               int               *function,
               GError           **error)
{
  const char *name;

  if (options->execution_timeout_ms > 0)
    payload->flags |= AFRPC_FRAME_FLAG_TIMED;
  if (options->progress != NULL)
    payload->flags |= AFRPC_FRAME_FLAG_PROGRESS;
  if (options->progress != NULL && options->progress_mode == AFRPC_PROGRESS_LATEST)
    payload->flags |= AFRPC_FRAME_FLAG_LATEST;
  if (options->function != NULL)
    *function = find_function (self, options->function, error);

  name = options->function != NULL ? options->function : self->function;

  return *function >= 0 && (options->fds == NULL || copy_fds (name, options->fds, payload, copies, error));
}

/* Gives the worker a call, whose outcome @pending (transfer full) gets; @timeout_ms: 0: none. The thread is the right
 * one. */
void
afrpc_proxy_give (AfrpcProxy       *self,
                  GVariant         *args,
                  AfrpcCallOptions *options, /* (nullable) */
                  guint             timeout_ms,
                  AfrpcPending     *pending)
{
  AfrpcPayload payload = afrpc_payload (args);
  g_autofree int *copies = NULL;
  GError *error = NULL;
  int function = 0;

  if (options != NULL && !apply_options (self, options, &payload, &copies, &function, &error))
    afrpc_peer_fail_call (self->peer, pending, error);
  else
    afrpc_peer_call (self->peer, &payload, function, options != NULL ? options->metadata : NULL, timeout_ms, pending);
}

static void
afrpc_proxy_begin (AfrpcCaller      *caller,
                   AfrpcCall        *call,
                   GVariant         *args,
                   AfrpcCallOptions *options)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);
  AfrpcPending *pending = afrpc_call_get_pending (call);
  const gboolean has_limit = options != NULL && options->timeout_ms >= 0;

  if (!afrpc_peer_enter (self->peer, pending, "a call"))
    afrpc_peer_fail_call (self->peer, pending,
                          g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED,
                                       "another thread runs the main context that the proxy belongs to"));
  else if (afrpc_call_is_cancelled (call))
    afrpc_peer_fail_call (self->peer, pending,
                          g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, AFRPC_CALL_CANCELLED));
  else
    afrpc_proxy_give (self, args, options, has_limit ? (guint) options->timeout_ms : self->call_timeout_ms, pending);
}

static void
cancel_cb (AfrpcPeer *peer,
           gpointer   call)
{
  afrpc_peer_cancel (peer, afrpc_call_get_pending (call),
                     g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, AFRPC_CALL_CANCELLED));
}

static void
afrpc_proxy_cancel (AfrpcCaller *caller,
                    AfrpcCall   *call)
{
  afrpc_peer_do (AFRPC_PROXY (caller)->peer, cancel_cb, g_object_ref (call), g_object_unref);
}

static void
afrpc_proxy_wait (AfrpcCaller *caller,
                  AfrpcCall   *call)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);

  afrpc_peer_wait (self->peer, afrpc_call_get_pending (call));
}

static AfrpcProcess *
afrpc_proxy_get_caller_process (AfrpcCaller *caller)
{
  return AFRPC_PROXY (caller)->process;
}

static gboolean
afrpc_proxy_may_use (AfrpcCaller *caller,
                     const char  *what)
{
  return afrpc_peer_check_thread (AFRPC_PROXY (caller)->peer, what);
}

static AfrpcExit *
afrpc_proxy_get_exit (AfrpcCaller *caller)
{
  return afrpc_peer_get_exit (AFRPC_PROXY (caller)->peer);
}

/* FALSE: the calling thread may not do @what, and the program is told. */
static gboolean
check_thread (AfrpcProxy  *self,
              const char  *what,
              GError     **error)
{
  if (afrpc_peer_check_thread (self->peer, what))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "another thread runs the main context that the proxy belongs to");

  return FALSE;
}

static void
do_close (AfrpcProxy *self)
{
  /* One that has failed ends by itself. */
  afrpc_peer_hold_proxy (self->peer);
  if (afrpc_proxy_is_closed (self))
    return;

  afrpc_peer_close (self->peer);
  afrpc_proxy_notify_closed (self);
}

static void
afrpc_proxy_close (AfrpcCaller *caller)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);

  if (check_thread (self, "closing a proxy", NULL))
    do_close (self);
}

static void
afrpc_proxy_close_async (AfrpcCaller         *caller,
                         GCancellable        *cancellable,
                         GAsyncReadyCallback  callback,
                         gpointer             user_data)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);
  g_autoptr(GTask) task = g_task_new (self, cancellable, callback, user_data);
  GError *error = NULL;

  g_task_set_source_tag (task, afrpc_caller_close_async);
  g_task_set_check_cancellable (task, FALSE);
  if (!check_thread (self, "closing a proxy", &error))
    {
      g_task_return_error (task, error);
      return;
    }

  /* First: who is notified may run the main loop until it is over. */
  if (!g_task_return_error_if_cancelled (task))
    afrpc_peer_await_close (self->peer, g_steal_pointer (&task));
  do_close (self);
}

static gboolean
afrpc_proxy_close_finish (AfrpcCaller   *caller,
                          GAsyncResult  *result,
                          GError       **error)
{
  g_return_val_if_fail (g_task_is_valid (result, caller), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_caller_close_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
afrpc_proxy_close_sync (AfrpcCaller   *caller,
                        GCancellable  *cancellable,
                        GError       **error)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);

  if (!check_thread (self, "closing a proxy", error))
    return FALSE;

  do_close (self);

  return afrpc_peer_close_sync (self->peer, cancellable, error);
}

static void
afrpc_proxy_kill (AfrpcCaller *caller)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);

  if (!check_thread (self, "killing a proxy", NULL))
    return;

  do_close (self);
  afrpc_peer_kill_as_asked (self->peer, SIGKILL);
}

static gboolean
afrpc_proxy_withdraw (AfrpcCaller *caller,
                      AfrpcCall   *call)
{
  return afrpc_peer_withdraw_outcome (AFRPC_PROXY (caller)->peer, afrpc_call_get_pending (call));
}

static gboolean
afrpc_proxy_is_inherited (AfrpcCaller *caller)
{
  return afrpc_peer_is_inherited (AFRPC_PROXY (caller)->peer);
}

static const AfrpcCallerOwn own = {
  afrpc_proxy_may_use, afrpc_proxy_get_exit, NULL, afrpc_proxy_withdraw, NULL, afrpc_proxy_is_inherited,
};

void
afrpc_proxy_caller_init (AfrpcCallerInterface *iface)
{
  iface->begin = afrpc_proxy_begin;
  iface->cancel = afrpc_proxy_cancel;
  iface->wait = afrpc_proxy_wait;
  iface->get_process = afrpc_proxy_get_caller_process;
  iface->own = (gpointer) &own;
  iface->close = afrpc_proxy_close;
  iface->close_async = afrpc_proxy_close_async;
  iface->close_finish = afrpc_proxy_close_finish;
  iface->close_sync = afrpc_proxy_close_sync;
  iface->kill = afrpc_proxy_kill;
}
