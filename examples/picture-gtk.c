/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A GTK program that shows what a worker draws: each picture is a texture in the memory that the worker drew
 * it in, and the worker uses that again when GTK has done with it. */
#include "picture.h"

#include <gtk/gtk.h>

typedef struct
{
  AfrpcProxy *proxy;
  GtkPicture *view;
  guint n_drawn;
  gboolean failed;
  gboolean closed;
} Show;

static void
drawn_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  Show *show = user_data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = picture_receive (show->proxy, result, &error);
  g_autoptr(GdkTexture) texture = NULL;

  if (bytes == NULL)
    {
      g_printerr ("%s\n", error->message);
      show->failed = TRUE;
      return;
    }

  texture = gdk_memory_texture_new (WIDTH, HEIGHT, GDK_MEMORY_DEFAULT, bytes, WIDTH * 4);
  gtk_picture_set_paintable (show->view, GDK_PAINTABLE (texture));
  show->n_drawn++;
}

/* One picture a frame: the next is drawn while this one is shown. */
static gboolean
tick_cb (GtkWidget     *widget,
         GdkFrameClock *clock,
         gpointer       user_data)
{
  static guint n_requested;
  Show *show = user_data;

  if (n_requested == N_PICTURES)
    return G_SOURCE_REMOVE;
  if (n_requested == show->n_drawn)
    picture_request (show->proxy, n_requested++, drawn_cb, show);

  return G_SOURCE_CONTINUE;
}

static void
closed_cb (GtkWindow *window,
           gpointer   user_data)
{
  Show *show = user_data;

  show->closed = TRUE;
}

/* What GTK has, as GTK gives it out. */
static void
print_shown (Show *show)
{
  GdkTexture *texture = GDK_TEXTURE (gtk_picture_get_paintable (show->view));
  g_autofree guchar *pixels = g_malloc (WIDTH * HEIGHT * 4);

  gdk_texture_download (texture, pixels, WIDTH * 4);
  picture_print (show->n_drawn, pixels);
}

int
main (int    argc,
      char **argv)
{
  Show show = { NULL };
  GtkWindow *window;

  if (!gtk_init_check ())
    {
      g_printerr ("There is no display.\n");
      return 77;
    }

  show.proxy = picture_proxy_new (argv);
  show.view = GTK_PICTURE (gtk_picture_new ());
  window = GTK_WINDOW (gtk_window_new ());
  gtk_window_set_default_size (window, 2 * WIDTH, 2 * HEIGHT);
  gtk_window_set_child (window, GTK_WIDGET (show.view));
  g_signal_connect (window, "destroy", G_CALLBACK (closed_cb), &show);
  gtk_widget_add_tick_callback (GTK_WIDGET (show.view), tick_cb, &show, NULL);
  gtk_window_present (window);

  while (show.n_drawn < N_PICTURES && !show.failed && !show.closed)
    g_main_context_iteration (NULL, TRUE);

  if (show.n_drawn == N_PICTURES && !show.closed)
    print_shown (&show);
  if (!show.closed)
    gtk_window_destroy (window);
  afrpc_caller_close (AFRPC_CALLER (show.proxy));
  g_clear_object (&show.proxy);

  return show.failed ? 1 : 0;
}
