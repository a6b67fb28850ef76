/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-stream.h"

#include <string.h>
#include <unistd.h>

/* A conversation with nothing said, in the buffers that @self has. */
static void
begin (AfrpcStream *self,
       int          in_fd,
       int          out_fd,
       gboolean     is_socket)
{
  *self = (AfrpcStream) {
    .in_fd = in_fd,
    .out_fd = out_fd,
    .is_socket = is_socket,
    .size_max = G_MAXUINT64,
    .in = self->in,
    .in_missing = AFRPC_FRAME_HEADER_SIZE,
    .fds_in = self->fds_in,
    .out = self->out,
    .out_size = self->out_size,
    .attachments = self->attachments,
    .attachments_size = self->attachments_size,
    .dropped_from = G_MAXUINT64,
    .kept_from = G_MAXUINT64,
  };
}

/* Closes the connection, and forgets what was to be read or written. */
static void
end (AfrpcStream *self)
{
  for (guint i = self->n_frame_fds_taken; i < self->fds_in->len; i++)
    close (g_array_index (self->fds_in, int, i));
  g_array_set_size (self->fds_in, 0);
  afrpc_stream_clear_attachments (self);

  if (self->in_fd >= 0)
    close (self->in_fd);
  if (self->out_fd >= 0 && self->out_fd != self->in_fd)
    close (self->out_fd);
  self->in_fd = self->out_fd = -1;

  afrpc_block_clear (&self->body);
  g_clear_pointer (&self->body_bytes, g_bytes_unref);
}

void
afrpc_stream_init (AfrpcStream *self,
                   int          in_fd,
                   int          out_fd,
                   gboolean     is_socket)
{
  memset (self, 0, sizeof *self);
  self->in = g_malloc (AFRPC_STREAM_IN_SIZE);
  self->fds_in = g_array_new (FALSE, FALSE, sizeof (int));
  begin (self, in_fd, out_fd, is_socket);
}

/* Begins another conversation on @fd, with the buffers that there are: in a process that was forked, they are
 * there already, and to give them back would cost more. */
void
afrpc_stream_restart (AfrpcStream *self,
                      int          fd)
{
  end (self);
  begin (self, fd, fd, TRUE);
}

void
afrpc_stream_clear (AfrpcStream *self)
{
  if (self->fds_in != NULL)
    end (self);
  g_clear_pointer (&self->fds_in, g_array_unref);
  g_clear_pointer (&self->in, g_free);
  g_clear_pointer (&self->out, g_free);
  g_clear_pointer (&self->attachments, g_free);
}
