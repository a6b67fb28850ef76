/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What "afrpc serve", and "afrpc call" over NATS, share. They are a program of their own, which nobody else has to load NATS
 * for. */
#pragma once

#include <afrpc/afrpc-nats.h>

#include "afrpc-tool.h"

G_BEGIN_DECLS

typedef struct
{
  char *url;      /* (nullable) */
  char *subject;  /* (nullable) */
  char *user;     /* (nullable) */
  char *creds;    /* (nullable) */
  char *nkey;     /* (nullable) */
  char *nkey_seed; /* (nullable) */
  char *tls_ca;   /* (nullable) */
  char *tls_cert; /* (nullable) */
  char *tls_key;  /* (nullable) */
  gboolean tls;
} AfrpcToolNats;

void                 afrpc_tool_nats_add            (AfrpcToolNats        *self,
                                                     AfrpcToolOptions     *parser);
gboolean             afrpc_tool_nats_check          (AfrpcToolNats        *self,
                                                     GError              **error);
AfrpcNatsConnection *afrpc_tool_nats_new_connection (const AfrpcToolNats  *self);
void                 afrpc_tool_nats_end            (AfrpcNatsConnection  *connection);
void                 afrpc_tool_nats_clear          (AfrpcToolNats        *self);

int                  afrpc_tool_serve               (int                   argc,
                                                     char                **argv);
int                  afrpc_tool_nats_call           (int                   argc,
                                                     char                **argv);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcToolNats, afrpc_tool_nats_clear)

G_END_DECLS
