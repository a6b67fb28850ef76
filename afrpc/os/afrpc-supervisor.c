/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/afrpc-low-fd.h"
#include "os/afrpc-reexec.h"
#include "os/afrpc-bridge.h"
#include "os/afrpc-fork.h"
#include "wire/afrpc-frame.h"

#define ORPHAN_GRACE_MS 1000 /* for a worker to end after its connection has */

static void
write_goodbye (int                 fd,
               const AfrpcGoodbye *goodbye,
               guint64             serial)
{
  guint8 bytes[AFRPC_FRAME_GOODBYE_SIZE];
  gsize done = 0;

  afrpc_goodbye_encode (goodbye, serial, bytes);
  while (done < sizeof bytes)
    {
      struct pollfd poller = { fd, POLLOUT, 0 };
      gssize n = write (fd, bytes + done, sizeof bytes - done);

      if (n >= 0)
        done += n;
      else if (errno == EAGAIN)
        poll (&poller, 1, -1);
      else if (errno != EINTR)
        return;
    }
}

/* As poll(); the first of @pollers is the worker's pidfd. If there is none, its end is asked for. */
static int
poll_worker (struct pollfd *pollers,
             guint          n_pollers,
             int            pid,
             int            timeout_ms)
{
  const gboolean asks = pollers[0].fd < 0;
  int n;

  do
    {
      const int slice_ms = asks && (timeout_ms < 0 || timeout_ms > AFRPC_FORK_ASK_MS) ? AFRPC_FORK_ASK_MS : timeout_ms;

      n = poll (pollers, n_pollers, slice_ms);
      if (asks && n >= 0 && afrpc_fork_has_ended (pid))
        {
          pollers[0].revents = POLLIN;
          n++;
        }
      if (timeout_ms > 0)
        timeout_ms -= slice_ms;
    }
  while (n == 0 && timeout_ms != 0);

  return n;
}

/* Waits for the worker; FALSE if nobody is left to be told, and it does not end by itself. @in_fd (transfer full): its end is
 * that of the program, which says before that if it only closes; what is in between, such as ssh, may tell nothing else.
 * @lifeline_fd: hangs a worker that is to end with its program. @is_taken_over: whether a function has taken the connection
 * over: then what is not the function's must not be on it. */
static gboolean
watch (int       pid,
       int       pidfd,
       int       in_fd,
       int       out_fd,
       int       lifeline_fd,
       int       control_fd,
       gboolean *is_taken_over)
{
  struct pollfd pollers[] = {
    { pidfd, POLLIN, 0 }, { control_fd, POLLIN, 0 }, { out_fd, 0, 0 }, { in_fd, POLLRDHUP, 0 },
  };
  gboolean ended = FALSE, broken = FALSE;
  int taken_fd, socket_fd;

  *is_taken_over = FALSE;
  while (!ended && !broken)
    {
      if (poll_worker (pollers, G_N_ELEMENTS (pollers), pid, -1) < 0)
        continue;

      if (pollers[1].revents != 0 && afrpc_bridge_hear (control_fd, &taken_fd, &socket_fd))
        {
          *is_taken_over = TRUE;
          /* Whoever writes to the function shall notice its end. */
          close (in_fd);
          in_fd = -1;
          ended = afrpc_bridge_copy (taken_fd, socket_fd, out_fd, pid, pidfd);
          broken = !ended;
        }
      else
        {
          ended = pollers[0].revents != 0;
          broken = pollers[2].revents != 0 || pollers[3].revents != 0;
        }
      pollers[1].fd = pollers[1].revents != 0 ? -1 : control_fd;
    }

  /* Whoever writes to the worker shall notice its end. */
  if (in_fd >= 0)
    close (in_fd);
  if (!ended)
    {
      close (lifeline_fd);
      ended = poll_worker (pollers, 1, pid, ORPHAN_GRACE_MS) == 1;
    }
  if (pidfd >= 0)
    close (pidfd);

  return ended;
}

/* Forks. In the new process, the worker: FALSE; what it can hang on with afrpc_lifeline_arm() and what it has to
 * greet with are added to @what. In the supervisor, once there is nothing more to do: TRUE, with its exit
 * @status. */
gboolean
afrpc_supervise (AfrpcSupervised *what,
                 int             *status)
{
  g_autoptr(AfrpcReexec) reexec = NULL;
  int ends[2] = { -1, -1 }, control[2] = { -1, -1 };
  gboolean is_taken_over;
  siginfo_t info = { 0 };
  AfrpcGoodbye goodbye;
  int pid, pidfd, result;

  *status = EXIT_FAILURE;
  /* Without it the parent expects no goodbye. */
  if (getrandom (&what->goodbye_serial, sizeof what->goodbye_serial, GRND_NONBLOCK) != sizeof what->goodbye_serial)
    what->goodbye_serial = 0;
  if (pipe2 (ends, O_CLOEXEC) == 0 && afrpc_low_fd_lift_pair (ends) == 0 &&
      socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) == 0 && afrpc_low_fd_lift_pair (control) == 0)
    {
      what->lifeline_fd = ends[0];
      what->control_fd = control[0];
      if (!afrpc_fork_is_possible (NULL))
        reexec = afrpc_reexec_new (what);
    }
  if (control[0] < 0 || (pid = afrpc_fork_child (&pidfd)) < 0)
    {
      g_printerr ("afrpc: cannot fork: %s\n", g_strerror (errno));
      return TRUE;
    }

  if (pid == 0)
    {
      close (ends[1]);
      close (control[1]);
      if (reexec != NULL)
        afrpc_reexec_exec (reexec, what);
      return FALSE;
    }

  close (ends[0]);
  close (control[0]);
  signal (SIGPIPE, SIG_IGN);

  if (!watch (pid, pidfd, what->in_fd, what->out_fd, ends[1], control[1], &is_taken_over))
    return TRUE;
  do
    result = waitid (P_PID, pid, &info, WEXITED);
  while (result != 0 && errno == EINTR);
  if (result != 0)
    return TRUE;

  goodbye.status = info.si_code == CLD_EXITED ? info.si_status : -1;
  goodbye.signum = info.si_code == CLD_EXITED ? 0 : info.si_status;
  goodbye.core = info.si_code == CLD_DUMPED;
  if (what->goodbye_serial != 0 && !is_taken_over)
    write_goodbye (what->out_fd, &goodbye, what->goodbye_serial);
  *status = goodbye.signum != 0 ? 128 + goodbye.signum : goodbye.status;

  return TRUE;
}
