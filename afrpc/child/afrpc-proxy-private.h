/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Between the two files of AfrpcProxy. */
#pragma once

#include "afrpc-proxy.h"
#include "child/afrpc-child.h"

G_BEGIN_DECLS

struct _AfrpcProxy
{
  GObject parent_instance;

  AfrpcProcess *process; /* construct-only */
  char *function;        /* construct-only */
  char *init;            /* construct-only, nullable */
  char *done;            /* construct-only, nullable */
  AfrpcBackend backend;  /* construct-only */
  AfrpcSerialiser *serialiser; /* construct-only, nullable */
  guint call_timeout_ms; /* 0: none */
  guint max_calls_queued;
  guint64 max_bytes_queued;
  guint64 max_message_size; /* construct-only */
  gboolean forward_log;     /* construct-only */

  AfrpcChild *child;
  GSocket *socket; /* (nullable): made when asked for */
  GError *refused; /* (nullable): why it did not get the process: in use, or ended */
  GUnixFDList *event_fds; /* (nullable): of the event whose handlers run */
};

G_END_DECLS
