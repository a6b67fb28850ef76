/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where and as whom to connect, and how nats.c is told. */
#pragma once

#include <glib.h>
#include <nats/nats.h>

G_BEGIN_DECLS

/* How to connect; what is NULL is not used. */
typedef struct
{
  char **servers;
  char *name;
  char *user;
  char *password;
  char *token;
  char *credentials_file;
  char *nkey;
  char *nkey_seed_file;
  char *tls_ca_file;
  char *tls_certificate_file;
  char *tls_key_file;
  char *tls_hostname;
  char *inbox_prefix;
  gboolean tls;
  guint connect_timeout_ms;
} AfrpcNatsSettings;

void       afrpc_nats_settings_copy  (AfrpcNatsSettings       *self,
                                      const AfrpcNatsSettings *from);
void       afrpc_nats_settings_clear (AfrpcNatsSettings       *self);
gboolean   afrpc_nats_check_subject  (const char              *subject,
                                      GError                 **error);
gboolean   afrpc_nats_settings_check (const AfrpcNatsSettings *self,
                                      GError                 **error);
char      *afrpc_nats_settings_describe (const AfrpcNatsSettings *self);
char      *afrpc_nats_settings_hide  (const AfrpcNatsSettings *self,
                                      const char              *text);
char      *afrpc_nats_url_hide       (const char              *url);
natsStatus afrpc_nats_settings_apply (const AfrpcNatsSettings *self,
                                      natsOptions             *options);

G_END_DECLS
