/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether a worker can know a serialiser by its name. */
#include "config.h"

#include "afrpc-serialiser-values.h"

#include <string.h>

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
afrpc_serialiser_check_name (AfrpcSerialiser  *serialiser,
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
                   "'%s' is afrpc's own serialiser: the %s has to have another name", name, type_name);
      return FALSE;
    }

  return TRUE;
}
