/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How long the main loop is held at a time: what takes longer goes on in the next iteration. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_SLICE_US 2000  /* so that no frame of 16 ms is missed */
#define AFRPC_SLICE_STEPS 16 /* of those that take less than a microsecond, between two looks at the clock */

typedef struct
{
  gint64 end; /* monotonic time in microseconds; 0: it has not begun */
  guint n;    /* steps */
} AfrpcSlice;

/* The first look begins it. */
static inline gboolean
afrpc_slice_is_over (AfrpcSlice *self)
{
  const gint64 now = g_get_monotonic_time ();

  if (self->end == 0)
    self->end = now + AFRPC_SLICE_US;

  return now >= self->end;
}

/* After a small step. */
static inline gboolean
afrpc_slice_step (AfrpcSlice *self)
{
  return ++self->n % AFRPC_SLICE_STEPS == 0 && afrpc_slice_is_over (self);
}

G_END_DECLS
