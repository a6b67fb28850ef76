/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See afrpc-tool-progress.h. */
#include "config.h"

#include "afrpc-tool-progress.h"

#include <glib/gi18n.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TICK_MS 100      /* between two drawings */
#define COLUMNS_MAX 512  /* of the line, whatever the terminal says */
#define BAR_COLUMNS 20   /* of the bar between its brackets */

static struct
{
  guint source_id; /* set between start and stop */
  gboolean shown;  /* whether the line is on the terminal now */
  gint64 start_us;
  guint64 n_succeeded;
  guint64 n_failed;
  guint64 n_total; /* 0 while unknown */
} progress;

static void
append_bar (GString *line,
            guint64  n_done)
{
  guint n_filled = (guint) (MIN (n_done, progress.n_total) * BAR_COLUMNS / progress.n_total);

  g_string_append_c (line, '[');
  for (guint i = 0; i < BAR_COLUMNS; i++)
    g_string_append_c (line, i < n_filled ? '#' : '.');
  g_string_append (line, "] ");
}

static char *
progress_line (void)
{
  GString *line = g_string_new (NULL);
  guint64 n_done = progress.n_succeeded + progress.n_failed;
  double seconds = (double) (g_get_monotonic_time () - progress.start_us) / G_USEC_PER_SEC;
  double rate = seconds > 0 ? (double) n_done / seconds : 0;

  if (progress.n_total > 0)
    {
      append_bar (line, n_done);
      /* Translators: progress: done of all, failed, done per second */
      g_string_append_printf (line,
                              _("%" PRIu64 " of %" PRIu64 " done, %" PRIu64 " failed, %.1f/s"),
                              n_done, progress.n_total, progress.n_failed, rate);
    }
  else
    {
      /* Translators: progress: done, failed, done per second */
      g_string_append_printf (line,
                              _("%" PRIu64 " done, %" PRIu64 " failed, %.1f/s"),
                              n_done, progress.n_failed, rate);
    }

  return g_string_free (line, FALSE);
}

static gboolean
progress_tick_cb (gpointer data)
{
  g_autofree char *line = progress_line ();
  g_autofree char *cut = NULL;
  struct winsize size;
  glong columns = 80;

  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    columns = MIN (size.ws_col, COLUMNS_MAX);
  /* A line that wraps could not be erased. */
  cut = g_utf8_substring (line, 0, MIN (g_utf8_strlen (line, -1), columns - 1));
  g_printerr ("\r%s\033[K", cut);
  progress.shown = TRUE;

  return G_SOURCE_CONTINUE;
}

/* Shows progress from now on, if standard error is a terminal that can erase a line. */
void
afrpc_tool_progress_start (void)
{
  const char *term = g_getenv ("TERM");

  if (!isatty (STDERR_FILENO) || term == NULL || g_str_equal (term, "dumb"))
    return;

  progress.start_us = g_get_monotonic_time ();
  progress.source_id = g_timeout_add (TICK_MS, progress_tick_cb, NULL);
  g_source_set_name_by_id (progress.source_id, "[afrpc] tool progress");
}

/* @n_total is 0 as long as it is not known. */
void
afrpc_tool_progress_update (guint64 n_succeeded,
                            guint64 n_failed,
                            guint64 n_total)
{
  progress.n_succeeded = n_succeeded;
  progress.n_failed = n_failed;
  progress.n_total = n_total;
}

void
afrpc_tool_progress_hide (void)
{
  if (progress.shown)
    g_printerr ("\r\033[K");
  progress.shown = FALSE;
}

void
afrpc_tool_progress_stop (void)
{
  afrpc_tool_progress_hide ();
  g_clear_handle_id (&progress.source_id, g_source_remove);
}
