/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-call.h"
#include "afrpc-pool.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_MAP (afrpc_map_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcMap, afrpc_map, AFRPC, MAP, GObject)

/**
 * AfrpcMapNextFunc:
 * @data: (closure): what was given with the function
 *
 * Makes the arguments of the next call of a map.
 *
 * Called from the main context of the pool, or by who blocks for a result.
 *
 * Returns: (transfer full) (nullable): the arguments, which may be floating; or %NULL: there are no more
 *
 * Since: 1.0
 */
typedef GVariant *(*AfrpcMapNextFunc) (gpointer data);

/**
 * AfrpcMapItemFunc:
 * @item: an item of a list
 * @data: (closure): what was given with the function
 *
 * Makes the arguments of the call for an item.
 *
 * Returns: (transfer full) (nullable): the arguments, which may be floating; or %NULL for none
 *
 * Since: 1.0
 */
typedef GVariant *(*AfrpcMapItemFunc) (GObject  *item,
                                       gpointer  data);

AFRPC_AVAILABLE_IN_1_0
AfrpcMap  *afrpc_pool_map            (AfrpcPool            *self,
                                      AfrpcMapNextFunc      next,
                                      gpointer              data,
                                      GDestroyNotify        destroy,
                                      AfrpcCallOptions     *options,
                                      GCancellable         *cancellable,
                                      AfrpcMapFlags         flags) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcMap  *afrpc_pool_map_variant    (AfrpcPool            *self,
                                      GVariant             *inputs,
                                      AfrpcCallOptions     *options,
                                      GCancellable         *cancellable,
                                      AfrpcMapFlags         flags) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcMap  *afrpc_pool_map_list       (AfrpcPool            *self,
                                      GListModel           *inputs,
                                      AfrpcMapItemFunc      func,
                                      gpointer              data,
                                      GDestroyNotify        destroy,
                                      AfrpcCallOptions     *options,
                                      GCancellable         *cancellable,
                                      AfrpcMapFlags         flags) G_GNUC_WARN_UNUSED_RESULT;

AFRPC_AVAILABLE_IN_1_0
void       afrpc_map_next_async      (AfrpcMap             *self,
                                      GCancellable         *cancellable,
                                      GAsyncReadyCallback   callback,
                                      gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
AfrpcCall *afrpc_map_next_finish     (AfrpcMap             *self,
                                      GAsyncResult         *result,
                                      GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcCall *afrpc_map_next_sync       (AfrpcMap             *self,
                                      GCancellable         *cancellable,
                                      GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
void       afrpc_map_next_many_async (AfrpcMap             *self,
                                      guint                 n_max,
                                      GCancellable         *cancellable,
                                      GAsyncReadyCallback   callback,
                                      gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
GPtrArray *afrpc_map_next_many_finish (AfrpcMap            *self,
                                       GAsyncResult        *result,
                                       GError             **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
GPtrArray *afrpc_map_next_many_sync  (AfrpcMap             *self,
                                      guint                 n_max,
                                      GCancellable         *cancellable,
                                      GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
void       afrpc_map_cancel          (AfrpcMap             *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcPool *afrpc_map_get_pool        (AfrpcMap             *self);

G_END_DECLS
