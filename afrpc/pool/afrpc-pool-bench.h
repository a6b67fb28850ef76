/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who has room for another call, by how many each has: the least loaded is found without looking at the others. Of those
 * with the same number, whoever came last is first, so that those that are not needed stay idle. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A seat, which who sits there embeds. */
typedef struct
{
  GList link;     /* data: whose seat it is */
  guint load;     /* where it is, while it is taken */
  gboolean taken;
} AfrpcPoolSeat;

typedef struct
{
  GArray *rows;   /* (element-type GQueue): the seats of those that have so many */
  guint least;    /* there is nobody in the rows before this one */
  guint n;
} AfrpcPoolBench;

void     afrpc_pool_bench_init  (AfrpcPoolBench *self);
void     afrpc_pool_bench_clear (AfrpcPoolBench *self);
void     afrpc_pool_bench_sit   (AfrpcPoolBench *self,
                                 AfrpcPoolSeat  *seat,
                                 guint           load);
void     afrpc_pool_bench_leave (AfrpcPoolBench *self,
                                 AfrpcPoolSeat  *seat);
gpointer afrpc_pool_bench_peek  (AfrpcPoolBench *self);

G_END_DECLS
