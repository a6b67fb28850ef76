/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A crew of workers that run one function. Spreads calls over the workers, starts workers when
 * there is work for them, replaces those that die, and gives calls that a dead worker had not
 * started to another one. Does not know where calls come from and what becomes of the results. */
#pragma once

#include "afrpc-tool.h"

G_BEGIN_DECLS

#define AFRPC_TOOL_CREW_DEATHS_MAX 5 /* workers in a row that die before they begin a call */

typedef struct _AfrpcToolCrew AfrpcToolCrew;

typedef struct
{
  /* A call has a result or an error; not called any more after failed() or kill(). */
  void (*settled) (gpointer      call_data,
                   GVariant     *result,
                   const GError *error,
                   gpointer      data);
  /* Workers cannot be prepared, or only die; all of them are being killed. */
  void (*failed) (const GError *error,
                  gpointer      data);
  /* After close() or kill(), or failed(): every process has ended. May come more than once. */
  void (*over) (gpointer data);
} AfrpcToolCrewFuncs;

AfrpcToolCrew *afrpc_tool_crew_new      (const AfrpcToolWorkerOptions *options,
                                         guint                         n_workers_max,
                                         const AfrpcToolCrewFuncs     *funcs,
                                         gpointer                      data);
void           afrpc_tool_crew_free     (AfrpcToolCrew                *self);
gboolean       afrpc_tool_crew_has_room (const AfrpcToolCrew          *self);
void           afrpc_tool_crew_call     (AfrpcToolCrew                *self,
                                         GVariant                     *args,
                                         gpointer                      call_data);
void           afrpc_tool_crew_close    (AfrpcToolCrew                *self);
void           afrpc_tool_crew_kill     (AfrpcToolCrew                *self);
gboolean       afrpc_tool_crew_is_over  (const AfrpcToolCrew          *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcToolCrew, afrpc_tool_crew_free)

G_END_DECLS
