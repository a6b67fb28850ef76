/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whether a text is JSON: RFC 8259 to the letter, in one pass over the bytes and without recursion.
 * Builds nothing, knows no types, and does not look for members that occur twice.
 *
 * It goes before json-glib's parser because that one (1.6.6) reads far more than JSON, and some of
 * it as something else: comments, 'strings', `var x = 1`, 010 and 0x10, "\x41", two values in a
 * row; "\u0000" ends a string, and integers over 64 bits wrap. It also recurses without a limit. */

/* Arrays and objects in each other: those of the deepest GVariant, and the object around it. */
#define AFRPC_JSON_SCAN_DEPTH_MAX 129

/* Refuses text whose tree of JsonNode would take more than @memory_max bytes, as estimated.
 *
 * Sets @mended to a copy of @text, or NULL if @text is fine as it is, in which the integers that
 * json-glib would alter have become doubles: those over 64 bits, and -0. */
gboolean afrpc_json_scan (const char  *text,
                          gsize        length,
                          guint64      memory_max,
                          GString    **mended,
                          GError     **error);

G_END_DECLS
