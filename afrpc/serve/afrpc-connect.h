/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a process comes to the connection that it serves. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

typedef enum
{
  AFRPC_CONNECTED,
  AFRPC_CONNECT_NOBODY,     /* there is nobody to serve */
  AFRPC_CONNECT_SUPERVISED, /* another process has done so, and ended */
} AfrpcConnectResult;

AfrpcConnectResult afrpc_connect (AfrpcSession *session,
                                  int          *status);

G_END_DECLS
