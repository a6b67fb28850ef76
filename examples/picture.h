/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the programs share that have pictures drawn: which ones, and how they get them. */
#pragma once

#include <afrpc/afrpc.h>
#include <gio/gunixfdlist.h>

#include "example-util.h"

#define WIDTH 320
#define HEIGHT 240
#define N_PICTURES 20

static inline AfrpcProxy *
picture_proxy_new (char **argv)
{
  g_autofree char *module = example_module (1, argv, "picture-worker.so");
  g_autoptr(AfrpcProcess) process = afrpc_process_new ();

  afrpc_process_require (process, module);

  return afrpc_proxy_new (process, "draw");
}

/* Each shows a smaller part than the one before. */
static inline void
picture_request (AfrpcProxy          *proxy,
                 guint                number,
                 GAsyncReadyCallback  callback,
                 gpointer             user_data)
{
  GVariant *args = g_variant_new ("(uudd)", WIDTH, HEIGHT, -0.75, 1.25 / (1 + number));

  afrpc_caller_call_full (AFRPC_CALLER (proxy), args, NULL, NULL, callback, user_data);
}

/* Returns: (transfer full): the picture's bytes, in the memory that the worker drew it in */
static inline GBytes *
picture_receive (AfrpcProxy    *proxy,
                 GAsyncResult  *result,
                 GError       **error)
{
  g_autoptr(GUnixFDList) fds = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_full_finish (AFRPC_CALLER (proxy), result, &fds, error);
  g_autoptr(AfrpcBuffer) buffer = NULL;
  gint32 handle;
  guint64 size;
  int fd;

  if (value == NULL)
    return NULL;

  g_variant_get (value, "(ht)", &handle, &size);
  fd = g_unix_fd_list_get (fds, handle, error);
  if (fd < 0)
    return NULL;

  /* What it is not told to be is refused. */
  buffer = afrpc_buffer_new_take_fd (fd, WIDTH * HEIGHT * 4, AFRPC_BUFFER_REUSED, error);

  return buffer != NULL ? afrpc_buffer_get_bytes (buffer) : NULL;
}

static inline void
picture_print (guint         n,
               gconstpointer last)
{
  g_autofree char *sum = g_compute_checksum_for_data (G_CHECKSUM_SHA256, last, WIDTH * HEIGHT * 4);

  g_print ("%u pictures, the last is %s\n", n, sum);
}
