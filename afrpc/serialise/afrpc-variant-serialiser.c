/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-error.h"
#include "afrpc-serialiser-values.h"
#include "serialise/afrpc-serialiser-private.h"
#include "wire/afrpc-value-check.h"

/* "variant": GVariant's own format, little-endian, of the value in a `v`. A conversation whose serialiser
 * this would be has none: there values travel in place, with their types beside them. */

struct _AfrpcVariantSerialiser
{
  GObject parent_instance;
};

static void afrpc_variant_serialiser_serialiser_init (AfrpcSerialiserInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcVariantSerialiser, afrpc_variant_serialiser, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_SERIALISER, afrpc_variant_serialiser_serialiser_init))

static void
afrpc_variant_serialiser_class_init (AfrpcVariantSerialiserClass *klass)
{
}

static void
afrpc_variant_serialiser_init (AfrpcVariantSerialiser *self)
{
}

/* Returns: (transfer full): @value with the bytes in the order of the file, or back */
static GVariant *
order_bytes (GVariant *value) /* (transfer full) */
{
#if G_BYTE_ORDER == G_BIG_ENDIAN
  g_autoptr(GVariant) other = value;

  return g_variant_byteswap (value);
#else
  return value;
#endif
}

static char *
afrpc_variant_serialiser_dup_name (AfrpcSerialiser *self)
{
  return g_strdup (AFRPC_SERIALISER_VARIANT);
}

static GBytes *
afrpc_variant_serialiser_serialise (AfrpcSerialiser  *self,
                                    GVariant         *value,
                                    GError          **error)
{
  g_autoptr(GVariant) boxed = order_bytes (g_variant_ref_sink (g_variant_new_variant (value)));

  return g_variant_get_data_as_bytes (boxed);
}

static GVariant *
afrpc_variant_serialiser_deserialise (AfrpcSerialiser  *self,
                                      GBytes           *bytes,
                                      GError          **error)
{
  g_autoptr(GVariant) boxed = NULL;
  g_autoptr(GBytes) copy = NULL;

  /* Refused, never repaired: see afrpc_value_parse(). Of a copy, because nobody can tell whether the memory is not
   * going to change. */
  copy = g_bytes_new (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  if (!afrpc_value_is_normal (afrpc_layout_get_basic ('v'), g_bytes_get_data (copy, NULL), g_bytes_get_size (copy)))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "not a GVariant in normal form");
      return NULL;
    }
  boxed = order_bytes (g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_VARIANT, copy, TRUE)));

  return g_variant_get_variant (boxed);
}

static void
afrpc_variant_serialiser_serialiser_init (AfrpcSerialiserInterface *iface)
{
  iface->dup_name = afrpc_variant_serialiser_dup_name;
  iface->serialise = afrpc_variant_serialiser_serialise;
  iface->deserialise = afrpc_variant_serialiser_deserialise;
}
