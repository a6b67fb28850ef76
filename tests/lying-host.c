/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A host that, asked to fork, says that it has made what AFRPC_TEST_LIE says. */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transport/afrpc-socket.h"

typedef struct
{
  int pid;
  int fd;
  gboolean direct;
} Lie;

static int
open_pidfd (int pid)
{
  int fd = syscall (SYS_pidfd_open, pid, 0);

  if (fd < 0)
    g_error ("pidfd_open: %m");

  return fd;
}

static Lie
make_up (const char *lie)
{
  if (strcmp (lie, "no-pidfd") == 0)
    return (Lie) { getpid () + 1, open ("/dev/null", O_RDWR), TRUE };
  if (strcmp (lie, "program") == 0)
    return (Lie) { getppid (), open_pidfd (getppid ()), TRUE };
  if (strcmp (lie, "program-as-child") == 0)
    return (Lie) { getppid (), open_pidfd (getppid ()), FALSE };
  if (strcmp (lie, "itself") == 0)
    return (Lie) { getpid (), open_pidfd (getpid ()), TRUE };
  if (strcmp (lie, "sibling") == 0)
    return (Lie) { atoi (g_getenv ("AFRPC_TEST_SIBLING")), open_pidfd (atoi (g_getenv ("AFRPC_TEST_SIBLING"))), TRUE };
  if (strcmp (lie, "wrong-number") == 0)
    return (Lie) { getppid (), open_pidfd (getpid ()), TRUE };
  if (strcmp (lie, "sibling-as-child") == 0)
    return (Lie) { atoi (g_getenv ("AFRPC_TEST_SIBLING")), open_pidfd (atoi (g_getenv ("AFRPC_TEST_SIBLING"))), FALSE };

  g_error ("no such lie: %s", lie);
}

int
main (void)
{
  AfrpcTransport transport;
  AfrpcFrame frame;
  const Lie lie = make_up (g_getenv ("AFRPC_TEST_LIE"));
  g_autoptr(GVariant) hello = g_variant_ref_sink (g_variant_new_parsed ("{'version': <uint32 1>, 'host': <'lying'>}"));
  g_autoptr(GVariant) forked = g_variant_ref_sink (g_variant_new ("(ub)", lie.pid, lie.direct));

  afrpc_transport_init (&transport, &afrpc_socket_funcs, AFRPC_TRANSPORT_WORKER);
  afrpc_transport_connect (&transport, 3, 3);
  afrpc_transport_put_value (&transport, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, hello);
  do
    {
      afrpc_transport_flush (&transport, NULL);
      while (afrpc_transport_next (&transport, &frame, NULL) == AFRPC_STEP_DONE)
        if (frame.header.kind == AFRPC_FRAME_FORK)
          afrpc_transport_put_fd (&transport, AFRPC_FRAME_FORKED, forked, fcntl (lie.fd, F_DUPFD_CLOEXEC, 0));
      afrpc_transport_flush (&transport, NULL);
    }
  while (afrpc_transport_read (&transport, NULL) == AFRPC_STEP_DONE);

  afrpc_transport_clear (&transport);
  return 0;
}
