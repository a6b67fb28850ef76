/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How what is under way tells the inbox. */
#pragma once

#include "afrpc/gjs/afrpc-gjs-inbox.h"

G_BEGIN_DECLS

/* A piece of news. */
typedef struct
{
  AfrpcGjsNews news;
  AfrpcCaller *caller;  /* (nullable) */
  AfrpcMap *map;        /* (nullable) */
  GAsyncResult *result; /* (nullable) */
  GVariant *value;      /* (nullable) */
  GUnixFDList *fds;     /* (nullable) */
  GError *error;        /* (nullable) */
  AfrpcCall *call;      /* (nullable): that has come to its end */
} AfrpcGjsItem;

void      afrpc_gjs_inbox_deliver     (AfrpcGjsInbox      *self,
                                       guint               id,
                                       const AfrpcGjsItem *item);
GVariant *afrpc_gjs_inbox_steal_input (AfrpcGjsInbox      *self);

G_END_DECLS
