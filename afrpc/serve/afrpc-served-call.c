/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-served-call.h"

#include <unistd.h>

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
                        AfrpcTransport   *transport,
                        const AfrpcFrame *frame)
{
  *self = (AfrpcServedCall) {
    .serial = frame->header.serial, .function = frame->header.function, .flags = frame->header.flags,
  };

  if (frame->header.n_fds > 0)
    {
      int fd;

      self->fds = g_array_sized_new (FALSE, FALSE, sizeof (int), frame->header.n_fds);
      while ((fd = afrpc_transport_take_fd (transport)) >= 0)
        g_array_append_val (self->fds, fd);
    }
}

void
afrpc_served_call_clear (AfrpcServedCall *self)
{
  self->serial = 0;
  close_fds (&self->fds);
  close_fds (&self->result_fds);
  g_clear_pointer (&self->metadata, g_variant_unref);
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

/* Returns the handle of @fd, which goes with the result and becomes the call's. */
guint
afrpc_served_call_add_fd (AfrpcServedCall *self,
                          int              fd)
{
  if (self->result_fds == NULL)
    self->result_fds = g_array_new (FALSE, FALSE, sizeof (int));
  g_array_append_val (self->result_fds, fd);

  return self->result_fds->len - 1;
}
