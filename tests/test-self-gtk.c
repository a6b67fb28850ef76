/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program with a window, and with the threads of its toolkit, that calls itself. */
#include <afrpc/afrpc.h>
#include <gtk/gtk.h>

#include <unistd.h>

#define N_CALLS 3

typedef struct
{
  GtkWidget *area;
  guint n_calls;
  gboolean is_calling;
  int status;
} Program;

static GVariant *
is_free (AfrpcWorker  *worker,
         GVariant     *args,
         GError      **error)
{
  /* What is forked has been forked before there was a display, and a thread. */
  return g_variant_new ("(biu)", gdk_display_get_default () == NULL, getpid (), g_variant_get_uint32 (args) + 1);
}

static void
called_cb (GObject      *proxy,
           GAsyncResult *result,
           gpointer      data)
{
  Program *program = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (proxy), result, &error);
  const AfrpcStart start = afrpc_process_get_start (afrpc_proxy_get_process (AFRPC_PROXY (proxy)));
  gboolean free;
  int pid;
  guint32 number;

  if (value == NULL)
    g_error ("call %u: %s", program->n_calls, error->message);
  g_variant_get (value, "(biu)", &free, &pid, &number);
  if (!free || pid == getpid () || number != program->n_calls)
    g_error ("call %u: %s, %u", program->n_calls, free ? "free" : "not free", number);
  if (start != (program->n_calls == N_CALLS ? AFRPC_START_EXEC : AFRPC_START_FORK))
    g_error ("call %u: started in the wrong way %d", program->n_calls, start);

  /* The window has to be drawn again before the next call. */
  program->is_calling = FALSE;
  if (program->n_calls < N_CALLS)
    gtk_widget_queue_draw (program->area);
  else
    {
      program->status = 0;
      gtk_main_quit ();
    }
}

static void
call (Program    *program,
      AfrpcStart  start)
{
  g_autoptr(AfrpcProcess) process = start == AFRPC_START_FORK ? afrpc_process_new_self ()
                                                              : afrpc_process_new_self_exec ();
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "is-free");

  program->is_calling = TRUE;
  afrpc_caller_call (AFRPC_CALLER (proxy), g_variant_new_uint32 (program->n_calls++), NULL, called_cb, program);
}

static gboolean
draw_cb (GtkWidget *area,
         cairo_t   *cr,
         gpointer   data)
{
  Program *program = data;

  cairo_paint (cr);
  if (!program->is_calling && program->n_calls < N_CALLS)
    call (program, program->n_calls + 1 < N_CALLS ? AFRPC_START_FORK : AFRPC_START_EXEC);

  return FALSE;
}

int
main (int    argc,
      char **argv)
{
  Program program = { .status = 1 };
  GtkWidget *window;

  afrpc_register_function ("is-free", AFRPC_FUNCTION_SYNC, G_CALLBACK (is_free), "u");
  afrpc_init_early (&argc, &argv);
  gtk_init (&argc, &argv);

  window = gtk_window_new (GTK_WINDOW_TOPLEVEL);
  program.area = gtk_drawing_area_new ();
  g_signal_connect (program.area, "draw", G_CALLBACK (draw_cb), &program);
  gtk_container_add (GTK_CONTAINER (window), program.area);
  gtk_widget_show_all (window);
  gtk_main ();
  gtk_widget_destroy (window);

  return program.status;
}
