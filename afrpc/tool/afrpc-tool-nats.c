/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-tool-nats.h"

#include <glib/gi18n.h>
#include <locale.h>
#include <signal.h>
#include <string.h>

/* Passwords are not for the command line, where everybody sees them. */
#define PASSWORD_VARIABLE "NATS_PASSWORD"
#define URL_VARIABLE "NATS_URL"
#define SUBJECT_MAX 1000

void
afrpc_tool_nats_add (AfrpcToolNats    *self,
                     AfrpcToolOptions *parser)
{
  const GOptionEntry entries[] = {
    { "nats", 0, 0, G_OPTION_ARG_STRING, &self->url,
      N_("NATS servers, with commas between them (default: $NATS_URL)"), N_("URL") },
    { "subject", 0, 0, G_OPTION_ARG_STRING, &self->subject, N_("Subject that is served"), N_("SUBJECT") },
    { "user", 0, 0, G_OPTION_ARG_STRING, &self->user, N_("User, whose password is $NATS_PASSWORD"), N_("USER") },
    { "creds", 0, 0, G_OPTION_ARG_FILENAME, &self->creds, N_("File with a user's JWT and seed"), N_("FILE") },
    { "nkey", 0, 0, G_OPTION_ARG_STRING, &self->nkey, N_("Public NKey of a user"), N_("KEY") },
    { "nkey-seed", 0, 0, G_OPTION_ARG_FILENAME, &self->nkey_seed, N_("File with the seed of that"), N_("FILE") },
    { "tls", 0, 0, G_OPTION_ARG_NONE, &self->tls, N_("Encrypt the connection"), NULL },
    { "tls-ca", 0, 0, G_OPTION_ARG_FILENAME, &self->tls_ca, N_("Certificates that sign those of servers"), N_("FILE") },
    { "tls-cert", 0, 0, G_OPTION_ARG_FILENAME, &self->tls_cert, N_("Certificate to show to servers"), N_("FILE") },
    { "tls-key", 0, 0, G_OPTION_ARG_FILENAME, &self->tls_key, N_("Key of that certificate"), N_("FILE") },
    G_OPTION_ENTRY_NULL
  };

  afrpc_tool_options_add (parser, entries);
}

/* As the library has it, but before anything is started. */
static gboolean
is_subject (const char *text) /* (nullable) */
{
  return text != NULL && text[0] != '\0' && text[0] != '.' && !g_str_has_suffix (text, ".") && strstr (text, "..") == NULL &&
         strlen (text) <= SUBJECT_MAX && strpbrk (text, " \t\r\n\v\f*>") == NULL;
}

gboolean
afrpc_tool_nats_check (AfrpcToolNats  *self,
                       GError        **error)
{
  if (self->url == NULL)
    self->url = g_strdup (g_getenv (URL_VARIABLE));
  if (self->url == NULL || self->url[0] == '\0')
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“--nats” is needed, or $NATS_URL"));
  else if (!is_subject (self->subject))
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                         _("“--subject” is needed, without spaces, “*” and “>”"));
  else if ((self->nkey == NULL) != (self->nkey_seed == NULL))
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“--nkey” and “--nkey-seed” go together"));
  else if ((self->tls_cert == NULL) != (self->tls_key == NULL))
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“--tls-cert” and “--tls-key” go together"));
  else
    return TRUE;

  return FALSE;
}

AfrpcNatsConnection *
afrpc_tool_nats_new_connection (const AfrpcToolNats *self)
{
  g_auto(GStrv) servers = g_strsplit (self->url, ",", 0);

  return g_object_new (AFRPC_NATS_TYPE_CONNECTION,
                       "servers", servers,
                       "user", self->user,
                       "password", self->user != NULL ? g_getenv (PASSWORD_VARIABLE) : NULL,
                       "credentials-file", self->creds,
                       "nkey", self->nkey,
                       "nkey-seed-file", self->nkey_seed,
                       "tls", self->tls,
                       "tls-ca-file", self->tls_ca,
                       "tls-certificate-file", self->tls_cert,
                       "tls-key-file", self->tls_key,
                       NULL);
}

static void
closed_cb (GObject      *object,
           GAsyncResult *result,
           gpointer      data)
{
  afrpc_nats_connection_close_finish (AFRPC_NATS_CONNECTION (object), result, NULL);
  *(gboolean *) data = TRUE;
}

/* What was said last is sent before the command ends. */
void
afrpc_tool_nats_end (AfrpcNatsConnection *connection) /* (transfer full) */
{
  gboolean is_closed = FALSE;

  afrpc_nats_connection_close_async (connection, NULL, closed_cb, &is_closed);
  while (!is_closed)
    g_main_context_iteration (NULL, TRUE);
  g_object_unref (connection);
}

void
afrpc_tool_nats_clear (AfrpcToolNats *self)
{
  g_free (self->url);
  g_free (self->subject);
  g_free (self->user);
  g_free (self->creds);
  g_free (self->nkey);
  g_free (self->nkey_seed);
  g_free (self->tls_ca);
  g_free (self->tls_cert);
  g_free (self->tls_key);
  memset (self, 0, sizeof *self);
}

/* Run by afrpc, with what that was given. */
int
main (int    argc,
      char **argv)
{
  g_autofree char *prgname = NULL;
  const gboolean serves = argc > 1 && g_str_equal (argv[1], "serve");

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, AFRPC_LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
  afrpc_tool_init_printing ();
  signal (SIGPIPE, SIG_IGN);
  if (argc < 2 || (!serves && !g_str_equal (argv[1], "call")))
    return afrpc_tool_usage_error (NULL, _("A command is missing"));

  prgname = g_strdup_printf ("afrpc %s", argv[1]);
  g_set_prgname (prgname);
  argv[1] = prgname;

  return serves ? afrpc_tool_serve (argc - 1, argv + 1) : afrpc_tool_nats_call (argc - 1, argv + 1);
}
