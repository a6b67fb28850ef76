/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whether a text is JSON: RFC 8259 to the letter, in one pass over the bytes and without recursion.
 * Builds nothing, knows no types, and does not look for members that occur twice. It goes before the
 * decoder, which then only looks for what it needs to know. */

/* Arrays and objects in each other: those of the deepest GVariant, and the object around it. */
#define AFRPC_JSON_SCAN_DEPTH_MAX 129

gboolean afrpc_json_scan (const char  *text,
                          gsize        length,
                          GError     **error);

G_END_DECLS
