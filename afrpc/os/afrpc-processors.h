/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many processors this process may use. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

guint afrpc_processors_count (void);

G_END_DECLS
