/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From the octets of the serialiser "bytes" to a value, in as many steps as the caller likes. */
#pragma once

#include "wire/afrpc-value-writer.h"

G_BEGIN_DECLS

typedef struct
{
  const guint8 *at;
  const guint8 *end;
  AfrpcValueWriter writer;
  guint type;              /* the number of that of the next string */
  guint types_end;         /* of a tuple: where those of its members end; 0: it is none */
  gboolean is_array;
  gboolean has_begun;
  gboolean is_in_string;
  gboolean is_closing;
  gsize left;              /* bytes of the string that is being read */
  AfrpcValueContainer container;
} AfrpcBytesReader;

/* Whether such a type can be read, and written. */
gboolean afrpc_bytes_is_supported  (const char        *type);

void     afrpc_bytes_reader_init   (AfrpcBytesReader  *self,
                                    const guint8      *data,
                                    gsize              size);
void     afrpc_bytes_reader_clear  (AfrpcBytesReader  *self);

/* Units of a budget are those of afrpc_value_check_step(). Returns 1 with @value, 0 if there is more to be done, -1 with
 * AFRPC_ERROR_INVALID_DATA, or AFRPC_ERROR_TOO_LARGE if there is no memory. */
int      afrpc_bytes_reader_step   (AfrpcBytesReader  *self,
                                    gssize             budget,
                                    GVariant         **value,
                                    GError           **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcBytesReader, afrpc_bytes_reader_clear)

G_END_DECLS
