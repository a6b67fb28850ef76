/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-exit.h"
#include "peer/afrpc-limits.h"
#include "os/afrpc-spawn.h"

G_BEGIN_DECLS

/* @n_recent: how many characters at the end of @stderr_tail were written by what it did last */
AfrpcExit *afrpc_exit_new      (int                     pid,
                                const AfrpcSpawnStatus *status,
                                gboolean                killed,
                                const AfrpcLimits      *limits,
                                const char             *stderr_tail,
                                gsize                   n_recent);
void       afrpc_exit_set_unclear (AfrpcExit           *self);
void       afrpc_exit_set_failure (AfrpcExit           *self,
                                   const char          *failure,
                                   AfrpcLimit           limit);
void       afrpc_exit_set_greetless (AfrpcExit         *self);
char      *afrpc_exit_describe (const AfrpcExit        *self,
                                const char             *name);

G_END_DECLS
