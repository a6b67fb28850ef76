/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The watch: who waits behind something that takes long, or for a worker that does not begin it, while others are idle, or go
 * on. */
#pragma once

#include "pool/afrpc-pool-parts.h"

G_BEGIN_DECLS

void          afrpc_pool_watch_later   (AfrpcPoolCore    *self,
                                        gint64            now);
void          afrpc_pool_watch_look    (AfrpcPoolCore    *self,
                                        gint64            now);

/* Whether jobs wait in workers that run one at a time, behind others or to be begun, and there may be somebody else for them. Who
 * is busy with what was given up may have none. */
static inline gboolean
afrpc_pool_watch_has_waiting (const AfrpcPoolCore *self)
{
  return self->config.backend == AFRPC_BACKEND_SYNC &&
         (self->n_given > self->n_having || self->has_unbegun) &&
         (self->members->len > 1 || afrpc_pool_staff_may_grow (self));
}

/* Or whether some have parcels, which may turn out to take long. */
static inline gboolean
afrpc_pool_watch_is_needed (const AfrpcPoolCore *self)
{
  return self->n_parcels > 0 || afrpc_pool_watch_has_waiting (self);
}

G_END_DECLS
