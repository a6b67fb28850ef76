/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A function that takes over a worker at the other end of a command gets a socket, like any other: the
 * supervisor copies between that and what it has, which may be two pipes. No GObject, no main loop. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean afrpc_bridge_ask  (int  control_fd,
                            int  in_fd,
                            int  socket_fd);
gboolean afrpc_bridge_hear (int  control_fd,
                            int *in_fd,
                            int *socket_fd);
gboolean afrpc_bridge_copy (int  in_fd,
                            int  socket_fd,
                            int  out_fd,
                            int  pid,
                            int  pidfd);

G_END_DECLS
