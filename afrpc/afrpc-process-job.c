/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The job of a process, unless that is to be called: being run by a function, or handed over; and its end. */
#include "config.h"

#include "afrpc-process-private.h"

#include <signal.h>

#include "afrpc-error.h"
#include "wire/afrpc-options.h"

#define WRONG_THREAD "another thread runs the main context that the process belongs to"

/* Refuses what is asked for on a thread that has nothing to do with the process. */
static gboolean
check_thread (AfrpcProcess *self,
              GTask        *task)
{
  if (afrpc_peer_check_thread (self->peer, "a process"))
    return TRUE;

  g_task_return_new_error (task, AFRPC_ERROR, AFRPC_ERROR_FAILED, WRONG_THREAD);

  return FALSE;
}

/**
 * afrpc_process_run_async:
 * @self: a process that runs nothing yet
 * @function: the function that takes the process over
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async) (closure user_data): called with the result
 * @user_data: data for @callback
 *
 * Lets a function take the process over, and gets the socket to talk to it.
 *
 * The function gets the other end of the socket, with nothing on it, and the arguments and file
 * descriptors that were sent. The process ends when the function returns. For C see
 * [callback@Afrpc.RunFunction].
 *
 * Fails with %AFRPC_ERROR_IN_USE if the process runs something already, %AFRPC_ERROR_FUNCTION if there
 * is no such function, %AFRPC_ERROR_NOT_STARTED if the process ended before the function began,
 * or with what went wrong in the preparation. Cancelling kills the process.
 *
 * Since: 1.0
 */
void
afrpc_process_run_async (AfrpcProcess        *self,
                         const char          *function,
                         GCancellable        *cancellable,
                         GAsyncReadyCallback  callback,
                         gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;
  g_autoptr(GVariant) options = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcOptionsWriter writer;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (function != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_process_run_async);
  if (!check_thread (self, task))
    return;
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    return;

  afrpc_options_begin (&writer, NULL);
  afrpc_options_add_string (&writer, "function", function);
  afrpc_options_add_boolean (&writer, "run", TRUE);
  options = afrpc_options_end (&writer);

  if (!afrpc_peer_take (self->peer, AFRPC_ROLE_STREAM, options, &error))
    g_task_return_error (task, g_steal_pointer (&error));
  else
    afrpc_peer_await_connection (self->peer, g_steal_pointer (&task));
}

/**
 * afrpc_process_run_finish:
 * @self: a process
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Process.run_async].
 *
 * Returns: (transfer full): the socket: a [class@Gio.SocketConnection]
 *
 * Since: 1.0
 */
GIOStream *
afrpc_process_run_finish (AfrpcProcess  *self,
                          GAsyncResult  *result,
                          GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_process_run_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * afrpc_process_to_fd_async:
 * @self: a process that runs nothing yet
 * @cancellable: (nullable): not used as yet: handing over takes no time to speak of
 * @callback: (scope async) (closure user_data): called with the result
 * @user_data: data for @callback
 *
 * Hands a prepared process over: gets its socket, and its pidfd, to be passed to another process, which goes on
 * with [ctor@Afrpc.Process.new_from_fd].
 *
 * The process stays a child of this program, which reaps it, and may end it with [method@Afrpc.Process.kill]; it ends when
 * the socket is closed everywhere.
 *
 * Fails with %AFRPC_ERROR_IN_USE if the process runs something already, %AFRPC_ERROR_NOT_SUPPORTED if it is reached
 * by a [command][ctor@Afrpc.Process.new_command], %AFRPC_ERROR_FAILED if there is no file descriptor to be had, or
 * with what went wrong when it was started. What goes wrong in its preparation, whoever gets the socket is told.
 *
 * Since: 1.0
 */
void
afrpc_process_to_fd_async (AfrpcProcess        *self,
                           GCancellable        *cancellable,
                           GAsyncReadyCallback  callback,
                           gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;
  g_autoptr(GError) error = NULL;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_process_to_fd_async);
  if (!check_thread (self, task))
    return;
  /* The results are descriptors, which must not be lost. */
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    return;

  if (self->argv != NULL)
    g_task_return_new_error (task, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                             "a process over a command cannot be handed over");
  else if (!afrpc_peer_take (self->peer, AFRPC_ROLE_HANDED_OVER, NULL, &error))
    g_task_return_error (task, g_steal_pointer (&error));
  else
    afrpc_peer_await_connection (self->peer, g_steal_pointer (&task));
}

/**
 * afrpc_process_to_fd_finish:
 * @self: a process
 * @result: the result
 * @pidfd: (out) (optional): return location for the pidfd of the process, which becomes the caller's, or -1 if the
 *   system has none; left as it is on failure
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Process.to_fd_async].
 *
 * Returns: the socket, which becomes the caller's, or -1 with @error set
 *
 * Since: 1.0
 */
int
afrpc_process_to_fd_finish (AfrpcProcess  *self,
                            GAsyncResult  *result,
                            int           *pidfd,
                            GError       **error)
{
  g_autoptr(AfrpcHandOver) hand_over = NULL;

  g_return_val_if_fail (AFRPC_IS_PROCESS (self), -1);
  g_return_val_if_fail (g_task_is_valid (result, self), -1);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_process_to_fd_async), -1);

  hand_over = g_task_propagate_pointer (G_TASK (result), error);
  if (hand_over == NULL)
    return -1;

  if (pidfd != NULL)
    *pidfd = g_steal_fd (&hand_over->pidfd);

  return g_steal_fd (&hand_over->fd);
}

/**
 * afrpc_process_wait_async:
 * @self: a process
 * @cancellable: (nullable): stops waiting, not the process
 * @callback: (scope async) (closure user_data): called once the process has ended
 * @user_data: data for @callback
 *
 * Waits until the process has ended and was reaped: just before [signal@Afrpc.Process::exited].
 *
 * Fails if the process was not started, with the reason: %AFRPC_ERROR_SPAWN, %AFRPC_ERROR_NO_HOST, or
 * %AFRPC_ERROR_NOT_STARTED if it was killed before; with %G_IO_ERROR_CANCELLED if cancelled. Until it is told, the process
 * is not ended because nobody holds it any more.
 *
 * Since: 1.0
 */
void
afrpc_process_wait_async (AfrpcProcess        *self,
                          GCancellable        *cancellable,
                          GAsyncReadyCallback  callback,
                          gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_process_wait_async);
  if (!check_thread (self, task))
    return;
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    return;

  afrpc_peer_await_exit (self->peer, g_steal_pointer (&task));
}

/**
 * afrpc_process_wait_finish:
 * @self: a process
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Process.wait_async].
 *
 * Returns: (transfer full): why the process ended
 *
 * Since: 1.0
 */
AfrpcExit *
afrpc_process_wait_finish (AfrpcProcess  *self,
                           GAsyncResult  *result,
                           GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_process_wait_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * afrpc_process_wait_sync:
 * @self: a process
 * @cancellable: (nullable): stops waiting, not the process; from another thread
 * @error: return location for an error
 *
 * Blocks until the process has ended and was reaped, also in a program that never runs a main loop.
 *
 * No main context is iterated: what arrives meanwhile is delivered afterwards. Fails like
 * [method@Afrpc.Process.wait_async], and with %AFRPC_ERROR_BUSY if the process says more meanwhile than
 * [is kept](limits.html#blocking), and was not killed: it waits then until a main loop has run.
 * A process that nobody ends, by closing its proxy or by a signal, is waited for in vain.
 *
 * Returns: (transfer full): why the process ended
 *
 * Since: 1.0
 */
AfrpcExit *
afrpc_process_wait_sync (AfrpcProcess  *self,
                         GCancellable  *cancellable,
                         GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  if (!afrpc_peer_check_thread (self->peer, "waiting for a process"))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, WRONG_THREAD);
      return NULL;
    }

  return afrpc_peer_wait_for_exit (self->peer, cancellable, error);
}

/**
 * afrpc_process_kill:
 * @self: a process
 * @signum: a signal, such as `SIGTERM`; there has to be one of that number
 *
 * Sends the process a signal.
 *
 * It never reaches another process that happens to have the same process ID. A process that was not
 * started yet never will be, whatever the signal: calls fail with %AFRPC_ERROR_NOT_STARTED. If a template is forking it
 * just now, it is ended at once, before it runs anything that it has not begun. Does nothing once the process has ended.
 * For one that was prepared by another program see [ctor@Afrpc.Process.new_from_fd].
 *
 * Since: 1.0
 */
void
afrpc_process_kill (AfrpcProcess *self,
                    int           signum)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (signum > 0 && signum < NSIG);

  if (afrpc_peer_check_thread (self->peer, G_STRFUNC))
    afrpc_peer_kill_as_asked (self->peer, signum);
}
