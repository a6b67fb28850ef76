/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-caller.h"
#include "afrpc-proxy.h"
#include "peer/afrpc-peer.h"

G_BEGIN_DECLS

typedef enum
{
  AFRPC_PROXY_PROP_PROCESS = 1,
  AFRPC_PROXY_PROP_FUNCTION,
  AFRPC_PROXY_PROP_INIT,
  AFRPC_PROXY_PROP_DONE,
  AFRPC_PROXY_PROP_BACKEND,
  AFRPC_PROXY_PROP_SERIALISER,
  AFRPC_PROXY_PROP_SOCKET,
  AFRPC_PROXY_PROP_CALL_TIMEOUT_MS,
  AFRPC_PROXY_PROP_MAX_CALLS_QUEUED,
  AFRPC_PROXY_PROP_MAX_BYTES_QUEUED,
  AFRPC_PROXY_PROP_MAX_MESSAGE_SIZE,
  AFRPC_PROXY_PROP_FORWARD_LOG,
  AFRPC_PROXY_PROP_RING,
  AFRPC_PROXY_PROP_CLOSED,
  AFRPC_PROXY_PROP_RETIRED,
  AFRPC_PROXY_N_PROPS,
} AfrpcProxyProp;

extern GParamSpec *afrpc_proxy_props[AFRPC_PROXY_N_PROPS];

struct _AfrpcProxy
{
  GObject parent_instance;

  AfrpcProcess *process; /* construct-only, nullable only if the program is wrong */
  char *function;        /* construct-only, likewise */
  char *init;            /* construct-only, nullable */
  char *done;            /* construct-only, nullable */
  AfrpcBackend backend;  /* construct-only */
  AfrpcSerialiser *serialiser; /* construct-only, nullable */
  guint call_timeout_ms; /* 0: none */
  guint max_calls_queued;
  guint64 max_bytes_queued;
  guint64 max_message_size; /* construct-only */
  gboolean forward_log;     /* construct-only */
  gboolean ring;            /* construct-only */

  AfrpcPeer *peer;       /* the process' own, or one that was refused */
  GHashTable *functions; /* (nullable) (element-type utf8 guint): numbers of others than the first */
  GSocket *socket;       /* (nullable): made when asked for */
  gboolean is_closed_notified;
};

AfrpcPeer *afrpc_proxy_get_peer      (AfrpcProxy           *self);
void       afrpc_proxy_notify_closed (AfrpcProxy           *self);
void       afrpc_proxy_update_limits (AfrpcProxy           *self);
void       afrpc_proxy_give          (AfrpcProxy           *self,
                                      GVariant             *args,
                                      AfrpcCallOptions     *options,
                                      guint                 timeout_ms,
                                      AfrpcPending         *pending);
void       afrpc_proxy_caller_init   (AfrpcCallerInterface *iface);

G_END_DECLS
