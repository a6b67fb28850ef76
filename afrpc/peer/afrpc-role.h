/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a process was taken for: it has one job. */
#pragma once

typedef enum
{
  AFRPC_ROLE_NONE,        /* nothing yet: it is being prepared, and may be forked */
  AFRPC_ROLE_CALLS,       /* its function is called */
  AFRPC_ROLE_STREAM,      /* its function has the connection, as a stream of bytes */
  AFRPC_ROLE_HANDED_OVER, /* another program goes on with it */
} AfrpcRole;
