/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker's own part in its limits: it applies them to itself, so that they work in the same way however
 * it was started. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean afrpc_restrict (GVariant  *surroundings,
                         GError   **error);

G_END_DECLS
