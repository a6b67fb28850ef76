/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-metadata.h"

#include "afrpc-error.h"

static gboolean
check_size (GVariant  *metadata,
            GError   **error)
{
  const gsize size = g_variant_get_size (metadata);

  if (size <= AFRPC_METADATA_SIZE_MAX)
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
               "the metadata has %" G_GSIZE_FORMAT " bytes, the limit is %u", size, AFRPC_METADATA_SIZE_MAX);
  return FALSE;
}

/* Returns: (transfer full): both in one value, or NULL: AFRPC_ERROR_TOO_LARGE. */
GVariant *
afrpc_metadata_pack (GVariant  *args,
                     GVariant  *metadata,
                     GError   **error)
{
  if (!check_size (metadata, error))
    return NULL;

  return g_variant_ref_sink (g_variant_new ("(v@a{sv})", args, metadata));
}

/* Takes apart what came from elsewhere, and is known to be in normal form. FALSE: AFRPC_ERROR_INVALID_DATA,
 * AFRPC_ERROR_TOO_LARGE. */
gboolean
afrpc_metadata_unpack (GVariant  *packed,
                       GVariant **args,     /* (out) (transfer full) */
                       GVariant **metadata, /* (out) (transfer full) */
                       GError   **error)
{
  g_autoptr(GVariant) found = NULL;

  if (!g_variant_is_of_type (packed, G_VARIANT_TYPE (AFRPC_METADATA_TYPE)))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "a call with malformed metadata");
      return FALSE;
    }
  found = g_variant_get_child_value (packed, 1);
  if (!check_size (found, error))
    return FALSE;

  g_variant_get_child (packed, 0, "v", args);
  *metadata = g_steal_pointer (&found);

  return TRUE;
}
