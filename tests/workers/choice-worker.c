/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A function, and one that is chosen when it is looked up. Built with hash tables of both kinds. */
#include <afrpc/afrpc.h>

AFRPC_FUNCTION (first, NULL)
AFRPC_EXPORT GVariant *chosen (AfrpcWorker *worker, GVariant *args, GError **error);

GVariant *
first (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  return g_variant_ref (args);
}

static GVariant *(*choose (void)) (AfrpcWorker *, GVariant *, GError **)
{
  return first;
}

GVariant *chosen (AfrpcWorker *worker, GVariant *args, GError **error) __attribute__ ((ifunc ("choose")));
