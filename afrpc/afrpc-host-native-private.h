/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What hosts of compiled languages share: functions are addresses, and their numbers are looked up in an
 * array. How a name becomes an address is up to the subclass. */
#pragma once

#include "afrpc/afrpc.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_HOST_NATIVE (afrpc_host_native_get_type ())
G_DECLARE_DERIVABLE_TYPE (AfrpcHostNative, afrpc_host_native, AFRPC, HOST_NATIVE, AfrpcHost)

struct _AfrpcHostNativeClass
{
  AfrpcHostClass parent_class;
};

guint afrpc_host_native_add (AfrpcHostNative          *self,
                             const char               *name,
                             const char               *place,
                             gpointer                  symbol,
                             const AfrpcFunctionInfo  *info,
                             AfrpcFunctionKind         kind,
                             GError                  **error);

G_END_DECLS
