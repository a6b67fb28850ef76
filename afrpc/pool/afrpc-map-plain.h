/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a map of a program calls for: what a function makes, one by one. Its outcomes are calls, in the order of the inputs
 * or as they are there, until they are taken. All for the thread of the pool's context. */
#pragma once

#include "afrpc-map.h"
#include "pool/afrpc-map-parcels.h"

G_BEGIN_DECLS

typedef struct _AfrpcMapPlain AfrpcMapPlain;

extern const AfrpcMapFuncs afrpc_map_plain_funcs;

AfrpcMapPlain *afrpc_map_plain_new (AfrpcMapNextFunc  next,
                                    gpointer          data,
                                    GDestroyNotify    destroy,
                                    AfrpcMapFlags     flags);

G_END_DECLS
