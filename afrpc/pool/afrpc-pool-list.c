/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-list.h"

#include "pool/afrpc-pool-parts.h"

struct _AfrpcPoolList
{
  GObject parent_instance;

  GPtrArray *items; /* (element-type AfrpcPoolWorker) (owned) */
};

enum
{
  PROP_N_ITEMS = 1,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

static void afrpc_pool_list_model_init (GListModelInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcPoolList, afrpc_pool_list, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_LIST_MODEL, afrpc_pool_list_model_init))

static void
afrpc_pool_list_finalize (GObject *object)
{
  g_ptr_array_unref (AFRPC_POOL_LIST (object)->items);

  G_OBJECT_CLASS (afrpc_pool_list_parent_class)->finalize (object);
}

static void
afrpc_pool_list_get_property (GObject    *object,
                              guint       prop_id,
                              GValue     *value,
                              GParamSpec *pspec)
{
  if (prop_id == PROP_N_ITEMS)
    g_value_set_uint (value, AFRPC_POOL_LIST (object)->items->len);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
}

static void
afrpc_pool_list_class_init (AfrpcPoolListClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = afrpc_pool_list_finalize;
  object_class->get_property = afrpc_pool_list_get_property;
  props[PROP_N_ITEMS] = g_param_spec_uint ("n-items", NULL, NULL, 0, G_MAXUINT, 0,
                                           G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
afrpc_pool_list_init (AfrpcPoolList *self)
{
  self->items = g_ptr_array_new_with_free_func (g_object_unref);
}

static GType
afrpc_pool_list_get_item_type (GListModel *model)
{
  return AFRPC_TYPE_POOL_WORKER;
}

static guint
afrpc_pool_list_get_n_items (GListModel *model)
{
  return AFRPC_POOL_LIST (model)->items->len;
}

static gpointer
afrpc_pool_list_get_item (GListModel *model,
                          guint       position)
{
  AfrpcPoolList *self = AFRPC_POOL_LIST (model);

  return position < self->items->len ? g_object_ref (self->items->pdata[position]) : NULL;
}

static void
afrpc_pool_list_model_init (GListModelInterface *iface)
{
  iface->get_item_type = afrpc_pool_list_get_item_type;
  iface->get_n_items = afrpc_pool_list_get_n_items;
  iface->get_item = afrpc_pool_list_get_item;
}

static void
items_changed (AfrpcPoolList *self,
               guint          position,
               guint          n_removed,
               guint          n_added)
{
  g_list_model_items_changed (G_LIST_MODEL (self), position, n_removed, n_added);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_N_ITEMS]);
}

/* Those that are not in the list yet. Returns: how many */
static guint
add_members (AfrpcPoolList *self,
             AfrpcPoolCore *core)
{
  const guint before = self->items->len;

  for (guint i = 0; i < core->members->len; i++)
    {
      AfrpcPoolWorker *worker = ((AfrpcPoolMember *) core->members->pdata[i])->worker;

      if (worker->is_listed)
        continue;
      worker->is_listed = TRUE;
      g_ptr_array_add (self->items, g_object_ref (worker));
    }

  return self->items->len - before;
}

/* The first of those that have left. Returns: how many follow each other there, 0: there is none */
static guint
find_left (const AfrpcPoolList *self,
           guint               *position)
{
  guint first, end;

  for (first = 0; first < self->items->len; first++)
    if (((AfrpcPoolWorker *) self->items->pdata[first])->member == NULL)
      break;
  for (end = first; end < self->items->len; end++)
    if (((AfrpcPoolWorker *) self->items->pdata[end])->member != NULL)
      break;
  *position = first;

  return end - first;
}

/* Tells what has changed of @n workers. Returns: whether something was told, after which the list may be another */
static gboolean
tell_workers (AfrpcPoolList *self,
              guint          position,
              guint          n)
{
  gboolean has_told = FALSE;

  for (guint i = position; i < position + n && i < self->items->len; i++)
    {
      g_autoptr(AfrpcPoolWorker) worker = g_object_ref (self->items->pdata[i]);

      has_told |= afrpc_pool_worker_tell (worker);
    }

  return has_told;
}

AfrpcPoolList *
afrpc_pool_list_new (AfrpcPoolCore *core)
{
  AfrpcPoolList *self = g_object_new (AFRPC_TYPE_POOL_LIST, NULL);

  add_members (self, core);
  for (guint i = 0; i < self->items->len; i++)
    afrpc_pool_worker_tell (self->items->pdata[i]);

  return self;
}

/* Tells what has changed: of workers, and then which there are. Whoever is told may do anything, and have this come here
 * again: after each word everything is looked at anew.
 * @core: (nullable): NULL if the pool has gone */
void
afrpc_pool_list_update (AfrpcPoolList *self,
                        AfrpcPoolCore *core)
{
  g_autoptr(AfrpcPoolList) held = g_object_ref (self);
  guint position, n;

  tell_workers (self, 0, self->items->len);
  while ((n = find_left (self, &position)) > 0)
    {
      /* One that ended in a loop that was run by who was told: that was not told yet. */
      if (tell_workers (self, position, n))
        continue;
      g_ptr_array_remove_range (self->items, position, n);
      items_changed (self, position, n, 0);
    }
  position = self->items->len;
  n = core != NULL ? add_members (self, core) : 0;
  if (n > 0)
    items_changed (self, position, 0, n);
}
