/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-served-call.h"

#include <unistd.h>

#include "afrpc-error.h"
#include "serve/afrpc-worker-private.h"

static void
close_fds (GArray **fds)
{
  if (*fds == NULL)
    return;

  for (guint i = 0; i < (*fds)->len; i++)
    if (g_array_index (*fds, int, i) >= 0)
      close (g_array_index (*fds, int, i));
  g_clear_pointer (fds, g_array_unref);
}

/* Takes the descriptors that came with the frame. */
void
afrpc_served_call_init (AfrpcServedCall  *self,
                        AfrpcWorker      *worker,
                        const AfrpcFrame *frame)
{
  *self = (AfrpcServedCall) { .serial = frame->header.serial, .flags = frame->header.flags };

  if (frame->header.n_fds > 0)
    {
      int fd;

      self->fds = g_array_sized_new (FALSE, FALSE, sizeof (int), frame->header.n_fds);
      while ((fd = afrpc_stream_take_fd (&worker->stream)) >= 0)
        g_array_append_val (self->fds, fd);
    }
}

void
afrpc_served_call_clear (AfrpcServedCall *self)
{
  self->serial = 0;
  close_fds (&self->fds);
  close_fds (&self->result_fds);
  g_clear_pointer (&self->latest, g_variant_unref);
}

guint
afrpc_served_call_get_n_fds (AfrpcServedCall *self)
{
  return self->fds != NULL ? self->fds->len : 0;
}

int
afrpc_served_call_steal_fd (AfrpcServedCall *self,
                            guint            handle)
{
  int fd;

  if (handle >= afrpc_served_call_get_n_fds (self))
    return -1;

  fd = g_array_index (self->fds, int, handle);
  g_array_index (self->fds, int, handle) = -1;

  return fd;
}

/* Returns the handle of a copy of @fd, which goes with the result, or -1. */
int
afrpc_served_call_append_fd (AfrpcServedCall  *self,
                             AfrpcWorker      *worker,
                             int               fd,
                             GError          **error)
{
  int copy;

  if (!afrpc_worker_check_fds (worker, self->result_fds != NULL ? self->result_fds->len + 1 : 1, error))
    return -1;
  copy = afrpc_worker_copy_fd (fd, error);
  if (copy < 0)
    return -1;

  if (self->result_fds == NULL)
    self->result_fds = g_array_new (FALSE, FALSE, sizeof (int));
  g_array_append_val (self->result_fds, copy);

  return self->result_fds->len - 1;
}

static void
send_progress (AfrpcServedCall *self,
               AfrpcWorker     *worker,
               GVariant        *value)
{
  g_autoptr(GVariant) packed = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcPayload payload;

  if (!afrpc_worker_pack (worker, value, &packed, &payload, &error))
    g_warning ("progress was not sent: %s", error->message);
  else
    {
      afrpc_stream_put_payload (&worker->stream, AFRPC_FRAME_PROGRESS, self->serial, &payload);
      afrpc_worker_queued (worker);
    }
}

/* Sends what was held back, if anything was. */
void
afrpc_served_call_send_latest (AfrpcServedCall *self,
                               AfrpcWorker     *worker)
{
  g_autoptr(GVariant) latest = g_steal_pointer (&self->latest);

  if (latest != NULL && !worker->gone)
    send_progress (self, worker, latest);
}

/* Sends progress to a parent that wants it. One that wants only the latest gets no more than it reads. */
void
afrpc_served_call_progress (AfrpcServedCall *self,
                            AfrpcWorker     *worker,
                            GVariant        *value)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink (value);

  if ((self->flags & AFRPC_FRAME_FLAG_PROGRESS) == 0 || worker->gone)
    return;

  if ((self->flags & AFRPC_FRAME_FLAG_LATEST) != 0 && !afrpc_worker_has_room (worker))
    {
      g_clear_pointer (&self->latest, g_variant_unref);
      self->latest = g_steal_pointer (&sunk);
      return;
    }

  g_clear_pointer (&self->latest, g_variant_unref);
  send_progress (self, worker, sunk);
}
