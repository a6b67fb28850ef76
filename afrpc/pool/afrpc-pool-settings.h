/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What all workers are called with, and who waits until they have answered. */
#pragma once

#include "pool/afrpc-pool-parts.h"

G_BEGIN_DECLS

/* One call for all workers of a moment. */
struct _AfrpcPoolRound
{
  guint ref_count;
  guint n_left;  /* workers that have not answered, and one until all have it */
  GError *error; /* (nullable): the first */
  GTask *task;   /* (nullable) (owned): who waits in the main loop */
};

AfrpcPoolRound *afrpc_pool_round_ref    (AfrpcPoolRound   *self);
void          afrpc_pool_round_unref   (AfrpcPoolRound   *self);
void          afrpc_pool_round_answer  (AfrpcPoolCore    *core,
                                        AfrpcPoolRound   *self,
                                        const GError     *error);
void          afrpc_pool_settings_say  (AfrpcPoolCore    *self,
                                        GVariant         *args,
                                        AfrpcCallOptions *options,
                                        AfrpcPoolRound   *round);
gboolean      afrpc_pool_settings_forget (AfrpcPoolCore  *self,
                                          const char     *function,
                                          const char     *label);

G_END_DECLS
