/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serialise/afrpc-unpacking.h"

struct _AfrpcUnpacking
{
  AfrpcSerialiser *serialiser;
  GVariant *packed;
  const AfrpcSerialiserSlices *slices;
  gpointer reading;
};

/* @packed: from the other side, in memory that nobody else can write to
 * Returns: (nullable): NULL if it is done at once, or fails at once */
AfrpcUnpacking *
afrpc_unpacking_new (AfrpcSerialiser *serialiser,
                     GVariant        *packed)
{
  const AfrpcSerialiserSlices *slices = AFRPC_SERIALISER_GET_IFACE (serialiser)->slices;
  AfrpcUnpacking *self;

  if (slices == NULL || !g_variant_is_of_type (packed, G_VARIANT_TYPE_BYTESTRING))
    return NULL;

  self = g_new (AfrpcUnpacking, 1);
  self->serialiser = g_object_ref (serialiser);
  self->packed = g_variant_ref (packed);
  self->slices = slices;
  self->reading = slices->begin (serialiser, g_variant_get_data (packed), g_variant_get_size (packed));

  return self;
}

/* Units of a budget are those of afrpc_value_check_step(). */
int
afrpc_unpacking_step (AfrpcUnpacking  *self,
                      gssize           budget,
                      GVariant       **value,
                      GError         **error)
{
  return self->slices->step (self->reading, budget, value, error);
}

void
afrpc_unpacking_free (AfrpcUnpacking *self)
{
  self->slices->end (self->reading);
  g_variant_unref (self->packed);
  g_object_unref (self->serialiser);
  g_free (self);
}
