/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-error.h"

#include <string.h>

#include "link/afrpc-error-domains.h"

#define PYTHON_DOMAIN "python-exception"

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

/* Whether it is an exception of Python that says more than its words and its traceback: its code is negative then. */
static gboolean
has_details (const GError *error)
{
  if (error->domain == g_quark_try_string (PYTHON_DOMAIN))
    return error->domain != 0 && error->code < 0;

  /* A label may come first. */
  return g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_REMOTE) &&
         g_strstr_len (error->message, strcspn (error->message, "\n"), PYTHON_DOMAIN " -") != NULL;
}

/**
 * afrpc_error_dup_message:
 * @error: an error
 *
 * Gets what a person is to read of an error.
 *
 * It is its message, but for the last line of an [exception in Python](errors.html#other-domains), which only programs read. The
 * error keeps that: whoever it is handed on to may be a program in Python. May be called from any thread.
 *
 * Returns: (transfer full): the message
 *
 * Since: 1.0
 */
char *
afrpc_error_dup_message (const GError *error)
{
  const char *details;

  g_return_val_if_fail (error != NULL, NULL);

  details = has_details (error) ? g_strrstr (error->message, "\n\n{") : NULL;

  return details != NULL ? g_strndup (error->message, details - error->message) : g_strdup (error->message);
}

/**
 * afrpc_error_new_remote:
 * @domain: the name of an error domain
 * @code: the code
 * @message: the message
 *
 * Makes an error of what another program says that went wrong there. For implementers of [iface@Afrpc.Caller].
 *
 * It has that domain and code if the domain is [registered][func@Afrpc.Error.register_domain], or else is %AFRPC_ERROR_REMOTE and
 * has both in its message. May be called from any thread.
 *
 * Returns: (transfer full): an error
 *
 * Since: 1.0
 */
GError *
afrpc_error_new_remote (const char *domain,
                        int         code,
                        const char *message)
{
  g_autoptr(GVariant) value = NULL;
  g_autofree char *valid_domain = NULL;
  g_autofree char *valid_message = NULL;

  g_return_val_if_fail (domain != NULL, NULL);
  g_return_val_if_fail (message != NULL, NULL);

  valid_domain = g_utf8_make_valid (domain, -1);
  valid_message = g_utf8_make_valid (message, -1);
  value = g_variant_ref_sink (g_variant_new ("(sis)", valid_domain, code, valid_message));

  return afrpc_error_domains_unpack (value);
}
