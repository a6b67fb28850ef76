/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What surrounds a worker, as far as it does that itself: all that no exec has set. Its limits are its own part
 * always, so that they work in the same way however it was started. */
#pragma once

#include "transport/afrpc-transport.h"
#include "wire/afrpc-options.h"

G_BEGIN_DECLS

gboolean afrpc_surroundings_enter (const AfrpcOptions  *surroundings,
                                   AfrpcTransport      *transport,
                                   GError             **error);

G_END_DECLS
