/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-fork-lock.h"
#include "os/afrpc-spawn.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "os/afrpc-child.h"
#include "os/afrpc-low-fd.h"

static AfrpcForkLock lock;
static GArray *abandoned; /* (element-type AfrpcSpawned) guarded by lock */

static void
sweep_locked (void)
{
  for (guint i = abandoned != NULL ? abandoned->len : 0; i-- > 0;)
    {
      AfrpcSpawnStatus status;

      if (afrpc_spawn_reap (&g_array_index (abandoned, AfrpcSpawned, i), &status))
        g_array_remove_index_fast (abandoned, i);
    }
}

/* Nobody waits for the process any more: it is reaped by the way, whenever it ends. Takes what @spawned has. */
void
afrpc_spawn_abandon (AfrpcSpawned *spawned)
{
  afrpc_fork_lock_lock (&lock);
  if (abandoned == NULL)
    abandoned = g_array_new (FALSE, FALSE, sizeof (AfrpcSpawned));
  g_array_append_val (abandoned, *spawned);
  *spawned = (AfrpcSpawned) { .pidfd = -1 };
  sweep_locked ();
  afrpc_fork_lock_unlock (&lock);
}

void
afrpc_spawn_sweep (void)
{
  afrpc_fork_lock_lock (&lock);
  sweep_locked ();
  afrpc_fork_lock_unlock (&lock);
}

/* Whether @pid is a child of this process; then @pidfd (out) is a new pidfd of it, or -1. */
gboolean
afrpc_spawn_find (int  pid,
                  int *pidfd)
{
  if (afrpc_child_peek (pid, -1) < 0)
    return FALSE;
  *pidfd = afrpc_low_fd_lift (syscall (SYS_pidfd_open, pid, 0));

  return TRUE;
}
