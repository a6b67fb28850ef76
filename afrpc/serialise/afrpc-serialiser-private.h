/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The serialisers that afrpc has itself, besides AfrpcJsonSerialiser. They may be used by any thread. */
#pragma once

#include "afrpc-serialiser.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_VARIANT_SERIALISER (afrpc_variant_serialiser_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcVariantSerialiser, afrpc_variant_serialiser, AFRPC, VARIANT_SERIALISER, GObject)

#define AFRPC_TYPE_BYTES_SERIALISER (afrpc_bytes_serialiser_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcBytesSerialiser, afrpc_bytes_serialiser, AFRPC, BYTES_SERIALISER, GObject)

G_END_DECLS
