/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker that serves standard input and output has nobody at the other end who could reap it: so it is a
 * child of the process that was started, the supervisor, which says last of all how the worker ended. Then
 * the death of the worker is told from that of the connection. No GObject, no main loop. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What the worker was given by its supervisor. */
typedef struct
{
  int in_fd;
  int out_fd;
  int lifeline_fd;
  int control_fd; /* see afrpc_bridge_ask() */
  guint64 goodbye_serial;
} AfrpcSupervised;

gboolean afrpc_supervise (AfrpcSupervised *what,
                          int             *status);

G_END_DECLS
