/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-serialiser.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_JSON_SERIALISER (afrpc_json_serialiser_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcJsonSerialiser, afrpc_json_serialiser, AFRPC, JSON_SERIALISER, GObject)

AFRPC_AVAILABLE_IN_1_0
AfrpcJsonSerialiser *afrpc_json_serialiser_new               (const GVariantType  *expected_type) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
const GVariantType  *afrpc_json_serialiser_get_expected_type (AfrpcJsonSerialiser *self);

G_END_DECLS
