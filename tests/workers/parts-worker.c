/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two modules: a function, and what it calls, which only the other one has. */
#include <afrpc/afrpc.h>

AFRPC_EXPORT GVariant *get_part (void);

#ifdef HAS_PART
GVariant *
get_part (void)
{
  return g_variant_new_string ("the part");
}
#else
AFRPC_FUNCTION (whole, NULL)

GVariant *
whole (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  return get_part ();
}
#endif
