/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "serialise/afrpc-pack.h"
#include "serve/afrpc-stdio.h"
#include "serve/afrpc-worker-private.h"

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

G_DEFINE_FINAL_TYPE (AfrpcWorker, afrpc_worker, G_TYPE_OBJECT)

/* The names of GIO's error domain and code, which a worker without GIO cannot ask it for. */
#define CANCELLED_DOMAIN "g-io-error-quark"
#define CANCELLED_CODE 19

/* With more than this waiting to be written, the parent does not keep up. */
#define ROOM_QUEUED_MAX 65536u /* bytes */

static void
afrpc_worker_finalize (GObject *object)
{
  AfrpcWorker *self = AFRPC_WORKER (object);

  afrpc_stream_clear (&self->stream);
  afrpc_worker_clear_ahead (self);
  afrpc_served_call_clear (&self->call);
  if (self->lifeline_fd >= 0)
    close (self->lifeline_fd);
  if (self->control_fd >= 0)
    close (self->control_fd);
  g_clear_pointer (&self->hello, g_variant_unref);
  g_clear_object (&self->serialiser);
  g_clear_pointer (&self->page, afrpc_page_unmap);
  g_clear_pointer (&self->arg_list, g_ptr_array_unref);
  g_clear_pointer (&self->args, g_variant_unref);
  for (guint i = 0; i < self->fds->len; i++)
    if (g_array_index (self->fds, int, i) >= 0)
      close (g_array_index (self->fds, int, i));
  g_clear_pointer (&self->fds, g_array_unref);
  g_clear_pointer (&self->fd_positions, g_array_unref);
  for (guint i = 0; i < self->children->len; i++)
    close (g_array_index (self->children, AfrpcWorkerChild, i).pidfd);
  g_clear_pointer (&self->children, g_array_unref);
  g_clear_pointer (&self->invocations, g_ptr_array_unref);
  g_clear_pointer (&self->spare_invocations, g_ptr_array_unref);
  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_clear_pointer (&self->source, g_source_unref);

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
  self->lifeline_fd = self->control_fd = -1;
  self->fds = g_array_new (FALSE, FALSE, sizeof (int));
  self->fd_positions = g_array_new (FALSE, FALSE, sizeof (guint));
  self->children = g_array_new (FALSE, FALSE, sizeof (AfrpcWorkerChild));
  self->arg_list = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
}

AfrpcWorker *
afrpc_worker_new (AfrpcHost *host,
                  int        fd)
{
  AfrpcWorker *self = g_object_new (AFRPC_TYPE_WORKER, NULL);

  self->host = host;
  afrpc_worker_init_stream (self, fd);

  return self;
}

/* Begins a conversation on @fd, which becomes the worker's. */
void
afrpc_worker_init_stream (AfrpcWorker *self,
                          int          fd)
{
  if (self->stream.in != NULL)
    afrpc_stream_restart (&self->stream, fd);
  else
    afrpc_stream_init (&self->stream, fd, fd, TRUE);
  self->stream.size_max = AFRPC_FRAME_PREPARE_SIZE_MAX;
  self->message_size_max = AFRPC_FRAME_ANSWER_SIZE_MAX;
}

/* A worker at the other end of a command; see afrpc_supervise(). The descriptors become the worker's. */
AfrpcWorker *
afrpc_worker_new_stdio (AfrpcHost             *host,
                        const AfrpcSupervised *supervised)
{
  AfrpcWorker *self = afrpc_worker_new (host, supervised->in_fd);

  self->stream.out_fd = supervised->out_fd;
  self->stream.is_socket = afrpc_stdio_is_socket (supervised->in_fd) && afrpc_stdio_is_socket (supervised->out_fd);
  self->stream.out_guard = AFRPC_FRAME_GUARD_SIZE;
  self->lifeline_fd = supervised->lifeline_fd;
  self->control_fd = supervised->control_fd;
  self->goodbye_serial = supervised->goodbye_serial;

  return self;
}

/* Waits until there may be something to read. */
void
afrpc_worker_wait_readable (AfrpcWorker *self)
{
  struct pollfd poller = { self->stream.in_fd, POLLIN, 0 };

  poll (&poller, 1, -1);
}

/* Sends all that is queued, however long the parent takes. */
void
afrpc_worker_flush_blocking (AfrpcWorker *self)
{
  while (!self->gone && afrpc_stream_get_queued (&self->stream) > 0)
    {
      struct pollfd poller = { self->stream.out_fd, POLLOUT, 0 };

      switch (afrpc_stream_flush (&self->stream, NULL))
        {
        case AFRPC_STREAM_AGAIN:
          if (self->stream.crowded)
            poll (NULL, 0, AFRPC_STREAM_CROWDED_MS);
          else
            poll (&poller, 1, -1);
          break;

        case AFRPC_STREAM_DONE:
          break;

        default:
          self->gone = TRUE;
          break;
        }
    }
}

gboolean
afrpc_worker_check_size (AfrpcWorker         *self,
                         const AfrpcPayload  *payload,
                         GError             **error)
{
  if (payload->type_length > AFRPC_FRAME_TYPE_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "too large: the type has more than %u characters", AFRPC_FRAME_TYPE_MAX);
      return FALSE;
    }
  if (payload->size > self->message_size_max)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "too large: %" G_GSIZE_FORMAT " bytes, the limit is %" G_GUINT64_FORMAT,
                   payload->size, self->message_size_max);
      return FALSE;
    }

  return TRUE;
}

/* What is sent of a value, and kept by @packed (transfer full) meanwhile: FALSE with an error if it cannot be. */
gboolean
afrpc_worker_pack (AfrpcWorker   *self,
                   GVariant      *value,
                   GVariant     **packed,
                   AfrpcPayload  *payload,
                   GError       **error)
{
  *packed = self->serialiser != NULL ? afrpc_pack (self->serialiser, value, error) : g_variant_ref (value);
  if (*packed == NULL)
    return FALSE;

  *payload = afrpc_payload (*packed);
  if (self->serialiser != NULL)
    payload->flags |= AFRPC_FRAME_FLAG_SERIALISED;

  return afrpc_worker_check_size (self, payload, error);
}

/* Returns: (nullable) (transfer full): what the parent has sent as @args (nullable) (transfer full). */
GVariant *
afrpc_worker_unpack (AfrpcWorker            *self,
                     const AfrpcServedCall  *call,
                     GVariant               *args,
                     GError                **error)
{
  const gboolean is_serialised = (call->flags & AFRPC_FRAME_FLAG_SERIALISED) != 0;
  g_autoptr(GVariant) packed = args;

  if (packed == NULL)
    return NULL;
  if (is_serialised != (self->serialiser != NULL))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a call that is %s",
                   is_serialised ? "serialised" : "not serialised");
      return NULL;
    }

  return is_serialised ? afrpc_unpack (self->serialiser, packed, error) : g_steal_pointer (&packed);
}

/* Whether so many descriptors can go with one message. */
gboolean
afrpc_worker_check_fds (AfrpcWorker  *self,
                        guint         n_fds,
                        GError      **error)
{
  if (!self->stream.is_socket || self->stream.out_guard > 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   "file descriptors cannot be passed over a command");
      return FALSE;
    }
  if (n_fds > AFRPC_FRAME_FDS_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "more than %u file descriptors in one message", AFRPC_FRAME_FDS_MAX);
      return FALSE;
    }

  return TRUE;
}

/* Returns: (transfer full): a copy, or -1 */
int
afrpc_worker_copy_fd (int      fd,
                      GError **error)
{
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 0);

  if (copy < 0)
    {
      int saved_errno = errno;

      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "copying a file descriptor: %s",
                   g_strerror (saved_errno));
    }

  return copy;
}

/* Whether the parent keeps up with what is written. */
gboolean
afrpc_worker_has_room (AfrpcWorker *self)
{
  struct pollfd poller = { self->stream.out_fd, POLLOUT, 0 };

  return self->gone || (afrpc_stream_get_queued (&self->stream) < ROOM_QUEUED_MAX && poll (&poller, 1, 0) == 1);
}

void
afrpc_worker_send_error (AfrpcWorker    *self,
                         AfrpcFrameKind  kind,
                         guint64         serial,
                         const GError   *error)
{
  g_autoptr(GVariant) value = afrpc_value_pack_error (error);

  if (g_variant_get_size (value) > self->message_size_max)
    {
      g_variant_unref (value);
      value = g_variant_ref_sink (g_variant_new ("(sis)", g_quark_to_string (AFRPC_ERROR), AFRPC_ERROR_TOO_LARGE,
                                                 "the error's message is too large"));
    }
  afrpc_stream_put_value (&self->stream, kind, serial, value);
}

/* Answers a call, and is done with it: with @value (transfer full, floating or not), or @error, or, having
 * neither, saying so. */
void
afrpc_worker_answer (AfrpcWorker     *self,
                     AfrpcServedCall *call,
                     GVariant        *value,
                     const GError    *error)
{
  g_autoptr(GVariant) result = value != NULL ? g_variant_take_ref (value) : NULL;
  g_autoptr(GVariant) packed = NULL;
  g_autoptr(GError) own_error = NULL;
  g_auto(AfrpcServedCall) done = *call;
  AfrpcPayload payload;

  memset (call, 0, sizeof *call);

  /* An orphan that finishes its calls answers nobody. */
  if (self->gone)
    return;

  if (error == NULL && result == NULL)
    g_set_error (&own_error, AFRPC_ERROR, AFRPC_ERROR_NO_RESULT,
                 "the function gave neither a result nor an error");
  else if (error == NULL && !afrpc_worker_pack (self, result, &packed, &payload, &own_error))
    g_prefix_error (&own_error, "the result cannot be sent: ");

  afrpc_served_call_send_latest (&done, self);
  if (error != NULL || own_error != NULL)
    afrpc_worker_send_error (self, AFRPC_FRAME_ERROR, done.serial, error != NULL ? error : own_error);
  else
    {
      if (done.result_fds != NULL)
        {
          payload.n_fds = done.result_fds->len;
          payload.fds = (const int *) done.result_fds->data;
        }
      afrpc_stream_put_payload (&self->stream, AFRPC_FRAME_RESULT, done.serial, &payload);
      if (done.result_fds != NULL)
        g_array_set_size (done.result_fds, 0); /* they are the stream's */
    }

  afrpc_worker_queued (self);
}

void
afrpc_worker_answer_cancelled (AfrpcWorker *self,
                               guint64      serial)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (
    g_variant_new ("(sis)", CANCELLED_DOMAIN, CANCELLED_CODE, "the call was cancelled"));

  afrpc_stream_put_value (&self->stream, AFRPC_FRAME_ERROR, serial, value);
  afrpc_worker_queued (self);
}

/* Lets the parent know, whatever happens next, that a call has been started. */
void
afrpc_worker_mark_started (AfrpcWorker *self,
                           guint64      serial)
{
  if (self->page != NULL)
    afrpc_page_start (self->page, serial);
  else
    {
      afrpc_stream_put_value (&self->stream, AFRPC_FRAME_STARTED, serial, NULL);
      afrpc_worker_flush_blocking (self);
    }
}

/* Takes a call from its frame; returns its arguments, or why it cannot be run. */
GVariant *
afrpc_worker_parse_call (AfrpcWorker       *self,
                         const AfrpcFrame  *frame,
                         AfrpcServedCall   *call,
                         GError           **error)
{
  afrpc_served_call_init (call, self, frame);
  if (frame->fds_lost)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED,
                   "the worker has too many open files to receive the call's file descriptors");
      return NULL;
    }

  return afrpc_stream_parse_value (&self->stream, frame, error);
}

/* Whether a call is to be run: returns its arguments, or answers it. */
GVariant *
afrpc_worker_begin_call (AfrpcWorker      *self,
                         const AfrpcFrame *frame,
                         AfrpcServedCall  *call)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) args = NULL;

  args = afrpc_worker_unpack (self, call, afrpc_worker_parse_call (self, frame, call, &error), &error);
  if (args == NULL)
    {
      afrpc_worker_answer (self, call, NULL, error);
      return NULL;
    }

  afrpc_worker_mark_started (self, frame->header.serial);
  if (afrpc_page_is_cancelled (self->page, frame->header.serial))
    {
      afrpc_served_call_clear (call);
      afrpc_worker_answer_cancelled (self, frame->header.serial);
      return NULL;
    }

  return g_steal_pointer (&args);
}

static gboolean
copy_fds (AfrpcWorker  *self,
          const int    *fds,
          gsize         n_fds,
          int          *copies,
          GError      **error)
{
  if (n_fds > 0 && !afrpc_worker_check_fds (self, MIN (n_fds, G_MAXUINT), error))
    return FALSE;

  for (gsize i = 0; i < n_fds; i++)
    {
      copies[i] = afrpc_worker_copy_fd (fds[i], error);
      if (copies[i] >= 0)
        continue;

      while (i-- > 0)
        close (copies[i]);
      return FALSE;
    }

  return TRUE;
}

static gboolean
send_event (AfrpcWorker  *self,
            GVariant     *event,
            const int    *fds,
            gsize         n_fds,
            GError      **error)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (event);
  g_autoptr(GVariant) packed = NULL;
  AfrpcPayload payload;
  int copies[AFRPC_FRAME_FDS_MAX];

  if (!self->serving)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the worker is not ready yet");
      return FALSE;
    }
  if (self->gone)
    return TRUE;
  if (!afrpc_worker_pack (self, value, &packed, &payload, error))
    return FALSE;
  if (!copy_fds (self, fds, n_fds, copies, error))
    return FALSE;

  payload.fds = copies;
  payload.n_fds = n_fds;
  afrpc_stream_put_payload (&self->stream, AFRPC_FRAME_EVENT, 0, &payload);
  afrpc_worker_queued (self);

  return TRUE;
}

/**
 * afrpc_worker_event:
 * @self: the worker
 * @event: a value; a floating reference is consumed
 *
 * Sends an event to the parent, where [signal@Afrpc.Proxy::event] is emitted.
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

  if (!send_event (self, event, NULL, 0, &error))
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
 * [method@Afrpc.Proxy.get_event_fds].
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

  return send_event (self, event, fds, n_fds, error);
}

/**
 * afrpc_worker_progress:
 * @self: the worker
 * @progress: a value; a floating reference is consumed
 *
 * Tells how far the call has come that a sync function runs.
 *
 * It reaches the caller before the result, in order, if the call was made with
 * [method@Afrpc.Proxy.call_with_progress]; otherwise this does nothing. In an async worker see
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
  g_return_if_fail (AFRPC_IS_WORKER (self));
  g_return_if_fail (progress != NULL);

  afrpc_served_call_progress (&self->call, self, progress);
}

/**
 * afrpc_worker_get_n_call_fds:
 * @self: the worker
 *
 * Gets how many file descriptors came with the call that a sync function runs.
 *
 * Returns: how many were in the list of [method@Afrpc.Proxy.call_with_fds]
 *
 * Since: 1.0
 */
guint
afrpc_worker_get_n_call_fds (AfrpcWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_WORKER (self), 0);

  return afrpc_served_call_get_n_fds (&self->call);
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
  g_return_val_if_fail (AFRPC_IS_WORKER (self), -1);

  return afrpc_served_call_steal_fd (&self->call, handle);
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
  g_return_val_if_fail (AFRPC_IS_WORKER (self), -1);
  g_return_val_if_fail (fd >= 0, -1);
  g_return_val_if_fail (self->call.serial != 0, -1);

  return afrpc_served_call_append_fd (&self->call, self, fd, error);
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

  afrpc_worker_flush_blocking (self);
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

  if (self->call.serial == 0)
    return FALSE;
  if (self->page != NULL)
    return afrpc_page_is_cancelled (self->page, self->call.serial);

  if (!self->cancelled)
    afrpc_worker_look_ahead (self);

  return self->cancelled;
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

  if (self->args == NULL)
    {
      self->args = g_variant_ref_sink (g_variant_new_tuple ((GVariant **) self->arg_list->pdata,
                                                            self->arg_list->len));
      g_ptr_array_set_size (self->arg_list, 0);
    }

  return self->args;
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

  return self->fds->len;
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
  int fd;

  g_return_val_if_fail (AFRPC_IS_WORKER (self), -1);
  g_return_val_if_fail (index < self->fds->len, -1);

  fd = g_array_index (self->fds, int, index);
  g_array_index (self->fds, int, index) = -1;

  return fd;
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
  g_return_val_if_fail (index < self->fd_positions->len, 0);

  return g_array_index (self->fd_positions, guint, index);
}
