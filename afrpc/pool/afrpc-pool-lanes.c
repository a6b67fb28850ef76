/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-lanes.h"

static guint
get_rank (const AfrpcPoolLane *lane)
{
  return lane != NULL ? lane->rank : 0;
}

/* TRUE: its rank has changed. */
static gboolean
balance (AfrpcPoolLane *lane)
{
  const guint before = lane->rank;

  if (get_rank (lane->left) < get_rank (lane->right))
    {
      AfrpcPoolLane *left = lane->left;

      lane->left = lane->right;
      lane->right = left;
    }
  lane->rank = get_rank (lane->right) + 1;

  return lane->rank != before;
}

static gboolean
is_before (AfrpcPoolLane *a,
           AfrpcPoolLane *b)
{
  return afrpc_pool_place_is_before (afrpc_pool_queue_peek (&a->queue), afrpc_pool_queue_peek (&b->queue));
}

/* As deep as the logarithm of how many there are. Returns: (nullable): the first of both */
static AfrpcPoolLane *
meld (AfrpcPoolLane *a,
      AfrpcPoolLane *b)
{
  if (a == NULL || b == NULL)
    return a != NULL ? a : b;
  if (is_before (b, a))
    return meld (b, a);

  a->right = meld (a->right, b);
  a->right->up = a;
  balance (a);

  return a;
}

/* @lane, whose queue has some, is in no heap. */
void
afrpc_pool_lanes_join (AfrpcPoolLanes *self,
                       AfrpcPoolLane  *lane)
{
  lane->up = lane->left = lane->right = NULL;
  lane->rank = 1;
  self->first = meld (self->first, lane);
  self->first->up = NULL;
  self->n++;
  self->n_places += lane->queue.n;
}

/* It may have others than when it joined, or none: what it has is not looked at. */
void
afrpc_pool_lanes_leave (AfrpcPoolLanes *self,
                        AfrpcPoolLane  *lane)
{
  AfrpcPoolLane *up = lane->up;
  AfrpcPoolLane *rest = meld (lane->left, lane->right);

  if (rest != NULL)
    rest->up = up;
  *(up == NULL ? &self->first : up->left == lane ? &up->left : &up->right) = rest;
  while (up != NULL && balance (up))
    up = up->up;
  lane->up = lane->left = lane->right = NULL;
  self->n--;
  self->n_places -= lane->queue.n;
}

/* @other is empty then. */
void
afrpc_pool_lanes_take_all (AfrpcPoolLanes *self,
                           AfrpcPoolLanes *other)
{
  self->first = meld (self->first, other->first);
  if (self->first != NULL)
    self->first->up = NULL;
  self->n += other->n;
  self->n_places += other->n_places;
  *other = (AfrpcPoolLanes) { 0 };
}
