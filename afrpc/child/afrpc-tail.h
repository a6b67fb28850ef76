/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker writes to its standard error: passed on if wanted, and its last lines kept. Owns the
 * reading end of a pipe that does not block. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_TAIL_SIZE 4096u /* bytes kept */
#define AFRPC_TAIL_LINE_MAX 4096u /* bytes; a longer line is told in pieces */

typedef struct
{
  int fd;            /* -1: not captured, or the other end was closed */
  gboolean pass_on;  /* to our own standard error */
  void (*line) (const char *line, gpointer data); /* (nullable): called with each line */
  gpointer line_data;
  GString *begun;    /* (nullable): a line whose end has not come yet */
  gboolean cut;      /* there was more than is kept */
  gsize size;
  char text[AFRPC_TAIL_SIZE];
} AfrpcTail;

void     afrpc_tail_read  (AfrpcTail *self);
char    *afrpc_tail_dup   (AfrpcTail *self);
void     afrpc_tail_clear (AfrpcTail *self);

G_END_DECLS
