/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls by their serials. Owns nothing of them: they are linked where they lie. As large as there are calls in it,
 * whatever their serials; those of an honest parent, which uses its slots from the first one on, never share a
 * bucket for long. */
#pragma once

#include "serve/afrpc-served-call.h"

G_BEGIN_DECLS

typedef struct
{
  AfrpcServedCall **buckets; /* (nullable): none yet */
  guint n_buckets;           /* 0, or a power of two */
  guint n;                   /* calls */
} AfrpcCallTable;

void             afrpc_call_table_clear  (AfrpcCallTable   *self);
void             afrpc_call_table_add    (AfrpcCallTable   *self,
                                          AfrpcServedCall  *call);
void             afrpc_call_table_remove (AfrpcCallTable   *self,
                                          AfrpcServedCall  *call);
AfrpcServedCall *afrpc_call_table_find   (AfrpcCallTable   *self,
                                          guint64           serial);

G_END_DECLS
