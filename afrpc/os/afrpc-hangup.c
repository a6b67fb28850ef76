/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-hangup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/afrpc-group.h"

static volatile int watched_fd = -1;
static volatile int end_signal;

/* Whatever arrives raises the signal, too. A socket hangs up; the writing end of a pipe has an error. */
static void
look (void)
{
  struct pollfd poller = { watched_fd, 0, 0 };

  if (poller.fd < 0 || poll (&poller, 1, 0) != 1 || (poller.revents & (POLLHUP | POLLERR)) == 0)
    return;

  if (afrpc_group_is_ours ())
    kill (0, end_signal);
  /* There is nobody whom it could matter to, as after the end of a connection that was read. */
  if (end_signal == SIGKILL)
    _exit (EXIT_SUCCESS);
  kill (getpid (), end_signal);
}

static void
sigio_cb (int signal)
{
  const int saved = errno;

  look ();
  errno = saved;
}

/* The handler stays: a signal that is under way would end the process without one. */
static gboolean
has_handler (void)
{
  struct sigaction action;

  if (sigaction (SIGIO, NULL, &action) != 0)
    return FALSE;
  if (action.sa_handler == sigio_cb)
    return TRUE;
  /* Somebody else's is left alone. */
  if (action.sa_handler != SIG_DFL || (action.sa_flags & SA_SIGINFO) != 0)
    return FALSE;

  action = (struct sigaction) { .sa_handler = sigio_cb, .sa_flags = SA_RESTART };

  return sigaction (SIGIO, &action, NULL) == 0;
}

/* The calling process gets @signal, or ends if that is SIGKILL, when the other end of @fd, a socket or a pipe to write to, is
 * closed by all who have it. */
void
afrpc_hangup_watch (int fd,
                    int signal)
{
  const int flags = fcntl (fd, F_GETFL);

  if (flags < 0 || !has_handler ())
    return;

  end_signal = signal;
  watched_fd = fd;
  if (fcntl (fd, F_SETOWN, getpid ()) != 0 || fcntl (fd, F_SETFL, flags | O_ASYNC) != 0)
    watched_fd = -1;
  look ();
}

void
afrpc_hangup_unwatch (int fd)
{
  if (watched_fd < 0)
    return;

  watched_fd = -1;
  fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) & ~O_ASYNC);
}
