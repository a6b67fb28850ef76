/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-json-private.h"

G_BEGIN_DECLS

/* JSON to numbers and truth values. */

/* Reads what @word says, a number, a literal or, if @is_string, a string without its quotes, as a value of the type
 * @type. Returns NULL, or why it is none. */
const char *afrpc_json_read_scalar  (AfrpcJsonSlice   word,
                                     gboolean         is_string,
                                     char             type,
                                     AfrpcJsonScalar *scalar);

/* The longest string that can be read so, bytes. */
#define AFRPC_JSON_SCALAR_SIZE_MAX 32

/* The type that a number in a plain `v` is taken for. */
char        afrpc_json_guess_number (AfrpcJsonSlice   word);

G_END_DECLS
