/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long a flood of calls or events keeps a main loop from drawing: a 60 Hz timer ticks while --n
 * calls are queued (variant "calls"), --n events arrive ("events"), or nothing happens for a while
 * ("idle": what the machine does to the timer by itself).
 *
 * Reported, in ms, each the worst of the run:
 *   tick   how late the timer was at the default priority
 *   draw   how late it was at the priority at which GTK draws, below the default priority
 *   hold   how long one iteration of the main context took between two polls */
#include "bench-client.h"

#include <string.h>

#define PEER "afrpc"
#define FRAME_MS 16
#define SLICE 1000                                /* calls queued at once */
#define PRIORITY_DRAW (G_PRIORITY_HIGH_IDLE + 20) /* GDK_PRIORITY_REDRAW */
#define IDLE_MS 300

typedef struct
{
  gint64 last_us;
  gint64 late_us;
} Tick;

/* The poll function has no user data. */
static gint64 poll_left_us;
static gint64 hold_us;

static int
poll_cb (GPollFD *fds,
         guint    n_fds,
         int      timeout_ms)
{
  int result;

  if (poll_left_us != 0)
    hold_us = MAX (hold_us, g_get_monotonic_time () - poll_left_us);
  result = g_poll (fds, n_fds, timeout_ms);
  poll_left_us = g_get_monotonic_time ();
  return result;
}

static void
tick (Tick *self)
{
  gint64 now_us = g_get_monotonic_time ();

  self->late_us = MAX (self->late_us, now_us - self->last_us - FRAME_MS * 1000);
  self->last_us = now_us;
}

static gboolean
tick_cb (gpointer user_data)
{
  tick (user_data);
  return G_SOURCE_CONTINUE;
}

static guint
tick_start (Tick *self,
            int   priority)
{
  *self = (Tick) { .last_us = g_get_monotonic_time () };
  return g_timeout_add_full (priority, FRAME_MS, tick_cb, self, NULL);
}

/* Runs right after drawing: it does not hold that up by itself, and makes calls before what lies
 * below has delivered the replies to the last ones, so that there is a backlog. */
static gboolean
queue_slice_cb (gpointer user_data)
{
  BenchClient *client = user_data;

  bench_client_send (client, MIN (SLICE, client->n - client->n_sent));
  return client->n_sent < client->n ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean
done_cb (gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
  return G_SOURCE_REMOVE;
}

static void
flood (BenchClient *client,
       const char  *variant,
       uint64_t     n)
{
  gboolean done = FALSE;

  bench_client_begin (client, n);
  if (strcmp (variant, "calls") == 0)
    {
      g_idle_add_full (PRIORITY_DRAW + 1, queue_slice_cb, client, NULL);
      bench_client_wait (client);
    }
  else if (strcmp (variant, "events") == 0)
    {
      bench_client_send (client, 1);
      bench_client_wait (client);
    }
  else if (strcmp (variant, "idle") == 0)
    {
      g_timeout_add (IDLE_MS, done_cb, &done);
      while (!done)
        g_main_context_iteration (NULL, TRUE);
    }
  else
    bench_fail ("no such variant: %s", variant);
}

static void
report (BenchOptions *options,
        const char   *what,
        gint64        us)
{
  g_autofree char *variant = g_strconcat (options->variant, "/", what, NULL);
  BenchOptions shown = *options;

  shown.variant = variant;
  bench_report_value (&shown, PEER, "ms", (double) us / 1000);
}

int
main (int    argc,
      char **argv)
{
  BenchOptions options;
  BenchClient client;
  Tick tick_default, tick_draw;
  guint source_default, source_draw;
  gboolean emits;

  bench_options_init (&options, argc, argv);
  emits = strcmp (options.variant, "events") == 0;
  bench_client_init (&client, &options, NULL, AFRPC_BACKEND_SYNC, emits);
  afrpc_proxy_set_max_calls_queued (client.proxy, (guint) MIN (options.n + SLICE, G_MAXUINT));
  bench_client_begin (&client, 1);
  bench_client_send (&client, 1);
  bench_client_wait (&client);

  g_main_context_set_poll_func (NULL, poll_cb);
  source_default = tick_start (&tick_default, G_PRIORITY_DEFAULT);
  source_draw = tick_start (&tick_draw, PRIORITY_DRAW);
  flood (&client, options.variant, options.n);
  /* A timer that never got its turn is late all the same. */
  tick (&tick_default);
  tick (&tick_draw);
  g_main_context_set_poll_func (NULL, NULL);
  g_source_remove (source_default);
  g_source_remove (source_draw);

  report (&options, "tick", tick_default.late_us);
  report (&options, "draw", tick_draw.late_us);
  report (&options, "hold", hold_us);
  bench_client_clear (&client);
  return 0;
}
