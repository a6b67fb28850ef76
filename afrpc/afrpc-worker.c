/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-worker.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "afrpc-worker-private.h"
#include "os/afrpc-group.h"
#include "serve/afrpc-serve.h"
#include "serve/afrpc-session-send.h"

/**
 * AfrpcWorker:
 *
 * A worker's view of itself, in the worker process.
 *
 * There is one in each worker; its functions get it as an argument. It may be used by the thread that
 * the functions are called in, and by no other.
 *
 * Since: 1.0
 */

struct _AfrpcWorker
{
  GObject parent_instance;

  AfrpcSession session;
};

G_DEFINE_FINAL_TYPE (AfrpcWorker, afrpc_worker, G_TYPE_OBJECT)

static void
afrpc_worker_finalize (GObject *object)
{
  afrpc_session_clear (&AFRPC_WORKER (object)->session);

  G_OBJECT_CLASS (afrpc_worker_parent_class)->finalize (object);
}

static void
afrpc_worker_class_init (AfrpcWorkerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = afrpc_worker_finalize;
}

static void
afrpc_worker_init (AfrpcWorker *self)
{
  afrpc_session_init (&self->session);
}

AfrpcWorker *
afrpc_worker_new (void)
{
  return g_object_new (AFRPC_TYPE_WORKER, NULL);
}

AfrpcSession *
afrpc_worker_get_session (AfrpcWorker *self)
{
  return &self->session;
}

/**
 * afrpc_worker_event:
 * @self: the worker
 * @event: a value; a floating reference is consumed
 *
 * Sends an event to the parent, where [signal@Afrpc.Caller::event] is emitted.
 *
 * Events and results arrive in the order in which they were made. A sync worker writes an event at
 * once; an async worker writes what it has when its function returns to the main loop, or earlier if it
 * is much: see [method@Afrpc.Worker.flush]. If the parent is slow to read, this waits for it.
 *
 * An event that is over the proxy's [property@Afrpc.Proxy:max-message-size], that the
 * [iface@Afrpc.Serialiser] does not take, or that is made in an init function, is not sent; that is logged as a
 * warning. Once the parent is gone, nothing is sent.
 *
 * Since: 1.0
 */
void
afrpc_worker_event (AfrpcWorker *self,
                    GVariant    *event)
{
  g_autoptr(GError) error = NULL;

  g_return_if_fail (AFRPC_IS_WORKER (self));
  g_return_if_fail (event != NULL);

  if (!afrpc_session_check_sender (&self->session, event, G_STRFUNC))
    return;

  if (!afrpc_session_send_event (&self->session, event, NULL, 0, &error))
    g_warning ("an event was not sent: %s", error->message);
}

/**
 * afrpc_worker_event_with_fds:
 * @self: the worker
 * @event: a value; a floating reference is consumed
 * @fds: (array length=n_fds): file descriptors, which stay the caller's
 * @n_fds: their number
 * @error: return location for an error
 *
 * Sends an event with copies of file descriptors, as [method@Afrpc.Worker.event] does.
 *
 * A handle (type `h`) in the event is an index into @fds. The parent's handlers get them by
 * [signal@Afrpc.Caller::event].
 *
 * Fails with %AFRPC_ERROR_NOT_SUPPORTED over a command; with %AFRPC_ERROR_TOO_LARGE if there are more than 253,
 * or the event is too large; with the errors of the [iface@Afrpc.Serialiser]; with %AFRPC_ERROR_FAILED if they cannot
 * be copied, or the worker is not ready yet.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
gboolean
afrpc_worker_event_with_fds (AfrpcWorker  *self,
                             GVariant     *event,
                             const int    *fds,
                             gsize         n_fds,
                             GError      **error)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), FALSE);
  g_return_val_if_fail (event != NULL, FALSE);
  g_return_val_if_fail (fds != NULL || n_fds == 0, FALSE);

  if (!afrpc_session_check_sender (&self->session, event, G_STRFUNC))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "another thread than that of the worker's functions");
      return FALSE;
    }

  return afrpc_session_send_event (&self->session, event, fds, n_fds, error);
}

/**
 * afrpc_worker_progress:
 * @self: the worker
 * @progress: a value; a floating reference is consumed
 *
 * Tells how far the call has come that a sync function runs.
 *
 * It reaches the caller before the result, in order, if the call was made with options that
 * [ask for it][method@Afrpc.CallOptions.set_progress]; otherwise this does nothing. In an async worker see
 * [method@Afrpc.Invocation.progress].
 *
 * If the parent is slow to read, this waits for it; or, if the caller asked for %AFRPC_PROGRESS_LATEST,
 * it forgets what was not sent yet of this call.
 *
 * Since: 1.0
 */
void
afrpc_worker_progress (AfrpcWorker *self,
                       GVariant    *progress)
{
  AfrpcServedCall *call;

  g_return_if_fail (AFRPC_IS_WORKER (self));
  g_return_if_fail (progress != NULL);

  if (!afrpc_session_check_sender (&self->session, progress, G_STRFUNC))
    return;

  call = afrpc_session_get_current (&self->session);
  if (call != NULL)
    afrpc_session_send_progress (&self->session, call, progress);
  else
    g_variant_unref (g_variant_ref_sink (progress));
}

/**
 * afrpc_worker_get_metadata:
 * @self: the worker
 *
 * Gets what came, besides its arguments, with the call that a sync function runs: what the caller has set as
 * [property@Afrpc.CallOptions:metadata], such as trace ids. In an async worker see
 * [method@Afrpc.Invocation.get_metadata].
 *
 * Returns: (transfer none) (nullable): an `a{sv}`, which lives until the function returns, or %NULL if there is none
 *
 * Since: 1.0
 */
GVariant *
afrpc_worker_get_metadata (AfrpcWorker *self)
{
  AfrpcServedCall *call;

  g_return_val_if_fail (AFRPC_IS_WORKER (self), NULL);

  call = afrpc_session_get_current (&self->session);

  return call != NULL ? call->metadata : NULL;
}

/**
 * afrpc_worker_get_n_call_fds:
 * @self: the worker
 *
 * Gets how many file descriptors came with the call that a sync function runs.
 *
 * Returns: how many were in [property@Afrpc.CallOptions:fds]
 *
 * Since: 1.0
 */
guint
afrpc_worker_get_n_call_fds (AfrpcWorker *self)
{
  AfrpcServedCall *call;

  g_return_val_if_fail (AFRPC_IS_WORKER (self), 0);

  call = afrpc_session_get_current (&self->session);

  return call != NULL ? afrpc_served_call_get_n_fds (call) : 0;
}

/**
 * afrpc_worker_steal_call_fd:
 * @self: the worker
 * @handle: a handle (type `h`) of the call's arguments
 *
 * Takes a file descriptor that came with the call that a sync function runs. It is close-on-exec.
 *
 * Those that are not taken are closed when the function returns.
 *
 * Returns: the file descriptor, which becomes the caller's, or -1 if there is none, or none any more
 *
 * Since: 1.0
 */
int
afrpc_worker_steal_call_fd (AfrpcWorker *self,
                            guint        handle)
{
  AfrpcServedCall *call;

  g_return_val_if_fail (AFRPC_IS_WORKER (self), -1);

  call = afrpc_session_get_current (&self->session);

  return call != NULL ? afrpc_served_call_steal_fd (call, handle) : -1;
}

/**
 * afrpc_worker_append_result_fd:
 * @self: the worker
 * @fd: a file descriptor, which stays the caller's
 * @error: return location for an error
 *
 * Adds a copy of a file descriptor to the result of the call that a sync function runs.
 *
 * Fails with %AFRPC_ERROR_NOT_SUPPORTED over a command; with %AFRPC_ERROR_TOO_LARGE if there are 253 already;
 * with %AFRPC_ERROR_FAILED if it cannot be copied.
 *
 * Returns: the handle (type `h`) to use in the result, or -1 with @error set
 *
 * Since: 1.0
 */
int
afrpc_worker_append_result_fd (AfrpcWorker  *self,
                               int           fd,
                               GError      **error)
{
  AfrpcServedCall *call;

  g_return_val_if_fail (AFRPC_IS_WORKER (self), -1);
  g_return_val_if_fail (fd >= 0, -1);

  call = afrpc_session_get_current (&self->session);

  g_return_val_if_fail (call != NULL, -1);

  return afrpc_session_append_fd (&self->session, call, fd, error);
}

/**
 * afrpc_worker_flush:
 * @self: the worker
 *
 * Writes all events and results to the parent's socket before it returns.
 *
 * What has been flushed reaches the parent even if the worker dies right afterwards.
 *
 * Since: 1.0
 */
void
afrpc_worker_flush (AfrpcWorker *self)
{
  g_return_if_fail (AFRPC_IS_WORKER (self));

  if (afrpc_session_check_thread (&self->session, G_STRFUNC))
    afrpc_session_flush (&self->session);
}

/**
 * afrpc_worker_retire:
 * @self: the worker
 *
 * Asks for no new calls: for a worker that has done enough, or has grown too large.
 *
 * What is made of that is the caller's affair. One that has several workers calls another, and closes this one; an
 * [class@Afrpc.Proxy] has no other, and goes on, but tells its program: [property@Afrpc.Proxy:retired]. The worker goes on
 * as well, and answers every call that it gets, until it is closed.
 *
 * May be called from an init function, and more than once, which changes nothing.
 *
 * Since: 1.0
 */
void
afrpc_worker_retire (AfrpcWorker *self)
{
  g_return_if_fail (AFRPC_IS_WORKER (self));

  if (afrpc_session_check_thread (&self->session, G_STRFUNC))
    afrpc_session_retire (&self->session);
}

/**
 * afrpc_worker_is_cancelled:
 * @self: the worker
 *
 * Whether the call that a sync function runs has been cancelled, or its time limit has passed: nobody
 * waits for its result any more.
 *
 * Costs no system call, so a function may look often; over a [command][ctor@Afrpc.Process.new_command] it costs
 * one. In an async worker, ask the
 * [method@Afrpc.Invocation.is_cancelled] of each call.
 *
 * Returns: %TRUE if the function may stop
 *
 * Since: 1.0
 */
gboolean
afrpc_worker_is_cancelled (AfrpcWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), FALSE);

  return afrpc_serve_is_cancelled (&self->session);
}

/**
 * afrpc_worker_begin_part: (skip)
 * @self: the worker
 *
 * Says that the call that a sync function runs consists of many, and that the next of these is begun. Should the worker
 * die, the program knows how many were.
 *
 * Returns: %FALSE if it is not to be begun, nor what comes behind it
 *
 * Since: 1.0
 */
gboolean
afrpc_worker_begin_part (AfrpcWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), FALSE);

  return afrpc_serve_begin_part (&self->session);
}

/**
 * afrpc_worker_save: (skip)
 * @self: the worker
 * @data: some bytes
 * @size: how many
 *
 * Keeps bytes for the program, behind those that were kept before of the call that a sync function runs: it gets them if
 * the worker dies before it answers.
 *
 * Returns: %FALSE if there is no room
 *
 * Since: 1.0
 */
gboolean
afrpc_worker_save (AfrpcWorker   *self,
                   gconstpointer  data,
                   gsize          size)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), FALSE);

  return afrpc_serve_save (&self->session, data, size);
}

/**
 * afrpc_worker_check_result: (skip)
 * @self: the worker
 * @type_length: characters of a type
 * @size: bytes of a value
 * @error: return location for an error
 *
 * Sees whether that could be the result of the call that a sync function runs, which is not serialised.
 *
 * Returns: %FALSE with the error that the call would fail with
 *
 * Since: 1.0
 */
gboolean
afrpc_worker_check_result (AfrpcWorker  *self,
                           gsize         type_length,
                           gsize         size,
                           GError      **error)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), FALSE);

  return afrpc_session_check_result (&self->session, type_length, size, error);
}

/**
 * afrpc_worker_get_serialiser:
 * @self: the worker
 *
 * Gets how values travel between the program and this worker: for hosts of languages that convert values
 * accordingly.
 *
 * Known once the init function has returned.
 *
 * Returns: (transfer none) (nullable): the serialiser, or %NULL if values travel as they are
 *
 * Since: 1.0
 */
AfrpcSerialiser *
afrpc_worker_get_serialiser (AfrpcWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), NULL);

  return afrpc_session_get_serialiser (&self->session);
}

/**
 * afrpc_worker_get_function:
 * @self: the worker
 *
 * Gets the name of the function that the process was started for.
 *
 * It is known in an init function too. A call may have asked for another one: see [property@Afrpc.CallOptions:function].
 *
 * Returns: (transfer none) (nullable): the name, or %NULL before that is known, while modules are loaded
 *
 * Since: 1.0
 */
const char *
afrpc_worker_get_function (AfrpcWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), NULL);

  return afrpc_session_get_function (&self->session);
}

/**
 * afrpc_worker_get_args:
 * @self: the worker
 *
 * Gets the arguments that the process was prepared with.
 *
 * Returns: (transfer none): a tuple of what was sent with [method@Afrpc.Process.send_arg]
 *
 * Since: 1.0
 */
GVariant *
afrpc_worker_get_args (AfrpcWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), NULL);

  return afrpc_start_args_get_tuple (afrpc_session_get_start (&self->session));
}

/**
 * afrpc_worker_get_n_fds:
 * @self: the worker
 *
 * Gets how many file descriptors the process was prepared with.
 *
 * Returns: how many were sent with [method@Afrpc.Process.send_fd]
 *
 * Since: 1.0
 */
guint
afrpc_worker_get_n_fds (AfrpcWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), 0);

  return afrpc_start_args_get_n_fds (afrpc_session_get_start (&self->session));
}

/**
 * afrpc_worker_steal_fd:
 * @self: the worker
 * @index: which one, counted from 0 in the order of [method@Afrpc.Process.send_fd]
 *
 * Takes a file descriptor that the process was prepared with. It is close-on-exec.
 *
 * Returns: the file descriptor, which becomes the caller's, or -1 if it was taken before
 *
 * Since: 1.0
 */
int
afrpc_worker_steal_fd (AfrpcWorker *self,
                       guint        index)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), -1);
  g_return_val_if_fail (index < afrpc_worker_get_n_fds (self), -1);

  return afrpc_start_args_steal_fd (afrpc_session_get_start (&self->session), index);
}

/**
 * afrpc_worker_get_fd_position:
 * @self: the worker
 * @index: which one, counted from 0 in the order of [method@Afrpc.Process.send_fd]
 *
 * Gets how many arguments were sent before a file descriptor: for languages that pass both in one list.
 *
 * Returns: how often [method@Afrpc.Process.send_arg] was called before that [method@Afrpc.Process.send_fd]
 *
 * Since: 1.0
 */
guint
afrpc_worker_get_fd_position (AfrpcWorker *self,
                              guint        index)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), 0);
  g_return_val_if_fail (index < afrpc_worker_get_n_fds (self), 0);

  return afrpc_start_args_get_position (afrpc_session_get_start (&self->session), index);
}

/**
 * afrpc_worker_exit: (skip)
 * @self: (nullable): the worker, of which nothing is needed as yet: there is one in a process
 * @status: an exit status
 *
 * Ends a process that was forked, from anywhere, with no more than what it has to do itself: handlers of atexit(3) are its
 * template's. Buffers of stdio are written, and the process group ends that it leads.
 *
 * For hosts that leave by themselves, in the middle of a call.
 *
 * Since: 1.0
 */
void
afrpc_worker_exit (AfrpcWorker *self,
                   int          status)
{
  afrpc_group_end ();
  fflush (NULL);
  _exit (status);
}

/**
 * afrpc_worker_kill: (skip)
 * @self: (nullable): the worker, of which nothing is needed: whoever handles a signal need not find it
 *
 * Ends the process by SIGKILL, with the process group that it leads. A handler of a signal may call it.
 *
 * For hosts that are told of their program's end by a signal, where nothing else ends the worker.
 *
 * Since: 1.0
 */
void
afrpc_worker_kill (AfrpcWorker *self)
{
  kill (afrpc_group_is_ours () ? 0 : getpid (), SIGKILL);
}
