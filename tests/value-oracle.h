/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* That what is taken for normal is what GLib takes for normal. GLib is right here by definition: it is going to
 * believe what has passed. */
#pragma once

#include "wire/afrpc-value-check.h"

G_BEGIN_DECLS

typedef struct
{
  const char *string;
  AfrpcLayout layout[AFRPC_LAYOUT_TYPE_MAX];
} OracleType;

/* Whether the string, a whole one, is the type of a value, and of 255 characters at most: so says GLib. */
gboolean oracle_is_type     (const char       *string);

/* That is also what we say. Returns it. */
gboolean oracle_check_type  (const char       *string);

/* Of a valid type, which has to live as long. */
void     oracle_type_init   (OracleType       *self,
                             const char       *string);

/* Whether the bytes are normal, looked at by us at once. */
gboolean oracle_is_normal   (const OracleType *type,
                             gconstpointer     data,
                             gsize             size);

/* That GLib says the same, in whatever steps they are looked at. Returns it. */
gboolean oracle_check       (const OracleType *type,
                             gconstpointer     data,
                             gsize             size);
gboolean oracle_check_value (GVariant         *value);

G_END_DECLS
