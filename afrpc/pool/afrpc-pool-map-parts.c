/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Parcels: who takes them, and what is called for again of their parts. */
#include "config.h"

#include "pool/afrpc-pool-map.h"

#include "afrpc-error.h"

/* Whether workers may have parcels: nothing is counted, or limited, that is about each of many. */
gboolean
afrpc_pool_map_may_parcel (AfrpcPoolMap *self)
{
  const AfrpcPoolConfig *config = &self->core->config;

  if (self->host == NULL || config->backend != AFRPC_BACKEND_SYNC || config->serialiser != NULL || config->max_calls > 0 ||
      config->call_timeout_ms > 0)
    return FALSE;

  /* Otherwise some would be refused, and made again. */
  for (guint i = 0; i < self->core->templates->len; i++)
    {
      const AfrpcPoolTemplate *template = self->core->templates->pdata[i];

      if (template->process == NULL || g_strcmp0 (afrpc_process_get_host (template->process), self->host) != 0)
        return FALSE;
    }

  return TRUE;
}

/* Whether @member, which is ready, takes parcels. */
gboolean
afrpc_pool_map_fits (AfrpcPoolMap    *self,
                     AfrpcPoolMember *member)
{
  return g_strcmp0 (afrpc_peer_get_host (member->peer), self->host) == 0 && afrpc_peer_can_take_back (member->peer);
}

/* Returns: (transfer full) (nullable): why nothing is called for again. Where calls would fail at once they are made all the
 * same: these know whether they were begun. */
static GError *
get_obstacle (AfrpcPoolMap *self)
{
  if (self->is_cancelled || self->pool == NULL)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, AFRPC_CALL_CANCELLED);

  return self->core->state == AFRPC_POOL_OVER ?
           g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the main context of the pool is gone") : NULL;
}

/* What has to be called for again is, in the place of @number among those that wait. */
void
afrpc_pool_map_call_rest (AfrpcPoolMap *self,
                          guint64       number)
{
  g_autoptr(GError) error = NULL;
  AfrpcMapInput input = { 0 };

  if (self->funcs->pull_rest == NULL)
    return;

  error = get_obstacle (self);
  if (error != NULL)
    {
      self->funcs->fail_rest (self->data, error);
      return;
    }

  while (self->funcs->pull_rest (self->data, &input))
    {
      AfrpcPoolJob *job;

      input.args = g_variant_take_ref (input.args);
      job = afrpc_pool_map_make_job (self, &input);
      job->place.number = number;
      afrpc_pool_entry_add_rest (self->core, job);
      input = (AfrpcMapInput) { 0 };
    }
}

/* A worker runs one of a parcel for a moment: it is left with that. Whoever waits is told in this turn. */
void
afrpc_pool_map_cut (AfrpcPoolJob *job)
{
  AfrpcPoolMap *self = job->map;
  g_autoptr(GBytes) saved = NULL;
  guint64 n_begun;

  afrpc_pool_job_set_parcel (job, FALSE);
  if (self->pool == NULL || !afrpc_peer_cut (job->member->peer, &job->pending))
    return;

  saved = afrpc_peer_get_parts (job->member->peer, &job->pending, &n_begun);
  self->core->n_acts++;
  self->funcs->cut (self->data, job->call->user_data, job->call, n_begun, saved);
  afrpc_pool_map_call_rest (self, job->place.number);
  afrpc_pool_map_note_change (self);
}
