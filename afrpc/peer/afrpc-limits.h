/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a process is limited to, on the program's side: kept, sent to the host, which applies it, and
 * looked at again when the process has ended. */
#pragma once

#include "afrpc-types.h"
#include "os/afrpc-spawn.h"
#include "wire/afrpc-options.h"

G_BEGIN_DECLS

typedef struct
{
  guint which;                                /* bits: 1 << AfrpcLimit */
  guint64 values[AFRPC_LIMIT_FILE_SIZE + 1]; /* by AfrpcLimit */
  gboolean has_nice;
  int nice;                                   /* on top of the program's */
  gboolean leads_group;                       /* a process group of its own */
} AfrpcLimits;

void       afrpc_limits_set     (AfrpcLimits            *self,
                                 AfrpcLimit              limit,
                                 guint64                 value);
gboolean   afrpc_limits_any     (const AfrpcLimits      *self);
void       afrpc_limits_insert  (const AfrpcLimits      *self,
                                 AfrpcOptionsWriter     *dict);
gboolean   afrpc_limits_explain_failure (const AfrpcLimits    *self,
                                         const char           *message);
AfrpcLimit afrpc_limits_explain (const AfrpcLimits      *self,
                                 const AfrpcSpawnStatus *status,
                                 gboolean                killed,
                                 const char             *stderr_tail);

G_END_DECLS
