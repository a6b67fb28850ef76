/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-error.h"

#include "link/afrpc-error-domains.h"

/**
 * afrpc_error_register_domain:
 * @domain: an error domain
 *
 * Lets errors of @domain that a worker's function returns keep their domain and code.
 *
 * Errors of a domain that is not registered arrive as %AFRPC_ERROR_REMOTE, with the domain's name and
 * the code in the message. The domains of GLib, GIO and afrpc itself are registered from the start.
 * May be called from any thread.
 *
 * Since: 1.0
 */
void
afrpc_error_register_domain (GQuark domain)
{
  g_return_if_fail (domain != 0);

  afrpc_error_domains_add (domain);
}
