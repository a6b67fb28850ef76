/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "afrpc-json-place.h"

G_BEGIN_DECLS

/* Nodes of json-glib to values with no other values in them: all basic types, and `ay` and other
 * arrays of numbers. What they return is floating. */

GVariant *afrpc_json_decode_basic  (JsonNode              *node,
                                    const GVariantType    *type,
                                    const AfrpcJsonPlace  *place,
                                    GError               **error);

/* The name of a member, or any string, as a value of the type `s`, `o` or `g`. */
GVariant *afrpc_json_decode_string (const char            *string,
                                    const GVariantType    *type,
                                    const AfrpcJsonPlace  *place,
                                    GError               **error);
GVariant *afrpc_json_decode_bytes  (JsonNode              *node,
                                    const AfrpcJsonPlace  *place,
                                    GError               **error);
GVariant *afrpc_json_decode_fixed  (JsonArray             *array,
                                    const GVariantType    *type,
                                    const AfrpcJsonPlace  *place,
                                    GError               **error);

G_END_DECLS
