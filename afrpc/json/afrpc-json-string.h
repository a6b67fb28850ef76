/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A JSON string on its way into the bytes of a value, piece by piece: as text, or, from base64, as octets. */
#pragma once

#include "afrpc-json-private.h"
#include "wire/afrpc-text.h"
#include "wire/afrpc-value-writer.h"

G_BEGIN_DECLS

/* Bytes that are looked at, or written, at once. */
#define AFRPC_JSON_STRING_PIECE 4096

typedef struct
{
  AfrpcValueWriter *writer; /* not owned */
  char code;                /* `s`, `o`, `g`, or `y`: octets */
  gboolean is_whole;        /* only the path or the signature in it is to be looked at */
  gsize start;              /* where in the writer it begins */

  guint32 bits;             /* of base64: of the last digits */
  gsize n_digits;
  guint n_pads;

  AfrpcText text;
} AfrpcJsonString;

/* Begins a string whose first character is next. */
void     afrpc_json_string_init (AfrpcJsonString   *self,
                                 AfrpcValueWriter  *writer,
                                 char               code);

/* Goes on with what the text has from @at on, up to @limit. Returns 1 with @at behind the quote, 0 if there is more to
 * be done, -1 with why it is not what it should be. The text is valid; an escape may go beyond @limit. */
int      afrpc_json_string_step (AfrpcJsonString   *self,
                                 const char       **at,
                                 const char        *limit,
                                 const char       **message);

G_END_DECLS
