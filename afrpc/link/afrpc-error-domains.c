/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "link/afrpc-error-domains.h"

#include <gio/gio.h>
#include <string.h>

#include "afrpc-error.h"
#include "os/afrpc-fork-lock.h"

#define ERROR_MESSAGE_MAX 65536 /* bytes of a foreign error's message that are kept */

#define ERROR_DOMAIN_MAX 255    /* bytes of a foreign error's domain that are kept */

static AfrpcForkLock domains_lock;
static GHashTable *domains; /* (element-type utf8 GQuark) guarded by domains_lock, never freed */

static void
add_locked (GQuark domain)
{
  g_hash_table_insert (domains, (gpointer) g_quark_to_string (domain), GUINT_TO_POINTER (domain));
}

static void
ensure_locked (void)
{
  if (domains != NULL)
    return;

  domains = g_hash_table_new (g_str_hash, g_str_equal);
  add_locked (AFRPC_ERROR);
  add_locked (G_IO_ERROR);
  add_locked (G_FILE_ERROR);
  add_locked (G_BOOKMARK_FILE_ERROR);
  add_locked (G_CONVERT_ERROR);
  add_locked (G_DBUS_ERROR);
  add_locked (G_KEY_FILE_ERROR);
  add_locked (G_MARKUP_ERROR);
  add_locked (G_NUMBER_PARSER_ERROR);
  add_locked (G_OPTION_ERROR);
  add_locked (G_REGEX_ERROR);
  add_locked (G_RESOLVER_ERROR);
  add_locked (G_RESOURCE_ERROR);
  add_locked (G_SHELL_ERROR);
  add_locked (G_SPAWN_ERROR);
  add_locked (G_SPAWN_EXIT_ERROR);
  add_locked (G_THREAD_ERROR);
  add_locked (G_TLS_ERROR);
  add_locked (G_URI_ERROR);
  add_locked (G_VARIANT_PARSE_ERROR);
}

void
afrpc_error_domains_add (GQuark domain)
{
  afrpc_fork_lock_lock (&domains_lock);
  ensure_locked ();
  add_locked (domain);
  afrpc_fork_lock_unlock (&domains_lock);
}

static GQuark
find (const char *name)
{
  GQuark domain;

  afrpc_fork_lock_lock (&domains_lock);
  ensure_locked ();
  domain = GPOINTER_TO_UINT (g_hash_table_lookup (domains, name));
  afrpc_fork_lock_unlock (&domains_lock);

  return domain;
}

gboolean
afrpc_error_domains_can_unpack (GVariant *value)
{
  return g_variant_is_of_type (value, G_VARIANT_TYPE ("(sis)"));
}

/* A code of a domain that is not registered would mean nothing here, and interning every name that
 * a worker invents would leak: such an error keeps its words alone. */
GError *
afrpc_error_domains_unpack (GVariant *value)
{
  const char *domain, *message;
  g_autofree char *text = NULL;
  g_autofree char *name = NULL;
  GQuark quark;
  gint32 code;

  if (!afrpc_error_domains_can_unpack (value))
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA,
                        "the worker sent an error of type %s instead of (sis)",
                        g_variant_get_type_string (value));

  g_variant_get (value, "(&si&s)", &domain, &code, &message);
  text = g_utf8_make_valid (message, strnlen (message, ERROR_MESSAGE_MAX));

  /* None that is registered is longer. */
  quark = strnlen (domain, ERROR_DOMAIN_MAX + 1) <= ERROR_DOMAIN_MAX ? find (domain) : 0;
  if (quark != 0)
    return g_error_new_literal (quark, code, text);

  name = g_utf8_make_valid (domain, strnlen (domain, ERROR_DOMAIN_MAX));
  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_REMOTE, "%s %d: %s", name, code, text);
}
