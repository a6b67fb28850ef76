/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-exit.h"
#include "child/afrpc-limits.h"
#include "spawn/afrpc-spawn.h"

G_BEGIN_DECLS

AfrpcExit *afrpc_exit_new      (int                     pid,
                                const AfrpcSpawnStatus *status,
                                gboolean                killed,
                                const AfrpcLimits      *limits,
                                const char             *stderr_tail);
char      *afrpc_exit_describe (const AfrpcExit        *self,
                                const char             *name);

G_END_DECLS
