/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values of a type of fixed size, and rows of them: which bytes of theirs have to be zero, and the change of
 * their byte order. A type is told by its layout. Pure, no allocation. */
#pragma once

#include <glib.h>

#include "wire/afrpc-layout.h"

G_BEGIN_DECLS

/* Whether that one value is in normal form; it is if its layout says that it is whatever its bytes are. */
gboolean afrpc_fixed_is_normal (const AfrpcLayout *type,
                                const guint8      *data);

/* The same of a row of them, of @size bytes, a multiple of that of the type. */
gboolean afrpc_fixed_are_normal (const AfrpcLayout *type,
                                 const guint8      *data,
                                 gsize              size);

/* Changes the byte order of a row of them. Those of one byte each, and what has only them in it, have none. */
void     afrpc_fixed_swap       (const AfrpcLayout *type,
                                 guint8            *data,
                                 gsize              size);

G_END_DECLS
