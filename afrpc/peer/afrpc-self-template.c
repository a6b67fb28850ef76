/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-self-private.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/afrpc-fork-lock.h"
#include "os/afrpc-fork.h"
#include "os/afrpc-low-fd.h"
#include "os/afrpc-spawn.h"

static AfrpcForkLock lock;

static gboolean is_ready; /* guarded by the lock */

/* The template that was forked at the beginning, when there was one thread, until a main context takes it: guarded by the lock
 * from then on. */
static int template_fd = -1;
static int template_pid;
static int template_pidfd = -1;
static pid_t owner; /* who has forked it: what the program forks otherwise has a copy of this, and leaves it alone */

/* The program is small and has one thread as yet: what is forked now can be forked later. */
static void
fork_template (int (*serve) (void))
{
  int sockets[2];

  if (!afrpc_fork_is_possible (NULL) ||
      socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0 || afrpc_low_fd_lift_pair (sockets) != 0)
    return; /* a worker executes the program instead */

  owner = getpid ();
  template_pid = fork ();
  if (template_pid == 0)
    {
      g_autofree char *number = g_strdup_printf ("%d", sockets[1]);

      close (sockets[0]);
      afrpc_low_fd_fill ();
      g_setenv (AFRPC_SPAWN_SOCKET_ENV, number, TRUE);
      _exit (serve ());
    }

  close (sockets[1]);
  template_pidfd = template_pid > 0 ? afrpc_low_fd_lift (syscall (SYS_pidfd_open, template_pid, 0)) : -1;
  if (template_pidfd < 0)
    {
      close (sockets[0]);
      if (template_pid > 0)
        {
          kill (template_pid, SIGKILL);
          while (waitpid (template_pid, NULL, 0) < 0 && errno == EINTR)
            ;
        }
      return;
    }
  template_fd = sockets[0];
}

/* The program can be its own worker from now on. Returns: whether it could not before */
gboolean
afrpc_self_set_ready (void)
{
  gboolean was_ready;

  afrpc_fork_lock_lock (&lock);
  was_ready = is_ready;
  is_ready = TRUE;
  afrpc_fork_lock_unlock (&lock);

  return !was_ready;
}

/* Forks the program as it is now, once, to serve by calling @serve, which returns an exit status. Where the program is forked
 * nobody holds the lock, which nobody would give back there. */
void
afrpc_self_fork_template (int (*serve) (void))
{
  if (afrpc_self_set_ready ())
    fork_template (serve);
}

/* Whether the program can be its own worker. */
gboolean
afrpc_self_is_ready (void)
{
  gboolean ready;

  afrpc_fork_lock_lock (&lock);
  ready = is_ready;
  afrpc_fork_lock_unlock (&lock);

  return ready;
}

/* Gives away the template that was forked early; FALSE if there is none, or somebody has it. */
gboolean
afrpc_self_take_template (int *fd,
                          int *pid,
                          int *pidfd)
{
  gboolean taken;

  afrpc_fork_lock_lock (&lock);
  taken = template_fd >= 0 && owner == getpid ();
  if (taken)
    {
      *fd = template_fd;
      *pid = template_pid;
      *pidfd = template_pidfd;
      template_fd = template_pidfd = -1;
    }
  afrpc_fork_lock_unlock (&lock);

  return taken;
}
