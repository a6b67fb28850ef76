/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a map pulls, and when. */
#include "config.h"

#include "pool/afrpc-pool-map.h"

#include "afrpc-call-options-private.h"
#include "afrpc-error.h"

#define WINDOW_MIN 16u
#define PUMP_EACH 64u /* calls that are made before workers get what there is */

/* What was pulled is not called for. */
static void
drop_held (AfrpcPoolMap *self)
{
  if (self->held.args == NULL)
    return;

  g_clear_pointer (&self->held.args, g_variant_unref);
  self->funcs->sort (self->data, self->held.parcel, NULL);
}

/* There are no more. Who is just being asked is let go of afterwards. */
static void
forget_inputs (AfrpcPoolMap *self)
{
  self->is_exhausted = TRUE;
  drop_held (self);
  if (!self->is_pulling)
    self->funcs->forget (self->data);
  afrpc_pool_map_note_change (self);
}

void
afrpc_pool_map_set_stalled (AfrpcPoolMap *self,
                            gboolean      is_stalled)
{
  if (is_stalled == self->is_stalled)
    return;

  self->is_stalled = is_stalled;
  if (is_stalled)
    g_queue_push_tail_link (&self->core->stalled, &self->stall);
  else
    g_queue_unlink (&self->core->stalled, &self->stall);
}

void
afrpc_pool_map_stop (AfrpcPoolMap *self,
                     GError       *error) /* (transfer full) */
{
  afrpc_pool_map_set_stalled (self, FALSE);
  if (self->error == NULL)
    self->error = error;
  else
    g_error_free (error);
  forget_inputs (self);
}

static guint
get_window (const AfrpcPoolMap *self)
{
  const AfrpcPoolConfig *config = &self->core->config;
  const guint64 window = (guint64) config->max_workers * config->load * self->chunk * 4;

  return CLAMP (window, WINDOW_MIN, AFRPC_POOL_MAP_WINDOW_MAX);
}

/* Others have half of the queue. What waits for a certain worker keeps none from any other. */
gboolean
afrpc_pool_map_has_room (AfrpcPoolMap *self,
                         gsize         size)
{
  AfrpcPoolCore *core = self->core;

  return afrpc_pool_get_n_common (core) < MAX (core->config.max_calls_queued / 2, 1) &&
         afrpc_pool_entry_has_room (core, self->options, size);
}

gboolean
afrpc_pool_map_wants_more (AfrpcPoolMap *self)
{
  AfrpcPoolCore *core = self->core;

  if (self->is_exhausted || self->pool == NULL)
    return FALSE;
  if (core->failure != NULL)
    afrpc_pool_map_stop (self, g_error_copy (core->failure));
  else if (core->state != AFRPC_POOL_OPEN)
    afrpc_pool_map_stop (self, afrpc_pool_core_new_closed_error (core));

  return !self->is_exhausted && self->calls.length + self->n_untaken < get_window (self);
}

static AfrpcMapPulled
pull_one (AfrpcPoolMap  *self,
          AfrpcMapInput *input)
{
  const AfrpcPoolConfig *config = &self->core->config;
  const AfrpcMapRoom room = {
    .window = get_window (self), .window_max = AFRPC_POOL_MAP_WINDOW_MAX,
    .n_at_once = CLAMP ((guint64) config->max_workers * config->load, 1, G_MAXUINT),
    .n_workers = MAX (afrpc_pool_staff_count (self->core), 1), .load = config->load, .max_repeats = config->max_repeats,
    .may_parcel = afrpc_pool_map_may_parcel (self), .max_message_size = config->max_message_size,
  };
  const AfrpcMapPulled pulled = self->funcs->pull (self->data, &room, input);

  if (pulled == AFRPC_MAP_PULLED && self->n_left > 0)
    self->n_left--;

  return pulled;
}

/* FALSE: there is nothing, or nothing now, or there is no room. @input: (out): what is next, which has room */
static gboolean
pull (AfrpcPoolMap  *self,
      AfrpcMapInput *input)
{
  *input = self->held;
  self->held.args = NULL;
  if (input->args == NULL)
    {
      AfrpcMapPulled pulled;

      if (!afrpc_pool_map_has_room (self, 0))
        {
          afrpc_pool_map_set_stalled (self, TRUE);
          return FALSE;
        }
      *input = (AfrpcMapInput) { 0 };
      pulled = pull_one (self, input);
      if (pulled == AFRPC_MAP_PULLED)
        input->args = g_variant_take_ref (input->args);
      /* Whoever was asked may have done anything. */
      if (pulled == AFRPC_MAP_END && !self->is_exhausted)
        forget_inputs (self);
      if (pulled == AFRPC_MAP_PULLED && self->is_exhausted)
        {
          self->held = *input;
          drop_held (self);
        }
      if (pulled != AFRPC_MAP_PULLED || self->is_exhausted)
        return FALSE;
    }
  if (!afrpc_pool_map_has_room (self, g_variant_get_size (input->args)))
    {
      self->held = *input;
      afrpc_pool_map_set_stalled (self, TRUE);
      return FALSE;
    }

  return TRUE;
}

/* Returns: the job, which is nowhere yet. @input: its arguments are used up */
AfrpcPoolJob *
afrpc_pool_map_make_job (AfrpcPoolMap        *self,
                         const AfrpcMapInput *input)
{
  AfrpcCall *call = afrpc_call_new_spare (AFRPC_CALLER (self->pool), self->options, afrpc_pool_map, NULL, input->parcel);
  AfrpcPoolJob *job;

  self->n_pulled++;
  call->index = input->index;
  call->n_parts = input->n_parts;
  call->link.data = call;
  afrpc_call_get_pending (call)->is_awaited = TRUE;
  g_queue_push_tail_link (&self->calls, &call->link);
  if (self->n_under_way++ == 0)
    afrpc_pool_map_ref (self);
  job = afrpc_pool_job_new (self->core, call, input->args);
  job->map = self;
  job->n_deaths = input->n_deaths;
  if (input->n_deaths > 0)
    job->begun = AFRPC_STARTED_YES;
  g_variant_unref (input->args);

  return job;
}

/* Others that come later do not wait for all that has been made ahead: a chunk of this has its turn, and then what others there
 * are. Of one key all are in their order. */
static void
take_turn (AfrpcPoolMap *self,
           AfrpcPoolJob *job)
{
  AfrpcPoolCore *core = self->core;
  guint64 last;

  if (job->place.priority != 0 || (self->options != NULL && self->options->affinity != NULL))
    {
      job->place.number = ++core->last_number;
      return;
    }

  /* Those that have left without a turn leave no gap, which would be filled by calls of others that come later. */
  last = MAX (core->last_number, afrpc_pool_queue_get_last_ahead (&core->queue));
  if (self->n_in_turn == 0 || self->turn < last || self->turn > last + 1)
    {
      self->turn = last + 1;
      self->n_in_turn = self->chunk;
    }
  self->n_in_turn--;
  job->place.number = self->turn;
  job->place.is_ahead = TRUE;
}

/* Makes as many calls as there may be. */
void
afrpc_pool_map_feed (AfrpcPoolMap *self)
{
  AfrpcPoolCore *core = self->core;
  guint n = 0;

  if (self->is_pulling || self->is_exhausted)
    return;

  afrpc_pool_core_ref (core);
  afrpc_pool_map_ref (self);
  self->is_pulling = TRUE;
  core->n_pulling++;
  afrpc_pool_map_set_stalled (self, FALSE);
  while (afrpc_pool_map_wants_more (self))
    {
      AfrpcMapInput input;
      AfrpcPoolJob *job;

      if (!pull (self, &input))
        break;
      job = afrpc_pool_map_make_job (self, &input);
      take_turn (self, job);
      afrpc_pool_entry_add (core, job);
      if (++n % PUMP_EACH == 0 || input.is_urgent)
        afrpc_pool_desk_pump_for_map (core);
    }
  self->is_pulling = FALSE;
  if (--core->n_pulling == 0 && core->hungry.length > 0)
    afrpc_pool_core_want_timer (core, 0);
  if (self->is_exhausted)
    forget_inputs (self);
  if (n % PUMP_EACH != 0)
    afrpc_pool_desk_pump_for_map (core);
  afrpc_pool_map_unref (self);
  afrpc_pool_core_unref (core);
}
