/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker writes to its standard error: passed on if wanted, and its last lines kept. Owns the
 * reading end of a pipe that does not block. A standard error of our own that nobody reads neither blocks the
 * program nor ends it: what cannot be written at once is dropped, and how much that was is said later. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_STDERR_SIZE 4096u /* bytes kept */
#define AFRPC_STDERR_LINE_MAX 4096u /* bytes; a longer line is taken in pieces */
#define AFRPC_STDERR_LINES_SIZE (64u << 10) /* bytes of lines that wait; no more is read then while the worker lives */

typedef struct
{
  int fd;            /* -1: not captured, or the other end was closed */
  gboolean pass_on;  /* to our own standard error */
  gboolean keeps_lines; /* for afrpc_stderr_take_line () */
  void (*closing) (int fd, gpointer data); /* (nullable): called before the descriptor is closed */
  gpointer closing_data;
  GString *begun;    /* (nullable): a line whose end has not come yet */
  GString *lines;    /* (nullable): those before it, each with its end */
  gsize taken;       /* bytes of these */
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
char    *afrpc_stderr_take_line (AfrpcStderr *self);
void     afrpc_stderr_finish (AfrpcStderr *self);
void     afrpc_stderr_clear (AfrpcStderr *self);

static inline gboolean
afrpc_stderr_has_lines (const AfrpcStderr *self)
{
  return self->lines != NULL && self->lines->len > self->taken;
}

/* Whether what waits has to be taken before more is read. */
static inline gboolean
afrpc_stderr_is_full (const AfrpcStderr *self)
{
  return self->lines != NULL && self->lines->len - self->taken >= AFRPC_STDERR_LINES_SIZE;
}

/* What was read up to now is older than whatever the worker does next. */
static inline void
afrpc_stderr_mark (AfrpcStderr *self)
{
  self->n_recent = 0;
}

G_END_DECLS
