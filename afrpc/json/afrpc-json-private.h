/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <string.h>

#include "afrpc-json.h"

G_BEGIN_DECLS

/* What encoder and decoder share. */

/* 2^53: every integer up to there is a double, too. */
#define AFRPC_JSON_EXACT_MAX G_GUINT64_CONSTANT (9007199254740992)

/* The NaN that is written "NaN"; others follow with their bits, "NaN(0x" and 16 digits and ")". */
#define AFRPC_JSON_NAN_BITS G_GUINT64_CONSTANT (0x7ff8000000000000)
#define AFRPC_JSON_NAN_PREFIX "NaN(0x"

/* A value of a basic type that is not a string, as it lies in a GVariant. */
typedef union
{
  guint8 bytes[8];
  guint8 y;
  guint16 q;
  guint32 u;
  guint64 t;
  gint16 n;
  gint32 i;
  gint64 x;
  double d;
} AfrpcJsonScalar;

/* A part of the text. Not ended by a NUL, and has none in it. */
typedef struct
{
  const char *start;
  gsize length;
} AfrpcJsonSlice;

static inline gboolean
afrpc_json_slice_is (AfrpcJsonSlice  slice,
                     const char     *string,
                     gsize           length)
{
  return slice.length == length && memcmp (slice.start, string, length) == 0;
}

#define AFRPC_JSON_SLICE_IS(slice, literal) afrpc_json_slice_is (slice, literal, sizeof (literal) - 1)

static inline gboolean
afrpc_json_is_space (char c)
{
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline const char *
afrpc_json_skip_space (const char *at,
                       const char *end)
{
  while (at < end && afrpc_json_is_space (*at))
    at++;

  return at;
}

/* Skips a number, true, false or null, of which something valid comes next. */
static inline const char *
afrpc_json_skip_word (const char *at,
                      const char *end)
{
  while (at < end && *at > ' ' && *at != ',' && *at != ']' && *at != '}')
    at++;

  return at;
}

/* Skips characters of a string up to a quote or a backslash. */
static inline const char *
afrpc_json_skip_run (const char *at,
                     const char *end)
{
  const guint64 ones = G_GUINT64_CONSTANT (0x0101010101010101);
  guint64 word;

  for (; end - at >= 8; at += 8)
    {
      memcpy (&word, at, sizeof word);
      /* A byte that is 0 leaves a high bit, and so does, for no reason, one that had it. */
      if ((((word ^ ones * '"') - ones) | ((word ^ ones * '\\') - ones)) & ~word & ones << 7)
        break;
    }
  while (at < end && *at != '"' && *at != '\\')
    at++;

  return at;
}

/* Appends a string, with quotes; a double, with quotes if it is not finite. */
void        afrpc_json_write_string   (GString               *out,
                                       const char            *string);
void        afrpc_json_write_double   (GString               *out,
                                       const AfrpcJsonScalar *scalar,
                                       AfrpcJsonFlags         flags);

/* Whether a dictionary whose keys have that type can be an object. */
gboolean    afrpc_json_is_name_type   (char                type);

/* What the escape behind a backslash means, a character of up to 4 bytes. Returns how many bytes of the text it
 * has; the text is valid. */
#define AFRPC_JSON_CHARACTER_SIZE_MAX 4
gsize       afrpc_json_unescape       (const char         *escape,
                                       char               *character,
                                       gsize              *size);

/* A string that is written so up to its quote, if it has @size bytes at most. Returns FALSE if it has more. */
gboolean    afrpc_json_take_short     (const char        **at,
                                       char               *string,
                                       gsize               size,
                                       gsize              *length);

G_END_DECLS
