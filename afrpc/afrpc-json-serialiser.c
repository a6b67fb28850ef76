/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-serialiser.h"

#include <string.h>

#include "afrpc-error.h"
#include "afrpc-serialiser-values.h"
#include "json/afrpc-json.h"
#include "serialise/afrpc-unpacking.h"

/**
 * AfrpcJsonSerialiser:
 *
 * Values as JSON.
 *
 * Without an [property@Afrpc.JsonSerialiser:expected-type] it is the serialiser `json`: JSON that says its
 * types, in the manner of busctl(1), so that every value comes back exactly:
 * `{"type":"(sv)","data":["x",{"type":"q","data":7}]}`.
 *
 * With one, it is the serialiser `json-plain`: only what would be the `data` above, and so without types in a
 * `v`: `["x",7]`. It is for a peer that knows JSON and nothing of GVariant. Each side expects what the other
 * sends: a program the results and events, a worker, where one has to be
 * [registered][method@Afrpc.Serialiser.register], the arguments. Where that can be several types, expect a `v`.
 *
 * [Serialisers](serialisers.html) has the format.
 *
 * Since: 1.0
 */
struct _AfrpcJsonSerialiser
{
  GObject parent_instance;

  GVariantType *expected_type; /* construct-only, nullable */
};

enum
{
  PROP_EXPECTED_TYPE = 1,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

static void afrpc_json_serialiser_serialiser_init (AfrpcSerialiserInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcJsonSerialiser, afrpc_json_serialiser, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_SERIALISER, afrpc_json_serialiser_serialiser_init))

static void
afrpc_json_serialiser_finalize (GObject *object)
{
  g_clear_pointer (&AFRPC_JSON_SERIALISER (object)->expected_type, g_variant_type_free);

  G_OBJECT_CLASS (afrpc_json_serialiser_parent_class)->finalize (object);
}

static void
afrpc_json_serialiser_get_property (GObject    *object,
                                    guint       prop_id,
                                    GValue     *value,
                                    GParamSpec *pspec)
{
  switch (prop_id)
    {
    case PROP_EXPECTED_TYPE:
      g_value_set_boxed (value, AFRPC_JSON_SERIALISER (object)->expected_type);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_json_serialiser_set_property (GObject      *object,
                                    guint         prop_id,
                                    const GValue *value,
                                    GParamSpec   *pspec)
{
  AfrpcJsonSerialiser *self = AFRPC_JSON_SERIALISER (object);

  switch (prop_id)
    {
    case PROP_EXPECTED_TYPE:
      self->expected_type = g_value_dup_boxed (value);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_json_serialiser_constructed (GObject *object)
{
  AfrpcJsonSerialiser *self = AFRPC_JSON_SERIALISER (object);

  G_OBJECT_CLASS (afrpc_json_serialiser_parent_class)->constructed (object);

  if (self->expected_type != NULL && !g_variant_type_is_definite (self->expected_type))
    {
      g_critical ("the type that is expected of plain JSON has to be definite");
      g_clear_pointer (&self->expected_type, g_variant_type_free);
      self->expected_type = g_variant_type_copy (G_VARIANT_TYPE_VARIANT);
    }
}

static void
afrpc_json_serialiser_class_init (AfrpcJsonSerialiserClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = afrpc_json_serialiser_constructed;
  object_class->finalize = afrpc_json_serialiser_finalize;
  object_class->get_property = afrpc_json_serialiser_get_property;
  object_class->set_property = afrpc_json_serialiser_set_property;

  /**
   * AfrpcJsonSerialiser:expected-type: (attributes org.gtk.Property.get=afrpc_json_serialiser_get_expected_type)
   *
   * The type of what comes from the other side as plain JSON, or %NULL for JSON that says its types.
   *
   * It has to be definite.
   *
   * Since: 1.0
   */
  props[PROP_EXPECTED_TYPE] =
    g_param_spec_boxed ("expected-type", NULL, NULL, G_TYPE_VARIANT_TYPE,
                        G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
afrpc_json_serialiser_init (AfrpcJsonSerialiser *self)
{
}

static char *
afrpc_json_serialiser_dup_name (AfrpcSerialiser *self)
{
  return g_strdup (AFRPC_JSON_SERIALISER (self)->expected_type != NULL ? AFRPC_SERIALISER_JSON_PLAIN
                                                                        : AFRPC_SERIALISER_JSON);
}

/* Variants in each other can be deeper than GVariant allows, and GLib takes its word for what was built by it. */
static gboolean
is_too_deep (GVariant *value)
{
  g_autoptr(GBytes) bytes = NULL;
  g_autoptr(GVariant) foreign = NULL;

  if (strchr (g_variant_get_type_string (value), 'v') == NULL)
    return FALSE;

  bytes = g_variant_get_data_as_bytes (value);
  foreign = g_variant_ref_sink (g_variant_new_from_bytes (g_variant_get_type (value), bytes, FALSE));

  return !g_variant_is_normal_form (foreign);
}

static GBytes *
afrpc_json_serialiser_serialise (AfrpcSerialiser  *serialiser,
                                 GVariant         *value,
                                 GError          **error)
{
  AfrpcJsonSerialiser *self = AFRPC_JSON_SERIALISER (serialiser);
  char *text;

  if (is_too_deep (value))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "JSON: more than %u values in each other",
                   AFRPC_JSON_DEPTH_MAX);
      return NULL;
    }
  text = afrpc_json_encode (value, self->expected_type != NULL ? AFRPC_JSON_PLAIN : AFRPC_JSON_TYPED);

  return g_bytes_new_take (text, strlen (text));
}

static GVariant *
afrpc_json_serialiser_deserialise (AfrpcSerialiser  *serialiser,
                                   GBytes           *bytes,
                                   GError          **error)
{
  AfrpcJsonSerialiser *self = AFRPC_JSON_SERIALISER (serialiser);
  gsize size;
  const char *text = g_bytes_get_data (bytes, &size);

  return afrpc_json_decode (text != NULL ? text : "", size, self->expected_type, error);
}

static gpointer
afrpc_json_serialiser_begin (AfrpcSerialiser *serialiser,
                             const guint8    *data,
                             gsize            size)
{
  AfrpcJsonSerialiser *self = AFRPC_JSON_SERIALISER (serialiser);

  return afrpc_json_decoder_new (data != NULL ? (const char *) data : "", size, self->expected_type);
}

static int
afrpc_json_serialiser_step (gpointer    reading,
                            gssize      budget,
                            GVariant  **value,
                            GError    **error)
{
  return afrpc_json_decoder_step (reading, budget, value, error);
}

static void
afrpc_json_serialiser_end (gpointer reading)
{
  afrpc_json_decoder_free (reading);
}

static const AfrpcSerialiserSlices slices = {
  afrpc_json_serialiser_begin,
  afrpc_json_serialiser_step,
  afrpc_json_serialiser_end,
};

static void
afrpc_json_serialiser_serialiser_init (AfrpcSerialiserInterface *iface)
{
  iface->slices = &slices;
  iface->dup_name = afrpc_json_serialiser_dup_name;
  iface->serialise = afrpc_json_serialiser_serialise;
  iface->deserialise = afrpc_json_serialiser_deserialise;
}

/**
 * afrpc_json_serialiser_new:
 * @expected_type: (nullable): the type of what comes from the other side as plain JSON, a definite one, or %NULL
 *   for JSON that says its types
 *
 * Makes a serialiser.
 *
 * Returns: (transfer full): a serialiser
 *
 * Since: 1.0
 */
AfrpcJsonSerialiser *
afrpc_json_serialiser_new (const GVariantType *expected_type)
{
  g_return_val_if_fail (expected_type == NULL || g_variant_type_is_definite (expected_type), NULL);

  return g_object_new (AFRPC_TYPE_JSON_SERIALISER, "expected-type", expected_type, NULL);
}

/**
 * afrpc_json_serialiser_get_expected_type: (attributes org.gtk.Method.get_property=expected-type)
 * @self: a serialiser
 *
 * Gets the type of what comes from the other side as plain JSON.
 *
 * Returns: (transfer none) (nullable): the type, or %NULL for JSON that says its types
 *
 * Since: 1.0
 */
const GVariantType *
afrpc_json_serialiser_get_expected_type (AfrpcJsonSerialiser *self)
{
  g_return_val_if_fail (AFRPC_IS_JSON_SERIALISER (self), NULL);

  return self->expected_type;
}
