/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

/* A walk over JSON text that afrpc_json_scan() has passed: so nothing here checks what that has
 * checked, and a position is always at a token. Owns nothing but its scratch. */

typedef struct
{
  const char *at;   /* the next token */
  const char *end;
  GString *scratch; /* (owned): the last string with escapes, without them */
} AfrpcJsonReader;

/* A part of the text, or of the scratch: valid until the next string is read. Not ended by a NUL, and
 * has none in it. */
typedef struct
{
  const char *start;
  gsize length;
} AfrpcJsonSlice;

void           afrpc_json_reader_init        (AfrpcJsonReader *self,
                                              const char      *text,
                                              gsize            length);
void           afrpc_json_reader_clear       (AfrpcJsonReader *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcJsonReader, afrpc_json_reader_clear)

/* Goes on by one byte if that is @c, and past the space behind it. */
gboolean       afrpc_json_reader_accept      (AfrpcJsonReader *self,
                                              char             c);

/* What is at hand; 0 at the end of the text. */
static inline char
afrpc_json_reader_peek (const AfrpcJsonReader *self)
{
  return self->at < self->end ? *self->at : '\0';
}

/* A string as it is written between its quotes, a string, and true, false, null or a number. */
AfrpcJsonSlice afrpc_json_reader_take_raw    (AfrpcJsonReader *self);
AfrpcJsonSlice afrpc_json_reader_take_string (AfrpcJsonReader *self);
AfrpcJsonSlice afrpc_json_reader_take_word   (AfrpcJsonReader *self);

/* Any value. */
void           afrpc_json_reader_skip        (AfrpcJsonReader *self);

static inline gboolean
afrpc_json_slice_is (AfrpcJsonSlice  slice,
                     const char     *string,
                     gsize           length)
{
  return slice.length == length && memcmp (slice.start, string, length) == 0;
}

#define AFRPC_JSON_SLICE_IS(slice, literal) afrpc_json_slice_is (slice, literal, sizeof (literal) - 1)

G_END_DECLS
