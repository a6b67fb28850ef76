/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/* JSON text to a tree of JsonNode, by json-glib's parser, with all members of an object in their
 * order: also those whose names occur twice. Takes text that afrpc_json_scan() has passed. */

/* Returns the root, owned by the caller. */
JsonNode  *afrpc_json_tree_parse       (const char  *text,
                                        gsize        length,
                                        GError     **error);

/* The members of a node of that tree that holds an object: name, value, name, value and so on. */
JsonArray *afrpc_json_tree_get_members (JsonNode    *node);

G_END_DECLS
