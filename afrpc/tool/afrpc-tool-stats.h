/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What afrpc map counts, for --stats. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  gint64 begin_us;
  guint64 n_calls;    /* that have an outcome, tried again or not */
  guint64 n_retries;
  guint64 n_errors;   /* calls whose function failed */
  guint64 n_lost;     /* calls whose worker died */
  guint64 n_overdue;  /* calls that took too long */
  guint64 n_refused;  /* calls that failed in any other way */
  guint64 n_workers;  /* that have had calls */
  guint64 n_deaths;   /* of these */
  gint64 total_us;    /* of all calls */
  gint64 least_us;
  gint64 most_us;
} AfrpcToolStats;

void afrpc_tool_stats_add   (AfrpcToolStats       *self,
                             gint64                start_us,
                             const GError         *error,
                             gboolean              is_overdue);
void afrpc_tool_stats_print (const AfrpcToolStats *self);

G_END_DECLS
