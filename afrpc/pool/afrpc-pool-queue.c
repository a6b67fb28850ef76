/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-queue.h"

#include "pool/afrpc-pool-links.h"

/* All that it has has left. */
void
afrpc_pool_queue_clear (AfrpcPoolQueue *self)
{
  g_assert (self->n == 0);
  g_clear_pointer (&self->others, g_tree_unref);
}

static int
compare_priorities (gconstpointer a,
                    gconstpointer b,
                    gpointer      data)
{
  const int left = GPOINTER_TO_INT (a), right = GPOINTER_TO_INT (b);

  return left < right ? -1 : left > right;
}

static GQueue *
get_lane (AfrpcPoolQueue       *self,
          const AfrpcPoolPlace *place)
{
  const int priority = place->priority;
  GQueue *lane;

  if (G_LIKELY (priority == 0))
    return place->is_ahead ? &self->ahead : &self->usual;
  if (self->others == NULL)
    self->others = g_tree_new_full (compare_priorities, NULL, NULL, (GDestroyNotify) g_queue_free);

  lane = g_tree_lookup (self->others, GINT_TO_POINTER (priority));
  if (lane == NULL)
    {
      lane = g_queue_new ();
      g_tree_insert (self->others, GINT_TO_POINTER (priority), lane);
    }

  return lane;
}

static guint64
get_number (const GList *link)
{
  return ((const AfrpcPoolPlace *) link)->number;
}

/* Returns: before which one it comes. Many come back one behind the other: each is looked for from the one before on. */
static GList *
find_next (AfrpcPoolQueue       *self,
           const GQueue         *lane,
           const AfrpcPoolPlace *place)
{
  GList *next = lane->head;

  if (self->latest != NULL && self->latest->priority == place->priority && self->latest->is_ahead == place->is_ahead)
    next = &self->latest->link;
  while (next->prev != NULL && get_number (next->prev) > place->number)
    next = next->prev;
  /* What one has been taken apart to has its number, in its order. */
  while (get_number (next) <= place->number)
    next = next->next;

  return next;
}

/* One that comes back has a smaller number than most, and goes where it was. */
void
afrpc_pool_queue_push (AfrpcPoolQueue *self,
                       AfrpcPoolPlace *place)
{
  GQueue *lane = get_lane (self, place);
  GList *next = NULL;

  g_assert (place->queue == NULL);
  if (lane->tail != NULL && get_number (lane->tail) > place->number)
    {
      next = find_next (self, lane, place);
      self->latest = place;
    }
  if (next == NULL)
    afrpc_pool_links_push_tail (lane, &place->link);
  else
    g_queue_insert_before_link (lane, next, &place->link);
  place->queue = self;
  self->n++;
  self->size += place->size;
}

void
afrpc_pool_queue_remove (AfrpcPoolPlace *place)
{
  AfrpcPoolQueue *self = place->queue;
  GQueue *lane = get_lane (self, place);

  if (self->latest == place)
    self->latest = (AfrpcPoolPlace *) place->link.prev;
  afrpc_pool_links_unlink (lane, &place->link);
  if (G_UNLIKELY (place->priority != 0) && lane->length == 0)
    g_tree_remove (self->others, GINT_TO_POINTER (place->priority));
  place->queue = NULL;
  self->n--;
  self->size -= place->size;
}

/* Returns: the number of the last of those that are ahead, or 0 */
guint64
afrpc_pool_queue_get_last_ahead (const AfrpcPoolQueue *self)
{
  return self->ahead.tail != NULL ? get_number (self->ahead.tail) : 0;
}

/* Returns: (nullable): whose turn it is */
AfrpcPoolPlace *
afrpc_pool_queue_peek (AfrpcPoolQueue *self)
{
  GTreeNode *first = G_UNLIKELY (self->others != NULL) ? g_tree_node_first (self->others) : NULL;
  GQueue *lane = &self->usual;

  if (self->ahead.head != NULL && (lane->head == NULL || get_number (self->ahead.head) <= get_number (lane->head)))
    lane = &self->ahead;
  if (first != NULL && (GPOINTER_TO_INT (g_tree_node_key (first)) < 0 || lane->length == 0))
    lane = g_tree_node_value (first);

  return (AfrpcPoolPlace *) lane->head;
}
