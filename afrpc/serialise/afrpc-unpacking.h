/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A value that comes out of what a serialiser has made on the other side, in slices of a main loop:
 *
 *   AfrpcUnpacking *unpacking = afrpc_unpacking_new (serialiser, packed);
 *   int step;
 *
 *   if (unpacking == NULL)
 *     … it knows no slices: afrpc_serialiser_unpack() does all at once …
 *   while ((step = afrpc_unpacking_step (unpacking, AFRPC_VALUE_CHECK_SLICE, &value, &error)) == 0)
 *     … come back later …
 *   afrpc_unpacking_free (unpacking);
 *
 * and @step is 1 with a value, or -1 with an error. Those serialisers know slices that afrpc has itself. */
#pragma once

#include "afrpc-serialiser.h"

G_BEGIN_DECLS

/* What is smaller takes less than a slice. */
#define AFRPC_UNPACKING_SIZE_MIN 4096u /* bytes */

/* What a serialiser has for this, see AfrpcSerialiserInterface. Nobody else's functions are called meanwhile. */
typedef struct
{
  gpointer (*begin) (AfrpcSerialiser  *self,
                     const guint8     *data, /* stays where it is until the end */
                     gsize             size);
  int      (*step)  (gpointer          reading,
                     gssize            budget,
                     GVariant        **value, /* (transfer full) */
                     GError          **error);
  void     (*end)   (gpointer          reading);
} AfrpcSerialiserSlices;

typedef struct _AfrpcUnpacking AfrpcUnpacking;

AfrpcUnpacking *afrpc_unpacking_new  (AfrpcSerialiser  *serialiser,
                                      GVariant         *packed);
int             afrpc_unpacking_step (AfrpcUnpacking   *self,
                                      gssize            budget,
                                      GVariant        **value,
                                      GError          **error);
void            afrpc_unpacking_free (AfrpcUnpacking   *self);

/* Whether it is worth while: anything else is unpacked at once. */
static inline gboolean
afrpc_unpacking_is_large (GVariant *packed)
{
  return g_variant_get_size (packed) >= AFRPC_UNPACKING_SIZE_MIN;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcUnpacking, afrpc_unpacking_free)

G_END_DECLS
