/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Has pictures drawn by a worker, in memory that both share. */
#include "picture.h"

typedef struct
{
  guint n_drawn;
  GBytes *last;
  gboolean failed;
} Pictures;

static void
drawn_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  AfrpcProxy *proxy = AFRPC_PROXY (source);
  Pictures *pictures = user_data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = picture_receive (proxy, result, &error);

  if (bytes == NULL)
    {
      g_printerr ("%s\n", error->message);
      pictures->failed = TRUE;
      return;
    }

  g_clear_pointer (&pictures->last, g_bytes_unref);
  pictures->last = g_steal_pointer (&bytes);
  if (++pictures->n_drawn < N_PICTURES)
    picture_request (proxy, pictures->n_drawn, drawn_cb, pictures);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr(AfrpcProxy) proxy = picture_proxy_new (argv);
  Pictures pictures = { 0 };

  picture_request (proxy, 0, drawn_cb, &pictures);
  while (pictures.n_drawn < N_PICTURES && !pictures.failed)
    g_main_context_iteration (NULL, TRUE);

  if (!pictures.failed)
    picture_print (pictures.n_drawn, g_bytes_get_data (pictures.last, NULL));
  g_clear_pointer (&pictures.last, g_bytes_unref);
  afrpc_caller_close (AFRPC_CALLER (proxy));

  return pictures.failed ? 1 : 0;
}
