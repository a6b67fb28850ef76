/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-fork-lock.h"

#include <pthread.h>

static GMutex known_lock;
static AfrpcForkLock *known; /* guarded by known_lock */

static void
fork_cb (void)
{
  g_mutex_lock (&known_lock);
  for (AfrpcForkLock *lock = known; lock != NULL; lock = lock->next)
    g_mutex_lock (&lock->mutex);
}

/* In the program, and in the process that was made. */
static void
forked_cb (void)
{
  for (AfrpcForkLock *lock = known; lock != NULL; lock = lock->next)
    g_mutex_unlock (&lock->mutex);
  g_mutex_unlock (&known_lock);
}

/* Before anybody has a lock: who registered that while another thread forks would have one there that it does not know of. */
static void __attribute__ ((constructor))
register_fork_cbs (void)
{
  pthread_atfork (fork_cb, forked_cb, forked_cb);
}

static void
get_known (AfrpcForkLock *self)
{
  g_mutex_lock (&known_lock);
  if (!self->is_known)
    {
      self->next = known;
      known = self;
      g_atomic_int_set (&self->is_known, TRUE);
    }
  g_mutex_unlock (&known_lock);
}

/* Nobody takes one while he has another: whoever forks takes them all, in any order. */
void
afrpc_fork_lock_lock (AfrpcForkLock *self)
{
  if (G_UNLIKELY (!g_atomic_int_get (&self->is_known)))
    get_known (self);
  g_mutex_lock (&self->mutex);
}

void
afrpc_fork_lock_unlock (AfrpcForkLock *self)
{
  g_mutex_unlock (&self->mutex);
}
