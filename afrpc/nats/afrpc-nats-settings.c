/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-settings.h"

#include <afrpc/afrpc.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SCHEME_END "://"
#define SUBJECT_MAX 1000u /* bytes: NATS takes 4096 for a line, which has an inbox besides */
#define PREFIX_MAX 200u

void
afrpc_nats_settings_clear (AfrpcNatsSettings *self)
{
  g_strfreev (self->servers);
  g_free (self->name);
  g_free (self->user);
  g_free (self->password);
  g_free (self->token);
  g_free (self->credentials_file);
  g_free (self->nkey);
  g_free (self->nkey_seed_file);
  g_free (self->tls_ca_file);
  g_free (self->tls_certificate_file);
  g_free (self->tls_key_file);
  g_free (self->tls_hostname);
  g_free (self->inbox_prefix);
  memset (self, 0, sizeof *self);
}

void
afrpc_nats_settings_copy (AfrpcNatsSettings       *self,
                          const AfrpcNatsSettings *from)
{
  *self = *from;
  self->servers = g_strdupv (from->servers);
  self->name = g_strdup (from->name);
  self->user = g_strdup (from->user);
  self->password = g_strdup (from->password);
  self->token = g_strdup (from->token);
  self->credentials_file = g_strdup (from->credentials_file);
  self->nkey = g_strdup (from->nkey);
  self->nkey_seed_file = g_strdup (from->nkey_seed_file);
  self->tls_ca_file = g_strdup (from->tls_ca_file);
  self->tls_certificate_file = g_strdup (from->tls_certificate_file);
  self->tls_key_file = g_strdup (from->tls_key_file);
  self->tls_hostname = g_strdup (from->tls_hostname);
  self->inbox_prefix = g_strdup (from->inbox_prefix);
}

/* Subjects */

static gboolean
check_subject (const char  *subject,
               gsize        size_max,
               GError     **error)
{
  g_autofree char *shown = NULL;
  const char *why = NULL;
  const char *p;

  for (p = subject; why == NULL && *p != '\0'; p++)
    if (g_ascii_isspace (*p) || g_ascii_iscntrl (*p))
      why = "has spaces, or control characters";
    else if (*p == '*' || *p == '>')
      why = "has * or >, which stand for many";
    else if (*p == '.' && (p == subject || p[1] == '.' || p[1] == '\0'))
      why = "has an empty part";
  if (*subject == '\0')
    why = "is empty";
  else if (strlen (subject) > size_max)
    why = "is too long";
  if (why == NULL)
    return TRUE;

  shown = g_strndup (subject, 64);
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS, "the subject '%s' %s", shown, why);

  return FALSE;
}

/* FALSE: nothing can be sent there. */
gboolean
afrpc_nats_check_subject (const char  *subject,
                          GError     **error)
{
  return check_subject (subject, SUBJECT_MAX, error);
}

/* URLs. nats.c takes what stands before the end of the scheme for nothing at all. */

/* Returns: (transfer full) (nullable): NULL if it has none */
static char *
dup_scheme (const char *url)
{
  const char *end = strstr (url, SCHEME_END);

  return end != NULL ? g_ascii_strdown (url, end - url) : NULL;
}

static const char *
skip_scheme (const char *url)
{
  const char *end = strstr (url, SCHEME_END);

  return end != NULL ? end + strlen (SCHEME_END) : url;
}

/* Returns: where the host begins: a password may have an @ in it */
static const char *
skip_user (const char *url)
{
  const char *end = strrchr (url, '@');

  return end != NULL ? end + 1 : skip_scheme (url);
}

/* Returns: (transfer full): without user, password and token: these are in no message, and no property that is read */
char *
afrpc_nats_url_hide (const char *url)
{
  const char *host = skip_user (url);
  g_autofree char *scheme = g_strndup (url, MIN (skip_scheme (url), host) - url);

  return g_strconcat (scheme, host, NULL);
}

/* Returns: (transfer full): the servers, in messages */
char *
afrpc_nats_settings_describe (const AfrpcNatsSettings *self)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; self->servers[i] != NULL; i++)
    {
      g_autofree char *url = afrpc_nats_url_hide (self->servers[i]);

      g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", url);
    }

  return g_string_free (text, FALSE);
}

/* Returns: (transfer full): what nats.c says, which may quote a URL */
char *
afrpc_nats_settings_hide (const AfrpcNatsSettings *self,
                          const char              *text)
{
  GString *hidden = g_string_new (text);

  for (guint i = 0; self->servers[i] != NULL; i++)
    {
      const char *user = skip_scheme (self->servers[i]);
      const char *host = skip_user (self->servers[i]);

      if (user < host)
        {
          g_autofree char *who = g_strndup (user, host - user);

          g_string_replace (hidden, who, "", 0);
        }
    }

  return g_string_free (hidden, FALSE);
}

static gboolean
has_tls (const AfrpcNatsSettings *self)
{
  for (guint i = 0; self->servers[i] != NULL; i++)
    {
      g_autofree char *scheme = dup_scheme (self->servers[i]);

      if (g_strcmp0 (scheme != NULL ? g_strstrip (scheme) : NULL, "tls") == 0)
        return TRUE;
    }

  return FALSE;
}

/* What nats.c says of files that are not there names none, or not why. */
static gboolean
check_file (const char  *path, /* (nullable) */
            GError     **error)
{
  if (path == NULL || access (path, R_OK) == 0)
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE, "cannot read '%s': %s", path, g_strerror (errno));

  return FALSE;
}

/* FALSE: it cannot be meant so. */
gboolean
afrpc_nats_settings_check (const AfrpcNatsSettings  *self,
                           GError                  **error)
{
  for (guint i = 0; self->servers[i] != NULL; i++)
    {
      g_autofree char *scheme = dup_scheme (self->servers[i]);

      if (scheme == NULL || g_str_equal (g_strstrip (scheme), "nats") || g_str_equal (scheme, "tls"))
        continue;
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE, "a URL of NATS begins with nats: or tls:, not with %s:", scheme);
      return FALSE;
    }

  if (!check_file (self->credentials_file, error) || !check_file (self->nkey_seed_file, error) ||
      !check_file (self->tls_ca_file, error) || !check_file (self->tls_certificate_file, error) ||
      !check_file (self->tls_key_file, error))
    return FALSE;
  if (self->inbox_prefix == NULL || check_subject (self->inbox_prefix, PREFIX_MAX, error))
    return TRUE;

  g_prefix_error (error, "inbox-prefix: ");
  if (error != NULL)
    (*error)->code = AFRPC_ERROR_UNREACHABLE;

  return FALSE;
}

static natsStatus
apply_authentication (const AfrpcNatsSettings *settings,
                      natsOptions             *options)
{
  natsStatus status = NATS_OK;

  if (settings->user != NULL)
    status = natsOptions_SetUserInfo (options, settings->user, settings->password != NULL ? settings->password : "");
  if (status == NATS_OK && settings->token != NULL)
    status = natsOptions_SetToken (options, settings->token);
  if (status == NATS_OK && settings->credentials_file != NULL)
    status = natsOptions_SetUserCredentialsFromFiles (options, settings->credentials_file, NULL);
  if (status == NATS_OK && settings->nkey != NULL)
    status = natsOptions_SetNKeyFromSeed (options, settings->nkey, settings->nkey_seed_file);

  return status;
}

static natsStatus
apply_tls (const AfrpcNatsSettings *settings,
           natsOptions             *options)
{
  natsStatus status = NATS_OK;

  if (settings->tls || has_tls (settings) || settings->tls_ca_file != NULL || settings->tls_certificate_file != NULL)
    status = natsOptions_SetSecure (options, true);
  if (status == NATS_OK && settings->tls_ca_file != NULL)
    status = natsOptions_LoadCATrustedCertificates (options, settings->tls_ca_file);
  if (status == NATS_OK && settings->tls_certificate_file != NULL)
    status = natsOptions_LoadCertificatesChain (options, settings->tls_certificate_file, settings->tls_key_file);
  if (status == NATS_OK && settings->tls_hostname != NULL)
    status = natsOptions_SetExpectedHostname (options, settings->tls_hostname);

  return status;
}

static natsStatus
apply_servers (const AfrpcNatsSettings *settings,
               natsOptions             *options)
{
  natsStatus status = natsOptions_SetServers (options, (const char **) settings->servers, g_strv_length (settings->servers));

  if (status == NATS_OK && settings->name != NULL)
    status = natsOptions_SetName (options, settings->name);
  if (status == NATS_OK)
    status = natsOptions_SetTimeout (options, settings->connect_timeout_ms);

  return status;
}

natsStatus
afrpc_nats_settings_apply (const AfrpcNatsSettings *self,
                           natsOptions             *options)
{
  natsStatus status = apply_servers (self, options);

  if (status == NATS_OK)
    status = apply_tls (self, options);
  if (status == NATS_OK)
    status = apply_authentication (self, options);

  return status;
}
