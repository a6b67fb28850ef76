/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Queues that take turns: whose first one comes before those of all others is next. A leftist heap, in which a queue joins,
 * leaves and changes in logarithmic time, and in which all of one heap go to another one in that, however many they are. Knows
 * nothing of what embeds a lane. */
#pragma once

#include "pool/afrpc-pool-queue.h"

G_BEGIN_DECLS

typedef struct _AfrpcPoolLane AfrpcPoolLane;

/* A queue, and its place among others: only one that is not empty has any. */
struct _AfrpcPoolLane
{
  AfrpcPoolQueue queue;
  AfrpcPoolLane *up;    /* (nullable): who comes before it */
  AfrpcPoolLane *left;  /* (nullable): and those that come behind it; on this side there are steps enough */
  AfrpcPoolLane *right; /* (nullable) */
  guint rank;           /* steps to where nobody is, on the shorter side */
};

typedef struct
{
  AfrpcPoolLane *first; /* (nullable): whose turn it is */
  guint n;              /* lanes */
  guint n_places;       /* that their queues have */
} AfrpcPoolLanes;

void            afrpc_pool_lanes_join     (AfrpcPoolLanes       *self,
                                           AfrpcPoolLane        *lane);
void            afrpc_pool_lanes_leave    (AfrpcPoolLanes       *self,
                                           AfrpcPoolLane        *lane);
void            afrpc_pool_lanes_take_all (AfrpcPoolLanes       *self,
                                           AfrpcPoolLanes       *other);

/* Returns: (nullable): whose turn it is */
static inline AfrpcPoolPlace *
afrpc_pool_lanes_peek (const AfrpcPoolLanes *self)
{
  return self->first != NULL ? afrpc_pool_queue_peek (&self->first->queue) : NULL;
}

G_END_DECLS
