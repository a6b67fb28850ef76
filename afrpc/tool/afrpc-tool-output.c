/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See afrpc-tool-output.h. */
#include "config.h"

#include "afrpc-tool-output.h"

#include <errno.h>
#include <glib-unix.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "afrpc-tool-progress.h"

#define OUTPUT_FULL (1u << 20)        /* bytes waiting, from which on the output is full */
#define OUTPUT_FILE_CHUNK (256u << 10) /* bytes written at once to a file */

struct _AfrpcToolOutput
{
  int fd; /* borrowed */
  AfrpcToolOutputFunc func;
  gpointer data;

  gsize chunk;       /* bytes that a writable fd takes without blocking */
  gboolean terminal; /* shares the screen with the progress line */

  GByteArray *queued;
  gsize n_written; /* of queued; <= its length */
  guint source_id; /* set while there is something to write */
  int errnum;      /* why writing failed, or 0 */
};

/* O_NONBLOCK would stick to the terminal or pipe that other programs write to as well. Instead
 * poll() tells when to write, and a pipe that it calls writable has room for PIPE_BUF bytes. */
AfrpcToolOutput *
afrpc_tool_output_new (int                 fd,
                       AfrpcToolOutputFunc func,
                       gpointer            data)
{
  AfrpcToolOutput *self = g_new0 (AfrpcToolOutput, 1);
  struct stat st;

  self->fd = fd;
  self->func = func;
  self->data = data;
  self->queued = g_byte_array_new ();
  self->terminal = isatty (fd);
  self->chunk = fstat (fd, &st) == 0 && S_ISREG (st.st_mode) ? OUTPUT_FILE_CHUNK : PIPE_BUF;

  return self;
}

void
afrpc_tool_output_free (AfrpcToolOutput *self)
{
  g_clear_handle_id (&self->source_id, g_source_remove);
  g_byte_array_unref (self->queued);
  g_free (self);
}

static void
output_fail (AfrpcToolOutput *self,
             int              errnum)
{
  self->errnum = errnum;
  self->n_written = 0;
  g_byte_array_set_size (self->queued, 0);
}

static gboolean
output_writable_cb (int          fd,
                    GIOCondition condition,
                    gpointer     data)
{
  AfrpcToolOutput *self = data;
  gboolean was_full = afrpc_tool_output_is_full (self);
  gsize size = MIN (self->queued->len - self->n_written, self->chunk);
  gssize n;

  if (self->terminal)
    afrpc_tool_progress_hide ();
  n = write (fd, self->queued->data + self->n_written, size);
  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return G_SOURCE_CONTINUE;

  if (n < 0)
    output_fail (self, errno);
  else
    self->n_written += n;

  if (self->n_written == self->queued->len)
    {
      self->n_written = 0;
      g_byte_array_set_size (self->queued, 0);
      self->source_id = 0;
      self->func (self->data);
      return G_SOURCE_REMOVE;
    }

  if (self->n_written >= OUTPUT_FULL / 2)
    {
      g_byte_array_remove_range (self->queued, 0, self->n_written);
      self->n_written = 0;
    }
  if (was_full && !afrpc_tool_output_is_full (self))
    self->func (self->data);

  return G_SOURCE_CONTINUE;
}

void
afrpc_tool_output_append (AfrpcToolOutput *self,
                          const guint8    *data,
                          gsize            size)
{
  if (self->errnum != 0 || size == 0)
    return;

  g_byte_array_append (self->queued, data, size);
  if (self->source_id == 0)
    {
      self->source_id =
        g_unix_fd_add (self->fd, G_IO_OUT | G_IO_ERR | G_IO_HUP, output_writable_cb, self);
      g_source_set_name_by_id (self->source_id, "[afrpc] tool output");
    }
}

gboolean
afrpc_tool_output_is_empty (const AfrpcToolOutput *self)
{
  return self->queued->len == 0;
}

gboolean
afrpc_tool_output_is_full (const AfrpcToolOutput *self)
{
  return self->queued->len - self->n_written >= OUTPUT_FULL;
}

int
afrpc_tool_output_get_errno (const AfrpcToolOutput *self)
{
  return self->errnum;
}
