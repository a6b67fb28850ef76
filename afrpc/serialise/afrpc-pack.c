/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serialise/afrpc-pack.h"

#include <string.h>

#include "afrpc-error.h"
#include "afrpc-json-serialiser.h"

/* Whose name that is: G_TYPE_INVALID if it is free for everybody. */
static GType
get_own_type (const char *name)
{
  g_autoptr(AfrpcSerialiser) own = NULL;

  if (strcmp (name, AFRPC_SERIALISER_JSON_PLAIN) == 0)
    return AFRPC_TYPE_JSON_SERIALISER;
  if (strcmp (name, AFRPC_SERIALISER_VARIANT) != 0 && strcmp (name, AFRPC_SERIALISER_BYTES) != 0 &&
      strcmp (name, AFRPC_SERIALISER_JSON) != 0)
    return G_TYPE_INVALID;
  own = afrpc_serialiser_lookup (name);

  return G_OBJECT_TYPE (own);
}

/* FALSE with AFRPC_ERROR_SERIALISER if no worker could know it by its name. */
gboolean
afrpc_pack_check_name (AfrpcSerialiser  *serialiser,
                       GError          **error)
{
  const char *name = afrpc_serialiser_get_name (serialiser);
  const char *type_name = G_OBJECT_TYPE_NAME (serialiser);
  GType own_type;

  if (name == NULL || *name == '\0' || strlen (name) > AFRPC_SERIALISER_NAME_MAX || !g_utf8_validate (name, -1, NULL))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER,
                   "the serialiser, a %s, has no name of 1 to %u bytes", type_name, AFRPC_SERIALISER_NAME_MAX);
      return FALSE;
    }
  own_type = get_own_type (name);
  if (own_type != G_TYPE_INVALID && G_OBJECT_TYPE (serialiser) != own_type)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER,
                   "“%s” is afrpc's own serialiser: the %s has to have another name", name, type_name);
      return FALSE;
    }

  return TRUE;
}

/* Returns: (transfer full): an `ay` */
GVariant *
afrpc_pack (AfrpcSerialiser  *serialiser,
            GVariant         *value,
            GError          **error)
{
  g_autoptr(GBytes) bytes = afrpc_serialiser_serialise (serialiser, value, error);

  return bytes != NULL ? g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE)) : NULL;
}

/* Returns: (transfer full): what @packed, from the other side, was made of */
GVariant *
afrpc_unpack (AfrpcSerialiser  *serialiser,
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
