/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A host that, asked to fork, says that it has made what AFRPC_TEST_LIE says. */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wire/afrpc-stream.h"

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
  if (strcmp (lie, "wrong-number") == 0)
    return (Lie) { getppid (), open_pidfd (getpid ()), TRUE };
  if (strcmp (lie, "sibling-as-child") == 0)
    return (Lie) { atoi (g_getenv ("AFRPC_TEST_SIBLING")), open_pidfd (atoi (g_getenv ("AFRPC_TEST_SIBLING"))), FALSE };

  g_error ("no such lie: %s", lie);
}

int
main (void)
{
  AfrpcStream stream;
  AfrpcFrame frame;
  const Lie lie = make_up (g_getenv ("AFRPC_TEST_LIE"));
  g_autoptr(GVariant) hello = g_variant_ref_sink (g_variant_new_parsed ("{'version': <uint32 1>, 'host': <'lying'>}"));
  g_autoptr(GVariant) forked = g_variant_ref_sink (g_variant_new ("(ub)", lie.pid, lie.direct));

  afrpc_stream_init (&stream, 3, 3, TRUE);
  afrpc_stream_put_value (&stream, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, hello);
  do
    {
      afrpc_stream_flush (&stream, NULL);
      while (afrpc_stream_next (&stream, &frame, NULL) == AFRPC_STREAM_DONE)
        if (frame.header.kind == AFRPC_FRAME_FORK)
          afrpc_stream_put_fd (&stream, AFRPC_FRAME_FORKED, forked, fcntl (lie.fd, F_DUPFD_CLOEXEC, 0));
      afrpc_stream_flush (&stream, NULL);
    }
  while (afrpc_stream_read (&stream, NULL) == AFRPC_STREAM_DONE);

  afrpc_stream_clear (&stream);
  return 0;
}
