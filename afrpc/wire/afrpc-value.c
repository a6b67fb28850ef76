/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-value.h"

#include <string.h>

#include "afrpc-error.h"
#include "wire/afrpc-value-settle.h"

/* Remembers the type, if it is one. Returns: (nullable): its layout, in @type or in @room */
static const AfrpcLayout *
set_type (AfrpcValueType  *type,
          const char      *string,
          gsize            length,
          AfrpcLayout     *room,
          GError         **error)
{
  AfrpcLayout *layout = length <= AFRPC_VALUE_LAYOUT_KEPT_MAX ? type->layout : room;

  if (length > 0 && length == type->length && memcmp (type->string, string, length) == 0)
    {
      if (layout == room)
        afrpc_layout_init (room, string, length);
      return layout;
    }

  type->length = 0;
  if (!afrpc_layout_init (layout, string, length))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "value of an invalid type");
      return NULL;
    }
  memcpy (type->string, string, length);
  type->string[length] = '\0';
  type->length = length;

  return layout;
}

static gboolean
is_foreign (const AfrpcFrameHeader *header)
{
  return (header->flags & AFRPC_FRAME_FLAG_BIG_ENDIAN) != AFRPC_FRAME_FLAGS_NATIVE;
}

static gboolean
refuse (const char  *type,
        GError     **error)
{
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "malformed value of type %s", type);
  return FALSE;
}

/* Of bytes that have been checked. */
static GVariant *
make_value (const char *type,
            GBytes     *bytes)
{
  /* It is floating, and nobody else's: to take it costs a third of sinking it. */
  return g_variant_take_ref (g_variant_new_from_bytes ((const GVariantType *) type, bytes, TRUE));
}

/* In one go. */
static gboolean
is_normal (const AfrpcLayout *layout,
           guint8            *data,
           gsize              size,
           gboolean           swaps)
{
  AfrpcValueCheck check;
  int step;

  if (!swaps && afrpc_value_settle_whole (layout, data, size))
    return TRUE;

  afrpc_value_check_init (&check, layout, data, size, swaps);
  step = afrpc_value_check_step (&check, G_MAXSSIZE);
  afrpc_value_check_clear (&check);

  return step > 0;
}

/*< private >
 * afrpc_value_parse:
 * @type: the connection's type cache
 * @header: the frame's header
 * @type_string: the frame's type string, without a NUL
 * @payload: the payload, read during the call only, unless @payload_bytes is given
 * @payload_bytes: (nullable): the same payload in memory that is private and the value may keep; if its byte
 *   order is not this machine's, it is changed in place
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
  AfrpcLayout room[AFRPC_LAYOUT_TYPE_MAX];
  const AfrpcLayout *layout = set_type (type, type_string, header->type_length, room, error);
  g_autoptr(GBytes) copy = NULL;
  guint8 *data = (guint8 *) payload;

  if (layout == NULL)
    return NULL;

  if (payload_bytes == NULL)
    {
      data = g_memdup2 (payload, header->size);
      payload_bytes = copy = g_bytes_new_take (data, header->size);
    }

  return is_normal (layout, data, header->size, is_foreign (header)) || refuse (type->string, error) ?
           make_value (type->string, payload_bytes) : NULL;
}

/*< private >
 * afrpc_value_parser_begin:
 *
 * As afrpc_value_parse(). What is large takes more steps, if it has memory of its own: one slice is done here.
 *
 * Returns: 1 with @value, -1 with @error, or 0: there is more to do
 */
int
afrpc_value_parser_begin (AfrpcValueParser        *self,
                          AfrpcValueType          *type,
                          const AfrpcFrameHeader  *header,
                          const char              *type_string,
                          const guint8            *payload,
                          GBytes                  *payload_bytes,
                          GVariant               **value,
                          GError                 **error)
{
  const AfrpcLayout *layout;

  self->bytes = NULL;
  if (payload_bytes == NULL)
    {
      *value = afrpc_value_parse (type, header, type_string, payload, NULL, error);
      return *value != NULL ? 1 : -1;
    }

  layout = set_type (type, type_string, header->type_length, self->layout, error);
  if (layout == NULL)
    return -1;
  /* What the cache has next is another type's. */
  if (layout != self->layout)
    memcpy (self->layout, layout, type->length * sizeof *layout);
  memcpy (self->type, type->string, type->length + 1);
  self->bytes = g_bytes_ref (payload_bytes);
  afrpc_value_check_init (&self->check, self->layout, (guint8 *) payload, header->size, is_foreign (header));

  return afrpc_value_parser_step (self, AFRPC_VALUE_CHECK_SLICE, value, error);
}

/* Goes on, with a budget as that of afrpc_value_check_step(); returns as afrpc_value_parser_begin(). */
int
afrpc_value_parser_step (AfrpcValueParser  *self,
                         gssize             budget,
                         GVariant         **value,
                         GError           **error)
{
  const int step = afrpc_value_check_step (&self->check, budget);

  if (step == 0)
    return 0;

  if (step > 0)
    *value = make_value (self->type, self->bytes);
  else
    refuse (self->type, error);
  afrpc_value_parser_clear (self);

  return step;
}

void
afrpc_value_parser_clear (AfrpcValueParser *self)
{
  if (self->bytes == NULL)
    return;

  g_clear_pointer (&self->bytes, g_bytes_unref);
  afrpc_value_check_clear (&self->check);
}

/* Returns: (transfer full): an error as it travels */
GVariant *
afrpc_value_pack_error (const GError *error)
{
  g_autofree char *message = g_utf8_make_valid (error->message != NULL ? error->message : "", -1);
  g_autofree char *domain = g_utf8_make_valid (error->domain != 0 ? g_quark_to_string (error->domain) : "", -1);

  return g_variant_ref_sink (g_variant_new ("(sis)", domain, error->code, message));
}
