/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values as they travel in a conversation that has a serialiser: what parent and worker share. */
#pragma once

#include "afrpc-serialiser.h"

G_BEGIN_DECLS

/* The names of afrpc's own. */
#define AFRPC_SERIALISER_VARIANT "variant"
#define AFRPC_SERIALISER_BYTES "bytes"
#define AFRPC_SERIALISER_JSON "json"
#define AFRPC_SERIALISER_JSON_PLAIN "json-plain"

#define AFRPC_SERIALISER_NAME_MAX 255u /* bytes */

gboolean  afrpc_pack_check_name (AfrpcSerialiser  *serialiser,
                                 GError          **error);
GVariant *afrpc_pack            (AfrpcSerialiser  *serialiser,
                                 GVariant         *value,
                                 GError          **error);
GVariant *afrpc_unpack          (AfrpcSerialiser  *serialiser,
                                 GVariant         *packed,
                                 GError          **error);

G_END_DECLS
