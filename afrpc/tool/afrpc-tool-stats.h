/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What afrpc map says with --stats: what its pool has counted, and what that does not know. */
#pragma once

#include <afrpc/afrpc.h>

G_BEGIN_DECLS

void afrpc_tool_stats_print (const AfrpcPoolStats *stats,
                             guint64               n_retries,
                             guint64               n_refused,
                             gint64                duration_us);

G_END_DECLS
