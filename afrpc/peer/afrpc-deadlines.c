/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-deadlines.h"

#include <string.h>

#define SIZE_MIN 64u

void
afrpc_deadlines_init (AfrpcDeadlines    *self,
                      AfrpcDeadlineFunc  is_pending,
                      gpointer           user_data)
{
  memset (self, 0, sizeof *self);
  self->is_pending = is_pending;
  self->user_data = user_data;
}

void
afrpc_deadlines_clear (AfrpcDeadlines *self)
{
  g_clear_pointer (&self->heap, g_free);
  self->n = self->n_allocated = 0;
}

static void
sift_up (AfrpcDeadlines *self,
         guint           i)
{
  const AfrpcDeadline moved = self->heap[i];

  while (i > 0 && self->heap[(i - 1) / 2].at > moved.at)
    {
      self->heap[i] = self->heap[(i - 1) / 2];
      i = (i - 1) / 2;
    }
  self->heap[i] = moved;
}

static void
sift_down (AfrpcDeadlines *self,
           guint           i)
{
  const AfrpcDeadline moved = self->heap[i];

  for (;;)
    {
      guint least = 2 * i + 1;

      if (least >= self->n)
        break;
      if (least + 1 < self->n && self->heap[least + 1].at < self->heap[least].at)
        least++;
      if (self->heap[least].at >= moved.at)
        break;
      self->heap[i] = self->heap[least];
      i = least;
    }
  self->heap[i] = moved;
}

static void
drop_settled (AfrpcDeadlines *self)
{
  guint kept = 0;

  for (guint i = 0; i < self->n; i++)
    if (self->is_pending (self->heap[i].serial, self->user_data))
      self->heap[kept++] = self->heap[i];

  self->n = kept;
  for (guint i = kept / 2; i-- > 0;)
    sift_down (self, i);
}

/* @n_pending: how many calls are not settled: what makes it time to tidy up */
void
afrpc_deadlines_add (AfrpcDeadlines *self,
                     gint64          at,
                     guint64         serial,
                     guint           n_pending)
{
  if (self->n >= SIZE_MIN && self->n / 2 > n_pending)
    drop_settled (self);

  if (self->n == self->n_allocated)
    {
      self->n_allocated = MAX (SIZE_MIN, 2 * self->n_allocated);
      self->heap = g_renew (AfrpcDeadline, self->heap, self->n_allocated);
    }

  self->heap[self->n] = (AfrpcDeadline) { at, serial };
  sift_up (self, self->n++);
}

static void
remove_first (AfrpcDeadlines *self)
{
  self->heap[0] = self->heap[--self->n];
  if (self->n > 0)
    sift_down (self, 0);
}

/* Returns: when the next one is due, or AFRPC_DEADLINES_NEVER. */
gint64
afrpc_deadlines_next (AfrpcDeadlines *self)
{
  while (self->n > 0 && !self->is_pending (self->heap[0].serial, self->user_data))
    remove_first (self);

  return self->n > 0 ? self->heap[0].at : AFRPC_DEADLINES_NEVER;
}

/* Takes one that is due out; FALSE if there is none. */
gboolean
afrpc_deadlines_pop (AfrpcDeadlines *self,
                     gint64          now,
                     guint64        *serial)
{
  if (afrpc_deadlines_next (self) > now || self->n == 0)
    return FALSE;

  *serial = self->heap[0].serial;
  remove_first (self);

  return TRUE;
}
