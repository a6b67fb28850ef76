/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Standard input and output of a command, be they pipes or a socket, with whatever lies between them and the worker:
 * nothing but bytes. A worker may die in the middle of a frame, so each frame of it ends with a guard, and last of all
 * whoever watched it says how it ended: the goodbye, which is told from anything else by a number that was announced in
 * the greeting. Without a goodbye it is the connection that broke. */
#pragma once

#include "transport/afrpc-transport.h"

G_BEGIN_DECLS

extern const AfrpcTransportFuncs afrpc_pipes_funcs;

void afrpc_pipes_expect_goodbye (AfrpcTransport *self,
                                 guint64         serial);

G_END_DECLS
