/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <fcntl.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "serve/afrpc-stdio.h"
#include "serve/afrpc-worker-private.h"

/* Answers and events are written at the latest when they have this size, so that the parent can
 * work on them while more are made. */
#define FLUSH_SIZE 4096u /* bytes */

/* A parent that does not read stops the worker once so much waits. */
#define QUEUED_MAX (1u << 20) /* bytes */

#define AHEAD_RUN_MAX 64 /* calls */

typedef struct
{
  GSource source;
  AfrpcWorker *worker;
} ServeSource;

/* Called whenever something has been queued. */
void
afrpc_worker_queued (AfrpcWorker *self)
{
  gsize queued = afrpc_stream_get_queued (&self->stream);

  if (self->backend == AFRPC_BACKEND_SYNC || queued >= QUEUED_MAX)
    afrpc_worker_flush_blocking (self);
  else if (queued >= FLUSH_SIZE && !self->gone && afrpc_stream_flush (&self->stream, NULL) == AFRPC_STREAM_EOF)
    self->gone = TRUE;
}

void
afrpc_worker_start_call (AfrpcWorker     *self,
                         AfrpcServedCall *call, /* (transfer full): its contents */
                         GVariant        *args)
{
  const guint64 serial = call->serial;
  AfrpcInvocation *invocation = afrpc_invocation_new (self, call, args);

  self->invoking = serial;
  afrpc_host_invoke (self->host, self->function, invocation);
  self->invoking = 0;
  afrpc_invocation_release (invocation);
}

static void
begin_call (AfrpcWorker      *self,
            const AfrpcFrame *frame)
{
  AfrpcServedCall call;
  g_autoptr(GVariant) args = afrpc_worker_begin_call (self, frame, &call);

  if (args != NULL)
    afrpc_worker_start_call (self, &call, args);
}

void
afrpc_worker_cancel_call (AfrpcWorker *self,
                          guint64      serial)
{
  const guint32 slot = afrpc_serial_slot (serial);

  /* Otherwise it has been answered meanwhile. */
  if (slot < self->invocations->len && self->invocations->pdata[slot] != NULL)
    afrpc_invocation_cancel (self->invocations->pdata[slot], serial);
}

static gboolean
handle_frames (AfrpcWorker  *self,
               GError      **error)
{
  for (;;)
    {
      AfrpcFrame frame;
      AfrpcStreamStep step = afrpc_stream_next (&self->stream, &frame, error);

      if (step != AFRPC_STREAM_DONE)
        return step == AFRPC_STREAM_AGAIN;

      switch (frame.header.kind)
        {
        case AFRPC_FRAME_CALL:
          begin_call (self, &frame);
          break;

        case AFRPC_FRAME_CANCEL:
          afrpc_worker_cancel_call (self, frame.header.serial);
          break;

        case AFRPC_FRAME_DISMISS:
          self->dismissed = TRUE;
          break;

        default:
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected frame %u", frame.header.kind);
          return FALSE;
        }
    }
}

/* FALSE: there is nothing more to read, for now or ever. */
static gboolean
read_frames (AfrpcWorker *self)
{
  g_autoptr(GError) error = NULL;
  AfrpcStreamStep step = self->has_read ? AFRPC_STREAM_DONE : afrpc_stream_read (&self->stream, &error);

  self->has_read = FALSE;
  if (step == AFRPC_STREAM_EOF || step == AFRPC_STREAM_ERROR ||
      (step == AFRPC_STREAM_DONE && !handle_frames (self, &error)))
    self->eof = TRUE;
  if (error != NULL)
    g_printerr ("afrpc worker: %s\n", error->message);

  return step == AFRPC_STREAM_DONE && !self->eof;
}

/* The same without a shared page, for so many calls at once that other sources have their turn. */
static void
read_ahead (AfrpcWorker *self)
{
  self->has_read = FALSE;
  for (guint i = 0; i < AHEAD_RUN_MAX && afrpc_worker_run_ahead (self); i++)
    ;
  if (self->ahead_error != NULL)
    {
      g_printerr ("afrpc worker: %s\n", self->ahead_error->message);
      g_clear_error (&self->ahead_error);
    }
}

/* At the end of input, when nothing is outstanding and everything is written, whatever other sources
 * the main loop has. */
static gboolean
is_done (AfrpcWorker *self)
{
  return self->eof && self->n_outstanding == 0 && self->ahead.length == 0 &&
         (self->gone || afrpc_stream_get_queued (&self->stream) == 0);
}

/* A socket that nobody has the other end of would wake the main loop all the time, until the last call has
 * been answered. */
static void
stop_watching (AfrpcWorker *self)
{
  /* What the parent sent before it died counts as given. */
  while (!self->eof && self->orphan_policy != AFRPC_ORPHAN_POLICY_END && read_frames (self))
    ;
  self->eof = TRUE;
  if (self->socket_tag != NULL)
    g_source_remove_unix_fd (self->source, g_steal_pointer (&self->socket_tag));
}

static gboolean
is_free_orphan (AfrpcWorker *self)
{
  return self->orphan_policy == AFRPC_ORPHAN_POLICY_IGNORE && !self->dismissed;
}

/* Whether there is something to do that no file descriptor tells. */
static gboolean
is_ready (AfrpcWorker *self)
{
  return (self->gone && self->socket_tag != NULL) || is_done (self) || self->ahead.length > 0 || self->has_read;
}

static void
check_done (AfrpcWorker *self)
{
  if (self->gone)
    stop_watching (self);
  if (!is_done (self))
    return;

  g_source_destroy (self->source);
  if (self->done == 0 && !is_free_orphan (self))
    {
      g_main_loop_quit (self->loop);
      return;
    }

  /* The parent, if there is one, sees the end; the process lives on for as long as its functions want. */
  afrpc_stream_clear (&self->stream);
  self->gone = TRUE;
  if (self->done != 0)
    afrpc_host_done (self->host, self->done, self);
}

static void
watch_events (AfrpcWorker  *self,
              GIOCondition  events)
{
  self->socket_events = events;
  if (self->out_tag == NULL)
    {
      g_source_modify_unix_fd (self->source, self->socket_tag, events);
      return;
    }

  if (self->socket_tag != NULL)
    g_source_modify_unix_fd (self->source, self->socket_tag, events & G_IO_IN);
  g_source_modify_unix_fd (self->source, self->out_tag, events & G_IO_OUT);
}

static GIOCondition
query (AfrpcWorker *self,
       gpointer     tag)
{
  return tag != NULL ? g_source_query_unix_fd (self->source, tag) : 0;
}

/* Progress that was held back, now that the parent reads again. */
static void
send_latest (AfrpcWorker *self)
{
  self->has_latest = FALSE;
  for (guint i = 0; i < self->invocations->len; i++)
    if (self->invocations->pdata[i] != NULL)
      afrpc_invocation_send_latest (self->invocations->pdata[i]);
}

static gboolean
serve_source_prepare (GSource *source,
                      int     *timeout_ms)
{
  AfrpcWorker *self = ((ServeSource *) source)->worker;
  GIOCondition events = self->eof ? 0 : G_IO_IN;

  if (self->has_latest && afrpc_worker_has_room (self))
    send_latest (self);

  if (!self->gone && afrpc_stream_get_queued (&self->stream) > 0)
    {
      AfrpcStreamStep step = afrpc_stream_flush (&self->stream, NULL);

      /* A parent that does not read its answers gets no more of them. */
      if (step == AFRPC_STREAM_AGAIN && self->stream.crowded)
        *timeout_ms = AFRPC_STREAM_CROWDED_MS;
      else if (step == AFRPC_STREAM_AGAIN)
        events = G_IO_OUT | (afrpc_stream_get_queued (&self->stream) < QUEUED_MAX / 2 ? events : 0);
      else if (step != AFRPC_STREAM_DONE)
        self->gone = TRUE;
    }

  if (self->has_latest)
    events |= G_IO_OUT;

  /* This wakes the main context up, so only if something changes. */
  if (events != self->socket_events && (self->socket_tag != NULL || self->out_tag != NULL))
    watch_events (self, events);

  return is_ready (self);
}

static gboolean
serve_source_check (GSource *source)
{
  AfrpcWorker *self = ((ServeSource *) source)->worker;

  return is_ready (self) || query (self, self->socket_tag) != 0 || query (self, self->out_tag) != 0;
}

static gboolean
serve_source_dispatch (GSource     *source,
                       GSourceFunc  callback,
                       gpointer     user_data)
{
  AfrpcWorker *self = ((ServeSource *) source)->worker;
  const GIOCondition events = query (self, self->socket_tag);
  const gboolean is_readable = self->has_read || (!self->eof && (events & ~G_IO_OUT) != 0);

  if ((query (self, self->out_tag) & (G_IO_HUP | G_IO_ERR)) != 0)
    self->gone = TRUE;
  if (self->eof && (events & (G_IO_HUP | G_IO_ERR)) != 0)
    self->gone = TRUE;
  else if (self->page == NULL && (self->ahead.length > 0 || is_readable))
    read_ahead (self);
  else if (is_readable)
    read_frames (self);

  /* A pipe that has ended has nothing else to say, and never stops saying it. */
  if (self->eof && self->out_tag != NULL && self->socket_tag != NULL)
    g_source_remove_unix_fd (source, g_steal_pointer (&self->socket_tag));
  check_done (self);

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs serve_source_funcs = {
  serve_source_prepare,
  serve_source_check,
  serve_source_dispatch,
  NULL,
};

/* Many calls at once, on the default main context. Returns at the end of input, once every call was
 * answered, unless there is a done function. */
gboolean
afrpc_worker_serve_async (AfrpcWorker  *self,
                          GError      **error)
{
  const gboolean is_split = self->stream.out_fd != self->stream.in_fd;

  if (is_split)
    {
      afrpc_stdio_set_nonblock (self->stream.in_fd, O_RDONLY);
      afrpc_stdio_set_nonblock (self->stream.out_fd, O_WRONLY);
    }
  else
    fcntl (self->stream.in_fd, F_SETFL, fcntl (self->stream.in_fd, F_GETFL) | O_NONBLOCK);
  self->invocations = g_ptr_array_new ();
  self->spare_invocations = g_ptr_array_new_with_free_func (g_object_unref);
  self->loop = g_main_loop_new (NULL, FALSE);

  self->has_read = afrpc_stream_has_read (&self->stream);

  self->source = g_source_new (&serve_source_funcs, sizeof (ServeSource));
  ((ServeSource *) self->source)->worker = self;
  g_source_set_static_name (self->source, "[afrpc] serve");
  g_source_set_can_recurse (self->source, TRUE);
  self->socket_events = G_IO_IN;
  self->socket_tag = g_source_add_unix_fd (self->source, self->stream.in_fd, G_IO_IN);
  if (is_split)
    self->out_tag = g_source_add_unix_fd (self->source, self->stream.out_fd, 0);
  g_source_attach (self->source, NULL);

  g_main_loop_run (self->loop);

  return TRUE;
}
