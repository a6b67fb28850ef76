/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker module of the pre-forked server: takes its process over, and answers one client after the
 * other on a listening socket that it shares with its siblings. The kernel gives each client to one of
 * them. */
#define _GNU_SOURCE 1 /* accept4() */
#include <afrpc/afrpc.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

AFRPC_EXPORT void serve (AfrpcWorker *worker, int fd);

static void
answer (int client)
{
  char text[64];
  int len = snprintf (text, sizeof text, "Hello from process %d!\n", getpid ());

  /* A client that is gone already is none of ours. */
  (void) !send (client, text, len, MSG_NOSIGNAL);
  close (client);
}

/* Until the program closes its end of @fd, or dies. */
void
serve (AfrpcWorker *worker,
       int          fd)
{
  struct pollfd pollers[] = { { fd, POLLIN, 0 }, { afrpc_worker_steal_fd (worker, 0), POLLIN, 0 } };

  while (poll (pollers, G_N_ELEMENTS (pollers), -1) >= 0 || errno == EINTR)
    {
      int client;

      if (pollers[0].revents != 0)
        break;
      if (pollers[1].revents == 0)
        continue;

      /* It does not block: a sibling may have been faster. */
      client = accept4 (pollers[1].fd, NULL, NULL, SOCK_CLOEXEC);
      if (client >= 0)
        answer (client);
    }

  close (pollers[1].fd);
  close (fd);
}
