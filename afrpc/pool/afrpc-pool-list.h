/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The workers of a pool as a list model, the oldest first. It is as it was told last, and outlives the pool. */
#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

typedef struct _AfrpcPoolCore AfrpcPoolCore;

#define AFRPC_TYPE_POOL_LIST (afrpc_pool_list_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcPoolList, afrpc_pool_list, AFRPC, POOL_LIST, GObject)

AfrpcPoolList *afrpc_pool_list_new    (AfrpcPoolCore *core);
void           afrpc_pool_list_update (AfrpcPoolList *self,
                                       AfrpcPoolCore *core);

G_END_DECLS
