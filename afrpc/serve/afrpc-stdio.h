/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Standard input and output as a connection, for a host that a command leads to. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean afrpc_stdio_take (int *in_fd,
                           int *out_fd);

G_END_DECLS
