/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a process was prepared with besides code: arguments and file descriptors, in order. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  GPtrArray *list;         /* (element-type GVariant): empty while there is a tuple of them */
  GVariant *tuple;         /* (nullable) */
  GArray *fds;             /* (element-type int) -1: stolen */
  GArray *positions;       /* (element-type guint) how many arguments came before each of them */
} AfrpcStartArgs;

void      afrpc_start_args_init      (AfrpcStartArgs  *self);
void      afrpc_start_args_clear     (AfrpcStartArgs  *self);
void      afrpc_start_args_add       (AfrpcStartArgs  *self,
                                      GVariant        *arg);
void      afrpc_start_args_add_fd    (AfrpcStartArgs  *self,
                                      int              fd);
GVariant *afrpc_start_args_get_tuple (AfrpcStartArgs  *self);
int       afrpc_start_args_steal_fd  (AfrpcStartArgs  *self,
                                      guint            index);

static inline guint
afrpc_start_args_get_n_fds (const AfrpcStartArgs *self)
{
  return self->fds->len;
}

/* How many arguments came before it. */
static inline guint
afrpc_start_args_get_position (const AfrpcStartArgs *self,
                               guint                 index)
{
  return g_array_index (self->positions, guint, index);
}

G_END_DECLS
