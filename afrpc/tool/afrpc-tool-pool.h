/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pool that afrpc map runs on: tries again what has failed, ends workers whose call has taken too long, says which have
 * died while they had nothing to do, and counts. Does not know where calls come from and what becomes of the results. */
#pragma once

#include "afrpc-tool.h"

G_BEGIN_DECLS

typedef struct _AfrpcToolPool AfrpcToolPool;

typedef struct
{
  /* A call has a result or an error; not called any more after failed() or kill(). */
  void (*settled) (gpointer      call_data,
                   GVariant     *result,
                   const GError *error,
                   gpointer      data);
  /* The function takes arguments of another type, as the error says, and was not called. Returns: (transfer floating)
   * (nullable): what to call it with instead; asked once of each call */
  GVariant *(*refused) (gpointer      call_data,
                        const GError *error,
                        gpointer      data);
  /* Workers cannot be prepared, or only die; all of them are being killed. */
  void (*failed) (const GError *error,
                  gpointer      data);
  void (*event) (GVariant *event,
                 gpointer  data);
  /* There may be more calls than before. */
  void (*has_room) (gpointer data);
  /* After close() or kill(), or failed(): every process has ended. May come more than once. */
  void (*over) (gpointer data);
} AfrpcToolPoolFuncs;

AfrpcToolPool *afrpc_tool_pool_new         (const AfrpcToolWorkerOptions *options,
                                            guint                         n_workers_max,
                                            const AfrpcToolPoolFuncs     *funcs,
                                            gpointer                      data);
void           afrpc_tool_pool_free        (AfrpcToolPool                *self);
gboolean       afrpc_tool_pool_has_room    (const AfrpcToolPool          *self);
void           afrpc_tool_pool_call        (AfrpcToolPool                *self,
                                            GVariant                     *args,
                                            gboolean                      is_exact,
                                            gpointer                      call_data);
void           afrpc_tool_pool_close       (AfrpcToolPool                *self);
void           afrpc_tool_pool_kill        (AfrpcToolPool                *self);
gboolean       afrpc_tool_pool_is_over     (const AfrpcToolPool          *self);
void           afrpc_tool_pool_print_stats (const AfrpcToolPool          *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcToolPool, afrpc_tool_pool_free)

G_END_DECLS
