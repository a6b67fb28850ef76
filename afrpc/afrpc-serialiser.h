/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-types.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_SERIALISER (afrpc_serialiser_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (AfrpcSerialiser, afrpc_serialiser, AFRPC, SERIALISER, GObject)

/**
 * AfrpcSerialiserInterface:
 * @g_iface: the parent interface
 * @dup_name: says the name; see [vfunc@Afrpc.Serialiser.dup_name]
 * @serialise: makes bytes of a value; see [vfunc@Afrpc.Serialiser.serialise]
 * @deserialise: makes a value of bytes; see [vfunc@Afrpc.Serialiser.deserialise]
 *
 * The virtual functions of a serialiser.
 *
 * Since: 1.0
 */
struct _AfrpcSerialiserInterface
{
  GTypeInterface g_iface;

  char     *(*dup_name)    (AfrpcSerialiser  *self);
  GBytes   *(*serialise)   (AfrpcSerialiser  *self,
                            GVariant         *value,
                            GError          **error);
  GVariant *(*deserialise) (AfrpcSerialiser  *self,
                            GBytes           *bytes,
                            GError          **error);

  /*< private >*/
  gconstpointer slices;
  const char   *host; /* (nullable): the only one whose workers have it */
};

AFRPC_AVAILABLE_IN_1_0
gboolean         afrpc_serialiser_register    (AfrpcSerialiser  *self,
                                               GError          **error);
AFRPC_AVAILABLE_IN_1_0
AfrpcSerialiser *afrpc_serialiser_lookup      (const char       *name);

AFRPC_AVAILABLE_IN_1_0
const char      *afrpc_serialiser_get_name    (AfrpcSerialiser  *self);
AFRPC_AVAILABLE_IN_1_0
GBytes          *afrpc_serialiser_serialise   (AfrpcSerialiser  *self,
                                               GVariant         *value,
                                               GError          **error);
AFRPC_AVAILABLE_IN_1_0
GVariant        *afrpc_serialiser_deserialise (AfrpcSerialiser  *self,
                                               GBytes           *bytes,
                                               GError          **error);

G_END_DECLS
