/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A library of its own, afrpc-json-1.0: who has no trees of JSON needs no json-glib. */
#pragma once

#include <afrpc/afrpc.h>
#include <json-glib/json-glib.h>

G_BEGIN_DECLS

AFRPC_AVAILABLE_IN_1_0
JsonNode *afrpc_json_from_variant       (GVariant            *value) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
JsonNode *afrpc_json_from_variant_typed (GVariant            *value) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
GVariant *afrpc_json_to_variant         (JsonNode            *node,
                                         const GVariantType  *expected_type,
                                         GError             **error) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
