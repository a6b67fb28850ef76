/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* GVariant to JSON text and back. Owns nothing and does no I/O; every function may be called from
 * any thread.
 *
 * In typed JSON a value is an object of two members, in the manner of busctl(1), and so is whatever
 * lies in a `v`: {"type":"(sv)","data":["x",{"type":"q","data":7}]}. Every normal GVariant comes
 * back as it was, bit for bit. In plain JSON there is the data alone, with nothing around what lies
 * in a `v`: for people, and for peers that know the types anyway. What the data looks like:
 *
 *   b            true, false
 *   y n q i u h  a number
 *   x t          a number; beyond ±2^53, where other readers lose digits, a string
 *   d            a number, as short as is exact; or "NaN", "Infinity", "-Infinity". The other NaNs
 *                are "NaN(0x7ff8000000000001)", with their bits; plain JSON has "NaN" for all
 *   s o g        a string
 *   v            typed: an object as above; plain: the data
 *   m…           null, or an array of one
 *   ay           a string: base64
 *   a{s…} a{o…}  an object, unless a key occurs twice: then as other dictionaries
 *   a{g…}
 *   a{…}         an array of entries
 *   a…           an array
 *   {…}          an array of two
 *   (…)          an array; () is []
 *
 * Plain JSON says nothing of the type in a `v`, so what it looks like decides: null is the nothing
 * of `mv`, true and false are `b`, a number without point and exponent is `x`, or `d` if it is over
 * 64 bits or -0, any other number is `d`, a string `s`, an array `av`, an object `a{sv}`.
 *
 * The decoder takes the members "type" and "data" in any order, integers as numbers or strings,
 * also 1.0 or 1e3, and dictionaries with string keys as an object or an array of entries. */

/* Levels of nesting of a GVariant: GLib's own limit, beyond which a value is not normal. */
#define AFRPC_JSON_DEPTH_MAX 128

/* Bytes of a type string in typed JSON, as in D-Bus. The encoder writes longer ones, too. */
#define AFRPC_JSON_TYPE_SIZE_MAX 255

/* Bytes of JSON text. */
#define AFRPC_JSON_SIZE_MAX ((gsize) G_MAXINT32)

typedef enum
{
  AFRPC_JSON_PLAIN = 0,
  AFRPC_JSON_TYPED = 1 << 0,
} AfrpcJsonFlags;

/* Never fails. A floating reference of @value is left alone. In a @value that is not normal, what
 * is wrong reads as GLib reads it: as "", (), nothing. */
char     *afrpc_json_encode (GVariant            *value,
                             AfrpcJsonFlags       flags) G_GNUC_WARN_UNUSED_RESULT;

/* Trusts nothing in @text, which is typed JSON if @expected is NULL and plain JSON for a value of
 * the type @expected otherwise; @length may be -1 if @text ends with a NUL. Takes time and memory in
 * proportion to @length, of the latter about 16 times as much at most; twice is usual.
 *
 * Returns a value in normal form that is not floating, or NULL with AFRPC_ERROR_TOO_LARGE if @text
 * breaks a limit above, or there is no memory, AFRPC_ERROR_INVALID_DATA if anything else is wrong
 * with it. The message has the place, as a JSON pointer (RFC 6901). */
GVariant *afrpc_json_decode (const char          *text,
                             gssize               length,
                             const GVariantType  *expected,
                             GError             **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same in slices of a main loop:
 *
 *   AfrpcJsonDecoder *decoder = afrpc_json_decoder_new (text, length, expected);
 *   int step;
 *
 *   while ((step = afrpc_json_decoder_step (decoder, AFRPC_JSON_SLICE, &value, &error)) == 0)
 *     … come back later: @text has to stay where it is …
 *   afrpc_json_decoder_free (decoder);
 *
 * and @step is 1 with a value, or -1 with an error. A unit of a budget is about a machine instruction,
 * or two; a step goes beyond its budget by some 20,000 at most. */
#define AFRPC_JSON_SLICE (1 << 20)

typedef struct _AfrpcJsonDecoder AfrpcJsonDecoder;

AfrpcJsonDecoder *afrpc_json_decoder_new  (const char          *text,
                                           gsize                length,
                                           const GVariantType  *expected);
int               afrpc_json_decoder_step (AfrpcJsonDecoder    *self,
                                           gssize               budget,
                                           GVariant           **value,
                                           GError             **error);
void              afrpc_json_decoder_free (AfrpcJsonDecoder    *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcJsonDecoder, afrpc_json_decoder_free)

G_END_DECLS
