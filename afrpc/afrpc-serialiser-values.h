/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values as they travel in a conversation that has a serialiser: what program and worker share. */
#pragma once

#include "afrpc-error.h"
#include "afrpc-serialiser.h"

G_BEGIN_DECLS

/* The names of afrpc's own. */
#define AFRPC_SERIALISER_VARIANT "variant"
#define AFRPC_SERIALISER_BYTES "bytes"
#define AFRPC_SERIALISER_JSON "json"
#define AFRPC_SERIALISER_JSON_PLAIN "json-plain"

#define AFRPC_SERIALISER_NAME_MAX 255u /* bytes */

/* In the program. */
gboolean afrpc_serialiser_check_name (AfrpcSerialiser  *serialiser,
                                      GError          **error);

/* Returns: (transfer full): an `ay` */
static inline GVariant *
afrpc_serialiser_pack (AfrpcSerialiser  *serialiser,
                       GVariant         *value,
                       GError          **error)
{
  g_autoptr(GBytes) bytes = afrpc_serialiser_serialise (serialiser, value, error);

  return bytes != NULL ? g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE)) : NULL;
}

/* Returns: (transfer full): what @packed, from the other side, was made of */
static inline GVariant *
afrpc_serialiser_unpack (AfrpcSerialiser  *serialiser,
                         GVariant         *packed,
                         GError          **error)
{
  g_autoptr(GBytes) bytes = NULL;

  if (!g_variant_is_of_type (packed, G_VARIANT_TYPE_BYTESTRING))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "a serialised value of type %s",
                   g_variant_get_type_string (packed));
      return NULL;
    }
  bytes = g_variant_get_data_as_bytes (packed);

  return afrpc_serialiser_deserialise (serialiser, bytes, error);
}

G_END_DECLS
