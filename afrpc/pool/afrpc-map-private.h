/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-map.h"

G_BEGIN_DECLS

AfrpcMap *afrpc_map_new (AfrpcPool        *pool,
                         AfrpcMapNextFunc  next,
                         gpointer          data,
                         GDestroyNotify    destroy,
                         gint64            n,
                         AfrpcCallOptions *options,
                         GCancellable     *cancellable,
                         AfrpcMapFlags     flags);

G_END_DECLS
