/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Serving in a main loop: many calls at once. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

void afrpc_serve_main_loop (AfrpcSession *session);

G_END_DECLS
