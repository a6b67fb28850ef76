/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps. Their calls are jobs like any other, but for four things: inputs are pulled only while what is under way and
 * what was not taken fit into a window; outcomes are decided in place, as for who blocks, and acted on together at the end
 * of a turn; many small calls are given at once, in chunks that keep a worker busy for a few milliseconds; and a call may be
 * a parcel, which consists of many, and may come back in parts. Each of these has a file of its own. */
#include "config.h"

#include "pool/afrpc-pool-map.h"

#include "afrpc-error.h"

/* @data: (transfer full): for @funcs; @host: (nullable): of the workers that take parcels; @n_left: how many inputs there
 * are, or -1 */
AfrpcPoolMap *
afrpc_pool_map_new (AfrpcPool           *pool,
                    const AfrpcMapFuncs *funcs,
                    gpointer             data,
                    const char          *host,
                    gint64               n_left,
                    AfrpcCallOptions    *options)
{
  AfrpcPoolMap *self = g_new0 (AfrpcPoolMap, 1);
  GError *error = NULL;

  self->ref_count = 1;
  self->link.data = self->stall.data = self->hunger.data = self->change.data = self;
  self->pool = g_object_ref (pool);
  self->core = afrpc_pool_core_ref (pool->core);
  g_set_object (&self->options, options);
  if (options != NULL)
    afrpc_call_options_freeze (options);
  self->funcs = funcs;
  self->data = data;
  self->host = host;
  self->n_left = n_left;
  self->chunk = 1;
  self->is_listed = afrpc_pool_check_thread (pool, "making a map", &error);
  if (self->is_listed)
    g_queue_push_tail_link (&self->core->maps, &self->link);
  else
    afrpc_pool_map_stop (self, error);

  return self;
}

void
afrpc_pool_map_unref (AfrpcPoolMap *self)
{
  AfrpcPoolCore *core = self->core;

  if (--self->ref_count > 0)
    return;

  g_assert (self->pool == NULL && self->calls.length == 0 && !self->is_stalled);
  if (self->is_listed)
    g_queue_unlink (&core->maps, &self->link);
  self->funcs->free (self->data);
  g_clear_object (&self->options);
  g_clear_error (&self->error);
  g_free (self);
  afrpc_pool_core_unref (core);
}

/* Nothing more is pulled, and what is under way is given up. */
void
afrpc_pool_map_cancel (AfrpcPoolMap *self)
{
  GList *link, *next;

  afrpc_pool_map_ref (self);
  self->is_cancelled = TRUE;
  afrpc_pool_map_stop (self, g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the map was cancelled"));
  for (link = self->calls.head; link != NULL; link = next)
    {
      AfrpcCall *call = link->data;

      next = link->next;
      if (afrpc_call_get_pending (call)->state != AFRPC_PENDING_DECIDED)
        afrpc_call_cancel (call);
    }
  afrpc_pool_core_want_timer (self->core, 0);
  afrpc_pool_map_unref (self);
}

/* Nobody wants the results any more. Consumes the reference of the object. */
void
afrpc_pool_map_drop (AfrpcPoolMap *self)
{
  g_autoptr(AfrpcPool) pool = g_steal_pointer (&self->pool);

  afrpc_pool_map_cancel (self);
  afrpc_pool_map_unref (self);
}

/* A call has its outcome. @number: of its job */
void
afrpc_pool_map_settled (AfrpcPoolMap *self,
                        AfrpcCall    *call,
                        guint64       number)
{
  g_queue_unlink (&self->calls, &call->link);
  call->link = (GList) { 0 };
  /* What has arrived of a parcel is not lost to a cancel that comes after it. */
  if (call->n_parts > 0 && call->value != NULL)
    afrpc_call_outrun_cancel (call);
  afrpc_call_complete (call);
  afrpc_call_tell_waits (call, FALSE);
  self->n_untaken += self->funcs->take != NULL;
  self->funcs->sort (self->data, call->user_data, call);
  afrpc_pool_map_call_rest (self, number);
  afrpc_pool_map_note_hunger (self);
  afrpc_pool_map_note_change (self);
  if (--self->n_under_way == 0)
    afrpc_pool_map_unref (self);
}

/* Whether there is something to take. */
gboolean
afrpc_pool_map_has_results (AfrpcPoolMap *self)
{
  return self->funcs->has_news (self->data);
}

/* Whether there is something to take, or the end. */
gboolean
afrpc_pool_map_has_news (AfrpcPoolMap *self)
{
  return afrpc_pool_map_has_results (self) ||
         (self->is_exhausted && !self->is_pulling && self->calls.length == 0);
}

/* Returns: (transfer full) (nullable): a call that has its outcome, for afrpc_call_release (); NULL: there is none now, or
 * who has made the map takes them himself */
AfrpcCall *
afrpc_pool_map_take (AfrpcPoolMap *self)
{
  AfrpcCall *call = self->funcs->take != NULL ? self->funcs->take (self->data) : NULL;

  self->n_untaken -= call != NULL;

  return call;
}
