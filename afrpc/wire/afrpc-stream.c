/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-stream.h"

#include <string.h>
#include <unistd.h>

static void
close_fds (GArray *fds)
{
  for (guint i = 0; i < fds->len; i++)
    if (g_array_index (fds, int, i) >= 0)
      close (g_array_index (fds, int, i));
  g_array_set_size (fds, 0);
}

void
afrpc_stream_init (AfrpcStream *self,
                   int          in_fd,
                   int          out_fd,
                   gboolean     is_socket)
{
  memset (self, 0, sizeof *self);
  self->in_fd = in_fd;
  self->out_fd = out_fd;
  self->is_socket = is_socket;
  self->size_max = G_MAXUINT64;
  self->in = g_malloc (AFRPC_STREAM_IN_SIZE);
  self->in_missing = AFRPC_FRAME_HEADER_SIZE;
  self->fds_in = g_array_new (FALSE, FALSE, sizeof (int));
  g_queue_init (&self->attachments);
}

/* Begins another conversation on @fd, with the buffers that there are: in a process that was forked, they are
 * there already, and to give them back would cost more. What was to be read or written is forgotten. */
void
afrpc_stream_restart (AfrpcStream *self,
                      int          fd)
{
  guint8 *in = g_steal_pointer (&self->in);
  guint8 *out = g_steal_pointer (&self->out);
  GArray *fds_in = g_steal_pointer (&self->fds_in);
  const gsize out_size = self->out_size;

  close_fds (fds_in);
  afrpc_stream_clear_attachments (self);
  if (self->in_fd >= 0)
    close (self->in_fd);
  if (self->out_fd >= 0 && self->out_fd != self->in_fd)
    close (self->out_fd);
  afrpc_stream_clear (self);

  memset (self, 0, sizeof *self);
  self->in_fd = self->out_fd = fd;
  self->is_socket = TRUE;
  self->size_max = G_MAXUINT64;
  self->in = in;
  self->in_missing = AFRPC_FRAME_HEADER_SIZE;
  self->out = out;
  self->out_size = out_size;
  self->fds_in = fds_in;
  g_queue_init (&self->attachments);
}

void
afrpc_stream_clear (AfrpcStream *self)
{
  if (self->fds_in != NULL)
    {
      close_fds (self->fds_in);
      g_clear_pointer (&self->fds_in, g_array_unref);
      afrpc_stream_clear_attachments (self);

      if (self->in_fd >= 0)
        close (self->in_fd);
      if (self->out_fd >= 0 && self->out_fd != self->in_fd)
        close (self->out_fd);
    }

  self->in_fd = self->out_fd = -1;
  g_clear_pointer (&self->in, g_free);
  g_clear_pointer (&self->out, g_free);
  afrpc_block_clear (&self->body);
  g_clear_pointer (&self->body_bytes, g_bytes_unref);
}
