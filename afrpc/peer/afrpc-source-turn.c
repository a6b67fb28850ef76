/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A source that takes much of the time lets others go first, and has its turn all the same. */
#include "config.h"

#include "peer/afrpc-source-parts.h"

/* A source that took more than its share lately, which is half of the time, lets others go first: redrawing has
 * GDK_PRIORITY_REDRAW, which is 120. But not for ever: it has a turn after so long whatever else there is to do. */
#define BUSY_MAX_US (8 * 1000)
#define BUSY_PRIORITY (G_PRIORITY_HIGH_IDLE + 25)
#define TURN_US (10 * 1000)

static gboolean
turn_cb (gpointer data)
{
  AfrpcSource *self = data;
  const gint64 now = g_source_get_time (self->turn);

  if (now - self->dispatched_at >= TURN_US)
    g_source_set_priority (&self->source, G_PRIORITY_DEFAULT);
  g_source_set_ready_time (self->turn, now + TURN_US);

  return G_SOURCE_CONTINUE;
}

static gboolean
turn_dispatch (GSource     *source,
               GSourceFunc  callback,
               gpointer     user_data)
{
  return callback (user_data);
}

static GSourceFuncs turn_funcs = { NULL, NULL, turn_dispatch, NULL };

static void
let_others_go_first (AfrpcSource *self,
                     gint64       now)
{
  if (g_source_get_priority (&self->source) != BUSY_PRIORITY)
    g_source_set_priority (&self->source, BUSY_PRIORITY);
  if (self->turn != NULL)
    return;

  self->turn = g_source_new (&turn_funcs, sizeof (GSource));
  g_source_set_static_name (self->turn, "[afrpc] turn");
  g_source_set_callback (self->turn, turn_cb, self, NULL);
  g_source_set_ready_time (self->turn, now + TURN_US);
  g_source_attach (self->turn, self->context);
}

static void
end_turns (AfrpcSource *self)
{
  if (self->turn == NULL)
    return;

  g_source_destroy (self->turn);
  g_clear_pointer (&self->turn, g_source_unref);
}

/* What it took in this dispatch is added up; time that it did not take is subtracted. */
void
afrpc_source_account (AfrpcSource *self,
                      gint64       start)
{
  const gint64 now = g_get_monotonic_time ();

  self->busy_us = MAX (0, self->busy_us - MAX (0, start - self->dispatched_at)) + (now - start);
  self->busy_us = MIN (self->busy_us, 2 * BUSY_MAX_US);
  self->dispatched_at = now;

  if (self->busy_us >= BUSY_MAX_US)
    let_others_go_first (self, now);
  else if (self->turn != NULL)
    {
      end_turns (self);
      g_source_set_priority (&self->source, G_PRIORITY_DEFAULT);
    }
}
