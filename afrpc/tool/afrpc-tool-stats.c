/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See afrpc-tool-stats.h. */
#include "config.h"

#include "afrpc-tool-stats.h"

#include <glib/gi18n.h>
#include <inttypes.h>

#include "afrpc-tool.h"

/* A call has its outcome. @error: (nullable) */
void
afrpc_tool_stats_add (AfrpcToolStats *self,
                      gint64          start_us,
                      const GError   *error,
                      gboolean        is_overdue)
{
  const gint64 us = g_get_monotonic_time () - start_us;

  self->least_us = self->n_calls == 0 ? us : MIN (self->least_us, us);
  self->most_us = MAX (self->most_us, us);
  self->total_us += us;
  self->n_calls++;
  if (error == NULL)
    return;

  if (is_overdue)
    self->n_overdue++;
  else if (afrpc_tool_exit_status (error) == AFRPC_TOOL_EXIT_DIED)
    self->n_lost++;
  else if (afrpc_tool_exit_status (error) == AFRPC_TOOL_EXIT_PREPARE || g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE))
    self->n_refused++;
  else
    self->n_errors++;
}

void
afrpc_tool_stats_print (const AfrpcToolStats *self)
{
  const double seconds = (double) (g_get_monotonic_time () - self->begin_us) / G_USEC_PER_SEC;
  const double mean_ms = self->n_calls > 0 ? (double) self->total_us / (double) self->n_calls / 1000 : 0;

  /* Translators: --stats of "afrpc map": what failed by its reason: the function said so, the worker died, the time limit
   * passed, anything else */
  afrpc_tool_message (_("calls: %" PRIu64 "; failed: %" PRIu64 " by the function, %" PRIu64 " by a death, %" PRIu64
                        " by the time limit, %" PRIu64 " otherwise; tried again: %" PRIu64),
                      self->n_calls, self->n_errors, self->n_lost, self->n_overdue, self->n_refused, self->n_retries);
  afrpc_tool_message (_("workers: %" PRIu64 "; died: %" PRIu64), self->n_workers, self->n_deaths);
  /* Translators: how long all took, then how long one call took */
  afrpc_tool_message (_("time: %.3f s; a call: %.3f ms at least, %.3f on average, %.3f at most"), seconds,
                      (double) self->least_us / 1000, mean_ms, (double) self->most_us / 1000);
}
