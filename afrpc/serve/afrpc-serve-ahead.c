/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <poll.h>
#include <string.h>

#include "afrpc-error.h"
#include "serve/afrpc-worker-private.h"

/* A worker without a shared page learns what was cancelled from frames, which lie behind calls that are
 * waiting: it reads ahead, so far. */
#define AHEAD_CALLS_MAX 4096u
#define AHEAD_SIZE_MAX (4u << 20) /* bytes of arguments */

typedef struct
{
  AfrpcServedCall served;
  GVariant *args; /* (nullable): or error */
  GError *error;
  gboolean cancelled;
} AheadCall;

static void
ahead_call_free (AheadCall *call)
{
  g_clear_pointer (&call->args, g_variant_unref);
  g_clear_error (&call->error);
  afrpc_served_call_clear (&call->served);
  g_free (call);
}

static gsize
get_size (const AheadCall *call)
{
  return call->args != NULL ? g_variant_get_size (call->args) : 0;
}

void
afrpc_worker_clear_ahead (AfrpcWorker *self)
{
  g_queue_clear_full (&self->ahead, (GDestroyNotify) ahead_call_free);
  g_clear_error (&self->ahead_error);
}

static void
cancel (AfrpcWorker *self,
        guint64      serial)
{
  if (serial == self->call.serial)
    self->cancelled = TRUE;

  for (GList *l = self->ahead.head; l != NULL; l = l->next)
    {
      AheadCall *call = l->data;

      if (call->served.serial == serial)
        call->cancelled = TRUE;
    }

  /* Last, because it may call handlers that run a main loop. */
  if (self->backend == AFRPC_BACKEND_ASYNC)
    afrpc_worker_cancel_call (self, serial);
}

/* Returns FALSE if the parent sent what it should not. */
static gboolean
take_frame (AfrpcWorker      *self,
            const AfrpcFrame *frame)
{
  AheadCall *call;

  if (frame->header.kind == AFRPC_FRAME_CANCEL)
    {
      cancel (self, frame->header.serial);
      return TRUE;
    }
  if (frame->header.kind != AFRPC_FRAME_CALL)
    {
      g_set_error (&self->ahead_error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected frame %u", frame->header.kind);
      return FALSE;
    }

  call = g_new0 (AheadCall, 1);
  call->args = afrpc_worker_parse_call (self, frame, &call->served, &call->error);
  self->ahead_size += get_size (call);
  g_queue_push_tail (&self->ahead, call);

  return TRUE;
}

/* Reads what has arrived; FALSE if there is nothing. */
static gboolean
read_arrived (AfrpcWorker *self)
{
  struct pollfd poller = { self->stream.in_fd, POLLIN, 0 };

  if (poll (&poller, 1, 0) != 1)
    return FALSE;

  switch (afrpc_stream_read (&self->stream, &self->ahead_error))
    {
    case AFRPC_STREAM_DONE:
      return TRUE;

    case AFRPC_STREAM_AGAIN:
      return FALSE;

    default:
      self->eof = TRUE;
      return FALSE;
    }
}

/* Takes notice of what has arrived, without waiting. */
void
afrpc_worker_look_ahead (AfrpcWorker *self)
{
  while (!self->eof && self->ahead.length < AHEAD_CALLS_MAX && self->ahead_size < AHEAD_SIZE_MAX)
    {
      AfrpcFrame frame;

      switch (afrpc_stream_next (&self->stream, &frame, &self->ahead_error))
        {
        case AFRPC_STREAM_DONE:
          if (!take_frame (self, &frame))
            self->eof = TRUE;
          break;

        case AFRPC_STREAM_AGAIN:
          if (!read_arrived (self))
            return;
          break;

        default:
          self->eof = TRUE;
          break;
        }
    }
}

static void
run_call (AfrpcWorker *self,
          AheadCall   *call)
{
  g_autoptr(GError) error = NULL;
  GVariant *result;

  if (!call->cancelled)
    call->args = afrpc_worker_unpack (self, &call->served, call->args, &call->error);
  if (call->cancelled)
    afrpc_worker_answer_cancelled (self, call->served.serial);
  else if (call->args == NULL)
    afrpc_worker_answer (self, &call->served, NULL, call->error);
  else if (self->backend == AFRPC_BACKEND_ASYNC)
    {
      afrpc_worker_mark_started (self, call->served.serial);
      afrpc_worker_start_call (self, &call->served, call->args);
    }
  else
    {
      afrpc_worker_mark_started (self, call->served.serial);
      self->call = call->served;
      memset (&call->served, 0, sizeof call->served);
      self->cancelled = FALSE;
      result = afrpc_host_call (self->host, self->function, self, call->args, &error);
      afrpc_worker_answer (self, &self->call, result, error);
    }
}

/* Runs the next call, if one has arrived that was not cancelled by now. */
gboolean
afrpc_worker_run_ahead (AfrpcWorker *self)
{
  AheadCall *call;

  afrpc_worker_look_ahead (self);
  call = g_queue_pop_head (&self->ahead);
  if (call == NULL)
    return FALSE;

  self->ahead_size -= get_size (call);
  run_call (self, call);
  ahead_call_free (call);

  return TRUE;
}

/* As afrpc_worker_serve_sync(), without a shared page. */
gboolean
afrpc_worker_serve_ahead (AfrpcWorker  *self,
                          GError      **error)
{
  while (!self->gone)
    {
      if (afrpc_worker_run_ahead (self))
        continue;

      if (!self->eof)
        {
          afrpc_host_wait (self->host, self->stream.in_fd);
          afrpc_worker_wait_readable (self);
        }
      else if (self->ahead_error != NULL)
        {
          g_propagate_error (error, g_steal_pointer (&self->ahead_error));
          return FALSE;
        }
      else
        return TRUE;
    }

  return TRUE;
}
