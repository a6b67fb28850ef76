/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-backlog.h"

#define ITEM_OVERHEAD (sizeof (AfrpcBacklogItem) + 160u) /* bytes: the item, a GVariant, what malloc() adds */

AfrpcBacklogItem *
afrpc_backlog_item_new (void)
{
  return g_new0 (AfrpcBacklogItem, 1);
}

void
afrpc_backlog_item_free (AfrpcBacklogItem *self)
{
  g_clear_pointer (&self->unpacking, afrpc_unpacking_free);
  g_clear_pointer (&self->args, g_variant_unref);
  g_clear_error (&self->error);
  afrpc_served_call_clear (&self->call);
  g_free (self);
}

static gsize
get_size (const AfrpcBacklogItem *item)
{
  return ITEM_OVERHEAD + (item->args != NULL ? g_variant_get_size (item->args) : 0);
}

void
afrpc_backlog_clear (AfrpcBacklog *self)
{
  AfrpcBacklogItem *item;

  while ((item = afrpc_backlog_pop (self)) != NULL)
    afrpc_backlog_item_free (item);
}

/* Takes the item. */
void
afrpc_backlog_push (AfrpcBacklog     *self,
                    AfrpcBacklogItem *item)
{
  if (self->first == NULL)
    self->first = item;
  else
    self->last->next = item;
  self->last = item;
  self->size += get_size (item);
}

/* Returns: (nullable) (transfer full): the oldest */
AfrpcBacklogItem *
afrpc_backlog_pop (AfrpcBacklog *self)
{
  AfrpcBacklogItem *item = self->first;

  if (item == NULL)
    return NULL;

  self->first = item->next;
  item->next = NULL;
  if (self->first == NULL)
    self->last = NULL;
  self->size -= get_size (item);

  return item;
}
