/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <afrpc/afrpc.h>

AFRPC_FUNCTION (hello, "(s)")

GVariant *
hello (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  const char *name;

  g_variant_get (args, "(&s)", &name);

  return g_variant_new_take_string (g_strdup_printf ("Hello, %s!", name));
}
