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

static AfrpcPoolRow *
get_row (AfrpcPoolQueue       *self,
         const AfrpcPoolPlace *place)
{
  const int priority = place->priority;
  AfrpcPoolRow *row;

  if (G_LIKELY (priority == 0))
    return place->is_ahead ? &self->ahead : &self->usual;
  if (self->others == NULL)
    self->others = g_tree_new_full (compare_priorities, NULL, NULL, g_free);

  row = g_tree_lookup (self->others, GINT_TO_POINTER (priority));
  if (row == NULL)
    {
      row = g_new0 (AfrpcPoolRow, 1);
      g_tree_insert (self->others, GINT_TO_POINTER (priority), row);
    }

  return row;
}

static guint64
get_number (const GList *link)
{
  return ((const AfrpcPoolPlace *) link)->number;
}

/* Returns: before which one it comes. Many come back one behind the other: each is looked for from the one before on. */
static GList *
find_next (const AfrpcPoolRow   *row,
           const AfrpcPoolPlace *place)
{
  GList *next = row->latest != NULL ? row->latest : row->places.head;

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
  AfrpcPoolRow *row = get_row (self, place);
  GList *next = NULL;

  g_assert (place->queue == NULL);
  if (row->places.tail != NULL && get_number (row->places.tail) > place->number)
    {
      next = find_next (row, place);
      row->latest = &place->link;
    }
  if (next == NULL)
    afrpc_pool_links_push_tail (&row->places, &place->link);
  else
    g_queue_insert_before_link (&row->places, next, &place->link);
  place->queue = self;
  self->n++;
  self->size += place->size;
}

void
afrpc_pool_queue_remove (AfrpcPoolPlace *place)
{
  AfrpcPoolQueue *self = place->queue;
  AfrpcPoolRow *row = get_row (self, place);

  if (row->latest == &place->link)
    row->latest = place->link.prev;
  afrpc_pool_links_unlink (&row->places, &place->link);
  if (G_UNLIKELY (place->priority != 0) && row->places.length == 0)
    g_tree_remove (self->others, GINT_TO_POINTER (place->priority));
  place->queue = NULL;
  self->n--;
  self->size -= place->size;
}

/* Returns: the number of the last of those that are ahead, or 0 */
guint64
afrpc_pool_queue_get_last_ahead (const AfrpcPoolQueue *self)
{
  return self->ahead.places.tail != NULL ? get_number (self->ahead.places.tail) : 0;
}

/* Returns: (nullable): whose turn it is */
AfrpcPoolPlace *
afrpc_pool_queue_peek (AfrpcPoolQueue *self)
{
  GTreeNode *first = G_UNLIKELY (self->others != NULL) ? g_tree_node_first (self->others) : NULL;
  AfrpcPoolRow *row = &self->usual;
  const GList *ahead = self->ahead.places.head;

  if (ahead != NULL && (row->places.head == NULL || get_number (ahead) <= get_number (row->places.head)))
    row = &self->ahead;
  if (first != NULL && (GPOINTER_TO_INT (g_tree_node_key (first)) < 0 || row->places.length == 0))
    row = g_tree_node_value (first);

  return (AfrpcPoolPlace *) row->places.head;
}
