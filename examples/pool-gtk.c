/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A GTK program that shows a pool at work: its workers, what each is doing, and how many calls wait and finish. A worker can
 * be killed: the pool goes on.
 *
 * usage: pool-gtk [--check] [MODULE]
 *
 * With --check it works for a moment, kills a worker, waits for another one, and ends. */
#include <afrpc/afrpc.h>
#include <gtk/gtk.h>
#include <math.h>

#include "example-util.h"

#define N_SAMPLES 120
#define SAMPLE_MS 100
#define N_CHECKED 50

typedef struct
{
  AfrpcPool *pool;
  AfrpcPoolStats *stats;        /* as they were at the last sample */
  GtkSingleSelection *selection;
  GtkWidget *graph;
  GtkWidget *text;
  GtkWidget *kill;
  double finished[N_SAMPLES];   /* calls a second */
  double queued[N_SAMPLES];
  guint n_samples;
  guint n_finished;
  guint n_killed;
  gboolean failed;
  gboolean closed;
} Show;

/* Work */

static void
drawn_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  Show *show = user_data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_full_finish (AFRPC_CALLER (source), result, NULL, &error);

  show->n_finished++;
  if (value != NULL || g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_DIED))
    return;
  g_printerr ("%s\n", error->message);
  show->failed = TRUE;
}

/* Now more calls, now fewer: about as many as a few workers can take. */
static gboolean
work_cb (gpointer user_data)
{
  static guint n_requested;
  Show *show = user_data;
  const guint wanted = (guint) (24 + 20 * sin (n_requested / 60.0));

  while (afrpc_pool_get_n_calls_pending (show->pool) < wanted)
    afrpc_caller_call_full (AFRPC_CALLER (show->pool),
                            g_variant_new ("(uudd)", 160, 120, -0.75, 1.25 / (1 + n_requested++ % 40)), NULL, NULL,
                            drawn_cb, show);

  return G_SOURCE_CONTINUE;
}

static void
worker_ended_cb (AfrpcPool       *pool,
                 AfrpcPoolWorker *worker,
                 AfrpcExit       *exit,
                 Show            *show)
{
  show->n_killed += afrpc_exit_was_killed (exit);
}

/* Of the death of a worker its call tells. */
static void
error_cb (AfrpcPool *pool,
          GError    *error,
          Show      *show)
{
}

/* The table */

static gboolean
state_to_text (GBinding     *binding,
               const GValue *from,
               GValue       *to,
               gpointer      user_data)
{
  GEnumClass *states = g_type_class_ref (AFRPC_TYPE_POOL_WORKER_STATE);

  g_value_set_string (to, g_enum_get_value (states, g_value_get_enum (from))->value_nick);
  g_type_class_unref (states);

  return TRUE;
}

static gboolean
call_to_text (GBinding     *binding,
              const GValue *from,
              GValue       *to,
              gpointer      user_data)
{
  g_value_set_string (to, g_value_get_object (from) != NULL ? "drawing" : "");

  return TRUE;
}

static void
setup_cb (GtkSignalListItemFactory *factory,
          GtkListItem              *item,
          gpointer                  property)
{
  GtkWidget *label = gtk_label_new (NULL);

  gtk_label_set_xalign (GTK_LABEL (label), g_str_equal (property, "pid") || g_str_equal (property, "n-calls") ? 1 : 0);
  gtk_list_item_set_child (item, label);
}

/* From now on the cell shows what the worker is told to have changed. */
static void
bind_cb (GtkSignalListItemFactory *factory,
         GtkListItem              *item,
         gpointer                  property)
{
  GBindingTransformFunc transform = g_str_equal (property, "state") ? state_to_text :
                                    g_str_equal (property, "current-call") ? call_to_text : NULL;
  GBinding *binding = g_object_bind_property_full (gtk_list_item_get_item (item), property, gtk_list_item_get_child (item),
                                                   "label", G_BINDING_SYNC_CREATE, transform, NULL, NULL, NULL);

  g_object_set_data_full (G_OBJECT (item), "binding", g_object_ref (binding), g_object_unref);
}

static void
unbind_cb (GtkSignalListItemFactory *factory,
           GtkListItem              *item,
           gpointer                  property)
{
  g_binding_unbind (g_object_get_data (G_OBJECT (item), "binding"));
  g_object_set_data (G_OBJECT (item), "binding", NULL);
}

static void
add_column (GtkColumnView *view,
            const char    *title,
            const char    *property)
{
  GtkListItemFactory *factory = gtk_signal_list_item_factory_new ();
  g_autoptr(GtkColumnViewColumn) column = NULL;

  g_signal_connect (factory, "setup", G_CALLBACK (setup_cb), (gpointer) property);
  g_signal_connect (factory, "bind", G_CALLBACK (bind_cb), (gpointer) property);
  g_signal_connect (factory, "unbind", G_CALLBACK (unbind_cb), (gpointer) property);
  column = gtk_column_view_column_new (title, factory);
  gtk_column_view_column_set_expand (column, TRUE);
  gtk_column_view_append_column (view, column);
}

/* The graph */

static void
draw_line (cairo_t      *cr,
           const double *samples,
           guint         n,
           int           width,
           int           height)
{
  double most = 1;

  for (guint i = 0; i < N_SAMPLES; i++)
    most = MAX (most, samples[i]);
  for (guint i = 0; i < MIN (n, N_SAMPLES); i++)
    {
      const double x = width - i * (double) width / (N_SAMPLES - 1);
      const double y = height - 4 - samples[(n - 1 - i) % N_SAMPLES] / most * (height - 8);

      cairo_line_to (cr, x, y);
    }
  cairo_stroke (cr);
}

static void
draw_cb (GtkDrawingArea *area,
         cairo_t        *cr,
         int             width,
         int             height,
         gpointer        user_data)
{
  Show *show = user_data;

  cairo_set_source_rgb (cr, 0.96, 0.96, 0.97);
  cairo_paint (cr);
  cairo_set_line_width (cr, 2);
  cairo_set_line_join (cr, CAIRO_LINE_JOIN_ROUND);
  cairo_set_source_rgb (cr, 0.90, 0.53, 0.10);
  draw_line (cr, show->queued, show->n_samples, width, height);
  cairo_set_source_rgb (cr, 0.15, 0.42, 0.80);
  draw_line (cr, show->finished, show->n_samples, width, height);
}

static gboolean
sample_cb (gpointer user_data)
{
  Show *show = user_data;
  g_autoptr(AfrpcPoolStats) stats = afrpc_pool_get_stats (show->pool);
  g_autoptr(AfrpcPoolStats) recent = afrpc_pool_stats_subtract (stats, show->stats);
  const double seconds = MAX (afrpc_pool_stats_get_duration (recent), 1) / 1e6;
  const guint i = show->n_samples++ % N_SAMPLES;
  g_autofree char *text = NULL;

  show->finished[i] = afrpc_pool_stats_get_n_finished (recent) / seconds;
  show->queued[i] = afrpc_pool_get_n_calls_queued (show->pool);
  text = g_strdup_printf ("<span foreground='#266bcc'>%.0f calls a second</span>, "
                          "<span foreground='#c0700c'>%.0f queued</span>; half of them take less than %.1f ms at the worker",
                          show->finished[i], show->queued[i],
                          afrpc_pool_stats_get_quantile (stats, AFRPC_POOL_TIME_ASSIGNED, 0.5) / 1e3);
  gtk_label_set_markup (GTK_LABEL (show->text), text);
  gtk_widget_queue_draw (show->graph);
  g_clear_pointer (&show->stats, afrpc_pool_stats_unref);
  show->stats = g_steal_pointer (&stats);

  return G_SOURCE_CONTINUE;
}

/* The window */

static void
kill_cb (GtkButton *button,
         Show      *show)
{
  AfrpcPoolWorker *worker = gtk_single_selection_get_selected_item (show->selection);

  if (worker != NULL)
    afrpc_pool_worker_kill (worker);
}

static void
closed_cb (GtkWindow *window,
           Show      *show)
{
  show->closed = TRUE;
}

static GtkWidget *
make_table (Show *show)
{
  GtkWidget *scrolled = gtk_scrolled_window_new ();
  GtkWidget *view;

  show->selection = gtk_single_selection_new (g_object_ref (afrpc_pool_get_workers (show->pool)));
  view = gtk_column_view_new (GTK_SELECTION_MODEL (g_object_ref (show->selection)));
  gtk_column_view_set_show_row_separators (GTK_COLUMN_VIEW (view), TRUE);
  add_column (GTK_COLUMN_VIEW (view), "Process", "pid");
  add_column (GTK_COLUMN_VIEW (view), "State", "state");
  add_column (GTK_COLUMN_VIEW (view), "Now", "current-call");
  add_column (GTK_COLUMN_VIEW (view), "Calls", "n-calls");
  gtk_scrolled_window_set_child (GTK_SCROLLED_WINDOW (scrolled), view);
  gtk_widget_set_vexpand (scrolled, TRUE);

  return scrolled;
}

static GtkWidget *
make_controls (Show *show)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);
  GtkWidget *scale = gtk_scale_new_with_range (GTK_ORIENTATION_HORIZONTAL, 1, 16, 1);

  gtk_scale_set_draw_value (GTK_SCALE (scale), TRUE);
  gtk_scale_set_value_pos (GTK_SCALE (scale), GTK_POS_RIGHT);
  gtk_widget_set_hexpand (scale, TRUE);
  g_object_bind_property (show->pool, "max-workers", gtk_range_get_adjustment (GTK_RANGE (scale)), "value",
                          G_BINDING_SYNC_CREATE | G_BINDING_BIDIRECTIONAL);
  show->kill = gtk_button_new_with_label ("Kill the selected one");
  g_signal_connect (show->kill, "clicked", G_CALLBACK (kill_cb), show);
  gtk_box_append (GTK_BOX (box), gtk_label_new ("Workers, at most"));
  gtk_box_append (GTK_BOX (box), scale);
  gtk_box_append (GTK_BOX (box), show->kill);

  return box;
}

static GtkWindow *
make_window (Show *show)
{
  GtkWindow *window = GTK_WINDOW (gtk_window_new ());
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 12);

  gtk_widget_set_margin_top (box, 12);
  gtk_widget_set_margin_bottom (box, 12);
  gtk_widget_set_margin_start (box, 12);
  gtk_widget_set_margin_end (box, 12);
  show->graph = gtk_drawing_area_new ();
  gtk_drawing_area_set_content_height (GTK_DRAWING_AREA (show->graph), 120);
  gtk_drawing_area_set_draw_func (GTK_DRAWING_AREA (show->graph), draw_cb, show, NULL);
  show->text = gtk_label_new (NULL);
  gtk_label_set_xalign (GTK_LABEL (show->text), 0);
  gtk_box_append (GTK_BOX (box), show->graph);
  gtk_box_append (GTK_BOX (box), show->text);
  gtk_box_append (GTK_BOX (box), make_table (show));
  gtk_box_append (GTK_BOX (box), make_controls (show));
  gtk_window_set_title (window, "A pool at work");
  gtk_window_set_default_size (window, 640, 480);
  gtk_window_set_child (window, box);
  g_signal_connect (window, "destroy", G_CALLBACK (closed_cb), show);

  return window;
}

/* Does what somebody would who sits before it. */
static void
check (Show *show)
{
  while (show->n_finished < N_CHECKED && !show->failed)
    g_main_context_iteration (NULL, TRUE);
  g_signal_emit_by_name (show->kill, "clicked");
  while (show->n_killed == 0 && !show->failed)
    g_main_context_iteration (NULL, TRUE);
  for (guint until = show->n_finished + N_CHECKED; show->n_finished < until && !show->failed;)
    g_main_context_iteration (NULL, TRUE);
  if (!show->failed)
    g_print ("a worker was killed, and the pool went on\n");
}

int
main (int    argc,
      char **argv)
{
  const gboolean checks = argc > 1 && g_str_equal (argv[1], "--check");
  g_autofree char *module = example_module (argc - checks, argv + checks, "picture-worker.so");
  g_autoptr(AfrpcProcess) process = afrpc_process_new ();
  Show show = { NULL };
  GtkWindow *window;
  guint work_id, sample_id;

  if (!gtk_init_check ())
    {
      g_printerr ("There is no display.\n");
      return 77;
    }

  afrpc_process_require (process, module);
  show.pool = afrpc_pool_new (process, "draw");
  afrpc_pool_set_max_workers (show.pool, 4);
  g_signal_connect (show.pool, "worker-ended", G_CALLBACK (worker_ended_cb), &show);
  g_signal_connect (show.pool, "error", G_CALLBACK (error_cb), &show);
  show.stats = afrpc_pool_get_stats (show.pool);
  window = make_window (&show);
  gtk_window_present (window);
  work_id = g_timeout_add (20, work_cb, &show);
  sample_id = g_timeout_add (SAMPLE_MS, sample_cb, &show);

  if (checks)
    check (&show);
  while (!checks && !show.closed && !show.failed)
    g_main_context_iteration (NULL, TRUE);

  g_source_remove (work_id);
  g_source_remove (sample_id);
  if (!show.closed)
    gtk_window_destroy (window);
  afrpc_caller_kill (AFRPC_CALLER (show.pool));
  g_clear_object (&show.selection);
  g_clear_object (&show.pool);
  g_clear_pointer (&show.stats, afrpc_pool_stats_unref);

  return show.failed ? 1 : 0;
}
