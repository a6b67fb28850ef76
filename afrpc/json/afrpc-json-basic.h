/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-json-place.h"
#include "afrpc-json-reader.h"
#include "wire/afrpc-value-writer.h"

G_BEGIN_DECLS

/* JSON to values with no other values in them: all basic types, and `ay`. FALSE with an error if what
 * is read is none of that type. */

gboolean afrpc_json_decode_basic  (AfrpcJsonReader       *reader,
                                   AfrpcValueWriter       *writer,
                                   char                   type,
                                   const AfrpcJsonPlace  *place,
                                   GError               **error);

/* The name of a member, or any string, as a value of the type `s`, `o` or `g`. */
gboolean afrpc_json_decode_string (AfrpcJsonReader       *reader,
                                   AfrpcValueWriter       *writer,
                                   char                   type,
                                   const AfrpcJsonPlace  *place,
                                   GError               **error);
gboolean afrpc_json_decode_bytes  (AfrpcJsonReader       *reader,
                                   AfrpcValueWriter       *writer,
                                   const AfrpcJsonPlace  *place,
                                   GError               **error);

/* The type that a number in a plain `v` is taken for. */
char     afrpc_json_guess_number  (AfrpcJsonReader        reader);

G_END_DECLS
