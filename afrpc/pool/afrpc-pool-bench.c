/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-bench.h"

#include "pool/afrpc-pool-links.h"

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

static void
stand_up (AfrpcPoolBench *self,
          AfrpcPoolSeat  *seat)
{
  if (seat->is_placed)
    afrpc_pool_links_unlink (get_row (self, seat->placed_row), &seat->link);
  seat->is_placed = FALSE;
}

/* Whoever was to move does so now. */
static void
place (AfrpcPoolBench *self)
{
  AfrpcPoolSeat *seat = self->moving;
  const guint row = seat->row;

  self->moving = NULL;
  if (row >= self->rows->len)
    g_array_set_size (self->rows, row + 1);
  if (seat->is_placed && get_row (self, row)->head == &seat->link)
    return;

  stand_up (self, seat);
  afrpc_pool_links_push_head (get_row (self, row), &seat->link);
  seat->is_placed = TRUE;
  seat->placed_row = row;
  self->least = MIN (self->least, row);
}

void
afrpc_pool_bench_leave (AfrpcPoolBench *self,
                        AfrpcPoolSeat  *seat)
{
  if (!seat->taken)
    return;

  if (self->moving == seat)
    self->moving = NULL;
  stand_up (self, seat);
  seat->taken = FALSE;
  self->n--;
}

/* @seat, which is not in @row, is moved there as soon as it matters. */
void
afrpc_pool_bench_move (AfrpcPoolBench *self,
                       AfrpcPoolSeat  *seat,
                       guint           row)
{
  if (self->moving != NULL && self->moving != seat)
    place (self);
  if (!seat->taken)
    self->n++;
  seat->taken = TRUE;
  seat->row = row;
  self->moving = seat;
}

/* Returns: (nullable): whose seat is that of the least loaded */
gpointer
afrpc_pool_bench_peek (AfrpcPoolBench *self)
{
  if (self->n == 0)
    return NULL;
  /* Who is alone need not be looked for. */
  if (self->n == 1 && self->moving != NULL)
    return self->moving->link.data;

  if (self->moving != NULL)
    place (self);
  while (get_row (self, self->least)->length == 0)
    self->least++;

  return get_row (self, self->least)->head->data;
}
