/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker writes to its standard error: passed on if wanted, and its last lines kept. Owns the
 * reading end of a pipe that does not block. A standard error of our own that nobody reads neither blocks the
 * program nor ends it: what cannot be written at once is dropped, and how much that was is said later. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_STDERR_SIZE 4096u /* bytes kept */
#define AFRPC_STDERR_LINE_MAX 4096u /* bytes; a longer line is told in pieces */

typedef struct
{
  int fd;            /* -1: not captured, or the other end was closed */
  gboolean pass_on;  /* to our own standard error */
  void (*line) (const char *line, gpointer data); /* (nullable): called with each line */
  gpointer line_data;
  void (*closing) (int fd, gpointer data); /* (nullable): called before the descriptor is closed */
  gpointer closing_data;
  GString *begun;    /* (nullable): a line whose end has not come yet */
  gsize dropped;     /* bytes that could not be passed on, and have not been told of */
  gboolean cut;      /* there was more than is kept */
  gsize size;
  gsize n_recent;    /* of these, the last that were read since afrpc_stderr_mark () */
  char *text;        /* (nullable): AFRPC_STDERR_SIZE bytes, once there was something */
} AfrpcStderr;

void     afrpc_stderr_read  (AfrpcStderr *self);
void     afrpc_stderr_read_in_turn (AfrpcStderr *self);
char    *afrpc_stderr_dup   (AfrpcStderr *self,
                           gsize     *n_recent);
void     afrpc_stderr_clear (AfrpcStderr *self);

/* What was read up to now is older than whatever the worker does next. */
static inline void
afrpc_stderr_mark (AfrpcStderr *self)
{
  self->n_recent = 0;
}

G_END_DECLS
