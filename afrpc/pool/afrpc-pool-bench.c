/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-bench.h"

void
afrpc_pool_bench_init (AfrpcPoolBench *self)
{
  self->rows = g_array_new (FALSE, TRUE, sizeof (GQueue));
}

void
afrpc_pool_bench_clear (AfrpcPoolBench *self)
{
  g_clear_pointer (&self->rows, g_array_unref);
}

static inline GQueue *
get_row (AfrpcPoolBench *self,
         guint           row)
{
  return &g_array_index (self->rows, GQueue, row);
}

void
afrpc_pool_bench_leave (AfrpcPoolBench *self,
                        AfrpcPoolSeat  *seat)
{
  if (!seat->taken)
    return;

  g_queue_unlink (get_row (self, seat->row), &seat->link);
  seat->taken = FALSE;
  self->n--;
}

void
afrpc_pool_bench_sit (AfrpcPoolBench *self,
                      AfrpcPoolSeat  *seat,
                      guint           row)
{
  if (seat->taken && seat->row == row)
    return;

  afrpc_pool_bench_leave (self, seat);
  if (row >= self->rows->len)
    g_array_set_size (self->rows, row + 1);
  seat->row = row;
  seat->taken = TRUE;
  g_queue_push_head_link (get_row (self, row), &seat->link);
  self->least = self->n == 0 ? row : MIN (self->least, row);
  self->n++;
}

/* Returns: (nullable): whose seat is that of the least loaded */
gpointer
afrpc_pool_bench_peek (AfrpcPoolBench *self)
{
  if (self->n == 0)
    return NULL;

  while (get_row (self, self->least)->length == 0)
    self->least++;

  return get_row (self, self->least)->head->data;
}
