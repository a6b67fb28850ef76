/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-map.h"
#include "pool/afrpc-map-parcels.h"

G_BEGIN_DECLS

AfrpcMap *afrpc_map_new         (AfrpcPool            *pool,
                                 AfrpcMapNextFunc      next,
                                 gpointer              data,
                                 GDestroyNotify        destroy,
                                 gint64                n,
                                 AfrpcCallOptions     *options,
                                 GCancellable         *cancellable,
                                 AfrpcMapFlags         flags);
AfrpcMap *afrpc_map_new_parcels (AfrpcPool            *pool,
                                 const AfrpcMapFuncs  *funcs,
                                 gpointer              data,
                                 const char           *host,
                                 AfrpcCallOptions     *options,
                                 GCancellable         *cancellable);

G_END_DECLS
