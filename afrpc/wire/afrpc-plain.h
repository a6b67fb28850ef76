/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tells of the types that most messages have, at a fraction of what GLib's general way costs, whether bytes
 * are in normal form. No state. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean afrpc_plain_is_normal   (const char   *type,
                                  const guint8 *payload,
                                  gsize         size);
gsize    afrpc_plain_number_size (char          type);

G_END_DECLS
