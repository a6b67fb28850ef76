/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One connection of nats.c, and the thread that makes all calls to it: connecting takes as long as it takes, and a write
 * waits for the network, so no thread of the program's may. What arrives is put into inboxes. Knows no GObject. */
#pragma once

#include "nats/afrpc-nats-inbox.h"

G_BEGIN_DECLS

typedef struct _AfrpcNatsLink AfrpcNatsLink;

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
  gboolean tls;
  guint connect_timeout_ms;
} AfrpcNatsSettings;

void           afrpc_nats_settings_clear   (AfrpcNatsSettings       *self);

AfrpcNatsLink *afrpc_nats_link_new         (const AfrpcNatsSettings *settings);
void           afrpc_nats_link_close       (AfrpcNatsLink           *self,
                                            AfrpcNatsInbox          *inbox);
void           afrpc_nats_link_unref       (AfrpcNatsLink           *self);

/* From any thread. */
guint          afrpc_nats_link_subscribe   (AfrpcNatsLink           *self,
                                            const char              *subject,
                                            const char              *queue,
                                            AfrpcNatsInbox          *inbox,
                                            guint                    tag);
void           afrpc_nats_link_unsubscribe (AfrpcNatsLink           *self,
                                            guint                    id);
void           afrpc_nats_link_watch       (AfrpcNatsLink           *self,
                                            AfrpcNatsInbox          *inbox);
void           afrpc_nats_link_unwatch     (AfrpcNatsLink           *self,
                                            AfrpcNatsInbox          *inbox);
void           afrpc_nats_link_publish     (AfrpcNatsLink           *self,
                                            char                    *subject,
                                            char                    *reply,
                                            guint64                  sender,
                                            GBytes                  *bytes);
char          *afrpc_nats_link_dup_url     (AfrpcNatsLink           *self);

G_END_DECLS
