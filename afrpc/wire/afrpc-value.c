/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-value.h"

#include <string.h>

#include "afrpc-error.h"
#include "wire/afrpc-plain.h"

static gboolean
set_type (AfrpcValueType  *type,
          const char      *string,
          gsize            length,
          GError         **error)
{
  if (length > 0 && length == type->length && memcmp (type->string, string, length) == 0)
    return TRUE;

  type->length = 0;
  memcpy (type->string, string, length);
  type->string[length] = '\0';

  /* A NUL inside would make GLib see a shorter, valid string. */
  if (length == 0 || strlen (type->string) != length || !g_variant_type_string_is_valid (type->string) ||
      !g_variant_type_is_definite (G_VARIANT_TYPE (type->string)))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "value of an invalid type");
      return FALSE;
    }

  type->length = length;
  return TRUE;
}

/* With the padding, for GLib before 2.88.1 looks at a byte behind a malformed tuple. */
static GBytes *
copy_payload (const guint8 *payload,
              gsize         size)
{
  guint8 *copy = g_malloc0 (afrpc_frame_pad (size));

  if (size > 0)
    memcpy (copy, payload, size);

  return g_bytes_new_take (copy, size);
}

/*< private >
 * afrpc_value_parse:
 * @type: the connection's type cache
 * @header: the frame's header
 * @type_string: the frame's type string, without a NUL
 * @payload: the payload, read during the call only, unless @payload_bytes is given
 * @payload_bytes: (nullable): the same payload in memory that the value may keep
 * @error: return location for AFRPC_ERROR_INVALID_DATA
 *
 * Malformed values are refused, never repaired: g_variant_get_normal_form() may blow 100 kB up to
 * 15 MB, whereas checking is linear.
 *
 * Returns: (transfer full): a value in normal form and of this machine's byte order
 */
GVariant *
afrpc_value_parse (AfrpcValueType          *type,
                   const AfrpcFrameHeader  *header,
                   const char              *type_string,
                   const guint8            *payload,
                   GBytes                  *payload_bytes,
                   GError                 **error)
{
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GBytes) copy = NULL;
  gboolean trusted;

  if (!set_type (type, type_string, header->type_length, error))
    return NULL;

  trusted = afrpc_plain_is_normal (type->string, payload, header->size);

  if (payload_bytes == NULL)
    payload_bytes = copy = copy_payload (payload, header->size);

  value = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type->string), payload_bytes, trusted));
  if (!trusted && !g_variant_is_normal_form (value))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA,
                   "malformed value of type %s", type->string);
      return NULL;
    }

  if ((header->flags & AFRPC_FRAME_FLAG_BIG_ENDIAN) != AFRPC_FRAME_FLAGS_NATIVE)
    {
      GVariant *swapped = g_variant_byteswap (value);

      g_variant_unref (value);
      value = swapped;
    }

  return g_steal_pointer (&value);
}

/* Returns: (transfer full): an error as it travels */
GVariant *
afrpc_value_pack_error (const GError *error)
{
  g_autofree char *message = g_utf8_make_valid (error->message != NULL ? error->message : "", -1);
  g_autofree char *domain = g_utf8_make_valid (error->domain != 0 ? g_quark_to_string (error->domain) : "", -1);

  return g_variant_ref_sink (g_variant_new ("(sis)", domain, error->code, message));
}
