/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which call has to be settled when: a binary heap. Settled calls stay in it until they come to the
 * top or there are more of them than of the others, so that settling costs nothing. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_DEADLINES_NEVER G_MAXINT64

typedef struct
{
  gint64 at;      /* monotonic time, microseconds */
  guint64 serial; /* 0: not of a call */
} AfrpcDeadline;

typedef gboolean (*AfrpcDeadlineFunc) (guint64  serial,
                                       gpointer user_data);

typedef struct
{
  AfrpcDeadline *heap; /* heap[i].at <= heap[2i+1].at, heap[2i+2].at */
  guint n;
  guint n_allocated;
  AfrpcDeadlineFunc is_pending;
  gpointer user_data;
} AfrpcDeadlines;

void   afrpc_deadlines_init  (AfrpcDeadlines    *self,
                              AfrpcDeadlineFunc  is_pending,
                              gpointer           user_data);
void   afrpc_deadlines_clear (AfrpcDeadlines    *self);
void   afrpc_deadlines_add   (AfrpcDeadlines    *self,
                              gint64             at,
                              guint64            serial,
                              guint              n_pending);
gint64 afrpc_deadlines_next  (AfrpcDeadlines    *self);
gboolean afrpc_deadlines_pop (AfrpcDeadlines    *self,
                              gint64             now,
                              guint64           *serial);

G_END_DECLS
