/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A lock of something that the process has once. What the program forks finds it free: another thread may have it while one
 * forks, and the process that is made has no such thread. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _AfrpcForkLock AfrpcForkLock;

/* To be static, and zero. */
struct _AfrpcForkLock
{
  GMutex mutex;
  gint is_known; /* atomic */
  AfrpcForkLock *next;
};

void afrpc_fork_lock_lock   (AfrpcForkLock *self);
void afrpc_fork_lock_unlock (AfrpcForkLock *self);

G_END_DECLS
