/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What maps are made from. */
#include "config.h"

#include "afrpc-map.h"

#include "pool/afrpc-map-private.h"

/**
 * afrpc_pool_map:
 * @self: a pool
 * @next: (scope notified) (closure data) (destroy destroy): makes the arguments of the next call
 * @data: data for @next
 * @destroy: called with @data when there are no more inputs, or nobody wants them
 * @options: (nullable): what each call carries besides
 * @cancellable: (nullable): cancels the map
 * @flags: how results come
 *
 * Calls the function with each of many arguments, which are made one after the other as results are taken.
 *
 * Never fails. See [class@Afrpc.Map] for what may be under way. The time limit of @options counts for each call, from when
 * its arguments were made.
 *
 * Returns: (transfer full): what brings the results
 *
 * Since: 1.0
 */
AfrpcMap *
afrpc_pool_map (AfrpcPool        *self,
                AfrpcMapNextFunc  next,
                gpointer          data,
                GDestroyNotify    destroy,
                AfrpcCallOptions *options,
                GCancellable     *cancellable,
                AfrpcMapFlags     flags)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), NULL);
  g_return_val_if_fail (next != NULL, NULL);
  g_return_val_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  return afrpc_map_new (self, next, data, destroy, -1, options, cancellable, flags);
}

/* Of values */

typedef struct
{
  GVariant *inputs; /* (owned) */
  gsize i;
  gsize n;
} Values;

static void
values_free (gpointer data)
{
  Values *self = data;

  g_variant_unref (self->inputs);
  g_free (self);
}

static GVariant *
values_next (gpointer data)
{
  Values *self = data;
  g_autoptr(GVariant) child = NULL;

  if (self->i == self->n)
    return NULL;

  child = g_variant_get_child_value (self->inputs, self->i++);

  return g_variant_is_of_type (child, G_VARIANT_TYPE_VARIANT) ? g_variant_get_variant (child) : g_steal_pointer (&child);
}

/**
 * afrpc_pool_map_variant:
 * @self: a pool
 * @inputs: an array, whose elements are arguments, usually tuples, as of [method@Afrpc.Caller.call]; of variants, what is
 *   in each; a floating reference is consumed
 * @options: (nullable): what each call carries besides
 * @cancellable: (nullable): cancels the map
 * @flags: how results come
 *
 * Calls the function with each element of an array; see [method@Afrpc.Pool.map].
 *
 * Returns: (transfer full): what brings the results
 *
 * Since: 1.0
 */
AfrpcMap *
afrpc_pool_map_variant (AfrpcPool        *self,
                        GVariant         *inputs,
                        AfrpcCallOptions *options,
                        GCancellable     *cancellable,
                        AfrpcMapFlags     flags)
{
  Values *values;

  g_return_val_if_fail (AFRPC_IS_POOL (self), NULL);
  g_return_val_if_fail (inputs != NULL && g_variant_is_of_type (inputs, G_VARIANT_TYPE_ARRAY), NULL);
  g_return_val_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  values = g_new0 (Values, 1);
  values->inputs = g_variant_ref_sink (inputs);
  values->n = g_variant_n_children (inputs);

  return afrpc_map_new (self, values_next, values, values_free, values->n, options, cancellable, flags);
}

/* Of a list */

typedef struct
{
  GListModel *inputs; /* (owned) */
  guint i;
  AfrpcMapItemFunc func;
  gpointer data;
  GDestroyNotify destroy; /* (nullable) */
} Items;

static void
items_free (gpointer data)
{
  Items *self = data;

  if (self->destroy != NULL)
    self->destroy (self->data);
  g_object_unref (self->inputs);
  g_free (self);
}

static GVariant *
items_next (gpointer data)
{
  Items *self = data;
  g_autoptr(GObject) item = g_list_model_get_object (self->inputs, self->i);
  GVariant *args;

  if (item == NULL)
    return NULL;

  self->i++;
  args = self->func (item, self->data);

  return args != NULL ? args : g_variant_new_tuple (NULL, 0);
}

/**
 * afrpc_pool_map_list:
 * @self: a pool
 * @inputs: a list, which should not change meanwhile
 * @func: (scope notified) (closure data) (destroy destroy): makes the arguments of the call for an item
 * @data: data for @func
 * @destroy: called with @data when there are no more inputs, or nobody wants them
 * @options: (nullable): what each call carries besides
 * @cancellable: (nullable): cancels the map
 * @flags: how results come
 *
 * Calls the function for each item of a list; see [method@Afrpc.Pool.map].
 *
 * The index of a call is the position of its item.
 *
 * Returns: (transfer full): what brings the results
 *
 * Since: 1.0
 */
AfrpcMap *
afrpc_pool_map_list (AfrpcPool        *self,
                     GListModel       *inputs,
                     AfrpcMapItemFunc  func,
                     gpointer          data,
                     GDestroyNotify    destroy,
                     AfrpcCallOptions *options,
                     GCancellable     *cancellable,
                     AfrpcMapFlags     flags)
{
  Items *items;

  g_return_val_if_fail (AFRPC_IS_POOL (self), NULL);
  g_return_val_if_fail (G_IS_LIST_MODEL (inputs), NULL);
  g_return_val_if_fail (func != NULL, NULL);
  g_return_val_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);

  items = g_new0 (Items, 1);
  items->inputs = g_object_ref (inputs);
  items->func = func;
  items->data = data;
  items->destroy = destroy;

  return afrpc_map_new (self, items_next, items, items_free, g_list_model_get_n_items (inputs), options, cancellable, flags);
}
