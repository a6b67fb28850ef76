/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Threads of links. The process does not end while one of them does: OpenSSL clears up after both, and neither waits for the
 * other. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Guarded by a lock for all */
typedef struct
{
  gboolean is_leaving; /* it was asked to end */
  gboolean has_ended;  /* but for what is done after each thread */
} AfrpcNatsThread;

void          afrpc_nats_thread_watch  (void);
void          afrpc_nats_thread_leave  (AfrpcNatsThread *self);
void          afrpc_nats_thread_end    (AfrpcNatsThread *self);
void          afrpc_nats_threads_join  (void);

/* How often the process has been forked from one that used this, which has other threads. */
void          afrpc_nats_forks_watch   (void);
guint         afrpc_nats_forks_get_n   (void);

G_END_DECLS
