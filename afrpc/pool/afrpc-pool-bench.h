/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who has room for another call, in rows by how much each has: the least loaded is found without looking at the others. Of
 * those in the same row, whoever came last is first, so that those that are not needed stay idle. Whoever has moved last is
 * put into his row when it is looked who is where, or another one moves: most move to and fro before that. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A seat, which who sits there embeds. */
typedef struct
{
  GList link;         /* data: whose seat it is */
  guint row;          /* where it is, while it is taken */
  gboolean taken;
  gboolean is_placed; /* in the row of that number */
  guint placed_row;
} AfrpcPoolSeat;

typedef struct
{
  GArray *rows;   /* (element-type GQueue): seats */
  AfrpcPoolSeat *moving; /* (nullable): a seat that is taken, and to be placed in its row */
  guint least;    /* there is nobody in the rows before this one */
  guint n;        /* that are taken */
} AfrpcPoolBench;

void     afrpc_pool_bench_init  (AfrpcPoolBench *self);
void     afrpc_pool_bench_clear (AfrpcPoolBench *self);
void     afrpc_pool_bench_move  (AfrpcPoolBench *self,
                                 AfrpcPoolSeat  *seat,
                                 guint           row);
void     afrpc_pool_bench_leave (AfrpcPoolBench *self,
                                 AfrpcPoolSeat  *seat);
gpointer afrpc_pool_bench_peek  (AfrpcPoolBench *self);

static inline void
afrpc_pool_bench_sit (AfrpcPoolBench *self,
                      AfrpcPoolSeat  *seat,
                      guint           row)
{
  if (seat->taken && self->moving == seat)
    seat->row = row;
  else if (!seat->taken || seat->row != row)
    afrpc_pool_bench_move (self, seat, row);
}

G_END_DECLS
