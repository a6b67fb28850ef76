/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Serving: takes what arrives, one thing after the other, and does it. Whoever waits for it to arrive is the caller:
 * the loop that blocks, or the source of a main loop. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

AfrpcStep afrpc_serve_read         (AfrpcSession *session);
AfrpcStep afrpc_serve_next         (AfrpcSession *session);
gboolean  afrpc_serve_fill_backlog (AfrpcSession *session);
gboolean  afrpc_serve_is_cancelled (AfrpcSession *session);
gboolean  afrpc_serve_begin_part   (AfrpcSession *session);
gboolean  afrpc_serve_save         (AfrpcSession *session,
                                    gconstpointer data,
                                    gsize         size);
void      afrpc_serve_end_stray    (AfrpcSession *session);
void      afrpc_serve_block        (AfrpcSession *session);

G_END_DECLS
